//! Bytes in, bytes out: the forms an event has on the wire.
//!
//! Everything here is a checked view over the caller's bytes: no tree, no copy, no clock, no allocation per event.
//! [`scan`] cuts a stream into pieces, [`xml`] checks one piece and notes where its parts are, [`fig`] does the same
//! for a `FederatedEvent` and [`tak`] for a `TakMessage`, [`cold`] holds the messages that are rare; [`stamp`],
//! [`survey`], [`text`], [`number`], [`proto`] and [`room`] are the letters they are written in; [`pack`] makes a stream of them small; [`rol`] is
//! what carries data packages.

pub mod cold;
pub mod fed1;
pub mod fig;
pub mod number;
pub mod pack;
pub mod proto;
pub mod rol;
pub mod room;
pub mod scan;
pub mod stamp;
pub mod survey;
pub mod tak;
pub mod text;
pub mod xml;
