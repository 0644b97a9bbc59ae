//! The federates as configured, and the links that serve them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::budget::LARGE_EVENTS;
use crate::config::{Config, Limits, Peer, Protocol, Uplink};
use crate::link::board::{PeerBoard, PeerState};
use crate::link::courier::Courier;
use crate::link::door::Door;
use crate::link::fed1;
use crate::link::fed2::companion::Feature;
use crate::link::fed2::echo::EchoDesk;
use crate::link::fed2::groups::Announced;
use crate::link::fed2::{self, receipts, standby};
use crate::link::fed2::{Acceptor, AcceptorSettings, Companions, time_exchange};
use crate::link::federate::node::MESSAGE_OVERHEAD;
use crate::link::federate::{Dialler, Identify, Node, PeerSettings, Registry, Timing};
use crate::link::handshake::Failure;
use crate::link::hub::Hub;
use crate::link::ingest::Intake;
use crate::link::meter::Meters;
use crate::link::nat::Keeper;
use crate::link::packages::Packages;
use crate::link::refusals::Refusals;
use crate::link::route_watch::{Routes, Watching};
use crate::link::tls::{self, Credentials, Moments, Observer};
use crate::pki::{Own, Roster, TrustRule};
use crate::route::PeerSpec;
use crate::route::groups::Groups;

use super::courier;
use super::filtering;
use super::spool;
use super::timekeeper::Timekeeper;

/// All federation of the box.
#[derive(Debug)]
pub(super) struct Federation {
    node: Arc<Node>,
    credentials: Credentials,
    /// The CA of our own certificate; peers of the same one are kin.
    issuer: CertificateDer<'static>,
    /// Fingerprint of our certificate.
    leaf: String,
    roster: Roster,
    /// The enabled peers, as the accepting side looks them up.
    enabled: Arc<Mutex<BTreeMap<String, PeerSettings>>>,
    /// Every configured peer as it was applied last.
    applied: BTreeMap<String, Peer>,
    diallers: BTreeMap<String, Dialler>,
    /// The ways out, best first.
    uplinks: Vec<Arc<Uplink>>,
    door: Door,
    acceptor: Acceptor,
    echo: EchoDesk,
    clock: Timekeeper,
    courier: Option<Courier>,
    /// Hears of changes of the network for as long as there is federation.
    _watching: Option<Watching>,
}

/// What federation shares with the rest of the box.
pub(super) struct Shares {
    /// The router.
    pub(super) hub: Hub,
    /// Where states are written.
    pub(super) board: PeerBoard,
    /// Where refused handshakes are counted.
    pub(super) refusals: Refusals,
    /// What keeps links alive.
    pub(super) keeper: Keeper,
    /// The clock.
    pub(super) clock: Timekeeper,
}

impl Federation {
    /// Federation without peers; [`Federation::apply`] brings them.
    ///
    /// # Errors
    /// If TLS does not take our identity.
    pub(super) fn new(
        config: &Config,
        own: &Own,
        federate_id: &str,
        shared: Shares,
    ) -> Result<Self, rustls::Error> {
        let Shares {
            hub,
            board,
            refusals,
            keeper,
            clock,
        } = shared;
        let timing = Timing {
            handshake: Duration::from_secs(config.limits.handshake_seconds.into()),
            half_event: Duration::from_secs(config.limits.half_event_seconds.into()),
            ..Timing::default()
        };
        let node = Arc::new(Node {
            name: config.name.clone(),
            federate_id: federate_id.to_owned(),
            registry: Registry::new(federate_id, timing.fresh)
                .with_room_for(usize::from(config.limits.max_federates)),
            routes: Routes::default(),
            companions: companions(),
            groups: Announced::default(),
            keeper,
            meters: Meters::default(),
            hub,
            board,
            large_events: Arc::new(Semaphore::new(LARGE_EVENTS as usize)),
            message_limit: config.limits.max_event_kib as usize * 1024 + MESSAGE_OVERHEAD,
            packages: Packages::default(),
            timing,
        });
        let echo = EchoDesk::open(Arc::clone(&node), &own.identity)?;
        tokio::spawn(echo.clone().run());
        (node.companions).allow_packing(usize::from(config.limits.compressed_links));
        time_exchange::register(&node.companions, node.hub.clone(), node.keeper.clone());
        receipts::register(&node.companions, &node.hub, &node.registry);
        standby::register(&node.companions);
        let watching = node.routes.watch().map_err(|error| {
            tracing::warn!(%error, "changes of routes are not heard of: links come back when their pauses are over");
        });
        let credentials = Credentials::new(&own.identity)?.judging_at(clock.moments());
        let leaf = own.identity.fingerprint().to_string();
        let roster = Roster::default();
        let enabled: Arc<Mutex<BTreeMap<String, PeerSettings>>> = Arc::default();
        let door = Door::default();
        let observer = clock.telling(tell_refused(&node));
        let acceptor = Acceptor::new(AcceptorSettings {
            node: Arc::clone(&node),
            tls: tls::federation_server(&credentials, roster.clone(), observer)?,
            identify: identify(roster.clone(), Arc::clone(&enabled), clock.moments()),
            door: door.clone(),
            refusals,
            leaf: leaf.clone(),
        });
        Ok(Self {
            node,
            issuer: own.issuer().clone(),
            credentials,
            leaf,
            roster,
            enabled,
            applied: BTreeMap::new(),
            diallers: BTreeMap::new(),
            uplinks: Vec::new(),
            door,
            acceptor,
            echo,
            clock,
            courier: None,
            _watching: watching.ok(),
        })
    }

    /// Proofs that events cross.
    pub(super) fn echo(&self) -> EchoDesk {
        self.echo.clone()
    }

    /// What all links share.
    pub(super) fn node(&self) -> Arc<Node> {
        Arc::clone(&self.node)
    }

    /// Who carries data packages.
    pub(super) fn set_courier(&mut self, courier: Option<Courier>) {
        self.courier = courier;
    }

    /// Accepts federates on one more socket.
    pub(super) fn listen(&self, listener: TcpListener) {
        self.acceptor.listen(listener);
    }

    /// Bounds of what local clients and servers send; the places for large events are shared.
    pub(super) fn intake(&self, limits: &Limits) -> Intake {
        Intake {
            large_events: Arc::clone(&self.node.large_events),
            max_event: limits.max_event_kib as usize * 1024,
            half_event: Duration::from_secs(limits.half_event_seconds.into()),
        }
    }

    /// The clock, by which the local clients' certificates are judged too.
    pub(super) fn clock(&self) -> &Timekeeper {
        &self.clock
    }

    /// What goes over the wire to each peer.
    pub(super) fn meters(&self) -> Meters {
        self.node.meters.clone()
    }

    /// Changes of the network, of which other links want to hear too.
    pub(super) fn routes(&self) -> Routes {
        self.node.routes.clone()
    }

    /// The router.
    pub(super) fn hub(&self) -> Hub {
        self.node.hub.clone()
    }

    /// Deadlines and pauses of links.
    pub(super) fn timing(&self) -> Timing {
        self.node.timing.clone()
    }

    /// Our own certificate.
    pub(super) fn credentials(&self) -> Credentials {
        self.credentials.clone()
    }

    /// Whose certificates are registered.
    pub(super) fn roster(&self) -> Roster {
        self.roster.clone()
    }

    /// The door, which the local clients share.
    pub(super) fn door(&self) -> Door {
        self.door.clone()
    }

    /// Makes the links what the configuration says; what did not change is not touched. The words tell what did.
    pub(super) fn apply(&mut self, config: &Config) -> String {
        self.node.keeper.set_discovers(config.keepalive_discovery);
        let wanted: BTreeMap<String, Peer> = config
            .peers
            .iter()
            .map(|peer| (peer.name.clone(), peer.clone()))
            .collect();
        let specs: Vec<PeerSpec> = config
            .peers
            .iter()
            .filter(|peer| peer.enabled)
            .map(|peer| PeerSpec {
                name: peer.name.clone(),
                incoming: peer.incoming,
                outgoing: peer.outgoing,
                correct_clock: peer.correct_clock,
            })
            .collect();
        // Trust first: from here on no handshake succeeds that the new configuration does not allow.
        let enabled = || wanted.values().filter(|peer| peer.enabled);
        self.roster.replace(enabled().map(rule).collect());
        *self.enabled.lock().unwrap_or_else(PoisonError::into_inner) = enabled()
            .map(|peer| (peer.name.clone(), PeerSettings::of(peer, &config.uplinks)))
            .collect();
        let groups = Groups::of(config, |peer| peer.authorities.contains(&self.issuer));
        for (peer, relaxed) in enabled().filter_map(|peer| Some((peer, peer.relaxed()?))) {
            tracing::warn!(peer = peer.name, "{}: {relaxed}", peer.name);
        }
        let spools: Vec<&str> = spool::names(&config.peers).collect();
        self.node.hub.with(|router, now| {
            router.set_peers(&specs);
            router.set_groups(&groups, now);
            router.set_spools(&spools);
            let policies = config.peers.iter();
            let policies = policies.map(|peer| (peer.name.as_str(), filtering::policy(peer)));
            router.set_policies(policies, now);
            router.note_directions(now);
        });
        self.node.groups.set(groups);
        if let Some(courier) = &self.courier {
            courier::apply(courier, config, |peer| uploads::destination(self, peer));
        }

        let uplinks_changed = self.uplinks != config.uplinks;
        self.uplinks.clone_from(&config.uplinks);
        let old = std::mem::replace(&mut self.applied, wanted);
        let mut changes = Vec::new();
        for (name, peer) in &old {
            match self.applied.get(name) {
                Some(same)
                    if same == peer && uplinks_changed && self.diallers.contains_key(name) =>
                {
                    self.cut(name, "the uplinks were changed");
                    changes.push(format!("{name} changed its uplinks"));
                }
                Some(same) if same == peer => {}
                Some(changed) => {
                    if !only_directions_changed(peer, changed) {
                        self.cut(name, "its settings were changed");
                    }
                    changes.push(format!("{name} changed"));
                }
                None => {
                    self.cut(name, "it was removed");
                    self.node.board.forget(name);
                    self.node.keeper.forget(name);
                    self.node.meters.forget(name);
                    changes.push(format!("{name} removed"));
                }
            }
        }
        for name in self.applied.keys().filter(|name| !old.contains_key(*name)) {
            changes.push(format!("{name} added"));
        }
        self.start();
        for (name, peer) in &self.applied {
            self.node.board.set_thin(name, peer.rate.is_some());
        }
        match changes.is_empty() {
            true => "no federate changed".to_owned(),
            false => changes.join(", "),
        }
    }

    /// Says goodbye to everybody.
    pub(super) async fn shutdown(self) {
        let goodbyes: Vec<_> = self
            .diallers
            .into_values()
            .map(|dialler| tokio::spawn(dialler.stop()))
            .collect();
        self.acceptor.shutdown().await;
        for goodbye in goodbyes {
            // A link that panicked has nothing left to say.
            let _ = goodbye.await;
        }
    }

    fn cut(&mut self, name: &str, why: &str) {
        // Dropping the dialler ends its connection at once.
        self.diallers.remove(name);
        self.acceptor.cut(name, why);
        // What failed before says nothing about what is configured now.
        self.node.board.clear_hindrance(name);
        tracing::info!(peer = name, "{name}: federation link cut: {why}");
    }

    /// Starts what is configured and not running.
    fn start(&mut self) {
        let now = self.node.hub.now().wall_ms;
        for (name, peer) in &self.applied {
            let board = &self.node.board;
            if !peer.enabled {
                board.set(name, PeerState::Disabled, "enabled = false", now);
                continue;
            }
            let Some(address) = peer.all_addresses().next() else {
                if board
                    .status(name)
                    .is_none_or(|known| known.state == PeerState::Disabled)
                {
                    board.set(name, PeerState::Waiting, "it has not dialled us yet", now);
                }
                continue;
            };
            if self.diallers.contains_key(name) {
                continue;
            }
            board.set_address(name, address);
            board.set(name, PeerState::Connecting, "starting", now);
            match self.dial(peer) {
                Ok(dialler) => {
                    self.diallers.insert(name.clone(), dialler);
                }
                Err(error) => board.set(name, PeerState::Waiting, error.to_string(), now),
            }
        }
    }

    fn dial(&self, peer: &Peer) -> Result<Dialler, rustls::Error> {
        let observer = self.clock.telling(tls::unobserved());
        let (node, settings) = (
            Arc::clone(&self.node),
            PeerSettings::of(peer, &self.uplinks),
        );
        Ok(match peer.protocol {
            Protocol::V2 => {
                let tls = tls::federation_client(&self.credentials, rule(peer), observer)?;
                fed2::dial(node, settings, tls)
            }
            Protocol::V1 => {
                let (tls, asked) = tls::legacy_client(&self.credentials, rule(peer), observer)?;
                let ours = fed1::dialler::Ours {
                    tls,
                    asked: (!peer.legacy_no_client_certificate).then_some(asked),
                    leaf: self.leaf.clone(),
                };
                fed1::dial(node, settings, ours)
            }
        })
    }
}

/// What this box does for other boxes.
fn companions() -> Companions {
    let companions = Companions::default();
    companions.offer(Feature::Quiet);
    companions
}

/// Writes why we refused a peer that dials us where its operator's colleague looks first: at the peer's state.
fn tell_refused(node: &Node) -> Observer {
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

fn rule(peer: &Peer) -> TrustRule {
    TrustRule {
        peer: peer.name.clone(),
        authorities: peer.authorities.clone(),
        fingerprint: peer.fingerprint,
        leaf_alone: peer.legacy_no_client_certificate,
    }
}

/// Directions, filters, groups and clocks are the router's business; the connection may stay.
fn only_directions_changed(old: &Peer, new: &Peer) -> bool {
    let aligned = Peer {
        incoming: new.incoming,
        outgoing: new.outgoing,
        spool: new.spool,
        correct_clock: new.correct_clock,
        groups: new.groups.clone(),
        data_packages_in: new.data_packages_in,
        data_packages_out: new.data_packages_out,
        packages: new.packages.clone(),
        filters: new.filters.clone(),
        ..old.clone()
    };
    aligned == *new
}

fn identify(
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

#[cfg(test)]
mod tests;
mod uploads;
