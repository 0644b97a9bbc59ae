//! A system clock of one's own for real processes: shifted, drifting, set to another time while they run, and
//! synchronised or not. The machine's clock is never touched: a small library is put before the process
//! (`faked_clock.c`, built with the C compiler that every Rust build needs), and asks this file.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::NamedTempFile;

use super::now_ms;

const DAY_MS: i64 = 86_400_000;

/// The system clock that a process sees.
#[derive(Debug)]
pub struct FakedClock {
    file: NamedTempFile,
}

/// Places in the file, as in `faked_clock.c`.
const OFFSET: u64 = 0;
const DRIFT: u64 = 8;
const DRIFT_FROM: u64 = 16;
const SYNCHRONISED: u64 = 24;
const LARGEST: u64 = 32;
const ESTIMATED: u64 = 40;
const LEAP: u64 = 48;
const SETS: u64 = 56;

impl FakedClock {
    /// The machine's time, and a kernel that calls it unsynchronised.
    pub fn new() -> Self {
        let file = NamedTempFile::new().expect("a file");
        file.as_file().set_len(64).expect("its size");
        let clock = Self { file };
        clock.unsynchronised();
        clock
    }

    /// A clock without a battery: 1970-01-01, some seconds after the start.
    pub fn in_1970() -> Self {
        let clock = Self::new();
        clock.shift_ms(10_000 - now_ms());
        clock
    }

    /// Sets it this far from the machine's clock, as somebody who types a date; forward is positive.
    pub fn shift_ms(&self, offset_ms: i64) {
        self.write(OFFSET, offset_ms * 1_000_000);
    }

    /// How far it is from the machine's clock.
    pub fn shifted_ms(&self) -> i64 {
        self.read(OFFSET) / 1_000_000
    }

    /// Lets it run too fast (positive) or too slow from now on, parts of a million.
    pub fn drift_ppm(&self, ppm: i64) {
        let up = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).expect("a clock");
        self.write(DRIFT_FROM, up.tv_sec() * 1_000_000_000 + up.tv_nsec());
        self.write(DRIFT, ppm * 1_000);
    }

    /// The kernel calls it synchronised, with these errors.
    pub fn synchronised(&self, largest_us: i64, estimated_us: i64) {
        self.write(LARGEST, largest_us);
        self.write(ESTIMATED, estimated_us);
        self.write(SYNCHRONISED, 1);
    }

    /// The kernel calls it unsynchronised.
    pub fn unsynchronised(&self) {
        self.write(SYNCHRONISED, 0);
        self.write(LARGEST, 16_000_000);
        self.write(ESTIMATED, 16_000_000);
    }

    /// A leap second to be inserted at the end of the day.
    pub fn leap_second(&self) {
        self.write(LEAP, 1);
    }

    /// Whether the kernel calls it synchronised: a program may have said so.
    pub fn is_synchronised(&self) -> bool {
        self.read(SYNCHRONISED) == 1
    }

    /// How often a program set it.
    pub fn sets(&self) -> i64 {
        self.read(SETS)
    }

    /// What a process needs in its environment to see this clock.
    pub fn environment(&self) -> Vec<(String, String)> {
        vec![
            ("LD_PRELOAD".into(), text(library())),
            ("TOMBOLO_TEST_CLOCK".into(), text(self.file.path())),
        ]
    }

    fn write(&self, at: u64, value: i64) {
        let file: &File = self.file.as_file();
        file.write_all_at(&value.to_ne_bytes(), at)
            .expect("the file of the clock");
    }

    fn read(&self, at: u64) -> i64 {
        let mut bytes = [0; 8];
        let file: &File = self.file.as_file();
        file.read_exact_at(&mut bytes, at)
            .expect("the file of the clock");
        i64::from_ne_bytes(bytes)
    }
}

/// Days as milliseconds.
pub const fn days(count: i64) -> i64 {
    count * DAY_MS
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

/// The library, built once for all tests.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(folder).expect("a folder");
        let built = folder.join(format!("faked_clock-{}.so", std::process::id()));
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/support/faked_clock.c");
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&built)
            .arg(source)
            .status()
            .expect("a C compiler: install gcc");
        assert!(made.success(), "faked_clock.c is not built");
        // Others may build it at the same time: whoever is last wins.
        let library = folder.join("faked_clock.so");
        fs::rename(&built, &library).expect("the library");
        library
    })
}
