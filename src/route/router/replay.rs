//! What a link is told when it comes up: first who is there, then what waited for it, then where everything is.
//!
//! A replay goes place by place as the connection takes it, so it needs no memory. What changed after it began was
//! offered to the link as it happened, and is skipped.

use super::forms::{self, Telling};
use super::{Kind, Link, Router};
use crate::clock::Now;
use crate::cot::federated::{ContactOperation, LabelId};
use crate::route::link::LinkId;

/// How far a link's replay has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replay {
    stage: Stage,
    place: usize,
    /// Contacts that changed up to this count are told, later ones were offered.
    contacts_since: u64,
    /// The same for events.
    events_since: u64,
    /// The place from which events are told when the contacts are through.
    then: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Contacts,
    /// What waited in the spool.
    Spool,
    Events,
    Done,
}

impl Replay {
    /// For a federate: contacts first, because directed traffic needs them (protocol reference 1.9).
    pub(super) fn with_contacts(since: u64) -> Self {
        Self {
            stage: Stage::Contacts,
            place: 0,
            contacts_since: since,
            events_since: since,
            then: Some(0),
        }
    }

    /// For a local client.
    pub(super) fn of_events(since: u64) -> Self {
        Self {
            stage: Stage::Events,
            ..Self::with_contacts(since)
        }
    }

    /// Nothing to tell.
    pub(super) fn done() -> Self {
        Self {
            stage: Stage::Done,
            ..Self::with_contacts(0)
        }
    }

    /// Nothing is left to tell.
    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Contacts once more, for a link that had no room when one of them came; then on with the events.
    pub(super) fn again(self, since: u64) -> Self {
        Self {
            stage: Stage::Contacts,
            place: 0,
            contacts_since: since,
            events_since: self.events_since,
            then: match self.stage {
                Stage::Contacts => self.then,
                Stage::Spool | Stage::Events => Some(self.place),
                Stage::Done => None,
            },
        }
    }

    /// Everything that waited in the spool was sent.
    pub(super) fn spool_is_through(&mut self) {
        if self.stage == Stage::Spool {
            self.stage = Stage::Events;
        }
    }

    /// The contacts are through.
    fn after_contacts(self) -> Self {
        match self.then {
            Some(place) => Self {
                stage: Stage::Spool,
                place,
                ..self
            },
            None => Self::done(),
        }
    }
}

impl Router {
    /// Moves a link's replay on as far as its batch has room; what happened meanwhile goes before old positions.
    pub(super) fn replay(&mut self, id: LinkId, now: Now) {
        let place = usize::from(id.0);
        if self.links.get(place).is_some_and(|link| link.thin) {
            return self.replay_thinly(place, now);
        }
        while let Some(link) = self.links.get(place).filter(|link| link.up) {
            match link.replay.stage {
                Stage::Contacts if link.outbox.fits(ROOM) => self.replay_contact(place),
                Stage::Spool if link.outbox.fits(ROOM) => {
                    if !self.replay_spooled(place, now) {
                        return;
                    }
                }
                Stage::Events if link.outbox.fits(ROOM) => {
                    self.fill(place, now);
                    if !self.links[place].outbox.fits(ROOM) {
                        return;
                    }
                    self.replay_event(place, now);
                }
                _ => return,
            }
        }
    }

    /// A thin link may need minutes for all of it: nobody in distress waits for that, and it takes turns with what
    /// happens meanwhile.
    fn replay_thinly(&mut self, place: usize, now: Now) {
        let Some((link, pool, local)) = self.parts(LinkId(place as u16)) else {
            return;
        };
        let counters = match &mut link.kind {
            Kind::Client | Kind::Commands => local,
            Kind::Neighbour(neighbour) => &mut neighbour.counters,
            Kind::Federate(federate) => &mut federate.counters,
        };
        // Taking turns is what holds the balance here.
        link.outbox.hold(false);
        link.outbox.fill_emergencies(pool, counters, now.mono_ms);
        link.turn = !link.turn && link.outbox.queued() > 0;
        while let Some(link) = self.links.get(place).filter(|link| link.up && !link.turn) {
            match link.replay.stage {
                Stage::Contacts if link.outbox.fits(THIN_ROOM) => self.replay_contact(place),
                Stage::Spool if link.outbox.fits(THIN_ROOM) => {
                    if !self.replay_spooled(place, now) {
                        return;
                    }
                }
                Stage::Events if link.outbox.fits(THIN_ROOM) => self.replay_event(place, now),
                _ => return,
            }
        }
    }

    fn fill(&mut self, place: usize, now: Now) {
        let Some((link, pool, local)) = self.parts(LinkId(place as u16)) else {
            return;
        };
        let counters = match &mut link.kind {
            Kind::Client | Kind::Commands => local,
            Kind::Neighbour(neighbour) => &mut neighbour.counters,
            Kind::Federate(federate) => &mut federate.counters,
        };
        link.outbox.fill(pool, counters, now.mono_ms);
    }

    fn replay_contact(&mut self, place: usize) {
        let replay = self.links[place].replay;
        let Some(contact) = self.contacts.at(replay.place) else {
            self.links[place].replay = replay.after_contacts();
            return;
        };
        self.links[place].replay.place += 1;
        let told = |contact: &&crate::route::contacts::Contact| {
            contact.changed <= replay.contacts_since
                && usize::from(contact.link.0) != place
                && self.links[place].groups.hears.meets(contact.groups)
                && contact.hops_left != Some(0)
        };
        let may_know = |contact: &&crate::route::contacts::Contact| {
            self.links[place].may_know(contact.kind(), contact.callsign())
        };
        if let Some(contact) = contact.filter(told).filter(may_know) {
            let out = &mut self.scratch.federated;
            out.clear();
            self.envelope.put_contact(
                out,
                ContactOperation::Create,
                contact.uid(),
                contact.callsign(),
            );
            let Link { kind, outbox, .. } = &mut self.links[place];
            if let Kind::Federate(federate) = kind {
                let (groups, left) = (contact.groups, contact.hops_left);
                self.envelope.put_tail(out, federate.label, groups, left);
                federate.told.set(replay.place, true);
                outbox.put_first(&self.scratch.federated, false, &mut federate.counters);
            }
        }
    }

    fn replay_event(&mut self, place: usize, now: Now) {
        let replay = self.links[place].replay;
        let Some(kept) = self.latest.at(replay.place) else {
            self.links[place].replay = Replay::done();
            return;
        };
        self.links[place].replay.place += 1;
        let (key, column) = (kept.map(|kept| kept.key), self.links[place].outbox.column());
        let Some(kept) = kept.filter(|kept| {
            kept.changed <= replay.events_since
                && kept.stale_ms > now.wall_ms
                && usize::from(kept.link.0) != place
                && self.links[place].groups.hears.meets(kept.groups)
        }) else {
            return;
        };
        if !self.may_replay(place, (kept.form, &kept.bytes)) {
            return;
        }
        let is_server = self.is_server(LinkId(place as u16));
        let Link {
            kind,
            wire,
            outbox,
            network,
            ..
        } = &mut self.links[place];
        let (tally, label, is_hub) = match kind {
            Kind::Client => (self.networks.tally(*network), LabelId::PLAIN, false),
            Kind::Neighbour(neighbour) => (&mut neighbour.counters, LabelId::PLAIN, false),
            Kind::Federate(federate) => (&mut federate.counters, federate.label, federate.is_hub),
            Kind::Commands => return,
        };
        let telling = Telling {
            wire: *wire,
            mark: is_server.then_some(&self.flow_tag),
            label,
            groups: kept.groups,
            is_hub,
        };
        // What is kept was readable when it came, so little can go wrong here but a hop limit.
        let parts = (&self.envelope, &mut self.reader, &mut self.scratch);
        let made = forms::with_kept((kept.form, &kept.bytes), telling, parts, |bytes| {
            outbox.put_first(bytes, true, tally);
        });
        if let Err(reason) = made {
            tally.drop_one(reason);
        }
        if let Some(key) = key {
            self.pool.traces.replayed(key, column, now.mono_ms);
        }
    }
}

/// Room that a replay wants in a batch before it adds one more.
const ROOM: usize = 1024;

/// The same for a thin link, whose batches are small.
const THIN_ROOM: usize = 192;
