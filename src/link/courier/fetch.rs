//! Fetching a package from the box that offered it: the receiver's side.

use bytes::Bytes;
use prost::Message;

use crate::counters::Reason;
use crate::link::clerk::NoClerk;
use crate::link::fed2::companion::Companion;
use crate::link::grpc::status::{Code, Status};
use crate::packages::{Receiving, StoreError};

use super::Courier;
use super::boxes::{PIECE, PIECE_BYTES, Wanted, details};
use super::table::Errand;

/// Shortest piece that is asked for, bytes.
const LEAST_PIECE: usize = 128;

/// Why a fetch did not end well.
enum Stop {
    /// It is tried again, from where it is.
    Again(String),
    /// It is not to be had, or not to be kept.
    Over(Reason, String),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::TooLarge { .. } => Self::Over(Reason::PackageTooLarge, error.to_string()),
            StoreError::WrongHash { .. } | StoreError::WrongSize { .. } => {
                Self::Over(Reason::PackageRefused, error.to_string())
            }
            _ => Self::Again(error.to_string()),
        }
    }
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        match status.code {
            Code::NotFound => Self::Over(Reason::PackageMissing, status.message),
            _ => Self::Again(status.message),
        }
    }
}

impl Courier {
    /// Fetches what an errand needs; one at a time.
    pub(super) async fn fetch(&self, key: u64) {
        let errand = self.table().find(key).cloned();
        let peer = errand.as_ref().and_then(|errand| errand.from.clone());
        let companion = peer
            .as_deref()
            .and_then(|peer| self.0.node.companions.of(peer));
        let now = || self.0.node.hub.now();
        let (Some(errand), Some(companion)) = (errand, companion) else {
            return self.table().put_off(key, false, now().mono_ms);
        };
        match self.pieces(&errand, &companion).await {
            Ok(()) => self.table().put_off(key, false, now().mono_ms),
            Err(Stop::Over(reason, words)) => self.refuse(key, reason, &words),
            Err(Stop::Again(words)) => {
                // A link that went away is no failure of the package's.
                let there = self.0.node.companions.of(companion.peer());
                let failed = there.is_some_and(|there| there.is_same(&companion));
                tracing::info!(
                    peer = companion.peer(),
                    "the data package \"{}\" waits: {words}",
                    errand.filename
                );
                self.table().put_off(key, failed, now().mono_ms);
            }
        }
        self.0.wake.notify_one();
    }

    async fn pieces(&self, errand: &Errand, companion: &Companion) -> Result<(), Stop> {
        let (store, hash, size) = (self.0.store.clone(), errand.hash(), errand.size);
        let opened = self.blocking(move || store.resume(hash, size)).await?;
        let mut receiving = match opened {
            Ok(receiving) => receiving,
            Err(StoreError::Kept(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let began = receiving.at();
        if began > 0 {
            tracing::info!(
                peer = companion.peer(),
                "the data package \"{}\" goes on at {began} of {size} bytes",
                errand.filename
            );
        }
        let mut piece = PIECE_BYTES;
        while receiving.at() < size {
            let at = receiving.at();
            let want = |offset: u64| {
                let wanted = Wanted {
                    hash: Bytes::copy_from_slice(&errand.hash),
                    offset,
                    length: piece as u32,
                };
                companion.call(PIECE, wanted.encode_to_vec().into())
            };
            // Two are on their way at once, unless the sender gives less than is asked for.
            let next = at + piece as u64;
            let ahead = piece == PIECE_BYTES && next < size;
            let (first, second) = match ahead {
                true => {
                    let (first, second) = tokio::join!(want(at), want(next));
                    (first?, Some(second?))
                }
                false => (want(at).await?, None),
            };
            if first.len() > piece || second.as_ref().is_some_and(|second| second.len() > piece) {
                let words = "more came than was asked for".to_owned();
                return Err(Stop::Over(Reason::PackageRefused, words));
            }
            let whole = first.len() == piece;
            if !whole && !first.is_empty() && at + (first.len() as u64) < size {
                piece = first.len().max(LEAST_PIECE);
            }
            let second = second.filter(|_| whole);
            receiving = self.write(receiving, first, second).await?;
            if let Some(known) = self.table().find(errand.key) {
                known.done = receiving.at();
            }
        }
        let about = details(errand, self.0.node.hub.now().wall_ms);
        self.blocking(move || receiving.finish(about)).await??;
        Ok(())
    }

    async fn write(
        &self,
        mut receiving: Receiving,
        first: Bytes,
        second: Option<Bytes>,
    ) -> Result<Receiving, Stop> {
        self.blocking(move || {
            receiving.write(&first)?;
            if let Some(second) = second {
                receiving.write(&second)?;
            }
            Ok(receiving)
        })
        .await?
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stop> {
        let gone = |error: NoClerk| Stop::Again(error.to_string());
        self.0.clerk.run(work).await.map_err(gone)
    }
}
