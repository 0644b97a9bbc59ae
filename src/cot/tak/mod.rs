//! The TAK protocol, version 1: how an event becomes a `TakMessage` and back, and how a stream of XML becomes one of
//! these (protocol reference 6.2).
//!
//! | from | to | file |
//! |---|---|---|
//! | XML | `TakMessage` | [`encode`] |
//! | `GeoEvent` | `TakMessage` | [`from_geo`] |
//! | `TakMessage` | XML | [`render`] |
//! | `TakMessage` | `GeoEvent` | [`to_geo`] |
//!
//! A `TakMessage` that goes on as one keeps its bytes.

mod cuts;
mod detail;
pub mod encode;
pub mod from_geo;
pub mod negotiation;
pub mod render;
mod said;
mod shown;
pub mod to_geo;

pub use shown::read_detail;
