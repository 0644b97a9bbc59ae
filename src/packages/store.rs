//! The store, as the rest of the box uses it.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use super::details::Details;
use super::error::StoreError;
use super::files::perform;
use super::hash::Hash;
use super::inner::{Inner, Pin};
use super::reading::Reading;
use super::receiving::Receiving;
use super::shelf::Bounds;
use super::standing::Standing;
use crate::files;

/// A part that nobody went on with for so long goes, milliseconds of running time.
const PART_AGE_MS: u64 = 24 * 3600 * 1000;

/// The store; clones share it.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

impl Store {
    /// Opens the store in a folder, which is made where it is not there, and settles what a power cut left.
    ///
    /// # Errors
    /// If the folder cannot be made or read.
    pub fn open(folder: &Path, bounds: Bounds) -> Result<Self, StoreError> {
        let fault = |error| StoreError::disk(folder, &error);
        files::private_directory(folder).map_err(fault)?;
        let inner = Inner::new(folder, bounds);
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
        let pin = Pin::new(&self.0, *hash);
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
