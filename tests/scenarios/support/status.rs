//! `status --json`, read by the words that scripts rely on.

use std::net::SocketAddr;

use serde_json::Value;

/// One answer of `status --json`.
#[derive(Debug, Clone, Default)]
pub struct Status(pub Value);

impl Status {
    /// Reads what the command printed.
    #[track_caller]
    pub fn parse(text: &str) -> Self {
        match serde_json::from_str(text) {
            Ok(value) => Self(value),
            Err(error) => panic!("status is no JSON: {error}: {text}"),
        }
    }

    /// Nothing was read yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_null()
    }

    /// The number at a JSON pointer; 0 when it is not there.
    pub fn number(&self, pointer: &str) -> u64 {
        self.0.pointer(pointer).and_then(Value::as_u64).unwrap_or(0)
    }

    /// A part of it.
    #[track_caller]
    pub fn value(&self, pointer: &str) -> Value {
        self.0.pointer(pointer).cloned().unwrap_or_default()
    }

    /// The text at a JSON pointer; empty when it is not there.
    pub fn text(&self, pointer: &str) -> &str {
        let value = self.0.pointer(pointer).and_then(Value::as_str);
        value.unwrap_or_default()
    }

    /// The address at a JSON pointer.
    #[track_caller]
    pub fn address(&self, pointer: &str) -> SocketAddr {
        self.0
            .pointer(pointer)
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("no address at {pointer}: {}", self.0))
    }

    /// A peer's entry.
    pub fn peer(&self, name: &str) -> Option<&Value> {
        self.0["peers"]
            .as_array()?
            .iter()
            .find(|peer| peer["name"] == name)
    }

    /// The peer is connected, whether or not events flow yet.
    pub fn is_up(&self, name: &str) -> bool {
        self.peer(name)
            .is_some_and(|peer| peer["state"] == "connected" || peer["state"] == "flowing")
    }

    /// Why the peer is not connected, in the box's words.
    pub fn reason(&self, peer: &str) -> String {
        self.peer(peer)
            .and_then(|peer| peer["reason"].as_str())
            .unwrap_or_default()
            .to_owned()
    }

    /// How often an event of a local client was dropped for that reason.
    pub fn dropped_local(&self, reason: &str) -> u64 {
        self.number(&format!("/local/dropped/{reason}"))
    }

    /// How often an event from or to a peer was dropped for that reason.
    pub fn dropped_peer(&self, name: &str, reason: &str) -> u64 {
        self.peer(name)
            .and_then(|peer| peer["dropped"][reason].as_u64())
            .unwrap_or(0)
    }

    /// How often an accepted connection was refused for that reason.
    pub fn refused(&self, reason: &str) -> u64 {
        self.number(&format!("/refused/{reason}"))
    }
}
