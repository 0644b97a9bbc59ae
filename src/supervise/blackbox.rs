//! Writes the flight recorder down: on a panic, when the event loop stands still, when the power goes, on command.
//!
//! | when | how it is known |
//! |---|---|
//! | panic | the panic hook, before the process aborts |
//! | standstill | a second thread sees that the loop has not turned for [`STANDSTILL`], before a service manager's watchdog strikes |
//! | power fail | signal SIGPWR: whoever watches the supply (a UPS daemon, a unit on a GPIO line) sends it |
//! | command | `tombolo recorder dump` |
//!
//! At most [`MOST_FILES`] recordings are kept, the oldest gives way; at most [`MOST_UNASKED`] are written unasked by one
//! start, so that a box that panics again and again does not wear its card out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::clock::{Clock, Now};
use crate::config::Config;
use crate::files;
use crate::link::hub::Hub;
use crate::route::recorder::{Recorder, Recording, Topic};

/// The folder in the state directory.
pub const FOLDER: &str = "recordings";
/// How the files end.
pub const EXTENSION: &str = "tbr";
/// Recordings kept.
const MOST_FILES: usize = 8;
/// Recordings written unasked by one start.
const MOST_UNASKED: u32 = 4;
/// The loop beats once a second; without a beat for so long it stands still. A manager's watchdog strikes after 30 s.
pub const STANDSTILL: Duration = Duration::from_secs(10);
/// A change of the wall clock of so much within a second is noted, milliseconds.
const STEP_MS: u64 = 500;
/// Stack of the second thread, bytes.
const STACK: usize = 128 * 1024;

/// What a recording is written with. Clones share it.
#[derive(Clone)]
pub struct BlackBox(Arc<Inner>);

struct Inner {
    folder: PathBuf,
    name: String,
    federate_id: String,
    repeat_ms: u64,
    recorder: Recorder,
    clock: Arc<dyn Clock>,
    beats: AtomicU64,
    /// Wall minus monotonic clock at the last beat, milliseconds; 0 = no beat yet.
    apart_ms: AtomicI64,
    unasked: AtomicU32,
}

impl std::fmt::Debug for BlackBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlackBox").finish_non_exhaustive()
    }
}

/// Who and where the box is.
#[derive(Debug, Clone)]
pub struct About<'a> {
    /// The state directory.
    pub state: &'a Path,
    /// The box's name.
    pub name: &'a str,
    /// Its id in provenance.
    pub federate_id: &'a str,
    /// How long a content hash counts as a repeat, milliseconds.
    pub repeat_ms: u64,
}

/// The box whose panics are written down: the newest one of this process.
static ON_PANIC: OnceLock<std::sync::Mutex<Option<BlackBox>>> = OnceLock::new();

impl BlackBox {
    /// For a running box; from here on its panics are written down.
    pub fn open(state: &Path, config: &Config, federate_id: &str, hub: &Hub) -> Self {
        let about = About {
            state,
            name: &config.name,
            federate_id,
            repeat_ms: u64::from(config.limits.dedup_seconds) * 1000,
        };
        let recorder = hub.with(|router, _| router.recorder().clone());
        let black_box = Self::new(&about, recorder, hub.clock());
        black_box.on_panic();
        black_box
    }

    /// For a recorder.
    pub fn new(about: &About<'_>, recorder: Recorder, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            folder: about.state.join(FOLDER),
            name: about.name.to_owned(),
            federate_id: about.federate_id.to_owned(),
            repeat_ms: about.repeat_ms,
            recorder,
            clock,
            beats: AtomicU64::new(0),
            apart_ms: AtomicI64::new(0),
            unasked: AtomicU32::new(0),
        }))
    }

    /// Where recordings lie.
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }

    /// Notes something that has words.
    pub fn recorder(&self) -> &Recorder {
        &self.0.recorder
    }

    /// The event loop turns. Once a second; a step of the wall clock meanwhile is noted.
    pub fn beat(&self, now: Now) {
        self.0.beats.fetch_add(1, Ordering::Relaxed);
        let apart = now
            .wall_ms
            .saturating_sub(i64::try_from(now.mono_ms).unwrap_or(0));
        let before = self.0.apart_ms.swap(apart, Ordering::Relaxed);
        let step = apart.saturating_sub(before);
        if before != 0 && step.unsigned_abs() >= STEP_MS {
            let words = format!("the wall clock stepped by {:+.1} s", step as f64 / 1000.0);
            self.0.recorder.words(Topic::Clock, &words, now);
        }
    }

    /// The power is about to go: everything is written down at once, on the event loop, before it is too late.
    pub(super) fn power_fails(&self, hub: &Hub) {
        self.0
            .recorder
            .words(Topic::Box, "the power is about to go (SIGPWR)", hub.now());
        match self.write_with_book(hub, "power fail: SIGPWR") {
            Ok(file) => tracing::warn!(
                "the power is about to go; flight recorder: {}",
                file.display()
            ),
            Err(error) => tracing::error!(
                "the power is about to go; flight recorder: {}",
                files::fault(&error)
            ),
        }
    }

    /// Watches the event loop with the usual patience; says so when the system gives no thread.
    pub(super) fn watched(&self) -> Option<Watcher> {
        let watcher = self.watch(STANDSTILL);
        if let Err(error) = &watcher {
            tracing::warn!("a standstill of the event loop will not be written down: {error}");
        }
        watcher.ok()
    }

    /// Writes everything down, on command; with the phone book, which takes the router. Gives the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_with_book(&self, hub: &Hub, why: &str) -> io::Result<PathBuf> {
        let contacts = hub.with(|router, _| router.book());
        self.write(Recording {
            contacts,
            why: why.to_owned(),
            ..Recording::default()
        })
    }

    /// Writes everything down unasked, from any thread and in any state of the box; without the phone book.
    pub fn write_unasked(&self, why: &str) {
        if self.0.unasked.fetch_add(1, Ordering::Relaxed) >= MOST_UNASKED {
            return;
        }
        let about = Recording {
            why: why.to_owned(),
            ..Recording::default()
        };
        // Standard error and not the log: this may be a panic in the log.
        match self.write(about) {
            Ok(file) => eprintln!("flight recorder: {}", file.display()),
            Err(error) => eprintln!("flight recorder: {}", files::fault(&error)),
        }
    }

    fn write(&self, about: Recording) -> io::Result<PathBuf> {
        let inner = &self.0;
        let Now { mono_ms, wall_ms } = inner.clock.now();
        let Some(recorded) = inner.recorder.recording() else {
            return Err(io::Error::other("the recorder is in use by whatever broke"));
        };
        let recording = Recording {
            release: env!("CARGO_PKG_VERSION").to_owned(),
            name: inner.name.clone(),
            federate_id: inner.federate_id.clone(),
            repeat_ms: inner.repeat_ms,
            written: (mono_ms, wall_ms),
            why: about.why,
            contacts: about.contacts,
            ..recorded
        };
        files::private_directory(&inner.folder)?;
        make_room(&inner.folder)?;
        // Numbered, because the wall clock may be anything.
        let next = numbers(&inner.folder)
            .last()
            .map_or(1, |last| last.saturating_add(1));
        let file = inner.folder.join(format!("{next:08}.{EXTENSION}"));
        files::replace(&file, &recording.to_bytes(), files::PRIVATE)?;
        Ok(file)
    }

    /// From here on panics are written down.
    pub fn on_panic(&self) {
        let place = ON_PANIC.get_or_init(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                before(info);
                let known = ON_PANIC.get().and_then(|known| known.try_lock().ok());
                if let Some(known) = known.as_deref().and_then(Option::as_ref) {
                    known.write_unasked(&format!("panic: {info}"));
                }
            }));
            std::sync::Mutex::new(None)
        });
        if let Ok(mut place) = place.lock() {
            *place = Some(self.clone());
        }
    }

    /// Watches the event loop from a thread of its own, until the returned guard is dropped.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn watch(&self, standstill: Duration) -> io::Result<Watcher> {
        let (stop, stopped) = sync_channel(1);
        let black_box = self.clone();
        std::thread::Builder::new()
            .name("standstill".into())
            .stack_size(STACK)
            .spawn(move || {
                let mut standing = Standstill::default();
                let look = standstill / 10;
                while stopped.recv_timeout(look) == Err(RecvTimeoutError::Timeout) {
                    let beats = black_box.0.beats.load(Ordering::Relaxed);
                    if standing.look(beats, look, standstill) {
                        black_box.write_unasked(&format!(
                            "standstill: the event loop has not turned for {} s",
                            standstill.as_secs()
                        ));
                    }
                }
            })?;
        Ok(Watcher { _stop: stop })
    }
}

/// Ends the watching thread when dropped.
#[derive(Debug)]
pub struct Watcher {
    _stop: SyncSender<()>,
}

/// Whether the loop stands still: the same count of beats for too long. Told once for each standstill. A machine that
/// was asleep has looked no more often than the loop could beat.
#[derive(Debug, Default)]
struct Standstill {
    beats: u64,
    since: Duration,
    told: bool,
}

impl Standstill {
    fn look(&mut self, beats: u64, passed: Duration, most: Duration) -> bool {
        if beats != self.beats {
            *self = Self {
                beats,
                ..Self::default()
            };
            return false;
        }
        self.since += passed;
        let stands = self.since >= most && !self.told;
        self.told |= stands;
        stands
    }
}

/// Numbers of the recordings in a folder, the oldest first.
pub fn numbers(folder: &Path) -> Vec<u64> {
    let number = |entry: io::Result<fs::DirEntry>| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        name.strip_suffix(EXTENSION)?
            .strip_suffix('.')?
            .parse()
            .ok()
    };
    let mut numbers: Vec<u64> = match fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(number).collect(),
        Err(_) => Vec::new(),
    };
    numbers.sort_unstable();
    numbers
}

fn make_room(folder: &Path) -> io::Result<()> {
    let numbers = numbers(folder);
    let surplus = (numbers.len() + 1).saturating_sub(MOST_FILES);
    for number in numbers.iter().take(surplus) {
        files::remove(&folder.join(format!("{number:08}.{EXTENSION}")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::route::recorder::What;

    fn black_box(state: &Path) -> BlackBox {
        let about = About {
            state,
            name: "alpha",
            federate_id: "a",
            repeat_ms: 1,
        };
        let recorder = Recorder::new(8 * 1024);
        recorder.words(Topic::Box, "begun", Now::default());
        BlackBox::new(&about, recorder, Arc::new(SystemClock::new()))
    }

    fn read(file: &Path) -> Recording {
        Recording::from_bytes(&fs::read(file).unwrap()).unwrap()
    }

    #[test]
    fn a_bounded_number_is_kept_and_written_unasked() {
        let state = tempfile::tempdir().unwrap();
        let black_box = black_box(state.path());
        for number in 0..20 {
            let why = number.to_string();
            let about = Recording {
                why: why.clone(),
                ..Recording::default()
            };
            let file = black_box.write(about).unwrap();
            assert_eq!(read(&file).why, why);
        }
        assert_eq!(numbers(black_box.folder()), (13..=20).collect::<Vec<u64>>());
        for _ in 0..20 {
            black_box.write_unasked("again and again");
        }
        assert_eq!(numbers(black_box.folder()).last(), Some(&24));
    }

    #[test]
    fn a_loop_that_stands_still_is_written_down_once() {
        let state = tempfile::tempdir().unwrap();
        let black_box = black_box(state.path());
        black_box.beat(Now::default());
        let watcher = black_box.watch(Duration::from_millis(50)).unwrap();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while numbers(black_box.folder()).is_empty() && tokio::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        drop(watcher);
        let file = black_box.folder().join("00000001.tbr");
        let recording = read(&file);
        assert!(recording.why.starts_with("standstill"), "{}", recording.why);
        assert!(matches!(&recording.notes[0].what, What::Words { words, .. } if words == "begun"));
    }

    #[test]
    fn a_standstill_is_told_from_a_slow_loop() {
        let (second, most) = (Duration::from_secs(1), Duration::from_secs(10));
        let mut standing = Standstill::default();
        let looks: Vec<bool> = (0..12).map(|_| standing.look(5, second, most)).collect();
        assert_eq!(looks.iter().filter(|told| **told).count(), 1);
        assert!(looks[10], "the first look saw the beat");
        assert!(!standing.look(6, second, most));
        assert!((0..9).all(|_| !standing.look(6, second, most)));
        assert!(
            standing.look(6, second, most),
            "another standstill is told again"
        );
    }

    #[test]
    fn a_panic_is_written_down_even_while_it_holds_the_router() {
        let state = tempfile::tempdir().unwrap();
        let black_box = black_box(state.path());
        black_box.on_panic();
        let ended = std::thread::spawn(|| panic!("on purpose")).join();
        assert!(ended.is_err());
        let written = numbers(black_box.folder());
        assert!(!written.is_empty());
        let whys: Vec<String> = written
            .iter()
            .map(|number| read(&black_box.folder().join(format!("{number:08}.tbr"))).why)
            .collect();
        assert!(
            whys.iter().any(|why| why.contains("on purpose")),
            "{whys:?}"
        );
        if let Ok(mut place) = ON_PANIC.get().unwrap().lock() {
            *place = None;
        }
    }
}
