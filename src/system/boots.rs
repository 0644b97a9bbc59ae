//! How often the box came up and fell over, and whether that is often enough for safe mode.
//!
//! [`judge`] is pure. Around it, [`BootLog`] keeps the history in the state directory: one write at each start, one
//! after [`SETTLED_AFTER`], one at an orderly end before that. No other writes.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::files;
use crate::state::{Found, StateError, TwoGenerations};

/// A boot in which the box ran this long was no short one.
pub const SETTLED_AFTER: Duration = Duration::from_secs(120);
/// Short boots in a row, after which the next start is one in safe mode.
pub const MOST_SHORT_BOOTS: u8 = 3;
/// A start this soon after the one before it, in one boot, was the end of a crash.
pub const QUICK_MS: u64 = 20_000;
/// Crashes in a row and in one boot, after which the next start is one in safe mode.
pub const MOST_CRASHES: u8 = 5;

/// Which boot of the machine it is: `/proc/sys/kernel/random/boot_id`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootId(String);

/// What is remembered from the last start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// In which boot it was.
    boot: BootId,
    /// Short boots in a row before that one.
    short_boots: u8,
    /// Crashes in a row within that boot, before that start.
    crashes: u8,
    /// When it was, milliseconds after the boot.
    started_ms: u64,
    /// The box ran for [`SETTLED_AFTER`] in that boot.
    settled: bool,
    /// The box was told to end.
    orderly: bool,
}

/// How to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// As configured.
    Normal,
    /// In safe mode: so many boots in a row were short.
    ShortBoots(u8),
    /// In safe mode: so many starts in this boot ended at once.
    Crashes(u8),
}

impl Decision {
    /// Whether it is safe mode.
    pub fn is_safe(self) -> bool {
        self != Self::Normal
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = SETTLED_AFTER.as_secs();
        match self {
            Self::Normal => f.write_str("nothing speaks against a start"),
            Self::ShortBoots(count) => write!(
                f,
                "the box lost power or crashed {count} times in a row within {seconds} seconds"
            ),
            Self::Crashes(count) => write!(
                f,
                "it crashed {count} times in a row, each time within {} seconds",
                QUICK_MS / 1000
            ),
        }
    }
}

/// Judges a start: what to remember of it, and how to start. `now_ms` counts from the boot.
///
/// What ended in order (a signal, a restart of its own wish) is neither a short boot nor a crash, and ends the row.
pub fn judge(before: Option<&History>, boot: &BootId, now_ms: u64) -> (History, Decision) {
    let fresh = History {
        boot: boot.clone(),
        short_boots: 0,
        crashes: 0,
        started_ms: now_ms,
        settled: false,
        orderly: false,
    };
    let history = match before {
        None => fresh,
        Some(before) if before.boot != *boot => History {
            short_boots: match before.settled || before.orderly {
                true => 0,
                false => before.short_boots.saturating_add(1),
            },
            ..fresh
        },
        Some(before) => {
            let was_quick = now_ms.saturating_sub(before.started_ms) <= QUICK_MS;
            History {
                short_boots: before.short_boots,
                crashes: match was_quick && !before.orderly {
                    true => before.crashes.saturating_add(1),
                    false => 0,
                },
                settled: before.settled,
                ..fresh
            }
        }
    };
    let decision = if history.crashes >= MOST_CRASHES {
        Decision::Crashes(history.crashes)
    } else if history.short_boots >= MOST_SHORT_BOOTS {
        Decision::ShortBoots(history.short_boots)
    } else {
        Decision::Normal
    };
    (history, decision)
}

/// The history in the state directory.
#[derive(Debug)]
pub struct BootLog {
    store: TwoGenerations<History>,
    history: History,
}

impl BootLog {
    /// Notes a start on the machine below `root`, and judges it. None where the machine has no boot id.
    ///
    /// # Errors
    /// If the state directory cannot be read or written.
    pub fn start(directory: &Path, root: &Path) -> Result<Option<(Self, Decision)>, StateError> {
        let (Some(boot), Some(now_ms)) = (boot_id(root), uptime_ms(root)) else {
            return Ok(None);
        };
        let (mut store, found) = TwoGenerations::open(directory, "boots")?;
        let before = match found {
            Found::Value(history) => Some(history),
            // A damaged history is no reason for safe mode.
            Found::Nothing | Found::Damaged => None,
        };
        let (history, decision) = judge(before.as_ref(), &boot, now_ms);
        store.save(&history)?;
        Ok(Some((Self { store, history }, decision)))
    }

    /// The box has run for [`SETTLED_AFTER`]: what was before no longer counts. Writes once per boot.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn settle(&mut self) -> Result<(), StateError> {
        let settled = History {
            short_boots: 0,
            crashes: 0,
            settled: true,
            ..self.history.clone()
        };
        self.save(settled)
    }

    /// The box ends because it was told to. Writes only when it matters.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn end(&mut self) -> Result<(), StateError> {
        if self.history.settled && self.history.crashes == 0 {
            return Ok(());
        }
        let ended = History {
            orderly: true,
            ..self.history.clone()
        };
        self.save(ended)
    }

    /// The operator ends safe mode: the next start is a normal one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn forgive(&mut self) -> Result<(), StateError> {
        let forgiven = History {
            short_boots: 0,
            crashes: 0,
            ..self.history.clone()
        };
        self.save(forgiven)
    }

    fn save(&mut self, history: History) -> Result<(), StateError> {
        if history != self.history {
            self.store.save(&history)?;
            self.history = history;
        }
        Ok(())
    }
}

fn boot_id(root: &Path) -> Option<BootId> {
    let id = line(&root.join("proc/sys/kernel/random/boot_id"))?;
    (!id.is_empty()).then_some(BootId(id))
}

fn uptime_ms(root: &Path) -> Option<u64> {
    let line = line(&root.join("proc/uptime"))?;
    let seconds: f64 = line.split_whitespace().next()?.parse().ok()?;
    // Saturates, and makes nothing of what is no number.
    Some((seconds * 1000.0) as u64)
}

fn line(path: &Path) -> Option<String> {
    let bytes = files::read_bounded(path, 256).ok()?;
    Some(String::from_utf8(bytes).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn boot(name: &str) -> BootId {
        BootId(name.to_owned())
    }

    /// Power comes `count` times, each time for a start that never settles and never ends in order.
    fn power_cuts(count: usize) -> (History, Decision) {
        let mut last = None;
        for number in 0..count {
            last = Some(judge(
                last.as_ref().map(|(history, _)| history),
                &boot(&number.to_string()),
                9_000,
            ));
        }
        last.unwrap()
    }

    #[test]
    fn the_fourth_boot_after_three_short_ones_is_safe() {
        assert_eq!(power_cuts(1).1, Decision::Normal);
        assert_eq!(power_cuts(3).1, Decision::Normal);
        assert_eq!(power_cuts(4).1, Decision::ShortBoots(3));
        assert_eq!(power_cuts(300).1, Decision::ShortBoots(255));
    }

    #[test]
    fn a_boot_that_settled_or_ended_in_order_ends_the_row() {
        for change in [
            |history: &mut History| history.settled = true,
            |history: &mut History| history.orderly = true,
        ] {
            let (mut history, _) = power_cuts(3);
            change(&mut history);
            let (history, decision) = judge(Some(&history), &boot("next"), 9_000);
            assert_eq!((history.short_boots, decision), (0, Decision::Normal));
        }
    }

    #[test]
    fn starts_within_one_boot_are_no_boots_but_crashes_count() {
        let id = boot("one");
        let (mut history, mut decision) = judge(None, &id, 10_000);
        for crash in 1..=5_u8 {
            assert_eq!(decision, Decision::Normal, "before crash {crash}");
            (history, decision) = judge(Some(&history), &id, 10_000 + u64::from(crash) * 4_000);
        }
        assert_eq!(decision, Decision::Crashes(5));
        assert_eq!(history.short_boots, 0);
        // A restart that somebody asked for begins anew.
        history.orderly = true;
        let (_, decision) = judge(Some(&history), &id, 40_000);
        assert_eq!(decision, Decision::Normal);
    }

    #[test]
    fn slow_crashes_are_no_reason() {
        let id = boot("one");
        let mut history = judge(None, &id, 0).0;
        for crash in 1..50 {
            let (next, decision) = judge(Some(&history), &id, crash * (QUICK_MS + 1));
            assert_eq!(decision, Decision::Normal);
            history = next;
        }
    }

    /// A machine whose boot id and uptime are ours.
    fn machine(id: &str, uptime: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let random = root.path().join("proc/sys/kernel/random");
        fs::create_dir_all(&random).unwrap();
        fs::write(random.join("boot_id"), format!("{id}\n")).unwrap();
        fs::write(root.path().join("proc/uptime"), format!("{uptime} 1.00\n")).unwrap();
        root
    }

    fn start(state: &Path, id: &str) -> (BootLog, Decision) {
        let root = machine(id, "12.34");
        BootLog::start(state, root.path()).unwrap().unwrap()
    }

    #[test]
    fn the_history_outlives_power_cuts_and_forgives() {
        let state = tempfile::tempdir().unwrap();
        for id in ["a", "b", "c"] {
            assert_eq!(start(state.path(), id).1, Decision::Normal);
        }
        let (mut log, decision) = start(state.path(), "d");
        assert_eq!(decision, Decision::ShortBoots(3));
        log.forgive().unwrap();
        assert_eq!(start(state.path(), "d").1, Decision::Normal);

        for id in ["e", "f"] {
            start(state.path(), id);
        }
        let (mut log, decision) = start(state.path(), "g");
        assert_eq!(decision, Decision::ShortBoots(3), "d, e and f were short");
        // Safe mode that lasted: the next start tries again.
        log.settle().unwrap();
        assert_eq!(start(state.path(), "h").1, Decision::Normal);
        let (mut log, _) = start(state.path(), "i");
        log.end().unwrap();
        assert_eq!(start(state.path(), "j").0.history.short_boots, 0);
    }

    #[test]
    fn what_was_settled_is_not_written_again() {
        let state = tempfile::tempdir().unwrap();
        let (mut log, _) = start(state.path(), "a");
        log.settle().unwrap();
        let written = |name: &str| fs::read(state.path().join(name)).unwrap();
        let before = (written("boots.a"), written("boots.b"));
        log.settle().unwrap();
        log.end().unwrap();
        assert_eq!(before, (written("boots.a"), written("boots.b")));
    }

    #[test]
    fn a_machine_without_a_boot_id_is_not_judged_and_a_damaged_history_is_none() {
        let (state, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert!(
            BootLog::start(state.path(), empty.path())
                .unwrap()
                .is_none()
        );
        for name in ["boots.a", "boots.b"] {
            fs::write(state.path().join(name), "noise").unwrap();
        }
        assert_eq!(start(state.path(), "a").1, Decision::Normal);
        assert_eq!(uptime_ms(machine("a", "nonsense").path()), None);
    }
}
