//! A card in memory that performs jobs and counts what that costs a real one.

use std::collections::BTreeMap;

use super::{Done, FileId, Job, Piece, pending, record};

/// The card.
#[derive(Debug, Default)]
pub struct Card {
    /// Its files.
    pub files: BTreeMap<FileId, Vec<u8>>,
    /// Writes, each of which is synced.
    pub writes: u64,
    /// Bytes written.
    pub written: u64,
    /// Most bytes that were ever on it.
    pub peak: usize,
    /// It takes nothing.
    pub full: bool,
}

impl Card {
    /// Performs a job.
    pub fn perform(&mut self, job: Job) -> Option<Done> {
        match job {
            Job::Append { file, .. } if self.full => Some(Done::NotAppended {
                file,
                why: "full".into(),
            }),
            Job::Append { file, at, bytes } => {
                self.writes += 1;
                self.written += bytes.len() as u64;
                let held = self.files.entry(file.clone()).or_default();
                held.truncate(at as usize);
                assert_eq!(held.len(), at as usize);
                held.extend_from_slice(&bytes);
                self.peak = self.peak.max(self.bytes());
                Some(Done::Appended { file })
            }
            Job::Read {
                file,
                at,
                from,
                most,
            } => {
                let held = self.files.get(&file).map_or(&[][..], |held| held);
                let rest = held.get(at as usize..).unwrap_or_default();
                let bytes = pending::piece(rest, from, most as usize);
                let begin = bytes.as_ptr() as usize - held.as_ptr() as usize;
                let next_at = (!bytes.is_empty()).then(|| (begin + bytes.len()) as u32);
                let bytes = bytes.to_vec();
                Some(Done::Read {
                    file,
                    piece: Piece { bytes, next_at },
                })
            }
            Job::Remove { file } => {
                self.files.remove(&file);
                None
            }
            Job::Forget { peer } => {
                self.files.retain(|file, _| file.peer != peer);
                None
            }
        }
    }

    /// Bytes on it.
    pub fn bytes(&self) -> usize {
        self.files.values().map(Vec::len).sum()
    }

    /// Whether every file is whole.
    pub fn is_sound(&self) -> bool {
        (self.files.values()).all(|bytes| record::survey(bytes).sound_bytes == bytes.len())
    }
}
