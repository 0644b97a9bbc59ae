//! What holds for links to TAK servers only.
//!
//! A server tells everybody everything, and some of them tell it again at every login: what this box gave it comes back,
//! written anew. It must not go round, and it must not move our users to where they are not. So an event of a server is
//! an echo when it bears our mark and was not changed since (`cot/flow_tag.rs`), or when it is about somebody who is known
//! to be on another link and tells nothing newer than that link did.
//!
//! Users of a server become contacts like any others, with one difference: nobody tells us for certain when they leave.
//! So one who is not heard from for longer than it said is gone ([`Router::expire_contacts`]).

use super::forms::{Forms, Source};
use super::{Kind, Router};
use crate::clock::Now;
use crate::cot::{addressee, class};
use crate::counters::Reason;
use crate::route::groups::GroupSet;
use crate::route::link::{LinkId, LinkSpec, Role, Wire};
use crate::wire::tak::Message;
use crate::wire::xml::{Detail, Event};

/// A TAK Server keeps whole seconds of a time, so what is newer by less is not newer, milliseconds.
const SAME_MS: i64 = 1000;

/// What is looked at of an event of a server, in whatever form it came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrived<'a> {
    /// Hash of its uid.
    pub(super) key: u64,
    pub(super) kind: &'a [u8],
    pub(super) time: Option<i64>,
    pub(super) stale: Option<i64>,
    pub(super) detail: &'a Detail<'a>,
}

/// Whether somebody whom a server tells of is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// He is, or it is not about anybody.
    Already,
    /// He is not. A server tells at each login who is there, in the same words; who was taken off the phone book
    /// meanwhile is news all the same.
    Not,
}

impl Router {
    /// A neighbour that is attached comes on a new connection: it is told the latest events again. What waits goes there,
    /// unless it was written for a protocol that the new connection does not speak yet.
    pub fn attach_again(&mut self, id: LinkId, spec: LinkSpec, now: Now) {
        if let Some((link, pool, _)) = self.parts(id)
            && link.wire != Wire::Xml
            && let Kind::Neighbour(neighbour) = &mut link.kind
        {
            link.outbox.clear(false, pool, &mut neighbour.counters);
        }
        self.attach(spec, now);
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

    /// The same for a `TakMessage`, which becomes XML by that.
    pub(super) fn readdressed_tak(
        &mut self,
        message: &Message<'_>,
        detail: Option<&Detail<'_>>,
    ) -> Option<Vec<u8>> {
        let event = message.event.as_ref()?;
        let addressed = detail.is_some_and(|detail| detail.marti.count > 0);
        if addressed || !event.kind.starts_with(b"b-t-f") {
            return None;
        }
        let source = Source::Tak(message, event, detail);
        let mut forms = Forms::new(source, GroupSet::ALL, &self.envelope, &mut self.scratch);
        let (xml, _) = forms.xml().ok()?;
        addressee::addressed(xml)
    }

    /// [`Router::is_news`] for XML; none when the link leads to no server.
    #[inline]
    pub(super) fn of_server(
        &self,
        from: LinkId,
        event: &Event<'_>,
    ) -> Result<Option<Known>, Reason> {
        if !self.has_servers || !self.is_server(from) {
            return Ok(None);
        }
        let arrived = Arrived {
            key: self.uid_key(event.uid),
            kind: event.kind,
            time: event.time,
            stale: event.stale,
            detail: event.detail.as_ref().unwrap_or(&Detail::NOTHING),
        };
        self.is_news(from, &arrived).map(Some)
    }

    /// Whether an event of a server is for us, and news.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) fn is_news(&self, from: LinkId, event: &Arrived<'_>) -> Result<Known, Reason> {
        let key = event.key;
        if class::is_mission_change(event.kind) {
            return Err(Reason::MissionChange);
        }
        if event.kind == class::DELETE {
            let link = event.detail.link.first();
            // When our own login of a moment ago times out there, the server says that our users left.
            let elsewhere = link.is_some_and(|uid| self.lives_elsewhere(from, self.uid_key(uid)));
            return match elsewhere {
                true => Err(Reason::Loop),
                false => Ok(Known::Already),
            };
        }
        if event.kind.starts_with(b"t-x-") {
            return Err(Reason::ControlMessage);
        }
        if key == self.own_key || self.flow_tag.came_back(event.detail.bytes, event.time) {
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
            None if event.kind.starts_with(b"a-") && self.contacts.find(key).is_none() => {
                Ok(Known::Not)
            }
            _ => Ok(Known::Already),
        }
    }

    fn lives_elsewhere(&self, from: LinkId, key: u64) -> bool {
        let contact = self.contacts.find(key);
        contact.is_some_and(|contact| contact.link != from) && self.contacts.is_present(key)
    }
}
