//! What is known of one source of events: how its clock stands to ours, judged by when its events come.
//!
//! An event cannot come before it is made, so each one proves that its source's clock is *at least* so far ahead. How
//! far behind it is nobody can prove, because an event may have been under way for long. Of what came, the quickest
//! counts (the *envelope*); what is between it and the truth is a delay that is assumed. So, and with the bounds below,
//! neither a satellite nor a backlog is taken for a clock that is behind:
//!
//! - from the first event on, up to [`LONGEST_DELAY_MS`] late means "under way", and the clock is right;
//! - later than that, a clock is behind when five events in ten seconds come at the pace at which they were made. A
//!   backlog comes faster than it was made, or slower;
//! - times that run backwards by [`LEAST_STEP_MS`] or more, three times one after the other, are a clock that was set
//!   back: no delay makes an event older than one that came before;
//! - a small and slow change is drift, a larger one delay.
//!
//! Everything is kept against the monotonic clock, so a step of our own wall clock changes nothing that was learned.

/// The clock of a source that is off by less is left alone, milliseconds.
pub const CORRECTED_FROM_MS: i64 = 500;

/// A correction ends when less is left of it, milliseconds.
pub const CORRECTED_UNTIL_MS: i64 = 250;

/// Up to here an event that comes late was under way, milliseconds: what a satellite and a queue may take.
pub const LONGEST_DELAY_MS: i64 = 120_000;

/// A clock set back by less is not told from a delay, milliseconds.
pub const LEAST_STEP_MS: i64 = 5_000;

/// Up to here an event's way is an ordinary one, milliseconds, beside the round trip.
pub const USUAL_DELAY_MS: i64 = 3_000;

/// An event so far from the envelope, milliseconds, is an ordinary one.
pub const NEAR_MS: i64 = 1_000;

/// Events of one level differ by at most this, milliseconds, beside half the round trip.
const LEVEL_MS: i64 = 300;

/// Drift is at most one millisecond in so many (200 ppm) ...
const DRIFT: i64 = 5_000;

/// ... and what was not followed for long does not become more than this, milliseconds.
const DRIFT_MOST_MS: i64 = 100;

/// Ticks of 100 ms: they fit 32 bits for 13 years.
const TICK_MS: u64 = 100;

/// The first window of the envelope, ticks; each further one is twice as long, four times.
const FIRST_WINDOW: u32 = 40;
const WINDOWS: u8 = 4;

/// An event, as far as clocks go.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Its time, milliseconds since 1970.
    pub time: i64,
    /// When it came, monotonic milliseconds.
    pub mono_ms: u64,
    /// Our wall clock minus our monotonic one, milliseconds.
    pub base: i64,
    /// There and back between the neighbour and us as measured, milliseconds; 0 = not known.
    pub round_trip_ms: u32,
}

impl Seen {
    /// Event time minus monotonic time: what would be the same for every event of a right clock without delay.
    #[inline]
    pub fn level(&self) -> i64 {
        self.time - self.mono_ms.cast_signed()
    }

    fn tick(&self) -> u32 {
        tick(self.mono_ms)
    }

    fn trip(&self) -> i64 {
        i64::from(self.round_trip_ms.min(30_000))
    }
}

/// Monotonic milliseconds as ticks.
pub fn tick(mono_ms: u64) -> u32 {
    (mono_ms / TICK_MS) as u32
}

/// How the first event of a source is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// By our clock, with some delay.
    Ours,
    /// By the clock that most others of the same neighbour have: its level without delay.
    Theirs(i64),
    /// By neither.
    Unknown,
}

impl First {
    /// Reads a level; `theirs` is the level at which most others of the neighbour are, if they are off.
    pub fn of(seen: Seen, theirs: Option<i64>) -> Self {
        let late = seen.base - seen.level();
        let later = theirs.map(|theirs| (theirs, theirs - seen.level()));
        match later {
            _ if (-CORRECTED_FROM_MS..=USUAL_DELAY_MS + seen.trip()).contains(&late) => Self::Ours,
            Some((theirs, late)) if (-CORRECTED_FROM_MS..=LONGEST_DELAY_MS).contains(&late) => {
                Self::Theirs(theirs)
            }
            _ if (0..=LONGEST_DELAY_MS).contains(&late) => Self::Ours,
            _ => Self::Unknown,
        }
    }
}

/// How far a source is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    /// The place is free.
    #[default]
    Free,
    /// Its clock is off, and not known yet how far.
    Learning,
    /// Its clock is known.
    Settled,
}

/// How a level that is being watched differs from what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Ahead, which no delay can feign.
    Ahead,
    /// Times run backwards.
    Back,
    /// So late that it may be a clock.
    Late,
}

/// One source.
#[derive(Debug, Clone, Copy, Default)]
pub struct Source {
    /// Hash of the uid, and of the neighbour unless that is a client.
    pub key: u64,
    /// The link it came by last.
    pub link: u16,
    stage: Stage,
    /// Its events are being corrected.
    shifting: bool,
    /// Events at the watched level.
    count: u8,
    /// All of them were older than what had come before.
    back: bool,
    window: u8,
    /// The envelope: the level of the quickest events.
    envelope: i64,
    /// Highest level in this window.
    peak: i64,
    /// Newest time at the known level.
    newest: i64,
    /// The watched level.
    watched: i64,
    /// Delay that is assumed in the envelope, milliseconds.
    delay_ms: u32,
    /// Most that was ever assumed.
    doubt_ms: u32,
    window_from: u32,
    followed: u32,
    watched_from: u32,
    heard: u32,
}

impl Source {
    /// A source at its first event.
    pub fn new(key: u64, link: u16, seen: Seen, first: First) -> Self {
        let mut source = Self {
            key,
            link,
            ..Self::default()
        };
        source.begin(seen, first);
        source
    }

    fn begin(&mut self, seen: Seen, first: First) {
        match first {
            First::Ours => self.settle(seen, seen.level(), seen.base),
            First::Theirs(level) => self.settle(seen, seen.level(), level),
            First::Unknown => {
                self.stage = Stage::Learning;
                self.watch(seen, false);
            }
        }
        self.heard = seen.tick();
    }

    /// The place holds no source.
    pub fn is_free(&self) -> bool {
        self.stage == Stage::Free
    }

    /// Its clock is known.
    pub fn is_settled(&self) -> bool {
        self.stage == Stage::Settled
    }

    /// Its events are, or may soon be, corrected.
    pub fn is_odd(&self) -> bool {
        self.shifting || self.stage == Stage::Learning || self.count > 0
    }

    /// Its events are corrected.
    pub fn is_shifting(&self) -> bool {
        self.shifting
    }

    /// Since when nothing was heard of it, in ticks.
    pub fn silent(&self, now: u32) -> u32 {
        now.saturating_sub(self.heard)
    }

    /// The level of its events without delay: its clock minus our monotonic one, milliseconds.
    pub fn clock(&self) -> i64 {
        self.envelope + i64::from(self.delay_ms)
    }

    /// Takes an event. Tells whether what is known of the clock changed by more than drift.
    pub fn hear(&mut self, seen: Seen, theirs: Option<i64>) -> bool {
        self.heard = seen.tick();
        let level = seen.level();
        if self.stage == Stage::Learning {
            let first = First::of(seen, theirs);
            if first != First::Unknown {
                self.begin(seen, first);
                return true;
            }
            let change = match level > seen.base {
                true => Change::Ahead,
                false => Change::Late,
            };
            return self.weigh(seen, change);
        }
        let early = level - self.envelope;
        let assumed = i64::from(self.delay_ms);
        if early > assumed + NEAR_MS {
            return self.weigh(seen, Change::Ahead);
        }
        if early > assumed || early > NEAR_MS {
            // Quicker by the delay that was assumed proves no other clock; quicker by more does.
            self.rise(level);
        } else if early < -(NEAR_MS + seen.trip()) {
            let back = seen.time < self.newest;
            return match -early {
                late if back && late >= LEAST_STEP_MS => self.weigh(seen, Change::Back),
                late if late > LONGEST_DELAY_MS => self.weigh(seen, Change::Late),
                _ => false,
            };
        }
        self.count = 0;
        self.newest = self.newest.max(seen.time);
        self.peak = self.peak.max(level);
        if seen.tick().saturating_sub(self.window_from) >= FIRST_WINDOW << self.window {
            self.follow(seen);
        }
        false
    }

    /// What to add to its events' times, milliseconds; 0 = its clock agrees with ours.
    pub fn shift(&mut self, seen: Seen) -> i64 {
        if self.stage != Stage::Settled {
            return 0;
        }
        let ahead = self.clock() - seen.base;
        // That it is behind is certain only beyond what a delay may have been.
        let doubt = i64::from(self.doubt_ms) + seen.trip();
        self.shifting = match self.shifting {
            true => ahead.abs() >= CORRECTED_UNTIL_MS,
            false => ahead > CORRECTED_FROM_MS || -ahead > CORRECTED_FROM_MS + doubt,
        };
        match self.shifting {
            true => -ahead,
            false => 0,
        }
    }

    /// Weighs an event that does not fit: is it one of several at a level of their own?
    fn weigh(&mut self, seen: Seen, change: Change) -> bool {
        let level = seen.level();
        let near = LEVEL_MS + seen.trip() / 2;
        // Ahead is ahead, late by a little or not.
        let below = near.max(if change == Change::Ahead { NEAR_MS } else { 0 });
        let same = (-below..=near).contains(&(level - self.watched));
        if self.count == 0 || !same {
            self.watch(seen, change == Change::Back);
            return false;
        }
        self.count = self.count.saturating_add(1);
        self.back &= change == Change::Back;
        let span = seen.tick().saturating_sub(self.watched_from);
        let enough = match change {
            Change::Ahead => self.count >= 3 && span >= 5 && self.advanced(seen) >= LEVEL_MS,
            _ if self.back => self.count >= 3 && span >= 10,
            _ => self.count >= 5 && span >= 100,
        };
        if !enough {
            return false;
        }
        let level = level.max(self.watched);
        let late = seen.base - level;
        let usual = (-CORRECTED_FROM_MS..=USUAL_DELAY_MS + seen.trip()).contains(&late);
        let late = !self.back && (0..=LONGEST_DELAY_MS).contains(&late);
        let clock = match usual || late {
            true => seen.base,
            false => level + seen.trip() / 2,
        };
        self.settle(seen, level, clock);
        true
    }

    /// How far times have come since the level is watched, milliseconds: those of a plan for tomorrow stand still.
    fn advanced(&self, seen: Seen) -> i64 {
        let began = self.watched + i64::from(self.watched_from) * TICK_MS as i64;
        seen.time - began
    }

    fn watch(&mut self, seen: Seen, back: bool) {
        (self.count, self.back) = (1, back);
        (self.watched, self.watched_from) = (seen.level(), seen.tick());
    }

    /// The clock is known: the envelope, and what it would be without delay.
    fn settle(&mut self, seen: Seen, envelope: i64, clock: i64) {
        let delay = u32::try_from((clock - envelope).max(0)).unwrap_or(u32::MAX);
        self.stage = Stage::Settled;
        (self.envelope, self.peak) = (envelope, envelope);
        (self.delay_ms, self.doubt_ms) = (delay, delay);
        self.newest = seen.time;
        (self.count, self.window) = (0, 0);
        (self.window_from, self.followed) = (seen.tick(), seen.tick());
        self.shifting = false;
        self.shift(seen);
    }

    /// Something came quicker than ever: less delay than was assumed, and what is more is the clock.
    fn rise(&mut self, level: i64) {
        let rise = u32::try_from(level - self.envelope).unwrap_or(u32::MAX);
        self.delay_ms = self.delay_ms.saturating_sub(rise);
        self.envelope = level;
        self.peak = self.peak.max(level);
    }

    /// A window ends: what changed slowly is the clock's drift.
    fn follow(&mut self, seen: Seen) {
        let passed = i64::from(seen.tick().saturating_sub(self.followed)) * TICK_MS as i64;
        let drift = (passed / DRIFT).min(DRIFT_MOST_MS);
        let change = self.peak - self.envelope;
        if change > drift {
            self.rise(self.peak);
        } else if change >= -drift {
            self.envelope = self.peak;
        }
        if change >= -drift {
            self.followed = seen.tick();
        }
        self.window = (self.window + 1).min(WINDOWS);
        (self.window_from, self.peak) = (seen.tick(), seen.level());
    }
}
