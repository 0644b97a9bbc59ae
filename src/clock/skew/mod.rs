//! How far other clocks are from ours, and what that means for their events.
//!
//! A neighbour that is a box of ours exchanges timestamps with us ([`Exchange`]). Its events are in *its* clock whatever
//! device made them, because it corrected them on their way in; so they are all shifted by what its clock differs from
//! ours, and by nothing else. That is why a chain of boxes with a clock each corrects every event once at each of them,
//! and never twice.
//!
//! Of any other neighbour only the events tell ([`source`]). Its own clock does not matter then, because it passes on the
//! times that devices wrote; so each uid is judged by itself. Where more than half of a neighbour's uids are off by the
//! same, that goes for a uid heard for the first time too, if its event fits.
//!
//! An event is always expressed in *our* clock, even where ours is the wrong one: that is the clock by which this box
//! and (mostly) those behind it judge whether an event still holds. When ours is put right, all offsets change with it,
//! at once, because they are kept against the monotonic clock.
//!
//! Clocks that agree to half a second are left alone ([`source::CORRECTED_FROM_MS`]).

mod exchange;
pub mod source;

pub use exchange::{Exchange, Known, STAMP_MAX, Sample, Word};

use super::Now;
use source::{CORRECTED_FROM_MS, CORRECTED_UNTIL_MS, First, NEAR_MS, Seen, Source, tick};

/// Places looked at for one uid.
const WAYS: usize = 4;

/// Sources of one neighbour that are compared with each other at most.
const COMPARED: usize = 64;

/// Sources this near to each other have the same clock, milliseconds.
const SAME_MS: i64 = 2_000;

/// An event of a clock that agrees is looked at so often, milliseconds, for each neighbour.
const LOOK_EVERY_MS: u64 = 250;

/// Sources of one neighbour are compared so often, milliseconds, when nothing changes.
const COMPARE_EVERY_MS: u64 = 10_000;

/// And when much changes, because many new ones come, not more often than this, milliseconds.
const COMPARE_AGAIN_MS: u64 = 200;

/// A box that is connected tells its time within this, milliseconds, or is none any more.
const TELLS_WITHIN_MS: u64 = 30_000;

/// A source not heard for so long may be given up, ticks of 100 ms.
const FORGOTTEN: u32 = 3_000;

/// No link has this number.
const NOBODY: u16 = u16::MAX;

/// What to do with an event's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Judgement {
    /// Add this to time, start and stale, milliseconds; 0 = leave every byte alone.
    pub shift_ms: i64,
    /// Its time lies ahead of us, and it is not known yet whether its clock does: it says nothing about order.
    pub doubtful: bool,
}

/// What is known of a neighbour's clock, for people and for the choice of our own time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Offset {
    /// Its clock minus ours, milliseconds; 0 where they agree.
    pub offset_ms: i64,
    /// How far that can be off, milliseconds.
    pub error_ms: u32,
    /// 0 (nothing is known) to 1.
    pub confidence: f64,
    /// There and back, milliseconds, if it was measured.
    pub round_trip_ms: Option<u32>,
    /// It was told by the neighbour's box, and not guessed from events.
    pub exchanged: bool,
    /// The word of the neighbour's box for the quality of its clock; empty where it says nothing.
    pub quality: Word,
}

/// What is kept of one neighbour's clock.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    known: Option<Known>,
    round_trip_ms: Option<u32>,
    /// The clock that most of its sources have, if it is off: its level (see [`Seen::level`]).
    theirs: Option<i64>,
    /// Its events are being corrected by what it told.
    shifting: bool,
    /// It told that its events are in clocks of their own.
    adrift: bool,
    quality: Word,
    /// Of the sources compared, so many had the same clock.
    same: u16,
    compared: u16,
    /// Some of its sources are off, or may be.
    odd: bool,
    /// Nothing about it is odd, so an event that looks right need not be looked at before `look_at`.
    plain: bool,
    /// What is known of its sources changed.
    changed: bool,
    look_at_ms: u64,
    compared_at_ms: u64,
    /// When it was connected last.
    since_ms: u64,
    /// Our wall clock minus our monotonic one when its sources were compared.
    base: i64,
}

/// What is known of the sources of all neighbours: a fixed table that never grows.
#[derive(Debug)]
pub struct Skew {
    sources: Vec<Source>,
    buckets: usize,
}

impl Frame {
    /// Whether the event may pass as it is without a closer look: neither it nor its neighbour is odd.
    #[inline(always)]
    pub fn passes(&self, time: i64, now: Now) -> bool {
        const LATE_MS: i64 = 2_000;
        let late = now
            .wall_ms
            .wrapping_sub(time)
            .wrapping_add(CORRECTED_UNTIL_MS);
        self.plain
            && now.mono_ms < self.look_at_ms
            && late.cast_unsigned() <= (LATE_MS + CORRECTED_UNTIL_MS).cast_unsigned()
    }

    /// It is connected anew. What its box told holds on for a while, until it tells more or proves to be no box any more.
    pub fn begin(&mut self, now: Now) {
        self.since_ms = now.mono_ms;
        (self.plain, self.changed) = (false, true);
    }

    /// Takes what the neighbour's box told. Tells whether its clock stepped.
    pub fn hear(&mut self, sample: &Sample, now: Now) -> bool {
        self.round_trip_ms = Some(sample.round_trip_ms);
        (self.plain, self.changed) = (false, true);
        self.adrift = sample.adrift;
        self.quality.clone_from(&sample.quality);
        match &mut self.known {
            Some(known) => known.add(sample, now),
            none => {
                *none = Some(Known::first(sample, now));
                false
            }
        }
    }

    /// Notes a round trip that was measured otherwise.
    pub fn note_round_trip(&mut self, milliseconds: u32) {
        // A single slow one says nothing.
        self.round_trip_ms = Some(match self.round_trip_ms {
            Some(before) => before - before / 4 + milliseconds / 4,
            None => milliseconds,
        });
    }

    /// What is known of the neighbour's clock.
    pub fn offset(&self, now: Now) -> Offset {
        let base = base(now);
        let round_trip_ms = self.round_trip_ms;
        if let Some(known) = self.known {
            let (least, most) = known.range(now);
            return Offset {
                offset_ms: least + (most - least) / 2 - base,
                error_ms: u32::try_from((most - least) / 2).unwrap_or(u32::MAX),
                confidence: known.confidence(now),
                round_trip_ms,
                exchanged: true,
                quality: self.quality.clone(),
            };
        }
        if self.compared == 0 {
            return Offset {
                round_trip_ms,
                ..Offset::default()
            };
        }
        let share = f64::from(self.same) / f64::from(self.compared);
        Offset {
            offset_ms: self.theirs.map_or(0, |theirs| theirs - base),
            error_ms: match self.theirs {
                Some(_) => round_trip_ms.unwrap_or(source::USUAL_DELAY_MS as u32),
                None => source::LONGEST_DELAY_MS as u32,
            },
            // Never certain, because nobody can see a delay that was always there.
            confidence: 0.9 * share * (1.0 - 0.5f64.powi(self.same.min(16).into())),
            round_trip_ms,
            ..Offset::default()
        }
    }

    /// What to add to every event of a box that told its time.
    fn told(&mut self, known: Known, now: Now) -> i64 {
        let (least, most) = known.range(now);
        let (least, most) = (least - base(now), most - base(now));
        let ahead = least + (most - least) / 2;
        self.shifting = match self.shifting {
            true => ahead.abs() >= CORRECTED_UNTIL_MS,
            // Not while the clocks may agree: a slow way there and a quick way back prove nothing.
            false => least > CORRECTED_FROM_MS || most < -CORRECTED_FROM_MS,
        };
        match self.shifting {
            true => -ahead,
            false => 0,
        }
    }

    fn told_lately(&mut self, now: Now) -> Option<Known> {
        let known = self.known?;
        if known.at_ms() < self.since_ms && now.mono_ms > self.since_ms + TELLS_WITHIN_MS {
            self.known = None;
        }
        self.known
    }

    fn settle_down(&mut self, plain: bool, now: Now) {
        self.plain = plain;
        self.look_at_ms = now.mono_ms.saturating_add(LOOK_EVERY_MS);
    }
}

impl Skew {
    /// A table of so many sources.
    pub fn new(sources: usize) -> Self {
        let buckets = sources.div_ceil(WAYS);
        Self {
            sources: vec![Source::default(); buckets * WAYS],
            buckets,
        }
    }

    /// Bytes it takes.
    pub const fn bytes(sources: usize) -> usize {
        sources.div_ceil(WAYS) * WAYS * size_of::<Source>()
    }

    /// Judges an event of the source `key` that came by `link`; `kept` where the source will be heard of again.
    pub fn judge(
        &mut self,
        frame: &mut Frame,
        (link, key, kept): (u16, u64, bool),
        time: i64,
        now: Now,
    ) -> Judgement {
        if let Some(known) = frame.told_lately(now).filter(|_| !frame.adrift) {
            let shift_ms = frame.told(known, now);
            frame.settle_down(shift_ms == 0, now);
            let (least, most) = known.range(now);
            // An event from the future is not in its box's clock: the box does not know that device's clock yet.
            let future = time.saturating_add(shift_ms) - now.wall_ms > NEAR_MS + (most - least) / 2;
            return Judgement {
                shift_ms: if future { 0 } else { shift_ms },
                doubtful: future && time > now.wall_ms,
            };
        }
        let seen = Seen {
            time,
            mono_ms: now.mono_ms,
            base: base(now),
            round_trip_ms: frame.round_trip_ms.unwrap_or(0),
        };
        let jumped = (frame.base - seen.base).abs() > CORRECTED_UNTIL_MS;
        let wait = if frame.changed {
            COMPARE_AGAIN_MS
        } else {
            COMPARE_EVERY_MS
        };
        if jumped || now.mono_ms >= frame.compared_at_ms.saturating_add(wait) {
            self.compare(frame, link, seen, now);
        }
        let theirs = frame.theirs;
        let Some((at, new)) = kept.then(|| self.place(link, key, seen, theirs)).flatten() else {
            return Self::judge_stranger(seen, theirs);
        };
        let source = &mut self.sources[at];
        let moved = std::mem::replace(&mut source.link, link) != link;
        // A new one has taken this event already.
        let stepped = !new && source.hear(seen, theirs);
        let shift_ms = source.shift(seen);
        let odd = source.is_odd();
        frame.odd |= odd;
        frame.changed |= stepped || moved || (new && odd) || frame.compared == 0;
        frame.settle_down(!frame.odd && frame.theirs.is_none(), now);
        Judgement {
            shift_ms,
            doubtful: odd && shift_ms == 0 && time > now.wall_ms,
        }
    }

    /// The clock that more than half of the sources have whose link is asked for, as their level (see [`Seen::level`]);
    /// within, `None` when there are too many different ones. `None` when there are no such sources.
    pub fn most(&self, asked: impl Fn(u16) -> bool) -> Option<Option<i64>> {
        let mut clocks = heapless::Vec::<i64, COMPARED>::new();
        let settled = self.sources.iter().filter(|source| source.is_settled());
        for source in settled.filter(|source| asked(source.link)) {
            // Those beyond the first few say the same.
            let _ = clocks.push(source.clock());
        }
        clocks.sort_unstable();
        let median = *clocks.get(clocks.len() / 2)?;
        let same = |clock: &&i64| (**clock - median).abs() <= SAME_MS;
        let most = 2 * clocks.iter().filter(same).count() > clocks.len();
        Some(most.then_some(median))
    }

    /// The link's number is about to be another neighbour's.
    pub fn disown(&mut self, link: u16) {
        for source in &mut self.sources {
            if source.link == link {
                source.link = NOBODY;
            }
        }
    }

    /// The place of a source, and whether it is a new one; `None` when the table is full of those that matter more.
    fn place(
        &mut self,
        link: u16,
        key: u64,
        seen: Seen,
        theirs: Option<i64>,
    ) -> Option<(usize, bool)> {
        let bucket = (((key >> 32) * self.buckets as u64) >> 32) as usize * WAYS;
        let ways = self.sources.get_mut(bucket..bucket + WAYS)?;
        if let Some(at) = (ways.iter()).position(|source| source.key == key && !source.is_free()) {
            return Some((bucket + at, false));
        }
        let now = tick(seen.mono_ms);
        let first = First::of(seen, theirs);
        let (at, given_up) = (ways.iter().enumerate()).max_by_key(|(_, source)| {
            let worth = !source.is_free() && source.is_odd();
            (source.is_free(), !worth, source.silent(now))
        })?;
        let silent = given_up.silent(now);
        let free = given_up.is_free()
            || silent >= FORGOTTEN
            // One that fits what is known needs no place; one that does not takes that of one that does.
            || first == First::Unknown && (!given_up.is_odd() || !given_up.is_settled() && silent >= FORGOTTEN / 10);
        if !free {
            return None;
        }
        ways[at] = Source::new(key, link, seen, first);
        Some((bucket + at, true))
    }

    /// Compares the sources of a neighbour with each other.
    fn compare(&mut self, frame: &mut Frame, link: u16, seen: Seen, now: Now) {
        let mut clocks = heapless::Vec::<(i64, bool), COMPARED>::new();
        frame.odd = false;
        for source in self.sources.iter().filter(|source| source.link == link) {
            frame.odd |= source.is_odd();
            if source.is_settled() {
                // Those beyond the first few say the same.
                let _ = clocks.push((source.clock(), source.is_shifting()));
            }
        }
        clocks.sort_unstable();
        let median = clocks.get(clocks.len() / 2).map_or(0, |&(clock, _)| clock);
        let same = clocks
            .iter()
            .filter(|(clock, _)| (clock - median).abs() <= SAME_MS);
        let shifting = same.clone().filter(|(_, shifting)| *shifting).count();
        let off = (median - seen.base).abs() > CORRECTED_FROM_MS;
        frame.theirs = Some(median).filter(|_| off && 2 * shifting > clocks.len());
        frame.same = same.count() as u16;
        frame.compared = clocks.len() as u16;
        (frame.changed, frame.base) = (false, seen.base);
        frame.compared_at_ms = now.mono_ms;
    }

    /// A source of which nothing is kept: it has the clock that its event fits.
    fn judge_stranger(seen: Seen, theirs: Option<i64>) -> Judgement {
        match First::of(seen, theirs) {
            First::Ours => Judgement::default(),
            First::Theirs(theirs) => Judgement {
                shift_ms: seen.base - theirs,
                doubtful: false,
            },
            First::Unknown => Judgement {
                shift_ms: 0,
                doubtful: seen.level() > seen.base,
            },
        }
    }
}

/// Our wall clock minus our monotonic one.
fn base(now: Now) -> i64 {
    now.wall_ms - now.mono_ms.cast_signed()
}

#[cfg(test)]
mod tests;
