//! HTTP/1.1 and HTTP/2 for few visitors: bounded in every way, and told apart from events. What is asked for and who
//! may ask is decided above; here are the connections, and the watchers that events are streamed to.

mod body;
pub mod places;
pub mod server;
pub mod watcher;
pub mod websocket;

pub use body::{Body, BodyError, Feed, Large, drain, read};
pub use server::{Answer, Known, Security, Server, Visitor, serve};
