//! Packs the event stream between two boxes, for thin links.
//!
//! A general packer with a small window takes a track of 450 bytes to about 100, because every batch must be readable
//! when it arrives and the tables of each cost more than they bring. Here nothing is sent but the code: both ends keep
//! the same [model](model) of the stream, learn from every byte, and an arithmetic coder writes down only what the model
//! did not foresee. Memory is fixed; nothing is allocated while packing.
//!
//! A packed piece: the plain length as two bytes, big-endian, then the code. Zero bytes at the end of the code are left
//! out, but there is at least one byte of code for every [`MOST_RATIO`] plain ones, so that a reader's work is bounded by
//! what was sent to it.

mod model;
mod shape;

use std::fmt;

use model::Model;

/// Longest plain piece, bytes.
pub const LONGEST: usize = 4096;
/// Most plain bytes for one byte of code.
pub const MOST_RATIO: usize = 64;
/// Longest packed piece, bytes: what cannot be foreseen at all grows a little.
pub const LONGEST_PACKED: usize = LONGEST + LONGEST / 4 + 16;
/// Memory of one direction, bytes.
pub const MEMORY: usize = model::BYTES;

/// Events as they look in the field, in gRPC frames: what both ends know before the first byte.
const PRIMER: &[u8] = include_bytes!("primer.bin");

/// Packs one stream.
#[derive(Debug, Clone)]
pub struct Packer {
    model: Model,
}

/// Unpacks what one [`Packer`] packed, all of it and in its order.
#[derive(Debug, Clone)]
pub struct Unpacker {
    model: Model,
}

/// A packed piece that no packer made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a packed piece that cannot be unpacked")
    }
}

impl std::error::Error for Unreadable {}

fn primed() -> Model {
    let mut model = Model::default();
    for &byte in PRIMER {
        for shift in (0..8).rev() {
            model.take(byte >> shift & 1 == 1);
        }
    }
    model
}

/// The interval of the arithmetic coder.
#[derive(Debug, Clone, Copy)]
struct Interval {
    low: u32,
    high: u32,
}

impl Interval {
    const WHOLE: Self = Self {
        low: 0,
        high: u32::MAX,
    };

    /// Where the part for a one ends.
    fn middle(self, one: u32) -> u32 {
        self.low + ((self.high - self.low) >> 12) * one
    }

    /// Narrows it to the part of that bit.
    fn narrow(&mut self, middle: u32, bit: bool) {
        if bit {
            self.high = middle;
        } else {
            self.low = middle + 1;
        }
    }

    /// The next byte of the code, once it is certain.
    fn shift(&mut self) -> Option<u8> {
        if (self.low ^ self.high) >> 24 != 0 {
            return None;
        }
        let byte = (self.high >> 24) as u8;
        self.low <<= 8;
        self.high = self.high << 8 | 0xff;
        Some(byte)
    }
}

impl Packer {
    /// For a new stream.
    pub fn new() -> Self {
        Self { model: primed() }
    }

    /// Packs a piece of at most [`LONGEST`] bytes (what is longer is left out) and appends it to `out`.
    pub fn pack(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        let plain = &plain[..plain.len().min(LONGEST)];
        out.extend_from_slice(&(plain.len() as u16).to_be_bytes());
        let from = out.len();
        let mut interval = Interval::WHOLE;
        for &byte in plain {
            for shift in (0..8).rev() {
                let bit = byte >> shift & 1 == 1;
                interval.narrow(interval.middle(self.model.one()), bit);
                self.model.take(bit);
                while let Some(byte) = interval.shift() {
                    out.push(byte);
                }
            }
        }
        // The shortest number within the interval; the reader goes on with zeros.
        for kept in 0..=4 {
            let mask = u32::MAX.checked_shr(8 * kept).unwrap_or(0);
            let end = interval.low.checked_add(mask).map(|sum| sum & !mask);
            if let Some(end) = end.filter(|&end| end <= interval.high) {
                out.extend_from_slice(&end.to_be_bytes()[..kept as usize]);
                break;
            }
        }
        while out.len() > from && out.last() == Some(&0) {
            out.pop();
        }
        let least = from + plain.len().div_ceil(MOST_RATIO);
        if out.len() < least {
            out.resize(least, 0);
        }
    }
}

impl Default for Packer {
    fn default() -> Self {
        Self::new()
    }
}

impl Unpacker {
    /// For a new stream.
    pub fn new() -> Self {
        Self { model: primed() }
    }

    /// Unpacks a piece and appends it to `out`: at most [`LONGEST`] bytes, and at most [`MOST_RATIO`] for each that came.
    ///
    /// # Errors
    /// The piece claims to be longer than that. Bytes that no packer made may also unpack to nonsense.
    pub fn unpack(&mut self, packed: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
        let Some((&[high, low], code)) = packed.split_first_chunk::<2>() else {
            return Err(Unreadable);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > LONGEST || length > code.len() * MOST_RATIO {
            return Err(Unreadable);
        }
        out.reserve(length);
        let mut code = code.iter();
        let mut next = || u32::from(code.next().copied().unwrap_or(0));
        let mut interval = Interval::WHOLE;
        let mut value = next() << 24 | next() << 16 | next() << 8 | next();
        for _ in 0..length {
            loop {
                let middle = interval.middle(self.model.one());
                let bit = value <= middle;
                interval.narrow(middle, bit);
                let whole = self.model.take(bit);
                while interval.shift().is_some() {
                    value = value << 8 | next();
                }
                if let Some(byte) = whole {
                    out.push(byte);
                    break;
                }
            }
        }
        Ok(())
    }
}

impl Default for Unpacker {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
