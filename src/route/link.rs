//! What the router knows of a link, and what it says of an event.

use crate::counters::Reason;

/// A link's number at the router. Federates keep theirs over reconnects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkId(pub u16);

/// A local network of the box; the box's own listeners are in [`Network::LOCAL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Network(pub u8);

impl Network {
    /// The network of `[listen]`'s clients, and of whatever names none.
    pub const LOCAL: Self = Self(0);
}

/// How a link's events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// CoT XML, back to back (protocol reference 6.1).
    Xml,
    /// TAK protocol v1: each event a `TakMessage` (protocol reference 6.2).
    Tak,
    /// `FederatedEvent` in gRPC frames: federation v2 (protocol reference 1.2).
    Federated,
    /// `FederatedEvent` behind a 4-byte length: federation v1 (protocol reference 2).
    Legacy,
}

/// Which form the bytes of an event are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Form {
    /// CoT XML.
    Xml,
    /// `FederatedEvent`.
    Federated,
    /// `TakMessage`.
    Tak,
}

impl Form {
    /// The word for scripts.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Xml => "xml",
            Self::Federated => "federated",
            Self::Tak => "tak",
        }
    }
}

/// What a neighbour of a local network is, beside the clients who come by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Role {
    /// A multicast group pair on one interface.
    Mesh,
    /// A TAK server that we log in to as a client.
    Server,
}

/// What kind of neighbour a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkSpec {
    /// A local ATAK client; speaks CoT XML until it asks for something else.
    Client {
        /// Where it came from, for the log.
        address: String,
        /// The local network it is in.
        network: Network,
    },
    /// A mesh or a server; speaks CoT XML until [`super::Router::set_wire`] says otherwise. Keeps its place and its tallies
    /// by name and role.
    Neighbour {
        /// Its name in the configuration.
        name: String,
        /// What it is.
        role: Role,
        /// The local network it is in.
        network: Network,
        /// What it sends is taken.
        incoming: bool,
        /// What we have is sent to it.
        outgoing: bool,
    },
    /// The box's own commands: events come from it, none go to it.
    Commands,
    /// A federate.
    Federate {
        /// The peer's name in the configuration.
        name: String,
        /// What it sends is taken.
        incoming: bool,
        /// What we have is sent to it.
        outgoing: bool,
        /// [`Wire::Federated`] or [`Wire::Legacy`].
        wire: Wire,
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
