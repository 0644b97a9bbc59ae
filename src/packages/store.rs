//! The store: the index in memory and the folder on the disk, in step.

use std::fmt;
use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::details::{Details, Origin};
use super::error::StoreError;
use super::files::{Folder, Kind, perform, unlink};
use super::hash::Hash;
use super::reading::Reading;
use super::receiving::Receiving;
use super::shelf::{Bounds, Shelf, Victim};
use super::standing::{Standing, Tallies};
use crate::files;

/// A part that nobody went on with for so long goes, milliseconds of running time.
const PART_AGE_MS: u64 = 24 * 3600 * 1000;

/// Who wants to hear of new packages.
type Hearer = Arc<dyn Fn(&Details) + Send + Sync>;

/// The store; clones share it.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

/// What the clones share.
pub(super) struct Inner {
    pub(super) folder: Folder,
    index: Mutex<Shelf>,
    /// Held while files of packages come and go; taken before the index.
    disk: Mutex<()>,
    hearers: Mutex<Vec<Hearer>>,
    tallies: Tallies,
    /// Running time that was told last, milliseconds.
    told_ms: AtomicU64,
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

impl Store {
    /// Opens the store in a folder, which is made where it is not there, and settles what a power cut left.
    ///
    /// # Errors
    /// If the folder cannot be made or read.
    pub fn open(folder: &Path, bounds: Bounds) -> Result<Self, StoreError> {
        let fault = |error| StoreError::disk(folder, &error);
        files::private_directory(folder).map_err(fault)?;
        let inner = Inner {
            folder: Folder::new(folder),
            index: Mutex::new(Shelf::new(bounds)),
            disk: Mutex::default(),
            hearers: Mutex::default(),
            tallies: Tallies::default(),
            told_ms: AtomicU64::new(0),
        };
        inner.settle().map_err(fault)?;
        let excess = inner.index().excess();
        // A disk that is read-only is no reason to give nothing out.
        let _ = inner.let_go(&excess, &inner.tallies.evicted);
        Ok(Self(Arc::new(inner)))
    }

    /// The details of a package, from its small file. Counts as a use.
    pub fn find(&self, hash: &Hash) -> Option<Details> {
        self.0.index().touch(hash)?;
        self.0.folder.read_about(hash)
    }

    /// The size of a package, from memory: this does not block. Counts as a use.
    pub fn size(&self, hash: &Hash) -> Option<u64> {
        self.0.index().touch(hash)
    }

    /// Begins to take a package, of which hash and size may be known. Room is made as it comes.
    ///
    /// # Errors
    /// [`StoreError::Kept`] if it is stored already; if it is too large, or finds no room.
    pub fn receive(&self, hash: Option<Hash>, size: Option<u64>) -> Result<Receiving, StoreError> {
        self.is_new(hash.as_ref())?;
        Receiving::new(&self.0, hash, size).map_err(|error| self.0.tallied(error))
    }

    /// Begins to take a package in pieces, going on with what is there ([`Receiving::at`]).
    ///
    /// # Errors
    /// As [`Self::receive`]; [`StoreError::Busy`] if the same is coming in already.
    pub fn resume(&self, hash: Hash, size: u64) -> Result<Receiving, StoreError> {
        self.is_new(Some(&hash))?;
        Receiving::go_on(&self.0, hash, size).map_err(|error| self.0.tallied(error))
    }

    fn is_new(&self, hash: Option<&Hash>) -> Result<(), StoreError> {
        match hash.filter(|hash| self.0.index().touch(hash).is_some()) {
            Some(hash) => Err(StoreError::Kept(*hash)),
            None => Ok(()),
        }
    }

    /// Opens a package to be read; it stays for as long as it is open. Counts as a use.
    ///
    /// # Errors
    /// If there is none, or the disk refuses.
    pub fn read(&self, hash: &Hash) -> Result<Reading, StoreError> {
        let size = {
            let mut index = self.0.index();
            let size = index.touch(hash).ok_or(StoreError::Missing(*hash))?;
            index.reads(hash, true);
            size
        };
        let pin = Pin {
            store: Arc::clone(&self.0),
            hash: *hash,
        };
        let path = self.0.folder.bytes(hash);
        let file =
            File::open(&path).map_err(|error| self.0.failed(StoreError::disk(&path, &error)))?;
        Ok(Reading { file, size, pin })
    }

    /// Every package, by hash. Reads one small file for each: with many packages take [`Self::hashes`].
    pub fn list(&self) -> Vec<Details> {
        let hashes = self.hashes().into_iter();
        hashes
            .filter_map(|hash| self.0.folder.read_about(&hash))
            .collect()
    }

    /// The hashes of all packages, in their order.
    pub fn hashes(&self) -> Vec<Hash> {
        self.0.index().hashes()
    }

    /// The details of a package without counting as a use: for listings.
    pub fn peek(&self, hash: &Hash) -> Option<Details> {
        self.0.index().size(hash)?;
        self.0.folder.read_about(hash)
    }

    /// Removes a package; whether it was there. Who is reading it reads on.
    ///
    /// # Errors
    /// If the disk refuses: then it stays.
    pub fn remove(&self, hash: &Hash) -> Result<bool, StoreError> {
        let _disk = self.0.disk();
        let Some(size) = self.0.index().remove(hash) else {
            return Ok(false);
        };
        perform(&self.0.folder.steps_of_removing(hash))
            .inspect_err(|_| self.0.index().insert(*hash, size, 0))
            .map_err(|error| self.0.failed(error))?;
        Ok(true)
    }

    /// Changes what is known of a package; hash, size and time stay. None if there is no such package.
    ///
    /// # Errors
    /// If the disk refuses: then all stays as it was.
    pub fn amend(
        &self,
        hash: &Hash,
        change: impl FnOnce(&mut Details),
    ) -> Result<Option<Details>, StoreError> {
        let _disk = self.0.disk();
        let Some(old) = self.find(hash) else {
            return Ok(None);
        };
        let mut details = old.clone();
        change(&mut details);
        let details = Details {
            hash: old.hash,
            size: old.size,
            submitted: old.submitted,
            ..details
        }
        .bounded();
        if details != old {
            let path = self.0.folder.about(hash);
            files::replace(&path, &details.encode(), files::PRIVATE)
                .map_err(|error| self.0.failed(StoreError::disk(&path, &error)))?;
        }
        Ok(Some(details))
    }

    /// Lets go of what is too old, now and then: parts, at `running_ms` of a clock that never goes back; packages, if the
    /// time of day is sure (ms since 1970).
    pub fn tidy(&self, running_ms: u64, wall_ms: Option<u64>) {
        self.0.told_ms.store(running_ms, Ordering::Relaxed);
        let parts = self.0.index().stale_parts(running_ms, PART_AGE_MS);
        let _ = self.0.let_go(&parts, &self.0.tallies.expired);
        if let Some(now) = wall_ms {
            let old = self.0.index().outdated(now);
            let _ = self.0.let_go(&old, &self.0.tallies.expired);
        }
    }

    /// Other bounds, from a changed configuration; what is beyond them goes.
    pub fn set_bounds(&self, bounds: Bounds) {
        let excess = {
            let mut index = self.0.index();
            index.set_bounds(bounds);
            index.excess()
        };
        let _ = self.0.let_go(&excess, &self.0.tallies.evicted);
    }

    /// How it stands; from memory.
    pub fn standing(&self) -> Standing {
        let index = self.0.index();
        let told = |tally: &AtomicU64| tally.load(Ordering::Relaxed);
        let tallies = &self.0.tallies;
        Standing {
            packages: index.count() as u64,
            bytes: index.bytes(),
            part_bytes: index.part_bytes(),
            coming_in: index.coming_in() as u64,
            most_bytes: index.bounds().bytes,
            most_packages: index.bounds().count as u64,
            kept: told(&tallies.kept),
            evicted: told(&tallies.evicted),
            expired: told(&tallies.expired),
            refused: told(&tallies.refused),
            disk_errors: told(&tallies.disk_errors),
            settled: told(&tallies.settled),
        }
    }

    /// Largest package that is taken, bytes.
    pub fn largest(&self) -> u64 {
        let index = self.0.index();
        index.bounds().largest.min(index.bounds().bytes)
    }

    /// `hear` is told of every new package, on the thread that finished it: it must not block.
    pub fn on_arrival(&self, hear: Box<dyn Fn(&Details) + Send + Sync>) {
        let mut hearers = self
            .0
            .hearers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        hearers.push(Arc::from(hear));
    }
}

impl Inner {
    pub(super) fn index(&self) -> MutexGuard<'_, Shelf> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn disk(&self) -> MutexGuard<'_, ()> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
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

    fn tallied(&self, error: StoreError) -> StoreError {
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

    fn let_go(&self, victims: &[Victim], tally: &AtomicU64) -> Result<(), StoreError> {
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
    fn settle(&self) -> std::io::Result<()> {
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
