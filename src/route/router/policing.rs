//! Where a link's policy is asked: what comes from it, what goes to it, and what it is told of when it comes up.

use std::sync::Arc;

use super::forms::{self, Source};
use super::notes::Seen;
use super::{Kind, Router};
use crate::clock::Now;
use crate::cot::class;
use crate::counters::{Counters, Reason};
use crate::route::contacts::Contacts;
use crate::route::link::{Form, LinkId};
use crate::route::policy::{Callsigns, Policy, Ruling, Side, Stop, Subject};
use crate::route::recorder::Topic;
use crate::route::trace::Fate;
use crate::wire::text;
use crate::wire::xml::{Detail, Reader};

/// A link's policy, and since when it is that.
#[derive(Debug)]
pub(super) struct Guard {
    policy: Arc<Policy>,
    /// Monotonic milliseconds.
    since_ms: u64,
}

impl Guard {
    /// Data packages may go there.
    pub(super) fn lets_packages_out(&self) -> bool {
        self.policy.outgoing.lets_packages()
    }

    /// Data packages may come from there.
    pub(super) fn lets_packages_in(&self) -> bool {
        self.policy.incoming.lets_packages()
    }
}

/// Memory for the callsigns of the event under way.
#[derive(Debug, Default)]
pub(super) struct Room {
    own: Vec<u8>,
    author: Vec<u8>,
}

impl Room {
    fn callsigns(&self) -> Callsigns<'_> {
        Callsigns {
            own: &self.own,
            author: &self.author,
        }
    }
}

impl Stop {
    /// The word that counts it.
    fn reason(self) -> Reason {
        match self {
            Self::Rule(_) => Reason::Filtered,
            Self::Packages => Reason::DataPackagesOff,
        }
    }

    fn ruling(self) -> Option<Ruling> {
        match self {
            Self::Rule(ruling) => Some(ruling),
            Self::Packages => None,
        }
    }

    pub(super) fn fate(self) -> Fate {
        match self {
            Self::Rule(ruling) => Fate::Filtered(ruling),
            Self::Packages => Fate::Dropped(Reason::DataPackagesOff),
        }
    }
}

impl super::Link {
    /// What keeps an event back that is on its way to this link, counted there.
    pub(super) fn stops(
        &mut self,
        source: &Source<'_>,
        room: &Room,
        tally: &mut Counters,
    ) -> Option<Stop> {
        let guard = self.guard.as_ref()?;
        let (_, kind) = source.uid_and_kind();
        let subject = subject(kind, source.detail());
        let stop = (guard.policy.outgoing)
            .judge(subject, room.callsigns())
            .err()?;
        let wanted = match &mut self.kind {
            Kind::Federate(federate) if !federate.outgoing => return None,
            Kind::Federate(federate) => &mut federate.counters,
            Kind::Neighbour(neighbour) if self.up && neighbour.outgoing => &mut neighbour.counters,
            Kind::Client if self.up => tally,
            _ => return None,
        };
        wanted.drop_one(stop.reason());
        Some(stop)
    }

    /// The contact's entry may go there.
    pub(super) fn may_know(&self, kind: &[u8], callsign: &[u8]) -> bool {
        (self.guard.as_ref())
            .is_none_or(|guard| guard.policy.outgoing.admits_contact(kind, callsign))
    }

    /// That an item of that type is gone may go there.
    pub(super) fn may_know_gone(&self, kind: &[u8]) -> bool {
        let subject = Subject {
            kind: class::DELETE,
            deletes: kind,
        };
        (self.guard.as_ref()).is_none_or(|guard| {
            guard
                .policy
                .outgoing
                .judge(subject, Callsigns::default())
                .is_ok()
        })
    }
}

impl Router {
    /// Sets what may cross the links of federates, by name; of those that are not named everything may.
    pub fn set_policies<'a>(
        &mut self,
        policies: impl Iterator<Item = (&'a str, Option<Policy>)>,
        now: Now,
    ) {
        for (name, policy) in policies {
            if let Some(number) = self.number_of(name) {
                self.set_policy(LinkId(number), policy, now);
            }
        }
    }

    /// Sets what may cross one link; none = everything.
    pub fn set_policy(&mut self, id: LinkId, policy: Option<Policy>, now: Now) {
        if let Some(link) = self.links.get_mut(usize::from(id.0)) {
            let same = match (&link.guard, &policy) {
                (Some(guard), Some(policy)) => *guard.policy == *policy,
                (None, None) => true,
                _ => false,
            };
            if !same {
                let since_ms = now.mono_ms;
                link.guard = policy.map(|policy| {
                    let policy = Arc::new(policy);
                    Box::new(Guard { policy, since_ms })
                });
                if link.up {
                    let (_, name) = self.link_name(id.0);
                    let name = name.unwrap_or("a client").to_owned();
                    let words = format!("{name}: what may cross its link was changed");
                    self.recorder.words(Topic::Link, &words, now);
                }
                self.record_policy(usize::from(id.0));
            }
        }
        self.callsigns_matter = (self.links.iter())
            .filter_map(|link| link.guard.as_ref())
            .any(|guard| guard.policy.outgoing.wants_callsigns());
    }

    /// A recording is gone through again with the rules that hold when it is written.
    pub(super) fn record_policy(&self, place: usize) {
        if let Some(link) = self.links.get(place) {
            let policy = link.guard.as_ref().map(|guard| &guard.policy);
            self.recorder.policy(place as u16, policy);
        }
    }

    /// A rule of a link's filter in the words of whoever wrote it; none when the filter is another one now than it was
    /// at that moment.
    pub fn rule_words(
        &self,
        link: u16,
        incoming: bool,
        ruling: Ruling,
        at_ms: u64,
    ) -> Option<String> {
        let guard = self.links.get(usize::from(link))?.guard.as_ref()?;
        if guard.since_ms > at_ms {
            return None;
        }
        match incoming {
            true => guard.policy.incoming.words(ruling),
            false => guard.policy.outgoing.words(ruling),
        }
    }

    /// The numbers of the meshes and servers that have a policy.
    pub fn guarded_neighbours(&self) -> impl Iterator<Item = u16> + '_ {
        let guarded =
            |link: &super::Link| link.guard.is_some() && matches!(link.kind, Kind::Neighbour(_));
        let places = self.links.iter().enumerate();
        places
            .filter(move |(_, link)| guarded(link))
            .map(|(place, _)| place as u16)
    }

    /// The number of a federate's link.
    pub fn number_of(&self, peer: &str) -> Option<u16> {
        let named = |link: &super::Link| matches!(&link.kind, Kind::Federate(federate) if federate.name == peer);
        self.links.iter().position(named).map(|place| place as u16)
    }

    /// What comes from that link is judged by a policy.
    pub(super) fn is_guarded(&self, from: LinkId) -> bool {
        let guarded = |link: &super::Link| link.guard.is_some();
        self.links.get(usize::from(from.0)).is_some_and(guarded)
    }

    /// The incoming rules of a link need the detail of such an event to judge it.
    pub(super) fn wants_detail(&self, from: LinkId, kind: &[u8]) -> bool {
        self.incoming_side(from)
            .is_some_and(|side| side.wants_callsigns() || kind == class::DELETE)
    }

    fn incoming_side(&self, from: LinkId) -> Option<&Side> {
        let guard = self.links.get(usize::from(from.0))?.guard.as_ref()?;
        Some(&guard.policy.incoming)
    }

    /// Judges what came by its link's policy, before anything is remembered of it: the same may come another way.
    #[inline(never)]
    pub(super) fn admit(
        &mut self,
        seen: &mut Seen<'_>,
        (uid, kind): (&[u8], &[u8]),
        detail: Option<&Detail<'_>>,
        meant: bool,
    ) -> Result<(), Reason> {
        let Some(side) = self.incoming_side(seen.from) else {
            return Ok(());
        };
        let judged = match side.wants_callsigns() {
            false => side.judge(subject(kind, detail), Callsigns::default()),
            true => {
                let key = match meant {
                    true => self.hash_of(uid),
                    false => self.uid_key(uid),
                };
                let mut room = std::mem::take(&mut self.callsigns);
                self.name(&mut room, key, detail);
                let judged = match self.incoming_side(seen.from) {
                    Some(side) => side.judge(subject(kind, detail), room.callsigns()),
                    None => Ok(()),
                };
                self.callsigns = room;
                judged
            }
        };
        judged.map_err(|stop| {
            seen.ruling = stop.ruling();
            stop.reason()
        })
    }

    /// The entry of a contact that came by a link may be taken.
    pub(super) fn admits_contact(&self, from: LinkId, kind: &[u8], callsign: &[u8]) -> bool {
        (self.incoming_side(from)).is_none_or(|side| side.admits_contact(kind, callsign))
    }

    /// Looks who an event is of, for the links whose rules ask for that.
    pub(super) fn name_outward(&mut self, source: &Source<'_>) -> Room {
        let mut room = std::mem::take(&mut self.callsigns);
        self.name(&mut room, self.key_of(source), source.detail());
        room
    }

    fn name(&self, room: &mut Room, key: u64, detail: Option<&Detail<'_>>) {
        let link = detail.and_then(|detail| detail.link.first());
        let keys = [Some(key), link.map(|uid| self.uid_key(uid))];
        name(room, &self.contacts, keys, detail);
    }

    /// What is kept of a track may be told to a link that comes up.
    pub(super) fn may_replay(&self, place: usize, kept: (Form, &[u8])) -> bool {
        let Some(guard) = self.links.get(place).and_then(|link| link.guard.as_ref()) else {
            return true;
        };
        let side = &guard.policy.outgoing;
        // Few are told this way, so a reader of its own costs nothing that counts.
        let mut reader = Reader::default();
        let parts = (self.envelope.id(), &mut reader, &mut Vec::new());
        let judged = forms::read_kept(kept, parts, |source| {
            let mut room = Room::default();
            self.name(&mut room, self.key_of(&source), source.detail());
            let (_, kind) = source.uid_and_kind();
            side.judge(subject(kind, source.detail()), room.callsigns())
                .is_ok()
        });
        judged.unwrap_or(true)
    }

    /// Hash of the uid of an event.
    fn key_of(&self, source: &Source<'_>) -> u64 {
        let (uid, _) = source.uid_and_kind();
        match source {
            Source::Xml(_) => self.uid_key(uid),
            Source::Federated(..) | Source::Tak(..) => self.hash_of(uid),
        }
    }
}

fn subject<'a>(kind: &'a [u8], detail: Option<&Detail<'a>>) -> Subject<'a> {
    Subject {
        kind,
        deletes: detail
            .and_then(|detail| detail.link.second())
            .unwrap_or_default(),
    }
}

fn name(room: &mut Room, contacts: &Contacts, keys: [Option<u64>; 2], detail: Option<&Detail<'_>>) {
    room.own.clear();
    room.author.clear();
    if let Some(callsign) = detail.and_then(|detail| detail.contact.first()) {
        text::write_unescaped(&mut room.own, callsign);
    }
    let mut known = keys
        .into_iter()
        .flatten()
        .filter_map(|key| contacts.find(key));
    if let Some(contact) = known.next() {
        room.author.extend_from_slice(contact.callsign());
    }
}
