//! Storage and power together, looked at now and then.

use std::path::{Path, PathBuf};

use super::power::Power;
use super::storage::{self, Disk, Storage, StorageFault};
use crate::files;

/// The word of the kernel's command line that only a box with slots has (and so a card of its own).
const SLOT: &str = "tombolo.slot=";

/// An image writes it when it cannot use the data partition, and has put memory in its place.
const NO_DATA: &str = "run/tombolo-storage-fault";

/// How the machine is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vitals {
    /// The card.
    pub storage: Storage,
    /// The power supply.
    pub power: Power,
}

/// Looks at one machine.
#[derive(Debug)]
pub struct Watcher {
    root: PathBuf,
    state: PathBuf,
    disk: Option<Disk>,
    keeps: bool,
    power: Power,
}

impl Watcher {
    /// Watches the machine below `root` (`/`), whose state directory is `state`.
    pub fn new(root: &Path, state: &Path) -> Self {
        let line = files::read_bounded(&root.join("proc/cmdline"), 16 * 1024).unwrap_or_default();
        Self {
            disk: Disk::of(root, state),
            keeps: has_slots(&String::from_utf8_lossy(&line)),
            root: root.to_path_buf(),
            state: state.to_path_buf(),
            power: Power::default(),
        }
    }

    /// How it is now. Reads a few files of the kernel, writes nothing.
    pub fn look(&mut self) -> Vitals {
        self.power = self.power.look(&self.root);
        let mut storage = storage::look(&self.state, self.disk.as_ref(), self.keeps);
        if self.root.join(NO_DATA).exists() {
            storage.fault = Some(StorageFault::Volatile);
        }
        Vitals {
            storage,
            power: self.power,
        }
    }
}

fn has_slots(command_line: &str) -> bool {
    command_line
        .split_whitespace()
        .any(|word| word.starts_with(SLOT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_looked_at() {
        let state = tempfile::tempdir().unwrap();
        let vitals = Watcher::new(Path::new("/"), state.path()).look();
        assert_eq!(vitals.storage.fault, None, "{vitals:?}");
        assert_eq!(
            vitals.storage.device.is_some(),
            vitals.storage.written_bytes.is_some(),
            "{vitals:?}"
        );
    }

    #[test]
    fn an_image_without_its_data_partition_says_so() {
        let (root, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut watcher = Watcher::new(root.path(), state.path());
        assert_eq!(watcher.look().storage.fault, None);
        std::fs::create_dir(root.path().join("run")).unwrap();
        std::fs::write(root.path().join(NO_DATA), "no such partition").unwrap();
        assert_eq!(watcher.look().storage.fault, Some(StorageFault::Volatile));
    }

    #[test]
    fn slots_make_a_box() {
        assert!(has_slots("quiet tombolo.slot=A tombolo.trial=0"));
        assert!(!has_slots("quiet root=/dev/sda1 nottombolo.slot=A"));
    }
}
