//! A federate as somebody asks for it, before it is checked and written down.

use serde::{Deserialize, Serialize};

use super::written::{KeyChanges, Keys};

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
    /// Newer keys of `[[peer]]`, by name: `rate`, `filter.block_types` and the like.
    #[serde(default, skip_serializing_if = "Keys::is_empty")]
    pub more: Keys,
}

impl PeerSpec {
    /// A peer of that name, with nothing else said.
    pub fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            address: None,
            ca_pem: None,
            fingerprint: None,
            enabled: true,
            incoming: true,
            outgoing: true,
            keepalive_seconds: None,
            more: Keys::new(),
        }
    }
}

/// What to change of a registered peer; what is not named stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerChange {
    /// Which peer.
    pub name: String,
    /// `host:port` to dial.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its CA as PEM text, one certificate or several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// SHA-256 of its leaf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Off = registered, paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Take what it sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incoming: Option<bool>,
    /// Send what we have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing: Option<bool>,
    /// Seconds between keepalives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepalive_seconds: Option<u32>,
    /// What it shall have no longer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clear: Vec<Cleared>,
    /// Newer keys of `[[peer]]`, by name, with their new values; none = the key is taken away.
    #[serde(default, skip_serializing_if = "KeyChanges::is_empty")]
    pub more: KeyChanges,
}

impl PeerChange {
    /// No change of that peer yet.
    pub fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            address: None,
            ca_pem: None,
            fingerprint: None,
            enabled: None,
            incoming: None,
            outgoing: None,
            keepalive_seconds: None,
            clear: Vec::new(),
            more: KeyChanges::new(),
        }
    }
}

/// What a peer can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cleared {
    /// We no longer dial it: it dials us.
    Address,
    /// It is no longer known by its CA.
    CaCert,
    /// It is no longer known by its certificate.
    Fingerprint,
    /// The interval is what was learned again.
    KeepaliveSeconds,
}

impl Cleared {
    /// The key in the file.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::CaCert => "ca_cert",
            Self::Fingerprint => "fingerprint",
            Self::KeepaliveSeconds => "keepalive_seconds",
        }
    }
}

fn on() -> bool {
    true
}
