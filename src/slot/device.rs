//! The two copies on the card, and how they are written so that one of them is always whole.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use super::block::{BLOCK_BYTES, SlotState};
use super::format::Format;
use crate::files;

/// Where the copies begin, bytes: in the gap before the first partition.
pub const COPY_OFFSETS: [u64; 2] = [131_072, 135_168];
/// Another writer holds the lock for less than this: 50 tries, 100 ms apart.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// A file with one line needs no more, bytes.
const MOST_CONF_BYTES: u64 = 4096;

/// A value of `slot.conf` (`device=/dev/mmcblk0`, `format=grub`; lines with # are remarks).
fn value_of<'a>(text: &'a str, wanted: &str) -> Option<&'a str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .find_map(|(key, value)| (key.trim() == wanted).then(|| value.trim()))
        .filter(|value| !value.is_empty())
}

/// Why the slot state cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotError {
    /// The device or file.
    pub path: PathBuf,
    /// What the system says, and the cure.
    pub cause: String,
}

impl fmt::Display for SlotError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.cause)
    }
}

impl std::error::Error for SlotError {}

/// The card, or an image of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    path: PathBuf,
    /// None: as the copies themselves show.
    format: Option<Format>,
}

/// What stands on the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copies {
    /// Each copy; none: damaged.
    pub copies: [Option<SlotState>; 2],
}

impl Copies {
    /// The state that holds: of the first whole copy, else the default.
    pub fn state(&self) -> SlotState {
        self.copies
            .iter()
            .flatten()
            .next()
            .copied()
            .unwrap_or_default()
    }

    /// Both are whole and say the same.
    pub fn are_equal(&self) -> bool {
        self.copies.iter().all(|copy| *copy == Some(self.state()))
    }

    /// The writes that make `new` hold, in order, each to be on the card before the next begins. Whichever is cut
    /// short, the old state or the new one holds: a copy is only written while the other one is whole and right.
    fn writes(&self, new: &SlotState) -> Vec<(usize, SlotState)> {
        let old = self.state();
        let differs = |state: SlotState| {
            (0..2)
                .filter(move |&copy| self.copies[copy] != Some(state))
                .map(move |copy| (copy, state))
        };
        let mut writes: Vec<_> = differs(old).collect();
        if *new != old {
            writes.extend([(0, *new), (1, *new)]);
        }
        writes
    }
}

impl Device {
    /// The device at a path; nothing is opened yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            format: None,
        }
    }

    /// With copies in that format, whatever stands there now.
    #[must_use]
    pub fn in_format(self, format: Format) -> Self {
        Self {
            format: Some(format),
            ..self
        }
    }

    /// The device that a `slot.conf` names, and the format if it says one.
    ///
    /// # Errors
    /// If the file cannot be read, names no device, or a format that there is not.
    pub fn named_in(conf: &Path) -> Result<Self, SlotError> {
        let wrong = |cause: String| SlotError {
            path: conf.to_path_buf(),
            cause,
        };
        let bytes = files::read_bounded(conf, MOST_CONF_BYTES)
            .map_err(|error| wrong(files::fault(&error)))?;
        let text = String::from_utf8_lossy(&bytes);
        let device = value_of(&text, "device").map(Self::at).ok_or_else(|| {
            wrong("names no device; write a line device=/dev/NAME, or use --device FILE".into())
        })?;
        match value_of(&text, "format") {
            None => Ok(device),
            Some(name) => Format::named(name)
                .map(|format| device.in_format(format))
                .ok_or_else(|| wrong(format!("format={name}: there are u-boot and grub"))),
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads both copies.
    ///
    /// # Errors
    /// If the device cannot be read, or ends before the copies.
    pub fn read(&self) -> Result<Copies, SlotError> {
        let file = File::open(&self.path).map_err(|error| self.error(&error))?;
        Ok(self.copies(&file)?.0)
    }

    /// Changes the state. Both copies are brought in line first if a power cut left them different; then copy 0 is
    /// written and is on the card before copy 1 is touched. Other writers are held off meanwhile.
    ///
    /// # Errors
    /// If the device cannot be read or written, or the change makes no sense; the first as a [`SlotError`] inside
    /// `E`.
    pub fn change<E: From<SlotError>>(
        &self,
        change: impl FnOnce(SlotState) -> Result<SlotState, E>,
    ) -> Result<SlotState, E> {
        let file = self.open_locked()?;
        let (copies, format) = self.copies(&file)?;
        let old = copies.state();
        let new = change(old)?;
        for (copy, state) in copies.writes(&new) {
            file.write_all_at(&format.encode(&state), COPY_OFFSETS[copy])
                .and_then(|()| file.sync_all())
                .map_err(|error| self.error(&error))?;
        }
        Ok(new)
    }

    /// Makes both copies whole and equal; says whether there was something to do.
    ///
    /// # Errors
    /// If the device cannot be read or written.
    pub fn repair(&self) -> Result<bool, SlotError> {
        // Most boots find nothing to do, and then nothing is opened for writing.
        if self.read()?.are_equal() {
            return Ok(false);
        }
        self.change(Ok::<_, SlotError>)?;
        Ok(true)
    }

    fn open_locked(&self) -> Result<Flock<File>, SlotError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_SYNC.bits())
            .open(&self.path)
            .map_err(|error| self.error(&error))?;
        #[allow(
            clippy::disallowed_methods,
            reason = "a command that ends; no event loop runs here"
        )]
        for _ in 0..LOCK_TRIES {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(locked) => return Ok(locked),
                Err((unlocked, Errno::EWOULDBLOCK | Errno::EINTR)) => file = unlocked,
                Err((_, error)) => return Err(self.error(&error.into())),
            }
            thread::sleep(LOCK_PAUSE);
        }
        Err(self.error(&io::Error::other(
            "another program keeps it locked; try again when it is done",
        )))
    }

    fn copies(&self, file: &File) -> Result<(Copies, Format), SlotError> {
        let mut blocks = [[0; BLOCK_BYTES]; 2];
        for (block, offset) in blocks.iter_mut().zip(COPY_OFFSETS) {
            file.read_exact_at(block, offset)
                .map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => self.error(&io::Error::other(
                        "it ends before the slot state; is it the whole card?",
                    )),
                    _ => self.error(&error),
                })?;
        }
        let format = self.format.unwrap_or_else(|| Format::of(&blocks));
        let copies = blocks.map(|block| format.decode(&block));
        Ok((Copies { copies }, format))
    }

    fn error(&self, error: &io::Error) -> SlotError {
        SlotError {
            path: self.path.clone(),
            cause: files::fault(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::tests::states;
    use super::super::{Change, Slot};
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    fn card() -> (tempfile::TempDir, Device) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("card");
        fs::write(&path, vec![0; 262_144]).unwrap();
        (directory, Device::at(path))
    }

    fn written(device: &Device, copy: usize, bytes: &[u8]) {
        let file = OpenOptions::new().write(true).open(device.path()).unwrap();
        file.write_all_at(bytes, COPY_OFFSETS[copy]).unwrap();
    }

    fn set(device: &Device, state: SlotState) {
        device.change(|_| Ok::<_, SlotError>(state)).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// The card before: any mixture of whole and damaged copies. One of the writes is torn after any number of bytes.
        #[test]
        fn a_torn_write_leaves_the_old_state_or_the_new(
            before in proptest::array::uniform2(proptest::option::of(states())),
            new in states(),
            cut in 0..4_usize,
            torn in 0..=BLOCK_BYTES,
            format in prop_oneof![Just(Format::UBoot), Just(Format::Grub)],
        ) {
            let (_directory, device) = card();
            let device = device.in_format(format);
            for (copy, state) in before.iter().enumerate() {
                if let Some(state) = state {
                    written(&device, copy, &format.encode(state));
                }
            }
            let copies = device.read().unwrap();
            prop_assert_eq!(copies.copies, before);
            let old = copies.state();
            let writes = copies.writes(&new);
            for (number, (copy, state)) in writes.iter().enumerate() {
                let bytes = format.encode(state);
                if number == cut {
                    written(&device, *copy, &bytes[..torn]);
                    break;
                }
                written(&device, *copy, &bytes);
            }
            let found = device.read().unwrap().state();
            prop_assert!(found == old || found == new, "{found:?}");
            prop_assert!(writes.len() > cut || found == new);
            // The next start brings both in line.
            device.repair().unwrap();
            let copies = device.read().unwrap();
            prop_assert!(copies.are_equal());
            prop_assert_eq!(copies.state(), found);
            prop_assert!(!device.repair().unwrap());
            set(&device, new);
            prop_assert_eq!(device.read().unwrap().copies, [Some(new); 2]);
        }
    }

    #[test]
    fn a_new_card_boots_a_and_can_be_changed() {
        let (_directory, device) = card();
        let copies = device.read().unwrap();
        assert_eq!(copies.copies, [None, None]);
        assert_eq!(copies.state(), SlotState::default());
        assert!(device.repair().unwrap());
        let tried = device.change(|state| Ok::<_, SlotError>(state.with_primary(Slot::B, 2)));
        assert_eq!(tried.unwrap().next(), Slot::B);
        assert!(device.read().unwrap().are_equal());
    }

    #[test]
    fn a_change_that_makes_no_sense_writes_nothing() {
        #[derive(Debug)]
        enum Either {
            Change(Change),
            Slot,
        }
        impl From<SlotError> for Either {
            fn from(_: SlotError) -> Self {
                Self::Slot
            }
        }
        let (_directory, device) = card();
        let before = fs::read(device.path()).unwrap();
        let refused = device.change(|state| state.committed().map_err(Either::Change));
        assert!(
            matches!(refused, Err(Either::Change(Change::NoTrial))),
            "{refused:?}"
        );
        assert_eq!(fs::read(device.path()).unwrap(), before);
        let missing =
            Device::at("/nonexistent/card").change(|_| Err(Either::Change(Change::NoTrial)));
        assert!(matches!(missing, Err(Either::Slot)));
    }

    #[test]
    fn nothing_but_the_copies_is_written() {
        let (_directory, device) = card();
        fs::write(device.path(), vec![0xa5; 262_144]).unwrap();
        device.repair().unwrap();
        let bytes = fs::read(device.path()).unwrap();
        let ours = |at: usize| {
            COPY_OFFSETS
                .iter()
                .any(|&offset| (offset..offset + 512).contains(&(at as u64)))
        };
        assert!(
            bytes
                .iter()
                .enumerate()
                .all(|(at, &byte)| ours(at) || byte == 0xa5)
        );
    }

    #[test]
    fn a_file_that_is_no_card_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let short = directory.path().join("short");
        fs::write(&short, [0; 1000]).unwrap();
        let error = Device::at(&short).read().unwrap_err().to_string();
        assert!(error.contains("is it the whole card?"), "{error}");
        let conf = directory.path().join("slot.conf");
        fs::write(&conf, "# the card\ndevice = /dev/mmcblk0\r\n").unwrap();
        assert_eq!(Device::named_in(&conf), Ok(Device::at("/dev/mmcblk0")));
        fs::write(&conf, "#device=/dev/vda\n").unwrap();
        assert!(Device::named_in(&conf).is_err());
        assert!(Device::named_in(directory.path()).is_err());
        fs::write(&conf, "device=/dev/sda\nformat=grub\n").unwrap();
        let grub = Device::at("/dev/sda").in_format(Format::Grub);
        assert_eq!(Device::named_in(&conf), Ok(grub));
        fs::write(&conf, "device=/dev/sda\nformat=lilo\n").unwrap();
        let error = Device::named_in(&conf).unwrap_err().to_string();
        assert!(error.contains("there are u-boot and grub"), "{error}");
    }
}
