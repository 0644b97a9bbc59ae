//! Smaller parts of the status.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::Peer;
use crate::link::board;

/// Counts by reason; the words are those of [`Reason`] and of refused handshakes.
pub type Counts = BTreeMap<String, u64>;

/// How a link to a federate stands. `connected` is not `flowing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerState {
    /// `enabled = false`.
    Disabled,
    /// Paused by the operator.
    Paused,
    /// Nothing under way: it is the peer's turn to dial, or the next attempt has its time.
    Waiting,
    /// An attempt is under way.
    Connecting,
    /// Connected, and no event within the last minute.
    Connected,
    /// Connected, and events cross.
    Flowing,
}

impl PeerState {
    /// The word that scripts see.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Paused => "paused",
            Self::Waiting => "waiting",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Flowing => "flowing",
        }
    }
}

impl From<board::PeerState> for PeerState {
    fn from(state: board::PeerState) -> Self {
        match state {
            board::PeerState::Disabled => Self::Disabled,
            board::PeerState::Paused => Self::Paused,
            board::PeerState::Waiting => Self::Waiting,
            board::PeerState::Connecting => Self::Connecting,
            board::PeerState::Connected => Self::Connected,
            board::PeerState::Flowing => Self::Flowing,
        }
    }
}

impl fmt::Display for PeerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

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
