//! What the box is told from outside.

use tokio::signal::unix::{Signal as Listener, SignalKind, signal};

use super::StartError;

/// SIGHUP, SIGTERM and SIGINT, listened to.
pub(super) struct Signals {
    pub(super) hangup: Listener,
    pub(super) terminate: Listener,
    pub(super) interrupt: Listener,
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
        })
    }
}
