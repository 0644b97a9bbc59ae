//! One live connection per peer. The router knows a federate by its name, so two connections of one peer must never be
//! attached at once; this is where the second one is refused, or takes the first one's place.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::link::grpc::status::{Code, Status};

/// Ends a connection from elsewhere, with the status its peer is told. The last word counts.
pub type Cutter = Arc<watch::Sender<Option<Status>>>;

/// Waits until a connection's [`Cutter`] ends it; gives the status its peer is told.
pub async fn told(cut: &mut watch::Receiver<Option<Status>>) -> Status {
    let told = cut.wait_for(Option::is_some).await.ok();
    // A connection holds its own cutter, so the channel cannot close before it has ended.
    told.and_then(|status| status.clone())
        .unwrap_or_else(|| Status::new(Code::Unavailable, "the connection is closing"))
}

/// Waits until a stop signal is given, or until nobody is left to give it.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|&stop| stop).await;
}

/// Which side of a connection we are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// We dialled.
    Dialled,
    /// The peer dialled.
    Accepted,
}

/// Somebody who wants the peer's place.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// The peer's name.
    pub peer: &'a str,
    /// Who dialled.
    pub side: Side,
    /// The peer's federate id as far as it is known; may be empty.
    pub federate_id: &'a str,
    /// How to end this connection.
    pub cutter: Cutter,
}

/// The place is taken by a connection that is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken;

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this federate is connected already")
    }
}

/// Which peers are connected. Clones share it.
#[derive(Debug, Clone)]
pub struct Registry {
    own_id: Arc<str>,
    fresh: Duration,
    places: Arc<Mutex<Places>>,
}

#[derive(Debug, Default)]
struct Places {
    serial: u64,
    live: HashMap<String, Live>,
}

#[derive(Debug)]
struct Live {
    serial: u64,
    side: Side,
    healthy: Instant,
    cutter: Cutter,
    /// Dropped with the place; that is how a successor learns that it is free.
    vacated: watch::Sender<()>,
}

/// How long a connection that was told to go may take.
const VACATE: Duration = Duration::from_secs(3);

impl Registry {
    /// Nobody connected. `own_id` is our federate id, `fresh` how young a health check must be to defend a place.
    pub fn new(own_id: &str, fresh: Duration) -> Self {
        Self {
            own_id: own_id.into(),
            fresh,
            places: Arc::default(),
        }
    }

    /// Whether a peer has a live connection.
    pub fn is_live(&self, peer: &str) -> bool {
        self.lock().live.contains_key(peer)
    }

    /// Whether the connection with that cutter is the peer's live one.
    pub fn holds(&self, peer: &str, cutter: &Cutter) -> bool {
        let places = self.lock();
        let live = places.live.get(peer);
        live.is_some_and(|live| Arc::ptr_eq(&live.cutter, cutter))
    }

    /// Waits until a peer has no live connection.
    pub async fn vacated(&self, peer: &str) {
        loop {
            let watch = self
                .lock()
                .live
                .get(peer)
                .map(|live| live.vacated.subscribe());
            match watch {
                // Nothing is ever sent: the only change is the end.
                Some(mut watch) => while watch.changed().await.is_ok() {},
                None => return,
            }
        }
    }

    /// Takes the peer's place, ending an older connection that is not well any more or that loses the tie.
    ///
    /// Both ends may dial each other at once. Both then see one connection of each kind, and both must end the same
    /// one: the connection that the smaller federate id dialled stays.
    ///
    /// # Errors
    /// [`Taken`] when the older connection keeps its place, or does not leave within seconds.
    pub async fn claim(&self, candidate: Candidate<'_>) -> Result<Claim, Taken> {
        let deadline = Instant::now() + VACATE;
        loop {
            {
                let mut places = self.lock();
                match places.live.get(candidate.peer) {
                    None => return Ok(self.take(&mut places, candidate)),
                    Some(live) if self.keeps(live, &candidate) => return Err(Taken),
                    Some(live) => {
                        let told = "a newer connection of this federate took its place";
                        live.cutter
                            .send_replace(Some(Status::new(Code::Aborted, told)));
                    }
                }
            }
            tokio::time::timeout_at(deadline, self.vacated(candidate.peer))
                .await
                .map_err(|_| Taken)?;
        }
    }

    fn keeps(&self, live: &Live, candidate: &Candidate<'_>) -> bool {
        if live.healthy.elapsed() > self.fresh {
            return false;
        }
        if live.side == candidate.side || candidate.federate_id.is_empty() {
            return true;
        }
        let we_are_smaller = *self.own_id < *candidate.federate_id;
        we_are_smaller == (live.side == Side::Dialled)
    }

    fn take(&self, places: &mut Places, candidate: Candidate<'_>) -> Claim {
        places.serial += 1;
        places.live.insert(
            candidate.peer.to_owned(),
            Live {
                serial: places.serial,
                side: candidate.side,
                healthy: Instant::now(),
                cutter: candidate.cutter,
                vacated: watch::Sender::new(()),
            },
        );
        Claim {
            registry: self.clone(),
            peer: candidate.peer.to_owned(),
            serial: places.serial,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A peer's place. Dropping it makes room.
#[derive(Debug)]
pub struct Claim {
    registry: Registry,
    peer: String,
    serial: u64,
}

impl Claim {
    /// A good health check was seen.
    pub fn healthy(&self) {
        if let Some(live) = self.registry.lock().live.get_mut(&self.peer)
            && live.serial == self.serial
        {
            live.healthy = Instant::now();
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut places = self.registry.lock();
        if places
            .live
            .get(&self.peer)
            .is_some_and(|live| live.serial == self.serial)
        {
            places.live.remove(&self.peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(side: Side, federate_id: &str) -> Candidate<'_> {
        Candidate {
            peer: "bravo",
            side,
            federate_id,
            cutter: Arc::new(watch::Sender::new(None)),
        }
    }

    fn registry(fresh: Duration) -> Registry {
        Registry::new("5555", fresh)
    }

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn a_healthy_connection_keeps_its_place() {
        let registry = registry(LONG);
        let first = registry
            .claim(candidate(Side::Accepted, "7777"))
            .await
            .unwrap();
        assert_eq!(
            registry
                .claim(candidate(Side::Accepted, "7777"))
                .await
                .err(),
            Some(Taken)
        );
        drop(first);
        assert!(!registry.is_live("bravo"));
        assert!(
            registry
                .claim(candidate(Side::Accepted, "7777"))
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn a_silent_connection_is_told_to_go_and_then_replaced() {
        let registry = registry(Duration::ZERO);
        let old = candidate(Side::Accepted, "7777");
        let mut told = old.cutter.subscribe();
        let old = registry.claim(old).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
        let leaves = tokio::spawn(async move {
            told.changed().await.unwrap();
            assert_eq!(
                told.borrow().as_ref().map(|status| status.code),
                Some(Code::Aborted)
            );
            drop(old);
        });
        let new = registry
            .claim(candidate(Side::Accepted, "7777"))
            .await
            .unwrap();
        leaves.await.unwrap();
        assert!(registry.is_live("bravo"));
        drop(new);
    }

    #[tokio::test]
    async fn of_two_that_dial_each_other_the_smaller_ones_connection_stays() {
        // We are 5555. Against 7777 our own connection stays, against 3333 the peer's does.
        for (live, comes, peer, keeps) in [
            (Side::Dialled, Side::Accepted, "7777", true),
            (Side::Accepted, Side::Dialled, "7777", false),
            (Side::Dialled, Side::Accepted, "3333", false),
            (Side::Accepted, Side::Dialled, "3333", true),
            (Side::Accepted, Side::Dialled, "", true),
        ] {
            let registry = registry(LONG);
            let _first = registry.claim(candidate(live, peer)).await.unwrap();
            let places = registry.lock();
            assert_eq!(
                registry.keeps(&places.live["bravo"], &candidate(comes, peer)),
                keeps,
                "{live:?} {comes:?} {peer}"
            );
        }
    }
}
