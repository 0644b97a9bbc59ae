//! The store of data packages: opened at the start, bounded by the configuration, listed and filled by commands.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Shared;
use crate::api::packages::{PAGE, PIECE, PackageEntry, PackagePiece, PackagesStatus, from_hex};
use crate::api::{ErrorCode, Fault, Response};
use crate::config::{Config, Packages as Keys};
use crate::link::clerk::Clerk;
use crate::link::customs::{Customs, Rule};
use crate::packages::{Details, Hash, Receiving, Store, StoreError};

/// Seconds between two looks for what became too old.
const TIDY_SECONDS: u64 = 600;
/// Who adds a package from this machine.
const SUBMITTER: &str = "this box";

/// The store and who works with it; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Packages {
    pub(super) store: Store,
    pub(super) clerk: Clerk,
    /// What may cross to and from federates.
    pub(super) customs: Customs,
    /// A package that a command adds, and when its last piece came (seconds of running time).
    adding: Arc<Mutex<Option<(Hash, Receiving, u64)>>>,
}

/// Whether there is a store, and why not.
#[derive(Debug)]
pub(super) enum Kept {
    /// It is there.
    Open(Packages),
    /// `[packages] enabled` is off, or the box is in safe mode.
    Off,
    /// It could not be opened.
    Broken(String),
}

impl Kept {
    /// Opens the store below the state directory.
    pub(super) fn open(state: &Path, config: &Config, is_safe: bool) -> Self {
        if is_safe || !config.packages.enabled {
            return Self::Off;
        }
        let store = Store::open(&state.join("packages"), config.packages.bounds());
        let clerk = Clerk::start();
        match (store, clerk) {
            (Ok(store), Ok(clerk)) => {
                let packages = Packages {
                    store,
                    clerk,
                    customs: Customs::default(),
                    adding: Arc::default(),
                };
                packages.apply(config);
                Self::Open(packages)
            }
            (Err(error), _) => {
                tracing::error!("no data packages: {error}");
                Self::Broken(error.to_string())
            }
            (_, Err(error)) => {
                tracing::error!("no data packages: no thread: {error}");
                Self::Broken(format!("no thread: {error}"))
            }
        }
    }

    /// The store, when there is one.
    pub(super) fn as_ref(&self) -> Option<&Packages> {
        match self {
            Self::Open(packages) => Some(packages),
            Self::Off | Self::Broken(_) => None,
        }
    }

    /// The store, or why there is none.
    pub(super) fn there(&self) -> Result<&Packages, Fault> {
        let fault = |words: String| Fault::new(ErrorCode::Unavailable, words);
        match self {
            Self::Open(packages) => Ok(packages),
            Self::Off => Err(fault(
                "data packages are off: packages.enabled, or safe mode".to_owned(),
            )),
            Self::Broken(words) => Err(fault(format!(
                "there is no store of data packages: {words}"
            ))),
        }
    }

    pub(super) fn status(&self) -> Option<PackagesStatus> {
        match self {
            Self::Off => None,
            Self::Broken(fault) => Some(PackagesStatus {
                fault: fault.clone(),
                ..PackagesStatus::default()
            }),
            Self::Open(packages) => {
                let (held_in, held_out) = packages.customs.held();
                Some(PackagesStatus {
                    standing: packages.store.standing(),
                    held_in,
                    held_out,
                    fault: String::new(),
                })
            }
        }
    }
}

/// Whether a change of the keys takes a restart: the store is there or not, and where federates find it.
pub(super) fn takes_restart(new: &Keys, old: &Keys) -> bool {
    (new.enabled, new.federation_port) != (old.enabled, old.federation_port)
}

impl Packages {
    /// Takes over what a configuration says of federates and bounds.
    pub(super) fn apply(&self, config: &Config) {
        let enabled = config.peers.iter().filter(|peer| peer.enabled);
        self.customs.set(enabled.map(|peer| {
            let rule = Rule {
                comes_in: peer.data_packages_in,
                goes_out: peer.data_packages_out,
            };
            (peer.name.clone(), rule)
        }));
        let (store, bounds) = (self.store.clone(), config.packages.bounds());
        self.clerk.leave(move || store.set_bounds(bounds));
    }

    /// A page of the list, behind the package with that hash.
    pub(super) fn page(&self, after: Option<&str>) -> Result<Response, Fault> {
        let after = after.map(hash).transpose()?;
        let hashes = self.store.hashes().into_iter();
        let behind = hashes.filter(|hash| after.is_none_or(|after| *hash > after));
        let details = behind.filter_map(|hash| self.store.peek(&hash));
        let page = details.take(PAGE).map(|details| PackageEntry::of(&details));
        Ok(Response::Packages(page.collect()))
    }

    pub(super) fn remove(&self, written: &str) -> Result<Response, Fault> {
        let hash = hash(written)?;
        match self.store.remove(&hash) {
            Ok(true) => Ok(Response::Done(format!("the package {hash} is removed"))),
            Ok(false) => Err(fault(&StoreError::Missing(hash))),
            Err(error) => Err(fault(&error)),
        }
    }

    /// One more piece of a package that a command adds.
    pub(super) fn add(
        &self,
        piece: &PackagePiece,
        now_seconds: u64,
        wall_ms: i64,
    ) -> Result<Response, Fault> {
        let hash = hash(&piece.hash)?;
        let wrong = |words: &str| Fault::new(ErrorCode::Invalid, words);
        let bytes = from_hex(&piece.bytes).filter(|bytes| bytes.len() <= PIECE);
        let bytes = bytes.ok_or_else(|| wrong("this piece is too long, or no hex digits"))?;
        let mut adding = self.lock();
        let mut receiving = match adding.take() {
            Some((there, receiving, _))
                if there == hash && receiving.size() == Some(piece.size) =>
            {
                receiving
            }
            other => {
                // What another one has begun rests.
                drop(other);
                self.store
                    .resume(hash, piece.size)
                    .map_err(|error| fault(&error))?
            }
        };
        if !bytes.is_empty() {
            if receiving.at() != piece.at {
                return Err(wrong(
                    "this piece does not follow the one before; begin again",
                ));
            }
            receiving.write(&bytes).map_err(|error| fault(&error))?;
        }
        if receiving.at() < piece.size {
            let at = receiving.at();
            *adding = Some((hash, receiving, now_seconds));
            return Ok(Response::PackageAt(at));
        }
        drop(adding);
        let details = Details {
            filename: piece.filename.clone(),
            keywords: vec!["missionpackage".to_owned()],
            submitter: SUBMITTER.to_owned(),
            submitted: u64::try_from(wall_ms).unwrap_or_default(),
            ..Details::of(hash)
        };
        let kept = receiving.finish(details).map_err(|error| fault(&error))?;
        Ok(Response::Done(format!(
            "{} is kept as {}",
            kept.filename, kept.hash
        )))
    }

    /// Once a second: lets go of what became too old, and of what a command left half done.
    pub(super) fn look(&self, shared: &Shared) {
        let seconds = shared.hub.now().mono_ms / 1000;
        if seconds % TIDY_SECONDS != TIDY_SECONDS / 2 {
            return;
        }
        let is_sure = shared.clock.moment().floor.is_none();
        let wall = u64::try_from(shared.hub.now().wall_ms)
            .ok()
            .filter(|_| is_sure);
        let packages = self.clone();
        self.clerk.leave(move || {
            let mut adding = packages.lock();
            if adding
                .as_ref()
                .is_some_and(|(_, _, last)| *last + TIDY_SECONDS < seconds)
            {
                *adding = None;
            }
            drop(adding);
            packages.store.tidy(seconds * 1000, wall);
        });
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Hash, Receiving, u64)>> {
        self.adding.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(written: &str) -> Result<Hash, Fault> {
    written
        .parse()
        .map_err(|wrong| Fault::new(ErrorCode::Argument, format!("HASH: {wrong}")))
}

fn fault(error: &StoreError) -> Fault {
    let code = match error {
        StoreError::Kept(_) => ErrorCode::Exists,
        StoreError::Missing(_) => ErrorCode::NotFound,
        StoreError::TooLarge { .. } => ErrorCode::TooLong,
        StoreError::Disk { .. } | StoreError::LowSpace { .. } => ErrorCode::Io,
        StoreError::WrongHash { .. } | StoreError::WrongSize { .. } => ErrorCode::Invalid,
        StoreError::Busy(_) | StoreError::TooMany | StoreError::Full => ErrorCode::Unavailable,
    };
    Fault::new(code, error.to_string())
}
