//! Bytes in, bytes out: the forms an event has on the wire.

pub mod stamp;
