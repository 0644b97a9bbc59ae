//! The status as it is now.

use std::sync::PoisonError;

use super::safe::Safe;
use super::{Shared, filtering, networks};
use crate::api::line::LineStatus;
use crate::api::sending::SendingStatus;
use crate::api::spool::SpoolStatus;
use crate::api::status::{
    Crossing, LocalStatus, MemoryStatus, NodeStatus, PeerClock, PeerState, PeerStatus, PowerStatus,
    Proven, Status, StorageStatus, UplinkStatus, counts, time,
};
use crate::clock::skew::Offset;
use crate::config::Peer;
use crate::counters::Counters;
use crate::link::courier::Courier;
use crate::link::hindrance::Hindrance;

impl Shared {
    /// Everything that `status` shows.
    pub(super) fn status(&self) -> Status {
        let config = self.config();
        let (now, clients, local, peers) = self.hub.with(|router, now| {
            let peers: Vec<(Counters, Offset)> = config
                .peers
                .iter()
                .map(|peer| {
                    let counters = router.peer_counters(&peer.name).cloned();
                    let offset = router.peer_offset(&peer.name, now);
                    (counters.unwrap_or_default(), offset)
                })
                .collect();
            let local = router.local_counters();
            (now, router.clients(), local, peers)
        });
        let vitals = self.vitals();
        Status {
            node: NodeStatus {
                name: config.name.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                federate_id: self.federate_id.clone(),
                uptime_seconds: now.mono_ms / 1000,
                fingerprint: self.fingerprint.to_string(),
                state: match &self.safe {
                    _ if *self.stop.borrow() => "draining",
                    Some(_) => "safe",
                    None => "running",
                }
                .to_owned(),
                reason: self.safe.as_ref().map(Safe::to_string).unwrap_or_default(),
            },
            clock: self.clock.status(),
            listen: self.bound.clone(),
            peers: config
                .peers
                .iter()
                .zip(&peers)
                .map(|(peer, (counters, offset))| PeerStatus {
                    clock: PeerClock::of(offset, counters.corrected),
                    ..self.peer(peer, counters, now.wall_ms)
                })
                .collect(),
            servers: self.server_statuses(),
            meshes: self.meshes(&config),
            networks: self.networks(&config),
            clients: u32::try_from(clients).unwrap_or(u32::MAX),
            refused: self
                .refusals
                .snapshot()
                .into_iter()
                .map(|(word, count)| (word.to_owned(), count))
                .collect(),
            local: LocalStatus {
                events_in: local.events_in,
                events_out: local.events_out,
                corrected: local.corrected,
                dropped: counts(local.reasons()),
            },
            pairing: self.pairing.status(now.mono_ms),
            memory: MemoryStatus::measure(&self.budget),
            led: self.shown.status(),
            storage: StorageStatus::from(&vitals.storage),
            power: PowerStatus::from(vitals.power),
            carriage: (self.courier.as_ref().map(Courier::carriage)).unwrap_or_default(),
            packages: self.packages.status(),
        }
    }

    /// How one peer's link stands, in one word.
    pub(super) fn peer_state(&self, peer: &Peer) -> PeerState {
        self.peer_status(peer).state
    }

    /// How one peer's link stands.
    pub(super) fn peer_status(&self, peer: &Peer) -> PeerStatus {
        let (now, counters) = self.hub.with(|router, now| {
            let counters = router.peer_counters(&peer.name).cloned();
            (now, counters.unwrap_or_default())
        });
        self.peer(peer, &counters, now.wall_ms)
    }

    fn peer(&self, peer: &Peer, counters: &Counters, now_ms: i64) -> PeerStatus {
        let known = self
            .board
            .status_with(&peer.name, counters, now_ms)
            .unwrap_or_default();
        let apart = networks::apart(&self.config(), peer);
        let filtered = filtering::standstill(peer);
        let hold = match (&apart, &filtered) {
            (Some(_), _) => Some(Hindrance::Groups),
            (None, Some(_)) => Some(Hindrance::Filter),
            (None, None) => None,
        };
        let still = apart.or(filtered);
        let state = match PeerState::from(known.state) {
            _ if self.safe.is_some() => PeerState::Paused,
            PeerState::Connected | PeerState::Flowing if !peer.incoming && !peer.outgoing => {
                PeerState::Paused
            }
            // Proven to reach the other box, and yet nothing can pass.
            PeerState::Flowing if hold == Some(Hindrance::Filter) => PeerState::Connected,
            state => state,
        };
        let reason = match state {
            PeerState::Paused if self.safe.is_some() => "the box is in safe mode".to_owned(),
            PeerState::Paused => "incoming and outgoing are both off".to_owned(),
            PeerState::Connected if still.is_some() => still.clone().unwrap_or_default(),
            PeerState::Connected if !peer.incoming || !peer.outgoing => one_way(peer).to_owned(),
            PeerState::Connected if known.reason.is_empty() => {
                let words = "no event has crossed in the last minute";
                match filtering::kept_back(counters) {
                    0 => words.to_owned(),
                    stopped => format!("{words}; its filter has stopped {stopped} so far"),
                }
            }
            _ => known.reason,
        };
        let rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let (rate_in, rate_out) = rates.of(&peer.name);
        PeerStatus {
            name: peer.name.clone(),
            state,
            proven: known.proven.map(|proven| Proven {
                age_seconds: u64::try_from(now_ms.saturating_sub(proven.at_ms) / 1000).unwrap_or(0),
                round_trip_ms: proven.round_trip_ms,
                count: proven.count,
            }),
            stopped_by: stopped_by(peer, state, known.hindrance, hold),
            reason,
            address: Some(known.address)
                .filter(|address| !address.is_empty())
                .or_else(|| peer.address.clone()),
            enabled: peer.enabled,
            crossing: Crossing::of(peer),
            events_in: counters.events_in,
            events_out: counters.events_out,
            rate_in,
            rate_out,
            last_heard: time(counters.last_heard_ms),
            dropped: counts(counters.reasons()),
            spool: self.spool(&peer.name, counters),
            line: self.keeper.shown(&peer.name).map(LineStatus::from),
            uplinks: known
                .uplinks
                .into_iter()
                .map(|(name, state)| UplinkStatus {
                    name,
                    state: state.to_owned(),
                })
                .collect(),
            clock: PeerClock::default(),
            sending: self.sending(peer),
            groups: networks::groups(peer, known.groups),
            protocol: peer.protocol.word().to_owned(),
            relaxed: peer.relaxed().map(str::to_owned),
        }
    }

    fn spool(&self, peer: &str, counters: &Counters) -> SpoolStatus {
        let (state, fault) = self.hub.with(|router, now| {
            let fault = router.spool_fault().unwrap_or_default().to_owned();
            (router.spool_state(peer, now), fault)
        });
        SpoolStatus {
            events: state.events,
            bytes: state.bytes,
            oldest_seconds: state.oldest_ms / 1000,
            spooled: counters.spooled,
            replayed: counters.replayed,
            place: match (state.enabled, fault.is_empty()) {
                (false, _) => "off",
                (true, true) => "disk",
                (true, false) => "memory",
            }
            .to_owned(),
            fault,
        }
    }

    fn sending(&self, peer: &Peer) -> SendingStatus {
        let totals = self.meters.totals(&peer.name);
        let status = SendingStatus {
            rate: peer.rate.map(|rate| rate.to_string()),
            bytes_out: totals.bytes_out(),
            packed_bytes: totals.packed_away(),
            ..SendingStatus::default()
        };
        self.hub
            .with(|router, now| match router.peer_outbox(&peer.name) {
                Some(outbox) => SendingStatus {
                    thinned_bytes: outbox.spared_bytes(),
                    waiting: outbox.queued() as u64,
                    oldest_track_ms: outbox.oldest_track_ms(now.mono_ms),
                    ..status
                },
                None => status,
            })
    }
}

/// One direction is off on purpose: what is not to be waited for is said.
fn one_way(peer: &Peer) -> &'static str {
    match peer.incoming {
        true => "no event has come in the last minute, and outgoing is off: nothing is sent",
        false => "no event has been sent in the last minute, and incoming is off: nothing is taken",
    }
}

/// The step that stops the link, as scripts see it.
fn stopped_by(
    peer: &Peer,
    state: PeerState,
    hindrance: Option<Hindrance>,
    hold: Option<Hindrance>,
) -> Option<String> {
    let stopped = match state {
        PeerState::Disabled => return None,
        _ if !peer.incoming && !peer.outgoing => Some(Hindrance::Direction),
        PeerState::Waiting | PeerState::Connecting => hindrance,
        PeerState::Connected => hold,
        _ => None,
    };
    stopped.map(|stopped| stopped.word().to_owned())
}
