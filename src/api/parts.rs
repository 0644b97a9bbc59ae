//! Smaller parts of the status.

use serde::{Deserialize, Serialize};

use crate::config::Peer;

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

/// What may cross a peer's link, as it is configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Crossing {
    /// What it sends is taken.
    pub incoming: bool,
    /// What we have is sent to it.
    pub outgoing: bool,
    /// Data packages and files are taken from it.
    pub data_packages_in: bool,
    /// Data packages and files of ours may go to it.
    pub data_packages_out: bool,
    /// Its filter, as it would be written; none = everything may cross.
    pub filter: Option<String>,
}

impl Crossing {
    /// What a peer's settings say.
    pub fn of(peer: &Peer) -> Self {
        Self {
            incoming: peer.incoming,
            outgoing: peer.outgoing,
            data_packages_in: peer.data_packages_in,
            data_packages_out: peer.data_packages_out,
            filter: (!peer.filters.is_empty()).then(|| peer.filters.to_string()),
        }
    }

    /// In words; empty when everything may cross.
    pub fn words(&self) -> String {
        let off = [
            (self.incoming, "in off"),
            (self.outgoing, "out off"),
            (self.data_packages_in, "data packages in off"),
            (self.data_packages_out, "data packages out off"),
        ];
        let off = off
            .into_iter()
            .filter(|(on, _)| !on)
            .map(|(_, words)| words.to_owned());
        let filter = self.filter.iter().map(|filter| format!("filter: {filter}"));
        off.chain(filter).collect::<Vec<_>>().join("; ")
    }
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
