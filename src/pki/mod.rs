//! Keys and certificates: our own CA and identity, and the judgement over a neighbour's chain.

pub mod certificate;
mod chain;
pub mod crl;
pub mod dates;
mod der;
pub mod files;
pub mod fingerprint;
pub mod gather;
pub mod identity;
pub mod issue;
pub mod jks;
pub mod own;
pub mod p12;
pub mod package;
pub mod refusal;
pub mod revocations;
pub mod signature;
pub mod store;
pub mod successors;
pub mod trust;

pub use dates::{Doubt, Moment};
pub use fingerprint::Fingerprint;
pub use identity::Identity;
pub use issue::KeyAlgorithm;
pub use own::Own;
pub use refusal::Refusal;
pub use revocations::Revocations;
pub use store::Store;
pub use trust::{Roster, TrustRule};

#[cfg(test)]
pub(crate) mod testing;
