//! What holds for links to TAK servers only.
//!
//! A server tells everybody everything, and some of them tell it again at every login: what this box gave it comes back,
//! written anew. It must not go round, and it must not move our users to where they are not. So an event of a server is
//! an echo when it bears our mark and was not changed since (`cot/flow_tag.rs`), or when it is about somebody who is known
//! to be on another link and tells nothing newer than that link did.
//!
//! Users of a server become contacts like any others, with one difference: nobody tells us for certain when they leave.
//! So one who is not heard from for longer than it said, and a moment more, is gone ([`Router::sweep`]).

use std::hash::BuildHasher;

use super::{Kind, Router};
use crate::clock::Now;
use crate::cot::{addressee, class};
use crate::counters::Reason;
use crate::route::contacts::Until;
use crate::route::link::{LinkId, Role};
use crate::wire::xml::Event;

/// After a position went stale, its user may take this long to say the next one, milliseconds.
const GRACE_MS: i64 = 30_000;
/// A TAK Server keeps whole seconds of a time, so what is newer by less is not newer, milliseconds.
const SAME_MS: i64 = 1000;

impl Router {
    /// Takes users of a server off the phone book who have not been heard for longer than they said, and tells the others.
    pub fn sweep(&mut self, id: LinkId, now: Now) {
        let now = self.event_now(now);
        let mut place = 0;
        while let Some(contact) =
            (self.contacts).remove_expired(id, Until::at(now.mono_ms), &mut place, |uid| {
                self.hasher.hash_one(uid)
            })
        {
            self.latest.forget(self.hasher.hash_one(contact.uid()));
            self.tell_left(&contact, now);
        }
    }

    /// Whether a link leads to a TAK server.
    pub(super) fn is_server(&self, id: LinkId) -> bool {
        matches!(self.links.get(usize::from(id.0)).map(|link| &link.kind),
            Some(Kind::Neighbour(neighbour)) if neighbour.role == Role::Server)
    }

    /// A private word from a server that takes the addressees out; see [`addressee`].
    pub(super) fn readdressed(&self, from: LinkId, piece: &[u8]) -> Option<Vec<u8>> {
        self.is_server(from)
            .then(|| addressee::addressed(piece))
            .flatten()
    }

    /// Whether an event of a server is for us, and news. `key` is the hash of its uid.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) fn is_news(&self, from: LinkId, key: u64, event: &Event<'_>) -> Result<(), Reason> {
        if class::is_mission_change(event.kind) {
            return Err(Reason::MissionChange);
        }
        if event.kind == class::DELETE {
            let link = event.detail.as_ref().and_then(|detail| detail.link.first());
            // When our own login of a moment ago times out there, the server says that our users left.
            let elsewhere = link.is_some_and(|uid| self.lives_elsewhere(from, self.uid_key(uid)));
            return if elsewhere { Err(Reason::Loop) } else { Ok(()) };
        }
        if event.kind.starts_with(b"t-x-") {
            return Err(Reason::ControlMessage);
        }
        if key == self.own_key || self.flow_tag.came_back(event.bytes, event.time) {
            return Err(Reason::Loop);
        }
        let old = |stale_ms: i64| {
            let stale = event.stale.unwrap_or(i64::MIN);
            stale < stale_ms.saturating_add(SAME_MS)
        };
        match self
            .latest
            .of(key)
            .filter(|_| event.kind.starts_with(b"a-"))
        {
            Some(kept) if kept.link != from && old(kept.stale_ms) => Err(Reason::Loop),
            None if event.kind.starts_with(b"a-") && self.lives_elsewhere(from, key) => {
                Err(Reason::Loop)
            }
            _ => Ok(()),
        }
    }

    /// A server tells at each login who is there, in the same words. Who was taken off the phone book meanwhile is news.
    pub(super) fn was_forgotten(&self, event: &Event<'_>) -> bool {
        let key = self.uid_key(event.uid);
        event.kind.starts_with(b"a-")
            && self.latest.of(key).is_none()
            && self.contacts.find(key).is_none()
    }

    /// A user of a server was heard: how long that holds.
    pub(super) fn note_until(&mut self, from: LinkId, key: u64, stale: Option<i64>, now: Now) {
        if self.is_server(from) {
            let left = stale.map_or(0, |stale| stale.saturating_sub(now.wall_ms).max(0));
            let left = u64::try_from(left.saturating_add(GRACE_MS)).unwrap_or(0);
            (self.contacts).lasts(key, Until::at(now.mono_ms.saturating_add(left)));
        }
    }

    fn lives_elsewhere(&self, from: LinkId, key: u64) -> bool {
        let contact = self.contacts.find(key);
        contact.is_some_and(|contact| contact.link != from) && self.contacts.is_present(key)
    }
}
