//! What really goes over the wire to a peer, and whether anything is under way to it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use crate::route::rate::on_the_wire;

/// What all connections with one peer sent since the box started.
#[derive(Debug, Default)]
pub struct Totals {
    on_the_wire: AtomicU64,
    packed_away: AtomicU64,
}

impl Totals {
    /// Bytes sent, with the headers of TLS, HTTP/2 and TCP/IP ([`on_the_wire`]).
    pub fn bytes_out(&self) -> u64 {
        self.on_the_wire.load(Ordering::Relaxed)
    }

    /// Bytes that packing saved.
    pub fn packed_away(&self) -> u64 {
        self.packed_away.load(Ordering::Relaxed)
    }
}

/// The totals of every peer. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Meters(Arc<Mutex<BTreeMap<String, Arc<Totals>>>>);

impl Meters {
    /// The meter of a new connection with a peer.
    pub fn connection(&self, peer: &str) -> Meter {
        Meter(Arc::new(Line {
            totals: self.totals(peer),
            clear: AtomicBool::new(true),
            ..Line::default()
        }))
    }

    /// What was sent to a peer.
    pub fn totals(&self, peer: &str) -> Arc<Totals> {
        let mut peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = peers.get(peer) {
            return Arc::clone(known);
        }
        Arc::clone(peers.entry(peer.to_owned()).or_default())
    }

    /// A peer was removed.
    pub fn forget(&self, peer: &str) {
        let mut peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        peers.remove(peer);
    }
}

/// One connection's meter. Clones share it.
#[derive(Clone, Default)]
pub struct Meter(Arc<Line>);

#[derive(Default)]
struct Line {
    totals: Arc<Totals>,
    on_the_wire: AtomicU64,
    /// Nothing that was handed over waits on its way to the kernel.
    clear: AtomicBool,
    /// Something was written since the last piece was handed over.
    written: AtomicBool,
    wakers: Mutex<[Option<Waker>; WAITERS]>,
}

/// Tasks of one connection that may wait until the line is clear: events, packages, and what boxes exchange.
const WAITERS: usize = 4;

impl Meter {
    /// Bytes that this connection sent, headers included.
    pub fn bytes_out(&self) -> u64 {
        self.0.on_the_wire.load(Ordering::Relaxed)
    }

    /// That many bytes were written to the TLS stream.
    pub fn wrote(&self, bytes: usize) {
        let bytes = on_the_wire(bytes as u64);
        self.0.on_the_wire.fetch_add(bytes, Ordering::Relaxed);
        (self.0.totals.on_the_wire).fetch_add(bytes, Ordering::Relaxed);
        self.0.written.store(true, Ordering::Relaxed);
    }

    /// Everything written so far is in the kernel's hands.
    pub fn flushed(&self) {
        if self.0.written.load(Ordering::Relaxed) && !self.0.clear.swap(true, Ordering::Relaxed) {
            let wakers = std::mem::take(&mut *self.wakers());
            wakers.into_iter().flatten().for_each(Waker::wake);
        }
    }

    /// A piece is handed over; until it is flushed the line is not clear.
    pub fn handed_over(&self) {
        self.0.written.store(false, Ordering::Relaxed);
        self.0.clear.store(false, Ordering::Relaxed);
    }

    /// Whether nothing that was handed over waits on its way to the kernel.
    pub fn is_clear(&self) -> bool {
        self.0.clear.load(Ordering::Relaxed)
    }

    /// Wakes the task as soon as the line is clear.
    pub fn wake_when_clear(&self, context: &Context<'_>) {
        let mut wakers = self.wakers();
        let known = wakers.iter().position(|known| {
            known
                .as_ref()
                .is_some_and(|known| known.will_wake(context.waker()))
        });
        let place = known.or_else(|| wakers.iter().position(Option::is_none));
        match place.and_then(|place| wakers.get_mut(place)) {
            Some(place) => *place = Some(context.waker().clone()),
            // More than are known to exist: it asks again.
            None => context.waker().wake_by_ref(),
        }
    }

    /// Packing made that many bytes less.
    pub fn packed_away(&self, bytes: usize) {
        let saved = &self.0.totals.packed_away;
        saved.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn wakers(&self) -> MutexGuard<'_, [Option<Waker>; WAITERS]> {
        self.0.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_clear_when_what_was_handed_over_is_flushed() {
        let meters = Meters::default();
        let meter = meters.connection("bravo");
        assert!(meter.is_clear());
        meter.handed_over();
        meter.flushed();
        assert!(!meter.is_clear(), "it has not even been written");
        meter.wrote(100);
        assert!(!meter.is_clear());
        meter.flushed();
        assert!(meter.is_clear());
        meters.connection("bravo").wrote(1);
        let both = meter.bytes_out() + on_the_wire(1);
        assert_eq!(meters.totals("bravo").bytes_out(), both);
        meters.forget("bravo");
        assert_eq!(meters.totals("bravo").bytes_out(), 0);
    }
}
