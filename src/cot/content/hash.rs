//! A hash of a stream of bytes and numbers: how the bytes were handed over in pieces makes no difference.

use super::tokens::{Attribute, Spelled};
use crate::wire::text::{self, Chunk};

/// Such a hash, keyed with a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hash {
    state: u64,
    /// Up to seven bytes that wait for an eighth.
    waiting: u64,
    count: u32,
}

impl Hash {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            state: seed,
            waiting: 0,
            count: 0,
        }
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        self.waiting |= u64::from(byte) << (8 * self.count);
        self.count += 1;
        if self.count == 8 {
            self.count = 0;
            let word = std::mem::take(&mut self.waiting);
            self.word(word);
        }
    }

    /// Mixes in a number.
    #[inline]
    pub(super) fn word(&mut self, word: u64) {
        const KEYS: [u64; 3] = [
            0x2d35_8dcc_aa6c_78a5,
            0x8bb8_4b93_962e_acc9,
            0x4b33_a62e_d433_d4a3,
        ];
        let product = u128::from(word ^ KEYS[0]) * u128::from(self.state ^ KEYS[1]);
        self.state = (product as u64) ^ ((product >> 64) as u64);
        self.state = self.state.wrapping_add(KEYS[2]);
    }

    /// What stands before is told apart from what comes behind.
    pub(super) fn end(&mut self) {
        self.byte(2);
    }

    pub(super) fn number(&mut self, number: f64) {
        // Adding zero makes one of the two zeros.
        self.word((number + 0.0).to_bits());
    }

    /// Text without its white space.
    pub(super) fn text(&mut self, text: &[u8], spelled: Spelled) {
        let mut put = |bytes: &[u8]| {
            for &byte in bytes.iter().filter(|byte| **byte > b' ') {
                self.byte(byte);
            }
        };
        match spelled {
            Spelled::Meant => put(text),
            Spelled::Raw => text::unescaped(text).for_each(|chunk| match chunk {
                Chunk::Plain(plain) => put(plain),
                Chunk::Character(character) => put(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }),
        }
    }

    /// An opening tag, its attributes in whatever order.
    pub(super) fn tag<'a>(
        &mut self,
        seed: u64,
        name: &[u8],
        attributes: impl Iterator<Item = (Attribute<'a>, Spelled)>,
    ) {
        let sum = attributes
            .map(|(attribute, spelled)| one(seed, &attribute, spelled))
            .fold(0, u64::wrapping_add);
        self.byte(1);
        self.text(name, Spelled::Meant);
        self.byte(3);
        self.word(sum);
    }

    pub(super) fn finish(mut self) -> u64 {
        let (waiting, count) = (self.waiting, u64::from(self.count));
        self.word(waiting);
        self.word(count);
        self.state
    }
}

/// One attribute; nothing for an empty one, which says nothing.
fn one(seed: u64, attribute: &Attribute<'_>, spelled: Spelled) -> u64 {
    let mut hash = Hash::new(seed);
    hash.text(attribute.name, Spelled::Meant);
    hash.byte(3);
    let name = hash;
    hash.text(attribute.value, spelled);
    match hash == name {
        true => 0,
        false => hash.finish(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_no_difference_and_order_does() {
        let of = |pieces: &[&str]| {
            let mut hash = Hash::new(7);
            for piece in pieces {
                hash.text(piece.as_bytes(), Spelled::Raw);
            }
            hash.finish()
        };
        let whole = of(&["a person < another"]);
        assert_eq!(whole, of(&["a per", "son", "", "&lt;anoth", "&#101;r \n"]));
        assert_ne!(whole, of(&["a person > another"]));
        assert_ne!(of(&["ab"]), of(&["ba"]));
        assert_ne!(of(&["ab"]), of(&["ab\u{7f}"]));
        assert_ne!(of(&["12345678"]), of(&["1234567", "80"]));
    }
}
