//! `tombolo.toml`: the settings, valid by construction.

use std::net::SocketAddr;

use rustls_pki_types::CertificateDer;

use crate::pki::Fingerprint;

/// Everything that can be set. Defaults make a box that runs with no file at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The box's name: what other federates see.
    pub name: String,
    /// Addresses to listen on.
    pub listen: Listen,
    /// Every bound of the box.
    pub limits: Limits,
    /// Registered federates.
    pub peers: Vec<Peer>,
}

/// Addresses to listen on; empty = off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Plain CoT, default 127.0.0.1:8087.
    pub clients_tcp: Option<SocketAddr>,
    /// CoT over mutual TLS, default 0.0.0.0:8089.
    pub clients_tls: Option<SocketAddr>,
    /// Federation, default 0.0.0.0:9001.
    pub federation: Vec<SocketAddr>,
}

/// One registered federate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Unique name.
    pub name: String,
    /// `host:port` to dial; none: it dials us.
    pub address: Option<String>,
    /// Certificates of its CA.
    pub authorities: Vec<CertificateDer<'static>>,
    /// SHA-256 of its leaf.
    pub fingerprint: Option<Fingerprint>,
    /// Off = paused, registration kept.
    pub enabled: bool,
    /// Take what it sends.
    pub incoming: bool,
    /// Send what we have.
    pub outgoing: bool,
    /// Seconds between keepalives on the TCP connection; none = the system chooses 60.
    pub keepalive_seconds: Option<u32>,
}

/// Every bound, with its unit in the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Ceiling for the whole process, MiB.
    pub memory_mib: u32,
    /// Largest CoT event, KiB.
    pub max_event_kib: u32,
    /// Local clients at once.
    pub max_clients: u16,
    /// Registered federates.
    pub max_federates: u16,
    /// Known contacts (callsigns), ours and the federates'.
    pub max_contacts: u16,
    /// Latest tracks kept for late joiners, events.
    pub latest_events: u16,
    /// Content hashes remembered against duplicates, events.
    pub dedup_events: u32,
    /// How long a content hash counts as a duplicate, seconds.
    pub dedup_seconds: u32,
    /// Events waiting for one link.
    pub outbox_events: u16,
    /// Bytes waiting for one link, KiB.
    pub outbox_kib: u32,
    /// Bytes waiting for all links together, KiB.
    pub waiting_kib: u32,
    /// One write to a link, KiB.
    pub batch_kib: u32,
    /// An event begun must be whole within this, seconds.
    pub half_event_seconds: u32,
    /// A TLS handshake must be done within this, seconds.
    pub handshake_seconds: u32,
}
