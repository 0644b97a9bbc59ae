//! The clock of the running box: one anchor that every reading is counted from, and the look at all sources, once a
//! second, that decides what it is.

use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

use super::floor::{Floor, FloorStore};
use super::gps::{self, Line, State};
use super::judge::{Follows, Judge, KernelClock, Seen, Sighting, Verdict};
use super::peers::{self, PeerOffset};
use super::rtc::Rtc;
use super::{Clock, Now, Quality, kernel};
use crate::state::StateError;

/// When this release was built, milliseconds since 1970: no box runs it earlier.
pub fn build_ms() -> i64 {
    /// 2026-01-01, should the build have told nothing.
    const EARLIEST: i64 = 1_767_225_600;
    let seconds = env!("TOMBOLO_BUILD_SECONDS").parse().unwrap_or(EARLIEST);
    seconds.max(EARLIEST) * 1_000
}

/// A jump of the time below this is none, milliseconds.
pub const JUMP_MS: u64 = 200;
/// The battery-backed clock is read so often, milliseconds: it may stand behind a slow bus.
const RTC_EVERY_MS: u64 = 600_000;
const NANOS_PER_MS: i64 = 1_000_000;

/// The clock of the running box. Reading it takes one look at the monotonic clock (which goes on in suspend).
#[derive(Debug)]
pub struct BoxClock {
    started_ns: i64,
    /// The time of day when the monotonic clock read zero, nanoseconds since 1970.
    anchor_ns: AtomicI64,
    quality: AtomicU8,
    jumps: AtomicU64,
    keeping: Mutex<Keeping>,
}

#[derive(Debug)]
struct Keeping {
    judge: Judge,
    tracker: gps::Tracker,
    gps_is_off: bool,
    peers_are_off: bool,
    peers: Option<Sighting>,
    rtc: Rtc,
    /// The battery-backed clock's anchor and when it was read.
    rtc_read: Option<(Option<i64>, u64)>,
    /// The system clock's anchor at the last look, milliseconds.
    system_anchor_ms: i64,
    kernel: Option<KernelClock>,
    verdict: Verdict,
    steps: u64,
    last_step: Option<Step>,
    last_jump: Option<Step>,
    store: Option<FloorStore>,
}

/// A jump of a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// When, by the box's time after it, milliseconds since 1970.
    pub at_ms: i64,
    /// By how much, milliseconds; forward is positive.
    pub by_ms: i64,
}

/// How the clock stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// What the box goes by.
    pub verdict: Verdict,
    /// The system clock.
    pub system_ms: i64,
    /// What the kernel says of it; none where it does not say.
    pub kernel: Option<KernelClock>,
    /// How gpsd stands.
    pub gps: State,
    /// The battery-backed clock, if there is one.
    pub rtc_ms: Option<i64>,
    /// The earliest that it can be.
    pub lowest_ms: i64,
    /// Jumps of the system clock since the start.
    pub steps: u64,
    /// The last of them.
    pub last_step: Option<Step>,
    /// Jumps of the box's own time since the start.
    pub jumps: u64,
    /// The last of them.
    pub last_jump: Option<Step>,
}

impl Report {
    /// The system clock cannot be right, and no source says what time it is.
    pub fn is_lost(&self) -> bool {
        let nobody_says = matches!(
            self.verdict.quality,
            Quality::Floor | Quality::Build | Quality::None
        );
        self.verdict.system_is_implausible && nobody_says
    }
}

/// What is new after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// How the clock stands now.
    pub verdict: Verdict,
    /// How it stood before.
    pub before: Verdict,
    /// The system clock jumped.
    pub step: Option<Step>,
    /// The box's own time jumped.
    pub jump: Option<Step>,
    /// What should be written to the disk now.
    pub due: Option<Floor>,
}

impl BoxClock {
    /// Asks every source of the machine below `root` (`/` but for tests) that answers at once, and what is kept in
    /// the state directory. In words: what is wrong with that.
    pub fn start(state: &Path, root: &Path) -> (Self, Option<String>) {
        Self::start_at(state, root, monotonic_ns())
    }

    /// The same, with a monotonic clock that read zero at `started_ns`.
    fn start_at(state: &Path, root: &Path, started_ns: i64) -> (Self, Option<String>) {
        let (store, floor, fault) = FloorStore::open(state, build_ms());
        let judge = Judge::new(build_ms(), floor);
        let (system_ns, mono_ns) = (system_ns(), monotonic_ns() - started_ns);
        let nothing = Verdict {
            quality: Quality::None,
            follows: Follows::System,
            wall_ms: system_ns / NANOS_PER_MS,
            error_ms: None,
            age_ms: None,
            system_is_implausible: false,
        };
        let clock = Self {
            started_ns,
            anchor_ns: AtomicI64::new(system_ns.saturating_sub(mono_ns)),
            quality: AtomicU8::new(Quality::None.number()),
            jumps: AtomicU64::new(0),
            keeping: Mutex::new(Keeping {
                judge,
                tracker: gps::Tracker::default(),
                gps_is_off: false,
                peers_are_off: false,
                peers: None,
                rtc: Rtc::new(root),
                rtc_read: None,
                system_anchor_ms: system_ns.saturating_sub(mono_ns) / NANOS_PER_MS,
                kernel: None,
                verdict: nothing,
                steps: 0,
                last_step: None,
                last_jump: None,
                store: Some(store),
            }),
        };
        clock.look();
        {
            // What the first look changed is no jump: nobody has read the clock before.
            let mut keeping = clock.keeping();
            keeping.last_jump = None;
            clock.jumps.store(0, Ordering::Relaxed);
        }
        (clock, fault)
    }

    /// Asks every source again and goes by the best. Called once a second.
    pub fn look(&self) -> News {
        let mut keeping = self.keeping();
        let mono_ns = monotonic_ns() - self.started_ns;
        let system_ns = system_ns();
        let mono_ms = millis(mono_ns);
        let mono_signed = mono_ns / NANOS_PER_MS;
        let system_ms = system_ns / NANOS_PER_MS;
        let system_anchor_ms = system_ns.saturating_sub(mono_ns) / NANOS_PER_MS;
        let step = keeping.step(system_anchor_ms);
        keeping.kernel = kernel::ask().ok();
        keeping.read_rtc(mono_ms);
        let seen = Seen {
            mono_ms,
            system_ms,
            was_set: step.is_some(),
            kernel: keeping.kernel,
            gps: keeping.tracker.sighting().filter(|_| !keeping.gps_is_off),
            peers: keeping.peers.filter(|_| !keeping.peers_are_off),
            rtc_ms: keeping.rtc_now(mono_signed),
        };
        let before = keeping.verdict;
        let verdict = keeping.judge.judge(&seen);
        keeping.verdict = verdict;
        let anchor_ns = match verdict.follows {
            Follows::System => system_ns.saturating_sub(mono_ns),
            Follows::Anchor(anchor_ms) => anchor_ms.saturating_mul(NANOS_PER_MS),
        };
        let old_ns = self.anchor_ns.swap(anchor_ns, Ordering::Relaxed);
        self.quality
            .store(verdict.quality.number(), Ordering::Relaxed);
        let jump = jump(old_ns, anchor_ns, verdict.wall_ms);
        if jump.is_some() {
            self.jumps.fetch_add(1, Ordering::Relaxed);
            keeping.last_jump = jump;
        }
        let floor = keeping.judge.floor();
        let is_due = |store: &mut FloorStore| store.is_due(floor, mono_ms);
        News {
            verdict,
            before,
            step,
            jump,
            due: keeping.store.as_mut().is_some_and(is_due).then_some(floor),
        }
    }

    /// Writes what is due; blocks until it is on the disk.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, floor: Floor) -> Result<(), StateError> {
        // Nobody who reads the clock waits for the disk.
        let Some(mut store) = self.keeping().store.take() else {
            return Ok(());
        };
        let saved = store.save(floor, self.now().mono_ms);
        self.keeping().store = Some(store);
        saved
    }

    /// Whether gpsd is asked and the peers' clocks count, from now on.
    pub fn use_sources(&self, gps: bool, peers: bool) {
        let mut keeping = self.keeping();
        keeping.gps_is_off = !gps;
        keeping.peers_are_off = !peers;
        keeping.tracker = gps::Tracker::default();
        keeping.peers = None;
    }

    /// gpsd answers, or is gone.
    pub fn set_gpsd_connected(&self, is_connected: bool) {
        self.keeping().tracker.set_connected(is_connected);
    }

    /// Notes a line that gpsd sent just now.
    pub fn hear_gpsd(&self, line: &Line) {
        let mut keeping = self.keeping();
        let mono_ns = monotonic_ns() - self.started_ns;
        let system_ms = system_ns() / NANOS_PER_MS;
        let Keeping { judge, tracker, .. } = &mut *keeping;
        tracker.hear(line, millis(mono_ns), system_ms, |wall| {
            wall >= build_ms() && judge.is_plausible(wall.max(judge.lowest_ms()))
        });
    }

    /// Notes what the peers' clocks say now; the offsets are against [`Now::wall_ms`].
    pub fn note_peers(&self, offsets: &[PeerOffset]) {
        let Some((offset_ms, error_ms)) = peers::median(offsets) else {
            return;
        };
        let mono_ns = monotonic_ns() - self.started_ns;
        let anchor_ns = self.anchor_ns.load(Ordering::Relaxed);
        self.keeping().peers = Some(Sighting {
            anchor_ms: (anchor_ns / NANOS_PER_MS).saturating_add(offset_ms),
            error_ms,
            at_ms: millis(mono_ns),
        });
    }

    /// How often the box's own time jumped since the start, by more than [`JUMP_MS`]. What was compared with it before
    /// a jump says nothing after it.
    pub fn jumps(&self) -> u64 {
        self.jumps.load(Ordering::Relaxed)
    }

    /// How it stands.
    pub fn report(&self) -> Report {
        let keeping = self.keeping();
        let mono_ns = monotonic_ns() - self.started_ns;
        let mono_ms = millis(mono_ns);
        let mut verdict = keeping.verdict;
        verdict.wall_ms = self.now().wall_ms;
        Report {
            verdict,
            system_ms: system_ns() / NANOS_PER_MS,
            kernel: keeping.kernel,
            gps: match keeping.gps_is_off {
                true => State::Off,
                false => keeping.tracker.state(mono_ms),
            },
            rtc_ms: keeping.rtc_now(mono_ns / NANOS_PER_MS),
            lowest_ms: keeping.judge.lowest_ms(),
            steps: keeping.steps,
            last_step: keeping.last_step,
            jumps: self.jumps(),
            last_jump: keeping.last_jump,
        }
    }

    /// The earliest that it can be, milliseconds since 1970: the later of the last time that GPS or NTP vouched for
    /// and the time this release was built.
    pub fn lowest_ms(&self) -> i64 {
        self.keeping().judge.lowest_ms()
    }

    fn keeping(&self) -> MutexGuard<'_, Keeping> {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for BoxClock {
    fn now(&self) -> Now {
        let mono_ns = monotonic_ns() - self.started_ns;
        let wall_ns = self
            .anchor_ns
            .load(Ordering::Relaxed)
            .saturating_add(mono_ns);
        Now {
            mono_ms: millis(mono_ns),
            wall_ms: wall_ns / NANOS_PER_MS,
        }
    }

    fn quality(&self) -> Quality {
        Quality::of_number(self.quality.load(Ordering::Relaxed))
    }
}

impl Keeping {
    /// Whether the system clock was set since the last look.
    fn step(&mut self, system_anchor_ms: i64) -> Option<Step> {
        let by_ms = system_anchor_ms.saturating_sub(self.system_anchor_ms);
        self.system_anchor_ms = system_anchor_ms;
        if by_ms.unsigned_abs() <= JUMP_MS {
            return None;
        }
        self.steps += 1;
        self.last_step = Some(Step {
            at_ms: self.verdict.wall_ms,
            by_ms,
        });
        self.last_step
    }

    fn read_rtc(&mut self, mono_ms: u64) {
        let is_old = |&(_, at): &(Option<i64>, u64)| mono_ms.saturating_sub(at) >= RTC_EVERY_MS;
        if self.rtc_read.as_ref().is_none_or(is_old) {
            let signed = i64::try_from(mono_ms).unwrap_or(i64::MAX);
            let anchor = self.rtc.read().map(|rtc| rtc.saturating_sub(signed));
            self.rtc_read = Some((anchor, mono_ms));
        }
    }

    fn rtc_now(&self, mono_ms: i64) -> Option<i64> {
        let (anchor, _) = self.rtc_read?;
        Some(anchor?.saturating_add(mono_ms))
    }
}

fn jump(old_ns: i64, new_ns: i64, at_ms: i64) -> Option<Step> {
    let by_ms = new_ns.saturating_sub(old_ns) / NANOS_PER_MS;
    (by_ms.unsigned_abs() > JUMP_MS).then_some(Step { at_ms, by_ms })
}

fn millis(nanos: i64) -> u64 {
    u64::try_from(nanos / NANOS_PER_MS).unwrap_or(0)
}

/// The monotonic clock, with the time that the machine slept.
fn monotonic_ns() -> i64 {
    // The kernel has had it since 2.6.39; a clock that stands still is the least harm if it does not.
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from);
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

/// The system clock, nanoseconds since 1970.
fn system_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.unwrap_or(Duration::ZERO);
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn started() -> (tempfile::TempDir, BoxClock) {
        let directory = tempfile::tempdir().unwrap();
        // A minute ago, so that tests can let time pass.
        let began = monotonic_ns() - 60_000 * NANOS_PER_MS;
        let path = directory.path();
        let (clock, fault) = BoxClock::start_at(path, path, began);
        assert_eq!(fault, None);
        (directory, clock)
    }

    #[test]
    fn without_a_better_source_it_is_the_system_clock() {
        let (_directory, clock) = started();
        let (now, system) = (clock.now(), super::super::SystemClock::new().now());
        assert!(
            now.wall_ms.abs_diff(system.wall_ms) <= 20,
            "{now:?} {system:?}"
        );
        let later = clock.now();
        assert!(later.wall_ms >= now.wall_ms && later.mono_ms >= now.mono_ms);
        assert_eq!(clock.jumps(), 0);
        assert_eq!(clock.report().gps, State::Away);
        assert_ne!(clock.quality(), Quality::None);
    }

    #[test]
    fn gps_moves_a_clock_that_is_plainly_wrong_and_its_jump_is_counted() {
        let (directory, clock) = started();
        clock.set_gpsd_connected(true);
        let begin = clock.now();
        // An hour ahead of the system clock.
        for _ in 0..4 {
            let now = clock.now();
            clock.hear_gpsd(&Line::Report {
                mode: 3,
                time_ms: Some(now.wall_ms + 3_600_000),
                error_ms: None,
            });
        }
        // The judge waits some seconds; the monotonic clock cannot be turned, so its memory is.
        let first = clock.look();
        clock.keeping().judge.age_for_tests(20_000);
        let second = clock.look();
        assert_eq!(first.verdict.follows, Follows::System);
        assert!(
            matches!(second.verdict.follows, Follows::Anchor(_)),
            "{second:?}"
        );
        let by = second.jump.unwrap().by_ms;
        assert!((3_599_900..3_600_100).contains(&by), "{by}");
        assert_eq!(clock.jumps(), 1);
        assert!(clock.now().wall_ms >= begin.wall_ms + 3_599_000);
        assert_eq!(second.step, None, "the system clock was not set");
        clock.keeping().judge.age_for_tests(20_000);
        let third = clock.look();
        assert_eq!(third.verdict.quality, Quality::Gps);
        let floor = third.due.unwrap();
        clock.save(floor).unwrap();
        assert!(fs::exists(directory.path().join("clock.a")).unwrap());
        assert_eq!(clock.look().due, None, "not again so soon");
    }

    #[test]
    fn the_peers_median_is_taken_from_now_on() {
        let (_directory, clock) = started();
        let offset = PeerOffset {
            offset_ms: -7_200_000,
            error_ms: 30,
            quality: Some(Quality::Gps),
        };
        clock.note_peers(&[offset]);
        clock.look();
        clock.keeping().judge.age_for_tests(20_000);
        let news = clock.look();
        let expected = match clock.report().kernel {
            // This machine knows better than its peers.
            Some(kernel) if kernel.is_synchronised => Follows::System,
            _ => news.verdict.follows,
        };
        assert_eq!(news.verdict.follows, expected);
        if let Some(jump) = news.jump {
            assert!((-7_200_100..-7_199_900).contains(&jump.by_ms), "{jump:?}");
        }
    }
}
