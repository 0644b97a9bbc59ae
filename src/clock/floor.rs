//! The last known time, kept over a power cut.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::state::{Found, StateError, TwoGenerations};

/// It is written at most so often, milliseconds: a card wears out.
pub const EVERY_MS: i64 = 15 * 60_000;
/// A time that nobody vouches for is written when it has stood for so long, milliseconds: when a machine has just
/// started somebody may soon know better, and there would be no write left.
const UNCERTAIN_MS: u64 = 60_000;

/// What is known of the time without any source; milliseconds since 1970, 0 = nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Floor {
    /// The latest time that GPS or NTP vouched for. It is certainly not earlier; this never goes back.
    pub certain_ms: i64,
    /// The latest time that the box went by, whatever it came from. Goes back only when somebody knows better.
    pub known_ms: i64,
}

/// Where it is kept: `clock.a` and `clock.b` in the state directory.
#[derive(Debug)]
pub struct FloorStore {
    files: Option<TwoGenerations<Floor>>,
    /// What was written last, and when by the monotonic clock; no moment if an earlier run wrote it.
    written: (Floor, Option<u64>),
    /// Since when there is something uncertain to write.
    uncertain_since: Option<u64>,
}

impl FloorStore {
    /// Opens it; gives what was kept, and in words what is wrong with it. What is before `build_ms`, when the release
    /// was built, is known without being kept.
    pub fn open(state: &Path, build_ms: i64) -> (Self, Floor, Option<String>) {
        let opened = TwoGenerations::open(state, "clock");
        let (files, floor, fault) = match opened {
            Ok((files, Found::Value(floor))) => (Some(files), floor, None),
            Ok((files, Found::Nothing)) => (Some(files), Floor::default(), None),
            Ok((files, Found::Damaged)) => {
                let fault = "both files of the last known time are damaged: it begins anew";
                (Some(files), Floor::default(), Some(fault.to_owned()))
            }
            Err(error) => (None, Floor::default(), Some(error.to_string())),
        };
        let known = Floor {
            certain_ms: floor.certain_ms.max(build_ms),
            known_ms: floor.known_ms.max(build_ms),
        };
        let store = Self {
            files,
            written: (known, None),
            uncertain_since: None,
        };
        (store, floor, fault)
    }

    /// Whether this is worth a write now: time went on by a quarter of an hour, or the box went by a wrong one, and
    /// the last write of this run is as long ago.
    pub fn is_due(&mut self, floor: Floor, mono_ms: u64) -> bool {
        let (last, at) = self.written;
        let every = EVERY_MS.unsigned_abs();
        let is_certain = floor.certain_ms - last.certain_ms >= EVERY_MS;
        let is_uncertain = (floor.known_ms - last.known_ms).abs() >= EVERY_MS;
        let since = self.uncertain_since.get_or_insert(mono_ms);
        let has_stood = mono_ms.saturating_sub(*since) >= UNCERTAIN_MS;
        if !is_uncertain {
            self.uncertain_since = None;
        }
        let rested = at.is_none_or(|at| mono_ms.saturating_sub(at) >= every);
        self.files.is_some() && rested && (is_certain || is_uncertain && has_stood)
    }

    /// Writes it; blocks until it is on the disk. What is certain never goes back.
    ///
    /// # Errors
    /// If it cannot be written. It is tried again a quarter of an hour later.
    pub fn save(&mut self, floor: Floor, mono_ms: u64) -> Result<(), StateError> {
        let floor = Floor {
            certain_ms: floor.certain_ms.max(self.written.0.certain_ms),
            ..floor
        };
        self.written.1 = Some(mono_ms);
        let Some(files) = &mut self.files else {
            return Ok(());
        };
        files.save(&floor)?;
        self.written.0 = floor;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const START: i64 = 1_790_000_000_000;

    fn floor(certain_ms: i64, known_ms: i64) -> Floor {
        Floor {
            certain_ms,
            known_ms,
        }
    }

    #[test]
    fn it_is_written_at_most_every_quarter_of_an_hour() {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, found, fault) = FloorStore::open(directory.path(), 0);
        assert_eq!((found, fault), (Floor::default(), None));
        let mut writes = 0;
        for second in 0..7200_i64 {
            let now = START + second * 1000;
            let mono = u64::try_from(second * 1000).unwrap();
            if store.is_due(floor(now, now), mono) {
                store.save(floor(now, now), mono).unwrap();
                writes += 1;
            }
        }
        assert_eq!(writes, 8, "two hours");
        // A clock that jumps about all the time costs no more.
        let jumps = (1..100).filter(|jump: &i64| {
            let mono = 7_200_000 + jump.unsigned_abs() * 1000;
            let due = store.is_due(floor(START, START + jump * 86_400_000), mono);
            if due {
                store
                    .save(floor(START, START + jump * 86_400_000), mono)
                    .unwrap();
            }
            due
        });
        assert!(jumps.count() <= 1);
        let (_, found, _) = FloorStore::open(directory.path(), 0);
        assert!(found.certain_ms >= START + 6_300_000, "{found:?}");
    }

    #[test]
    fn what_nobody_vouches_for_is_written_after_a_minute() {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, ..) = FloorStore::open(directory.path(), START);
        let uncertain = floor(0, START + EVERY_MS);
        assert!(!store.is_due(floor(0, START + 1), 0), "known without it");
        assert!(!store.is_due(uncertain, 1_000));
        assert!(!store.is_due(uncertain, 60_000));
        assert!(store.is_due(uncertain, 61_000));
        assert!(
            store.is_due(floor(START + EVERY_MS, START + EVERY_MS), 0),
            "certain"
        );
    }

    #[test]
    fn what_is_certain_never_goes_back_and_damage_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, ..) = FloorStore::open(directory.path(), 0);
        store.save(floor(START, START + 5), 0).unwrap();
        store.save(floor(START - 1000, START - 1000), 1).unwrap();
        let (_, found, _) = FloorStore::open(directory.path(), 0);
        assert_eq!(found, floor(START, START - 1000));
        for file in ["clock.a", "clock.b"] {
            fs::write(directory.path().join(file), "junk").unwrap();
        }
        let (mut store, found, fault) = FloorStore::open(directory.path(), 0);
        assert_eq!(found, Floor::default());
        assert!(fault.unwrap().contains("damaged"));
        store.save(floor(START, START), 0).unwrap();
        assert_eq!(FloorStore::open(directory.path(), 0).1, floor(START, START));
    }

    #[test]
    fn a_box_that_is_started_again_and_again_does_not_write_each_time() {
        let directory = tempfile::tempdir().unwrap();
        let mut writes = 0;
        for start in 0..20_i64 {
            let (mut store, ..) = FloorStore::open(directory.path(), 0);
            let now = START + start * 60_000;
            if store.is_due(floor(now, now), 0) {
                store.save(floor(now, now), 0).unwrap();
                writes += 1;
            }
        }
        assert_eq!(writes, 2, "twenty starts in twenty minutes");
    }
}
