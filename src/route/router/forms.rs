//! One event in every wire form that some link wants, each made at most once and shared.

use bytes::Bytes;

use super::Scratch;
use crate::cot::federated::{self, ContactOperation, Envelope, LabelId};
use crate::cot::flow_tag::FlowTag;
use crate::cot::{class, render, tak};
use crate::counters::Reason;
use crate::route::groups::GroupSet;
use crate::route::link::{Form, Wire};
use crate::wire::fig::{self, Federated, Geo};
use crate::wire::tak::{Event as TakEvent, Message};
use crate::wire::text;
use crate::wire::xml::{Child, Detail, Event, Reader};

/// An event, in the form it came in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    /// From a client.
    Xml(&'a Event<'a>),
    /// From a federate, with its checked detail.
    Federated(&'a Federated<'a>, &'a Geo<'a>, Option<&'a Detail<'a>>),
    /// In TAK protocol v1, with its detail as checked XML.
    Tak(&'a Message<'a>, &'a TakEvent<'a>, Option<&'a Detail<'a>>),
}

impl<'a> Source<'a> {
    /// It may go one hop more, and that is the last: a hub could pass it to nobody.
    #[cold]
    pub(super) fn is_last_hop(&self) -> bool {
        match self {
            Self::Xml(_) | Self::Tak(..) => false,
            Self::Federated(message, ..) => federated::is_last_hop(message),
        }
    }

    /// Its detail, if it has one that was looked at.
    pub(super) fn detail(&self) -> Option<&'a Detail<'a>> {
        match self {
            Self::Xml(event) => event.detail.as_ref(),
            Self::Federated(_, _, detail) | Self::Tak(_, _, detail) => *detail,
        }
    }

    /// When it was said, milliseconds since 1970.
    fn time(&self) -> Option<i64> {
        match self {
            Self::Xml(event) => event.time,
            Self::Federated(_, geo, _) => Some(geo.time),
            Self::Tak(_, event, _) => event.time,
        }
    }

    /// The event's uid, as it is spelled in this form, and its type.
    pub(super) fn uid_and_kind(&self) -> (&'a [u8], &'a [u8]) {
        match self {
            Self::Xml(event) => (event.uid, event.kind),
            Self::Federated(_, geo, _) => (geo.uid, geo.kind),
            Self::Tak(_, event, _) => (event.uid, event.kind),
        }
    }
}

/// The forms of one event, and the exact copies that waiting links share.
#[derive(Debug)]
pub(super) struct Forms<'a> {
    source: Source<'a>,
    /// The groups that the event is in.
    groups: GroupSet,
    envelope: &'a Envelope,
    scratch: &'a mut Scratch,
    /// How what is made for federates is labelled, and where that begins in it, for an event that begins here.
    label: LabelId,
    tail: usize,
    xml: Option<Result<(), Reason>>,
    federated: Option<Result<(), Reason>>,
    tak: Option<Result<(), Reason>>,
    xml_copy: Option<Bytes>,
    federated_copy: Option<Bytes>,
    tak_copy: Option<Bytes>,
    marked: Option<Result<(), Reason>>,
    marked_tak: Option<Result<(), Reason>>,
    marked_copy: Option<Bytes>,
    marked_tak_copy: Option<Bytes>,
}

/// Longest `TakMessage` that is sent: TAK Server sends its clients none that is longer (protocol reference 6.2).
pub const TAK_MAX: usize = 64 * 1024;

impl<'a> Forms<'a> {
    pub(super) fn new(
        source: Source<'a>,
        groups: GroupSet,
        envelope: &'a Envelope,
        scratch: &'a mut Scratch,
    ) -> Self {
        Self {
            source,
            groups,
            envelope,
            scratch,
            label: LabelId::PLAIN,
            tail: 0,
            xml: None,
            federated: None,
            tak: None,
            xml_copy: None,
            federated_copy: None,
            tak_copy: None,
            marked: None,
            marked_tak: None,
            marked_copy: None,
            marked_tak_copy: None,
        }
    }

    /// It may go one hop more, and that is the last.
    #[cold]
    pub(super) fn is_last_hop(&self) -> bool {
        self.source.is_last_hop()
    }

    /// The event as a `FederatedEvent` of its own: as it came from a federate, or as it begins here.
    #[cold]
    pub(super) fn as_said(&mut self) -> Option<Bytes> {
        match self.source {
            Source::Federated(message, ..) => Some([message.bytes, message.edits].concat().into()),
            Source::Xml(_) | Source::Tak(..) => {
                let (bytes, copy) = self.federated(LabelId::PLAIN).ok()?;
                Some(
                    copy.get_or_insert_with(|| Bytes::copy_from_slice(bytes))
                        .clone(),
                )
            }
        }
    }

    /// As CoT XML, with the place for its copy.
    pub(super) fn xml(&mut self) -> Result<(&[u8], &mut Option<Bytes>), Reason> {
        let Scratch {
            xml: out, stamps, ..
        } = &mut *self.scratch;
        match self.source {
            Source::Xml(event) => Ok((event.bytes, &mut self.xml_copy)),
            Source::Federated(_, geo, detail) => {
                (*self.xml.get_or_insert_with(|| {
                    out.clear();
                    render::put_event(out, geo, detail, stamps)
                }))?;
                Ok((out, &mut self.xml_copy))
            }
            Source::Tak(_, event, detail) => {
                (*self.xml.get_or_insert_with(|| {
                    out.clear();
                    tak::render::put_event(out, event, detail, stamps)
                }))?;
                Ok((out, &mut self.xml_copy))
            }
        }
    }

    /// For a server: with our mark in it. A `TakMessage` that came as one goes as it came, so that what we do not know
    /// stays; it has no mark.
    pub(super) fn marked(
        &mut self,
        wire: Wire,
        tag: &FlowTag,
        reader: &mut Reader,
    ) -> Result<(&[u8], &mut Option<Bytes>), Reason> {
        if wire == Wire::Tak && matches!(self.source, Source::Tak(..)) {
            return self.tak();
        }
        if self.marked.is_none() {
            let time = self.source.time();
            let mut out = std::mem::take(&mut self.scratch.marked);
            out.clear();
            let made = self.xml().map(|(xml, _)| tag.put(&mut out, xml, time));
            self.scratch.marked = out;
            self.marked = Some(made);
        }
        self.marked.unwrap_or(Err(Reason::Incomplete))?;
        if wire != Wire::Tak {
            return Ok((&self.scratch.marked, &mut self.marked_copy));
        }
        let Scratch {
            marked, marked_tak, ..
        } = &mut *self.scratch;
        (*self.marked_tak.get_or_insert_with(|| {
            let mut event = Event::nothing();
            reader.parse(&mut event, marked)?;
            marked_tak.clear();
            tak::encode::put_event(marked_tak, &event)?;
            match marked_tak.len() {
                0..=TAK_MAX => Ok(()),
                _ => Err(Reason::NotInTak),
            }
        }))?;
        Ok((marked_tak, &mut self.marked_tak_copy))
    }

    /// As `TakMessage`, with the place for its copy.
    pub(super) fn tak(&mut self) -> Result<(&[u8], &mut Option<Bytes>), Reason> {
        let out = &mut self.scratch.tak;
        let source = self.source;
        (*self.tak.get_or_insert_with(|| {
            out.clear();
            match source {
                Source::Xml(event) => tak::encode::put_event(out, event)?,
                Source::Federated(_, geo, detail) => tak::from_geo::put_event(out, geo, detail)?,
                Source::Tak(message, ..) => {
                    // As it came, so that what we do not know stays.
                    out.extend_from_slice(message.bytes);
                    out.extend_from_slice(message.edits);
                }
            }
            match out.len() {
                0..=TAK_MAX => Ok(()),
                _ => Err(Reason::NotInTak),
            }
        }))?;
        Ok((out, &mut self.tak_copy))
    }

    /// In the form that a link of that kind wants, with the place for its copy.
    pub(super) fn of(&mut self, wire: Wire) -> Result<(&[u8], &mut Option<Bytes>), Reason> {
        match wire {
            Wire::Xml => self.xml(),
            Wire::Tak => self.tak(),
            Wire::Federated | Wire::Legacy => self.federated(LabelId::PLAIN),
        }
    }

    /// As the `FederatedEvent` that we send on with that label, with the place for its copy.
    pub(super) fn federated(
        &mut self,
        label: LabelId,
    ) -> Result<(&[u8], &mut Option<Bytes>), Reason> {
        if label != self.label {
            self.relabel(label);
        }
        let Scratch {
            federated: out,
            names,
            ..
        } = &mut *self.scratch;
        let (source, envelope) = (self.source, self.envelope);
        if self.federated.is_none() {
            out.clear();
            self.federated = Some(match source {
                Source::Xml(event) => {
                    let detail = event.detail.as_ref();
                    put_deleted(envelope, out, names, event.kind, detail);
                    let made = envelope.put_event(out, event);
                    self.tail = relabelled(envelope, out, made, (label, self.groups));
                    made
                }
                Source::Tak(_, event, detail) => {
                    put_deleted(envelope, out, names, event.kind, detail);
                    let made = envelope.put_tak_event(out, event, detail);
                    self.tail = relabelled(envelope, out, made, (label, self.groups));
                    made
                }
                Source::Federated(message, ..) => {
                    envelope.put_relayed_as(out, message, label, self.groups)
                }
            });
        }
        if let Some(Err(reason)) = self.federated {
            return Err(reason);
        }
        Ok((out, &mut self.federated_copy))
    }

    /// What is made becomes what another label wants: of an event that begins here, all but its end is the same.
    #[cold]
    #[inline(never)]
    fn relabel(&mut self, label: LabelId) {
        self.label = label;
        if let Some(Ok(())) = self.federated {
            self.federated_copy = None;
            let out = &mut self.scratch.federated;
            match self.source {
                Source::Xml(_) | Source::Tak(..) => {
                    out.truncate(self.tail);
                    self.envelope.put_tail(out, label, self.groups, None);
                }
                Source::Federated(..) => self.federated = None,
            }
        }
    }
}

/// Gives an event that was just made for federates the end that the label wants; tells where that begins.
#[inline(always)]
fn relabelled(
    envelope: &Envelope,
    out: &mut Vec<u8>,
    made: Result<(), Reason>,
    (label, groups): (LabelId, GroupSet),
) -> usize {
    let tail = envelope.begin_of_tail(out);
    if label != LabelId::PLAIN && made.is_ok() {
        out.truncate(tail);
        envelope.put_tail(out, label, groups, None);
    }
    tail
}

/// Reads an event that was kept as it came; `room` is for the detail of a `TakMessage`.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn read_kept<R>(
    (form, bytes): (Form, &[u8]),
    (own_id, reader, room): (&[u8], &mut Reader, &mut Vec<u8>),
    then: impl FnOnce(Source<'_>) -> R,
) -> Result<R, Reason> {
    let mut event = Event::nothing();
    Ok(match form {
        Form::Xml => {
            reader.parse(&mut event, bytes)?;
            then(Source::Xml(&event))
        }
        Form::Federated => {
            let message = fig::parse(bytes, own_id)?;
            let geo = message.event.as_ref().ok_or(Reason::Incomplete)?;
            render::read_detail(&mut event, geo, reader)?;
            then(Source::Federated(&message, geo, event.detail.as_ref()))
        }
        Form::Tak => {
            let message = crate::wire::tak::parse(bytes)?;
            let said = message.event.as_ref().ok_or(Reason::Incomplete)?;
            tak::read_detail(&mut event, said, room, reader)?;
            then(Source::Tak(&message, said, event.detail.as_ref()))
        }
    })
}

/// How a link that comes up is told of what was kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Telling<'a> {
    pub(super) wire: Wire,
    /// Our mark, where it leads to a server.
    pub(super) mark: Option<&'a FlowTag>,
    pub(super) label: LabelId,
    /// The groups that the event is in.
    pub(super) groups: GroupSet,
    /// It is a hub, and can pass nothing on that may go one hop more only.
    pub(super) is_hub: bool,
}

/// Makes of an event that was kept as it came what a link of that kind wants, and hands it to `put`.
///
/// # Errors
/// Why it cannot be made.
pub(super) fn with_kept(
    (form, bytes): (Form, &[u8]),
    telling: Telling<'_>,
    (envelope, reader, scratch): (&Envelope, &mut Reader, &mut Scratch),
    put: impl FnOnce(&[u8]),
) -> Result<(), Reason> {
    if let (Form::Xml, Wire::Xml) | (Form::Tak, Wire::Tak) = (form, telling.wire)
        && telling.mark.is_none()
    {
        put(bytes);
        return Ok(());
    }
    let mut room = std::mem::take(&mut scratch.detail);
    let made = read_kept(
        (form, bytes),
        (envelope.id(), reader, &mut room),
        |source| {
            if telling.is_hub && source.is_last_hop() {
                return Err(Reason::HopLimit);
            }
            let mut forms = Forms::new(source, telling.groups, envelope, scratch);
            let made = match (telling.wire, telling.mark) {
                (wire, Some(mark)) => forms.marked(wire, mark, &mut Reader::default()),
                (Wire::Federated | Wire::Legacy, None) => forms.federated(telling.label),
                (wire, None) => forms.of(wire),
            };
            made.map(|(bytes, _)| put(bytes))
        },
    );
    scratch.detail = room;
    made?
}

/// Makes a `TakMessage` of an event that is XML already.
///
/// # Errors
/// Why it cannot be one.
pub(super) fn tak_of<'s>(
    xml: &[u8],
    envelope: &Envelope,
    reader: &mut Reader,
    scratch: &'s mut Scratch,
) -> Result<&'s [u8], Reason> {
    let mut event = Event::nothing();
    reader.parse(&mut event, xml)?;
    let mut forms = Forms::new(Source::Xml(&event), GroupSet::ALL, envelope, scratch);
    forms.tak()?;
    Ok(&scratch.tak)
}

/// A delete goes as contact entry, which TAK Server understands, and as the event it is, which loses nothing.
fn put_deleted(
    envelope: &Envelope,
    out: &mut Vec<u8>,
    names: &mut Vec<u8>,
    kind: &[u8],
    detail: Option<&Detail<'_>>,
) {
    let link = detail.map_or(Child::NONE, |detail| detail.link);
    let Some(uid) = link.first().filter(|_| kind == class::DELETE) else {
        return;
    };
    names.clear();
    text::write_unescaped(names, uid);
    let split = names.len();
    text::write_unescaped(names, link.second().unwrap_or_default());
    let (uid, kind) = names.split_at(split);
    envelope.put_contact(out, ContactOperation::Delete, uid, kind);
}
