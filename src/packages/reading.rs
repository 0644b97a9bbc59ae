//! A package that is being read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::hash::Hash;
use super::store::Pin;

/// A package that is being read: it stays for as long as this does.
#[derive(Debug)]
pub struct Reading {
    pub(super) file: File,
    pub(super) size: u64,
    pub(super) pin: Pin,
}

impl Reading {
    /// Its bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Its hash.
    pub const fn hash(&self) -> &Hash {
        self.pin.hash()
    }

    /// Reads from an offset; 0 at its end, else at least one byte.
    ///
    /// # Errors
    /// Whatever the disk says.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }
}
