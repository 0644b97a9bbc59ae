//! What federation v1 and v2 share: a peer, the way to it, its one place, and what goes wrong.
//!
//! | file | holds |
//! |---|---|
//! | [`node`] | who we are, who a peer is, every interval |
//! | [`plan`] [`choice`] | when to try again, at which address, over which uplink |
//! | [`way`] [`connect`] | addresses and uplinks of a peer; name to TLS |
//! | [`attempts`] [`dialler`] | try for ever, one attempt at a time; the task that does |
//! | [`registry`] | one live connection per peer, and which of two wins |
//! | [`trouble`] [`latch`] | what goes wrong, in words; a peer that answers and does nothing else |
//! | [`last_words`] [`watched`] | hears out a peer that hangs up; remembers why the TLS stream broke |
//! | [`begun`] | the event that has begun to come and is not whole yet |
//! | [`pace`] [`packing`] | the events to a peer whose link has a byte budget |
//! | [`trickle`] | what is large, beside them |

pub mod attempts;
pub mod begun;
pub mod choice;
pub mod connect;
pub mod dialler;
pub mod last_words;
pub mod latch;
pub mod node;
pub mod pace;
pub mod packing;
pub mod plan;
pub mod registry;
pub mod trickle;
pub mod trouble;
pub mod watched;
pub mod way;

pub use dialler::Dialler;
pub use node::{Identify, Node, PeerSettings, Timing};
pub use registry::Registry;
