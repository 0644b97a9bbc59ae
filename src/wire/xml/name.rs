//! Names of elements and attributes, read as numbers: two names are the same when their keys are.

/// The first sixteen bytes of a name as one number. No name holds a zero byte, so shorter names differ from longer
/// ones; of names longer than that, equal keys prove nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key(u64, u64);

impl Key {
    /// The key of a name known beforehand, at most sixteen bytes long.
    pub const fn of(name: &[u8]) -> Self {
        assert!(name.len() <= 16);
        let mut halves = [0u64; 2];
        let mut at = 0;
        while at < name.len() {
            halves[at / 8] |= (name[at] as u64) << (8 * (at % 8));
            at += 1;
        }
        Self(halves[0], halves[1])
    }

    /// The name may be longer than what the key holds.
    #[inline]
    pub fn is_partial(self) -> bool {
        self.1 >> 56 != 0
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Reads the name at the start of `rest`: its key and its length. `None` when there is none, or when it fills `rest`
/// to the end, which no name in a whole element does.
#[inline]
pub fn read(rest: &[u8]) -> Option<(Key, usize)> {
    if let Some(word) = rest.first_chunk() {
        let word = u64::from_le_bytes(*word);
        let length = letters(word);
        // Nearly all names are a few letters; the byte behind them tells whether the name ends there.
        if (1..8).contains(&length) && CLASS[(word >> (8 * length)) as usize & 0xff] == 0 {
            return Some((Key(word & ((1 << (8 * length)) - 1), 0), length));
        }
    }
    read_any(rest)
}

/// How many letters a word begins with.
#[inline]
fn letters(word: u64) -> usize {
    let low = (word | (0x20 * ONES)) & !HIGH;
    let from_a = low + (0x80 - u64::from(b'a')) * ONES;
    let past_z = low + (0x7f - u64::from(b'z')) * ONES;
    let other = !(from_a & !past_z & !word) & HIGH;
    other.trailing_zeros() as usize / 8
}

#[inline(never)]
fn read_any(rest: &[u8]) -> Option<(Key, usize)> {
    let length = rest.iter().position(|&byte| CLASS[byte as usize] == 0)?;
    if length == 0 || CLASS[rest[0] as usize] != 2 {
        return None;
    }
    let name = &rest[..length];
    Some((Key::of(&name[..length.min(16)]), length))
}

/// 2: may begin a name; 1: may only continue one; 0: neither. Beyond ASCII nearly every letter may do both.
static CLASS: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut byte = 0;
    while byte < 256 {
        let value = byte as u8;
        table[byte] = match value {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b':' | 0x80.. => 2,
            b'0'..=b'9' | b'-' | b'.' => 1,
            _ => 0,
        };
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_end_where_they_end() {
        for (text, length) in [
            ("uid='x'", Some(3)),
            ("__group name=", Some(7)),
            ("callsign='x'", Some(8)),
            ("precisionlocation ", Some(17)),
            ("a1-b.c>......", Some(6)),
            ("é='1'......", Some(2)),
            ("x>", Some(1)),
            ("1a='2'......", None),
            ("-a......", None),
            (" a......", None),
            ("", None),
            ("abc", None),
        ] {
            assert_eq!(
                read(text.as_bytes()).map(|(_, length)| length),
                length,
                "{text}"
            );
        }
        assert_eq!(read(b"uid='x'.....").unwrap().0, Key::of(b"uid"));
        assert_eq!(read(b"geopointsrc=").unwrap().0, Key::of(b"geopointsrc"));
        assert!(read(b"precisionlocation ").unwrap().0.is_partial());
        assert!(!Key::of(b"releasableTo").is_partial());
    }

    proptest! {
        #[test]
        fn the_fast_way_and_the_plain_way_agree(bytes: [u8; 24]) {
            prop_assert_eq!(read(&bytes), read_any(&bytes));
        }
    }
}
