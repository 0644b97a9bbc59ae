//! When to join a mesh again: at once when its interface comes, and never often. Pure.
//!
//! Each join makes the kernel send reports, and a network that comes and goes ten times a second must not make the box shout.

/// Never more than one attempt within this.
pub const LEAST_MS: u64 = 1000;
/// Without news an attempt is made this often at least.
const MOST_MS: u64 = 30_000;
/// Who was on the mesh this long begins anew.
const WELL_MS: u64 = 60_000;

/// The pace of one mesh. Times are monotonic milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// When the last attempt was made.
    last_ms: Option<u64>,
    failures: u32,
}

impl Pace {
    /// An attempt is made.
    pub fn tries(&mut self, now_ms: u64) {
        self.last_ms = Some(now_ms);
        self.failures = self.failures.saturating_add(1);
    }

    /// The box leaves the mesh after so long on it.
    pub fn was_on(&mut self, for_ms: u64) {
        if for_ms >= WELL_MS {
            self.failures = 0;
        }
    }

    /// When the next attempt may be made; `news`: the network changed.
    pub fn next_ms(&self, news: bool) -> u64 {
        let Some(last) = self.last_ms else { return 0 };
        let doubled = LEAST_MS << self.failures.saturating_sub(1).min(5);
        match news {
            // Who comes and goes all the time is given less and less, but never as little as without news.
            true => last + doubled.min(8 * LEAST_MS),
            false => last + doubled.min(MOST_MS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_grow_rare_and_news_brings_them_forward() {
        let mut pace = Pace::default();
        assert_eq!(pace.next_ms(false), 0);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            pace.tries(1000);
            pauses.push((pace.next_ms(false) - 1000, pace.next_ms(true) - 1000));
        }
        assert_eq!(pauses[0], (1000, 1000));
        assert_eq!(pauses[3], (8000, 8000));
        assert_eq!(pauses[6], (30_000, 8000));
        pace.was_on(1000);
        assert_eq!(pace.next_ms(false), 31_000);
        pace.was_on(WELL_MS);
        assert_eq!(pace.next_ms(false), 2000);
    }
}
