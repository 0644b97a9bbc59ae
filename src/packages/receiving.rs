//! A package that is coming in.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;

use ring::digest::{Context, SHA256};

use super::details::Details;
use super::error::StoreError;
use super::files::{open, unlink};
use super::hash::Hash;
use super::store::Inner;

/// Room is asked for in steps of this, bytes.
const STEP: u64 = 1024 * 1024;
/// A part is read again in pieces of this, bytes.
const PIECE: usize = 64 * 1024;

/// A package that is coming in. Dropped before it is finished, it leaves nothing; begun by [`resume`], it leaves a part.
///
/// [`resume`]: super::Store::resume
pub struct Receiving {
    store: Arc<Inner>,
    file: File,
    path: PathBuf,
    hash: Option<Hash>,
    size: Option<u64>,
    at: u64,
    granted: u64,
    announced: u64,
    digest: Context,
    stays: bool,
    is_done: bool,
}

impl std::fmt::Debug for Receiving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiving")
            .field("path", &self.path)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl Receiving {
    /// A whole one.
    pub(super) fn new(
        store: &Arc<Inner>,
        hash: Option<Hash>,
        size: Option<u64>,
    ) -> Result<Self, StoreError> {
        store.index().begin(size, 0)?;
        let path = store.folder.coming(store.number());
        let file = open(&path, true).inspect_err(|_| store.index().end(0, size.unwrap_or(0)))?;
        Ok(Self {
            store: Arc::clone(store),
            file,
            path,
            hash,
            size,
            at: 0,
            granted: 0,
            announced: size.unwrap_or(0),
            digest: Context::new(&SHA256),
            stays: false,
            is_done: false,
        })
    }

    /// One that goes on with what is there.
    pub(super) fn go_on(store: &Arc<Inner>, hash: Hash, size: u64) -> Result<Self, StoreError> {
        store.index().take_part(&hash)?;
        let path = store.folder.part(&hash);
        let opened = open(&path, false).and_then(|mut file| {
            let (at, digest) =
                read_again(&mut file, size).map_err(|error| StoreError::disk(&path, &error))?;
            store.index().begin(Some(size), at)?;
            Ok((file, at, digest))
        });
        let (file, at, digest) = opened.inspect_err(|_| {
            let length = std::fs::metadata(&path).map_or(0, |there| there.len());
            store.rest(&hash, length);
        })?;
        Ok(Self {
            store: Arc::clone(store),
            file,
            path,
            hash: Some(hash),
            size: Some(size),
            at,
            granted: at,
            announced: size - at,
            digest,
            stays: true,
            is_done: false,
        })
    }

    /// Bytes that are here.
    pub const fn at(&self) -> u64 {
        self.at
    }

    /// The announced size.
    pub const fn size(&self) -> Option<u64> {
        self.size
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// If they are too many, or the disk takes them not.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let after = self.at + bytes.len() as u64;
        if let Some(said) = self.size
            && after > said
        {
            return Err(self
                .store
                .refused(StoreError::WrongSize { said, came: after }));
        }
        if after > self.granted {
            self.ask(after - self.granted, after)?;
        }
        if let Err(error) = self.file.write_all(bytes) {
            return Err(self.store.failed(StoreError::disk(&self.path, &error)));
        }
        self.digest.update(bytes);
        self.at = after;
        Ok(())
    }

    fn ask(&mut self, least: u64, after: u64) -> Result<(), StoreError> {
        let bounds = *self.store.index().bounds();
        let largest = bounds.largest.min(bounds.bytes);
        if after > largest {
            return Err(self.store.refused(StoreError::TooLarge {
                size: after,
                largest,
            }));
        }
        let more = match self.size {
            Some(_) => STEP.min(self.announced),
            None => STEP.min(largest - self.granted),
        };
        let more = more.max(least);
        let announced = more.min(self.announced);
        self.store.grant(more, announced, || {
            self.granted += more;
            self.announced -= announced;
        })
    }

    /// All is here: verifies it, and makes it a package. `details` say what is known of it; hash and size are filled in.
    /// What is stored already stays as it is, and its details are given.
    ///
    /// # Errors
    /// If bytes are missing (a part stays to be gone on with), if they are others than announced (nothing stays), or
    /// the disk refuses.
    pub fn finish(mut self, details: Details) -> Result<Details, StoreError> {
        if let Some(said) = self.size
            && self.at != said
        {
            let came = self.at;
            return Err(self.store.refused(StoreError::WrongSize { said, came }));
        }
        let came = Hash::from_digest(&self.digest.clone().finish());
        if let Some(said) = self.hash
            && said != came
        {
            self.stays = false;
            return Err(self.store.refused(StoreError::WrongHash { said, came }));
        }
        let details = Details {
            hash: came,
            size: self.at,
            ..details
        }
        .bounded();
        if let Err(error) = self.file.sync_all() {
            return Err(self.store.failed(StoreError::disk(&self.path, &error)));
        }
        let kept = self.store.keep(&self.path, details)?;
        self.is_done = true;
        let store = Arc::clone(&self.store);
        drop(self);
        if kept.is_new {
            store.tell(&kept.details);
        }
        Ok(kept.details)
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.store.index().end(self.granted, self.announced);
        let rests = self.stays && !self.is_done;
        // A package stored already leaves its second copy where it came in.
        if !rests {
            let _ = unlink(&self.path);
        }
        if let Some(hash) = self
            .hash
            .filter(|_| self.path.extension().is_some_and(|kind| kind == "part"))
        {
            self.store.rest(&hash, if rests { self.at } else { 0 });
        }
    }
}

/// Reads what is there, for its hash. What is longer than the whole is no part of it.
fn read_again(file: &mut File, size: u64) -> std::io::Result<(u64, Context)> {
    let mut digest = Context::new(&SHA256);
    if file.metadata()?.len() > size {
        file.set_len(0)?;
        return Ok((0, digest));
    }
    let (mut at, mut buffer) = (0, vec![0; PIECE]);
    file.seek(SeekFrom::Start(0))?;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((at, digest)),
            Ok(count) => {
                digest.update(&buffer[..count]);
                at += count as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
