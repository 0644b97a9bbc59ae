//! Bytes in, bytes out: the wire forms. Pure.

pub mod cold;
