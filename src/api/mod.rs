//! The typed requests that the command line, the console and the HTTPS API share, and the Unix socket they travel on.
//!
//! One request per connection: a line of JSON there, a line of JSON back. The socket is `control.sock` in the state
//! directory, for its owner only.

pub mod access;
pub mod check;
pub mod client;
pub mod clock;
pub mod connection;
pub mod control;
pub mod coreconfig;
pub mod groups;
pub mod inject;
pub mod line;
pub mod listen;
pub mod memory;
pub mod meshes;
pub mod packages;
pub mod pairing;
pub mod parts;
mod peer_clock;
mod peer_entry;
pub mod request;
pub mod sending;
pub mod servers;
mod socket;
pub mod spool;
pub mod status;
pub mod token;
mod told;
pub mod trust;
mod turns;
pub mod update;
pub mod web;
pub mod why;
pub mod words;

pub use client::{AskError, ask};
pub use clock::ClockStatus;
pub use control::{BindError, ControlListener, serve};
pub use request::{
    Committed, ConfigFault, ConfigText, ErrorCode, Fault, PeerEntry, RefusedEvent, Request,
    Response,
};
pub use status::{PeerState, PeerStatus, Status};
pub use turns::{Control, Turns};
pub use update::{PastUpdate, UpdateEnd, UpdateReport};
pub use why::WhyReport;

#[cfg(test)]
mod covers;
