//! The spool's files: `spool/PEER/LANE-NUMBER`, performed job by job on a thread of their own.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ring::digest;

use crate::files;
use crate::route::spool::{Done, FileId, Found, FoundSegment, Job, Piece, Which, pending, record};

/// A file longer than this is none of ours, bytes: a full segment and the longest record.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// The directory of the spool.
#[derive(Debug, Clone)]
pub struct Disk {
    root: PathBuf,
}

impl Disk {
    /// The spool below a state directory; it is made when something is to be kept.
    pub fn new(state: &Path) -> Self {
        Self {
            root: state.join("spool"),
        }
    }

    /// What the disk holds for these peers. What it holds for others is removed, and so is what is no segment.
    ///
    /// # Errors
    /// If the directory is there and cannot be read.
    pub fn find(&self, peers: &[String]) -> io::Result<Vec<(String, Which, Found)>> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let name = entry?.file_name();
            if !peers.iter().any(|peer| *folder_name(peer) == *name) {
                let path = self.root.join(name);
                tracing::info!("spool: {} belongs to no peer: removed", path.display());
                drop(fs::remove_dir_all(path));
            }
        }
        let mut found = Vec::new();
        for peer in peers {
            for which in Which::ALL {
                let lane = find_lane(&self.root.join(folder_name(peer)), which)?;
                if !lane.segments.is_empty() {
                    found.push((peer.clone(), which, lane));
                }
            }
        }
        Ok(found)
    }

    /// Performs a job.
    pub fn perform(&self, job: Job) -> Option<Done> {
        match job {
            Job::Append { file, at, bytes } => Some(match self.append(&file, at, &bytes) {
                Ok(()) => Done::Appended { file },
                Err(error) => Done::NotAppended {
                    why: format!("{}: {}", self.root.display(), files::fault(&error)),
                    file,
                },
            }),
            Job::Read {
                file,
                at,
                from,
                most,
            } => {
                let piece = self.read(&file, at, from, most as usize);
                let piece = piece.unwrap_or_else(|error| {
                    let path = self.path(&file);
                    tracing::warn!("spool: {}: {}", path.display(), files::fault(&error));
                    Piece::default()
                });
                Some(Done::Read { file, piece })
            }
            Job::Remove { file } => {
                let path = self.path(&file);
                if let Err(error) = files::remove(&path) {
                    tracing::warn!("spool: {}: {}", path.display(), files::fault(&error));
                }
                None
            }
            Job::Forget { peer } => {
                let path = self.root.join(folder_name(&peer));
                match fs::remove_dir_all(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        tracing::warn!("spool: {}: {}", path.display(), files::fault(&error));
                    }
                    _ => {}
                }
                None
            }
        }
    }

    fn path(&self, file: &FileId) -> PathBuf {
        let name = format!("{}-{:016x}", file.which.word(), file.first);
        self.root.join(folder_name(&file.peer)).join(name)
    }

    /// When this returns it is on the disk. What stood behind it is gone.
    fn append(&self, id: &FileId, at: u32, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(id);
        let is_new = at == 0;
        if is_new {
            self.make_folder(&path)?;
        }
        let file = OpenOptions::new()
            .write(true)
            .create(is_new)
            .truncate(is_new)
            .mode(files::PRIVATE)
            .open(&path)?;
        file.write_all_at(bytes, at.into())?;
        file.set_len(u64::from(at) + bytes.len() as u64)?;
        file.sync_data()?;
        if is_new {
            sync_folder_of(&path)?;
        }
        Ok(())
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        for folder in [&self.root, folder] {
            match DirBuilder::new().mode(0o700).create(folder) {
                Ok(()) => sync_folder_of(folder)?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read(&self, id: &FileId, at: u32, from: u64, most: usize) -> io::Result<Piece> {
        let file = File::open(self.path(id))?;
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        let mut at = at as usize;
        let mut head = [0; record::OVERHEAD];
        // Hops over what was sent already.
        let whole = loop {
            if at + head.len() > length {
                return Ok(Piece::default());
            }
            file.read_exact_at(&mut head, at as u64)?;
            let whole = record::announced(&head).filter(|whole| at + whole <= length);
            let Some(whole) = whole else {
                return Ok(Piece::default());
            };
            if record::is_event(&head) && record::number(&head).is_some_and(|number| number >= from)
            {
                break whole;
            }
            at += whole;
        };
        let mut bytes = vec![0; whole.max(most).min(length - at)];
        file.read_exact_at(&mut bytes, at as u64)?;
        bytes.truncate(pending::piece(&bytes, from, most).len().max(whole));
        bytes.shrink_to_fit();
        Ok(Piece {
            next_at: u32::try_from(at + bytes.len()).ok(),
            bytes,
        })
    }
}

/// A peer's name as it can stand in a path, and a hash that tells apart what then looks the same.
fn folder_name(peer: &str) -> String {
    let plain: String = peer
        .chars()
        .take(32)
        .map(|character| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => character,
            _ => '_',
        })
        .collect();
    let hash = digest::digest(&digest::SHA256, peer.as_bytes());
    let hash: String = hash.as_ref()[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{plain}-{hash}")
}

fn find_lane(folder: &Path, which: Which) -> io::Result<Found> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::default()),
        Err(error) => return Err(error),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix(which.word())?.strip_prefix('-'))
            .and_then(|number| u64::from_str_radix(number, 16).ok());
        numbers.extend(number.map(|number| (number, name)));
    }
    numbers.sort_unstable();
    let mut found = Found::default();
    for (first, name) in numbers {
        let path = folder.join(name);
        // One at a time: a segment is no longer than a few hundred KiB.
        let bytes = files::read_bounded(&path, MOST_BYTES).unwrap_or_default();
        let survey = record::survey(&bytes);
        found.end = found.end.max(survey.end);
        found.arrived = found.arrived.max(survey.arrived);
        if survey.events == 0 {
            drop(fs::remove_file(path));
            continue;
        }
        found.segments.push(FoundSegment {
            first,
            bytes: u32::try_from(survey.sound_bytes).unwrap_or(u32::MAX),
            oldest_ms: survey.oldest_ms,
            newest_ms: survey.newest_ms,
        });
    }
    Ok(found)
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
