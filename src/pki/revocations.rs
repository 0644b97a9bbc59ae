//! The revocation lists of the box, read again when their files change.
//!
//! Which files: those that peers name as `crl`, and all of the folder `pki/crl` of the state directory, where our own
//! list is too. Only the files' dates and sizes are looked at now and then; a file is read when those change. One that
//! cannot be used any more leaves what it said before in force.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls_pki_types::CertificateDer;
use tokio::sync::watch;

use super::crl::{self, Crl, CrlFault, MOST_BYTES, MOST_ENTRIES, Mark};
use crate::files;

/// Most lists of one box.
pub const MOST_LISTS: usize = 16;

/// The folder of lists, below the state directory.
pub const FOLDER: &str = "pki/crl";

/// A file, and the CAs of which it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// CA certificates.
    pub authorities: Vec<CertificateDer<'static>>,
}

/// How a file stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The file.
    pub path: PathBuf,
    /// What it says; with a fault, what it said before.
    pub list: Option<Arc<Crl>>,
    /// Why it cannot be used.
    pub fault: Option<CrlFault>,
    stamp: Stamp,
}

/// By which a change of a file is noticed: seconds, nanoseconds, length, number of the file. None: it is not there.
type Stamp = Option<(i64, i64, u64, u64)>;

/// All lists. Clones share them; a handshake sees either the old ones or the new ones.
#[derive(Debug, Clone, Default)]
pub struct Revocations(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    standing: RwLock<Arc<[Standing]>>,
    changed: watch::Sender<u64>,
}

impl PartialEq for Revocations {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Revocations {}

impl Revocations {
    /// Looks after the files of `sources` and, with the CAs of `folder`, after all in that folder; reads what has changed
    /// since the last time, or all of them `anew`. Says whether anything is different.
    pub fn look(&self, sources: &[Source], folder: Option<&Source>, anew: bool) -> bool {
        let old = self.standing();
        let mut found: Vec<Standing> = Vec::new();
        let in_folder = folder.into_iter().flat_map(|folder| {
            let authorities = &folder.authorities;
            paths(&folder.path)
                .into_iter()
                .map(move |path| (path, authorities))
        });
        let named = sources
            .iter()
            .map(|source| (source.path.clone(), &source.authorities));
        for (path, authorities) in named.chain(in_folder).take(MOST_LISTS) {
            if found.iter().any(|known| known.path == path) {
                continue;
            }
            let stamp = stamp(&path);
            let before = old.iter().find(|before| before.path == path);
            let kept = |one: &Standing| one.list.as_ref().map_or(0, |list| list.len());
            let room = MOST_ENTRIES.saturating_sub(found.iter().map(kept).sum());
            let now = match before {
                Some(same) if same.stamp == stamp && !anew && kept(same) <= room => same.clone(),
                _ => read(path, authorities, (stamp, room), before),
            };
            found.push(now);
        }
        if *found == *old {
            return false;
        }
        for standing in &found {
            tell(standing, old.iter().find(|old| old.path == standing.path));
        }
        *self
            .0
            .standing
            .write()
            .unwrap_or_else(PoisonError::into_inner) = found.into();
        self.0.changed.send_modify(|count| *count += 1);
        true
    }

    /// Every file, as it was found last.
    pub fn standing(&self) -> Arc<[Standing]> {
        let standing = self.0.standing.read();
        standing.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether one of the certificates of a chain was revoked.
    pub fn revokes(&self, chain: &[CertificateDer<'_>]) -> bool {
        let standing = self.standing();
        if standing.iter().all(|standing| standing.list.is_none()) {
            return false;
        }
        holds(&standing, &marks(chain))
    }

    /// Waits until one of these certificates is revoked.
    pub async fn revoked(&self, marks: &[Mark]) {
        let mut changed = self.0.changed.subscribe();
        while !holds(&self.standing(), marks) {
            if changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// By which the certificates of a chain are known in lists.
pub fn marks(chain: &[CertificateDer<'_>]) -> Vec<Mark> {
    chain.iter().filter_map(Mark::of).collect()
}

/// Reads one list, as for the first time.
///
/// # Errors
/// What is wrong with it.
pub fn load(path: &Path, authorities: &[CertificateDer<'_>]) -> Result<Crl, CrlFault> {
    let bytes = files::read_bounded(path, MOST_BYTES)
        .map_err(|error| CrlFault::Io(files::fault(&error)))?;
    crl::read(&bytes, authorities)
}

fn holds(standing: &[Standing], marks: &[Mark]) -> bool {
    let mut lists = standing.iter().filter_map(|one| one.list.as_ref());
    lists.any(|list| list.holds(marks))
}

fn read(
    path: PathBuf,
    authorities: &[CertificateDer<'_>],
    (stamp, room): (Stamp, usize),
    before: Option<&Standing>,
) -> Standing {
    let loaded = match load(&path, authorities) {
        Ok(list) if list.len() > room => Err(CrlFault::TooMany),
        loaded => loaded,
    };
    let (list, fault) = match loaded {
        Ok(list) => (Some(Arc::new(list)), None),
        // What was revoked stays revoked.
        Err(fault) => {
            let before = before.and_then(|before| before.list.clone());
            (before.filter(|list| list.len() <= room), Some(fault))
        }
    };
    Standing {
        path,
        list,
        fault,
        stamp,
    }
}

fn tell(now: &Standing, before: Option<&Standing>) {
    if before == Some(now) {
        return;
    }
    let file = now.path.display();
    match (&now.fault, &now.list) {
        (Some(fault), Some(list)) => tracing::error!(
            "revocation list {file} {fault}. What it said before stays in force: {} revoked",
            list.len()
        ),
        (Some(fault), None) => tracing::error!("revocation list {file} {fault}"),
        (None, Some(list)) => {
            tracing::info!(
                "revocation list {file} of {}: {} revoked",
                list.issuer,
                list.len()
            );
        }
        (None, None) => {}
    }
}

fn stamp(path: &Path) -> Stamp {
    let found = fs::metadata(path).ok()?;
    Some((found.mtime(), found.mtime_nsec(), found.len(), found.ino()))
}

/// The files of the folder, in the order of their names.
fn paths(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let is_list = |path: &PathBuf| {
        let extension = path.extension().and_then(|extension| extension.to_str());
        matches!(extension, Some("pem" | "der" | "crl"))
            && !path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_list)
        .take(MOST_LISTS)
        .collect();
    paths.sort();
    paths
}

/// Bytes that all lists together take at most.
pub const KEPT: u64 = (MOST_ENTRIES * size_of::<Mark>() + MOST_LISTS * 256) as u64;
