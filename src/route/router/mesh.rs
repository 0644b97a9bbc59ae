//! What is special about a mesh, where nobody logs in or out, and about links that may hand us our own events back.

use std::hash::BuildHasher;

use super::{Kind, Router};
use crate::clock::Now;
use crate::cot::{Class, content};
use crate::counters::Counters;
use crate::route::link::{LinkId, Role};
use crate::wire::fig::Geo;
use crate::wire::tak;
use crate::wire::xml::{Detail, Event};

/// Users whose going stale is watched on one mesh or at one server; further ones stay until the link goes.
const WATCHED: usize = 256;

/// Bytes that watching takes, for one of them.
pub const WATCHED_BYTES: usize = WATCHED * size_of::<Stay>();

/// Shortest and longest life of a position that is believed, milliseconds.
const LIFE_MS: std::ops::RangeInclusive<i64> = 15_000..=86_400_000;

/// A neighbour of a local network that does not come by itself.
#[derive(Debug)]
pub(super) struct Neighbour {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) incoming: bool,
    pub(super) outgoing: bool,
    pub(super) counters: Counters,
    /// Who is there.
    pub(super) stays: Vec<Stay>,
}

/// Until when somebody is there, monotonic milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stay {
    key: u64,
    until_ms: u64,
}

impl Router {
    /// The seed of [`content`]'s numbers.
    pub fn content_seed(&self) -> u64 {
        self.settings.seed
    }

    /// What an event says. Where a mesh or a server may hand us the same one written anew, that is more than its bytes.
    pub(super) fn said_in_xml(&self, event: &Event<'_>, piece: &[u8]) -> u64 {
        match self.rewritten {
            false => self.hasher.hash_one(piece),
            true => content::of_xml(self.settings.seed, event),
        }
    }

    /// The same of a federate's event, whose `detail` was read if it matters.
    pub(super) fn said_in_geo(&self, event: &Geo<'_>, detail: Option<&Detail<'_>>) -> u64 {
        match self.rewritten {
            false => self.hasher.hash_one(event.bytes),
            true => content::of_geo(self.settings.seed, event, detail),
        }
    }

    /// The same of a `TakMessage`, whose detail was checked.
    pub(super) fn said_in_tak(&self, event: &tak::Event<'_>) -> u64 {
        match self.rewritten {
            false => self.hasher.hash_one(event.bytes),
            true => content::of_tak(self.settings.seed, event),
        }
    }

    /// Whether a mesh or a server says again what must not be lost, and was therefore said again, however long after.
    pub(super) fn is_said_again(
        &mut self,
        from: LinkId,
        (kind, directed): (&[u8], bool),
        content: u64,
        now: Now,
    ) -> bool {
        let link = self.links.get(usize::from(from.0));
        link.is_some_and(|link| matches!(link.kind, Kind::Neighbour(_)))
            && Class::of(kind, directed) <= Class::Chat
            && self.replays.is_repeat(content, now.mono_ms)
    }

    /// Somebody's own position came by a link. On a mesh, and at a server, he is there until it goes stale by its sender's own
    /// clock, which need not be right for that.
    pub(super) fn stays(&mut self, from: LinkId, key: u64, times: [Option<i64>; 2], now: Now) {
        let Some(link) = self.links.get_mut(usize::from(from.0)) else {
            return;
        };
        let Kind::Neighbour(neighbour) = &mut link.kind else {
            return;
        };
        let life = match times {
            [Some(time), Some(stale)] => stale.saturating_sub(time),
            _ => 0,
        };
        let life = life.clamp(*LIFE_MS.start(), *LIFE_MS.end());
        let until_ms = now.mono_ms.saturating_add(life.cast_unsigned());
        let stays = &mut neighbour.stays;
        match stays.iter().position(|stay| stay.key == key) {
            Some(at) => stays[at].until_ms = until_ms,
            None if stays.len() < WATCHED => stays.push(Stay { key, until_ms }),
            None => {}
        }
    }

    /// Takes those off the phone book whose last position on that mesh, or at that server, went stale, and tells everybody. Call it now and then.
    pub fn expire_contacts(&mut self, id: LinkId, now: Now) {
        let now = self.event_now(now);
        loop {
            let Some(link) = self.links.get_mut(usize::from(id.0)) else {
                return;
            };
            let Kind::Neighbour(neighbour) = &mut link.kind else {
                return;
            };
            let over = |stay: &Stay| stay.until_ms <= now.mono_ms;
            let Some(at) = neighbour.stays.iter().position(over) else {
                return;
            };
            let key = neighbour.stays.swap_remove(at).key;
            // Who was heard on another link meanwhile is there.
            let here = self.contacts.find(key);
            if here.is_none_or(|contact| contact.link != id) {
                continue;
            }
            let place = self.contacts.place(key);
            if let (Some(place), Some(contact)) = (place, self.contacts.remove(key)) {
                self.latest.forget(key);
                self.tell_left(&contact, place, now);
            }
        }
    }
}
