//! Who may pack: both ends of a packed stream keep a model of fixed size, and a box has room for few.
//!
//! A box that wants to pack takes a place of its own and asks the other box to take one (`/tombolo.Box/Pack`, answer one
//! byte: 1 = yes). From the next piece on its events are packed: gRPC frames whose flag is 1. Without a place on either
//! side everything stays plain. One place is enough for both directions of a connection.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Rate;

/// Packing costs a few microseconds a byte on a small board; above this rate the processor is dearer than the link,
/// bits per second.
const UP_TO: u64 = 64_000;

/// Whether it pays to pack for a link of that rate.
pub fn pays(rate: Option<Rate>) -> bool {
    rate.is_some_and(|rate| rate.bits() <= UP_TO)
}

/// The packing of one connection. Clones share it.
#[derive(Clone)]
pub struct Packing(Arc<Inner>);

struct Inner {
    places: Arc<Semaphore>,
    place: Mutex<Option<OwnedSemaphorePermit>>,
    wanted: AtomicBool,
    packs: AtomicBool,
    unpacks: AtomicBool,
}

impl Packing {
    /// For a new connection of a box that has so many places for all of them.
    pub fn new(places: Arc<Semaphore>) -> Self {
        Self(Arc::new(Inner {
            places,
            place: Mutex::new(None),
            wanted: AtomicBool::new(false),
            packs: AtomicBool::new(false),
            unpacks: AtomicBool::new(false),
        }))
    }

    /// This connection is to be packed if both sides can.
    pub fn want(&self) {
        self.0.wanted.store(true, Ordering::Relaxed);
    }

    /// Whether it is.
    pub fn is_wanted(&self) -> bool {
        self.0.wanted.load(Ordering::Relaxed)
    }

    /// Takes a place for this connection, unless it has one; false when all are taken.
    pub fn reserve(&self) -> bool {
        let mut place = self.0.place.lock().unwrap_or_else(PoisonError::into_inner);
        if place.is_none() {
            *place = Arc::clone(&self.0.places).try_acquire_owned().ok();
        }
        place.is_some()
    }

    /// The peer wants to pack; false when there is no place for it.
    pub fn let_peer_pack(&self) -> bool {
        let yes = self.reserve();
        self.0.unpacks.fetch_or(yes, Ordering::Relaxed);
        yes
    }

    /// Whether packed pieces are taken.
    pub fn unpacks(&self) -> bool {
        self.0.unpacks.load(Ordering::Relaxed)
    }

    /// The peer takes packed pieces.
    pub fn begin(&self) {
        self.0.packs.store(true, Ordering::Relaxed);
    }

    /// Whether events are to be packed.
    pub fn packs(&self) -> bool {
        self.0.packs.load(Ordering::Relaxed)
    }
}

impl Default for Packing {
    /// Of a box that has no place.
    fn default() -> Self {
        Self::new(Arc::new(Semaphore::new(0)))
    }
}

impl fmt::Debug for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packing").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_serves_both_directions_of_one_connection() {
        let places = Arc::new(Semaphore::new(1));
        let (first, second) = (Packing::new(places.clone()), Packing::new(places));
        assert!(first.reserve() && first.let_peer_pack() && first.unpacks());
        assert!(!second.let_peer_pack() && !second.unpacks());
        drop(first);
        assert!(second.let_peer_pack());
        assert!(!Packing::default().reserve());
    }

    #[test]
    fn packing_pays_on_thin_links_only() {
        assert!(pays(Rate::of_bits(9_600)) && pays(Rate::of_bits(64_000)));
        assert!(!pays(Rate::of_bits(64_001)) && !pays(None));
    }
}
