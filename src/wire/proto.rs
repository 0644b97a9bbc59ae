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

    #[inline]
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
    #[inline]
    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|&number| number > 0)?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(*self.take(8)?.first_chunk()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(*self.take(4)?.first_chunk()?)),
            // Groups (3 and 4) are no part of proto3.
            _ => return None,
        };
        Some((number, value))
    }

    #[inline]
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    #[inline]
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for (at, &byte) in self.rest.iter().enumerate().take(10) {
            let bits = u64::from(byte & 0x7f);
            if at == 9 && bits > 1 {
                return None;
            }
            value |= bits << (7 * at);
            if byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Some(value);
            }
        }
        None
    }
}

/// Bytes that a varint takes.
#[inline]
pub const fn varint_length(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
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
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends the key and length of a length-delimited field; its content must follow.
#[inline]
pub fn put_header(out: &mut Vec<u8>, number: u32, content: usize) {
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
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value.cast_unsigned());
}

/// Appends a double field.
#[inline]
pub fn put_double(out: &mut Vec<u8>, number: u32, value: f64) {
    put_varint(out, u64::from(number) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
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
        fn what_is_put_is_walked(number in 1u32..100, int: i64, double: f64, bytes: Vec<u8>) {
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
