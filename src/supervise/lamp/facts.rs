//! What the LED must know of the box itself. Whoever watches a thing notes it here; the LED reads.

use std::sync::atomic::{AtomicBool, Ordering};

/// Facts of the box, all false at first.
#[derive(Debug, Default)]
pub struct Facts {
    storage: AtomicBool,
    under_voltage: AtomicBool,
    safe_mode: AtomicBool,
}

impl Facts {
    /// What is written is not kept: the data partition is read-only or full.
    pub fn set_storage_fault(&self, is_so: bool) {
        self.storage.store(is_so, Ordering::Relaxed);
    }

    /// The supply is too weak, now.
    pub fn set_under_voltage(&self, is_so: bool) {
        self.under_voltage.store(is_so, Ordering::Relaxed);
    }

    /// The box runs in safe mode.
    pub fn set_safe_mode(&self, is_so: bool) {
        self.safe_mode.store(is_so, Ordering::Relaxed);
    }

    pub(super) fn storage_fault(&self) -> bool {
        self.storage.load(Ordering::Relaxed)
    }

    pub(super) fn under_voltage(&self) -> bool {
        self.under_voltage.load(Ordering::Relaxed)
    }

    pub(super) fn safe_mode(&self) -> bool {
        self.safe_mode.load(Ordering::Relaxed)
    }
}
