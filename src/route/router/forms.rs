//! One event in every wire form that some link wants, each made at most once and shared.

use bytes::Bytes;

use super::Scratch;
use crate::cot::federated::{self, ContactOperation, Envelope, LabelId};
use crate::cot::{class, render};
use crate::counters::Reason;
use crate::route::groups::GroupSet;
use crate::route::link::Wire;
use crate::wire::fig::{Federated, Geo};
use crate::wire::text;
use crate::wire::xml::{Detail, Event};

/// An event, in the form it came in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    /// From a client.
    Xml(&'a Event<'a>),
    /// From a federate, with its checked detail.
    Federated(&'a Federated<'a>, &'a Geo<'a>, Option<&'a Detail<'a>>),
}

impl<'a> Source<'a> {
    /// It may go one hop more, and that is the last: a hub could pass it to nobody.
    #[cold]
    pub(super) fn is_last_hop(&self) -> bool {
        match self {
            Self::Xml(_) => false,
            Self::Federated(message, ..) => federated::is_last_hop(message),
        }
    }

    /// Its detail, if it has one that was looked at.
    pub(super) fn detail(&self) -> Option<&'a Detail<'a>> {
        match self {
            Self::Xml(event) => event.detail.as_ref(),
            Self::Federated(_, _, detail) => *detail,
        }
    }

    /// The event's uid, as it is spelled in this form, and its type.
    pub(super) fn uid_and_kind(&self) -> (&'a [u8], &'a [u8]) {
        match self {
            Self::Xml(event) => (event.uid, event.kind),
            Self::Federated(_, geo, _) => (geo.uid, geo.kind),
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
    xml_copy: Option<Bytes>,
    federated_copy: Option<Bytes>,
}

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
            xml_copy: None,
            federated_copy: None,
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
        }
    }

    /// In the form that a link of that kind wants, with the place for its copy.
    pub(super) fn of(&mut self, wire: Wire) -> Result<(&[u8], &mut Option<Bytes>), Reason> {
        match wire {
            Wire::Xml => self.xml(),
            // The form of its own comes with the codec of TAK protocol v1; nothing sets this wire before.
            Wire::Tak => Err(Reason::Incomplete),
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
                    put_deleted(envelope, out, names, event);
                    let made = envelope.put_event(out, event);
                    self.tail = envelope.begin_of_tail(out);
                    if label != LabelId::PLAIN && made.is_ok() {
                        out.truncate(self.tail);
                        envelope.put_tail(out, label, self.groups, None);
                    }
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
                Source::Xml(_) => {
                    out.truncate(self.tail);
                    self.envelope.put_tail(out, label, self.groups, None);
                }
                Source::Federated(..) => self.federated = None,
            }
        }
    }
}

/// A delete goes as contact entry, which TAK Server understands, and as the event it is, which loses nothing.
fn put_deleted(envelope: &Envelope, out: &mut Vec<u8>, names: &mut Vec<u8>, event: &Event<'_>) {
    let link = event.detail.unwrap_or_default().link;
    let Some(uid) = link.first().filter(|_| event.kind == class::DELETE) else {
        return;
    };
    names.clear();
    text::write_unescaped(names, uid);
    let split = names.len();
    text::write_unescaped(names, link.second().unwrap_or_default());
    let (uid, kind) = names.split_at(split);
    envelope.put_contact(out, ContactOperation::Delete, uid, kind);
}
