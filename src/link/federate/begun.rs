//! The event of a federate that has begun to come and is not whole yet.

use std::future::pending;

use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout_at};

use crate::budget;

use super::node::Node;

/// An event of which more than this has come, and not yet its end, needs one of the few places for large events,
/// bytes. All federates and clients share those, so that the largest event times all peers need not fit into memory.
pub const INGEST: usize = budget::INGEST as usize;

/// Events are passed on in turns of this many bytes, so that one peer's flood does not keep the others waiting.
const TURN: usize = 64 * 1024;

/// What is known of it.
#[derive(Debug)]
pub struct Begun<'a> {
    node: &'a Node,
    whole_by: Option<Instant>,
    place: Option<SemaphorePermit<'a>>,
    turn: usize,
}

impl<'a> Begun<'a> {
    /// None has begun.
    pub fn new(node: &'a Node) -> Self {
        Self {
            node,
            whole_by: None,
            place: None,
            turn: 0,
        }
    }

    /// So many bytes came, with which `passed_on` events became whole and `held` bytes of another are there. Waits for a
    /// place if that one is large.
    pub async fn fed(&mut self, bytes: usize, passed_on: usize, held: usize) {
        if held <= INGEST {
            self.place = None;
        } else if self.place.is_none() {
            // Few may be large at once; the others wait here, and their senders with them.
            self.place = self.node.large_events.acquire().await.ok();
            self.whole_by = None;
        }
        self.whole_by = match held {
            0 => None,
            _ if passed_on == 0 && self.whole_by.is_some() => self.whole_by,
            _ => Some(Instant::now() + self.node.timing.half_event),
        };
        self.turn += bytes;
        if self.turn >= TURN {
            self.turn = 0;
            tokio::task::yield_now().await;
        }
    }

    /// Waits until it has taken too long; for ever while none has begun.
    pub async fn overdue(&self) {
        match self.whole_by {
            Some(deadline) => drop(timeout_at(deadline, pending::<()>()).await),
            None => pending().await,
        }
    }
}
