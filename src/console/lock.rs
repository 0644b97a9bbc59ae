//! The PIN lock: five tries, then a growing wait.

/// Wrong tries before the first wait.
const FREE_TRIES: u32 = 5;
/// The first wait, ms; each further wrong try doubles it.
const FIRST_WAIT_MS: u64 = 5_000;
/// The longest wait, ms.
const MOST_WAIT_MS: u64 = 600_000;
/// Shortest PIN, characters.
const SHORTEST: usize = 4;
/// Longest PIN, characters.
const LONGEST: usize = 64;

/// Whether the console listens to everybody.
#[derive(Debug, Default)]
pub(super) struct Lock {
    pub(super) has_pin: bool,
    pub(super) is_locked: bool,
    wrong: u32,
    until_ms: u64,
}

impl Lock {
    /// What was found at the start: a box that was switched off after many wrong tries still waits.
    pub(super) fn begin(&mut self, has_pin: bool, wrong: u32, now_ms: u64) {
        self.has_pin = has_pin;
        self.wrong = wrong;
        self.until_ms = now_ms + wait_ms(wrong);
    }

    /// Seconds to wait before the next try; none = try.
    pub(super) fn wait_seconds(&self, now_ms: u64) -> Option<u64> {
        let left = self.until_ms.saturating_sub(now_ms);
        (left > 0).then(|| left.div_ceil(1000))
    }

    /// A try was wrong.
    pub(super) fn failed(&mut self, now_ms: u64) {
        self.wrong = self.wrong.saturating_add(1);
        self.until_ms = now_ms + wait_ms(self.wrong);
    }

    /// A try was right.
    pub(super) fn open(&mut self) {
        self.is_locked = false;
        self.wrong = 0;
        self.until_ms = 0;
    }

    /// Locks, if there is a PIN. Says whether it did.
    pub(super) fn shut(&mut self) -> bool {
        self.is_locked = self.has_pin;
        self.is_locked
    }
}

fn wait_ms(wrong: u32) -> u64 {
    match wrong.checked_sub(FREE_TRIES) {
        None => 0,
        Some(beyond) => (FIRST_WAIT_MS << beyond.min(16)).min(MOST_WAIT_MS),
    }
}

/// What is wrong with a new PIN, if anything.
pub(super) fn pin_fault(pin: &str) -> Option<String> {
    let fits = pin.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    let length = pin.chars().count();
    match fits && (SHORTEST..=LONGEST).contains(&length) {
        true => None,
        false => Some(format!(
            "a PIN has {SHORTEST} to {LONGEST} letters, digits or signs of ASCII"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_after_five_tries() {
        let mut lock = Lock::default();
        lock.begin(true, 0, 0);
        assert!(lock.shut());
        let mut waits = Vec::new();
        for _ in 0..16 {
            lock.failed(1000);
            waits.push(lock.wait_seconds(1000).unwrap_or(0));
        }
        assert_eq!(waits[..7], [0, 0, 0, 0, 5, 10, 20]);
        assert_eq!(waits.last(), Some(&600));
        lock.open();
        assert_eq!(lock.wait_seconds(1000), None);
        lock.begin(true, 6, 50);
        assert_eq!(lock.wait_seconds(50), Some(10));
        assert!(pin_fault("12").is_some() && pin_fault("1234").is_none());
    }
}
