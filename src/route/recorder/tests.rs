use super::*;
use crate::counters::Reason;

fn now(ms: u64) -> Now {
    Now {
        mono_ms: ms,
        wall_ms: 1_790_000_000_000 + ms as i64,
    }
}

fn came<'a>(uid: &'a [u8], verdict: Verdict, bytes: &'a [u8]) -> Came<'a> {
    Came {
        from: 3,
        form: Form::Xml,
        key: 1,
        content: 2,
        uid,
        kind: b"a-f-G-U-C",
        class: Class::Track,
        verdict,
        left_ms: Some(60_000),
        special: false,
        bytes,
    }
}

#[test]
fn what_went_wrong_keeps_its_bytes_and_what_passed_does_not() {
    let recorder = Recorder::new(32 * 1024);
    recorder.up(3, LinkKind::Client, "10.0.0.7:4242", now(1));
    recorder.event(&came(b"one", Verdict::Routed(2), b"<event/>"), now(2));
    let refused = Verdict::Dropped(Reason::Duplicate);
    recorder.event(&came(b"two", refused, b"<event uid='two'/>"), now(3));
    recorder.words(Topic::Link, "bravo waiting: refused by host", now(4));
    recorder.down(3, now(5));
    let recording = recorder.recording().unwrap();
    assert_eq!(recording.links, [], "no link was up before the first note");
    let kept: Vec<Option<&[u8]>> = recording
        .notes
        .iter()
        .filter_map(|note| match &note.what {
            What::Event { bytes, .. } => Some(bytes.as_deref()),
            _ => None,
        })
        .collect();
    assert_eq!(kept, [None, Some(&b"<event uid='two'/>"[..])]);
    assert!(
        matches!(&recording.notes[3].what, What::Words { words, .. } if words.starts_with("bravo waiting"))
    );
    let bytes = recording.to_bytes();
    assert_eq!(Recording::from_bytes(&bytes), Ok(recording));
    for cut in 0..bytes.len() {
        assert_eq!(Recording::from_bytes(&bytes[..cut]), Err(Damaged));
    }
}

#[test]
fn the_ring_keeps_the_newest_and_never_grows() {
    let recorder = Recorder::new(8 * 1024);
    recorder.up(
        9,
        LinkKind::Federate {
            incoming: true,
            outgoing: false,
        },
        "bravo",
        now(0),
    );
    let text = [b'x'; 700];
    for number in 0..10_000_u64 {
        let uid = format!("uid-{number}");
        recorder.event(
            &came(uid.as_bytes(), Verdict::Dropped(Reason::Loop), &text),
            now(number),
        );
    }
    let (made, room) = recorder.count();
    assert_eq!(made, 10_001);
    let recording = recorder.recording().unwrap();
    assert_eq!(recording.notes.len(), room);
    assert_eq!(recording.missed, made - room as u64);
    let What::Event { uid, bytes, .. } = &recording.notes[room - 1].what else {
        panic!("an event");
    };
    assert_eq!(
        (uid.as_str(), bytes.as_deref()),
        ("uid-9999", Some(&text[..]))
    );
    let What::Event { bytes: oldest, .. } = &recording.notes[0].what else {
        panic!("an event");
    };
    assert_eq!(
        *oldest, None,
        "bytes of long ago are gone, and not somebody else's"
    );
    assert_eq!(recording.links.len(), 1, "up before the first note");
    let ring = recorder.lock();
    let taken = ring.entries.capacity() * size_of::<Entry>() + ring.bytes.capacity();
    assert!(taken <= 8 * 1024, "{taken}");
}

#[test]
fn a_recorder_without_memory_records_nothing() {
    let recorder = Recorder::new(0);
    recorder.event(&came(b"one", Verdict::Consumed, b"x"), now(1));
    recorder.words(Topic::Clock, "stepped", now(1));
    assert!(recorder.recording().unwrap().notes.is_empty());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let _ = Recording::from_bytes(&bytes);
        let mut marked = Vec::from(*b"tbr1");
        marked.extend_from_slice(&bytes);
        let crc = crc32fast::hash(&marked);
        marked.extend_from_slice(&crc.to_le_bytes());
        let _ = Recording::from_bytes(&marked);
    }
}
