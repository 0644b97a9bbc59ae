//! Federates are told who is there, and who is not any more: only of those whom they hear, and a contact that leaves is
//! withdrawn from those who were told of it on their connection.

use std::hash::BuildHasher;

use super::deliver::{Meta, OfWhom};
use super::{Kind, Router};
use crate::clock::Now;
use crate::cot::Class;
use crate::cot::federated::{self, ContactOperation, Envelope, LabelId};
use crate::counters::Reason;
use crate::route::contacts::{Contact, NAMES_MAX};
use crate::route::groups::GroupSet;
use crate::route::link::{LinkId, Verdict};
use crate::route::spool::Which;
use crate::route::trace::Mark;
use crate::wire::fig::Federated;

/// Which contacts a federate was told of on its connection, by their places in the phone book.
#[derive(Debug, Default)]
pub(super) struct Told(Box<[u64]>);

impl Told {
    /// For a book of so many.
    pub(super) fn new(contacts: usize) -> Self {
        Self(vec![0; contacts.div_ceil(64)].into())
    }

    /// A new connection was told nothing.
    pub(super) fn forget(&mut self) {
        self.0.fill(0);
    }

    pub(super) fn set(&mut self, place: usize, told: bool) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word = *word & !(1 << (place % 64)) | u64::from(told) << (place % 64);
        }
    }

    pub(super) fn has(&self, place: usize) -> bool {
        (self.0.get(place / 64)).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }
}

/// What federates are told of a contact.
#[derive(Debug, Clone, Copy)]
struct News<'a> {
    from: LinkId,
    /// Where it stands in the phone book, if it does.
    place: Option<usize>,
    groups: GroupSet,
    /// Who it is, for filters.
    of: OfWhom<'a>,
    /// Hubs are not told: they could tell nobody.
    last_hop: bool,
}

impl Router {
    /// Tells the federates of a contact that came.
    pub(super) fn tell_came(&mut self, from: LinkId, uid: &[u8], callsign: &[u8], now: Now) {
        let key = self.hasher.hash_one(uid);
        let Some(contact) = self.contacts.find(key) else {
            return;
        };
        let (groups, hops_left) = (contact.groups, contact.hops_left);
        let mut kind = heapless::Vec::<u8, NAMES_MAX>::new();
        // A name in the book is never longer than that.
        let _ = kind.extend_from_slice(contact.kind());
        if hops_left == Some(0) {
            return;
        }
        let news = News {
            from,
            place: self.contacts.place(key),
            groups,
            of: (Some((&kind, callsign)), &kind),
            last_hop: false,
        };
        let meta = self.contact_meta(uid, false, now);
        let put = |envelope: &Envelope, out: &mut Vec<u8>, label| {
            envelope.put_contact(out, ContactOperation::Create, uid, callsign);
            envelope.put_tail(out, label, groups, hops_left);
            Ok(())
        };
        // Nothing can go wrong with what begins here.
        let _ = self.offer_federates(news, meta, put, now);
    }

    /// Tells everybody that a contact left, which stood at that place: federates by a contact entry, clients by a delete.
    pub(super) fn tell_left(&mut self, contact: &Contact, place: usize, now: Now) {
        let (from, uid, kind) = (contact.link, contact.uid(), contact.kind());
        let groups = contact.groups;
        let callsign = contact.callsign();
        let news = News {
            from,
            place: Some(place),
            groups,
            of: (
                Some((kind, callsign)).filter(|_| !callsign.is_empty()),
                kind,
            ),
            last_hop: false,
        };
        let meta = self.contact_meta(uid, true, now);
        let _ = self.offer_federates(news, meta, deleting(uid, kind, groups), now);
        self.tell_clients_deleted(from, groups, uid, kind, now);
    }

    /// A federate does not hear some contacts any more that it was told of.
    pub(super) fn withdraw(&mut self, place: usize, now: Now) {
        let hears = self.links[place].groups.hears;
        for at in 0.. {
            let Some(contact) = self.contacts.at(at) else {
                return;
            };
            let Kind::Federate(federate) = &self.links[place].kind else {
                return;
            };
            let Some(contact) = contact.filter(|contact| !hears.meets(contact.groups)) else {
                continue;
            };
            if !federate.told.has(at) {
                continue;
            }
            let (uid, kind) = (contact.uid().to_vec(), contact.kind().to_vec());
            let meta = self.contact_meta(&uid, true, now);
            let mut out = std::mem::take(&mut self.scratch.federated);
            out.clear();
            // The groups that it knew it by are gone; what it may have is all that can be said.
            let put = deleting(&uid, &kind, hears);
            let link = &mut self.links[place];
            if let Kind::Federate(federate) = &mut link.kind {
                // Nothing can go wrong with what begins here.
                let _ = put(&self.envelope, &mut out, federate.label);
                federate.told.set(at, false);
                let parcel = meta.parcel(&out, false);
                let (pool, tally) = (&mut self.pool, &mut federate.counters);
                (link.outbox).offer(parcel, &mut None, pool, tally, now.mono_ms);
            }
            self.scratch.federated = out;
        }
    }

    /// Passes another federate's contact entry on. Of a delete, `place` is where the contact stood; an item of the map
    /// stands nowhere, and its delete goes to all who hear it.
    pub(super) fn relay_contact(
        &mut self,
        (from, of): (LinkId, OfWhom<'_>),
        message: &Federated<'_>,
        (groups, place): (GroupSet, Option<usize>),
        meta: Meta,
        now: Now,
    ) -> Result<Verdict, Reason> {
        let news = News {
            from,
            place,
            groups,
            of,
            last_hop: federated::is_last_hop(message),
        };
        let put = |envelope: &Envelope, out: &mut Vec<u8>, label| {
            envelope.put_relayed_as(out, message, label, groups)
        };
        self.offer_federates(news, meta, put, now)
            .map(Verdict::Routed)
    }

    fn offer_federates(
        &mut self,
        news: News<'_>,
        meta: Meta,
        put: impl Fn(&Envelope, &mut Vec<u8>, LabelId) -> Result<(), Reason>,
        now: Now,
    ) -> Result<u16, Reason> {
        let (mut copy, mut count, mut made) = (None, 0, None);
        let mut out = std::mem::take(&mut self.scratch.federated);
        let mut result = Ok(());
        for (place, link) in self.links.iter_mut().enumerate() {
            let may_know = match news.of {
                (Some((kind, callsign)), _) => link.may_know(kind, callsign),
                (None, kind) => link.may_know_gone(kind),
            };
            let Kind::Federate(federate) = &mut link.kind else {
                continue;
            };
            let was_told = news.place.is_none_or(|at| federate.told.has(at));
            if let Some(at) = news.place {
                federate.told.set(at, false);
            }
            let concerned = place != usize::from(news.from.0)
                && may_know
                && link.groups.hears.meets(news.groups)
                && !(news.last_hop && federate.is_hub)
                && (was_told || !meta.delete);
            let spooled = !link.up && meta.delete && federate.keeps();
            if !concerned || !(spooled || link.up && federate.outgoing) {
                continue;
            }
            if made != Some(federate.label) {
                out.clear();
                result = put(&self.envelope, &mut out, federate.label);
                if result.is_err() {
                    break;
                }
                (made, copy) = (Some(federate.label), None);
            }
            // A link that is down is told who is there when it comes up.
            if spooled {
                (self.spooling).take(federate, (Which::Control, &out), &mut self.pool, now);
                continue;
            }
            let parcel = meta.parcel(&out, false);
            let (pool, tally) = (&mut self.pool, &mut federate.counters);
            let taken = link
                .outbox
                .offer(parcel, &mut copy, pool, tally, now.mono_ms);
            if !taken && !meta.delete {
                // Directed traffic depends on it, so the whole phone book is read out again when there is room.
                link.replay = link.replay.again(self.changes);
            }
            if let Some(at) = news.place {
                federate.told.set(at, taken && !meta.delete);
            }
            count += 1;
        }
        self.scratch.federated = out;
        result.map(|()| count)
    }

    /// How a federate's delete is passed on: where its contact stands, which it was told of by that link.
    pub(super) fn place_of_deleted(&self, from: LinkId, key: u64) -> Option<usize> {
        let known = self.contacts.find(key)?;
        (known.link == from).then(|| self.contacts.place(key))?
    }

    pub(super) fn contact_meta(&self, uid: &[u8], delete: bool, now: Now) -> Meta {
        Meta {
            class: Class::Control,
            key: delete.then(|| self.hasher.hash_one(uid)),
            time_ms: now.wall_ms,
            delete,
            deadline_ms: None,
            local_only: false,
            groups: GroupSet::ALL,
            mark: Mark::default(),
            alarm: false,
        }
    }
}

fn deleting<'a>(
    uid: &'a [u8],
    kind: &'a [u8],
    groups: GroupSet,
) -> impl Fn(&Envelope, &mut Vec<u8>, LabelId) -> Result<(), Reason> + 'a {
    move |envelope, out, label| {
        envelope.put_contact(out, ContactOperation::Delete, uid, kind);
        envelope.put_tail(out, label, groups, None);
        Ok(())
    }
}
