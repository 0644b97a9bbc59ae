//! `fed2`: TAK federation v2, gRPC `com.atakmap.FederatedChannel` over mutual TLS, dialling and accepting.
//!
//! | file | holds |
//! |---|---|
//! | [`names`] | the methods, and the messages we introduce ourselves with |
//! | [`flow`] [`intake`] | the events of one connection, both ways, whichever side dialled |
//! | [`echo`] | proof that events cross: signed probes between boxes |
//! | [`calls`] [`dialled`] [`dialler`] | each call; their order; try for ever |
//! | [`opened`] [`pulse`] | a connection without calls; its health |
//! | [`deputy`] [`standby`] | who takes over; a second connection over another uplink |
//! | [`receipts`] | boxes tell each other what they have taken |
//! | [`methods`] [`accepted`] [`acceptor`] | answers; one connection; the listener |
//! | [`companion`] [`companion_desk`] [`companion_calls`] | the peer as another box; what we do for boxes; private calls |
//! | [`groups`] | the groups that each side tells the other of |
//! | [`rol`] | data packages, missions, data feeds |
//! | [`time_exchange`] | boxes tell each other the time |
//!
//! What federation v1 needs too is in [`federate`](super::federate).

pub mod accepted;
pub mod acceptor;
pub mod calls;
pub mod companion;
pub mod companion_calls;
pub mod companion_desk;
pub mod deputy;
pub mod dialled;
pub mod dialler;
pub mod echo;
pub mod flow;
pub mod groups;
pub mod intake;
pub mod keeping;
pub mod methods;
pub mod names;
pub mod opened;
pub mod pulse;
pub mod receipts;
pub mod rol;
pub mod standby;
pub mod time_exchange;

#[cfg(test)]
pub(in crate::link) mod tests;

pub use acceptor::{Acceptor, AcceptorSettings};
pub use companion::{Companion, Feature};
pub use companion_desk::{Companions, Question};
pub use dialler::dial;
