//! The store's folder: names, and steps of which a power cut may come between any two.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::details::{Details, MOST_BYTES};
use super::error::StoreError;
use super::hash::Hash;
use crate::files;

/// What a file of the folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The bytes of a package.
    Bytes(Hash),
    /// Its details.
    About(Hash),
    /// A part of one.
    Part(Hash),
    /// Half done: it goes.
    Leftover,
    /// Not ours.
    Foreign,
}

impl Kind {
    pub(super) fn of(name: &str) -> Self {
        let hash = |text: &str| {
            text.parse::<Hash>()
                .ok()
                .filter(|hash| hash.to_string() == text)
        };
        if let Some(hash) = hash(name) {
            return Self::Bytes(hash);
        }
        match name.rsplit_once('.') {
            Some((name, "about")) => hash(name).map_or(Self::Foreign, Self::About),
            Some((name, "part")) => hash(name).map_or(Self::Foreign, Self::Part),
            Some((_, "coming" | "new")) if name.starts_with('.') => Self::Leftover,
            _ => Self::Foreign,
        }
    }
}

/// The folder.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_path_buf())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn bytes(&self, hash: &Hash) -> PathBuf {
        self.0.join(hash.to_string())
    }

    pub(super) fn about(&self, hash: &Hash) -> PathBuf {
        self.0.join(format!("{hash}.about"))
    }

    pub(super) fn part(&self, hash: &Hash) -> PathBuf {
        self.0.join(format!("{hash}.part"))
    }

    pub(super) fn coming(&self, number: u64) -> PathBuf {
        self.0.join(format!(".{number}.coming"))
    }

    /// The details of a package, if they are there and whole.
    pub(super) fn read_about(&self, hash: &Hash) -> Option<Details> {
        let bytes = files::read_bounded(&self.about(hash), MOST_BYTES).ok()?;
        Details::decode(&bytes).filter(|details| details.hash == *hash)
    }

    /// What makes a synced file at `from` a package.
    pub(super) fn steps_of_keeping(&self, from: &Path, details: &Details) -> [Step; 3] {
        [
            Step::Write(self.about(&details.hash), details.encode()),
            Step::Move(from.to_path_buf(), self.bytes(&details.hash)),
            Step::Sync(self.0.clone()),
        ]
    }

    /// What makes a package go: bytes first, so that details alone mean nothing.
    pub(super) fn steps_of_removing(&self, hash: &Hash) -> [Step; 2] {
        [
            Step::Remove(self.bytes(hash)),
            Step::Remove(self.about(hash)),
        ]
    }

    /// Bytes that are free on its disk for us.
    pub(super) fn free(&self) -> Result<u64, StoreError> {
        let room = nix::sys::statvfs::statvfs(&self.0)
            .map_err(|error| StoreError::disk(&self.0, &error.into()))?;
        #[allow(clippy::unnecessary_cast)] // narrower on some targets
        Ok((room.blocks_available() as u64).saturating_mul(room.fragment_size() as u64))
    }
}

/// One change of the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// A small file is replaced in one step.
    Write(PathBuf, Vec<u8>),
    /// A file gets its name.
    Move(PathBuf, PathBuf),
    /// Names are made to stay.
    Sync(PathBuf),
    /// A file goes; one that is not there is fine.
    Remove(PathBuf),
}

pub(super) fn perform(steps: &[Step]) -> Result<(), StoreError> {
    for step in steps {
        let (path, done) = match step {
            Step::Write(path, bytes) => (path, files::replace(path, bytes, files::PRIVATE)),
            Step::Move(from, to) => (to, fs::rename(from, to)),
            Step::Sync(folder) => (folder, File::open(folder).and_then(|open| open.sync_all())),
            Step::Remove(path) => (path, unlink(path)),
        };
        done.map_err(|error| StoreError::disk(path, &error))?;
    }
    Ok(())
}

/// Removes a file without waiting for the disk; one that is not there is fine.
pub(super) fn unlink(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Opens a file for its owner only, to be read and written; makes it where it is not there.
pub(super) fn open(path: &Path, is_new: bool) -> Result<File, StoreError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(is_new)
        .mode(files::PRIVATE)
        .open(path)
        .map_err(|error| StoreError::disk(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_a_file_is() {
        let hash = Hash::of(b"");
        for (name, kind) in [
            (hash.to_string(), Kind::Bytes(hash)),
            (format!("{hash}.about"), Kind::About(hash)),
            (format!("{hash}.part"), Kind::Part(hash)),
            (format!(".{hash}.about.new"), Kind::Leftover),
            (".17.coming".to_owned(), Kind::Leftover),
            (hash.to_string().to_uppercase(), Kind::Foreign),
            ("notes.about".to_owned(), Kind::Foreign),
            ("lost+found".to_owned(), Kind::Foreign),
        ] {
            assert_eq!(Kind::of(&name), kind, "{name}");
        }
    }
}
