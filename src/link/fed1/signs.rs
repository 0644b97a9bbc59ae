//! How well a connection of federation v1 is. The protocol has no sign of life, so other signs must do.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What is known of one connection; both directions and whoever runs it share it.
#[derive(Debug)]
pub struct Signs(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    begun: Instant,
    /// Since when it counts as well.
    well: Option<Instant>,
    heard: bool,
    /// Messages that are in the kernel's hands with all that went before them.
    flushed: u64,
}

impl Default for Signs {
    fn default() -> Self {
        Self(Mutex::new(Inner {
            begun: Instant::now(),
            well: None,
            heard: false,
            flushed: 0,
        }))
    }
}

impl Signs {
    /// Something came.
    pub fn heard(&self) {
        let mut inner = self.lock();
        inner.heard = true;
        inner.well.get_or_insert_with(Instant::now);
    }

    /// Whether anything came.
    pub fn is_heard(&self) -> bool {
        self.lock().heard
    }

    /// It counts as well from now on, whether anything came or not.
    pub fn well(&self) {
        self.lock().well.get_or_insert_with(Instant::now);
    }

    /// Whether it counts as well.
    pub fn is_well(&self) -> bool {
        self.lock().well.is_some()
    }

    /// How long it has been well; none if it never was.
    pub fn held(&self) -> Option<Duration> {
        self.lock().well.map(|since| since.elapsed())
    }

    /// How old it is.
    pub fn age(&self) -> Duration {
        self.lock().begun.elapsed()
    }

    /// So many messages are in the kernel's hands.
    pub fn flushed(&self, messages: u64) {
        self.lock().flushed = messages;
    }

    /// How many are.
    pub fn in_the_kernel(&self) -> u64 {
        self.lock().flushed
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
