//! Time as an argument: the pure layers are handed a [`Now`], only this module reads a clock.
//!
//! [`BoxClock`] is the clock of the running box. It reads every source once a second (`keeper.rs`), lets the pure
//! judge choose (`judge.rs`), and counts on by the monotonic clock from there. What the sources say is read in
//! `kernel.rs`, `rtc.rs`, `gps.rs` (pure) and `peers.rs` (pure); `floor.rs` keeps the last known time over a power cut.
#![allow(
    clippy::disallowed_types,
    reason = "the one place where the machine's clocks are read"
)]

pub mod floor;
pub mod gps;
pub mod judge;
pub mod keeper;
pub mod kernel;
pub mod peers;
pub mod quality;
pub mod rtc;
pub mod skew;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use keeper::BoxClock;
pub use peers::PeerOffset;
pub use quality::Quality;

/// One reading of both clocks.
///
/// Timers and deadlines use `mono` only; `wall` is compared with the times inside events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds since the clock was made; never steps.
    pub mono_ms: u64,
    /// Milliseconds since 1970-01-01T00:00:00Z; may step, may be wrong.
    pub wall_ms: i64,
}

/// The time of day, and how far it can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wall {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub ms: i64,
    /// Where it comes from.
    pub quality: Quality,
}

/// Where time comes from; tests bring their own.
pub trait Clock: Send + Sync {
    /// Reads both clocks.
    fn now(&self) -> Now;

    /// Where the time of day comes from; unknown for a clock that asks nobody.
    fn quality(&self) -> Quality {
        Quality::None
    }

    /// The time of day with its quality.
    fn wall(&self) -> Wall {
        Wall {
            ms: self.now().wall_ms,
            quality: self.quality(),
        }
    }
}

/// The machine's own clocks, as they are: for commands, which live for a moment.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose `mono_ms` starts at zero.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Now {
            mono_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            wall_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX),
        }
    }
}
