//! How many handshakes were refused, and why: one tally for all listeners.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::handshake::Failure;

/// Refused handshakes by word. Clones share one tally; the words are a fixed set, so it is bounded.
#[derive(Debug, Clone, Default)]
pub struct Refusals {
    counts: Arc<Mutex<BTreeMap<&'static str, u64>>>,
}

impl Refusals {
    /// Counts one.
    pub fn count(&self, failure: &Failure) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(failure.word()).or_default() += 1;
    }

    /// The counts so far.
    pub fn snapshot(&self) -> BTreeMap<&'static str, u64> {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
