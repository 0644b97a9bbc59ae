//! What the router leaves behind of each event: its row for `why`, and its note in the flight recorder.

use std::hash::BuildHasher;

use super::{Kind, Router};
use crate::clock::Now;
use crate::cot::Class;
use crate::counters::Reason;
use crate::route::contacts::{Contact, Source};
use crate::route::link::{Form, LinkId, LinkSpec, Verdict};
use crate::route::policy::Ruling;
use crate::route::recorder::{self, Came, LinkKind, Recorder};
use crate::route::trace::{Arrival, Column, Mark, Trace};
use crate::wire::fig::{self, Federated};
use crate::wire::text;

/// What is known of an event when its verdict is there; more or less of it, as far as it was read.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub(super) from: LinkId,
    form: Form,
    bytes: &'a [u8],
    pub(super) uid: &'a [u8],
    pub(super) kind: &'a [u8],
    /// Hash of the uid; 0 = not made yet.
    pub(super) key: u64,
    pub(super) content: u64,
    pub(super) class: Class,
    pub(super) left_ms: Option<i64>,
    /// The rule of a filter that refused it.
    pub(super) ruling: Option<Ruling>,
}

impl<'a> Seen<'a> {
    pub(super) fn of(from: LinkId, form: Form, bytes: &'a [u8]) -> Self {
        Self {
            from,
            form,
            bytes,
            uid: b"",
            kind: b"",
            key: 0,
            content: 0,
            class: Class::Bulk,
            left_ms: None,
            ruling: None,
        }
    }

    /// Which track it is: parts of its bytes, still where they came.
    pub(super) fn is(&mut self, uid: &[u8], kind: &[u8]) {
        (self.uid, self.kind) = (part(self.bytes, uid), part(self.bytes, kind));
    }

    /// Looks which track it is, whatever else may be wrong with it.
    #[cold]
    pub(super) fn glance(&mut self, message: &'a [u8], own_id: &[u8]) -> Option<Federated<'a>> {
        let read = fig::parse(message, own_id).ok()?;
        if let Some(event) = &read.event {
            (self.uid, self.kind) = (event.uid, event.kind);
        }
        Some(read)
    }

    fn arrival(&self) -> Arrival<'a> {
        Arrival {
            key: self.key,
            uid: self.uid,
            kind: self.kind,
            size: self.bytes.len() as u32,
            from: self.from.0,
        }
    }
}

impl Router {
    /// The flight recorder.
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Notes the directions of the federates that are up, after [`Router::set_peers`].
    pub fn note_directions(&self, now: Now) {
        for (place, link) in self.links.iter().enumerate().filter(|(_, link)| link.up) {
            if let Kind::Federate(federate) = &link.kind {
                let (incoming, outgoing) = (federate.incoming, federate.outgoing);
                (self.recorder).directions(place as u16, incoming, outgoing, now);
            }
        }
    }

    /// The phone book, for a recording.
    pub fn book(&self) -> Vec<recorder::Contact> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let entry = |contact: &Contact| recorder::Contact {
            uid: text(contact.uid()),
            callsign: text(contact.callsign()),
            kind: text(contact.kind()),
            link: contact.link.0,
        };
        self.contacts.all().map(entry).collect()
    }

    /// A contact is known to be behind a link, without anybody being told.
    pub fn know(&mut self, names: (&[u8], &[u8], &[u8]), link: LinkId) {
        let key = self.hash_of(names.0);
        self.contacts
            .note(key, names, (link, Source::Hearsay), self.changes);
    }

    /// What became of the newest event of a uid, given as it is meant.
    pub fn trace(&self, uid: &[u8]) -> Option<Trace<'_>> {
        self.pool.traces.find(self.hash_of(uid))
    }

    /// The uids of those who are called so, as far as anybody said it.
    pub fn uids_of<'a>(&'a self, callsign: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + 'a {
        let named = move |contact: &&Contact| contact.callsign() == callsign;
        (self.contacts.all()).filter(named).map(Contact::uid)
    }

    /// The callsign of a uid.
    pub fn callsign_of(&self, uid: &[u8]) -> Option<&[u8]> {
        let contact = self.contacts.find(self.hash_of(uid))?;
        Some(contact.callsign()).filter(|callsign| !callsign.is_empty())
    }

    /// How many uids `why` can tell of at once.
    pub fn traced(&self) -> usize {
        self.pool.traces.len()
    }

    /// The column of a federate.
    pub fn column_of(&self, peer: &str) -> Option<Column> {
        let link = self.links.iter().find(|link| match &link.kind {
            Kind::Federate(federate) => federate.name == peer,
            _ => false,
        })?;
        Some(link.outbox.column())
    }

    /// What a link is called: a federate's name, none for a local client and for the box's own commands.
    pub fn link_name(&self, number: u16) -> (LinkKind, Option<&str>) {
        match self.links.get(usize::from(number)).map(|link| &link.kind) {
            Some(Kind::Federate(federate)) => {
                let (incoming, outgoing) = (federate.incoming, federate.outgoing);
                let kind = LinkKind::Federate { incoming, outgoing };
                (kind, Some(federate.name.as_str()))
            }
            Some(Kind::Neighbour(neighbour)) => {
                let kind = LinkKind::Neighbour {
                    role: neighbour.role,
                    incoming: neighbour.incoming,
                    outgoing: neighbour.outgoing,
                };
                (kind, Some(neighbour.name.as_str()))
            }
            Some(Kind::Commands) => (LinkKind::Commands, None),
            _ => (LinkKind::Client, None),
        }
    }

    /// Hash of a uid given as it is meant.
    pub(super) fn hash_of(&self, uid: &[u8]) -> u64 {
        self.hasher.hash_one(uid)
    }

    /// Hash of a uid given as raw attribute text, so that XML and protobuf agree on it.
    pub(super) fn uid_key(&self, raw: &[u8]) -> u64 {
        if text::is_plain(raw) {
            return self.hasher.hash_one(raw);
        }
        let mut meaning = heapless::Vec::<u8, 256>::new();
        for chunk in text::unescaped(raw) {
            let mut buffer = [0; 4];
            let piece = match chunk {
                text::Chunk::Plain(plain) => plain,
                text::Chunk::Character(character) => character.encode_utf8(&mut buffer).as_bytes(),
            };
            if meaning.extend_from_slice(piece).is_err() {
                // Longer than any uid in use: the raw text will do.
                return self.hasher.hash_one(raw);
            }
        }
        self.hasher.hash_one(meaning.as_slice())
    }

    /// An event was taken; its row is made ready.
    pub(super) fn begin_trace(&mut self, seen: &mut Seen<'_>, class: Class, now: Now) -> Mark {
        seen.class = class;
        let left_ms = seen.left_ms.unwrap_or(i64::MAX);
        let traces = &mut self.pool.traces;
        traces.taken(&seen.arrival(), class, left_ms, now.mono_ms)
    }

    /// The verdict is there.
    pub(super) fn note(&mut self, seen: &Seen<'_>, verdict: Verdict, now: Now) {
        let special = std::mem::take(&mut self.new_contact)
            || seen.class <= Class::Chat
            || seen.uid.is_empty();
        if verdict == Verdict::Consumed && seen.form != Form::Federated {
            // Pings and the like.
            return;
        }
        let key = match verdict {
            Verdict::Dropped(reason) => self.note_refused(seen, reason, now),
            _ => seen.key,
        };
        let came = Came {
            from: seen.from.0,
            form: seen.form,
            key,
            content: seen.content,
            uid: seen.uid,
            kind: seen.kind,
            class: seen.class,
            verdict,
            left_ms: seen.left_ms,
            special,
            bytes: seen.bytes,
        };
        self.recorder.event(&came, now);
    }

    #[cold]
    fn note_refused(&mut self, seen: &Seen<'_>, reason: Reason, now: Now) -> u64 {
        if seen.uid.is_empty() {
            return 0;
        }
        let key = match seen.form {
            Form::Federated | Form::Tak => self.hash_of(seen.uid),
            Form::Xml => self.uid_key(seen.uid),
        };
        let arrival = Arrival {
            key,
            ..seen.arrival()
        };
        let why = (reason, seen.ruling);
        self.pool.traces.refused(&arrival, why, now.mono_ms);
        key
    }
}

/// A part of the whole, as long-lived as the whole is: a view may be changed later to look at other bytes.
fn part<'a>(whole: &'a [u8], part: &[u8]) -> &'a [u8] {
    let at = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
    let end = at.saturating_add(part.len());
    whole.get(at..end).unwrap_or_default()
}

/// A link in the recorder's words.
pub(super) fn describe(spec: &LinkSpec) -> (LinkKind, String) {
    match spec {
        LinkSpec::Client { address, .. } => (LinkKind::Client, address.clone()),
        LinkSpec::Commands => (LinkKind::Commands, "commands".to_owned()),
        LinkSpec::Neighbour {
            name,
            role,
            incoming,
            outgoing,
            ..
        } => {
            let kind = LinkKind::Neighbour {
                role: *role,
                incoming: *incoming,
                outgoing: *outgoing,
            };
            (kind, name.clone())
        }
        LinkSpec::Federate {
            name,
            incoming,
            outgoing,
            ..
        } => {
            let kind = LinkKind::Federate {
                incoming: *incoming,
                outgoing: *outgoing,
            };
            (kind, name.clone())
        }
    }
}
