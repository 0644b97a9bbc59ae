//! gRPC by hand on hyper's HTTP/2.
//!
//! Not tonic, because federation leans on gRPC in three ways that its call shapes do not have (protocol reference 1.4):
//!
//! - the accepting side answers client-streaming calls with a message *at once* and with trailers only when the call
//!   ends: a hub learns who we are from that early `Subscription`;
//! - a health check may be answered by a message that no trailers ever follow;
//! - the outbox hands over whole batches, many messages in one DATA frame, which is three to five times faster than one
//!   frame per event (architecture study 2.1).
//!
//! What is left of gRPC is little: a five-byte prefix ([`frame`]), a status in the trailers ([`status`]), bodies that
//! end in it ([`body`]), and limits that fit a small box ([`http2`]).

pub mod body;
pub mod call;
pub mod frame;
pub mod http2;
pub mod scope;
pub mod status;
