//! A federate as the API shows it.

use serde::Serialize;
use serde_json::Value;

use super::described::split;
use super::fields::{Kind, must, schema};
use crate::api::request::PeerEntry;
use crate::api::status::{Counts, PeerState, PeerStatus};
use crate::api::trust::PeerTrustEntry;

/// A federate, as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Link {
    name: String,
    status: &'static str,
    state: &'static str,
    reason: String,
    stopped_by: Option<String>,
    address: Option<String>,
    port: Option<u16>,
    protocol: &'static str,
    bidirectional: bool,
    incoming: bool,
    outgoing: bool,
    enabled: bool,
    data_packages_in: bool,
    data_packages_out: bool,
    filter: Option<String>,
    ca_fingerprints: Vec<String>,
    fingerprint: Option<String>,
    trust: PeerTrustEntry,
    keepalive_seconds: Option<u32>,
    events_forwarded: u64,
    events_received: u64,
    forwarded_per_second: f64,
    received_per_second: f64,
    last_heard: Option<String>,
    round_trip_ms: Option<f64>,
    clock_offset_ms: i64,
    waiting: u64,
    dropped: Counts,
}

/// The shape of [`Link`], for the document.
pub fn shape() -> Value {
    let text = Kind::Text(1024);
    let mut shape = schema(&[
        must("name", text, "its name"),
        must(
            "status",
            Kind::Choice(&["connected", "connecting", "waiting", "paused", "disabled"]),
            "connected: the link is up. connecting: it is being dialled, or will be. waiting: it is its turn to dial us",
        ),
        must(
            "state",
            Kind::Choice(&[
                "flowing",
                "connected",
                "connecting",
                "waiting",
                "paused",
                "disabled",
            ]),
            "the same, finer: flowing: events crossed within the last minute",
        ),
        must("reason", text, "why it is no better, in words"),
        must("protocol", Kind::Choice(&["tls"]), "mutual TLS"),
        must("bidirectional", Kind::Flag, "both directions are on"),
        must("incoming", Kind::Flag, "what it sends is taken"),
        must("outgoing", Kind::Flag, "what we have is sent to it"),
        must("enabled", Kind::Flag, "not paused"),
        must(
            "events_forwarded",
            Kind::Number(0, u32::MAX),
            "events sent to it since the start",
        ),
        must(
            "events_received",
            Kind::Number(0, u32::MAX),
            "events taken from it since the start",
        ),
    ]);
    shape["additionalProperties"] = true.into();
    if let Some(properties) = shape["properties"].as_object_mut() {
        // Counters have no end.
        for counter in ["events_forwarded", "events_received"] {
            if let Some(property) = properties.get_mut(counter).and_then(Value::as_object_mut) {
                property.remove("maximum");
            }
        }
    }
    shape
}

impl Link {
    /// Host and port that it is dialled at.
    pub fn address(&self) -> Option<(String, Option<u16>)> {
        Some((self.address.clone()?, self.port))
    }

    /// One federate, with its status.
    pub fn of(entry: PeerEntry, status: &PeerStatus) -> Self {
        let (address, port) = match entry.address.as_deref().and_then(split) {
            Some((host, port)) => (Some(host.to_owned()), port),
            None => (None, None),
        };
        Self {
            status: match status.state {
                PeerState::Flowing | PeerState::Connected => "connected",
                PeerState::Connecting => "connecting",
                PeerState::Waiting if entry.address.is_some() => "connecting",
                PeerState::Waiting => "waiting",
                PeerState::Paused => "paused",
                PeerState::Disabled => "disabled",
            },
            state: status.state.word(),
            reason: status.reason.clone(),
            stopped_by: status.stopped_by.clone(),
            address,
            port,
            protocol: "tls",
            bidirectional: entry.incoming && entry.outgoing,
            incoming: entry.incoming,
            outgoing: entry.outgoing,
            enabled: entry.enabled,
            data_packages_in: entry.data_packages_in,
            data_packages_out: entry.data_packages_out,
            filter: entry.filter,
            ca_fingerprints: entry.authorities,
            fingerprint: entry.fingerprint,
            trust: entry.trust,
            keepalive_seconds: entry.keepalive_seconds,
            events_forwarded: status.events_out,
            events_received: status.events_in,
            forwarded_per_second: status.rate_out,
            received_per_second: status.rate_in,
            last_heard: status.last_heard.clone(),
            round_trip_ms: status.line.as_ref().and_then(|line| line.round_trip_ms),
            clock_offset_ms: status.clock.offset_ms,
            waiting: status.sending.waiting + status.spool.events,
            dropped: status.dropped.clone(),
            name: entry.name,
        }
    }
}
