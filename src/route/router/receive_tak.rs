//! What comes in as `TakMessage`, from a client, a mesh or a server: judged as XML is.

use std::hash::BuildHasher;

use super::Router;
use super::deliver::Meta;
use super::forms::Source;
use super::notes::Seen;
use super::reading::{Spelling, deadline, keeps};
use super::server::{Arrived, Known};
use crate::clock::Now;
use crate::cot::class::{self, Class};
use crate::cot::tak::read_detail;
use crate::counters::Reason;
use crate::route::contacts::{By, Source as Heard};
use crate::route::latest::Newest;
use crate::route::link::{Form, LinkId, Verdict};
use crate::wire::stamp;
use crate::wire::tak::{self, Message};
use crate::wire::xml::{Detail, Event};

impl Router {
    /// One `TakMessage` came (without its framing).
    pub fn receive_tak(&mut self, from: LinkId, message: &[u8], now: Now) -> Verdict {
        self.heard(from, now);
        let mut seen = Seen::of(from, Form::Tak, message);
        let mut room = std::mem::take(&mut self.scratch.detail);
        let verdict = self
            .judge_tak(&mut seen, message, &mut room, self.event_now(now))
            .unwrap_or_else(|reason| self.refuse(from, reason));
        self.scratch.detail = room;
        self.scratch.give_back();
        self.note(&seen, verdict, now);
        verdict
    }

    fn judge_tak<'a>(
        &mut self,
        seen: &mut Seen<'a>,
        message: &'a [u8],
        room: &mut Vec<u8>,
        now: Now,
    ) -> Result<Verdict, Reason> {
        let from = seen.from;
        self.takes_from(from)?;
        let mut read = Message::default();
        tak::read(&mut read, message)?;
        let Some(event) = &mut read.event else {
            // It tells which versions its sender speaks, and nothing else.
            return Ok(Verdict::Consumed);
        };
        seen.is(event.uid, event.kind);
        let key = self.hasher.hash_one(event.uid);
        if event.kind == class::PING {
            self.accepted(from, now);
            self.judge_time(from, key, true, event.time, now);
            self.answer_ping(from, now);
            return Ok(Verdict::Consumed);
        }
        if class::is_for_server(event.kind) {
            self.accepted(from, now);
            return Ok(Verdict::Consumed);
        }
        // Checked here, and not where it is first written: what could not be shown is not passed on in any form.
        let mut checked = Event::nothing();
        read_detail(&mut checked, event, room, &mut self.reader)?;
        let is_server = self.has_servers && self.is_server(from);
        let mut known = None;
        if is_server {
            if let Some(xml) = self.readdressed_tak(&read, checked.detail.as_ref()) {
                return self.judge_xml(&mut Seen::of(from, Form::Xml, &xml), &xml, now);
            }
            let Some(event) = &read.event else {
                return Ok(Verdict::Consumed);
            };
            let arrived = Arrived {
                key,
                kind: event.kind,
                time: event.time,
                stale: event.stale,
                detail: checked.detail.as_ref().unwrap_or(&Detail::NOTHING),
            };
            known = Some(self.is_news(from, &arrived, now)?);
        }
        let Some(event) = &mut read.event else {
            return Ok(Verdict::Consumed);
        };
        if self.is_guarded(from) {
            let about = (event.uid, event.kind);
            self.admit(seen, about, checked.detail.as_ref(), true)?;
        }
        seen.content = self.said_in_tak(event);
        if self.rewritten {
            let directed = checked.detail.as_ref().is_some_and(|it| it.marti.count > 0);
            if self.is_said_again(from, (event.kind, directed), seen.content, now) {
                return Err(Reason::Duplicate);
            }
        }
        if self.dedup.is_repeat(seen.content, now.mono_ms) && known != Some(Known::Not) {
            return Err(Reason::Duplicate);
        }
        let mut times = [event.time, event.start, event.stale].into_iter().flatten();
        if !times.all(stamp::is_in_calendar) {
            return Err(Reason::BadTime);
        }
        self.accepted(from, now);
        let replaceable = class::is_replaceable(event.kind);
        let judged = self.judge_time(from, key, replaceable, event.time, now);
        let edit;
        if judged.shift_ms != 0
            && let Some(moved) = self.move_tak(from, event, judged.shift_ms)
        {
            edit = moved;
            read.edits = edit.bytes();
        }
        let message = &read;
        let Some(event) = &message.event else {
            return Ok(Verdict::Consumed);
        };
        let shown = checked.detail.as_ref().unwrap_or(&Detail::NOTHING);
        let targets = self.targets_of_xml(shown);
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
            let link = shown.link.first().unwrap_or_default();
            meta.key = Some(self.uid_key(link)).filter(|_| !link.is_empty());
            meta.delete = meta.key.is_some();
            self.deleted(from, meta.key);
        } else {
            let who = (event.uid, Spelling::Meant);
            let by = By {
                groups: meta.groups,
                ..By::from((from, Heard::Position))
            };
            let presence = self.presence(by, key, who, event.kind, shown, now);
            if presence && self.rewritten {
                self.stays(from, key, [event.time, event.stale], now);
            }
            if class::is_cancellation(event.kind) {
                self.latest.forget(key);
            } else if meta.class != Class::Bulk && keeps(event.kind, &targets) {
                self.keep(Newest {
                    key,
                    link: from,
                    form: Form::Tak,
                    bytes: message.bytes,
                    edits: message.edits,
                    stale_ms: event.stale.unwrap_or(i64::MIN),
                    changed: 0,
                    presence,
                    groups: meta.groups,
                });
            }
        }
        let source = Source::Tak(message, event, checked.detail.as_ref());
        self.deliver(from, source, meta, &targets, now)
    }
}
