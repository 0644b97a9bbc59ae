//! One live connection per peer. The router knows a federate by its name, so two connections of one peer must never be
//! attached at once; this is where the second one is refused, or takes the first one's place.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use crate::link::grpc::status::{Code, Status};

use super::trouble::chance;

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

/// Which of a box's own attempts a connection came from. The side that dials never has two that it means to use, so
/// its newer one is told from an older one that only looks alive, at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Any number, new at each start of the program.
    pub instance: u64,
    /// Grows with each attempt.
    pub serial: u64,
}

impl Origin {
    /// Whether this is a later attempt of the same program.
    fn follows(self, older: Option<Self>) -> bool {
        older.is_some_and(|older| older.instance == self.instance && older.serial < self.serial)
    }
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
    /// What our own id is compared by, where that is not our federate id: federation v1 knows certificates only.
    pub own_id: Option<&'a str>,
    /// Which attempt of another box it is, when the peer is one and says so.
    pub origin: Option<Origin>,
    /// How to end this connection.
    pub cutter: Cutter,
    /// How to make it prove at once that it is well.
    pub challenge: Arc<Notify>,
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
    instance: u64,
    fresh: Duration,
    /// Federation connections that the box may have, standbys included.
    most: usize,
    changed: watch::Sender<u64>,
    places: Arc<Mutex<Places>>,
}

#[derive(Debug, Default)]
struct Places {
    serial: u64,
    /// Our own attempts to dial.
    attempts: u64,
    live: HashMap<String, Live>,
    standbys: usize,
}

#[derive(Debug)]
struct Live {
    serial: u64,
    side: Side,
    origin: Option<Origin>,
    healthy: Instant,
    cutter: Cutter,
    challenge: Arc<Notify>,
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
            instance: u64::from(chance()) << 32 | u64::from(chance()),
            fresh,
            most: usize::MAX,
            changed: watch::Sender::new(0),
            places: Arc::default(),
        }
    }

    /// The same, for a box that may have so many federation connections.
    #[must_use]
    pub fn with_room_for(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// The number of our next attempt to dial anybody.
    pub fn next_attempt(&self) -> Origin {
        let mut places = self.lock();
        places.attempts += 1;
        Origin {
            instance: self.instance,
            serial: places.attempts,
        }
    }

    /// A place for a standby connection, as long as live connections and standbys together are no more than the box
    /// may have.
    pub fn standby(&self) -> Option<Standby> {
        let mut places = self.lock();
        (places.live.len() + places.standbys < self.most).then(|| {
            places.standbys += 1;
            Standby(self.clone())
        })
    }

    /// Waits until a peer has been without a live connection for so long.
    pub async fn down_for(&self, peer: &str, long: Duration) {
        loop {
            self.vacated(peer).await;
            tokio::select! {
                () = sleep(long) => return,
                () = self.occupied(peer) => {}
            }
        }
    }

    /// Waits until a peer has had live connections for so long, without a gap.
    pub async fn up_for(&self, peer: &str, long: Duration) {
        loop {
            self.occupied(peer).await;
            tokio::select! {
                () = sleep(long) => return,
                () = self.vacated(peer) => {}
            }
        }
    }

    async fn occupied(&self, peer: &str) {
        let mut changed = self.changed.subscribe();
        // We hold a sender ourselves, so this ends only well.
        while !self.is_live(peer) && changed.changed().await.is_ok() {}
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

    /// Makes a peer's connection prove at once that it is well, if we dialled it.
    pub fn challenge(&self, peer: &str) {
        if let Some(live) = self.lock().live.get(peer) {
            live.challenge.notify_one();
        }
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
                    Some(live) if self.keeps(live, &candidate) => {
                        // It may only look alive: the peer would not come if it knew of it.
                        live.challenge.notify_one();
                        return Err(Taken);
                    }
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
        let follows = |origin: Origin| origin.follows(live.origin);
        if live.side == candidate.side && candidate.origin.is_some_and(follows) {
            return false;
        }
        if live.side == candidate.side || candidate.federate_id.is_empty() {
            return true;
        }
        let own_id = candidate.own_id.unwrap_or(&self.own_id);
        let we_are_smaller = *own_id < *candidate.federate_id;
        we_are_smaller == (live.side == Side::Dialled)
    }

    fn take(&self, places: &mut Places, candidate: Candidate<'_>) -> Claim {
        places.serial += 1;
        places.live.insert(
            candidate.peer.to_owned(),
            Live {
                serial: places.serial,
                side: candidate.side,
                origin: candidate.origin,
                healthy: Instant::now(),
                cutter: candidate.cutter,
                challenge: candidate.challenge,
                vacated: watch::Sender::new(()),
            },
        );
        self.changed.send_modify(|count| *count += 1);
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

/// A standby's place. Dropping it makes room.
#[derive(Debug)]
pub struct Standby(Registry);

impl Drop for Standby {
    fn drop(&mut self) {
        self.0.lock().standbys -= 1;
    }
}

#[cfg(test)]
mod tests;
