//! TAK protocol, version 1: protobuf in place of XML (protocol reference 6.2).
//!
//! [`message`] shows a `TakMessage` as views over its bytes, [`framing`] cuts a stream or a datagram into messages and
//! XML.

pub mod framing;
pub mod message;

pub use message::{Control, Detail, Event, Message, parse, read};
