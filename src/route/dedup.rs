//! Whether the same content came already: a fixed table of content hashes.

/// Hashes in one bucket; the oldest gives way.
const WAYS: usize = 4;

/// A bounded memory of content hashes. Never grows, never allocates after [`Dedup::new`].
#[derive(Debug)]
pub struct Dedup {
    entries: Vec<Entry>,
    buckets: usize,
    window_ms: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    hash: u64,
    /// When it counts no more, monotonic milliseconds; 0 = free.
    until_ms: u64,
}

impl Dedup {
    /// A memory for about `events` hashes, each remembered for `window_ms`.
    pub fn new(events: usize, window_ms: u64) -> Self {
        let buckets = events.div_ceil(WAYS).next_power_of_two().max(1);
        Self {
            entries: vec![Entry::default(); buckets * WAYS],
            buckets,
            window_ms,
        }
    }

    /// Bytes it takes for so many events.
    pub const fn bytes(events: usize) -> usize {
        events.div_ceil(WAYS).next_power_of_two() * WAYS * size_of::<Entry>()
    }

    /// Notes a hash; `true` when it was known and is still fresh. A known hash keeps its first time, so a sender that
    /// repeats itself is heard again once per window.
    pub fn is_repeat(&mut self, hash: u64, now_ms: u64) -> bool {
        let bucket = (hash as usize) & (self.buckets - 1);
        let ways = &mut self.entries[bucket * WAYS..(bucket + 1) * WAYS];
        let mut oldest = 0;
        for at in 0..WAYS {
            let entry = ways[at];
            if entry.hash == hash && entry.until_ms > now_ms {
                return true;
            }
            if entry.until_ms < ways[oldest].until_ms {
                oldest = at;
            }
        }
        ways[oldest] = Entry {
            hash,
            until_ms: now_ms.saturating_add(self.window_ms).max(1),
        };
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_known_until_its_window_ends() {
        let mut dedup = Dedup::new(64, 1000);
        assert!(!dedup.is_repeat(7, 0));
        assert!(dedup.is_repeat(7, 999));
        assert!(!dedup.is_repeat(7, 1000));
        assert!(!dedup.is_repeat(8, 1000));
    }

    #[test]
    fn a_full_bucket_forgets_its_oldest() {
        let mut dedup = Dedup::new(4, 1000);
        for hash in 0..5 {
            assert!(!dedup.is_repeat(hash, hash));
        }
        assert!(dedup.is_repeat(4, 5));
        assert!(!dedup.is_repeat(0, 5));
    }
}
