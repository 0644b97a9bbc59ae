//! ROL messages: how federation v2 carries what is no event: data packages, missions, data feeds (protocol reference
//! 3.2 to 3.4).
//!
//! A message is a program (`create resource`, its parameters as JSON, `;`) with a payload perhaps. [`program`] reads and
//! writes the text, [`resource`] the two kinds of JSON that mean a data package to us, [`reader`] takes the message
//! apart as it arrives and gives the payload on piece by piece, [`writer`] makes everything before and after a payload.

pub mod program;
pub mod reader;
pub mod resource;
pub mod writer;

pub use program::{Program, ProgramError};
pub use reader::{Reader, Step};
pub use resource::{Destinations, Resource, ResourceDetails};

/// Longest program text taken, bytes.
pub const PROGRAM_LIMIT: usize = 32 * 1024;

/// Longest message that is kept whole, to be passed on to other federates, bytes.
pub const RELAY_LIMIT: usize = 32 * 1024;

/// Field numbers of `ROL`; those of groups, provenance and hops are those of `FederatedEvent`
/// ([`super::fig::federated`]).
pub mod field {
    /// `string program`
    pub const PROGRAM: u32 = 1;
    /// `repeated BinaryBlob payload`
    pub const PAYLOAD: u32 = 2;
}

/// Field numbers of `BinaryBlob`.
pub mod blob {
    /// `bytes data`
    pub const DATA: u32 = 2;
}
