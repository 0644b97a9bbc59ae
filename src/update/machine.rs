//! Where things lie on the box, below a directory that is / except in tests.

use std::io;
use std::path::{Path, PathBuf};

use super::UpdateError;
use super::release::Release;
use crate::files;
use crate::slot::{Booted, Device};

/// Largest of the small files read here, bytes.
const MOST_BYTES: u64 = 16 * 1024;

/// The places of one box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Where its file system begins.
    pub root: PathBuf,
    /// The daemon's state directory.
    pub state: PathBuf,
}

impl Machine {
    /// The box whose file system begins at `root`.
    pub fn new(root: impl Into<PathBuf>, state: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            state: state.into(),
        }
    }

    /// A path of the box.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The slot that runs.
    ///
    /// # Errors
    /// If this is no box with two slots, or cannot tell.
    pub fn booted(&self) -> Result<Booted, UpdateError> {
        let line = self.text("proc/cmdline")?.unwrap_or_default();
        Booted::from_command_line(&line).ok_or(UpdateError::NoSlots)
    }

    /// The system that runs.
    ///
    /// # Errors
    /// If this is no image of ours.
    pub fn release(&self) -> Result<Release, UpdateError> {
        let text = self.text("usr/lib/tombolo/image-release")?;
        text.and_then(|text| Release::read(&text))
            .ok_or(UpdateError::NoSlots)
    }

    /// The card with the slot state.
    ///
    /// # Errors
    /// If its name cannot be read.
    pub fn device(&self) -> Result<Device, UpdateError> {
        Ok(Device::named_in(&self.at("usr/lib/tombolo/slot.conf"))?)
    }

    /// A word that is another one after every start of the machine.
    ///
    /// # Errors
    /// If the kernel does not tell.
    pub fn boot_id(&self) -> Result<String, UpdateError> {
        let text = self.text("proc/sys/kernel/random/boot_id")?;
        Ok(text.unwrap_or_default().trim().to_owned())
    }

    /// What proves a bundle's signature.
    pub fn keyring(&self) -> PathBuf {
        self.at("etc/rauc/keyring.pem")
    }

    fn text(&self, path: &str) -> Result<Option<String>, UpdateError> {
        let path = self.at(path);
        match files::read_bounded(&path, MOST_BYTES) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(&path, &error)),
        }
    }
}

/// A file that cannot be read or written.
pub fn unusable(path: &Path, error: &io::Error) -> UpdateError {
    UpdateError::Io(format!("{}: {}", path.display(), files::fault(error)))
}
