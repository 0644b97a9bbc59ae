//! The TAK protocol, version 1: how an event becomes a `TakMessage` and back, and how a stream of XML becomes one of
//! these (protocol reference 6.2).

pub mod negotiation;
