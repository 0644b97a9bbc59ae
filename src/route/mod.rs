//! The router: one inline call decides for each event which links get it.
//!
//! [`Router`] is told what came ([`Router::receive_xml`], [`Router::receive_federated`]) and asked what to send
//! ([`Router::poll_batch`]); it reads no clock and no socket.

pub mod contacts;
pub mod dedup;
pub mod flight;
pub mod groups;
pub mod in_flight;
pub mod latest;
pub mod link;
pub mod outbox;
pub mod parcel;
pub mod policy;
pub mod queue;
pub mod rate;
pub mod recorder;
pub mod router;
pub mod spool;
pub mod trace;

pub use link::{Form, LinkId, LinkSpec, Network, PeerSpec, Role, Verdict, Wire};
pub use router::{ASIDE_BYTES, CameEcho, Package, Router, Settings, WATCHED_BYTES};
