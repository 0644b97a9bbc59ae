//! How boxes on one mesh know of each other: a `TakMessage` without an event, which other programs pass over.
//!
//! It is what a program may send to say which versions of the protocol it speaks (protocol reference 6.2), with one field
//! more, [`FIELD`], which nobody else has: the box's federate id, and whether it leaves. About 35 bytes every 10 s, and
//! none where `outgoing = false`. Pure.

use super::speaker::BoxId;
use crate::wire::proto::{self, Value};
use crate::wire::tak::framing::DATAGRAM_HEADER;

/// The field of `TakMessage` that holds it.
const FIELD: u32 = 7_000;

/// What a box says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beacon {
    /// Its federate id.
    pub id: BoxId,
    /// It leaves the mesh.
    pub leaving: bool,
}

impl Beacon {
    /// The datagram that says it.
    pub fn datagram(&self) -> Vec<u8> {
        let mut out = DATAGRAM_HEADER.to_vec();
        // Versions 1 to 1 of the protocol.
        proto::put_bytes(&mut out, 1, &[8, 1, 16, 1]);
        let mut own = Vec::new();
        proto::put_bytes(&mut own, 1, &self.id);
        if self.leaving {
            proto::put_int(&mut own, 2, 1);
        }
        proto::put_bytes(&mut out, FIELD, &own);
        out
    }

    /// Reads it out of a `TakMessage`; none in any other message.
    pub fn read(message: &[u8]) -> Option<Self> {
        let mut found = None;
        for field in proto::fields(message) {
            match field.ok()? {
                // An event is an event, whatever else is said.
                (2, _) => return None,
                (FIELD, Value::Bytes(own)) => found = Some(own),
                _ => {}
            }
        }
        let (mut id, mut leaving) = (None, false);
        for field in proto::fields(found?) {
            match field.ok()? {
                (1, Value::Bytes(bytes)) => id = bytes.try_into().ok(),
                (2, Value::Varint(value)) => leaving = value != 0,
                _ => {}
            }
        }
        Some(Self { id: id?, leaving })
    }
}

/// A federate id of 32 hex digits as the number that it is.
pub fn box_id(federate_id: &str) -> BoxId {
    let mut id = [0; 16];
    for (byte, digits) in id.iter_mut().zip(federate_id.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        *byte = u8::from_str_radix(digits, 16).unwrap_or_default();
    }
    id
}

/// The same the other way round.
pub fn federate_id(id: &BoxId) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tak::{self, framing};
    use proptest::prelude::*;

    #[test]
    fn a_beacon_is_a_message_without_an_event() {
        for leaving in [false, true] {
            let id = box_id("00ff0102030405060708090a0b0c0d0e");
            assert_eq!(id[..3], [0, 255, 1]);
            assert_eq!(federate_id(&id), "00ff0102030405060708090a0b0c0d0e");
            let beacon = Beacon { id, leaving };
            let datagram = beacon.datagram();
            assert!(datagram.len() < 40);
            let framing::Datagram::Tak(message) = framing::datagram(&datagram) else {
                panic!("no TAK message");
            };
            assert_eq!(Beacon::read(message), Some(beacon));
            let read = tak::parse(message).unwrap();
            assert!(read.event.is_none());
            assert_eq!(read.control.map(|control| control.most), Some(1));
            let mut event = message.to_vec();
            proto::put_bytes(&mut event, 2, b"\x0a\x01a");
            assert_eq!(Beacon::read(&event), None);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, own: Vec<u8>) {
            let _ = Beacon::read(&bytes);
            let mut message = Vec::new();
            proto::put_bytes(&mut message, FIELD, &own);
            let _ = Beacon::read(&message);
        }
    }
}
