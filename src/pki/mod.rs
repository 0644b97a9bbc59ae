//! Keys and certificates: our own CA and identity, and the judgement over a neighbour's chain.

pub mod fingerprint;
pub mod identity;
pub mod trust;

pub use fingerprint::Fingerprint;
pub use identity::Identity;
pub use trust::{Refusal, TrustRule};
