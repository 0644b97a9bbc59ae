//! The router and its links.

use std::task::{Context, Poll};

use bytes::Bytes;

use crate::clock::Now;
use crate::counters::{Counters, Reason};

/// A link's number at the router. Federates keep theirs over reconnects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkId(pub u16);

/// What kind of neighbour a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkSpec {
    /// A local ATAK client; speaks CoT XML.
    Client {
        /// Where it came from, for the log.
        address: String,
    },
    /// A federate; speaks `FederatedEvent` in gRPC frames (protocol reference 1.2).
    Federate {
        /// The peer's name in the configuration.
        name: String,
        /// What it sends is taken.
        incoming: bool,
        /// What we have is sent to it.
        outgoing: bool,
    },
}

/// What became of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Offered to this many links.
    Routed(u16),
    /// For this box only; nobody else gets it.
    Consumed,
    /// Not passed on, and counted.
    Dropped(Reason),
}

/// The router.
#[derive(Debug, Default)]
pub struct Router {}

impl Router {
    /// Adds a link, or brings a known federate's link up again: contacts and the latest events are queued for it.
    pub fn attach(&mut self, _spec: LinkSpec, _now: Now) -> LinkId {
        LinkId(0)
    }
    /// The link is gone.
    pub fn detach(&mut self, _id: LinkId, _now: Now) {}
    /// One framed CoT XML event came.
    pub fn receive_xml(&mut self, _from: LinkId, _event: &[u8], _now: Now) -> Verdict {
        Verdict::Consumed
    }
    /// One `FederatedEvent` came (without its gRPC prefix).
    pub fn receive_federated(&mut self, _from: LinkId, _message: &[u8], _now: Now) -> Verdict {
        Verdict::Consumed
    }
    /// The next bytes for the link's connection, in its wire form (gRPC prefixes included for a federate);
    /// pending when nothing waits (the waker is kept), `None` when the link was detached.
    pub fn poll_batch(
        &mut self,
        _id: LinkId,
        _context: &mut Context<'_>,
        _now: Now,
    ) -> Poll<Option<Bytes>> {
        Poll::Pending
    }
    /// Counts something that the link itself refused.
    pub fn count(&mut self, _id: LinkId, _reason: Reason) {}
    /// Anything was heard from the neighbour (health check, group list).
    pub fn heard(&mut self, _id: LinkId, _now: Now) {}
    /// The tallies of the peer of that name, if it was ever attached.
    pub fn peer_counters(&self, _name: &str) -> Option<Counters> {
        None
    }
}
