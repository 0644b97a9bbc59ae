//! The card: what was written to it since the boot, and whether the state directory still takes what it is given.
//!
//! A box writes nothing without a reason. The count shows whether that is so.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};
use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, statfs};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access};

use crate::files;

/// The kernel's unit in `stat`, whatever the card's own is.
const SECTOR: u64 = 512;
/// With less room than this the state files cannot be replaced safely, bytes.
const LEAST_ROOM: u64 = 512 * 1024;

/// What is wrong with the state directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageFault {
    /// Its file system is read-only: mounted so, or made so by the kernel after an error of the card.
    ReadOnly,
    /// It is gone, or not ours.
    NotWritable,
    /// Hardly any room is left.
    Full,
    /// It lies in memory on a box that has a card for it: what is learned now is lost with the power.
    Volatile,
}

impl fmt::Display for StorageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadOnly => "read-only: the card may be failing; replace it",
            Self::NotWritable => {
                "the state directory cannot be written; check that it exists and whose it is"
            }
            Self::Full => "full: nothing more can be kept; remove files",
            Self::Volatile => {
                "the data partition is not mounted: what is set now is lost with the power"
            }
        })
    }
}

/// The storage of the state directory at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Storage {
    /// Name of the disk, `mmcblk0`; none where no single disk holds it (memory, network, a container).
    pub device: Option<String>,
    /// Bytes written to that whole disk since the machine booted.
    pub written_bytes: Option<u64>,
    /// What is wrong with it.
    pub fault: Option<StorageFault>,
}

/// Where the kernel counts what is written to the disk of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    name: String,
    stat: PathBuf,
}

impl Disk {
    /// The disk that holds a directory, on the machine below `root`.
    pub fn of(root: &Path, directory: &Path) -> Option<Self> {
        let device = fs::metadata(directory).ok()?.dev();
        Self::numbered(root, major(device), minor(device))
    }

    fn numbered(root: &Path, major: u64, minor: u64) -> Option<Self> {
        let block = root.join(format!("sys/dev/block/{major}:{minor}"));
        let mut folder = fs::canonicalize(block).ok()?;
        // A partition lies in the folder of its disk. The card wears as a whole.
        if folder.join("partition").exists() {
            folder = folder.parent()?.to_path_buf();
        }
        Some(Self {
            name: folder.file_name()?.to_str()?.to_owned(),
            stat: folder.join("stat"),
        })
    }

    fn written_bytes(&self) -> Option<u64> {
        let text = files::read_bounded(&self.stat, 4096).ok()?;
        written_bytes(&String::from_utf8_lossy(&text))
    }
}

/// Bytes written according to a disk's `stat` file: its seventh number counts sectors of 512 bytes.
pub fn written_bytes(stat: &str) -> Option<u64> {
    let sectors: u64 = stat.split_whitespace().nth(6)?.parse().ok()?;
    sectors.checked_mul(SECTOR)
}

/// Looks at the storage of a directory. `keeps` says that the machine has a card that the directory belongs on. Writes
/// nothing and waits for no disk.
pub fn look(directory: &Path, disk: Option<&Disk>, keeps: bool) -> Storage {
    Storage {
        device: disk.map(|disk| disk.name.clone()),
        written_bytes: disk.and_then(Disk::written_bytes),
        fault: fault(directory, keeps),
    }
}

#[allow(
    clippy::useless_conversion,
    reason = "32-bit machines count in 32 bits"
)]
fn fault(directory: &Path, keeps: bool) -> Option<StorageFault> {
    let Ok(room) = statvfs(directory) else {
        return Some(StorageFault::NotWritable);
    };
    if room.flags().contains(FsFlags::ST_RDONLY) {
        return Some(StorageFault::ReadOnly);
    }
    if access(directory, AccessFlags::W_OK | AccessFlags::X_OK).is_err() {
        return Some(StorageFault::NotWritable);
    }
    let free = u64::from(room.blocks_available()).saturating_mul(u64::from(room.fragment_size()));
    // File systems without a fixed number of files say 0 of 0.
    let no_names = room.files() > 0 && room.files_available() < 8;
    if free < LEAST_ROOM || no_names {
        return Some(StorageFault::Full);
    }
    let is_volatile = || {
        statfs(directory).is_ok_and(|known| {
            [TMPFS_MAGIC, OVERLAYFS_SUPER_MAGIC].contains(&known.filesystem_type())
        })
    };
    (keeps && is_volatile()).then_some(StorageFault::Volatile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seventh_number_counts_sectors() {
        // As a Raspberry Pi prints it.
        let stat = "    5821     1711   420050    23456     1234      567    20480     9876        0    12345    33333        0        0        0        0        0        0\n";
        assert_eq!(written_bytes(stat), Some(20480 * 512));
        for bad in ["", "1 2 3 4 5 6", "1 2 3 4 5 6 x", "1 2 3 4 5 6 -1"] {
            assert_eq!(written_bytes(bad), None, "{bad}");
        }
        assert_eq!(written_bytes(&format!("0 0 0 0 0 0 {}", u64::MAX)), None);
    }

    #[test]
    fn a_partition_is_counted_with_its_disk() {
        let root = tempfile::tempdir().unwrap();
        let disk = root.path().join("sys/devices/platform/mmc/block/mmcblk0");
        let partition = disk.join("mmcblk0p4");
        fs::create_dir_all(&partition).unwrap();
        fs::write(disk.join("stat"), "1 1 1 1 1 1 100 1\n").unwrap();
        fs::write(partition.join("stat"), "1 1 1 1 1 1 7 1\n").unwrap();
        fs::write(partition.join("partition"), "4\n").unwrap();
        let numbers = root.path().join("sys/dev/block");
        fs::create_dir_all(&numbers).unwrap();
        std::os::unix::fs::symlink(&partition, numbers.join("179:4")).unwrap();
        std::os::unix::fs::symlink(&disk, numbers.join("179:0")).unwrap();
        for minor in [0, 4] {
            let found = Disk::numbered(root.path(), 179, minor).unwrap();
            let storage = look(root.path(), Some(&found), false);
            assert_eq!(storage.device.as_deref(), Some("mmcblk0"));
            assert_eq!(storage.written_bytes, Some(51_200));
        }
        assert_eq!(Disk::numbered(root.path(), 0, 42), None);
        fs::write(disk.join("stat"), "nonsense").unwrap();
        let found = Disk::numbered(root.path(), 179, 4).unwrap();
        assert_eq!(look(root.path(), Some(&found), false).written_bytes, None);
    }

    #[test]
    fn a_directory_that_takes_nothing_is_a_fault() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(fault(directory.path(), false), None);
        let gone = directory.path().join("gone");
        assert_eq!(fault(&gone, false), Some(StorageFault::NotWritable));
        // The kernel's own file systems: /sys takes no new names of anybody, and has no room.
        assert!(fault(Path::new("/sys"), false).is_some());
    }

    #[test]
    fn memory_is_no_place_to_keep_things() {
        let Ok(shared) = tempfile::tempdir_in("/dev/shm") else {
            return;
        };
        assert_eq!(fault(shared.path(), false), None);
        assert_eq!(fault(shared.path(), true), Some(StorageFault::Volatile));
    }
}
