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
///
/// `write` takes the room and gives it back, because what is its own stays in registers.
#[inline(always)]
pub fn append(out: &mut Vec<u8>, expected: usize, write: impl Fn(Room<'_>) -> Room<'_>) {
    let lacking = try_append(out, expected, &write);
    if lacking > 0 {
        append_more(out, expected + lacking, &write);
    }
}

#[cold]
#[inline(never)]
fn append_more(out: &mut Vec<u8>, expected: usize, write: &dyn Fn(Room<'_>) -> Room<'_>) {
    let mut expected = expected;
    loop {
        match try_append(out, expected, write) {
            0 => return,
            lacking => expected += lacking,
        }
    }
}

/// Appends, or tells how many bytes of room were lacking.
#[inline(always)]
fn try_append(out: &mut Vec<u8>, expected: usize, write: impl Fn(Room<'_>) -> Room<'_>) -> usize {
    let start = out.len();
    out.extend(std::iter::repeat_n(0, expected + BEYOND));
    let room = write(Room {
        rest: &mut out[start..],
        lacking: 0,
    });
    let (left, lacking) = (room.rest.len(), room.lacking);
    let end = match lacking {
        0 => out.len() - left,
        _ => start,
    };
    out.truncate(end);
    lacking
}

impl<'a> Room<'a> {
    /// The same room, as a variable of its own: one that was handed over stays in memory.
    #[inline(always)]
    pub fn own(self) -> Self {
        let Self { rest, lacking } = self;
        Self { rest, lacking }
    }

    /// Lets something rare put its bytes. Handing it the room itself, and not its address, leaves the room in registers
    /// for what is common.
    #[inline(always)]
    pub fn aside(&mut self, put: impl FnOnce(Room<'a>) -> Room<'a>) {
        let (rest, lacking) = (std::mem::take(&mut self.rest), self.lacking);
        *self = put(Room { rest, lacking });
    }

    #[inline(always)]
    fn lack(&mut self, length: usize) {
        // Never nothing, because the rest of the room is given up.
        self.lacking += length.max(1);
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

    /// Puts so many bytes, which `write` writes where they belong: all of them.
    #[inline(always)]
    pub fn put_placed<const N: usize>(&mut self, write: impl FnOnce(&mut [u8; N])) {
        match std::mem::take(&mut self.rest).split_first_chunk_mut() {
            Some((room, rest)) => {
                write(room);
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
        copy(room, bytes);
    }

    /// Puts bytes that are mostly more than a few, but not many.
    #[inline(always)]
    pub fn put_some(&mut self, bytes: &[u8]) {
        if !(2 * WIDE..=4 * WIDE).contains(&bytes.len()) {
            return self.put(bytes);
        }
        match std::mem::take(&mut self.rest).split_at_mut_checked(bytes.len()) {
            Some((room, rest)) => {
                overlapping::<{ 2 * WIDE }>(room, bytes);
                self.rest = rest;
            }
            None => self.lack(bytes.len()),
        }
    }

    /// Puts the key and length of a length-delimited field; its content must follow.
    #[inline(always)]
    pub fn put_header(&mut self, number: u32, content: usize) {
        let key = u64::from(number << 3 | 2);
        let content = content as u64;
        if number < 16 && content < 0x80 {
            self.put_word(key | content << 8, 2);
        } else if number < 16 && content < 0x4000 {
            self.put_word(key | (content & 0x7f | 0x80) << 8 | content >> 7 << 16, 3);
        } else {
            self.aside(|room| room.with_varints(key, content));
        }
    }

    #[inline(never)]
    fn with_varints(mut self, one: u64, other: u64) -> Self {
        for mut value in [one, other] {
            while value >= 0x80 {
                self.put_word(value & 0x7f | 0x80, 1);
                value >>= 7;
            }
            self.put_word(value, 1);
        }
        self
    }

    /// Puts a string, bytes or message field.
    #[inline(always)]
    pub fn put_bytes(&mut self, number: u32, content: &[u8]) {
        let length = content.len();
        if number >= 16 || length >= 0x80 {
            self.put_header(number, length);
            return self.put(content);
        }
        // Most are short strings: room is looked for once.
        match std::mem::take(&mut self.rest).split_at_mut_checked(2 + length) {
            Some((room, rest)) => {
                self.rest = rest;
                if let Some((head, room)) = room.split_first_chunk_mut() {
                    *head = [(number << 3 | 2) as u8, length as u8];
                    copy(room, content);
                }
            }
            None => self.lack(2 + length),
        }
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
        self.aside(|room| room.with_varints(u64::from(number) << 3, bits));
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
        if number < 2048 {
            let [low, high, ..] = varint_word(key).to_le_bytes();
            return self.put_placed::<10>(|field| {
                field[..2].copy_from_slice(&[low, high]);
                field[2..].copy_from_slice(&value);
            });
        }
        self.put_word(varint_word(key), key_length(number));
        self.put_array(&value);
    }
}

/// Bytes that most processors copy at once.
const WIDE: usize = 16;

/// Copies bytes into as much room.
#[inline(always)]
fn copy(room: &mut [u8], bytes: &[u8]) {
    let length = bytes.len();
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
            append(&mut out, expected, |mut room| {
                for piece in &pieces {
                    match piece {
                        Piece::Bytes(bytes) if expected % 2 == 0 => room.put_some(bytes),
                        Piece::Bytes(bytes) => room.put(bytes),
                        Piece::Word(word, length) => room.put_word(*word, *length),
                        Piece::Array(bytes) => room.put_array(bytes),
                        Piece::Field(number, bytes) => room.put_bytes(*number, bytes),
                        Piece::Int(number, int) => room.put_int(*number, *int),
                        Piece::Double(number, double) => room.put_double(*number, *double),
                    }
                }
                room
            });
            prop_assert_eq!(out, vector);
        }
    }
}
