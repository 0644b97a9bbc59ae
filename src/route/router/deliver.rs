//! Handing an event to every link that should have it, in the form the link speaks, made at most once.

use std::hash::BuildHasher;

use super::forms::{Forms, Source, tak_of};
use super::policing::Room;
use super::spooling::lane_of;
use super::{Federate, Kind, Router};
use crate::clock::Now;
use crate::cot::Class;
use crate::cot::render;
use crate::counters::Reason;
use crate::route::groups::GroupSet;
use crate::route::link::{LinkId, Role, Verdict, Wire};
use crate::route::outbox::Parcel;
use crate::route::trace::{Fate, Mark};
use crate::wire::fig::{Addressee, Geo};
use crate::wire::text;
use crate::wire::xml::{Detail, Named, destinations};

/// What the outboxes need to know of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meta {
    pub(super) class: Class,
    pub(super) key: Option<u64>,
    pub(super) time_ms: i64,
    pub(super) delete: bool,
    pub(super) deadline_ms: Option<u64>,
    /// It never crosses federation.
    pub(super) local_only: bool,
    /// The groups that it is in.
    pub(super) groups: GroupSet,
    /// Where what becomes of it is noted.
    pub(super) mark: Mark,
    /// An emergency: sent twice where there are two connections.
    pub(super) alarm: bool,
}

impl Meta {
    pub(super) fn parcel<'a>(&self, bytes: &'a [u8], event: bool) -> Parcel<'a> {
        Parcel {
            bytes,
            class: self.class,
            key: self.key,
            time_ms: self.time_ms,
            delete: self.delete,
            deadline_ms: self.deadline_ms,
            event,
            mark: self.mark,
        }
    }
}

/// Links by number, in a fixed set: as many as the configuration allows clients and federates at most, and the box's
/// own commands.
pub(super) const LINKS_MAX: usize = 2304;

/// Who is meant.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "lives on the stack for one event; a box would allocate for each directed one"
)]
pub(super) enum Targets {
    /// Everybody: nobody is named, or the name is the broadcast's.
    Everyone,
    /// The links on which those named are; `missions` when a mission is, which only other servers know.
    Named {
        links: [u64; LINKS_MAX / 64],
        missions: bool,
    },
}

impl Targets {
    pub(super) fn is_directed(&self) -> bool {
        matches!(self, Self::Named { .. })
    }

    /// `server`: the link leads to one that knows missions, a federate or a server that we log in to.
    fn admits(&self, place: usize, server: bool) -> bool {
        match self {
            Self::Everyone => true,
            Self::Named { links, missions } => {
                (*missions && server)
                    || links
                        .get(place / 64)
                        .is_some_and(|word| word >> (place % 64) & 1 == 1)
            }
        }
    }

    fn name(&mut self, link: Option<LinkId>) {
        if let Self::Everyone = self {
            *self = Self::Named {
                links: [0; LINKS_MAX / 64],
                missions: false,
            };
        }
        if let (Self::Named { links, .. }, Some(LinkId(id))) = (self, link)
            && let Some(word) = links.get_mut(usize::from(id) / 64)
        {
            *word |= 1 << (id % 64);
        }
    }

    fn name_mission(&mut self) {
        self.name(None);
        if let Self::Named { missions, .. } = self {
            *missions = true;
        }
    }
}

/// Of whom an entry of the phone book is, as far as filters ask: type and callsign of the contact, or the type alone
/// of an item that is gone.
pub(super) type OfWhom<'a> = (Option<(&'a [u8], &'a [u8])>, &'a [u8]);

/// The callsign that means everybody (protocol reference 6.7).
const ALL_STREAMING: &[u8] = b"All Streaming";

impl Router {
    /// Offers the event to all links that should have it.
    pub(super) fn deliver(
        &mut self,
        from: LinkId,
        source: Source<'_>,
        mut meta: Meta,
        targets: &Targets,
        now: Now,
    ) -> Result<Verdict, Reason> {
        let (_, kind) = source.uid_and_kind();
        let package = self.packages.carries(kind);
        let never = meta.local_only;
        meta.local_only |= package;
        let room = match self.callsigns_matter {
            true => self.name_outward(&source),
            false => Room::default(),
        };
        if self.has_servers && meta.class == Class::Chat {
            let (uid, kind) = source.uid_and_kind();
            let key = self.uid_key(uid);
            self.was_said(kind, key, now);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut forms = Forms::new(source, meta.groups, &self.envelope, &mut scratch);
        let (mut count, mut spooled, mut stopped, mut unheard) = (0, false, false, false);
        let home = self.network_of(from);
        for (place, link) in self.links.iter_mut().enumerate() {
            let is_federate = matches!(link.kind, Kind::Federate(_));
            let column = link.outbox.column();
            let is_server =
                matches!(&link.kind, Kind::Neighbour(neighbour) if neighbour.role == Role::Server);
            if place == usize::from(from.0) || !targets.admits(place, is_federate || is_server) {
                if place == usize::from(from.0) && is_federate {
                    self.pool.traces.offered(meta.mark, column, Fate::Origin);
                }
                continue;
            }
            if !meta.groups.meets(link.groups.hears) {
                if let Some(reason) = self.networks.pass_by(link, home, meta.groups) {
                    unheard = true;
                    let fate = Fate::Dropped(reason);
                    self.pool.traces.offered(meta.mark, column, fate);
                }
                continue;
            }
            if link.guard.is_some()
                && !never
                && let Some(stop) = link.stops(&source, &room, self.networks.tally(link.network))
            {
                stopped = true;
                self.pool.traces.offered(meta.mark, column, stop.fate());
                continue;
            }
            let (made, tally) = match &mut link.kind {
                Kind::Client if link.up => (forms.of(link.wire), self.networks.tally(link.network)),
                // Mission changes are what a server tells its clients, and nobody tells them a server.
                Kind::Neighbour(_) if is_server && never => continue,
                Kind::Neighbour(neighbour) if link.up && neighbour.outgoing && is_server => {
                    let made = forms.marked(link.wire, &self.flow_tag, &mut self.reader);
                    (made, &mut neighbour.counters)
                }
                Kind::Neighbour(neighbour) if link.up && neighbour.outgoing => {
                    (forms.of(link.wire), &mut neighbour.counters)
                }
                Kind::Federate(federate) if !meta.local_only => {
                    if meta.alarm
                        && federate.has_standby()
                        && let Ok((bytes, copy)) = forms.federated(federate.label)
                    {
                        federate.set_aside(bytes, copy, &mut self.pool);
                    }
                    match federate.way(link.up, meta.class) {
                        Way::Link | Way::Spool if federate.is_hub && source.is_last_hop() => {
                            (Err(Reason::HopLimit), &mut federate.counters)
                        }
                        Way::Link => (forms.federated(federate.label), &mut federate.counters),
                        Way::Nowhere => {
                            let reason = match federate.outgoing {
                                false => Reason::OutgoingOff,
                                true => Reason::LinkDown,
                            };
                            let fate = Fate::Dropped(reason);
                            self.pool.traces.offered(meta.mark, column, fate);
                            continue;
                        }
                        Way::Spool => {
                            let (bytes, _) = match forms.federated(federate.label) {
                                Ok(made) => made,
                                Err(reason) => {
                                    federate.counters.drop_one(reason);
                                    let fate = Fate::Dropped(reason);
                                    self.pool.traces.offered(meta.mark, column, fate);
                                    continue;
                                }
                            };
                            spooled = true;
                            let (pool, hasher) = (&mut self.pool, &self.hasher);
                            let kept = self.spooling.offer(
                                (place, federate),
                                (meta.class, &source),
                                bytes,
                                (pool, hasher),
                                now,
                            );
                            count += u16::from(kept);
                            let fate = match kept {
                                true => Fate::Spooled,
                                false => Fate::Dropped(Reason::LinkDown),
                            };
                            self.pool.traces.offered(meta.mark, column, fate);
                            continue;
                        }
                    }
                }
                Kind::Federate(federate) if package => {
                    let fate = self.packages.admit(federate, link.up, &mut forms);
                    stopped |= matches!(fate, Fate::Dropped(_));
                    self.pool.traces.offered(meta.mark, column, fate);
                    continue;
                }
                Kind::Federate(_) => {
                    let fate = Fate::Dropped(Reason::MissionChange);
                    self.pool.traces.offered(meta.mark, column, fate);
                    continue;
                }
                _ => continue,
            };
            match made {
                Ok((bytes, copy)) => {
                    let parcel = meta.parcel(bytes, true);
                    link.outbox
                        .offer(parcel, copy, &mut self.pool, tally, now.mono_ms);
                    count += 1;
                }
                Err(reason) => {
                    tally.drop_one(reason);
                    self.pool
                        .traces
                        .offered(meta.mark, column, Fate::Dropped(reason));
                }
            }
        }
        let told = package.then(|| forms.as_said());
        scratch.give_back();
        self.scratch = scratch;
        if let Some(told) = told {
            count += self.hand_on(from, told, meta.groups, meta.mark);
        }
        if self.callsigns_matter {
            self.callsigns = room;
        }
        if spooled {
            self.trim();
        }
        match count {
            0 if targets.is_directed() && !stopped && unheard => Err(Reason::NoGroup),
            0 if targets.is_directed() && !stopped => Err(Reason::NoDestination),
            count => Ok(Verdict::Routed(count)),
        }
    }

    /// Whom a client's event is addressed to.
    pub(super) fn targets_of_xml(&mut self, detail: &Detail<'_>) -> Targets {
        if detail.marti.count == 0 {
            return Targets::Everyone;
        }
        let mut targets = Targets::Everyone;
        for dest in destinations(detail.marti.bytes).filter(|dest| !dest.value.is_empty()) {
            match dest.named {
                Named::Uid => {
                    let key = self.uid_key(dest.value);
                    targets.name(self.contacts.find(key).map(|contact| contact.link));
                }
                Named::Callsign => {
                    self.scratch.names.clear();
                    text::write_unescaped(&mut self.scratch.names, dest.value);
                    if self.scratch.names == ALL_STREAMING {
                        return Targets::Everyone;
                    }
                    self.name_callsign(&mut targets, &self.scratch.names);
                }
                Named::Mission => targets.name_mission(),
                Named::Other => {}
            }
        }
        targets
    }

    /// Whom a federate's event is addressed to.
    pub(super) fn targets_of_geo(&self, event: &Geo<'_>) -> Targets {
        if !event.directed {
            return Targets::Everyone;
        }
        let mut targets = Targets::Everyone;
        for addressee in event.destinations() {
            match addressee {
                Addressee::Uid(b"") | Addressee::Callsign(b"") | Addressee::Mission(b"") => {}
                Addressee::Callsign(ALL_STREAMING) => return Targets::Everyone,
                Addressee::Uid(uid) => {
                    let contact = self.contacts.find(self.hasher.hash_one(uid));
                    targets.name(contact.map(|contact| contact.link));
                }
                Addressee::Callsign(callsign) => self.name_callsign(&mut targets, callsign),
                Addressee::Mission(_) => targets.name_mission(),
            }
        }
        targets
    }

    fn name_callsign(&self, targets: &mut Targets, callsign: &[u8]) {
        targets.name(None);
        for link in self.contacts.by_callsign(callsign) {
            targets.name(Some(link));
        }
    }

    /// Sends the local clients and neighbours a delete.
    pub(super) fn tell_clients_deleted(
        &mut self,
        from: LinkId,
        groups: GroupSet,
        uid: &[u8],
        kind: &[u8],
        now: Now,
    ) {
        let meta = self.contact_meta(uid, true, now);
        let mut out = std::mem::take(&mut self.scratch.xml);
        out.clear();
        if render::put_delete(&mut out, uid, kind, now.wall_ms).is_ok() {
            let (mut copy, mut tak_copy, mut made) = (None, None, None);
            for (place, link) in self.links.iter_mut().enumerate() {
                let hears = link.groups.hears.meets(groups);
                if !link.up || !hears || place == usize::from(from.0) {
                    continue;
                }
                let tally = match &mut link.kind {
                    Kind::Client => self.networks.tally(link.network),
                    // On a mesh people go stale by themselves.
                    Kind::Neighbour(neighbour)
                        if neighbour.outgoing && neighbour.role != Role::Mesh =>
                    {
                        &mut neighbour.counters
                    }
                    _ => continue,
                };
                let (bytes, copy) = match link.wire {
                    Wire::Tak => {
                        // Once for all of them; nothing else is written there meanwhile.
                        let (envelope, reader) = (&self.envelope, &mut self.reader);
                        let scratch = &mut self.scratch;
                        if !*made
                            .get_or_insert_with(|| tak_of(&out, envelope, reader, scratch).is_ok())
                        {
                            continue;
                        }
                        (scratch.tak.as_slice(), &mut tak_copy)
                    }
                    _ => (out.as_slice(), &mut copy),
                };
                let parcel = meta.parcel(bytes, true);
                link.outbox
                    .offer(parcel, copy, &mut self.pool, tally, now.mono_ms);
            }
        }
        self.scratch.xml = out;
    }

    /// Answers a client's ping.
    pub(super) fn answer_ping(&mut self, from: LinkId, now: Now) {
        let mut out = std::mem::take(&mut self.scratch.xml);
        out.clear();
        if render::put_pong(&mut out, now.wall_ms).is_ok() {
            let meta = Meta {
                key: None,
                ..self.contact_meta(b"", false, now)
            };
            if let Some(link) = self.links.get_mut(usize::from(from.0)) {
                let local = match &mut link.kind {
                    Kind::Neighbour(neighbour) => &mut neighbour.counters,
                    _ => self.networks.tally(link.network),
                };
                let (envelope, reader) = (&self.envelope, &mut self.reader);
                let bytes = match link.wire {
                    Wire::Tak => tak_of(&out, envelope, reader, &mut self.scratch),
                    _ => Ok(out.as_slice()),
                };
                if let Ok(bytes) = bytes {
                    let parcel = meta.parcel(bytes, false);
                    (link.outbox).offer(parcel, &mut None, &mut self.pool, local, now.mono_ms);
                }
            }
        }
        self.scratch.xml = out;
    }
}

/// Where an event for a federate goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Link,
    Spool,
    Nowhere,
}

impl Federate {
    /// What must not be lost is kept for it while its link is down.
    pub(super) fn keeps(&self) -> bool {
        self.registered && self.outgoing && self.spool.enabled
    }

    /// Where the event is to go; if nowhere, and the operator expects it to cross, says why in the tallies.
    fn way(&mut self, up: bool, class: Class) -> Way {
        let must_not_be_lost = class <= Class::Chat && self.spool.enabled;
        match (up, self.outgoing) {
            (true, true) if must_not_be_lost && self.spool.is_behind(lane_of(class)) => {
                return Way::Spool;
            }
            (true, true) => return Way::Link,
            (_, false) if self.registered || up => self.counters.drop_one(Reason::OutgoingOff),
            (false, true) if self.registered && must_not_be_lost => return Way::Spool,
            (false, true) if self.registered => self.counters.drop_one(Reason::LinkDown),
            _ => {}
        }
        Way::Nowhere
    }
}
