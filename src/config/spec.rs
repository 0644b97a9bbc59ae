//! A federate as somebody asks for it, before it is checked and written down.

use serde::{Deserialize, Serialize};

/// A peer to register, with the keys that [`add_peer`](super::edit::add_peer) writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerSpec {
    /// Unique name, 1 to 64 characters.
    pub name: String,
    /// `host:port` to dial; none: it dials us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its CA as PEM text, one certificate or several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// SHA-256 of its leaf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Off = registered, paused.
    #[serde(default = "on")]
    pub enabled: bool,
    /// Take what it sends.
    #[serde(default = "on")]
    pub incoming: bool,
    /// Send what we have.
    #[serde(default = "on")]
    pub outgoing: bool,
    /// Seconds between keepalives, 1 to 32,767.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepalive_seconds: Option<u32>,
}

fn on() -> bool {
    true
}
