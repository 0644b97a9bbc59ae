//! The router's state: links, contacts, latest events, and the memory against repeats.

mod acknowledge;
mod aside;
mod belonging;
mod deliver;
mod echo;
mod forms;
mod introduce;
mod mesh;
mod notes;
mod package;
mod places;
mod policing;
mod questions;
mod reading;
mod receive;
mod receive_tak;
mod reference;
mod replay;
mod resources;
mod scratch;
mod server;
mod spooling;
mod switch;
mod times;

pub use echo::CameEcho;
pub use mesh::WATCHED_BYTES;
pub use package::{MOST_PACKAGES, Onward, PACKAGE_REQUEST, Package};

use std::hash::BuildHasher;
use std::task::{Context, Poll};

use bytes::Bytes;
use foldhash::quality::FixedState;

use super::contacts::Contacts;
use super::dedup::Dedup;
use super::groups::{Mapping, Membership};
use super::latest::Latest;
use super::link::{LinkId, LinkSpec, Network, PeerSpec, Role, Wire};
use super::outbox::{Bounds, Outbox, Pool, Thin, Want};
use super::recorder::Recorder;
use super::spool::{self, PeerSpool};
use super::trace::Traces;
use crate::clock::Now;
use crate::clock::skew::{Frame, Skew};
use crate::config::Limits;
use crate::cot::federated::{Envelope, LabelId};
use crate::cot::flow_tag::{self, FlowTag};
use crate::counters::{Counters, Reason};
use crate::wire::xml::Reader;
pub use spooling::SpoolState;

use aside::Aside;
use belonging::Networks;
use introduce::Told;
use mesh::Neighbour;
use policing::{Guard, Room};
use reference::Reference;
use replay::Replay;
use scratch::Scratch;
use spooling::Spooling;

pub use aside::ASIDE_BYTES;

/// Bounds of the router, and who we are.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our federate id: 32 hex digits, stable.
    pub federate_id: String,
    /// Seed of the content hashes; secret, so that nobody can make two contents that look the same.
    pub seed: u64,
    /// Bounds of each outbox.
    pub outbox: Bounds,
    /// Bytes that may wait for all links together.
    pub waiting_bytes: usize,
    /// Contacts known at once.
    pub max_contacts: usize,
    /// Latest events kept for late joiners.
    pub latest_events: usize,
    /// Content hashes remembered.
    pub dedup_events: usize,
    /// How long each, milliseconds.
    pub dedup_window_ms: u64,
    /// Memory of the flight recorder, bytes: half of it for what became of each uid's newest event.
    pub recorder_bytes: usize,
    /// Federates that may be registered.
    pub max_federates: usize,
    /// Bounds of what waits for federates that are away.
    pub spool: spool::Bounds,
    /// Sources of events whose clocks are remembered.
    pub skew_sources: usize,
}

impl Settings {
    /// The bounds that a configuration sets.
    pub fn of(limits: &Limits, federate_id: String, seed: u64) -> Self {
        let kib = |kib: u32| kib as usize * 1024;
        Self {
            federate_id,
            seed,
            outbox: Bounds {
                events: usize::from(limits.outbox_events),
                bytes: kib(limits.outbox_kib),
                batch: kib(limits.batch_kib),
            },
            waiting_bytes: kib(limits.waiting_kib),
            max_contacts: usize::from(limits.max_contacts),
            latest_events: usize::from(limits.latest_events),
            dedup_events: limits.dedup_events as usize,
            dedup_window_ms: u64::from(limits.dedup_seconds) * 1000,
            recorder_bytes: kib(limits.recorder_kib.into()),
            max_federates: usize::from(limits.max_federates),
            spool: spool::Bounds::of(limits),
            skew_sources: usize::from(limits.skew_sources),
        }
    }
}

/// Emergencies and chat of federates that are remembered against being sent again, and how long, milliseconds.
pub const REPLAYS: usize = 512;
const REPLAY_WINDOW_MS: u64 = 24 * 3_600_000;

/// The router. See the [module](super) for the two halves of its interface.
#[derive(Debug)]
pub struct Router {
    settings: Settings,
    hasher: FixedState,
    envelope: Envelope,
    /// Our mark in events that servers get.
    flow_tag: FlowTag,
    /// Hash of our own uid at servers.
    own_key: u64,
    /// There is or was a link to a server.
    has_servers: bool,
    reader: Reader,
    links: Vec<Link>,
    contacts: Contacts,
    latest: Latest,
    dedup: Dedup,
    /// Emergencies and chat that federates sent: a link that breaks sends some again, long after.
    replays: Dedup,
    spooling: Spooling,
    skew: Skew,
    reference: Reference,
    pool: Pool,
    /// Counts changes of contacts and latest events; tells a replay what is newer than itself.
    changes: u64,
    /// The local networks, and what the clients of each have seen.
    networks: Networks,
    /// The event in the forms that some link wants; kept for their memory.
    scratch: Scratch,
    /// What happened last.
    recorder: Recorder,
    /// A uid that `check` waits for, from which link, and whether it came.
    expected: Option<echo::Expected>,
    /// Probes of other boxes.
    echoes: echo::Echoes,
    /// The event under way named somebody new.
    new_contact: bool,
    /// There is, or was, a link that may hand us our own events back, written anew.
    rewritten: bool,
    /// Some link's outgoing rules look at callsigns.
    callsigns_matter: bool,
    /// The callsigns of the event under way; kept for its memory.
    callsigns: Room,
    /// Requests to fetch data packages.
    packages: package::Packages,
}

#[derive(Debug)]
struct Link {
    kind: Kind,
    /// How its events are written.
    wire: Wire,
    /// The local network it is in; of no meaning for a federate.
    network: Network,
    /// What it sends is put into these groups, and what it gets is in one of those.
    groups: Membership,
    up: bool,
    outbox: Outbox,
    replay: Replay,
    /// How its clock stands to ours.
    frame: Frame,
    /// Its connection sends little: what waits and what is replayed take turns.
    thin: bool,
    /// It is the turn of what waits.
    turn: bool,
    /// What may cross; none = everything.
    guard: Option<Box<Guard>>,
}

#[derive(Debug)]
enum Kind {
    Client,
    Commands,
    Neighbour(Box<Neighbour>),
    Federate(Box<Federate>),
}

impl Kind {
    /// A neighbour of a local network, to whom events are shown.
    fn is_local(&self) -> bool {
        matches!(self, Self::Client | Self::Neighbour(_))
    }
}

#[derive(Debug)]
struct Federate {
    name: String,
    /// It stands in the configuration; what is not sent to it while it is away is counted.
    registered: bool,
    incoming: bool,
    outgoing: bool,
    /// Messages that came on this connection; what another box is told when it asks.
    received: u64,
    spool: PeerSpool,
    /// Its events' times are moved into our clock.
    correct: bool,
    /// What waits for its standby connection.
    aside: Aside,
    /// What the names of its groups mean here, when they count.
    mapping: Option<Mapping>,
    /// What is written around its events.
    label: LabelId,
    /// It has no users, and passes on what it gets.
    is_hub: bool,
    /// The contacts that it was told of on this connection.
    told: Told,
    counters: Counters,
}

impl Router {
    /// A router without links.
    pub fn new(settings: Settings) -> Self {
        let hasher = FixedState::with_seed(settings.seed);
        let own_uid = flow_tag::own_uid(&settings.federate_id);
        Self {
            flow_tag: FlowTag::new(&settings.federate_id),
            own_key: hasher.hash_one(own_uid.as_bytes()),
            has_servers: false,
            hasher,
            envelope: Envelope::new(settings.federate_id.as_bytes()),
            reader: Reader::default(),
            links: Vec::new(),
            contacts: Contacts::new(settings.max_contacts),
            latest: Latest::new(settings.latest_events),
            dedup: Dedup::new(settings.dedup_events, settings.dedup_window_ms),
            replays: Dedup::new(REPLAYS, REPLAY_WINDOW_MS),
            spooling: Spooling::new(settings.spool, settings.outbox.bytes),
            skew: Skew::new(settings.skew_sources),
            reference: Reference::new(),
            pool: Pool {
                used: 0,
                limit: settings.waiting_bytes,
                traces: Traces::new(settings.recorder_bytes / 2, settings.max_federates),
            },
            recorder: Recorder::new(settings.recorder_bytes / 2),
            expected: None,
            echoes: echo::Echoes::default(),
            new_contact: false,
            rewritten: false,
            callsigns_matter: false,
            callsigns: Room::default(),
            packages: package::Packages::default(),
            changes: 0,
            networks: Networks::default(),
            scratch: Scratch::default(),
            settings,
        }
    }

    /// Sets who is registered. A peer that is not named any more keeps its tallies, until a new one needs the place,
    /// but nothing is counted for it; its connection is closed by the link that owns it.
    pub fn set_peers(&mut self, peers: &[PeerSpec]) {
        for link in &mut self.links {
            if let Kind::Federate(federate) = &mut link.kind {
                federate.registered = peers.iter().any(|peer| peer.name == federate.name);
                if !federate.registered && !link.up {
                    let tally = &mut federate.counters;
                    link.outbox.clear(false, &mut self.pool, tally);
                    federate.aside.close(&mut self.pool);
                }
            }
        }
        for peer in peers {
            let id = self.federate_place(&peer.name);
            if let Kind::Federate(federate) = &mut self.links[id].kind {
                federate.registered = true;
                (federate.incoming, federate.outgoing) = (peer.incoming, peer.outgoing);
                federate.correct = peer.correct_clock;
            }
        }
    }

    /// Adds a link, or brings a known federate's link up again. It is told the contacts and latest events first.
    pub fn attach(&mut self, spec: LinkSpec, now: Now) -> LinkId {
        let described = notes::describe(&spec);
        let id = match spec {
            LinkSpec::Client { network, .. } => self.local_place(Kind::Client, network),
            LinkSpec::Commands => self.local_place(Kind::Commands, Network::LOCAL),
            LinkSpec::Neighbour {
                name,
                role,
                network,
                incoming,
                outgoing,
            } => self.neighbour_place(
                Neighbour {
                    name,
                    role,
                    incoming,
                    outgoing,
                    counters: Counters::default(),
                    stays: Vec::new(),
                },
                network,
            ),
            LinkSpec::Federate {
                name,
                incoming,
                outgoing,
                wire,
            } => {
                let id = self.federate_place(&name);
                self.links[id].write_as(wire);
                if let Kind::Federate(federate) = &mut self.links[id].kind {
                    (federate.incoming, federate.outgoing) = (incoming, outgoing);
                    federate.counters.last_heard_ms = now.wall_ms;
                    federate.received = 0;
                    federate.told.forget();
                }
                id
            }
        };
        self.has_servers |= self.is_server(LinkId(id as u16));
        let changes = self.changes;
        let link = &mut self.links[id];
        link.up = true;
        link.frame.begin(now);
        link.replay = match &link.kind {
            Kind::Federate(federate) if !federate.outgoing => Replay::done(),
            Kind::Federate(_) => Replay::with_contacts(changes),
            // On a mesh nobody is ever late: everybody says again what still holds.
            Kind::Neighbour(neighbour) if !neighbour.outgoing || neighbour.role == Role::Mesh => {
                Replay::done()
            }
            Kind::Client | Kind::Neighbour(_) => Replay::of_events(changes),
            Kind::Commands => Replay::done(),
        };
        link.outbox.wake();
        self.spool_begins(id);
        let (kind, name) = described;
        self.recorder.up(id as u16, kind, &name, now);
        self.record_policy(id);
        LinkId(id as u16)
    }

    /// The link is gone. Its users are taken off the phone book, and off the maps of those who saw them here.
    pub fn detach(&mut self, id: LinkId, now: Now) {
        let now = self.event_now(now);
        if self.links.get(usize::from(id.0)).is_none() {
            return;
        }
        self.spool_rest(usize::from(id.0), now);
        let Some((link, pool, local)) = self.parts(id) else {
            return;
        };
        link.up = false;
        link.replay = Replay::done();
        match &mut link.kind {
            Kind::Client | Kind::Commands => link.outbox.clear(false, pool, local),
            Kind::Neighbour(neighbour) => {
                link.outbox.clear(false, pool, &mut neighbour.counters);
            }
            Kind::Federate(federate) => {
                let keep = federate.registered && federate.outgoing;
                link.outbox.recall(pool, &mut federate.counters);
                link.outbox.clear(keep, pool, &mut federate.counters);
            }
        }
        let is_local = link.kind.is_local();
        if let Kind::Federate(federate) = &link.kind
            && federate.registered
            && federate.spool.enabled
        {
            // What is addressed to its users waits for it.
            return self.contacts.leave(id);
        }
        if is_local {
            // The next client here is another device.
            link.frame = Frame::default();
            self.skew.disown(id.0);
        }
        self.recorder.down(id.0, now);
        let mut place = 0;
        while let Some(contact) =
            (self.contacts).remove_of(id, &mut place, |uid| self.hasher.hash_one(uid))
        {
            if is_local {
                self.latest.forget(self.hasher.hash_one(contact.uid()));
                self.tell_left(&contact, place - 1, now);
            }
        }
    }

    /// The next bytes for the link's connection, in its wire form (gRPC prefixes included for a federate);
    /// pending when nothing waits (the waker is kept), `None` when the link is down.
    pub fn poll_batch(
        &mut self,
        id: LinkId,
        context: &mut Context<'_>,
        now: Now,
    ) -> Poll<Option<Bytes>> {
        self.poll_wanted(id, Want::All, context, now)
    }

    /// The same for a connection that says what it has room for.
    pub fn poll_wanted(
        &mut self,
        id: LinkId,
        want: Want,
        context: &mut Context<'_>,
        now: Now,
    ) -> Poll<Option<Bytes>> {
        if want == Want::All {
            self.replay(id, self.event_now(now));
        }
        let Some((link, pool, local)) = self.parts(id).filter(|(link, ..)| link.up) else {
            return Poll::Ready(None);
        };
        let counters = match &mut link.kind {
            Kind::Client | Kind::Commands => local,
            Kind::Neighbour(neighbour) => &mut neighbour.counters,
            Kind::Federate(federate) => &mut federate.counters,
        };
        let batch = (link.outbox).poll_batch(want, context, pool, counters, now.mono_ms);
        if batch.is_ready() && link.outbox.take_carried() {
            counters.last_event_ms = now.wall_ms;
        }
        batch.map(Some)
    }

    /// Counts something that the link itself refused.
    pub fn count(&mut self, id: LinkId, reason: Reason) {
        if let Some(counters) = self.counters(id) {
            counters.drop_one(reason);
        }
    }

    /// What a link takes at once: smaller batches and no long events on a thin one.
    pub fn set_thin(&mut self, id: LinkId, thin: Option<Thin>) {
        if let Some((link, ..)) = self.parts(id) {
            link.thin = thin.is_some();
            link.outbox.set_thin(thin);
        }
    }

    /// Anything was heard from the neighbour (health check, group list).
    pub fn heard(&mut self, id: LinkId, now: Now) {
        if let Some(counters) = self.counters(id) {
            counters.last_heard_ms = now.wall_ms;
        }
    }

    /// Borrows a link and what its outbox needs, apart from each other.
    fn parts(&mut self, id: LinkId) -> Option<(&mut Link, &mut Pool, &mut Counters)> {
        let link = self.links.get_mut(usize::from(id.0))?;
        let tally = self.networks.tally(link.network);
        Some((link, &mut self.pool, tally))
    }

    fn counters(&mut self, id: LinkId) -> Option<&mut Counters> {
        let link = self.links.get_mut(usize::from(id.0))?;
        Some(match &mut link.kind {
            Kind::Client | Kind::Commands => self.networks.tally(link.network),
            Kind::Neighbour(neighbour) => &mut neighbour.counters,
            Kind::Federate(federate) => &mut federate.counters,
        })
    }
}

#[cfg(test)]
mod tests;
