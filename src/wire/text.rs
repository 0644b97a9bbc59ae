//! Characters: what XML allows, and the way between raw attribute text and its meaning.

use super::room::Room;
use crate::counters::Reason;

/// Checks that bytes are UTF-8 and hold no character that XML 1.0 forbids. Tells whether blanks are their only white
/// space.
///
/// # Errors
/// [`Reason::NotText`].
pub fn check(bytes: &[u8]) -> Result<bool, Reason> {
    // Most are a word or two of ASCII.
    if bytes.len() < 64
        && all(
            bytes,
            |word| word & HIGH == 0 && !has_low(word),
            |byte| (b' '..0x80).contains(&byte),
        )
    {
        return Ok(true);
    }
    survey(bytes).map(|survey| survey.blanks_only)
}

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

/// Checks bytes as [`check`] does, and counts on the way what the parser asks for.
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

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES << 7;

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
        let (pairs, odd) = vectors.as_chunks::<2>();
        for [one, other] in pairs {
            lanes.add(one);
            lanes.add(other);
        }
        for vector in odd {
            lanes.add(vector);
        }
        lanes.add(tail);
        let sum = |counts: &[u8; LANES]| counts.iter().map(|&count| usize::from(count)).sum();
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

#[inline(always)]
fn halves(lanes: &[u8; LANES]) -> [u64; 2] {
    let both = u128::from_le_bytes(*lanes);
    [both as u64, (both >> 64) as u64]
}

/// Whether all bytes are good, eight at a time, of which the last may overlap.
#[inline(always)]
fn all(bytes: &[u8], word_is_good: impl Fn(u64) -> bool, is_good: impl Fn(u8) -> bool) -> bool {
    if let Some(last) = bytes.last_chunk() {
        let (words, _) = bytes[..bytes.len() - 1].as_chunks();
        return word_is_good(u64::from_le_bytes(*last))
            && (words.iter()).all(|word| word_is_good(u64::from_le_bytes(*word)));
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return word_is_good(u64::from(first) | u64::from(last) << 32);
    }
    bytes.iter().all(|&byte| is_good(byte))
}

/// Whether a byte of the word is this one.
#[inline(always)]
fn has(word: u64, byte: u8) -> bool {
    let word = word ^ (ONES * u64::from(byte));
    word.wrapping_sub(ONES) & !word & HIGH != 0
}

/// Whether a byte of the word is below the blank.
#[inline(always)]
fn has_low(word: u64) -> bool {
    word.wrapping_sub(ONES * u64::from(b' ')) & !word & HIGH != 0
}

/// The bytes as text, if they are UTF-8.
pub fn as_str(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A character reference at the start of `raw` (which begins with `&`): the character and the reference's length.
///
/// # Errors
/// [`Reason::Entity`] for a named entity that XML does not predefine, [`Reason::Malformed`] for anything else.
pub fn reference(raw: &[u8]) -> Result<(char, usize), Reason> {
    // The longest is &#1114111; or &#x10FFFF; with some leading zeros.
    let window = &raw[..raw.len().min(16)];
    let end = memchr::memchr(b';', window).ok_or(Reason::Malformed)?;
    let name = window.get(1..end).ok_or(Reason::Malformed)?;
    let character = match name {
        b"lt" => '<',
        b"gt" => '>',
        b"amp" => '&',
        b"apos" => '\'',
        b"quot" => '"',
        [b'#', b'x', digits @ ..] => number(digits, 16)?,
        [b'#', digits @ ..] => number(digits, 10)?,
        _ => return Err(Reason::Entity),
    };
    Ok((character, end + 1))
}

fn number(digits: &[u8], radix: u32) -> Result<char, Reason> {
    if digits.is_empty() {
        return Err(Reason::Malformed);
    }
    let mut value = 0u32;
    for &digit in digits {
        let digit = char::from(digit).to_digit(radix).ok_or(Reason::Malformed)?;
        value = value.saturating_mul(radix).saturating_add(digit);
    }
    char::from_u32(value)
        .filter(|&character| {
            character >= ' ' && character != '\u{FFFE}' && character != '\u{FFFF}'
                || matches!(character, '\t' | '\n' | '\r')
        })
        .ok_or(Reason::NotText)
}

/// The meaning of raw attribute text, piece by piece: references resolved, white space made blank (XML 1.0, 3.3.3).
pub fn unescaped(raw: &[u8]) -> Unescaped<'_> {
    Unescaped { rest: raw }
}

/// Whether raw attribute text means itself.
pub fn is_plain(raw: &[u8]) -> bool {
    // Other control characters do not get this far.
    all(
        raw,
        |word| !has_low(word) && !has(word, b'&'),
        |byte| byte >= b' ' && byte != b'&',
    ) || !raw
        .iter()
        .any(|&byte| matches!(byte, b'&' | b'\t' | b'\n' | b'\r'))
}

/// Iterator of [`unescaped`].
#[derive(Debug, Clone)]
pub struct Unescaped<'a> {
    rest: &'a [u8],
}

/// A run of bytes that mean themselves, or one character.
#[derive(Debug, Clone, Copy)]
pub enum Chunk<'a> {
    /// As written.
    Plain(&'a [u8]),
    /// Written as a reference, or white space made blank.
    Character(char),
}

impl<'a> Iterator for Unescaped<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        let &first = self.rest.first()?;
        match first {
            b'&' => {
                // Checked by the parser already; an unreadable one stands for itself.
                let (character, length) = reference(self.rest).unwrap_or(('&', 1));
                self.rest = &self.rest[length..];
                Some(Chunk::Character(character))
            }
            b'\t' | b'\n' | b'\r' => {
                self.rest = &self.rest[1..];
                Some(Chunk::Character(' '))
            }
            _ => {
                let end = self
                    .rest
                    .iter()
                    .position(|byte| matches!(byte, b'&' | b'\t' | b'\n' | b'\r'))
                    .unwrap_or(self.rest.len());
                let (plain, rest) = self.rest.split_at(end);
                self.rest = rest;
                Some(Chunk::Plain(plain))
            }
        }
    }
}

/// Bytes that the meaning of raw attribute text takes.
pub fn unescaped_length(raw: &[u8]) -> usize {
    if is_plain(raw) {
        return raw.len();
    }
    unescaped(raw)
        .map(|chunk| match chunk {
            Chunk::Plain(plain) => plain.len(),
            Chunk::Character(character) => character.len_utf8(),
        })
        .sum()
}

/// Appends the meaning of raw attribute text.
pub fn write_unescaped(out: &mut Vec<u8>, raw: &[u8]) {
    if is_plain(raw) {
        return out.extend_from_slice(raw);
    }
    for chunk in unescaped(raw) {
        match chunk {
            Chunk::Plain(plain) => out.extend_from_slice(plain),
            Chunk::Character(character) => {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
}

/// Whether raw attribute text means exactly `text`.
pub fn means(raw: &[u8], text: &[u8]) -> bool {
    if is_plain(raw) {
        return raw == text;
    }
    let mut rest = text;
    for chunk in unescaped(raw) {
        let mut buffer = [0; 4];
        let piece = match chunk {
            Chunk::Plain(plain) => plain,
            Chunk::Character(character) => character.encode_utf8(&mut buffer).as_bytes(),
        };
        match rest.strip_prefix(piece) {
            Some(left) => rest = left,
            None => return false,
        }
    }
    rest.is_empty()
}

/// Puts text so that it can stand between double quotes; white space other than blanks survives as references.
#[inline(never)]
pub fn with_attribute<'r>(mut room: Room<'r>, text: &[u8]) -> Room<'r> {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&byte| escape(byte).is_some()) {
        room.put(&rest[..at]);
        room.put(escape(rest[at]).unwrap_or_default());
        rest = &rest[at + 1..];
    }
    room.put(rest);
    room
}

/// High bits where a byte of the word is one that [`escape`] knows, or below the blank.
#[inline(always)]
fn escaped(word: u64) -> u64 {
    // One bit tells `"` from `&`, and another one `<` from `>`.
    let quoting = (word | (ONES * 0x04)) ^ (ONES * u64::from(b'&'));
    let tagging = (word | (ONES * 0x02)) ^ (ONES * u64::from(b'>'));
    let low = word.wrapping_sub(ONES * u64::from(b' ')) & !word;
    // A byte that has become zero has its high bit set when one is taken away.
    low | quoting.wrapping_sub(ONES) & !quoting | tagging.wrapping_sub(ONES) & !tagging
}

/// Whether text is printable ASCII that may stand between double quotes as it is.
#[inline(always)]
pub fn is_simple(text: &[u8]) -> bool {
    all(
        text,
        |word| (escaped(word) | word) & HIGH == 0,
        |byte| (b' '..0x80).contains(&byte) && !ESCAPED[usize::from(byte)],
    )
}

/// The bytes that [`escape`] knows.
static ESCAPED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = escape(byte as u8).is_some();
        byte += 1;
    }
    table
};

const fn escape(byte: u8) -> Option<&'static [u8]> {
    Some(match byte {
        b'&' => b"&amp;",
        b'<' => b"&lt;",
        b'>' => b"&gt;",
        b'"' => b"&quot;",
        b'\t' => b"&#9;",
        b'\n' => b"&#10;",
        b'\r' => b"&#13;",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::room;
    use proptest::prelude::*;

    fn meaning(raw: &str) -> String {
        let mut out = Vec::new();
        write_unescaped(&mut out, raw.as_bytes());
        assert_eq!(out.len(), unescaped_length(raw.as_bytes()));
        assert!(means(raw.as_bytes(), &out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn references_are_resolved() {
        assert_eq!(meaning("R&amp;B &lt;1&gt; &#65;&#x42;"), "R&B <1> AB");
        assert_eq!(meaning("a\nb&#10;c"), "a b\nc");
    }

    #[test]
    fn forbidden_references_are_refused() {
        assert_eq!(reference(b"&lol;"), Err(Reason::Entity));
        assert_eq!(reference(b"&#0;"), Err(Reason::NotText));
        assert_eq!(reference(b"&#xD800;"), Err(Reason::NotText));
        assert_eq!(reference(b"&#;"), Err(Reason::Malformed));
        assert_eq!(reference(b"& b"), Err(Reason::Malformed));
        assert_eq!(reference(b"&#x00000000000000041;"), Err(Reason::Malformed));
    }

    #[test]
    fn forbidden_characters_are_refused() {
        assert_eq!(check(b"a\tb\r\nc"), Ok(false));
        assert_eq!(check("é \u{10FFFF}".as_bytes()), Ok(true));
        assert_eq!(check(b"a\0"), Err(Reason::NotText));
        assert_eq!(check(b"\xff\xfe"), Err(Reason::NotText));
        assert_eq!(check("\u{FFFE}".as_bytes()), Err(Reason::NotText));
    }

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

        #[test]
        fn any_text_survives_an_attribute(text in "[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}]*") {
            let mut raw = Vec::new();
            room::append(&mut raw, text.len(), |room| with_attribute(room, text.as_bytes()));
            prop_assert!(!raw.iter().any(|byte| b"<\"\n\r\t".contains(byte)));
            prop_assert!(raw == text.as_bytes() || !is_simple(text.as_bytes()));
            prop_assert_eq!(is_simple(text.as_bytes()), raw == text.as_bytes() && text.bytes().all(|byte| (b' '..0x80).contains(&byte)));
            let mut back = Vec::new();
            write_unescaped(&mut back, &raw);
            prop_assert_eq!(back, text.as_bytes());
        }
    }
}
