//! Smaller parts of the status.

use serde::{Deserialize, Serialize};

/// A probe that went there and came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proven {
    /// How long ago.
    pub age_seconds: u64,
    /// There and back, milliseconds.
    pub round_trip_ms: u64,
    /// How many came back on this connection.
    pub count: u64,
}

/// One of a peer's uplinks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UplinkStatus {
    /// Its name in the configuration.
    pub name: String,
    /// `carries`, `standby`: a second connection waits there, `unreachable`: the last attempt failed, or `idle`.
    pub state: String,
}

/// The status LED.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedStatus {
    /// What it says, in one word: `flowing`, `connected`, `some_down`, `retrying`, `connecting`, `booting`,
    /// `provisioning`, `paused`, `dark`, `safe_mode`, or `fault_` and which.
    pub signal: String,
    /// The same in words.
    pub meaning: String,
    /// How it looks, in words.
    pub pattern: String,
    /// Who makes it blink: `kernel`, `class` or `gpio` (this program), `none` = there is none, `lost` = it cannot be
    /// reached.
    pub back_end: String,
    /// Where it is; empty where there is none.
    pub place: String,
    /// Why it cannot be reached, in words.
    pub problem: Option<String>,
    /// How often it vanished since the start.
    pub losses: u64,
}
