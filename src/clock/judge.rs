//! Which source the box goes by. Pure: everything that was seen comes in, a verdict goes out.
//!
//! The box counts time by the monotonic clock from an *anchor* (the time of day when that clock read zero). As long as
//! nothing better contradicts it, the anchor is that of the system clock, and the box's time *is* the system's. The box
//! may not set the system clock (it runs without privilege), so when the system clock is plainly wrong the box goes by
//! an anchor of its own:
//!
//! | seen | it goes by |
//! |---|---|
//! | a fix from GPS, and the system clock within a second of it | the system clock, quality `gps` |
//! | a fix from GPS, and the system clock further off for 3 s (10 s if it is synchronised) | GPS |
//! | no fix, and the kernel's clock is synchronised | the system clock, quality `ntp` |
//! | neither, but one of them was there | the system clock as long as it agrees with that; when it is set to something else, what GPS or NTP said, counted on (100 ppm, until it may be 5 s off) |
//! | none of these, and peers that know the time | as with GPS |
//! | nothing, and the system clock not before the floor | the system clock; quality `rtc` if the battery-backed clock agrees |
//! | nothing, and the system clock before the floor, or out of all reason | the battery-backed clock if that is plausible, else the last known time, counted on |
//!
//! The floor is the later of the last time that GPS or NTP vouched for and the time this release was built.

use super::floor::Floor;
use super::quality::Quality;

/// A difference below this is no reason to leave the system clock, milliseconds.
pub const PLAINLY_WRONG_MS: u64 = 1_000;
/// It must last so long before it is believed, milliseconds; longer against a clock that is synchronised.
const BELIEVED_MS: u64 = 3_000;
const BELIEVED_AGAINST_NTP_MS: u64 = 10_000;
/// A better source must be there for so long before the quality is its, milliseconds.
const BETTER_MS: u64 = 3_000;
/// A sighting is fresh for so long, milliseconds.
pub const FRESH_MS: u64 = 30_000;
/// What was seen is counted on until it may be this far off, milliseconds.
const HELD_ERROR_MS: u64 = 5_000;
/// How fast the machine's clock may drift, parts of a million.
const DRIFT_PPM: u64 = 100;
/// An anchor is moved for no less than this, milliseconds: time should run evenly.
const MOVED_MS: u64 = 100;
/// The battery-backed clock agrees within this, milliseconds: it shows whole seconds, and drifts.
const RTC_AGREES_MS: u64 = 10_000;
/// The system clock may be this much before a floor that it set itself, milliseconds.
const FLOOR_SLACK_MS: i64 = 5_000;
/// No box runs a release for longer, milliseconds (20 years): a clock that says so is wrong.
const LONGEST_MS: i64 = 20 * 365 * 86_400_000;

/// A leap second that the kernel was told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Leap {
    /// None.
    #[default]
    None,
    /// One is put in at the end of the day.
    Insert,
    /// One is left out at the end of the day.
    Delete,
    /// It is under way.
    Now,
}

/// What the kernel says of its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KernelClock {
    /// Something sets it by a source of time.
    pub is_synchronised: bool,
    /// How far off it probably is, microseconds.
    pub estimated_error_us: u64,
    /// How far off it may be at most, microseconds.
    pub largest_error_us: u64,
    /// A leap second to come.
    pub leap: Leap,
}

/// A source that said what time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// The time of day when the monotonic clock read zero, milliseconds since 1970.
    pub anchor_ms: i64,
    /// How far off it was at most, milliseconds.
    pub error_ms: u64,
    /// When that was, by the monotonic clock.
    pub at_ms: u64,
}

impl Sighting {
    /// How far off it may be by now, milliseconds.
    pub fn error_at(&self, mono_ms: u64) -> u64 {
        let drift = self.age_at(mono_ms) / 1_000 * DRIFT_PPM / 1_000;
        self.error_ms.saturating_add(drift)
    }

    /// How old it is, milliseconds.
    pub fn age_at(&self, mono_ms: u64) -> u64 {
        mono_ms.saturating_sub(self.at_ms)
    }

    fn is_fresh(&self, mono_ms: u64) -> bool {
        self.age_at(mono_ms) <= FRESH_MS
    }
}

/// Everything that was seen at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Seen {
    /// The monotonic clock.
    pub mono_ms: u64,
    /// The system clock.
    pub system_ms: i64,
    /// The system clock was set to another time since the last look.
    pub was_set: bool,
    /// What the kernel says of it; none where it does not say.
    pub kernel: Option<KernelClock>,
    /// What GPS said last.
    pub gps: Option<Sighting>,
    /// What the peers' clocks said last.
    pub peers: Option<Sighting>,
    /// The battery-backed clock, now.
    pub rtc_ms: Option<i64>,
}

/// What the box's time is counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// The system clock.
    System,
    /// Its own anchor: the time of day when the monotonic clock read zero, milliseconds since 1970.
    Anchor(i64),
}

/// What the box goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Where the time comes from.
    pub quality: Quality,
    /// What it is counted from.
    pub follows: Follows,
    /// The time of day.
    pub wall_ms: i64,
    /// How far off it may be, milliseconds; none = nobody knows.
    pub error_ms: Option<u64>,
    /// How old the word of the source is, milliseconds; none for a source that has none.
    pub age_ms: Option<u64>,
    /// The system clock cannot be right: it is before the floor, or decades after it.
    pub system_is_implausible: bool,
}

/// Judges, and remembers what it needs for that.
#[derive(Debug, Clone)]
pub struct Judge {
    build_ms: i64,
    floor: Floor,
    /// Something was known before this start, or is known for certain since.
    has_floor: bool,
    /// What the time was counted from at the last look.
    last_anchor: Option<i64>,
    /// The anchor in force, when it is not the system's.
    anchor: Option<i64>,
    /// The system clock contradicted a source, and nobody has set it since.
    distrusts_system: bool,
    /// What the kernel's clock was while it was synchronised.
    held: Option<Sighting>,
    /// Since when the system clock and the source in use say something else than what is followed.
    against_since: Option<u64>,
    quality: Option<Quality>,
    /// Since when a better quality is there.
    better_since: Option<u64>,
}

impl Judge {
    /// A judge for a release of that time, with what is known from before; milliseconds since 1970.
    pub fn new(build_ms: i64, floor: Floor) -> Self {
        Self {
            build_ms,
            floor,
            has_floor: floor != Floor::default(),
            last_anchor: None,
            anchor: None,
            distrusts_system: false,
            held: None,
            against_since: None,
            quality: None,
            better_since: None,
        }
    }

    /// The earliest that it can be, milliseconds since 1970.
    pub fn lowest_ms(&self) -> i64 {
        self.floor.certain_ms.max(self.build_ms)
    }

    /// What is to be kept over a power cut.
    pub fn floor(&self) -> Floor {
        self.floor
    }

    /// Whether it can be that time at all.
    pub fn is_plausible(&self, wall_ms: i64) -> bool {
        let earliest = self.lowest_ms().saturating_sub(FLOOR_SLACK_MS);
        (earliest..=self.build_ms.saturating_add(LONGEST_MS)).contains(&wall_ms)
    }

    /// Judges what is seen now. Called about once a second.
    pub fn judge(&mut self, seen: &Seen) -> Verdict {
        let mono = signed(seen.mono_ms);
        let plausible = self.is_plausible(seen.system_ms);
        let synchronised = plausible && seen.kernel.is_some_and(|kernel| kernel.is_synchronised);
        if synchronised {
            self.held = Some(Sighting {
                anchor_ms: seen.system_ms.saturating_sub(mono),
                error_ms: seen
                    .kernel
                    .map_or(0, |kernel| kernel.largest_error_us.div_ceil(1_000)),
                at_ms: seen.mono_ms,
            });
        }
        if synchronised || seen.was_set {
            self.distrusts_system = false;
        }
        if !plausible {
            // Not even when it has run past the floor: somebody must set it.
            self.distrusts_system = true;
        }
        let reference = self.reference(seen, synchronised);
        let follows = self.follow(seen, reference, plausible, synchronised);
        let wall_ms = match follows {
            Follows::System => seen.system_ms,
            Follows::Anchor(anchor) => anchor.saturating_add(mono),
        };
        self.last_anchor = Some(wall_ms.saturating_sub(mono));
        let quality = self.settle(self.quality_of(seen, reference, wall_ms), seen.mono_ms);
        self.remember(wall_ms, quality, seen.was_set && follows == Follows::System);
        let source = reference.filter(|(named, _)| *named == quality);
        Verdict {
            quality,
            follows,
            wall_ms,
            error_ms: source.map(|(_, sighting)| sighting.error_at(seen.mono_ms)),
            age_ms: source.map(|(_, sighting)| sighting.age_at(seen.mono_ms)),
            system_is_implausible: !plausible,
        }
    }

    /// The best that somebody outside the machine said.
    fn reference(&self, seen: &Seen, synchronised: bool) -> Option<(Quality, Sighting)> {
        let now = seen.mono_ms;
        let usable = |sighting: &Sighting| {
            let wall = sighting.anchor_ms.saturating_add(signed(now));
            // Against the release only: GPS is believed against a last known time that came from a wrong clock.
            let reasonable = self.build_ms..=self.build_ms.saturating_add(LONGEST_MS);
            sighting.error_at(now) <= HELD_ERROR_MS && reasonable.contains(&wall)
        };
        let gps = seen.gps.filter(usable).map(|it| (Quality::Gps, it));
        let held = self.held.filter(usable).map(|it| (Quality::Ntp, it));
        let peers = seen.peers.filter(usable).map(|it| (Quality::Peers, it));
        let fresh = gps.filter(|(_, sighting)| sighting.is_fresh(now));
        // A clock that GPS showed to be wrong is not right again because the sky is hidden.
        let contradicted = self.anchor.is_some() && gps.is_some();
        let held = held.filter(|_| !contradicted);
        let ntp = held.filter(|_| synchronised);
        // Neither is there any more: the younger word counts.
        let older = [gps, held].into_iter().flatten();
        let younger = || older.max_by_key(|(_, sighting)| sighting.at_ms);
        fresh.or(ntp).or_else(younger).or(peers)
    }

    fn follow(
        &mut self,
        seen: &Seen,
        reference: Option<(Quality, Sighting)>,
        plausible: bool,
        synchronised: bool,
    ) -> Follows {
        let mono = signed(seen.mono_ms);
        let Some((quality, sighting)) = reference else {
            self.against_since = None;
            return self.follow_nobody(seen, plausible);
        };
        let difference = seen
            .system_ms
            .abs_diff(sighting.anchor_ms.saturating_add(mono));
        let tolerance = PLAINLY_WRONG_MS + 2 * sighting.error_at(seen.mono_ms);
        let Some(anchor) = self.anchor else {
            if plausible && difference <= tolerance {
                self.against_since = None;
                return Follows::System;
            }
            let since = *self.against_since.get_or_insert(seen.mono_ms);
            let patience = match synchronised {
                // The kernel's own word is the reference: it cannot contradict itself.
                true if quality == Quality::Ntp => u64::MAX,
                true => BELIEVED_AGAINST_NTP_MS,
                // It agreed until somebody set it, or it never made sense.
                false if seen.was_set || !plausible => 0,
                false => BELIEVED_MS,
            };
            if seen.mono_ms.saturating_sub(since) < patience {
                return Follows::System;
            }
            self.against_since = None;
            self.distrusts_system = true;
            self.anchor = Some(sighting.anchor_ms);
            return Follows::Anchor(sighting.anchor_ms);
        };
        let well_within = difference <= tolerance / 2;
        if plausible && (well_within || quality == Quality::Ntp && synchronised) {
            let since = *self.against_since.get_or_insert(seen.mono_ms);
            if seen.mono_ms.saturating_sub(since) >= BELIEVED_MS || seen.was_set || synchronised {
                self.against_since = None;
                self.distrusts_system = false;
                self.anchor = None;
                return Follows::System;
            }
        } else {
            self.against_since = None;
            self.distrusts_system = true;
        }
        if anchor.abs_diff(sighting.anchor_ms) > MOVED_MS {
            self.anchor = Some(sighting.anchor_ms);
        }
        Follows::Anchor(self.anchor.unwrap_or(anchor))
    }

    /// Without anybody's word.
    fn follow_nobody(&mut self, seen: &Seen, plausible: bool) -> Follows {
        let mono = signed(seen.mono_ms);
        let rtc = seen.rtc_ms.filter(|&rtc| self.is_plausible(rtc));
        let is_first = self.quality.is_none();
        if is_first && plausible && seen.system_ms < self.floor.known_ms {
            // Behind what the box itself went by before it was switched off: only a clock that ran on may say so.
            let agrees = rtc.is_some_and(|rtc| rtc.abs_diff(seen.system_ms) <= RTC_AGREES_MS);
            self.distrusts_system = !agrees;
        }
        if plausible && !self.distrusts_system {
            self.anchor = None;
            return Follows::System;
        }
        let known = self.floor.known_ms.max(self.lowest_ms());
        let least = match rtc {
            Some(rtc) => rtc.max(self.lowest_ms()),
            None if self.is_plausible(known) => known,
            None => self.lowest_ms(),
        };
        // What was in force goes on.
        let begin = self.last_anchor.unwrap_or(least.saturating_sub(mono));
        Follows::Anchor(*self.anchor.get_or_insert(begin))
    }

    fn quality_of(
        &self,
        seen: &Seen,
        reference: Option<(Quality, Sighting)>,
        wall_ms: i64,
    ) -> Quality {
        let agrees = |sighting: &Sighting| {
            let theirs = sighting.anchor_ms.saturating_add(signed(seen.mono_ms));
            let tolerance = PLAINLY_WRONG_MS + 2 * sighting.error_at(seen.mono_ms);
            theirs.abs_diff(wall_ms) <= tolerance
        };
        if let Some((quality, _)) = reference.filter(|(_, sighting)| agrees(sighting)) {
            return quality;
        }
        let rtc = seen.rtc_ms.filter(|&rtc| self.is_plausible(rtc));
        match rtc {
            Some(rtc) if rtc.abs_diff(wall_ms) <= RTC_AGREES_MS => Quality::Rtc,
            _ if self.has_floor => Quality::Floor,
            _ => Quality::Build,
        }
    }

    /// A worse quality counts at once, a better one when it has held for a while.
    fn settle(&mut self, found: Quality, mono_ms: u64) -> Quality {
        let settled = match self.quality {
            Some(current) if found < current => {
                let since = *self.better_since.get_or_insert(mono_ms);
                match mono_ms.saturating_sub(since) >= BETTER_MS {
                    true => found,
                    false => current,
                }
            }
            _ => found,
        };
        if settled == found {
            self.better_since = None;
        }
        self.quality = Some(settled);
        settled
    }

    fn remember(&mut self, wall_ms: i64, quality: Quality, was_set: bool) {
        if matches!(quality, Quality::Gps | Quality::Ntp) {
            self.floor.certain_ms = self.floor.certain_ms.max(wall_ms);
            self.has_floor = true;
        }
        // Whoever knows better may turn it back: a source, or a person who set the clock.
        self.floor.known_ms = match quality.is_trusted() || was_set {
            true => wall_ms,
            false => self.floor.known_ms.max(wall_ms),
        };
    }
}

#[cfg(test)]
impl Judge {
    /// As if what began some time ago had begun so much earlier.
    pub(super) fn age_for_tests(&mut self, millis: u64) {
        for since in [&mut self.against_since, &mut self.better_since] {
            *since = since.map(|at| at.saturating_sub(millis));
        }
    }
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
