//! Refused handshakes: one tally for all listeners, and few lines about many.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::handshake::Failure;

/// So many refusals within [`WINDOW_MS`] get a line each; further ones are counted, and told together.
const LINES: u32 = 5;
/// Milliseconds.
const WINDOW_MS: u64 = 5000;

/// Refused handshakes by word. Clones share one tally; the words are a fixed set, so it is bounded.
#[derive(Debug, Clone, Default)]
pub struct Refusals {
    tally: Arc<Mutex<Tally>>,
}

#[derive(Debug, Default)]
struct Tally {
    counts: BTreeMap<&'static str, u64>,
    window_begins_ms: u64,
    lines: u32,
    untold: BTreeMap<&'static str, u64>,
}

impl Refusals {
    /// Counts one, and logs it unless there are too many. `who` is "client" or "federate", `now_ms` monotonic.
    pub fn count(&self, who: &str, address: impl Display, failure: &Failure, now_ms: u64) {
        let word = failure.word();
        if self.note(word, now_ms) {
            tracing::warn!(%address, reason = word, "{who} at {address} refused: {failure}");
        }
    }

    /// Counts one; whether it deserves its own line.
    fn note(&self, word: &'static str, now_ms: u64) -> bool {
        let mut tally = self.lock();
        *tally.counts.entry(word).or_default() += 1;
        if now_ms >= tally.window_begins_ms + WINDOW_MS {
            (tally.window_begins_ms, tally.lines) = (now_ms, 0);
        }
        if tally.lines < LINES {
            tally.lines += 1;
            return true;
        }
        *tally.untold.entry(word).or_default() += 1;
        false
    }

    /// What has got no line of its own, in words; asked once a second, it answers once per window at most.
    pub fn summary(&self, now_ms: u64) -> Option<String> {
        let mut tally = self.lock();
        if tally.untold.is_empty() || now_ms < tally.window_begins_ms + WINDOW_MS {
            return None;
        }
        let untold = std::mem::take(&mut tally.untold);
        let words: Vec<String> = untold
            .iter()
            .map(|(word, count)| format!("{word} {count}"))
            .collect();
        let total: u64 = untold.values().sum();
        Some(format!(
            "{total} more handshakes refused: {}",
            words.join(", ")
        ))
    }

    /// The counts so far.
    pub fn snapshot(&self) -> BTreeMap<&'static str, u64> {
        self.lock().counts.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_gets_a_few_lines_and_one_sum() {
        let refusals = Refusals::default();
        let told = (0..100)
            .filter(|_| refusals.note("unknown_ca", 10_000))
            .count();
        assert_eq!(told, 5);
        assert_eq!(refusals.summary(14_999), None, "the window is not over");
        let words = refusals.summary(15_000).unwrap();
        assert_eq!(words, "95 more handshakes refused: unknown_ca 95");
        assert_eq!(refusals.summary(15_000), None);
        assert!(refusals.note("hung_up", 15_000));
        let counts = refusals.snapshot();
        assert_eq!((counts["unknown_ca"], counts["hung_up"]), (100, 1));
    }
}
