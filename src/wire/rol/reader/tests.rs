use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::wire::cold::{self, BinaryBlob, BinaryType, FederateHops, FederateProvenance};
use crate::wire::proto;
use crate::wire::rol::program::{announce_package, create_resource};

/// What a message gave.
#[derive(Debug, Default, PartialEq)]
struct Read {
    /// What was known of the program when the payload began, and the payload's bytes.
    payloads: Vec<(bool, u64, Vec<u8>)>,
    rooms: Vec<usize>,
    end: Option<Rol>,
}

/// Reads a message in pieces; what is behind it stays.
fn read(message: &[u8], cuts: &[usize]) -> Result<Read, Unreadable> {
    let mut reader = Reader::new(message.len() as u64);
    let stream = [message, b"behind"].concat();
    let (mut at, mut cuts, mut read) = (0, cuts.iter().cycle(), Read::default());
    let mut input = Bytes::new();
    loop {
        match reader.step(&mut input)? {
            Step::More => {
                assert!(input.is_empty());
                let end = stream.len().min(at + cuts.next().unwrap());
                input = Bytes::copy_from_slice(&stream[at..end]);
                at = end;
            }
            Step::Room(room) => read.rooms.push(room),
            Step::Payload(length) => {
                let known = reader.program().is_some();
                read.payloads.push((known, length, Vec::new()));
            }
            Step::Piece(piece) => read.payloads.last_mut().unwrap().2.extend(piece),
            Step::PayloadEnd => {}
            Step::End(rol) => {
                assert_eq!(reader.left(), 0);
                assert_eq!([&input[..], &stream[at..]].concat(), b"behind");
                read.end = Some(rol);
                return Ok(read);
            }
        }
    }
}

fn message(program: String, payloads: Vec<Vec<u8>>, groups: Vec<String>) -> cold::Rol {
    let blob = |data: Vec<u8>| BinaryBlob {
        r#type: BinaryType::Other.into(),
        data: data.into(),
        filename: "a file".into(),
        timestamp: -1,
        ..BinaryBlob::default()
    };
    cold::Rol {
        program,
        payload: payloads.into_iter().map(blob).collect(),
        federate_groups: groups,
        federate_provenance: vec![FederateProvenance {
            federation_server_id: "f".repeat(32),
            federation_server_name: String::new(),
        }],
        federate_hops: Some(FederateHops {
            max_hops: -1,
            current_hops: 1,
        }),
        federate_group_hop_limits: None,
    }
}

/// The fields of a message, each with its key.
fn fields_of(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut fields = proto::fields(bytes);
    let mut found = Vec::new();
    loop {
        let rest = fields.rest();
        if fields.next().is_none() {
            return found;
        }
        found.push(rest[..rest.len() - fields.rest().len()].to_vec());
    }
}

proptest! {
    #[test]
    fn every_order_and_every_split_gives_what_prost_reads(
        kind in 0..3,
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..600), 0..3),
        groups in prop::collection::vec("[a-z]{1,9}", 0..3),
        order in prop::collection::vec(any::<u32>(), 12),
        cuts in prop::collection::vec(1_usize..200, 1..8),
        unknown in prop::option::of(prop::collection::vec(any::<u8>(), 0..50)),
    ) {
        let program = match kind {
            0 => create_resource(r#"{"keywords":[]}"#),
            1 => announce_package("{}"),
            _ => "create mission {};".to_owned(),
        };
        let sent = message(program.clone(), payloads.clone(), groups);
        let mut fields = fields_of(&sent.encode_to_vec());
        let mut extra = Vec::new();
        if let Some(unknown) = &unknown {
            proto::put_bytes(&mut extra, 99, unknown);
            proto::put_int(&mut extra, 98, -1);
            proto::put_double(&mut extra, 97, 1.5);
            fields.extend(fields_of(&extra));
        }
        let mut shuffled: Vec<_> = fields.into_iter().zip(order.iter().cycle()).collect();
        shuffled.sort_by_key(|(_, order)| **order);
        let is_body = |field: &&(Vec<u8>, &u32)| matches!(field.0[0] >> 3, 1 | 2) && field.0[0] & 0x80 == 0;
        let body: Vec<u8> = shuffled.iter().filter(is_body).flat_map(|(field, _)| field.clone()).collect();
        let bytes: Vec<u8> = shuffled.into_iter().flat_map(|(field, _)| field).collect();
        let expected = cold::Rol::decode(bytes.as_slice()).unwrap();
        let read = read(&bytes, &cuts).unwrap();
        let rol = read.end.unwrap();
        prop_assert_eq!(&rol.program, &program);
        prop_assert_eq!(rol.payloads as usize, payloads.len());
        let envelope = cold::Rol::decode(&*rol.envelope).unwrap();
        prop_assert_eq!(&envelope.federate_groups, &expected.federate_groups);
        prop_assert_eq!(&envelope.federate_provenance, &expected.federate_provenance);
        prop_assert_eq!(envelope.federate_hops, expected.federate_hops);
        let unknown_kept = rol.envelope.len() - envelope.encoded_len();
        prop_assert_eq!(unknown_kept, extra.len());
        if kind == 2 {
            prop_assert_eq!(rol.body.as_deref(), Some(body.as_slice()), "passed on to the letter");
            prop_assert!(read.payloads.is_empty());
        } else {
            prop_assert_eq!(&rol.body, &None);
            // The first payload was either given on or is at the end.
            let first = match &rol.payload {
                Some(payload) => Some(payload.to_vec()),
                None => read.payloads.first().map(|(known, length, data)| {
                    assert!(*known && *length == data.len() as u64);
                    data.clone()
                }),
            };
            prop_assert_eq!(first, expected.payload.first().map(|blob| blob.data.to_vec()));
        }
    }

    #[test]
    fn no_bytes_make_it_panic_or_keep_more_than_it_asked_for(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        cuts in prop::collection::vec(1_usize..50, 1..4),
        length in any::<u64>(),
    ) {
        let _ = read(&bytes, &cuts);
        let mut reader = Reader::new(length);
        let mut input = Bytes::from(bytes);
        let mut room = 0;
        while let Ok(step) = reader.step(&mut input) {
            match step {
                Step::More | Step::End(_) => break,
                Step::Room(more) => room = more,
                _ => {}
            }
            let kept = reader.text.len() + reader.envelope.len() + reader.body.as_ref().map_or(0, Vec::len);
            prop_assert!(kept <= room.max(ENVELOPE_LIMIT), "{kept} of {room}");
        }
    }
}

#[test]
fn a_long_message_is_given_on_and_not_kept() {
    let data = vec![7; 3 << 20];
    let sent = message(create_resource("{}"), vec![data.clone()], vec!["a".into()]);
    let read = read(&sent.encode_to_vec(), &[16_384]).unwrap();
    assert_eq!(read.rooms, [FIRST_ROOM]);
    assert_eq!(read.payloads, [(true, data.len() as u64, data)]);
    let rol = read.end.unwrap();
    assert_eq!((rol.body, rol.payload), (None, None));
}

#[test]
fn a_long_payload_before_its_program_is_given_on_without_it() {
    let sent = message(create_resource("{}"), vec![vec![7; 100_000]], Vec::new());
    let mut fields = fields_of(&sent.encode_to_vec());
    fields.swap(0, 1);
    let read = read(&fields.concat(), &[5000]).unwrap();
    assert!(!read.payloads[0].0);
    assert_eq!(read.payloads[0].2.len(), 100_000);
    assert_eq!(read.end.unwrap().program, create_resource("{}"));
}

#[test]
fn lengths_that_lie_are_refused_before_anything_is_kept() {
    let lies = |message: &[u8], length: u64| {
        let mut reader = Reader::new(length);
        let mut input = Bytes::copy_from_slice(message);
        loop {
            match reader.step(&mut input) {
                Ok(Step::Room(_)) => {}
                Ok(step) => panic!("{step:?}"),
                Err(Unreadable(why)) => {
                    assert_eq!(reader.text.capacity() + reader.envelope.capacity(), 0);
                    return why;
                }
            }
        }
    };
    let longer = "a field is longer than what it stands in";
    assert_eq!(lies(&[0x0a, 200, 1], 100), longer, "program");
    assert_eq!(lies(&[0x12, 200, 1], 100), longer, "payload");
    assert_eq!(lies(&[0x12, 50, 0x12, 60], 100), longer, "data in payload");
    assert_eq!(
        lies(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], 1 << 40),
        "the program is too long"
    );
    assert_eq!(
        lies(&[0x22, 0x80, 0x80, 0x04], 1 << 40),
        "groups and provenance are too long"
    );
    assert_eq!(
        lies(&[0x08, 1], 100),
        "a field is of another kind than it should be"
    );
    assert_eq!(
        lies(&[0x0b], 100),
        "a field is of a kind that does not exist"
    );
    assert_eq!(lies(&[0xff; 11], 100), "a number is too long");
    assert_eq!(lies(&[0x0a], 1), "a field is cut off");
    assert_eq!(lies(&[], 0), "it has no program");
    assert_eq!(lies(&[0x12, 1, 0x12, 0x0a, 0], 5), "a field is cut off");
}

#[test]
fn what_is_no_program_is_unreadable() {
    for (program, why) in [
        ("create resource {}", "the program does not end with one ;"),
        (
            "{};",
            "the program does not begin with an operation and a resource",
        ),
    ] {
        let sent = message(program.to_owned(), Vec::new(), Vec::new()).encode_to_vec();
        assert_eq!(read(&sent, &[7]), Err(Unreadable(why)));
    }
    let mut twice = message("a b {};".into(), Vec::new(), Vec::new()).encode_to_vec();
    twice.extend(twice.clone());
    assert_eq!(read(&twice, &[7]), Err(Unreadable("it has two programs")));
}
