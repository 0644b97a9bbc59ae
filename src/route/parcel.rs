//! What is offered to an outbox, and what an outbox is bounded by.

use bytes::Bytes;

use super::link::Wire;
use super::queue::Waiting;
use super::trace::{Mark, Traces};
use crate::cot::Class;

/// How events stand one behind the other on the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// XML, back to back.
    None,
    /// TAK protocol v1 on a stream: 0xBF and the length as a varint before each.
    Tak,
    /// gRPC: a zero byte and a 4-byte big-endian length before each.
    Grpc,
    /// Federation v1: a 4-byte big-endian length before each.
    Length,
}

impl From<Wire> for Framing {
    fn from(wire: Wire) -> Self {
        match wire {
            Wire::Xml => Self::None,
            Wire::Tak => Self::Tak,
            Wire::Federated => Self::Grpc,
            Wire::Legacy => Self::Length,
        }
    }
}

/// Bounds of one outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Parcels that may wait.
    pub events: usize,
    /// Bytes that may wait, with what each parcel takes beside its own.
    pub bytes: usize,
    /// Bytes of one batch; a single larger event still goes, alone.
    pub batch: usize,
}

/// What a thin link takes at once, so that nothing urgent stands behind much else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thin {
    /// A batch is closed at this length, bytes, if anything is in it.
    pub batch: usize,
    /// Longest event of each [`Class`] that is taken at all, bytes.
    pub longest: [usize; Class::COUNT],
}

/// What a connection takes now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// The next batch.
    All,
    /// Emergencies only: the budget is used up, and they may overdraw it.
    Emergencies,
}

/// What all outboxes share: bytes that may wait, and the notes of what became of each event.
#[derive(Debug, Default)]
pub struct Pool {
    /// Bytes that wait for all links together.
    pub used: usize,
    /// The bound.
    pub limit: usize,
    /// What became of the newest event of each uid.
    pub traces: Traces,
}

/// An event offered to a link, in the link's wire form.
#[derive(Debug, Clone, Copy)]
pub struct Parcel<'a> {
    /// Its bytes, without framing.
    pub bytes: &'a [u8],
    /// Its class.
    pub class: Class,
    /// Hash of the uid under which a newer one takes its place.
    pub key: Option<u64>,
    /// Event time, milliseconds since 1970.
    pub time_ms: i64,
    /// It deletes the item of that uid.
    pub delete: bool,
    /// Not worth sending from here on, monotonic milliseconds.
    pub deadline_ms: Option<u64>,
    /// An event, and counted as one; `false` for a contact entry.
    pub event: bool,
    /// Where what becomes of it is noted.
    pub mark: Mark,
}

impl Parcel<'_> {
    /// Itself with a copy of its bytes, which all who keep it share.
    pub(super) fn waiting(&self, copy: &mut Option<Bytes>, since_ms: u32) -> Waiting {
        Waiting {
            bytes: copy
                .get_or_insert_with(|| Bytes::copy_from_slice(self.bytes))
                .clone(),
            class: self.class,
            key: self.key,
            time_ms: self.time_ms,
            delete: self.delete,
            deadline_ms: self.deadline_ms.unwrap_or(u64::MAX),
            event: self.event,
            since_ms,
        }
    }
}
