//! Stand-in until the store is merged: the agreed names, and a store that keeps its files in a folder.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use ring::digest::{Context, SHA256};

/// SHA-256 of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Hash {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut hash = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(());
        }
        for (byte, at) in hash.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| ())?;
        }
        Ok(Self(hash))
    }
}

/// Where a package came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A client of this box.
    Local,
    /// A federate.
    Peer(String),
}

/// What is known of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Details {
    pub hash: Hash,
    pub size: u64,
    pub name: String,
    pub filename: String,
    pub mime_type: String,
    pub keywords: Vec<String>,
    pub tool: String,
    pub creator_uid: String,
    pub submitter: String,
    pub submitted: u64,
    pub from: Origin,
}

/// Why the store did not do it.
#[derive(Debug)]
pub enum StoreError {
    /// The file system.
    Io(io::Error),
    /// Not that hash.
    Wrong,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for StoreError {}

/// The store.
#[derive(Debug, Clone)]
pub struct Store(Arc<(PathBuf, Mutex<Vec<Details>>)>);

/// A package on its way in.
#[derive(Debug)]
pub struct Receiving {
    store: Store,
    file: File,
    path: PathBuf,
    context: Context,
    at: u64,
}

/// A package that is read.
#[derive(Debug)]
pub struct Reading(File, u64);

#[allow(missing_docs, clippy::missing_errors_doc)]
impl Store {
    pub fn stub(folder: &Path) -> Self {
        Self(Arc::new((folder.to_owned(), Mutex::default())))
    }
    pub fn find(&self, hash: &Hash) -> Option<Details> {
        let known = self.0.1.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|details| details.hash == *hash).cloned()
    }
    pub fn receive(&self, hash: Option<Hash>, _size: Option<u64>) -> Result<Receiving, StoreError> {
        let name = hash.map_or_else(|| "nameless".to_owned(), |hash| hash.to_string());
        let path = self.0.0.join(name);
        Ok(Receiving {
            store: self.clone(),
            file: File::create(&path).map_err(StoreError::Io)?,
            path,
            context: Context::new(&SHA256),
            at: 0,
        })
    }
    pub fn read(&self, hash: &Hash) -> Result<Reading, StoreError> {
        let details = self.find(hash).ok_or(StoreError::Wrong)?;
        let file = File::open(self.0.0.join(hash.to_string())).map_err(StoreError::Io)?;
        Ok(Reading(file, details.size))
    }
}

#[allow(missing_docs, clippy::missing_errors_doc)]
impl Reading {
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    pub fn size(&self) -> u64 {
        self.1
    }
}

#[allow(missing_docs, clippy::missing_errors_doc)]
impl Receiving {
    pub fn at(&self) -> u64 {
        self.at
    }
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.context.update(bytes);
        self.at += bytes.len() as u64;
        self.file.write_all(bytes).map_err(StoreError::Io)
    }
    pub fn finish(self, details: Details) -> Result<Details, StoreError> {
        let digest = self.context.finish();
        if digest.as_ref() != details.hash.0 || self.at != details.size {
            return Err(StoreError::Wrong);
        }
        fs::rename(&self.path, self.store.0.0.join(details.hash.to_string()))
            .map_err(StoreError::Io)?;
        let known = &self.store.0.1;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        known.push(details.clone());
        Ok(details)
    }
}
