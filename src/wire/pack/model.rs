//! Predicts the next bit of a stream of events.
//!
//! Several predictors, mixed by how well each did lately: counts under the last bytes and the place in the message;
//! the longest repeat in the latest history; what stood here in this track's event before; the number that follows from
//! the one before it. All tables have a fixed size and are filled with a primer first. Whole numbers only, so that every
//! machine computes the same.

use std::sync::LazyLock;

use super::shape::{PARTS, Part, Shape, mixed};

/// Counts under a context.
const COUNTS: usize = 1 << 15;
/// Latest bytes.
const HISTORY: usize = 1 << 14;
/// Places in the history by their last bytes.
const REPEATS: usize = 1 << 12;
/// Bytes of tracks.
const TRACKS: usize = 1 << 13;

/// Contexts that are counted for each bit.
const CONTEXTS: usize = 3;
/// Inputs of the mixer: the contexts, two of the repeat, two of the expected byte, a constant.
const INPUTS: usize = CONTEXTS + 5;
/// Sets of weights: how long the repeat is, whether a byte is expected, which part of the message.
const SETS: usize = 6 * 2 * PARTS;
/// How sure an expected byte is: part, offset or field, hits in a row, the bit.
const EXPECTED: usize = PARTS * 16 * 8 * 2;
/// How sure a repeat is: its length and the bit.
const LENGTHS: usize = 32;

/// Bytes of one model, for the memory sum.
pub const BYTES: usize = COUNTS * 2
    + HISTORY
    + REPEATS * 2
    + TRACKS * 2
    + SETS * INPUTS * 4
    + EXPECTED * 2
    + LENGTHS * 4
    + 2 * 32 * (16 + 8)
    + 512;

/// A repeat is looked for under this many bytes.
const REPEAT_LEAST: u32 = 5;
/// How fast the mixer learns.
const MIXER_RATE: i32 = 14;
/// The adaptation of a count slows down to one in half of this, step by step.
const STEPS: [i32; 16] = [3, 5, 7, 9, 11, 13, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80];
/// Last step of counts that change, and of those that do not.
const LAST_STEP: u16 = 12;
/// A bit that was foreseen less than this (of 4096) makes its byte worth remembering.
const FORESEEN: i32 = 3000;

/// The model.
#[derive(Debug, Clone)]
pub struct Model {
    shape: Shape,
    counts: Vec<u16>,
    history: Vec<u8>,
    at: usize,
    repeats: Vec<u16>,
    repeat: usize,
    repeat_length: usize,
    tracks: Vec<u16>,
    track_at: usize,
    track_check: u16,
    expected: Option<u8>,
    /// Expected bytes that came, in a row.
    hits: usize,
    expected_sure: Vec<u16>,
    expected_at: Option<usize>,
    repeat_sure: [u16; 2 * LENGTHS],
    repeat_at: Option<usize>,
    surprised: bool,
    weights: Vec<i32>,
    set: usize,
    inputs: [i32; INPUTS],
    contexts: [u32; CONTEXTS],
    counted: [usize; CONTEXTS],
    /// Bits of this byte so far, after a one.
    partial: u32,
    bits: u32,
    /// The last eight bytes.
    before: u64,
    /// The word being written in the detail, and the attribute whose value is being written.
    word: u32,
    attribute: u32,
    since: u32,
    one: i32,
}

impl Default for Model {
    fn default() -> Self {
        let mut model = Self {
            shape: Shape::default(),
            counts: vec![0x8000; COUNTS],
            history: vec![0; HISTORY],
            at: 0,
            repeats: vec![0; REPEATS],
            repeat: 0,
            repeat_length: 0,
            tracks: vec![0; TRACKS],
            track_at: 0,
            track_check: 0,
            expected: None,
            hits: 0,
            expected_sure: vec![0x8000; EXPECTED],
            expected_at: None,
            repeat_sure: [0x8000; 2 * LENGTHS],
            repeat_at: None,
            surprised: false,
            weights: vec![1 << 14; SETS * INPUTS],
            set: 0,
            inputs: [0; INPUTS],
            contexts: [0; CONTEXTS],
            counted: [0; CONTEXTS],
            partial: 1,
            bits: 0,
            before: 0,
            word: 0,
            attribute: 0,
            since: 0,
            one: 2048,
        };
        model.begin_byte();
        model.predict();
        model
    }
}

impl Model {
    /// How likely the next bit is a one, 1 to 4095 of 4096.
    pub fn one(&self) -> u32 {
        self.one as u32
    }

    /// Takes the next bit in; gives the byte that it completes.
    pub fn take(&mut self, bit: bool) -> Option<u8> {
        self.learn(bit);
        self.partial = self.partial << 1 | u32::from(bit);
        self.bits += 1;
        let whole = (self.bits == 8).then_some(self.partial as u8);
        if let Some(byte) = whole {
            self.end_byte(byte);
            (self.partial, self.bits) = (1, 0);
            self.begin_byte();
        }
        self.predict();
        whole
    }

    fn begin_byte(&mut self) {
        let shape = &self.shape;
        let (place, offset) = (shape.place(), shape.offset());
        let here = place | offset.min(255) << 16;
        let last = (self.before & 0xff) as u32;
        let two = (self.before & 0xffff) as u32;
        self.contexts = match shape.part() {
            Part::Varint | Part::Fixed => [
                mixed(here, 1),
                mixed(here, 0x300 | u32::from(shape.last())),
                mixed(here, 0x600 | last),
            ],
            Part::Uid => [
                mixed(here, 0x31),
                mixed(place, 0x32),
                mixed(place, 0x3300 | last),
            ],
            Part::Bytes => [
                mixed(place, 0x4400 | last),
                mixed(place, 0x55_0000 | two),
                mixed(self.attribute, self.word ^ 0x51),
            ],
            Part::Prefix | Part::Tag | Part::Length => [
                mixed(here, 11),
                mixed(here, 0x700 | last),
                mixed(here, 0x88_0000 | two),
            ],
        };
        self.surprised = false;
        self.expected = if shape.part() == Part::Varint {
            Some(shape.expected())
        } else {
            let inside = if shape.in_detail() {
                self.attribute ^ self.since << 20
            } else {
                place << 8 | offset.min(63)
            };
            let hash = mixed(shape.track(), mixed(inside, 0x5bd1));
            self.track_at = hash as usize >> 8 & (TRACKS - 1);
            // Never zero, which stands for nothing.
            self.track_check = (hash as u16 & 0x7f | 0x80) << 8;
            let kept = self.tracks[self.track_at];
            (kept & 0xff00 == self.track_check).then_some(kept as u8)
        };
    }

    fn predict(&mut self) {
        let stretch = &*STRETCH;
        for ((input, at), context) in (self.inputs.iter_mut())
            .zip(&mut self.counted)
            .zip(self.contexts)
        {
            let hash = mixed(context, self.partial.wrapping_mul(0x3d4d_51cb));
            *at = hash as usize >> 7 & (COUNTS - 1);
            *input = stretch[usize::from(self.counts[*at] >> 4)].into();
        }
        self.inputs[CONTEXTS..].fill(0);
        self.repeat_at = None;
        if self.repeat_length > 0 {
            match self.next_bit(self.history[self.repeat % HISTORY]) {
                Some(bit) => {
                    let length = self.repeat_length.min(LENGTHS - 1);
                    let at = length * 2 + usize::from(bit);
                    self.repeat_at = Some(at);
                    let sure = length as i32 * 16;
                    self.inputs[CONTEXTS] = stretch[usize::from(self.repeat_sure[at] >> 4)].into();
                    self.inputs[CONTEXTS + 1] = if bit { sure } else { -sure };
                }
                None => self.repeat_length = 0,
            }
        }
        self.expected_at = None;
        if let Some(bit) = self.expected.and_then(|byte| self.next_bit(byte)) {
            let shape = &self.shape;
            let offset = shape.offset().min(15) as usize;
            let at = ((shape.part() as usize * 16 + offset) * 8 + self.hits.min(7)) * 2;
            let at = at + usize::from(bit);
            self.expected_at = Some(at);
            self.inputs[CONTEXTS + 2] = stretch[usize::from(self.expected_sure[at] >> 4)].into();
            self.inputs[CONTEXTS + 3] = if bit { 256 } else { -256 };
        }
        self.inputs[CONTEXTS + 4] = 256;
        let length = match (self.repeat_at.is_some(), self.repeat_length) {
            (false, _) => 0,
            (_, 0..4) => 1,
            (_, 4..8) => 2,
            (_, 8..16) => 3,
            (_, 16..32) => 4,
            _ => 5,
        };
        let expects = usize::from(self.expected_at.is_some());
        self.set = ((length * 2 + expects) * PARTS + self.shape.part() as usize) * INPUTS;
        let weights = &self.weights[self.set..self.set + INPUTS];
        let sum: i64 = (self.inputs.iter())
            .zip(weights)
            .map(|(&input, &weight)| i64::from(input) * i64::from(weight))
            .sum();
        self.one = squash((sum >> 16).clamp(-2047, 2047) as i32).clamp(1, 4095);
    }

    fn learn(&mut self, bit: bool) {
        let target = if bit { 4095 } else { 0 };
        let foreseen = if bit { self.one } else { 4096 - self.one };
        self.surprised |= foreseen < FORESEEN;
        let error = ((i32::from(bit) << 12) - self.one) * MIXER_RATE;
        let weights = &mut self.weights[self.set..self.set + INPUTS];
        for (weight, &input) in weights.iter_mut().zip(&self.inputs) {
            let change = (i64::from(input) * i64::from(error) + 0x8000) >> 16;
            *weight = (*weight + change as i32).clamp(-(1 << 22), 1 << 22);
        }
        for &at in &self.counted {
            let count = &mut self.counts[at];
            let (one, step) = (i32::from(*count >> 4), *count & 15);
            let one = (one + (target - one) * 2 / STEPS[usize::from(step)]).clamp(0, 4095);
            *count = (one as u16) << 4 | (step + 1).min(LAST_STEP);
        }
        let nearer = |sure: &mut u16, shift: u32| {
            let target = if bit { 65_535 } else { 0 };
            *sure = (i32::from(*sure) + ((target - i32::from(*sure)) >> shift)) as u16;
        };
        if let Some(at) = self.repeat_at {
            nearer(&mut self.repeat_sure[at], 6);
        }
        if let Some(at) = self.expected_at {
            nearer(&mut self.expected_sure[at], 5);
        }
    }

    fn end_byte(&mut self, byte: u8) {
        if let Some(expected) = self.expected {
            self.hits = if expected == byte { self.hits + 1 } else { 0 };
        }
        if self.shape.part() != Part::Varint && (self.surprised || self.expected.is_some()) {
            self.tracks[self.track_at] = self.track_check | u16::from(byte);
        }
        let detail = self.shape.in_detail();
        self.shape.take(byte);
        if detail {
            self.follow_attribute(byte);
        } else {
            (self.word, self.attribute, self.since) = (0, 0, 0);
        }
        self.history[self.at % HISTORY] = byte;
        self.at += 1;
        self.before = self.before << 8 | u64::from(byte);
        self.find_repeat(byte);
    }

    /// Notes which attribute's value is being written, and how far.
    fn follow_attribute(&mut self, byte: u8) {
        self.since = (self.since + 1).min(255);
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word = mixed(self.word, byte.into()),
            b'=' => {
                (self.attribute, self.since) = (self.word, 0);
                self.word = 0;
            }
            b'"' if self.since > 1 => (self.attribute, self.since, self.word) = (0, 0, 0),
            _ => self.word = 0,
        }
    }

    fn find_repeat(&mut self, byte: u8) {
        if self.repeat_length > 0 {
            let foretold = self.history[self.repeat % HISTORY] == byte;
            self.repeat += 1;
            self.repeat_length = if foretold {
                (self.repeat_length + 1).min(400)
            } else {
                0
            };
        }
        let key = self.before & ((1 << (8 * REPEAT_LEAST)) - 1);
        let hash = mixed(key as u32, (key >> 32) as u32);
        let known = &mut self.repeats[hash as usize >> 5 & (REPEATS - 1)];
        // Places are kept modulo the history; zero stands for nothing.
        let place = (self.at % HISTORY) as u16;
        let found = usize::from(std::mem::replace(known, place));
        if self.repeat_length == 0 && found != 0 && found != usize::from(place) {
            let back = (self.at + HISTORY - found) % HISTORY;
            if back <= self.at {
                let from = self.at - back;
                let byte_at = |place: usize| self.history[place % HISTORY];
                let longest = from.min(LENGTHS).min(HISTORY - back);
                let same = (1..=longest)
                    .take_while(|&n| byte_at(from - n) == byte_at(self.at - n))
                    .count();
                if same >= 4 {
                    (self.repeat, self.repeat_length) = (from, same);
                }
            }
        }
    }

    /// The bit that comes next if the byte is to be this one; none when it cannot be any more.
    fn next_bit(&self, byte: u8) -> Option<bool> {
        let byte = u32::from(byte) | 0x100;
        (byte >> (8 - self.bits) == self.partial).then(|| byte >> (7 - self.bits) & 1 == 1)
    }
}

/// 4096 / (1 + e^(-x/256)), between the values at every 128.
fn squash(x: i32) -> i32 {
    const AT: [i32; 33] = [
        1, 2, 3, 6, 10, 16, 27, 45, 73, 120, 194, 310, 488, 747, 1101, 1546, 2047, 2549, 2994,
        3348, 3607, 3785, 3901, 3975, 4022, 4050, 4068, 4079, 4085, 4089, 4092, 4093, 4094,
    ];
    let (part, at) = (x & 127, ((x >> 7) + 16).clamp(0, 31) as usize);
    (AT[at] * (128 - part) + AT[at + 1] * part + 64) >> 7
}

/// The inverse of [`squash`].
static STRETCH: LazyLock<Vec<i16>> = LazyLock::new(|| {
    let mut table = vec![2047; 4096];
    let mut next = 0;
    for x in -2047..=2047_i16 {
        let reached = squash(x.into()) as usize;
        while next <= reached {
            table[next] = x;
            next += 1;
        }
    }
    table
});
