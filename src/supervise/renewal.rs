//! Our certificate is renewed while the box runs.
//!
//! `tombolo cert renew` puts the next certificate beside the one in use. Every box that is connected is told its
//! fingerprint, over a connection that is proven with the old one, and says that it will take both. When all enabled
//! peers have said so, the next one is shown and the links come back with it. A peer that is no box, or is away, cannot
//! be told: then the switch waits for `tombolo cert renew --switch`, and the log says for whom.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::link::board::PeerBoard;
use crate::link::fed2::Companions;
use crate::link::fed2::companion::{Companion, Feature};
use crate::link::grpc::status::{Code, Status};
use crate::pki::certificate::{Facts, stamp};
use crate::pki::store::PkiError;
use crate::pki::successors::{Successor, Successors};
use crate::pki::{Fingerprint, Own};

/// The private method.
const METHOD: &str = "Renewal";
/// A box that did not answer is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// Days before its end from which on a certificate is warned of.
pub(super) const WARN_DAYS: i64 = 30;
/// Seconds between two warnings.
const WARN_EVERY: u32 = 86_400;

/// What is under way.
#[derive(Debug)]
pub(super) struct Renewal {
    next: watch::Sender<Option<Fingerprint>>,
    told: Arc<Mutex<BTreeSet<String>>>,
    /// For whom it waited when that was told last.
    waiting: Waiting,
    seconds: u32,
}

/// For whom the next certificate waits, and its fingerprint; shared with those who tell.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting(Arc<Mutex<(Option<Fingerprint>, Vec<String>)>>);

impl Waiting {
    /// What waits, and for whom.
    pub(super) fn get(&self) -> (Option<Fingerprint>, Vec<String>) {
        self.lock().clone()
    }

    fn set(&self, next: Option<Fingerprint>, waiting: Vec<String>) {
        *self.lock() = (next, waiting);
    }

    fn lock(&self) -> MutexGuard<'_, (Option<Fingerprint>, Vec<String>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Renewal {
    /// Tells and hears from here on. Connections begun before know nothing of it.
    pub(super) fn register(
        companions: &Companions,
        board: &PeerBoard,
        successors: &Successors,
    ) -> Self {
        let renewal = Self {
            next: watch::Sender::new(None),
            told: Arc::default(),
            waiting: Waiting::default(),
            seconds: 0,
        };
        let (board, successors) = (board.clone(), successors.clone());
        companions.serve(Feature::Renewal, METHOD, move |question| {
            let heard = hear(
                question.companion.peer(),
                &question.payload,
                &board,
                &successors,
            );
            async move { heard }
        });
        let (next, told) = (renewal.next.clone(), Arc::clone(&renewal.told));
        companions.attend(Feature::Renewal, move |companion| {
            tell(companion, next.subscribe(), Arc::clone(&told))
        });
        renewal
    }

    /// Once a second; `peers` are the names of the enabled ones. Gives what is shown from now on, when that changes.
    ///
    /// # Errors
    /// A next certificate that cannot be used.
    pub(super) fn look<'a>(
        &mut self,
        own: &Own,
        peers: impl Iterator<Item = &'a str>,
    ) -> Result<Option<()>, PkiError> {
        self.warn(own.identity.chain.first());
        if own.identity.chain != own.store.identity().chain {
            // That of [identity] is renewed elsewhere.
            return Ok(None);
        }
        if own.store.is_replaced() {
            return Ok(Some(()));
        }
        if !own.store.waits() {
            if self.next.send_replace(None).is_some() {
                self.waiting.set(None, Vec::new());
            }
            return Ok(None);
        }
        if self.next.borrow().is_none() {
            let Some(next) = own.store.next()? else {
                return Ok(None);
            };
            self.told().clear();
            tracing::info!(
                "the next certificate {} waits; other boxes are told of it",
                next.fingerprint()
            );
            self.next.send_replace(Some(next.fingerprint()));
            // They get a moment to answer.
            return Ok(None);
        }
        let told = self.told().clone();
        let waiting: Vec<String> = peers
            .filter(|peer| !told.contains(*peer))
            .map(str::to_owned)
            .collect();
        if waiting.is_empty() {
            return Ok(Some(()));
        }
        if waiting != self.waiting.get().1 {
            tracing::info!(
                "the next certificate waits until these know it: {}; `tombolo cert renew --switch` shows it now",
                waiting.join(", ")
            );
            self.waiting.set(*self.next.borrow(), waiting);
        }
        Ok(None)
    }

    /// For whom the next certificate waits.
    pub(super) fn waiting(&self) -> Waiting {
        self.waiting.clone()
    }

    /// It is shown.
    pub(super) fn done(&mut self) {
        self.next.send_replace(None);
        self.told().clear();
        self.waiting.set(None, Vec::new());
        self.seconds = 0;
    }

    /// Once a day, from 30 days before its end on.
    fn warn(&mut self, leaf: Option<&CertificateDer<'_>>) {
        let begins = self.seconds == 0;
        self.seconds = (self.seconds + 1) % WARN_EVERY;
        if let (true, Some(words)) = (begins, leaf.and_then(ending)) {
            tracing::warn!("{words}");
        }
    }

    fn told(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is said of a certificate that ends soon; none as long as it does not.
pub(super) fn ending(leaf: &CertificateDer<'_>) -> Option<String> {
    let until = Facts::read(leaf).ok()?.not_after;
    let now = i64::try_from(UnixTime::now().as_secs()).ok()?;
    let days = (until - now).div_euclid(86_400);
    (days < WARN_DAYS).then(|| match days {
        ..0 => format!(
            "our certificate has ended on {}: `tombolo cert renew` makes the next one",
            stamp(until)
        ),
        days => format!(
            "our certificate ends in {days} days, on {}: `tombolo cert renew` makes the next one",
            stamp(until)
        ),
    })
}

/// A peer says what it will show next.
fn hear(
    peer: &str,
    payload: &[u8],
    board: &PeerBoard,
    successors: &Successors,
) -> Result<Bytes, Status> {
    let new: [u8; 32] = payload
        .try_into()
        .map_err(|_| Status::new(Code::InvalidArgument, "no fingerprint"))?;
    let old = board
        .leaf(peer)
        .ok_or_else(|| Status::new(Code::FailedPrecondition, "no certificate is known"))?;
    let step = Successor {
        peer: peer.to_owned(),
        old: Fingerprint::of(&old),
        new: Fingerprint(new),
    };
    match successors.note(step) {
        Ok(true) => tracing::info!(
            peer,
            "{peer} will show another certificate, {}; both are taken",
            Fingerprint(new)
        ),
        Ok(false) => {}
        Err(error) => {
            tracing::error!(peer, %error, "{peer}: its next certificate could not be written down");
            return Err(Status::new(Code::Internal, "it could not be written down"));
        }
    }
    Ok(Bytes::from_static(&[1]))
}

/// Tells one box of every next certificate, until its connection ends.
async fn tell(
    companion: Companion,
    mut next: watch::Receiver<Option<Fingerprint>>,
    told: Arc<Mutex<BTreeSet<String>>>,
) {
    loop {
        let now = *next.borrow_and_update();
        if let Some(Fingerprint(new)) = now {
            let answer = companion.call(METHOD, Bytes::copy_from_slice(&new)).await;
            if answer.as_deref() != Ok(&[1]) {
                sleep(ASK_AGAIN).await;
                continue;
            }
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            told.insert(companion.peer().to_owned());
        }
        if next.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::KeyAlgorithm;
    use crate::pki::testing::{Authority, Leaf, today};

    #[test]
    fn a_certificate_is_warned_of_a_month_before_its_end() {
        let ca = Authority::new("ca");
        let words = |days: i64| {
            let end = today() + days * 86_400 + 60;
            let leaf = Leaf::good("alpha").dates(today() - 90 * 86_400, end);
            ending(&ca.issue(leaf).chain[0])
        };
        assert_eq!(words(31), None);
        assert!(words(29).unwrap().contains("ends in 29 days"));
        assert!(words(-2).unwrap().contains("has ended on"));
    }

    #[test]
    fn the_switch_waits_for_everybody_who_must_know() {
        let state = tempfile::tempdir().unwrap();
        let open = || {
            let algorithm = KeyAlgorithm::EcdsaP256;
            Own::open(state.path(), "alpha", None, algorithm, UnixTime::now()).unwrap()
        };
        let own = open();
        let board = PeerBoard::new();
        let successors = Successors::default();
        let mut renewal = Renewal::register(&Companions::default(), &board, &successors);
        let peers = ["bravo", "hq"];
        let look = |renewal: &mut Renewal| renewal.look(&own, peers.into_iter()).unwrap();
        assert_eq!(look(&mut renewal), None);
        let next = own.store.prepare(false, UnixTime::now()).unwrap();
        assert_eq!(look(&mut renewal), None);
        assert_eq!(*renewal.next.borrow(), Some(next.fingerprint()));
        renewal.told().insert("bravo".to_owned());
        assert_eq!(look(&mut renewal), None);
        let standing = (Some(next.fingerprint()), vec!["hq".to_owned()]);
        assert_eq!(renewal.waiting().get(), standing);
        renewal.told().insert("hq".to_owned());
        assert_eq!(look(&mut renewal), Some(()));
        // What a peer says is noted only when its certificate is known.
        assert!(hear("bravo", &[1; 32], &board, &successors).is_err());
        board.set_leaf("bravo", b"leaf");
        assert!(hear("bravo", &[1; 31], &board, &successors).is_err());
        hear("bravo", &[1; 32], &board, &successors).unwrap();
        assert_eq!(
            successors.of("bravo").unwrap().old,
            Fingerprint::of(b"leaf")
        );
    }
}
