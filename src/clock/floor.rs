//! The last known time, kept over a power cut.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::state::{Found, StateError, TwoGenerations};

/// It is written at most so often, milliseconds: a card wears out.
pub const EVERY_MS: i64 = 15 * 60_000;

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
}

impl FloorStore {
    /// Opens it; gives what was kept, and in words what is wrong with it.
    pub fn open(state: &Path) -> (Self, Floor, Option<String>) {
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
        let store = Self {
            files,
            written: (floor, None),
        };
        (store, floor, fault)
    }

    /// Whether this is worth a write now: time went on by a quarter of an hour, or the box went by a wrong one, and
    /// the last write of this run is as long ago.
    pub fn is_due(&self, floor: Floor, mono_ms: u64) -> bool {
        let (last, at) = self.written;
        let every = EVERY_MS.unsigned_abs();
        let moved = floor.certain_ms - last.certain_ms >= EVERY_MS
            || (floor.known_ms - last.known_ms).abs() >= EVERY_MS;
        let rested = at.is_none_or(|at| mono_ms.saturating_sub(at) >= every);
        self.files.is_some() && moved && rested
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
        let (mut store, found, fault) = FloorStore::open(directory.path());
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
        let (_, found, _) = FloorStore::open(directory.path());
        assert!(found.certain_ms >= START + 6_300_000, "{found:?}");
    }

    #[test]
    fn what_is_certain_never_goes_back_and_damage_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, ..) = FloorStore::open(directory.path());
        store.save(floor(START, START + 5), 0).unwrap();
        store.save(floor(START - 1000, START - 1000), 1).unwrap();
        let (_, found, _) = FloorStore::open(directory.path());
        assert_eq!(found, floor(START, START - 1000));
        for file in ["clock.a", "clock.b"] {
            fs::write(directory.path().join(file), "junk").unwrap();
        }
        let (mut store, found, fault) = FloorStore::open(directory.path());
        assert_eq!(found, Floor::default());
        assert!(fault.unwrap().contains("damaged"));
        store.save(floor(START, START), 0).unwrap();
        assert_eq!(FloorStore::open(directory.path()).1, floor(START, START));
    }

    #[test]
    fn a_box_that_is_started_again_and_again_does_not_write_each_time() {
        let directory = tempfile::tempdir().unwrap();
        let mut writes = 0;
        for start in 0..20_i64 {
            let (mut store, ..) = FloorStore::open(directory.path());
            let now = START + start * 60_000;
            if store.is_due(floor(now, now), 0) {
                store.save(floor(now, now), 0).unwrap();
                writes += 1;
            }
        }
        assert_eq!(writes, 2, "twenty starts in twenty minutes");
    }
}
