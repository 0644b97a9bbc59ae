//! The machine's battery-backed clock, as the kernel shows it below `/sys/class/rtc`.

use std::path::{Path, PathBuf};

use crate::files;

/// The number in its file is short.
const MOST_BYTES: u64 = 64;
/// More clocks than this are not looked at.
const MOST_CLOCKS: usize = 8;

/// The clocks of the machine below `root`, in the order of their names.
#[derive(Debug, Clone)]
pub struct Rtc {
    class: PathBuf,
}

impl Rtc {
    /// Looks below `root`, which is `/` but for tests.
    pub fn new(root: &Path) -> Self {
        Self {
            class: root.join("sys/class/rtc"),
        }
    }

    /// The time of the first clock that the system was or would be set from (`hctosys`), else of the first that
    /// answers; milliseconds since 1970, to the second. None where there is no such clock.
    pub fn read(&self) -> Option<i64> {
        let mut names: Vec<PathBuf> = std::fs::read_dir(&self.class)
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .take(MOST_CLOCKS)
            .collect();
        names.sort();
        let number = |name: &PathBuf, file: &str| -> Option<i64> {
            let bytes = files::read_bounded(&name.join(file), MOST_BYTES).ok()?;
            String::from_utf8(bytes).ok()?.trim().parse().ok()
        };
        let system = names
            .iter()
            .filter(|name| number(name, "hctosys") == Some(1));
        system
            .chain(&names)
            .find_map(|name| number(name, "since_epoch"))?
            .checked_mul(1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_clock_of_the_system_goes_before_the_others_and_junk_is_none() {
        let machine = tempfile::tempdir().unwrap();
        let rtc = Rtc::new(machine.path());
        assert_eq!(rtc.read(), None);
        let write = |clock: &str, file: &str, text: &str| {
            let place = machine.path().join("sys/class/rtc").join(clock);
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join(file), text).unwrap();
        };
        write("rtc0", "since_epoch", "junk\n");
        assert_eq!(rtc.read(), None);
        write("rtc1", "since_epoch", "1700000000\n");
        assert_eq!(rtc.read(), Some(1_700_000_000_000));
        write("rtc2", "since_epoch", "1800000000\n");
        write("rtc2", "hctosys", "1\n");
        assert_eq!(rtc.read(), Some(1_800_000_000_000));
        write("rtc2", "since_epoch", "9223372036854775807\n");
        assert_eq!(rtc.read(), None, "no overflow");
    }
}
