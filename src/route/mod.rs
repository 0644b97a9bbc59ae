//! The router: one inline call decides for each event which links get it.

pub mod router;

pub use router::{LinkId, LinkSpec, Router, Verdict};
