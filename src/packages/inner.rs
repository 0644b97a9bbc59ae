//! What the clones of the store share: the index in memory and the folder on the disk, in step.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::details::{Details, Origin};
use super::error::StoreError;
use super::files::{Folder, Kind, perform, unlink};
use super::hash::Hash;
use super::shelf::{Bounds, Shelf, Victim};
use super::standing::Tallies;

/// Who wants to hear of new packages.
pub(super) type Hearer = Arc<dyn Fn(&Details) + Send + Sync>;

/// What the clones share.
pub(super) struct Inner {
    pub(super) folder: Folder,
    index: Mutex<Shelf>,
    /// Held while files of packages come and go; taken before the index.
    disk: Mutex<()>,
    pub(super) hearers: Mutex<Vec<Hearer>>,
    pub(super) tallies: Tallies,
    /// Running time that was told last, milliseconds.
    pub(super) told_ms: AtomicU64,
}

/// What [`Inner::keep`] made of a file.
pub(super) struct Kept {
    pub(super) details: Details,
    pub(super) is_new: bool,
}

/// A package is being read; until this is dropped.
#[derive(Debug)]
pub(super) struct Pin {
    store: Arc<Inner>,
    hash: Hash,
}

impl Pin {
    /// It is being read from now on; whoever calls has said so to the index.
    pub(super) fn new(store: &Arc<Inner>, hash: Hash) -> Self {
        Self {
            store: Arc::clone(store),
            hash,
        }
    }

    pub(super) const fn hash(&self) -> &Hash {
        &self.hash
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.store.index().reads(&self.hash, false);
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Inner {
    pub(super) fn new(folder: &Path, bounds: Bounds) -> Self {
        Self {
            folder: Folder::new(folder),
            index: Mutex::new(Shelf::new(bounds)),
            disk: Mutex::default(),
            hearers: Mutex::default(),
            tallies: Tallies::default(),
            told_ms: AtomicU64::new(0),
        }
    }

    pub(super) fn index(&self) -> MutexGuard<'_, Shelf> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn disk(&self) -> MutexGuard<'_, ()> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.told_ms.load(Ordering::Relaxed)
    }

    /// A number that no other file on its way in has.
    pub(super) fn number(&self) -> u64 {
        self.tallies.number.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn refused(&self, error: StoreError) -> StoreError {
        self.tallies.refused.fetch_add(1, Ordering::Relaxed);
        error
    }

    pub(super) fn failed(&self, error: StoreError) -> StoreError {
        self.tallies.disk_errors.fetch_add(1, Ordering::Relaxed);
        tracing::warn!("data packages: {error}");
        error
    }

    pub(super) fn tallied(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Disk { .. } => self.failed(error),
            StoreError::Busy(_) | StoreError::Kept(_) => error,
            _ => self.refused(error),
        }
    }

    /// Makes room for more bytes; `taken` is called as soon as they are granted, even if what is to go does not.
    pub(super) fn grant(
        &self,
        more: u64,
        announced: u64,
        taken: impl FnOnce(),
    ) -> Result<(), StoreError> {
        let _disk = self.disk();
        let free = self.folder.free().map_err(|error| self.failed(error))?;
        let victims = self.index().grant(more, announced, free);
        let victims = victims.map_err(|error| self.refused(error))?;
        taken();
        self.go(&victims, &self.tallies.evicted)
    }

    pub(super) fn let_go(&self, victims: &[Victim], tally: &AtomicU64) -> Result<(), StoreError> {
        if victims.is_empty() {
            return Ok(());
        }
        let _disk = self.disk();
        self.go(victims, tally)
    }

    /// Removes what must go; with the lock of the disk held.
    fn go(&self, victims: &[Victim], tally: &AtomicU64) -> Result<(), StoreError> {
        for victim in victims {
            match victim {
                Victim::Part(hash) => {
                    if self.index().may_remove_part(hash) {
                        let path = self.folder.part(hash);
                        unlink(&path)
                            .map_err(|error| self.failed(StoreError::disk(&path, &error)))?;
                        self.index().drop_part(hash);
                    }
                }
                Victim::Package(hash) => {
                    let removed = self.index().remove(hash);
                    let Some(size) = removed else {
                        continue;
                    };
                    perform(&self.folder.steps_of_removing(hash))
                        .inspect_err(|_| self.index().insert(*hash, size, 0))
                        .map_err(|error| self.failed(error))?;
                    tally.fetch_add(1, Ordering::Relaxed);
                    tracing::info!("the data package {hash} ({size} bytes) was let go");
                }
            }
        }
        Ok(())
    }

    /// Makes a synced file a package, unless there is one with its hash.
    pub(super) fn keep(&self, from: &Path, details: Details) -> Result<Kept, StoreError> {
        let _disk = self.disk();
        if self.index().touch(&details.hash).is_some() {
            let kept = self.folder.read_about(&details.hash);
            let details = kept.unwrap_or(details);
            return Ok(Kept {
                details,
                is_new: false,
            });
        }
        let victims = self.index().place();
        let victims = victims.map_err(|error| self.refused(error))?;
        self.go(&victims, &self.tallies.evicted)?;
        perform(&self.folder.steps_of_keeping(from, &details)).map_err(|error| {
            let _ = unlink(&self.folder.about(&details.hash));
            self.failed(error)
        })?;
        self.index()
            .insert(details.hash, details.size, details.submitted);
        self.tallies.kept.fetch_add(1, Ordering::Relaxed);
        Ok(Kept {
            details,
            is_new: true,
        })
    }

    /// A part rests, or is no more.
    pub(super) fn rest(&self, hash: &Hash, bytes: u64) {
        let now = self.now_ms();
        let victims = self.index().rest_part(hash, bytes, now);
        if bytes == 0 {
            let _ = unlink(&self.folder.part(hash));
        }
        let _ = self.let_go(&victims, &self.tallies.evicted);
    }

    pub(super) fn tell(&self, details: &Details) {
        let from = match &details.from {
            Origin::Local => details.submitter.as_str(),
            Origin::Peer(name) => name.as_str(),
        };
        tracing::info!(
            "the data package {:?} ({}, {} bytes) came from {from:?}",
            details.name,
            details.hash,
            details.size
        );
        let hearers = self
            .hearers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        hearers.iter().for_each(|hear| hear(details));
    }

    /// Reads the folder: halves go, the rest goes into the index.
    pub(super) fn settle(&self) -> std::io::Result<()> {
        let (mut packages, mut parts, mut halves) = (Vec::new(), Vec::new(), Vec::new());
        for entry in fs::read_dir(self.folder.path())? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                continue;
            };
            let length = entry.metadata().map_or(0, |there| there.len());
            match Kind::of(name) {
                Kind::Foreign => {}
                Kind::Leftover => halves.push(entry.path()),
                Kind::Part(hash) => parts.push((hash, length)),
                Kind::About(hash) => {
                    if !self.folder.bytes(&hash).exists() {
                        halves.push(entry.path());
                    }
                }
                Kind::Bytes(hash) => match self.folder.read_about(&hash) {
                    Some(details) if details.size == length => {
                        packages.push((details.submitted, hash, length));
                    }
                    _ => {
                        halves.push(entry.path());
                        halves.push(self.folder.about(&hash));
                    }
                },
            }
        }
        packages.sort_unstable();
        for half in halves.iter().filter(|half| fs::remove_file(half).is_ok()) {
            tracing::debug!("removed {}: half done", half.display());
            self.tallies.settled.fetch_add(1, Ordering::Relaxed);
        }
        for (submitted, hash, size) in packages {
            self.index().insert(hash, size, submitted);
        }
        for (hash, length) in parts {
            let is_needed = self.index().size(&hash).is_none();
            self.rest(&hash, if is_needed { length } else { 0 });
        }
        Ok(())
    }
}
