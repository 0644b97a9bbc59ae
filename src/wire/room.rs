//! Putting small pieces one behind the other, quickly.
//!
//! An event is put together from some thirty pieces of a few bytes each. A vector looks for memory at each of them, and
//! calls `memcpy`. A [`Room`] is made for the whole event at once; a short piece is then one or two whole words, written
//! beyond its end where that costs less, because what comes next writes over it.

use super::proto::{key_length, varint_length, varint_word};

/// Bytes beyond what is put, so that the last piece too may be written as a whole word.
const BEYOND: usize = 8;

/// Where an event is being put together.
#[derive(Debug)]
pub struct Room<'a> {
    /// What is still empty.
    rest: &'a mut [u8],
    /// Bytes for which there was no room.
    lacking: usize,
}

/// Appends to a vector what `write` puts, which should be about that long. If it is longer, `write` is called once more,
/// with room enough.
#[inline(always)]
pub fn append(out: &mut Vec<u8>, expected: usize, write: impl Fn(&mut Room<'_>)) {
    let start = out.len();
    let mut size = expected + BEYOND;
    loop {
        out.resize(start + size, 0);
        let mut room = Room {
            rest: &mut out[start..],
            lacking: 0,
        };
        write(&mut room);
        let (left, lacking) = (room.rest.len(), room.lacking);
        if lacking == 0 {
            return out.truncate(start + size - left);
        }
        size += lacking + BEYOND;
    }
}

impl Room<'_> {
    #[cold]
    #[inline(never)]
    fn lack(&mut self, length: usize) {
        self.lacking += length;
    }

    /// Puts bytes whose number is known beforehand.
    #[inline(always)]
    pub fn put_array<const N: usize>(&mut self, bytes: &[u8; N]) {
        match std::mem::take(&mut self.rest).split_first_chunk_mut() {
            Some((room, rest)) => {
                *room = *bytes;
                self.rest = rest;
            }
            None => self.lack(N),
        }
    }

    /// Puts the low `length` bytes of a word, at most eight.
    #[inline(always)]
    pub fn put_word(&mut self, word: u64, length: usize) {
        let rest = std::mem::take(&mut self.rest);
        match rest.first_chunk_mut() {
            Some(room) => {
                *room = word.to_le_bytes();
                // At most eight, so that nothing need be looked at again.
                self.rest = &mut rest[length.min(8)..];
            }
            None => self.lack(length),
        }
    }

    /// Puts any bytes.
    #[inline(always)]
    pub fn put(&mut self, bytes: &[u8]) {
        let length = bytes.len();
        let Some((room, rest)) = std::mem::take(&mut self.rest).split_at_mut_checked(length) else {
            return self.lack(length);
        };
        self.rest = rest;
        if length > 2 * WIDE {
            room.copy_from_slice(bytes);
        } else if length > WIDE {
            // Two copies that overlap do for every length between one and two of them.
            overlapping::<WIDE>(room, bytes);
        } else if length >= 8 {
            overlapping::<8>(room, bytes);
        } else if length >= 4 {
            overlapping::<4>(room, bytes);
        } else {
            overlapping_bytes(room, bytes);
        }
    }

    /// Puts a varint.
    #[inline]
    pub fn put_varint(&mut self, value: u64) {
        if value < 0x80 {
            self.put_word(value, 1);
        } else if value < 1 << 56 {
            self.put_word(varint_word(value), varint_length(value));
        } else {
            self.put_long_varint(value);
        }
    }

    #[cold]
    #[inline(never)]
    fn put_long_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put_word(value & 0x7f | 0x80, 1);
            value >>= 7;
        }
        self.put_word(value, 1);
    }

    /// Puts the key and length of a length-delimited field; its content must follow.
    #[inline(always)]
    pub fn put_header(&mut self, number: u32, content: usize) {
        if number < 16 && content < 0x80 {
            return self.put_word(u64::from(number << 3 | 2) | (content as u64) << 8, 2);
        }
        self.put_long_header(number, content);
    }

    #[inline(never)]
    fn put_long_header(&mut self, number: u32, content: usize) {
        self.put_varint(u64::from(number) << 3 | 2);
        self.put_varint(content as u64);
    }

    /// Puts a string, bytes or message field.
    #[inline(always)]
    pub fn put_bytes(&mut self, number: u32, content: &[u8]) {
        self.put_header(number, content.len());
        self.put(content);
    }

    /// Puts an integer field.
    #[inline(always)]
    pub fn put_int(&mut self, number: u32, value: i64) {
        let bits = value.cast_unsigned();
        if number < 16 && bits < 1 << 49 {
            // Key and value in one word.
            let word = varint_word(bits) << 8 | u64::from(number << 3);
            return self.put_word(word, 1 + varint_length(bits));
        }
        self.put_long_int(number, bits);
    }

    #[inline(never)]
    fn put_long_int(&mut self, number: u32, bits: u64) {
        self.put_varint(u64::from(number) << 3);
        self.put_varint(bits);
    }

    /// Puts a double field.
    #[inline(always)]
    pub fn put_double(&mut self, number: u32, value: f64) {
        let value = value.to_le_bytes();
        if number < 16 {
            let mut field = [(number << 3 | 1) as u8; 9];
            field[1..].copy_from_slice(&value);
            return self.put_array(&field);
        }
        let key = u64::from(number) << 3 | 1;
        self.put_word(varint_word(key), key_length(number));
        self.put_array(&value);
    }
}

/// Bytes that most processors copy at once.
const WIDE: usize = 16;

/// Copies `N` to `2 * N` bytes.
#[inline(always)]
fn overlapping<const N: usize>(room: &mut [u8], bytes: &[u8]) {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) {
        if let Some(room) = room.first_chunk_mut::<N>() {
            *room = *first;
        }
        if let Some(room) = room.last_chunk_mut::<N>() {
            *room = *last;
        }
    }
}

/// Copies up to three bytes.
#[inline(always)]
fn overlapping_bytes(room: &mut [u8], bytes: &[u8]) {
    if let ([first, ..], [here, ..]) = (bytes, &mut *room) {
        *here = *first;
    }
    if let ([.., last], [.., here]) = (bytes, &mut *room) {
        *here = *last;
    }
    if let ([_, middle, _], [_, here, _]) = (bytes, room) {
        *here = *middle;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::proto;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Piece {
        Bytes(Vec<u8>),
        Word(u64, usize),
        Array([u8; 11]),
        Field(u32, Vec<u8>),
        Int(u32, i64),
        Double(u32, f64),
    }

    fn piece() -> impl Strategy<Value = Piece> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..80);
        let int = any::<i64>().prop_flat_map(|int| (0..64).prop_map(move |bits| int >> bits));
        prop_oneof![
            bytes().prop_map(Piece::Bytes),
            (any::<u64>(), 0usize..9).prop_map(|(word, length)| Piece::Word(word, length)),
            any::<[u8; 11]>().prop_map(Piece::Array),
            (1u32..100, bytes()).prop_map(|(number, bytes)| Piece::Field(number, bytes)),
            (1u32..100, int).prop_map(|(number, int)| Piece::Int(number, int)),
            (1u32..100, any::<f64>()).prop_map(|(number, double)| Piece::Double(number, double)),
        ]
    }

    proptest! {
        #[test]
        fn a_room_holds_what_a_vector_would(
            before in proptest::collection::vec(any::<u8>(), 0..5),
            expected in 0usize..300,
            pieces in proptest::collection::vec(piece(), 0..20),
        ) {
            let mut vector = before.clone();
            for piece in &pieces {
                match piece {
                    Piece::Bytes(bytes) => vector.extend_from_slice(bytes),
                    Piece::Word(word, length) => {
                        vector.extend_from_slice(&word.to_le_bytes()[..*length]);
                    }
                    Piece::Array(bytes) => vector.extend_from_slice(bytes),
                    Piece::Field(number, bytes) => proto::put_bytes(&mut vector, *number, bytes),
                    Piece::Int(number, int) => proto::put_int(&mut vector, *number, *int),
                    Piece::Double(number, double) => {
                        prost::encoding::double::encode(*number, double, &mut vector);
                    }
                }
            }
            let mut out = before;
            append(&mut out, expected, |room| {
                for piece in &pieces {
                    match piece {
                        Piece::Bytes(bytes) => room.put(bytes),
                        Piece::Word(word, length) => room.put_word(*word, *length),
                        Piece::Array(bytes) => room.put_array(bytes),
                        Piece::Field(number, bytes) => room.put_bytes(*number, bytes),
                        Piece::Int(number, int) => room.put_int(*number, *int),
                        Piece::Double(number, double) => room.put_double(*number, *double),
                    }
                }
            });
            prop_assert_eq!(out, vector);
        }
    }
}
