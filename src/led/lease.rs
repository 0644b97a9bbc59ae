//! The lease: a text for the kernel's `pattern` trigger that shows what is wanted for some seconds and then, unless it
//! is written again, that nobody drives the LED any more. So a program that died or hangs shows as a fault, with no
//! help of the program.
//!
//! Facts of the kernel (`Documentation/ABI/testing/sysfs-class-led-trigger-pattern`, Linux 4.20 and newer): the text is
//! pairs of brightness and milliseconds, at most 1024 of them, and one page long at most; two neighbours of different
//! brightness make a slow change unless a pair of 0 ms stands between them; the whole is repeated; a new text begins at
//! its first pair at once. The kernel's timers are late by up to a tick (4 to 10 ms) at every pair of less than 64
//! ticks, and by up to 8 ticks at longer ones (measured: 0.32 s for 0.3 s at 250 Hz). So what is to keep step with this
//! program goes over in short pieces.

use std::fmt::Write as _;

use super::pattern::{Moment, Pattern, Step};

/// What is wanted is shown for so long after the last renewal, milliseconds.
pub const LEASE_MS: u64 = 6_000;
/// A lease is renewed no sooner than this, milliseconds.
pub const RENEW_MS: u64 = 2_000;
/// A lease this old is renewed even if that can be seen, milliseconds.
const OVERDUE_MS: u64 = 4_500;
/// After a clean stop the box restarts or is shut down: "booting" for so long, then as if abandoned, milliseconds.
const GOODBYE_MS: u64 = 20_000;
/// The dark between what was wanted and the first group of the fault, milliseconds.
const SEAM_MS: u64 = 1_000;
/// Steps shorter than this are too short to renew within, milliseconds.
const WIDE_MS: u64 = 300;
/// So far from the ends of a step a renewal stays, as the kernel may lag, milliseconds.
const EARLY_MS: u64 = 150;
const LATE_MS: u64 = 50;
/// Longest piece that the kernel times well, milliseconds.
const PIECE_MS: u64 = 200;
/// Most that the kernel takes, bytes and pairs.
const MOST_BYTES: usize = 4095;
const MOST_PAIRS: usize = 1024;

/// The lease of one LED. Times are monotonic milliseconds.
#[derive(Debug, Clone)]
pub struct Lease {
    /// Brightness that is "lit".
    full: u32,
    pattern: Pattern,
    /// At that moment...
    since_ms: u64,
    /// ...the pattern was so far into its cycle. Both move where the kernel lags behind.
    from_phase_ms: u64,
    written_ms: Option<u64>,
}

impl Lease {
    /// A lease on a LED whose brightest is `full`; nothing is written yet.
    pub fn new(full: u32) -> Self {
        Self {
            full,
            pattern: Pattern::Off,
            since_ms: 0,
            from_phase_ms: 0,
            written_ms: None,
        }
    }

    /// Says what is to be shown from now on. A pattern that is shown already goes on undisturbed.
    pub fn show(&mut self, pattern: Pattern, now_ms: u64) {
        if pattern != self.pattern {
            self.pattern = pattern;
            self.since_ms = now_ms;
            self.from_phase_ms = 0;
            self.written_ms = None;
        }
    }

    /// When the text is to be written next: where it changes nothing that can be seen.
    pub fn due_ms(&self, now_ms: u64) -> u64 {
        let Some(written_ms) = self.written_ms else {
            return now_ms;
        };
        let from = now_ms.max(written_ms.saturating_add(RENEW_MS));
        let latest = written_ms.saturating_add(OVERDUE_MS);
        let quiet = from.saturating_add(self.until_quiet(from));
        quiet.min(latest.max(now_ms))
    }

    /// The text, beginning with what the LED shows now. `visible` is what it really shows, where the kernel tells.
    pub fn write(&mut self, now_ms: u64, visible: Option<bool>) -> String {
        if self.written_ms.is_some()
            && let Some(lit) = visible
        {
            self.follow(now_ms, lit);
        }
        self.written_ms = Some(now_ms);
        let mut text = Text::new(self.full);
        text.fill(self.pattern, self.phase(now_ms), LEASE_MS);
        text.abandon();
        text.finish()
    }

    /// The text was not taken: it is due at once.
    pub fn lost(&mut self) {
        self.written_ms = None;
    }

    fn phase(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.since_ms) + self.from_phase_ms
    }

    /// How long from that moment until the middle part of a step that is wide enough; 0 if that is now. Patterns of
    /// short steps have no such moment, and any will do.
    fn until_quiet(&self, at_ms: u64) -> u64 {
        if self.pattern.still().is_some() || self.pattern.steps().all(|step| step.ms < WIDE_MS) {
            return 0;
        }
        let mut waited = 0;
        loop {
            let Moment { step, into_ms, .. } = self.pattern.at(self.phase(at_ms + waited));
            if step.ms >= WIDE_MS && into_ms + LATE_MS <= step.ms {
                let early = EARLY_MS.min(step.ms / 2);
                return waited + early.saturating_sub(into_ms);
            }
            waited += step.ms - into_ms;
        }
    }

    /// The kernel lags: where it shows something else than it should by now, it is still in the step before. Without
    /// this, a renewal would cut a blink off, and the eye would count wrong.
    fn follow(&mut self, now_ms: u64, lit: bool) {
        if self.pattern.still().is_some() {
            return;
        }
        let moment = self.pattern.at(self.phase(now_ms));
        let is_so = moment.step.lit == lit;
        if is_so && moment.step.ms >= WIDE_MS {
            return;
        }
        let steps: Vec<Step> = self.pattern.steps().collect();
        let index = match is_so {
            true => moment.index,
            false => (moment.index + steps.len() - 1) % steps.len(),
        };
        // Of a wide step the half is to come; a short one is shown whole once more, so that none gets shorter.
        let into_ms = match steps[index].ms {
            wide @ WIDE_MS.. => wide / 2,
            _ => 0,
        };
        self.since_ms = now_ms;
        self.from_phase_ms = self.pattern.begin_of(index) + into_ms;
    }
}

/// The text that a program leaves behind when it was stopped.
pub fn goodbye(full: u32) -> String {
    let mut text = Text::new(full);
    text.fill(Pattern::Fast, 0, GOODBYE_MS);
    text.abandon();
    text.finish()
}

/// The text that shows a pattern for ever.
pub fn endless(pattern: Pattern, full: u32) -> String {
    let mut text = Text::new(full);
    text.fill(pattern, 0, pattern.cycle_ms());
    text.finish()
}

/// A text in the making.
#[derive(Debug)]
struct Text {
    full: u32,
    text: String,
    pairs: usize,
}

impl Text {
    fn new(full: u32) -> Self {
        Self {
            full,
            text: String::with_capacity(MOST_BYTES),
            pairs: 0,
        }
    }

    /// One step in so many pieces: the level for so long, and the pair of 0 ms that makes the next one a jump.
    fn step(&mut self, step: Step, pieces: u64) {
        let level = if step.lit { self.full } else { 0 };
        for piece in 0..pieces {
            let ms = step.ms * (piece + 1) / pieces - step.ms * piece / pieces;
            // Writing to a string does not fail.
            let _ = write!(self.text, "{level} {ms} ");
            self.pairs += 1;
        }
        let _ = write!(self.text, "{level} 0 ");
        self.pairs += 1;
    }

    /// So much of a pattern, from so far into it; the last step is cut.
    fn fill(&mut self, pattern: Pattern, phase_ms: u64, for_ms: u64) {
        if let Some(lit) = pattern.still() {
            self.step(Step { lit, ms: for_ms }, 1);
            return;
        }
        let mut done = 0;
        while done < for_ms {
            let Moment { step, into_ms, .. } = pattern.at(phase_ms + done);
            let ms = (step.ms - into_ms).min(for_ms - done);
            let lit = step.lit;
            self.step(Step { lit, ms }, ms.div_ceil(PIECE_MS));
            done += ms;
        }
    }

    /// As many groups of the fault as there is room for.
    fn abandon(&mut self) {
        let seam = Step {
            lit: false,
            ms: SEAM_MS,
        };
        self.step(seam, 1);
        let mut group = Self::new(self.full);
        for step in Pattern::ABANDONED.steps() {
            group.step(step, 1);
        }
        let by_bytes = MOST_BYTES.saturating_sub(self.text.len()) / group.text.len();
        let by_pairs = MOST_PAIRS.saturating_sub(self.pairs) / group.pairs;
        for _ in 0..by_bytes.min(by_pairs) {
            self.text.push_str(&group.text);
        }
    }

    fn finish(mut self) -> String {
        self.text.truncate(self.text.trim_end().len());
        self.text.push('\n');
        self.text
    }
}
