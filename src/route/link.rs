//! What the router knows of a link, and what it says of an event.

use crate::counters::Reason;

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
    /// The box's own commands: events come from it, none go to it.
    Commands,
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

/// A registered federate, whether it is connected or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSpec {
    /// Its name in the configuration.
    pub name: String,
    /// What it sends is taken.
    pub incoming: bool,
    /// What we have is sent to it.
    pub outgoing: bool,
    /// The times of its events are moved into our clock when its own is off.
    pub correct_clock: bool,
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
