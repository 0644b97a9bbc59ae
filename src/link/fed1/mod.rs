//! `fed1`: TAK federation v1, each `FederatedEvent` behind its length, over mutual TLS without ALPN (protocol reference 2
//! and 5).
//!
//! There is no handshake, no version, no acknowledgement and no sign of life: after TLS both sides send. So a connection
//! counts as well when something came, or when nothing went wrong for a moment; it ends when the kernel gets no answer
//! any more; and what the kernel's other end has acknowledged counts as taken.
//!
//! | file | holds |
//! |---|---|
//! | [`dialler`] | tries for ever, one connection after the other |
//! | [`accepted`] | a connection that a peer dialled |
//! | [`session`] | one connection, whoever dialled |
//! | [`incoming`] [`outgoing`] | its two directions |
//! | [`signs`] | how well it is |
//! | [`freetakserver`] | what FreeTAKServer needs to be told differently |

pub mod accepted;
pub mod dialler;
pub mod freetakserver;
pub mod incoming;
pub mod outgoing;
pub mod session;
pub mod signs;

#[cfg(test)]
mod tests;

pub use dialler::dial;
