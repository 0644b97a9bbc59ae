//! The connection of a peer, in `status --json`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::link::nat::Shown;

/// The connection of a peer, as the kernel and the schedule of its keepalives see it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LineStatus {
    /// Smoothed round trip, milliseconds.
    pub round_trip_ms: Option<f64>,
    /// Its mean deviation, milliseconds.
    pub deviation_ms: Option<f64>,
    /// Segments that were sent again on this connection.
    pub retransmits: Option<u32>,
    /// Segments that were sent and are not acknowledged yet.
    pub unacknowledged: Option<u32>,
    /// An idle connection carries something at least so often; none where the peer decides and did not say.
    pub interval_seconds: Option<f64>,
    /// Where that comes from: `configured`, `learned`, `default`, or `announced` by the peer that dialled.
    pub interval_from: String,
    /// Between two health checks; none where the peer makes them as every federate does.
    pub health_seconds: Option<f64>,
    /// The uplink that it goes out by; none where the peer dialled, and on loopback.
    pub uplink: Option<String>,
    /// Longest time that a connection on this uplink was idle and lived; none as long as nothing was learned.
    pub idle_timeout_seconds: Option<f64>,
    /// That is being measured now.
    pub is_measuring: bool,
}

impl From<Shown> for LineStatus {
    fn from(shown: Shown) -> Self {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let line = shown.line;
        let millis = |micros: u32| f64::from(micros) / 1000.0;
        Self {
            round_trip_ms: line.map(|line| millis(line.round_trip_us)),
            deviation_ms: line.map(|line| millis(line.deviation_us)),
            retransmits: line.map(|line| line.retransmits),
            unacknowledged: line.map(|line| line.unacknowledged),
            interval_seconds: seconds(shown.interval),
            interval_from: shown.origin.to_owned(),
            health_seconds: seconds(shown.health_every),
            uplink: shown.uplink,
            idle_timeout_seconds: seconds(shown.idle_timeout),
            is_measuring: shown.is_measuring,
        }
    }
}
