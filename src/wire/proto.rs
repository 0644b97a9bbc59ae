//! Protocol buffers by hand: walking a message field by field, and putting fields one behind the other.
//!
//! The walk allocates nothing and skips what it does not know, so a relayed message keeps fields we never heard of.

/// A field's number and value, borrowed from the message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: bytes, a string or a message.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

impl<'a> Value<'a> {
    /// The bytes of a string, bytes or message field.
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// An `int32`, `int64` or `bool`.
    pub fn int(self) -> Option<i64> {
        match self {
            Self::Varint(value) => Some(value.cast_signed()),
            _ => None,
        }
    }

    /// A `double`.
    pub fn double(self) -> Option<f64> {
        match self {
            Self::Fixed64(bits) => Some(f64::from_bits(bits)),
            _ => None,
        }
    }
}

/// The message cannot be read: it is cut off, or names a wire type that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

/// Walks a message's fields in the order they stand in.
pub fn fields(message: &[u8]) -> Fields<'_> {
    Fields { rest: message }
}

/// Iterator of [`fields`]; ends after the first error.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Unreadable>;

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or(Unreadable))
    }
}

impl<'a> Fields<'a> {
    /// The bytes that were not walked yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    // Walking a message is one loop then, and no field goes through memory.
    #[inline(always)]
    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        // Most fields are short strings: one byte of key, one of length.
        if let [key @ 8..0x80, length @ ..0x80, rest @ ..] = self.rest
            && key & 7 == 2
        {
            let (value, rest) = rest.split_at_checked(usize::from(*length))?;
            self.rest = rest;
            return Some((u32::from(key >> 3), Value::Bytes(value)));
        }
        let (number, value, rest) = any_field(self.rest)?;
        self.rest = rest;
        Some((number, value))
    }
}

#[inline(always)]
fn any_field(rest: &[u8]) -> Option<(u32, Value<'_>, &[u8])> {
    let (key, rest) = varint(rest)?;
    let number = u32::try_from(key >> 3).ok().filter(|&number| number > 0)?;
    let (value, rest) = match key & 7 {
        0 => {
            let (value, rest) = varint(rest)?;
            (Value::Varint(value), rest)
        }
        1 => {
            let (bytes, rest) = rest.split_first_chunk()?;
            (Value::Fixed64(u64::from_le_bytes(*bytes)), rest)
        }
        2 => {
            let (length, rest) = varint(rest)?;
            let (bytes, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            (Value::Bytes(bytes), rest)
        }
        5 => {
            let (bytes, rest) = rest.split_first_chunk()?;
            (Value::Fixed32(u32::from_le_bytes(*bytes)), rest)
        }
        // Groups (3 and 4) are no part of proto3.
        _ => return None,
    };
    Some((number, value, rest))
}

/// A varint, and what follows it.
#[inline(always)]
fn varint(rest: &[u8]) -> Option<(u64, &[u8])> {
    match rest {
        [byte @ ..0x80, rest @ ..] => Some((u64::from(*byte), rest)),
        [low, high @ ..0x80, rest @ ..] => {
            Some((u64::from(low & 0x7f) | u64::from(*high) << 7, rest))
        }
        _ => more_bytes(rest),
    }
}

/// A varint of more than two bytes.
#[inline(never)]
fn more_bytes(rest: &[u8]) -> Option<(u64, &[u8])> {
    if let Some(word) = rest.first_chunk() {
        let word = u64::from_le_bytes(*word);
        let ends = !word & ENDS;
        if ends != 0 {
            let bits = ends.trailing_zeros() + 1;
            let value = gather(word & (u64::MAX >> (64 - bits)));
            return Some((value, rest.get(bits as usize / 8..)?));
        }
        // Minus one, as in every message that may go as far as it likes, takes ten bytes.
        if let [low @ 0x80..=0xff, high @ ..2, behind @ ..] = &rest[8..] {
            let value = gather(word & !ENDS) | u64::from(low & 0x7f) << 56 | u64::from(*high) << 63;
            return Some((value, behind));
        }
    }
    // One of nine bytes, or near the end of the message.
    let mut value = 0u64;
    for (at, &byte) in rest.iter().enumerate().take(10) {
        let bits = u64::from(byte & 0x7f);
        if at == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * at);
        if byte < 0x80 {
            return Some((value, &rest[at + 1..]));
        }
    }
    None
}

/// The bit that is set in each byte of a varint but the last.
const ENDS: u64 = 0x8080_8080_8080_8080;

/// Seven bits of each byte, put together.
#[inline]
pub(super) fn gather(word: u64) -> u64 {
    let pairs = (word & 0x007f_007f_007f_007f) | (word & 0x7f00_7f00_7f00_7f00) >> 1;
    let fours = (pairs & 0x0000_3fff_0000_3fff) | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    (fours & 0x0fff_ffff) | (fours & 0x0fff_ffff_0000_0000) >> 4
}

/// A varint of up to eight bytes, for values below 2^56.
#[inline]
pub(super) fn varint_word(value: u64) -> u64 {
    let more = ENDS & ((1 << (8 * varint_length(value) - 8)) - 1);
    spread(value) | more
}

/// The varint of a value from 2^35 to below 2^42, which takes six bytes.
#[inline]
pub(crate) fn varint_of_six(value: u64) -> u64 {
    spread(value) | ENDS & 0x00ff_ffff_ffff
}

/// Seven bits into each byte; for values below 2^56.
#[inline]
fn spread(value: u64) -> u64 {
    let fours = (value & 0x0fff_ffff) | (value & 0x00ff_ffff_f000_0000) << 4;
    let pairs = (fours & 0x0000_3fff_0000_3fff) | (fours & 0x0fff_c000_0fff_c000) << 2;
    (pairs & 0x007f_007f_007f_007f) | (pairs & 0x3f80_3f80_3f80_3f80) << 1
}

/// Bytes that a varint takes.
#[inline]
pub const fn varint_length(value: u64) -> usize {
    // The bits divided by seven, rounded up, for 1 to 64 of them.
    let bits = 64 - (value | 1).leading_zeros() as usize;
    (bits * 9 + 64) / 64
}

/// Bytes that a field's key takes.
#[inline]
pub const fn key_length(number: u32) -> usize {
    varint_length((number as u64) << 3)
}

/// Bytes that a length-delimited field of that content takes, key and length included.
#[inline]
pub const fn bytes_length(number: u32, content: usize) -> usize {
    key_length(number) + varint_length(content as u64) + content
}

/// Bytes that an integer field takes.
#[inline]
pub const fn int_length(number: u32, value: i64) -> usize {
    key_length(number) + varint_length(value.cast_unsigned())
}

/// Bytes that a double field takes.
#[inline]
pub const fn double_length(number: u32) -> usize {
    key_length(number) + 8
}

/// Appends a varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    if value < 0x80 {
        return out.push(value as u8);
    }
    if value < 1 << 56 {
        let end = out.len() + varint_length(value);
        out.extend_from_slice(&varint_word(value).to_le_bytes());
        return out.truncate(end);
    }
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends the key and length of a length-delimited field; its content must follow.
#[inline]
pub fn put_header(out: &mut Vec<u8>, number: u32, content: usize) {
    if number < 16 && content < 0x80 {
        return out.extend_from_slice(&[(number << 3 | 2) as u8, content as u8]);
    }
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, content as u64);
}

/// Appends a string, bytes or message field.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    put_header(out, number, content.len());
    out.extend_from_slice(content);
}

/// Appends an integer field.
#[inline]
pub fn put_int(out: &mut Vec<u8>, number: u32, value: i64) {
    let bits = value.cast_unsigned();
    if number < 16 && bits < 1 << 49 {
        // Key and value in one word.
        let end = out.len() + 1 + varint_length(bits);
        let word = varint_word(bits) << 8 | u64::from(number << 3);
        out.extend_from_slice(&word.to_le_bytes());
        return out.truncate(end);
    }
    put_varint(out, u64::from(number) << 3);
    put_varint(out, bits);
}

/// Appends a double field.
#[inline]
pub fn put_double(out: &mut Vec<u8>, number: u32, value: f64) {
    let value = value.to_le_bytes();
    if number < 16 {
        let mut field = [(number << 3 | 1) as u8; 9];
        field[1..].copy_from_slice(&value);
        return out.extend_from_slice(&field);
    }
    put_varint(out, u64::from(number) << 3 | 1);
    out.extend_from_slice(&value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lies_are_unreadable() {
        for message in [
            &[0x0a, 0x05, 1][..],
            &[0x0a],
            &[0x80],
            &[0x03],
            &[0x00, 0x00],
            &[0x09, 1, 2, 3],
            &[
                0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
            ],
            &[
                0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
            ],
        ] {
            assert_eq!(fields(message).last(), Some(Err(Unreadable)), "{message:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_put_is_walked(number in 1u32..100, int in any::<i64>().prop_flat_map(|int| (0..64).prop_map(move |bits| int >> bits)), double: f64, bytes: Vec<u8>) {
            let mut out = Vec::new();
            put_int(&mut out, number, int);
            prop_assert_eq!(out.len(), int_length(number, int));
            put_double(&mut out, number, double);
            put_bytes(&mut out, number, &bytes);
            prop_assert_eq!(
                out.len(),
                int_length(number, int) + double_length(number) + bytes_length(number, bytes.len())
            );
            let walked: Vec<_> = fields(&out).map(Result::unwrap).collect();
            prop_assert_eq!(walked[0].1.int(), Some(int));
            prop_assert_eq!(walked[1].1.double().map(f64::to_bits), Some(double.to_bits()));
            prop_assert_eq!(walked[2], (number, Value::Bytes(&bytes)));
        }

        #[test]
        fn walking_never_panics(bytes: Vec<u8>) {
            for _ in fields(&bytes) {}
        }
    }
}
