//! Time as an argument: the pure layers are handed a [`Now`], only this module reads a clock.
#![allow(
    clippy::disallowed_types,
    reason = "the one place where the machine's clocks are read"
)]

pub mod skew;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

/// Where time comes from; tests bring their own.
pub trait Clock: Send + Sync {
    /// Reads both clocks.
    fn now(&self) -> Now;
}

/// The machine's own clocks.
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
