//! Everything before and after the payload of a ROL message, so that the payload itself can be sent piece by piece.

use super::{blob, field};
use crate::wire::proto::{bytes_length, put_bytes, put_header};

/// What stands around a payload of known length. Without one, all of the message is in `before`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Program, then key and lengths of the payload.
    pub before: Vec<u8>,
    /// Groups, provenance and hops.
    pub after: Vec<u8>,
    /// Bytes of the whole message.
    pub length: u64,
}

/// Around a payload of that many bytes; `envelope` are fields 3 to 6.
pub fn around(program: &str, payload: Option<u64>, envelope: Vec<u8>) -> Frame {
    let mut before = Vec::with_capacity(program.len() + 32);
    put_bytes(&mut before, field::PROGRAM, program.as_bytes());
    let Some(payload) = payload else {
        before.extend_from_slice(&envelope);
        return Frame {
            length: before.len() as u64,
            before,
            after: Vec::new(),
        };
    };
    // Never more than the store takes, which is far below what a usize holds.
    let length = usize::try_from(payload).unwrap_or(usize::MAX / 2);
    put_header(
        &mut before,
        field::PAYLOAD,
        bytes_length(blob::DATA, length),
    );
    put_header(&mut before, blob::DATA, length);
    Frame {
        length: (before.len() + envelope.len()) as u64 + payload,
        before,
        after: envelope,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::cold::{BinaryBlob, Rol};
    use proptest::prelude::*;
    use prost::Message;

    proptest! {
        #[test]
        fn what_is_put_around_a_payload_is_what_prost_puts(
            program in ".{0,80}", payload in prop::collection::vec(any::<u8>(), 1..300), groups in prop::collection::vec(".{1,9}", 0..4),
        ) {
            let envelope = Rol { federate_groups: groups.clone(), ..Rol::default() }.encode_to_vec();
            let frame = around(&program, Some(payload.len() as u64), envelope.clone());
            let mut message = frame.before;
            message.extend_from_slice(&payload);
            message.extend_from_slice(&frame.after);
            prop_assert_eq!(message.len() as u64, frame.length);
            let expected = Rol {
                program: program.clone(),
                payload: vec![BinaryBlob { data: payload.into(), ..BinaryBlob::default() }],
                federate_groups: groups,
                ..Rol::default()
            };
            prop_assert_eq!(Rol::decode(message.as_slice()).unwrap(), expected.clone());
            let bare = around(&program, None, envelope);
            prop_assert_eq!(bare.before.len() as u64, bare.length);
            let expected = Rol { payload: Vec::new(), ..expected };
            prop_assert_eq!(Rol::decode(bare.before.as_slice()).unwrap(), expected);
        }
    }

    #[test]
    fn a_hundred_mebibytes_need_a_few_bytes_around_them() {
        let frame = around("create resource {};", Some(100 << 20), vec![0; 40]);
        assert_eq!(frame.length, (100 << 20) + 40 + 21 + 10);
        assert!(frame.before.len() < 40);
    }
}
