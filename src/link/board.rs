//! The state board: what stops each peer's link, in words.
//!
//! Links write on it, `status` reads it. Whether a link *flows* is not written but worked out by the reader, from the
//! router's counters: connected is not flowing (design, section 7).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

pub use super::hindrance::Hindrance;
use crate::clock::{Clock, Now};
use crate::counters::Counters;
use crate::route::recorder::{Recorder, Topic};

/// A link flows while its last event, either way, is not older than this, milliseconds.
pub const FLOWING_MS: i64 = 60_000;

/// It flows without users' events too while its last proof is not older than this: two are made meanwhile, and one may
/// get lost.
pub const PROVEN_MS: i64 = 150_000;

/// A probe that went there and came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proven {
    /// Wall clock when it came back, milliseconds since 1970.
    pub at_ms: i64,
    /// How long it took, milliseconds.
    pub round_trip_ms: u64,
    /// How many have come back since the start.
    pub count: u64,
}

/// Longest certificate that is kept, bytes.
const LONGEST_LEAF: usize = 4096;

/// Group names kept per peer; a list from outside must not grow without bound.
pub const MOST_GROUPS: usize = 16;
/// Longest name of a group, characters.
pub const LONGEST_GROUP: usize = 64;
/// Longest text from a peer, characters.
const LONGEST_TEXT: usize = 128;

/// How far a peer's link has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PeerState {
    /// `enabled = false`.
    Disabled,
    /// Paused by the operator.
    Paused,
    /// Nothing under way: it is the peer's turn to dial, or the next attempt has its time.
    #[default]
    Waiting,
    /// An attempt is under way.
    Connecting,
    /// Groups answered and health proven, but neither an event within the last minute nor a probe that came back.
    Connected,
    /// Connected, and events cross: one did within the last minute, or a probe came back within 150 s.
    Flowing,
}

impl PeerState {
    /// The word that `status` prints.
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

impl fmt::Display for PeerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What is known about one peer's link.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerStatus {
    /// How far it has come. Never [`PeerState::Flowing`] on the board itself.
    pub state: PeerState,
    /// What it waits for or why it stopped; empty while all is well.
    pub reason: String,
    /// What ended the last attempt; none while connected or disabled, or as long as none failed.
    pub hindrance: Option<Hindrance>,
    /// Wall clock of the last change of state, milliseconds since 1970.
    pub since_ms: i64,
    /// Wall clock of the moment from which on events could pass on this connection, milliseconds since 1970.
    pub attached_ms: i64,
    /// The group names that the peer announced last.
    pub groups: Vec<String>,
    /// Its federate id, once it has said it.
    pub federate_id: String,
    /// Address of the connection, or of the last one.
    pub address: String,
    /// The last probe that came back on this connection.
    pub proven: Option<Proven>,
    /// The certificate that it showed last, DER.
    pub leaf: Option<Arc<[u8]>>,
    /// Every byte of its link counts: it has a byte budget.
    pub thin: bool,
    /// Each of its uplinks, best first: name, and `carries`, `standby`, `unreachable` or `idle`.
    pub uplinks: Vec<(String, &'static str)>,
}

impl PeerStatus {
    fn state_with(&self, counters: &Counters, now_ms: i64) -> PeerState {
        let age = now_ms.saturating_sub(counters.last_event_ms);
        // An event from before this connection proves nothing about it.
        let of_this_connection = counters.last_event_ms >= self.attached_ms;
        let proven = |proven: Proven| now_ms.saturating_sub(proven.at_ms) <= PROVEN_MS;
        match self.state {
            PeerState::Connected if of_this_connection && age <= FLOWING_MS => PeerState::Flowing,
            PeerState::Connected if self.proven.is_some_and(proven) => PeerState::Flowing,
            state => state,
        }
    }
}

/// The board. Clones share it; a reader never waits for a link.
#[derive(Debug, Clone, Default)]
pub struct PeerBoard {
    peers: Arc<Mutex<BTreeMap<String, PeerStatus>>>,
    scribe: Arc<OnceLock<Scribe>>,
}

/// Where changes of state are noted.
struct Scribe {
    recorder: Recorder,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Scribe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scribe").finish_non_exhaustive()
    }
}

impl PeerBoard {
    /// An empty board.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a state and, in words, why. `now_ms` is wall time.
    pub fn set(&self, peer: &str, state: PeerState, reason: impl Into<String>, now_ms: i64) {
        let reason = reason.into();
        let mut news = None;
        self.with(peer, |status| {
            if status.state != state || status.reason != reason {
                news = Some(format!("{peer} {state}: {reason}"));
            }
            if status.state != state || status.since_ms == 0 {
                status.since_ms = now_ms;
            }
            status.state = state;
            status.reason = reason;
            if matches!(state, PeerState::Connected | PeerState::Disabled) {
                status.hindrance = None;
            }
        });
        if let (Some(news), Some(scribe)) = (news, self.scribe.get()) {
            let now = scribe.clock.now();
            scribe.recorder.words(Topic::Link, &news, now);
        }
    }

    /// From now on every change of state is noted in the flight recorder.
    pub fn record(&self, recorder: Recorder, clock: Arc<dyn Clock>) {
        // Only the first one counts, and there is only one.
        let _ = self.scribe.set(Scribe { recorder, clock });
    }

    /// Notes, beside a connection that is well, what somebody should do; it stands until the state changes.
    pub fn advise(&self, peer: &str, advice: &str) {
        self.with(peer, |status| {
            if status.state == PeerState::Connected {
                advice.clone_into(&mut status.reason);
            }
        });
    }

    /// Notes what ended an attempt; it stands until the peer is connected.
    ///
    /// A peer that refuses us often hangs up before it has said so: what passes does not hide a refusal.
    pub fn set_hindrance(&self, peer: &str, hindrance: Hindrance) {
        self.with(peer, |status| {
            let refused = status.hindrance.is_some_and(Hindrance::is_refusal);
            if hindrance != Hindrance::Passing || !refused {
                status.hindrance = Some(hindrance);
            }
        });
    }

    /// Begins afresh: what failed before a change of settings says nothing any more.
    pub fn clear_hindrance(&self, peer: &str) {
        self.with(peer, |status| status.hindrance = None);
    }

    /// Notes that events can pass from now on.
    pub fn set_attached(&self, peer: &str, now_ms: i64) {
        self.with(peer, |status| {
            status.attached_ms = now_ms;
            status.proven = None;
        });
    }

    /// Notes that a probe went there and came back, on this connection.
    pub fn set_proven(&self, peer: &str, now: Now, round_trip_ms: u64) {
        self.with(peer, |status| {
            let count = status.proven.map_or(0, |proven| proven.count);
            status.proven = Some(Proven {
                at_ms: now.wall_ms,
                round_trip_ms,
                count: count.saturating_add(1),
            });
        });
    }

    /// Notes the certificate that the peer showed.
    pub fn set_leaf(&self, peer: &str, leaf: &[u8]) {
        let leaf = (leaf.len() <= LONGEST_LEAF).then(|| leaf.into());
        self.with(peer, |status| status.leaf = leaf);
    }

    /// The certificate that the peer showed last.
    pub fn leaf(&self, peer: &str) -> Option<Arc<[u8]>> {
        self.lock().get(peer)?.leaf.clone()
    }

    /// Notes whether the peer's link has a byte budget.
    pub fn set_thin(&self, peer: &str, thin: bool) {
        self.with(peer, |status| status.thin = thin);
    }

    /// Whether the peer's link has a byte budget.
    pub fn is_thin(&self, peer: &str) -> bool {
        self.lock().get(peer).is_some_and(|status| status.thin)
    }

    /// Notes where the connection leads.
    pub fn set_address(&self, peer: &str, address: impl Into<String>) {
        let address = address.into();
        self.with(peer, |status| status.address = address);
    }

    /// Notes how its uplinks stand, best first.
    pub fn set_uplinks(&self, peer: &str, uplinks: Vec<(String, &'static str)>) {
        self.with(peer, |status| status.uplinks = uplinks);
    }

    /// Notes the peer's federate id.
    pub fn set_federate_id(&self, peer: &str, federate_id: &str) {
        let federate_id = clean(federate_id);
        self.with(peer, |status| status.federate_id = federate_id);
    }

    /// The peer's federate id; empty if it is not known.
    pub fn federate_id(&self, peer: &str) -> String {
        let peers = self.lock();
        let known = peers.get(peer).map(|status| status.federate_id.clone());
        known.unwrap_or_default()
    }

    /// Whether a peer with that federate id is connected.
    pub fn is_connected_to(&self, federate_id: &str) -> bool {
        let is = |status: &PeerStatus| {
            status.state == PeerState::Connected && status.federate_id == federate_id
        };
        self.lock().values().any(is)
    }

    /// Notes the groups that the peer announced; beyond 16 names they are cut off.
    pub fn set_groups(&self, peer: &str, groups: &[String]) {
        let groups = groups
            .iter()
            .take(MOST_GROUPS)
            .map(|group| clean(group).chars().take(LONGEST_GROUP).collect())
            .collect();
        self.with(peer, |status| status.groups = groups);
    }

    /// Takes a removed peer off the board.
    pub fn forget(&self, peer: &str) {
        self.lock().remove(peer);
    }

    /// What is noted about a peer.
    pub fn status(&self, peer: &str) -> Option<PeerStatus> {
        self.lock().get(peer).cloned()
    }

    /// How a peer stands, in short: what [`PeerBoard::status_with`] says, without its texts.
    pub fn standing(
        &self,
        peer: &str,
        counters: &Counters,
        now_ms: i64,
    ) -> (PeerState, Option<Hindrance>) {
        let peers = self.lock();
        let Some(status) = peers.get(peer) else {
            return (PeerState::default(), None);
        };
        (status.state_with(counters, now_ms), status.hindrance)
    }

    /// What is noted about a peer, with [`PeerState::Flowing`] worked out from its counters and the wall time.
    pub fn status_with(&self, peer: &str, counters: &Counters, now_ms: i64) -> Option<PeerStatus> {
        let mut status = self.status(peer)?;
        status.state = status.state_with(counters, now_ms);
        Some(status)
    }

    fn with(&self, peer: &str, change: impl FnOnce(&mut PeerStatus)) {
        let mut peers = self.lock();
        match peers.get_mut(peer) {
            Some(status) => change(status),
            None => change(peers.entry(peer.to_owned()).or_default()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, PeerStatus>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Text from a peer ends up on an operator's screen: no control characters, no novels.
fn clean(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control())
        .take(LONGEST_TEXT)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flowing_is_connected_plus_an_event_of_the_last_minute() {
        let board = PeerBoard::new();
        let mut counters = Counters::default();
        board.set_attached("bravo", 1_000_000);
        board.set("bravo", PeerState::Connected, "", 1_000_900);
        let state =
            |counters: &Counters, now| board.status_with("bravo", counters, now).unwrap().state;
        assert_eq!(state(&counters, 1_000_901), PeerState::Connected);
        counters.last_event_ms = 999_000;
        assert_eq!(
            state(&counters, 1_000_901),
            PeerState::Connected,
            "an older connection's"
        );
        counters.last_event_ms = 1_000_500;
        assert_eq!(state(&counters, 1_060_500), PeerState::Flowing);
        assert_eq!(state(&counters, 1_060_501), PeerState::Connected);
        board.set("bravo", PeerState::Waiting, "timed out", 1_060_600);
        counters.last_event_ms = 1_060_600;
        assert_eq!(state(&counters, 1_060_601), PeerState::Waiting);
    }

    #[test]
    fn a_hindrance_stands_until_the_link_is_up() {
        let board = PeerBoard::new();
        let hindrance = || board.status("bravo").unwrap().hindrance;
        board.set("bravo", PeerState::Connecting, "", 1);
        board.set_hindrance("bravo", Hindrance::Trust);
        for state in [PeerState::Waiting, PeerState::Connecting] {
            board.set("bravo", state, "", 2);
            assert_eq!(hindrance(), Some(Hindrance::Trust));
        }
        board.set_hindrance("bravo", Hindrance::Passing);
        assert_eq!(hindrance(), Some(Hindrance::Trust));
        board.set_hindrance("bravo", Hindrance::Unanswered);
        assert_eq!(hindrance(), Some(Hindrance::Unanswered));
        board.set("bravo", PeerState::Connected, "", 3);
        assert_eq!(hindrance(), None);
    }

    #[test]
    fn since_moves_with_the_state_only() {
        let board = PeerBoard::new();
        board.set("bravo", PeerState::Waiting, "a", 10);
        board.set("bravo", PeerState::Waiting, "b", 20);
        let status = board.status("bravo").unwrap();
        assert_eq!((status.since_ms, status.reason.as_str()), (10, "b"));
        board.set("bravo", PeerState::Connecting, "", 30);
        assert_eq!(board.status("bravo").unwrap().since_ms, 30);
        board.forget("bravo");
        assert_eq!(board.status("bravo"), None);
    }

    #[test]
    fn what_a_peer_says_is_bounded_and_printable() {
        let board = PeerBoard::new();
        let groups: Vec<String> = (0..1000)
            .map(|n| format!("g{n}\u{1b}[2J{}", "x".repeat(500)))
            .collect();
        board.set_groups("bravo", &groups);
        let kept = board.status("bravo").unwrap().groups;
        assert_eq!(kept.len(), MOST_GROUPS);
        assert!(
            kept.iter()
                .all(|group| group.chars().count() <= LONGEST_GROUP && !group.contains('\u{1b}'))
        );
    }
}
