//! One look at all bytes of an event: whether they are text, and how often those stand in them on which its structure
//! depends.

use crate::counters::Reason;

/// What [`survey`] finds out about all bytes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Survey {
    /// Blanks are the only white space.
    pub blanks_only: bool,
    /// How often `<` is there.
    pub openings: usize,
    /// How many bytes [are like quotes](is_quotelike), `&` among them.
    pub quotes: usize,
}

impl Survey {
    /// Whether there is a `&` in the bytes that were surveyed.
    #[inline]
    pub fn has_references(&self, bytes: &[u8]) -> bool {
        self.quotes > 0 && memchr::memchr(b'&', bytes).is_some()
    }
}

/// Whether it is one of `"`, `'`, `&` and `#`: those that a survey counts together, because one look finds them all.
#[inline(always)]
pub const fn is_quotelike(byte: u8) -> bool {
    byte | 0x05 == b'\''
}

/// Bytes looked at together: one vector of the least capable processor that we build for.
const LANES: usize = 16;

/// Checks that bytes are UTF-8 and hold no character that XML 1.0 forbids, and counts on the way what the parser asks for.
///
/// # Errors
/// [`Reason::NotText`].
pub fn survey(bytes: &[u8]) -> Result<Survey, Reason> {
    let (vectors, rest) = bytes.as_chunks::<LANES>();
    let tail = match bytes.last_chunk() {
        // The last vector, without the bytes that belong to the one before.
        Some(last) => blank_all_but(last, rest.len()),
        None => {
            let mut tail = [b' '; LANES];
            tail[..rest.len()].copy_from_slice(rest);
            tail
        }
    };
    let mut found = Found::of(vectors.get(..MOST).unwrap_or(vectors), &tail);
    let mut more = vectors.get(MOST..).unwrap_or_default();
    while !more.is_empty() {
        let (some, others) = more.split_at(more.len().min(MOST));
        found.add(Found::of(some, &[b' '; LANES]));
        more = others;
    }
    if found.low
        && bytes
            .iter()
            .any(|&byte| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r'))
    {
        return Err(Reason::NotText);
    }
    if found.beyond_ascii {
        let text = std::str::from_utf8(bytes).map_err(|_| Reason::NotText)?;
        if text.contains(['\u{FFFE}', '\u{FFFF}']) {
            return Err(Reason::NotText);
        }
    }
    Ok(Survey {
        blanks_only: !found.low,
        openings: found.openings,
        quotes: found.quotes,
    })
}

/// The last `count` bytes of a vector, behind blanks.
#[inline(always)]
fn blank_all_but(vector: &[u8; LANES], count: usize) -> [u8; LANES] {
    static MASKS: [u8; 2 * LANES] = {
        let mut masks = [0; 2 * LANES];
        let mut at = LANES;
        while at < 2 * LANES {
            masks[at] = 0xff;
            at += 1;
        }
        masks
    };
    let mask = MASKS[count % LANES..].first_chunk().unwrap_or(&[0; LANES]);
    let mut kept = [0; LANES];
    for (lane, kept) in kept.iter_mut().enumerate() {
        *kept = vector[lane] & mask[lane] | b' ' & !mask[lane];
    }
    kept
}

pub(super) const ONES: u64 = 0x0101_0101_0101_0101;
pub(super) const HIGH: u64 = ONES << 7;

/// Vectors that are counted in one go; a lane counts no further than 255.
const MOST: usize = 254;

/// What was found in some vectors.
struct Found {
    low: bool,
    beyond_ascii: bool,
    openings: usize,
    quotes: usize,
}

impl Found {
    /// Looks at up to [`MOST`] vectors and one more, without a branch, so that the compiler makes vector code of it.
    #[inline(always)]
    fn of(vectors: &[[u8; LANES]], tail: &[u8; LANES]) -> Self {
        let mut lanes = Lanes {
            bits: [0; LANES],
            lowest: [u8::MAX; LANES],
            openings: [0; LANES],
            quotes: [0; LANES],
        };
        let (fours, odd) = vectors.as_chunks::<4>();
        for [one, two, three, four] in fours {
            lanes.add(one);
            lanes.add(two);
            lanes.add(three);
            lanes.add(four);
        }
        for vector in odd {
            lanes.add(vector);
        }
        lanes.add(tail);
        Self::sum_up(lanes)
    }

    // On its own, and given its lanes in memory: sums of parts would tempt the compiler to keep parts of vectors.
    #[inline(never)]
    fn sum_up(lanes: Lanes) -> Self {
        Self {
            low: halves(&lanes.lowest).into_iter().any(has_low),
            beyond_ascii: halves(&lanes.bits).into_iter().any(|word| word & HIGH != 0),
            openings: sum(&lanes.openings),
            quotes: sum(&lanes.quotes),
        }
    }

    fn add(&mut self, other: Self) {
        self.low |= other.low;
        self.beyond_ascii |= other.beyond_ascii;
        self.openings += other.openings;
        self.quotes += other.quotes;
    }
}

/// What was found in each lane.
struct Lanes {
    bits: [u8; LANES],
    lowest: [u8; LANES],
    openings: [u8; LANES],
    quotes: [u8; LANES],
}

impl Lanes {
    #[inline(always)]
    fn add(&mut self, vector: &[u8; LANES]) {
        for (lane, &byte) in vector.iter().enumerate() {
            self.bits[lane] |= byte;
            self.lowest[lane] = self.lowest[lane].min(byte);
            self.openings[lane] = self.openings[lane].wrapping_add(u8::from(byte == b'<'));
            self.quotes[lane] = self.quotes[lane].wrapping_add(u8::from(is_quotelike(byte)));
        }
    }
}

/// The sum of all counts: eight pairs at a time, which fit 16 bits together as [`LANES`] counts do.
#[inline(always)]
fn sum(counts: &[u8; LANES]) -> usize {
    const EVEN: u64 = 0x00ff_00ff_00ff_00ff;
    let [one, other] = halves(counts);
    let pairs = (one & EVEN) + (one >> 8 & EVEN) + (other & EVEN) + (other >> 8 & EVEN);
    (pairs.wrapping_mul(0x0001_0001_0001_0001) >> 48) as usize
}

#[inline(always)]
fn halves(lanes: &[u8; LANES]) -> [u64; 2] {
    let both = u128::from_le_bytes(*lanes);
    [both as u64, (both >> 64) as u64]
}

/// Whether a byte of the word is below the blank.
#[inline(always)]
pub(super) fn has_low(word: u64) -> bool {
    word.wrapping_sub(ONES * u64::from(b' ')) & !word & HIGH != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_survey_sees_every_byte(bytes in proptest::collection::vec(prop_oneof![
            4 => b' '..=b'~', 2 => Just(b'<'), 1 => proptest::sample::select(b"&\t\0\xff".to_vec())
        ], 0..70), fill in 0usize..3) {
            // Long ones too: a lane's count must not overflow.
            let mut bytes = bytes;
            bytes.extend(vec![b'<'; fill * 5000]);
            let text = std::str::from_utf8(&bytes).ok().filter(|text| !text.contains('\0'));
            let expected = text.map(|text| Survey {
                blanks_only: !text.contains('\t'),
                openings: text.matches('<').count(),
                quotes: text.matches(['"', '\'', '&', '#']).count(),
            });
            let found = survey(&bytes);
            prop_assert_eq!(found, expected.ok_or(Reason::NotText));
            if let Ok(found) = found {
                prop_assert_eq!(found.has_references(&bytes), bytes.contains(&b'&'));
            }
        }
    }
}
