//! Why the store did not do what was asked.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::hash::Hash;
use crate::files;

/// Why the store did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreError {
    /// It is larger than one package may be.
    TooLarge {
        /// Its bytes, as far as they are known.
        size: u64,
        /// Most bytes of one package.
        largest: u64,
    },
    /// There is no room, even without all that may go.
    Full,
    /// The disk has less free space than must stay free.
    LowSpace {
        /// What must stay free, bytes.
        floor: u64,
    },
    /// A package with this hash is stored already.
    Kept(Hash),
    /// The same package is coming in already.
    Busy(Hash),
    /// Too many packages are coming in.
    TooMany,
    /// The bytes are not those that were announced.
    WrongHash {
        /// What was announced.
        said: Hash,
        /// What came.
        came: Hash,
    },
    /// There are not as many bytes as announced.
    WrongSize {
        /// What was announced.
        said: u64,
        /// What came.
        came: u64,
    },
    /// There is no such package.
    Missing(Hash),
    /// The disk refuses.
    Disk {
        /// Which file.
        path: PathBuf,
        /// What kind of refusal.
        kind: io::ErrorKind,
        /// In words.
        words: String,
    },
}

impl StoreError {
    /// What the disk said about a file.
    pub(super) fn disk(path: &Path, error: &io::Error) -> Self {
        Self::Disk {
            path: path.to_path_buf(),
            kind: error.kind(),
            words: files::fault(error),
        }
    }

    /// One word for scripts.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::Full => "full",
            Self::LowSpace { .. } => "low_space",
            Self::Kept(_) => "kept",
            Self::Busy(_) => "busy",
            Self::TooMany => "too_many",
            Self::WrongHash { .. } => "wrong_hash",
            Self::WrongSize { .. } => "wrong_size",
            Self::Missing(_) => "missing",
            Self::Disk { .. } => "disk",
        }
    }
}

const MIB: u64 = 1024 * 1024;

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { size, largest } => write!(
                f,
                "a package of {size} bytes is too large; packages.max_package_mib allows {} MiB",
                largest / MIB
            ),
            Self::Full => f.write_str(
                "no room for this package: what is stored is being sent just now; try again, or raise packages.store_mib",
            ),
            Self::LowSpace { floor } => write!(
                f,
                "the disk has too little free space; packages.free_space_mib keeps {} MiB free",
                floor / MIB
            ),
            Self::Kept(hash) => write!(f, "a package with the hash {hash} is stored already"),
            Self::Busy(hash) => {
                write!(f, "the package with the hash {hash} is coming in already; try again")
            }
            Self::TooMany => f.write_str("too many packages are coming in at once; try again"),
            Self::WrongHash { said, came } => write!(
                f,
                "the bytes have the hash {came} and not {said}; nothing was kept, send the file again"
            ),
            Self::WrongSize { said, came } => write!(
                f,
                "{came} bytes came and not {said}; nothing was kept, send the file again"
            ),
            Self::Missing(hash) => write!(f, "there is no package with the hash {hash}"),
            Self::Disk { path, words, .. } => write!(f, "{}: {words}", path.display()),
        }
    }
}

impl std::error::Error for StoreError {}
