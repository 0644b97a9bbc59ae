//! What comes in: read, judged, remembered, and handed on.

use std::hash::BuildHasher;

use super::deliver::Meta;
use super::forms::Source;
use super::notes::Seen;
use super::reading::{Spelling, deadline, keeps};
use super::server::Known;
use super::{Kind, Router};
use crate::clock::Now;
use crate::cot::class::{self, Class};
use crate::cot::{echo, federated, render};
use crate::counters::Reason;
use crate::route::contacts::{By, Noted, Source as Heard};
use crate::route::groups::GroupSet;
use crate::route::latest::Newest;
use crate::route::link::{Form, LinkId, Verdict};
use crate::wire::fig::{self, Contact, Federated, Operation};
use crate::wire::xml::{Detail, Event};
use crate::wire::{stamp, text};

impl Router {
    /// One framed CoT XML event came.
    pub fn receive_xml(&mut self, from: LinkId, piece: &[u8], now: Now) -> Verdict {
        self.heard(from, now);
        let room = self.readdressed(from, piece);
        let piece = room.as_deref().unwrap_or(piece);
        let mut seen = Seen::of(from, Form::Xml, piece);
        let verdict = self
            .judge_xml(&mut seen, piece, self.event_now(now))
            .unwrap_or_else(|reason| self.refuse(from, reason));
        self.note(&seen, verdict, now);
        verdict
    }

    /// One `FederatedEvent` came (without its gRPC prefix).
    pub fn receive_federated(&mut self, from: LinkId, message: &[u8], now: Now) -> Verdict {
        self.heard(from, now);
        self.count_received(from);
        self.judge_received(from, message, now)
    }

    /// The same from the peer's standby connection, whose messages are not acknowledged.
    pub(super) fn judge_aside(&mut self, from: LinkId, message: &[u8], now: Now) -> Verdict {
        self.heard(from, now);
        self.judge_received(from, message, now)
    }

    fn judge_received(&mut self, from: LinkId, message: &[u8], now: Now) -> Verdict {
        let mut seen = Seen::of(from, Form::Federated, message);
        let verdict = self
            .judge_federated(&mut seen, message, self.event_now(now))
            .unwrap_or_else(|reason| self.refuse(from, reason));
        self.note(&seen, verdict, now);
        verdict
    }

    pub(super) fn refuse(&mut self, from: LinkId, reason: Reason) -> Verdict {
        self.count(from, reason);
        Verdict::Dropped(reason)
    }

    /// What a neighbour of a local network sends is taken.
    pub(super) fn takes_from(&self, from: LinkId) -> Result<(), Reason> {
        match self.links.get(usize::from(from.0)).map(|link| &link.kind) {
            Some(Kind::Neighbour(neighbour)) if !neighbour.incoming => Err(Reason::IncomingOff),
            _ => Ok(()),
        }
    }

    pub(super) fn judge_xml<'a>(
        &mut self,
        seen: &mut Seen<'a>,
        piece: &'a [u8],
        now: Now,
    ) -> Result<Verdict, Reason> {
        let from = seen.from;
        self.takes_from(from)?;
        let mut room = Vec::new();
        let mut event = Event::nothing();
        self.reader.parse(&mut event, piece)?;
        seen.is(event.uid, event.kind);
        if !event.plain && !text::is_plain(event.kind) {
            // A type spelled with references would mean one thing to our filters and another to the receiver.
            return Err(Reason::Malformed);
        }
        if event.kind == class::PING {
            self.accepted(from, now);
            // Made a moment ago, always: nothing tells a device's clock as well.
            let key = self.uid_key(event.uid);
            self.judge_time(from, key, true, event.time, now);
            self.answer_ping(from, now);
            return Ok(Verdict::Consumed);
        }
        if class::is_for_server(event.kind) {
            self.accepted(from, now);
            return Ok(Verdict::Consumed);
        }
        let server = self.of_server(from, &event, now)?;
        if self.is_guarded(from) {
            let about = (event.uid, event.kind);
            self.admit(seen, about, event.detail.as_ref(), event.plain)?;
        }
        seen.content = self.said_in_xml(&event, piece);
        if self.rewritten {
            let directed = event.detail.as_ref().is_some_and(|it| it.marti.count > 0);
            if self.is_said_again(from, (event.kind, directed), seen.content, now) {
                return Err(Reason::Duplicate);
            }
        }
        if self.dedup.is_repeat(seen.content, now.mono_ms) && server != Some(Known::Not) {
            return Err(Reason::Duplicate);
        }
        self.accepted(from, now);
        let key = match event.plain {
            true => self.hasher.hash_one(event.uid),
            false => self.uid_key(event.uid),
        };
        let replaceable = class::is_replaceable(event.kind);
        let judged = self.judge_time(from, key, replaceable, event.time, now);
        if judged.shift_ms != 0 {
            self.move_xml(from, &mut event, &mut room, judged.shift_ms);
        }
        let detail = event.detail.as_ref().unwrap_or(&Detail::NOTHING);
        let targets = self.targets_of_xml(detail);
        seen.key = key;
        seen.left_ms = event.stale.map(|stale| stale.saturating_sub(now.wall_ms));
        let mut meta = Meta {
            mark: self.begin_trace(seen, Class::of(event.kind, targets.is_directed()), now),
            class: seen.class,
            key: replaceable.then_some(key),
            time_ms: match event.time {
                Some(time) if !judged.doubtful => time,
                _ => now.wall_ms,
            },
            delete: false,
            deadline_ms: deadline(event.stale, now),
            local_only: class::is_mission_change(event.kind),
            groups: self.said_by(from),
            alarm: class::is_emergency(event.kind),
        };
        if event.kind == class::DELETE {
            let link = detail.link.first().unwrap_or_default();
            meta.key = Some(self.uid_key(link)).filter(|_| !link.is_empty());
            meta.delete = meta.key.is_some();
            self.deleted(from, meta.key);
        } else {
            let spelling = match event.plain {
                true => Spelling::Plain,
                false => Spelling::Raw,
            };
            let by = By {
                groups: meta.groups,
                ..By::from((from, Heard::Position))
            };
            let presence = self.presence(by, key, (event.uid, spelling), event.kind, detail, now);
            if presence && self.rewritten {
                self.stays(from, key, [event.time, event.stale], now);
            }
            if class::is_cancellation(event.kind) {
                self.latest.forget(key);
            } else if meta.class != Class::Bulk && keeps(event.kind, &targets) {
                self.keep(Newest {
                    key,
                    link: from,
                    form: Form::Xml,
                    bytes: event.bytes,
                    edits: &[],
                    stale_ms: event.stale.unwrap_or(i64::MIN),
                    changed: 0,
                    presence,
                    groups: meta.groups,
                });
            }
        }
        let verdict = self.deliver(from, Source::Xml(&event), meta, &targets, now);
        self.moved(room);
        verdict
    }

    fn judge_federated<'a>(
        &mut self,
        seen: &mut Seen<'a>,
        message: &'a [u8],
        now: Now,
    ) -> Result<Verdict, Reason> {
        let from = seen.from;
        if let Some(Kind::Federate(federate)) =
            self.links.get(usize::from(from.0)).map(|link| &link.kind)
            && !federate.incoming
        {
            // To know which track it is; and a probe asks just that.
            let read = seen.glance(message, self.envelope.id());
            return match read.and_then(|read| read.event) {
                Some(event) if event.kind == echo::KIND => self.echo_came(from, &event),
                _ => Err(Reason::IncomingOff),
            };
        }
        let mut read = Federated::default();
        fig::read(&mut read, message, self.envelope.id())?;
        if let Some(event) = &read.event {
            seen.is(event.uid, event.kind);
        }
        if read.seen {
            return Err(Reason::Loop);
        }
        let groups = self.groups_of(from, &read);
        let Some(event) = &mut read.event else {
            return match read.contact {
                Some(contact) => self.contact_came(from, &read, contact, groups?, now),
                // A hub's primer: neither event nor contact, and legal (protocol reference 1.9).
                None => Ok(Verdict::Consumed),
            };
        };
        if class::is_mission_change(event.kind) {
            return Err(Reason::MissionChange);
        }
        if class::is_for_server(event.kind) {
            return match event.kind == echo::KIND {
                true => self.echo_came(from, event),
                false => Err(Reason::ControlMessage),
            };
        }
        if self.has_servers && self.flow_tag.came_back(event.other, Some(event.time)) {
            return Err(Reason::Loop);
        }
        // Before it counts as come: it may come again by a way on which it is in a group.
        let groups = groups?;
        let mut checked = Event::nothing();
        let guarded = self.is_guarded(from);
        let early = self.rewritten || guarded && self.wants_detail(from, event.kind);
        if early {
            render::read_detail(&mut checked, event, &mut self.reader)?;
        }
        if guarded {
            let about = (event.uid, event.kind);
            self.admit(seen, about, checked.detail.as_ref(), true)?;
        }
        if self.packages.awaits(event.kind) {
            return self.package_came(from, message, groups);
        }
        seen.content = self.said_in_geo(event, checked.detail.as_ref());
        // What must not be lost is sent again after a link broke, and that may be long after.
        let again = Class::of(event.kind, event.directed) <= Class::Chat
            && self.replays.is_repeat(seen.content, now.mono_ms);
        if again || self.dedup.is_repeat(seen.content, now.mono_ms) {
            return Err(Reason::Duplicate);
        }
        // Checked here, and not where it is first written, because a relay must not pass on what it would not show.
        if !early {
            render::read_detail(&mut checked, event, &mut self.reader)?;
        }
        if ![event.time, event.start, event.stale]
            .into_iter()
            .all(stamp::is_in_calendar)
        {
            return Err(Reason::BadTime);
        }
        // A federate that comes back tells again what it knows, however long ago it told it first; and the memory for
        // contents may have given that one up. What is fresh is not looked up: it cannot be told again yet.
        let age = now.wall_ms.saturating_sub(event.time);
        if (class::is_emergency(event.kind) || age > FRESH_MS)
            && (self.latest).holds(self.hasher.hash_one(event.uid), event.bytes)
        {
            return Err(Reason::Duplicate);
        }
        self.accepted(from, now);
        let shown = checked.detail.as_ref().unwrap_or(&Detail::NOTHING);
        let key = self.hasher.hash_one(event.uid);
        if self.expected.is_some() && self.is_expected(from, key) {
            return Ok(Verdict::Consumed);
        }
        let replaceable = class::is_replaceable(event.kind);
        let judged = self.judge_time(from, key, replaceable, Some(event.time), now);
        let edit;
        if judged.shift_ms != 0
            && let Some(moved) = self.move_geo(from, event, judged.shift_ms)
        {
            edit = moved;
            read.edits = edit.bytes();
        }
        let message = &read;
        let Some(event) = &message.event else {
            return Ok(Verdict::Consumed);
        };
        let targets = self.targets_of_geo(event);
        seen.key = key;
        seen.left_ms = Some(event.stale.saturating_sub(now.wall_ms));
        let mut meta = Meta {
            mark: self.begin_trace(seen, Class::of(event.kind, targets.is_directed()), now),
            class: seen.class,
            key: replaceable.then_some(key),
            time_ms: match judged.doubtful {
                true => now.wall_ms,
                false => event.time,
            },
            delete: false,
            deadline_ms: deadline(Some(event.stale), now),
            local_only: false,
            groups,
            alarm: class::is_emergency(event.kind),
        };
        if event.kind == class::DELETE {
            let link = shown.link.first().unwrap_or_default();
            meta.key = Some(self.uid_key(link)).filter(|_| !link.is_empty());
            meta.delete = meta.key.is_some();
            self.deleted(from, meta.key);
        } else {
            let by = By {
                groups,
                hops_left: federated::hops_left(message),
                ..By::from((from, Heard::Position))
            };
            let presence = self.presence(
                by,
                key,
                (event.uid, Spelling::Meant),
                event.kind,
                shown,
                now,
            );
            if class::is_cancellation(event.kind) {
                self.latest.forget(key);
            } else if meta.class != Class::Bulk && keeps(event.kind, &targets) {
                self.keep(Newest {
                    key,
                    link: from,
                    form: Form::Federated,
                    bytes: message.bytes,
                    edits: message.edits,
                    stale_ms: event.stale,
                    changed: 0,
                    presence,
                    groups: meta.groups,
                });
            }
        }
        let source = Source::Federated(message, event, checked.detail.as_ref());
        self.deliver(from, source, meta, &targets, now)
    }

    /// A contact entry without an event.
    fn contact_came(
        &mut self,
        from: LinkId,
        message: &Federated<'_>,
        contact: Contact<'_>,
        groups: GroupSet,
        now: Now,
    ) -> Result<Verdict, Reason> {
        if contact.uid.is_empty() && contact.callsign.is_empty() {
            return Ok(Verdict::Consumed);
        }
        let gone = contact.operation == Operation::Delete;
        if !gone && !self.admits_contact(from, b"", contact.callsign) {
            return Err(Reason::Filtered);
        }
        let key = self.hasher.hash_one(contact.uid);
        let meta = Meta {
            key: Some(key),
            groups,
            ..self.contact_meta(contact.uid, gone, now)
        };
        match contact.operation {
            Operation::Create => {
                self.changes += 1;
                let (uid, callsign) = (contact.uid, contact.callsign);
                let names = (uid, callsign, &b""[..]);
                let by = By {
                    groups,
                    hops_left: federated::hops_left(message),
                    ..By::from((from, Heard::Hearsay))
                };
                if self.contacts.note(key, names, by, self.changes) == Noted::Changed {
                    let of = (Some((&b""[..], callsign)), &b""[..]);
                    let belongs = (groups, self.contacts.place(key));
                    let meta = Meta { key: None, ..meta };
                    return self.relay_contact((from, of), message, belongs, meta, now);
                }
            }
            Operation::Delete => {
                let known = self
                    .contacts
                    .find(key)
                    .is_some_and(|known| known.link == from);
                // TAK Server tells every delete this way, of users and of map items alike (protocol reference 1.9).
                let repeat = self.dedup.is_repeat(
                    self.hasher.hash_one((contact.uid, contact.callsign)),
                    now.mono_ms,
                );
                if repeat && !known {
                    return Err(Reason::Duplicate);
                }
                let belongs = (groups, self.place_of_deleted(from, key));
                self.deleted(from, Some(key));
                let (uid, kind) = (contact.uid, contact.callsign);
                self.tell_clients_deleted(from, groups, uid, kind, now);
                let of = (None, contact.callsign);
                return self.relay_contact((from, of), message, belongs, meta, now);
            }
            Operation::Ignored => {}
        }
        Ok(Verdict::Consumed)
    }

    /// Somebody's own position names the contact (protocol reference 6.1). Tells whether it did.
    pub(super) fn presence(
        &mut self,
        by: By,
        key: u64,
        (uid, spelling): (&[u8], Spelling),
        kind: &[u8],
        detail: &Detail<'_>,
        now: Now,
    ) -> bool {
        let reachable = detail.contact.second().is_some() || detail.group.count > 0;
        let Some(callsign) = detail.contact.first().filter(|_| reachable) else {
            return false;
        };
        if !kind.starts_with(b"a-") {
            return false;
        }
        let itself = spelling != Spelling::Raw || text::is_plain(uid);
        if spelling == Spelling::Plain || itself && text::is_plain(callsign) {
            self.note_presence(by, key, (uid, callsign, kind), now);
            return true;
        }
        let mut names = std::mem::take(&mut self.scratch.names);
        names.clear();
        match itself {
            true => names.extend_from_slice(uid),
            false => text::write_unescaped(&mut names, uid),
        }
        let split = names.len();
        text::write_unescaped(&mut names, callsign);
        let (uid, callsign) = names.split_at(split);
        self.note_presence(by, key, (uid, callsign, kind), now);
        self.scratch.names = names;
        true
    }

    fn note_presence(&mut self, by: By, key: u64, contact: (&[u8], &[u8], &[u8]), now: Now) {
        let noted = self.contacts.note(key, contact, by, self.changes + 1);
        if noted == Noted::Changed {
            self.changes += 1;
            self.new_contact = true;
            self.tell_came(by.link, contact.0, contact.1, now);
        }
    }

    /// An item is deleted; when it was a user of that link, the phone book loses it.
    pub(super) fn deleted(&mut self, from: LinkId, key: Option<u64>) {
        let Some(key) = key else { return };
        self.latest.forget(key);
        if self
            .contacts
            .find(key)
            .is_some_and(|contact| contact.link == from)
        {
            self.contacts.remove(key);
        }
    }

    pub(super) fn keep(&mut self, newest: Newest<'_>) {
        self.changes += 1;
        self.latest.keep(&Newest {
            changed: self.changes,
            ..newest
        });
    }

    pub(super) fn accepted(&mut self, from: LinkId, now: Now) {
        let wall_ms = self.own_wall(now);
        if let Some(counters) = self.counters(from) {
            counters.events_in += 1;
            counters.last_event_ms = wall_ms;
        }
    }
}

/// An event younger than this is no repetition by a link that came back, milliseconds.
const FRESH_MS: i64 = 500;
