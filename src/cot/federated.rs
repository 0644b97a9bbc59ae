//! The envelope around an event on its way to federates: groups, provenance, hops (protocol reference 1.6).

use super::{encode, tak};
use crate::counters::Reason;
use crate::wire::fig::{Federated, Hops, federated};
use crate::wire::proto::{bytes_length, int_length, put_bytes, put_header, put_int};
use crate::wire::tak::Event as TakEvent;
use crate::wire::xml::{Detail, Event};

/// TAK's name for the group of everybody who was given none.
pub const DEFAULT_GROUP: &[u8] = b"__ANON__";

/// A `ContactListEntry`'s operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactOperation {
    /// CREATE
    Create = 1,
    /// DELETE
    Delete = 4,
}

/// What this box writes around every event.
#[derive(Debug, Clone)]
pub struct Envelope {
    id: Vec<u8>,
    own: Vec<u8>,
}

impl Envelope {
    /// The envelope of a box whose federate id is `id` (32 hex digits).
    pub fn new(id: &[u8]) -> Self {
        let mut own = Vec::new();
        // The same list on every event: each one overwrites what a TAK Server shows (protocol reference 1.5).
        put_bytes(&mut own, federated::GROUPS, DEFAULT_GROUP);
        put_provenance(&mut own, id);
        put_hops(
            &mut own,
            Hops {
                max: -1,
                current: 1,
            },
        );
        Self {
            id: id.to_vec(),
            own,
        }
    }

    /// Our federate id.
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// Appends a local event as a `FederatedEvent`.
    ///
    /// # Errors
    /// [`Reason::Incomplete`]; `out` is as before.
    pub fn put_event(&self, out: &mut Vec<u8>, event: &Event<'_>) -> Result<(), Reason> {
        encode::put_event(out, federated::EVENT, event, &self.own)
    }

    /// Appends the event of a local `TakMessage` as a `FederatedEvent`; `shown` is what [`tak::read_detail`] noted.
    ///
    /// # Errors
    /// [`Reason::Incomplete`]; `out` is as before.
    pub fn put_tak_event(
        &self,
        out: &mut Vec<u8>,
        event: &TakEvent<'_>,
        shown: Option<&Detail<'_>>,
    ) -> Result<(), Reason> {
        tak::to_geo::put_event(out, federated::EVENT, event, shown, &self.own)
    }

    /// Appends a contact as a field of the message being written; follow with [`Envelope::finish`] or an event.
    pub fn put_contact(
        &self,
        out: &mut Vec<u8>,
        operation: ContactOperation,
        uid: &[u8],
        callsign: &[u8],
    ) {
        let length = int_length(1, operation as i64)
            + bytes_length(2, uid.len())
            + bytes_length(3, callsign.len());
        put_header(out, federated::CONTACT, length);
        put_int(out, 1, operation as i64);
        put_bytes(out, 2, uid);
        put_bytes(out, 3, callsign);
    }

    /// Appends groups, provenance and hops.
    pub fn finish(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.own);
    }

    /// Appends another federate's message as it goes on to the next: its own bytes, then what we add. Fields that we do
    /// not know stay, because nothing is encoded again.
    ///
    /// # Errors
    /// [`Reason::HopLimit`] when it may not go on.
    pub fn put_relayed(&self, out: &mut Vec<u8>, message: &Federated<'_>) -> Result<(), Reason> {
        let hops = match message.hops {
            Some(Hops { max, current }) => Hops {
                max,
                current: current.saturating_add(1),
            },
            // What Federation Hub sets when there are none.
            None => Hops {
                max: -1,
                current: 2,
            },
        };
        if hops.max != -1 && hops.current > hops.max {
            return Err(Reason::HopLimit);
        }
        out.extend_from_slice(message.bytes);
        out.extend_from_slice(message.edits);
        put_provenance(out, &self.id);
        put_hops(out, hops);
        Ok(())
    }
}

fn put_provenance(out: &mut Vec<u8>, id: &[u8]) {
    put_header(out, federated::PROVENANCE, bytes_length(1, id.len()));
    put_bytes(out, 1, id);
}

fn put_hops(out: &mut Vec<u8>, hops: Hops) {
    let length = int_length(1, hops.max) + int_length(2, hops.current);
    put_header(out, federated::HOPS, length);
    put_int(out, 1, hops.max);
    put_int(out, 2, hops.current);
}
