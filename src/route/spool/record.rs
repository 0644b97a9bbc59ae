//! The format of a segment: records one behind the other, each with its length and a CRC.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of what follows the CRC, little endian |
//! | 4 | CRC-32 of what follows |
//! | 1 | 1 = event, 2 = everything below this number has arrived |
//! | 8 | number in the lane, little endian |
//! | 8 | when it was written, wall clock, milliseconds since 1970, little endian |
//! | rest | the event as `FederatedEvent` |
//!
//! A power cut leaves a torn record at the end: it is cut off. A damaged record before the end is passed over if a
//! sound one follows it.

/// What a segment begins with.
pub const MAGIC: [u8; 8] = *b"tmbspl1\n";
/// Length and CRC.
pub const HEAD: usize = 8;
const FIXED: usize = 17;
/// What a record takes beside its event, bytes.
pub const OVERHEAD: usize = HEAD + FIXED;
/// No record is longer, bytes; the largest event that can be configured is half of it.
pub const LONGEST: usize = 8 * 1024 * 1024;

const EVENT: u8 = 1;
const ARRIVED: u8 = 2;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// An event, as `FederatedEvent`.
    Event(&'a [u8]),
    /// Everything below the record's number has arrived at the peer.
    Arrived,
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its number in the lane, from 1.
    pub number: u64,
    /// When it was spooled, wall clock, milliseconds since 1970.
    pub wall_ms: i64,
    /// What it says.
    pub content: Content<'a>,
}

/// What stands at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read<'a> {
    /// A sound record, and its whole length.
    Sound(Record<'a>, usize),
    /// Something of that whole length whose CRC is wrong.
    Damaged(usize),
    /// The end, or what a power cut left of a record.
    Torn,
}

/// Appends a record.
pub fn put(out: &mut Vec<u8>, record: &Record<'_>) {
    let (kind, event) = match record.content {
        Content::Event(event) => (EVENT, event),
        Content::Arrived => (ARRIVED, &[][..]),
    };
    let length = FIXED + event.len();
    let from = out.len();
    out.extend_from_slice(&(length as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.push(kind);
    out.extend_from_slice(&record.number.to_le_bytes());
    out.extend_from_slice(&record.wall_ms.to_le_bytes());
    out.extend_from_slice(event);
    let crc = crc32fast::hash(&out[from + HEAD..]);
    out[from + 4..from + HEAD].copy_from_slice(&crc.to_le_bytes());
}

/// The whole length that a record's head announces, if it can be true.
pub fn announced(head: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(head.get(..4)?.try_into().ok()?) as usize;
    (FIXED..=LONGEST).contains(&length).then_some(HEAD + length)
}

/// The number in a record's first [`OVERHEAD`] bytes.
pub fn number(head: &[u8]) -> Option<u64> {
    let bytes = head.get(HEAD + 1..HEAD + 9)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// Whether a record's first [`OVERHEAD`] bytes are those of an event.
pub fn is_event(head: &[u8]) -> bool {
    head.get(HEAD) == Some(&EVENT)
}

/// Reads what stands at the beginning of `bytes`.
pub fn read(bytes: &[u8]) -> Read<'_> {
    let Some(whole) = announced(bytes) else {
        return Read::Torn;
    };
    let Some(body) = bytes.get(HEAD..whole) else {
        return Read::Torn;
    };
    let crc = bytes.get(4..HEAD).unwrap_or_default();
    if crc32fast::hash(body).to_le_bytes() != crc {
        return Read::Damaged(whole);
    }
    let (fixed, event) = body.split_at(FIXED);
    let content = match fixed[0] {
        EVENT => Content::Event(event),
        ARRIVED if event.is_empty() => Content::Arrived,
        _ => return Read::Damaged(whole),
    };
    let eight = |at: usize| fixed[at..at + 8].try_into().unwrap_or_default();
    let record = Record {
        number: u64::from_le_bytes(eight(1)),
        wall_ms: i64::from_le_bytes(eight(9)),
        content,
    };
    Read::Sound(record, whole)
}

/// The sound records of what stands behind [`MAGIC`], in their order.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    damaged: u32,
}

impl<'a> Records<'a> {
    /// The records in `bytes`.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            damaged: 0,
        }
    }

    /// Where the sound part ends, once all were read: what lies behind is a torn tail.
    pub fn end(&self) -> usize {
        self.at
    }

    /// Damaged records that were passed over.
    pub fn damaged(&self) -> u32 {
        self.damaged
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        let mut ahead = self.at;
        loop {
            match read(self.bytes.get(ahead..)?) {
                Read::Sound(record, length) => {
                    self.at = ahead + length;
                    return Some(record);
                }
                // Only if something sound comes behind it; else it is the torn tail.
                Read::Damaged(length) => {
                    ahead += length;
                    if !matches!(read(self.bytes.get(ahead..)?), Read::Sound(..)) {
                        return None;
                    }
                    self.damaged += 1;
                }
                Read::Torn => return None,
            }
        }
    }
}

/// What is known of a segment after looking at it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Survey {
    /// Bytes up to the torn tail, [`MAGIC`] included; 0 = this is no segment.
    pub sound_bytes: usize,
    /// Events in it.
    pub events: u32,
    /// One more than the number of its last event; 0 = there is none.
    pub end: u64,
    /// Everything below has arrived, as far as this segment says.
    pub arrived: u64,
    /// When its first event was spooled, milliseconds since 1970.
    pub oldest_ms: i64,
    /// When its last event was spooled.
    pub newest_ms: i64,
    /// Damaged records that were passed over.
    pub damaged: u32,
}

/// Looks at a whole segment.
pub fn survey(bytes: &[u8]) -> Survey {
    let Some(body) = bytes.strip_prefix(&MAGIC) else {
        return Survey::default();
    };
    let mut records = Records::of(body);
    let mut survey = Survey::default();
    for record in records.by_ref() {
        match record.content {
            Content::Event(_) => {
                if survey.events == 0 {
                    survey.oldest_ms = record.wall_ms;
                }
                survey.newest_ms = record.wall_ms;
                survey.events += 1;
                survey.end = survey.end.max(record.number.saturating_add(1));
            }
            Content::Arrived => survey.arrived = survey.arrived.max(record.number),
        }
    }
    survey.sound_bytes = MAGIC.len() + records.end();
    survey.damaged = records.damaged();
    survey
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment(events: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = MAGIC.to_vec();
        let mut ends = vec![bytes.len()];
        for (at, event) in events.iter().enumerate() {
            let record = Record {
                number: at as u64 + 1,
                wall_ms: 1_790_000_000_000 + at as i64,
                content: Content::Event(event),
            };
            put(&mut bytes, &record);
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn events(bytes: &[u8]) -> Vec<Vec<u8>> {
        Records::of(bytes.strip_prefix(&MAGIC).unwrap_or_default())
            .filter_map(|record| match record.content {
                Content::Event(event) => Some(event.to_vec()),
                Content::Arrived => None,
            })
            .collect()
    }

    fn some_events() -> impl Strategy<Value = Vec<Vec<u8>>> {
        proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..12)
    }

    proptest! {
        #[test]
        fn cut_at_any_byte_it_opens_with_all_that_was_whole(written in some_events(), cut in any::<prop::sample::Index>()) {
            let (bytes, ends) = segment(&written);
            let cut = cut.index(bytes.len() + 1);
            let survey = survey(&bytes[..cut]);
            let whole = ends.iter().filter(|&&end| end <= cut).count();
            prop_assert_eq!(survey.events as usize, whole.saturating_sub(1));
            prop_assert_eq!(survey.sound_bytes, whole.checked_sub(1).map_or(0, |last| ends[last]));
            prop_assert_eq!(events(&bytes[..cut]), written[..whole.saturating_sub(1)].to_vec());
        }

        #[test]
        fn a_flipped_bit_never_makes_an_event_and_what_stands_behind_is_found(
            written in some_events(), at in any::<prop::sample::Index>(), bit in 0..8_u8,
        ) {
            let (mut bytes, _) = segment(&written);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let read = events(&bytes);
            let mut rest = written.iter();
            // What is read is a part of what was written, in its order.
            prop_assert!(read.iter().all(|event| rest.any(|other| other == event)));
        }

        #[test]
        fn no_bytes_hurt(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let with_magic = [&MAGIC[..], &bytes].concat();
            prop_assert!(survey(&with_magic).sound_bytes <= with_magic.len());
            survey(&bytes);
        }
    }

    #[test]
    fn a_damaged_record_before_sound_ones_is_passed_over() {
        let (mut bytes, ends) = segment(&[b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
        bytes[ends[1] + OVERHEAD] ^= 1;
        assert_eq!(events(&bytes), [b"one".to_vec(), b"three".to_vec()]);
        assert_eq!(survey(&bytes).damaged, 1);
        assert_eq!(survey(&bytes).sound_bytes, bytes.len());
        assert_eq!(survey(&bytes).end, 4);
    }

    #[test]
    fn notes_of_what_arrived_are_found() {
        let (mut bytes, _) = segment(&[b"one".to_vec()]);
        let record = Record {
            number: 7,
            wall_ms: 0,
            content: Content::Arrived,
        };
        put(&mut bytes, &record);
        let survey = survey(&bytes);
        assert_eq!((survey.arrived, survey.events, survey.end), (7, 1, 2));
        assert_eq!(survey.sound_bytes, bytes.len());
    }
}
