//! Packing against unpacking, and against bytes that nobody packed.

use super::*;
use crate::wire::fig;
use proptest::prelude::*;

/// The events of the primer with other uids, places and times, over and over.
fn stream(events: usize) -> Vec<Vec<u8>> {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let tracks: Vec<String> = (0..50).map(|_| format!("{:016x}", random())).collect();
    let frames = frames(PRIMER);
    let track = frames
        .iter()
        .find(|frame| memmem(frame, b"HAWK-2").is_some())
        .unwrap();
    let (uid, lat) = (
        memmem(track, b"b8d4e2f01a6c3957").unwrap(),
        memmem(track, &47.069_881_2_f64.to_le_bytes()).unwrap(),
    );
    (0..events)
        .map(|number| {
            let mut event = track.to_vec();
            event[uid..uid + 16].copy_from_slice(tracks[number % 50].as_bytes());
            let place = 47.0 + (random() % 1_000_000) as f64 / 1e7;
            event[lat..lat + 8].copy_from_slice(&place.to_le_bytes());
            event
        })
        .collect()
}

fn memmem(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, wanted)
}

fn frames(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while let Some(&[_, a, b, c, d]) = bytes.first_chunk::<5>() {
        let (frame, rest) = bytes.split_at(5 + u32::from_be_bytes([a, b, c, d]) as usize);
        frames.push(frame);
        bytes = rest;
    }
    assert!(bytes.is_empty());
    frames
}

#[test]
fn the_primer_is_what_the_wire_carries() {
    let frames = frames(PRIMER);
    assert!(frames.len() >= 6);
    for frame in frames {
        let message = fig::parse(&frame[5..], b"ffffffffffffffffffffffffffffffff");
        assert!(message.is_ok(), "{message:?}");
    }
}

#[test]
fn tracks_take_a_fifth_at_most_and_come_out_as_they_went_in() {
    let (mut packer, mut unpacker) = (Packer::new(), Unpacker::new());
    let (mut plain, mut packed) = (0, 0);
    for event in stream(200) {
        let mut code = Vec::new();
        packer.pack(&event, &mut code);
        plain += event.len();
        packed += code.len();
        let mut out = Vec::new();
        unpacker.unpack(&code, &mut out).unwrap();
        assert_eq!(out, event);
    }
    assert!(packed * 5 < plain, "{packed} of {plain}");
}

#[test]
fn what_repeats_for_ever_still_costs_its_share_of_work() {
    let (mut packer, mut unpacker) = (Packer::new(), Unpacker::new());
    for _ in 0..20 {
        let mut code = Vec::new();
        packer.pack(&[0; LONGEST], &mut code);
        assert!(code.len() >= 2 + LONGEST / MOST_RATIO);
        let mut out = Vec::new();
        unpacker.unpack(&code, &mut out).unwrap();
        assert_eq!(out, [0; LONGEST]);
    }
}

#[test]
fn a_bomb_is_refused_before_any_work() {
    let mut unpacker = Unpacker::new();
    let mut out = Vec::new();
    for bomb in [
        &[][..],
        &[0],
        &[0xff, 0xff, 1, 2, 3],
        &[0x10, 0x01, 0, 0],
        &[0, 65, 0],
    ] {
        assert_eq!(unpacker.unpack(bomb, &mut out), Err(Unreadable), "{bomb:?}");
    }
    assert_eq!(out.capacity(), 0);
}

#[test]
fn the_memory_is_what_the_sum_says() {
    const { assert!(MEMORY <= 113 * 1024) };
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_bytes_come_out_as_they_went_in(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 1..6),
        cuts in prop::collection::vec(1_usize..900, 1..4),
    ) {
        // Noise between real events, cut anywhere.
        let mut bytes: Vec<u8> = stream(3).concat();
        for piece in &pieces {
            bytes.extend_from_slice(piece);
            bytes.extend(stream(1).concat());
        }
        let (mut packer, mut unpacker) = (Packer::new(), Unpacker::new());
        let (mut out, mut at) = (Vec::new(), 0);
        for cut in cuts.iter().cycle() {
            if at == bytes.len() {
                break;
            }
            let end = bytes.len().min(at + cut);
            let mut code = Vec::new();
            packer.pack(&bytes[at..end], &mut code);
            prop_assert!(code.len() <= LONGEST_PACKED);
            unpacker.unpack(&code, &mut out).unwrap();
            at = end;
        }
        prop_assert_eq!(out, bytes);
    }

    #[test]
    fn no_bytes_do_harm(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..8),
    ) {
        let mut unpacker = Unpacker::new();
        for piece in &pieces {
            let mut out = Vec::new();
            let _ = unpacker.unpack(piece, &mut out);
            prop_assert!(out.len() <= LONGEST && out.len() <= piece.len() * MOST_RATIO);
        }
    }
}
