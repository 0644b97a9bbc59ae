//! Who may come in: the registrations, what was taken back, and what is said of those who are refused.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls_pki_types::CertificateDer;

use crate::config::Peer;
use crate::link::board::{Hindrance, PeerState};
use crate::link::federate::{Identify, Node, PeerSettings};
use crate::link::handshake::Failure;
use crate::link::tls::{Moments, Observer};
use crate::pki::revocations::{FOLDER, Source};
use crate::pki::successors::Successors;
use crate::pki::{Own, Revocations, Roster, TrustRule};

/// Seconds between two looks at the files of revocation lists.
const LOOK: u8 = 2;

/// By what neighbours are judged.
#[derive(Debug)]
pub(super) struct Trust {
    pub(super) roster: Roster,
    pub(super) revocations: Revocations,
    pub(super) successors: Successors,
    /// The lists that peers name.
    named: Vec<Source>,
    folder: Source,
    /// The CAs of local clients.
    ours: Vec<CertificateDer<'static>>,
    seconds: u8,
}

impl Trust {
    /// Nobody yet; [`Trust::set`] brings them.
    pub(super) fn new(own: &Own) -> Self {
        let pki = own.store.directory();
        let folder = pki.parent().unwrap_or(Path::new("")).join(FOLDER);
        let trust = Self {
            roster: Roster::default(),
            revocations: Revocations::default(),
            successors: Successors::open(pki.join("successors")),
            named: Vec::new(),
            folder: Source {
                path: folder,
                authorities: own.client_authorities(),
            },
            ours: own.client_authorities(),
            seconds: 0,
        };
        // Local clients are judged from the first handshake on.
        trust.look_anew();
        trust
    }

    /// The peers are these from now on: no handshake succeeds any more that does not fit.
    pub(super) fn set<'a>(&mut self, enabled: impl Iterator<Item = &'a Peer> + Clone) {
        self.named.clear();
        self.folder.authorities.clone_from(&self.ours);
        for peer in enabled.clone() {
            self.folder
                .authorities
                .extend(peer.authorities.iter().cloned());
            let Some(path) = &peer.trust.crl else {
                continue;
            };
            match self.named.iter_mut().find(|source| source.path == *path) {
                Some(same) => same.authorities.extend(peer.authorities.iter().cloned()),
                None => self.named.push(Source {
                    path: path.clone(),
                    authorities: peer.authorities.clone(),
                }),
            }
        }
        self.roster
            .replace(enabled.map(|peer| self.rule(peer)).collect());
        self.look_anew();
    }

    /// Our own CA may be another one now.
    pub(super) fn renewed(&mut self, own: &Own) {
        for authority in own.client_authorities() {
            if !self.ours.contains(&authority) {
                self.folder.authorities.push(authority.clone());
                self.ours.push(authority);
            }
        }
        self.look_anew();
    }

    /// How one peer is known.
    pub(super) fn rule(&self, peer: &Peer) -> TrustRule {
        TrustRule {
            peer: peer.name.clone(),
            authorities: peer.authorities.clone(),
            ca_pin: peer.trust.ca_pin,
            fingerprints: (peer.fingerprint.iter())
                .chain(&peer.trust.fingerprints)
                .copied()
                .collect(),
            denied: peer.trust.denied.clone(),
            revocations: self.revocations.clone(),
            successors: self.successors.clone(),
            leaf_alone: peer.legacy_no_client_certificate,
        }
    }

    /// Once a second: reads lists that have changed. Says whether what is revoked may be different.
    pub(super) fn look(&mut self) -> bool {
        self.seconds += 1;
        if self.seconds < LOOK {
            return false;
        }
        self.seconds = 0;
        self.revocations
            .look(&self.named, Some(&self.folder), false)
    }

    fn look_anew(&self) {
        self.revocations.look(&self.named, Some(&self.folder), true);
    }
}

/// How a peer that is connected is known, in words.
pub(super) fn registered(peer: &Peer) -> String {
    let trust = &peer.trust;
    match (peer.fingerprint, trust.fingerprints.len(), trust.ca_pin) {
        (Some(fingerprint), 0, _) => {
            format!(
                "its certificate is the registered one, {fingerprint}, or one that it told of while it had that"
            )
        }
        (None, 0, Some(pin)) => format!("by its CA {pin}: any certificate of it is taken"),
        (None, 0, None) => "by its CA: any certificate of it is taken".to_owned(),
        (first, further, _) => {
            let count = usize::from(first.is_some()) + further;
            format!("its certificate is one of the {count} registered ones")
        }
    }
}

/// What else was looked at before it came in.
pub(super) fn steps(peer: &Peer, revocations: &Revocations) -> Vec<(Hindrance, String)> {
    let mut steps = Vec::new();
    let lists = revocations.standing().len();
    if lists > 0 || !peer.trust.denied.is_empty() {
        let words = format!("in none of {lists} revocation lists, and not on the deny-list");
        steps.push((Hindrance::Revoked, words));
    }
    if !peer.trust.sources.is_empty() {
        let sources: Vec<String> = peer.trust.sources.iter().map(ToString::to_string).collect();
        let words = format!("it may come from {}", sources.join(", "));
        steps.push((Hindrance::Source, words));
    }
    if peer.trust.secret.is_some() {
        let words = "both sides have proven the shared secret on this connection".to_owned();
        steps.push((Hindrance::Secret, words));
    }
    steps
}

/// Whose certificate it is, among those that are enabled.
pub(super) fn identify(
    roster: Roster,
    enabled: Arc<Mutex<BTreeMap<String, PeerSettings>>>,
    moments: Moments,
) -> Identify {
    Arc::new(move |chain: &[CertificateDer<'static>]| {
        let name = roster.identify(chain, moments()).ok()?;
        let enabled = enabled.lock().unwrap_or_else(PoisonError::into_inner);
        enabled.get(&name).cloned()
    })
}

/// Writes why we refused a peer that dials us where its operator's colleague looks first: at the peer's state.
pub(super) fn tell_refused(node: &Node) -> Observer {
    let (board, registry, hub) = (node.board.clone(), node.registry.clone(), node.hub.clone());
    Arc::new(move |judgement| {
        let (Err(refusal), Some(peer)) = (judgement.outcome, judgement.suspect) else {
            return;
        };
        let waits = board
            .status(&peer)
            .is_some_and(|known| known.state == PeerState::Waiting);
        if waits && !registry.is_live(&peer) {
            board.set_hindrance(&peer, Failure::Refused(refusal).hindrance());
            let words = format!("we refused it: {refusal}");
            board.set(&peer, PeerState::Waiting, words, hub.now().wall_ms);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::config::Limits;
    use crate::link::board::PeerBoard;
    use crate::link::fed2::Companions;
    use crate::link::fed2::groups::Announced;
    use crate::link::federate::{Registry, Timing};
    use crate::link::hub::Hub;
    use crate::link::meter::Meters;
    use crate::link::nat::Keeper;
    use crate::link::packages::Packages;
    use crate::link::route_watch::Routes;
    use crate::link::tls::Judgement;
    use crate::pki::{Fingerprint, Refusal};
    use crate::route::{Router, Settings};
    use tokio::sync::Semaphore;

    #[test]
    fn a_refused_peer_reads_why_at_its_own_state_unless_it_is_connected() {
        let timing = Timing::default();
        let settings = Settings::of(&Limits::default(), "a".repeat(32), 1);
        let node = Node {
            name: "alpha".to_owned(),
            federate_id: "a".repeat(32),
            hub: Hub::new(Router::new(settings), Arc::new(SystemClock::new())),
            board: PeerBoard::new(),
            registry: Registry::new("a", timing.fresh),
            routes: Routes::default(),
            companions: Companions::default(),
            packages: Packages::default(),
            groups: Announced::default(),
            keeper: Keeper::default(),
            meters: Meters::default(),
            large_events: Arc::new(Semaphore::new(1)),
            message_limit: 1024,
            timing,
        };
        let observer = tell_refused(&node);
        let refuse = |suspect: Option<&str>| {
            observer(Judgement {
                fingerprint: Fingerprint::of(b""),
                outcome: Err(Refusal::Expired),
                doubt: None,
                suspect: suspect.map(str::to_owned),
            });
        };
        let board = &node.board;
        let reason = |peer: &str| board.status(peer).unwrap().reason;
        board.set("bravo", PeerState::Waiting, "it has not dialled us yet", 1);
        board.set("charlie", PeerState::Connected, "", 1);
        refuse(None);
        assert_eq!(reason("bravo"), "it has not dialled us yet");
        for peer in ["bravo", "charlie", "nobody"] {
            refuse(Some(peer));
        }
        assert_eq!(
            reason("bravo"),
            format!("we refused it: {}", Refusal::Expired)
        );
        assert_eq!(reason("charlie"), "");
        assert_eq!(board.status("nobody"), None);
    }
}
