//! What was injected, what came out, how often, how late.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// Latencies kept for the percentiles; beyond them the oldest make room.
const LATENCIES: usize = 65_536;
/// Events under way or lately seen that are remembered; beyond them, seen ones are forgotten after [`MEMORY`].
const REMEMBERED: usize = 16_384;
/// A second sighting is recognised for this long at least.
const MEMORY: Duration = Duration::from_secs(30);

/// Names one report of one track: who, and when in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The event's uid.
    pub(super) uid: String,
    /// The event's time, milliseconds since 1970.
    pub(super) time_ms: i64,
}

/// What is known of one track.
#[derive(Debug, Clone)]
pub(super) struct TrackRow {
    /// Label of the track (its uid, shortened for people).
    pub(super) label: String,
    /// The island it was injected in.
    pub(super) from: &'static str,
    /// Its callsign.
    pub(super) callsign: String,
    /// Reports injected.
    pub(super) injected: u64,
    /// Reports seen on the other side.
    pub(super) seen: u64,
    /// How long the last one took.
    pub(super) last: Option<Duration>,
}

#[derive(Debug)]
struct Flight {
    row: usize,
    from: &'static str,
    injected: Instant,
    seen: bool,
}

/// The account of the whole demo.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    rows: Vec<TrackRow>,
    flights: HashMap<Key, Flight>,
    latencies: Vec<Duration>,
    next_latency: usize,
    injected: u64,
    seen: u64,
    duplicates: u64,
}

impl Ledger {
    /// Adds a track to the account; the number names it from now on.
    pub(super) fn open(&mut self, from: &'static str, label: &str, callsign: &str) -> usize {
        self.rows.push(TrackRow {
            label: label.to_owned(),
            from,
            callsign: callsign.to_owned(),
            injected: 0,
            seen: 0,
            last: None,
        });
        self.rows.len() - 1
    }

    /// Notes that a report is about to leave.
    pub(super) fn inject(&mut self, row: usize, key: Key, now: Instant) {
        if self.flights.len() >= REMEMBERED {
            self.flights
                .retain(|_, flight| !flight.seen || now - flight.injected < MEMORY);
        }
        let from = self.rows[row].from;
        self.rows[row].injected += 1;
        self.injected += 1;
        self.flights.insert(
            key,
            Flight {
                row,
                from,
                injected: now,
                seen: false,
            },
        );
    }

    /// Notes that a report came out on the side opposite to `from`.
    pub(super) fn see(&mut self, key: &Key, from: &'static str, now: Instant) {
        let Some(flight) = self.flights.get_mut(key) else {
            return;
        };
        if flight.from != from {
            return;
        }
        if flight.seen {
            self.duplicates += 1;
            return;
        }
        flight.seen = true;
        let latency = now - flight.injected;
        let row = &mut self.rows[flight.row];
        row.seen += 1;
        row.last = Some(latency);
        self.seen += 1;
        if self.latencies.len() < LATENCIES {
            self.latencies.push(latency);
        } else {
            self.latencies[self.next_latency] = latency;
            self.next_latency = (self.next_latency + 1) % LATENCIES;
        }
    }

    /// The tracks, in the order they were opened.
    pub(super) fn rows(&self) -> &[TrackRow] {
        &self.rows
    }

    /// Reports injected on both sides.
    pub(super) fn injected(&self) -> u64 {
        self.injected
    }

    /// Reports seen on the other side.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Reports seen there more than once.
    pub(super) fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Nothing is under way any more.
    pub(super) fn all_seen(&self) -> bool {
        self.seen == self.injected
    }

    /// Something was injected, all of it came out, none of it twice.
    pub(super) fn all_seen_once(&self) -> bool {
        self.injected > 0 && self.all_seen() && self.duplicates == 0
    }

    /// The latency that `percent` of the reports did not exceed, milliseconds; 0 before the first.
    pub(super) fn percentile_ms(&self, percent: usize) -> f64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
        sorted
            .get(rank)
            .map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(uid: &str, time_ms: i64) -> Key {
        Key {
            uid: uid.into(),
            time_ms,
        }
    }

    #[test]
    fn once_is_good_twice_is_a_duplicate() {
        let mut ledger = Ledger::default();
        let now = Instant::now();
        let row = ledger.open("alpha", "track 1", "HAWK");
        ledger.inject(row, key("a", 1), now);
        assert!(!ledger.all_seen_once());
        ledger.see(&key("a", 1), "alpha", now + Duration::from_millis(3));
        assert!(ledger.all_seen_once());
        assert_eq!(ledger.rows()[row].last, Some(Duration::from_millis(3)));
        ledger.see(&key("a", 1), "alpha", now + Duration::from_millis(4));
        assert_eq!((ledger.seen(), ledger.duplicates()), (1, 1));
        assert!(!ledger.all_seen_once());
    }

    #[test]
    fn its_own_island_does_not_count() {
        let mut ledger = Ledger::default();
        let now = Instant::now();
        let row = ledger.open("alpha", "track 1", "HAWK");
        ledger.inject(row, key("a", 1), now);
        ledger.see(&key("a", 1), "bravo", now);
        ledger.see(&key("a", 2), "alpha", now);
        assert_eq!(ledger.seen(), 0);
    }

    #[test]
    fn nothing_injected_is_no_success() {
        assert!(!Ledger::default().all_seen_once());
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let mut ledger = Ledger::default();
        let now = Instant::now();
        let row = ledger.open("alpha", "track 1", "HAWK");
        for number in 1..=100 {
            ledger.inject(row, key("a", number), now);
            let late = Duration::from_millis(u64::try_from(number).unwrap());
            ledger.see(&key("a", number), "alpha", now + late);
        }
        assert_eq!(ledger.percentile_ms(50), 50.0);
        assert_eq!(ledger.percentile_ms(99), 99.0);
        assert_eq!(Ledger::default().percentile_ms(99), 0.0);
    }

    #[test]
    fn a_long_demo_does_not_grow() {
        let mut ledger = Ledger::default();
        let began = Instant::now();
        let row = ledger.open("alpha", "track 1", "HAWK");
        for number in 0..100_000_i64 {
            let now = began + Duration::from_millis(u64::try_from(number).unwrap() * 20);
            ledger.inject(row, key("a", number), now);
            ledger.see(&key("a", number), "alpha", now);
        }
        assert!(ledger.flights.len() <= REMEMBERED);
        assert!(ledger.latencies.len() <= LATENCIES);
        assert!(ledger.all_seen_once());
    }
}
