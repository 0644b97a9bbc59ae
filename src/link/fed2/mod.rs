//! `fed2`: TAK federation v2, gRPC `com.atakmap.FederatedChannel` over mutual TLS, dialling and accepting.
//!
//! | file | holds |
//! |---|---|
//! | [`node`] | who we are, who a peer is, every interval |
//! | [`names`] | the methods, and the messages we introduce ourselves with |
//! | [`flow`] [`intake`] | the events of one connection, both ways, whichever side dialled |
//! | [`echo`] | proof that events cross: signed probes between boxes |
//! | [`pace`] [`packing`] | the events to a peer whose link has a byte budget |
//! | [`registry`] | one live connection per peer, and which of two wins |
//! | [`trouble`] [`plan`] | what goes wrong, in words; when to try again, and where |
//! | [`last_words`] [`watched`] | hears out a peer that hangs up; remembers why the TLS stream broke |
//! | [`connect`] [`calls`] [`dialled`] [`dialler`] | name to TLS; each call; their order; try for ever |
//! | [`way`] [`choice`] [`opened`] [`pulse`] | addresses and uplinks of a peer; a connection without calls; its health |
//! | [`deputy`] [`standby`] | who takes over; a second connection over another uplink |
//! | [`latch`] | a peer that answers health checks and does nothing else |
//! | [`receipts`] | boxes tell each other what they have taken |
//! | [`methods`] [`accepted`] [`acceptor`] | answers; one connection; the listener |
//! | [`companion`] [`companion_desk`] [`companion_calls`] | the peer as another box; what we do for boxes; private calls |
//! | [`groups`] | the groups that each side tells the other of |
//! | [`time_exchange`] | boxes tell each other the time |

pub mod accepted;
pub mod acceptor;
pub mod calls;
pub mod choice;
pub mod companion;
pub mod companion_calls;
pub mod companion_desk;
pub mod connect;
pub mod deputy;
pub mod dialled;
pub mod dialler;
pub mod echo;
pub mod flow;
pub mod groups;
pub mod intake;
pub mod keeping;
pub mod last_words;
pub mod latch;
pub mod methods;
pub mod names;
pub mod node;
pub mod opened;
pub mod pace;
pub mod packing;
pub mod plan;
pub mod pulse;
pub mod receipts;
pub mod registry;
pub mod standby;
pub mod time_exchange;
pub mod trouble;
pub mod watched;
pub mod way;

#[cfg(test)]
mod tests;

pub use acceptor::{Acceptor, AcceptorSettings};
pub use companion::{Companion, Feature};
pub use companion_desk::{Companions, Question};
pub use dialler::Dialler;
pub use node::{Identify, Node, PeerSettings, Timing};
pub use registry::Registry;
