//! Two boxes tell each other the time, and so know how far apart their clocks are, delay or not.
//!
//! Each message names the sender's time, and says which message of the other side it heard last and how long ago. The
//! way there and back is measured on the monotonic clock, so no step of a wall clock spoils it. One sample is an
//! interval in which the other clock must be: between "sent as it came" and "sent one round trip ago". Samples are
//! intersected, so the estimate is as good as the best of them, and a slow one never spoils it; one that has nothing in
//! common with those before it is a step of the other clock, and takes their place at once.

use crate::clock::Now;
use crate::wire::proto;
use crate::wire::stamp;

/// Longest message, bytes.
pub const STAMP_MAX: usize = 64;

/// A round trip longer than this, milliseconds, tells nothing.
const ROUND_TRIP_MAX_MS: u64 = 120_000;

/// Clocks drift apart by at most one millisecond in so many (200 ppm).
const DRIFT: u64 = 5_000;

/// Longest word for the sender's clock quality, bytes.
const QUALITY_MAX: usize = 16;

/// A word for the quality of a clock.
pub type Word = heapless::String<QUALITY_MAX>;

/// What one side keeps of a conversation about the time; one per connection.
#[derive(Debug, Clone, Default)]
pub struct Exchange {
    /// The mark of the message heard last, and when it came, monotonic milliseconds.
    heard: Option<(u64, u64)>,
    /// The word for the quality of our own clock, as the next message says it.
    quality: Word,
}

/// What one message tells of the other clock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sample {
    /// Least of the other side's wall clock minus our monotonic one, milliseconds.
    pub least: i64,
    /// Most of it.
    pub most: i64,
    /// There and back, milliseconds.
    pub round_trip_ms: u32,
    /// The other side's word for the quality of its clock.
    pub quality: Word,
    /// The other side's clock is a guess, and the events that it passes on are in clocks of their own.
    pub adrift: bool,
}

/// Field numbers of the message.
mod field {
    /// The sender's wall clock, milliseconds since 1970.
    pub const WALL: u32 = 1;
    /// The sender's mark of this message.
    pub const MARK: u32 = 2;
    /// The mark of the message that the sender heard last.
    pub const ECHO: u32 = 3;
    /// How long ago it heard that, milliseconds.
    pub const HELD: u32 = 4;
    /// How good the sender's clock is, in one word.
    pub const QUALITY: u32 = 5;
    /// 1: the events that the sender passes on are in no particular clock.
    pub const ADRIFT: u32 = 6;
}

impl Exchange {
    /// Says how good our own clock is; a word longer than 16 bytes is left out.
    pub fn set_quality(&mut self, word: &str) {
        self.quality.clear();
        // It fits or stays empty.
        let _ = self.quality.push_str(word);
    }

    /// Appends the message to send now; at most [`STAMP_MAX`] bytes. `now` is by the clock in which our events are, and
    /// `adrift` says that they are in none.
    pub fn put_message(&self, out: &mut Vec<u8>, now: Now, adrift: bool) {
        proto::put_int(out, field::WALL, now.wall_ms);
        proto::put_int(out, field::MARK, now.mono_ms.cast_signed());
        if let Some((mark, at)) = self.heard {
            proto::put_int(out, field::ECHO, mark.cast_signed());
            let held = now.mono_ms.saturating_sub(at);
            proto::put_int(out, field::HELD, held.cast_signed());
        }
        if !self.quality.is_empty() {
            proto::put_bytes(out, field::QUALITY, self.quality.as_bytes());
        }
        if adrift {
            proto::put_int(out, field::ADRIFT, 1);
        }
    }

    /// Takes a message of the other side; gives a sample when it answers one of ours. What cannot be read, or cannot
    /// be true, tells nothing.
    pub fn hear(&mut self, message: &[u8], now: Now) -> Option<Sample> {
        let (mut wall, mut mark, mut echo, mut held) = (None, None, None, 0);
        let (mut quality, mut adrift) = (heapless::String::new(), false);
        for read in proto::fields(message) {
            let (number, value) = read.ok()?;
            match number {
                field::WALL => wall = value.int(),
                field::MARK => mark = value.int(),
                field::ECHO => echo = value.int(),
                field::HELD => held = value.int()?,
                field::QUALITY => {
                    let word = std::str::from_utf8(value.bytes()?).ok()?;
                    quality = word.parse().unwrap_or_default();
                }
                field::ADRIFT => adrift = value.int()? != 0,
                _ => {}
            }
        }
        let wall = wall.filter(|&wall| stamp::is_in_calendar(wall))?;
        self.heard = Some((mark?.cast_unsigned(), now.mono_ms));
        let round_trip = now
            .mono_ms
            .checked_sub(echo?.cast_unsigned())?
            .checked_sub(u64::try_from(held).ok()?)
            .filter(|&trip| trip <= ROUND_TRIP_MAX_MS)?;
        // Either clock is cut to whole milliseconds.
        let least = wall - now.mono_ms.cast_signed() - 1;
        Some(Sample {
            least,
            most: least + round_trip.cast_signed() + 2,
            round_trip_ms: u32::try_from(round_trip).unwrap_or(u32::MAX),
            quality,
            adrift,
        })
    }
}

/// What all samples together tell of the other clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    least: i64,
    most: i64,
    at_ms: u64,
    samples: u32,
}

impl Known {
    /// What the first sample tells.
    pub fn first(sample: &Sample, now: Now) -> Self {
        Self {
            least: sample.least,
            most: sample.most,
            at_ms: now.mono_ms,
            samples: 1,
        }
    }

    /// Takes one more; tells whether the other clock stepped.
    pub fn add(&mut self, sample: &Sample, now: Now) -> bool {
        let (least, most) = self.range(now);
        let stepped = sample.least > most || sample.most < least;
        *self = match stepped {
            true => Self::first(sample, now),
            false => Self {
                least: sample.least.max(least),
                most: sample.most.min(most),
                at_ms: now.mono_ms,
                samples: self.samples.saturating_add(1),
            },
        };
        stepped
    }

    /// Least and most of the other wall clock minus our monotonic one, milliseconds. It widens as time passes, because
    /// clocks drift.
    pub fn range(&self, now: Now) -> (i64, i64) {
        let drift = (now.mono_ms.saturating_sub(self.at_ms) / DRIFT).cast_signed();
        (self.least - drift, self.most + drift)
    }

    /// When the last sample came, monotonic milliseconds.
    pub fn at_ms(&self) -> u64 {
        self.at_ms
    }

    /// 0..1: how much the middle of the range can be relied on. A range of a second gives 0.67, one sample alone less.
    pub fn confidence(&self, now: Now) -> f64 {
        let (least, most) = self.range(now);
        let sharp = 1000.0 / (1000.0 + (most - least) as f64 / 2.0);
        match self.samples {
            1 => 0.8 * sharp,
            _ => sharp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A clock whose wall runs `ahead` of ours at mono 0, gaining `ppm`.
    fn at(mono_ms: u64, started: u64, ahead: i64, ppm: i64) -> Now {
        let drift = mono_ms.cast_signed() * ppm / 1_000_000;
        Now {
            mono_ms: mono_ms + started,
            wall_ms: 1_780_000_000_000 + mono_ms.cast_signed() + ahead + drift,
        }
    }

    /// Sends one message from one side to the other.
    fn tell(from: &Exchange, sent: Now, to: &mut Exchange, came: Now) -> Option<Sample> {
        let mut message = Vec::new();
        from.put_message(&mut message, sent, false);
        assert!(message.len() <= STAMP_MAX);
        to.hear(&message, came)
    }

    #[test]
    fn nothing_is_known_before_an_answer() {
        let (ours, mut theirs) = (Exchange::default(), Exchange::default());
        let sample = tell(&ours, at(0, 5, 0, 0), &mut theirs, at(10, 99, 0, 0));
        assert_eq!(sample, None);
    }

    #[test]
    fn the_quality_of_a_clock_is_told() {
        let (mut ours, mut theirs) = (Exchange::default(), Exchange::default());
        theirs.set_quality("gps");
        tell(&ours, at(0, 0, 0, 0), &mut theirs, at(5, 7, 0, 0));
        let sample = tell(&theirs, at(6, 7, 0, 0), &mut ours, at(9, 0, 0, 0)).unwrap();
        assert_eq!((sample.quality.as_str(), sample.round_trip_ms), ("gps", 8));
        theirs.set_quality("a word that is far too long");
        assert!(theirs.quality.is_empty());
    }

    #[test]
    fn a_step_is_found_by_the_first_message_after_it() {
        let (mut ours, mut theirs) = (Exchange::default(), Exchange::default());
        let mut known: Option<Known> = None;
        for round in 0..20u64 {
            let ahead = if round < 10 { 0 } else { -600_000 };
            let begin = round * 8_000;
            tell(
                &ours,
                at(begin, 0, 0, 0),
                &mut theirs,
                at(begin + 40, 3, ahead, 0),
            );
            let now = at(begin + 80, 0, 0, 0);
            let sample = tell(&theirs, at(begin + 41, 3, ahead, 0), &mut ours, now).unwrap();
            let stepped = known.as_mut().map(|known| known.add(&sample, now));
            let known = known.get_or_insert_with(|| Known::first(&sample, now));
            assert_eq!(stepped == Some(true), round == 10);
            let (least, most) = known.range(now);
            let truth = at(begin + 80, 0, ahead, 0).wall_ms - now.mono_ms.cast_signed();
            assert!(least <= truth && truth <= most);
        }
    }

    proptest! {
        /// Whatever the delays, the drift and the time a message was held back, the truth is in the range, and the range
        /// is no wider than the best round trip and the drift since.
        #[test]
        fn the_truth_is_always_in_the_range(
            ahead in -4_000_000_000_000i64..4_000_000_000_000,
            ppm in -100i64..=100,
            rounds in proptest::collection::vec((0u64..4000, 0u64..4000, 0u64..60_000, 1u64..60_000), 1..40),
        ) {
            let (mut ours, mut theirs) = (Exchange::default(), Exchange::default());
            let mut known: Option<Known> = None;
            let (mut time, mut best) = (0, u64::MAX);
            for (there, held, back, pause) in rounds {
                let back = back % 4000;
                tell(&ours, at(time, 77, 0, 0), &mut theirs, at(time + there, 1_000_000, ahead, ppm));
                let answered = time + there + held;
                let came = answered + back;
                let now = at(came, 77, 0, 0);
                let sample = tell(&theirs, at(answered, 1_000_000, ahead, ppm), &mut ours, now).unwrap();
                prop_assert!(u64::from(sample.round_trip_ms) == there + back);
                match &mut known {
                    None => known = Some(Known::first(&sample, now)),
                    Some(known) => prop_assert!(!known.add(&sample, now)),
                }
                best = best.min(there + back);
                let (least, most) = known.unwrap().range(now);
                let truth = at(came, 77, ahead, ppm).wall_ms - now.mono_ms.cast_signed();
                prop_assert!(least <= truth && truth <= most, "{least} {truth} {most}");
                prop_assert!(most - least <= best.cast_signed() + 4 + came.cast_signed() / 2500);
                time = came + pause;
            }
        }

        #[test]
        fn no_message_makes_it_panic(messages: Vec<Vec<u8>>, mono_ms: u64, wall_ms: i64) {
            let mut exchange = Exchange::default();
            for message in &messages {
                exchange.hear(message, Now { mono_ms: mono_ms / 2, wall_ms });
            }
        }

        #[test]
        fn no_numbers_make_it_panic(wall: i64, mark: i64, echo: i64, held: i64, mono_ms in 0u64..1 << 60) {
            let mut message = Vec::new();
            for (number, value) in [(1, wall), (2, mark), (3, echo), (4, held)] {
                proto::put_int(&mut message, number, value);
            }
            let now = Now { mono_ms, wall_ms: 0 };
            if let Some(sample) = Exchange::default().hear(&message, now) {
                Known::first(&sample, now).add(&sample, now);
            }
        }
    }
}
