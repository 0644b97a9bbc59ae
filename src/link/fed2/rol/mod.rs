//! The two ROL streams of one connection, whichever side dialled: what carries data packages, missions and data feeds
//! (protocol reference 3.2).
//!
//! | file | holds |
//! |---|---|
//! | [`queue`] | what waits to be sent: the [`Carrier`](crate::link::packages::Carrier) that others see |
//! | [`sending`] | the body of our stream: one message after the other, piece by piece |
//! | [`turn`] | when a piece may go: events first |
//! | [`receiving`] | the peer's stream: packages go straight into the store |
//!
//! Nothing here can hold up events: they have streams of their own, and what is sent here waits for them.

pub mod queue;
pub mod receiving;
pub mod sending;
pub mod turn;

pub use queue::Outgoing;
pub use sending::Sending;

/// Longest message that a program other than a box is sent, bytes: a TAK Server takes 256 MiB, and half of it after its
/// configuration was touched (protocol reference 1.3, pitfall 17).
pub const LONGEST_MESSAGE: u64 = 128 * 1024 * 1024 - 64 * 1024;
