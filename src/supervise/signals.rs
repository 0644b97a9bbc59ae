//! What the box is told from outside.

use nix::sys::signal::Signal;
use tokio::signal::unix::{Signal as Listener, SignalKind, signal};

use super::StartError;

/// SIGHUP, SIGTERM, SIGINT and SIGPWR, listened to.
pub(super) struct Signals {
    pub(super) hangup: Listener,
    pub(super) terminate: Listener,
    pub(super) interrupt: Listener,
    /// SIGPWR: the power is about to go.
    pub(super) power: Listener,
}

impl Signals {
    /// Listens; from here on none of them ends the process by itself.
    ///
    /// # Errors
    /// If the system refuses.
    pub(super) fn listen() -> Result<Self, StartError> {
        let on = |kind| signal(kind).map_err(|error| StartError::System("signals", error));
        Ok(Self {
            hangup: on(SignalKind::hangup())?,
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            power: on(SignalKind::from_raw(Signal::SIGPWR as i32))?,
        })
    }
}
