//! A stream that changes its form in the middle.

use super::*;
use crate::wire::tak::framing::{self, Found};

const LAST: &[u8] = b"<the last of it>";

/// An event of that number and length, in the old form.
fn old(number: usize, length: usize) -> Vec<u8> {
    let mut bytes = format!("<{number}>").into_bytes();
    bytes.resize(bytes.len() + length, b'x');
    bytes
}

/// The new form: shorter or longer, and of every seventh number there is none.
fn anew(bytes: &[u8]) -> Result<Bytes, Reason> {
    let number = number_of(bytes);
    match number % 7 {
        0 => Err(Reason::NotInTak),
        1 => Ok(Bytes::from([b"T", bytes, &[b'y'; 40]].concat())),
        _ => Ok(Bytes::from([b"T", &bytes[..bytes.len() - 1]].concat())),
    }
}

fn number_of(bytes: &[u8]) -> usize {
    let text = String::from_utf8_lossy(bytes);
    let (_, rest) = text.split_once('<').unwrap();
    rest.split('>').next().unwrap().parse().unwrap()
}

/// The numbers of all events of the old form, and of those of the new.
fn read(stream: &[u8]) -> (Vec<usize>, Vec<usize>) {
    let at = memchr::memmem::find(stream, LAST).expect("the last of it");
    let (before, mut rest) = (&stream[..at], &stream[at + LAST.len()..]);
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for at in memchr::memchr_iter(b'<', before) {
        one.push(number_of(&before[at..]));
    }
    while !rest.is_empty() {
        let Found::Message { start, end } = framing::next(rest, 4096) else {
            panic!("{rest:?}");
        };
        assert_eq!(rest[start], b'T');
        other.push(number_of(&rest[start..end]));
        rest = &rest[end..];
    }
    (one, other)
}

#[test]
fn even_one_behind_the_batch_comes_in_the_new_form() {
    for (number, goes) in [(2, true), (7, false)] {
        let mut rig = Rig::new();
        rig.offer(&old(number, 100), Class::Track, None, 0);
        rig.offer(&old(3, 2), Class::Bulk, None, 0);
        // It stands behind the batch, not handed over yet.
        let (pool, counters) = (&mut rig.pool, &mut rig.counters);
        rig.outbox.fill(pool, counters, 0);
        assert!(rig.outbox.large.is_some());
        (rig.outbox).reframe(Framing::Tak, LAST, (pool, counters), 0, anew);
        let stream = rig.everything();
        let expected = if goes { vec![number, 3] } else { vec![3] };
        assert_eq!(read(&stream), (vec![], expected));
        assert_eq!(rig.counters.dropped(Reason::NotInTak), u64::from(!goes));
        assert_eq!((rig.balance(), rig.pool.used), (rig.outbox.offered(), 0));
        assert_eq!(rig.counters.events_out, 1 + u64::from(goes));
    }
}

proptest! {
    #[test]
    fn all_comes_once_in_one_form_or_the_other(
        offers in proptest::collection::vec((0usize..90, 0usize..5, any::<bool>()), 0..20),
        switch in any::<proptest::sample::Index>(),
    ) {
        let mut rig = Rig::new();
        let switch = switch.index(offers.len() + 1);
        let mut stream = Vec::new();
        let made = |number: usize, length| match number > switch {
            true => anew(&old(number, length)),
            false => Ok(Bytes::from(old(number, length))),
        };
        for (number, &(length, class, poll)) in (1..).zip(&offers) {
            if number == switch + 1 {
                let tally = (&mut rig.pool, &mut rig.counters);
                rig.outbox.reframe(Framing::Tak, LAST, tally, 0, anew);
            }
            if let Ok(bytes) = made(number, length) {
                rig.offer(&bytes, Class::ALL[class], None, 0);
            }
            if poll {
                stream.extend(rig.poll(0).unwrap_or_default());
            }
            prop_assert_eq!(rig.balance(), rig.outbox.offered());
        }
        if switch == offers.len() {
            let tally = (&mut rig.pool, &mut rig.counters);
            rig.outbox.reframe(Framing::Tak, LAST, tally, 0, anew);
        }
        stream.extend(rig.everything());
        let (one, other) = read(&stream);
        prop_assert!(one.iter().all(|&number| number <= switch));
        let mut all = [one, other].concat();
        let count = all.len() as u64;
        all.sort_unstable();
        all.dedup();
        prop_assert_eq!(all.len() as u64, count, "each once");
        // The last of it is one of those that were sent.
        prop_assert_eq!(count + 1, rig.outbox.sent());
        prop_assert_eq!((rig.balance(), rig.pool.used, rig.outbox.queued()), (rig.outbox.offered(), 0, 0));
    }
}
