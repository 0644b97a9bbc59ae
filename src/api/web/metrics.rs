//! `/metrics`: the status in the text format of Prometheus.

use std::fmt::Write;

use crate::api::status::{Counts, PeerState, Status};

/// The media type.
pub const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

struct Page(String);

impl Page {
    fn about(&mut self, name: &str, kind: &str, about: &str) {
        // A String takes everything.
        let _ = writeln!(
            self.0,
            "# HELP tombolo_{name} {about}\n# TYPE tombolo_{name} {kind}"
        );
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let mut text = String::new();
        for (label, content) in labels {
            let comma = if text.is_empty() { "" } else { "," };
            let _ = write!(text, "{comma}{label}=\"{}\"", escaped(content));
        }
        let _ = match text.is_empty() {
            true => writeln!(self.0, "tombolo_{name} {value}"),
            false => writeln!(self.0, "tombolo_{name}{{{text}}} {value}"),
        };
    }

    fn one(&mut self, name: &str, kind: &str, about: &str, value: f64) {
        self.about(name, kind, about);
        self.line(name, &[], value);
    }

    fn counts(&mut self, name: &str, label: (&str, &str), counts: &Counts) {
        for (reason, count) in counts {
            self.line(name, &[label, ("reason", reason)], number(*count));
        }
    }
}

/// A label's value as the format wants it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Prometheus counts in floating point: exact up to 2^53.
fn number(count: u64) -> f64 {
    count as f64
}

/// The whole page.
pub fn write(status: &Status) -> String {
    let mut page = Page(String::with_capacity(8 * 1024));
    box_itself(&mut page, status);
    peers(&mut page, status);
    packages(&mut page, status);
    page.0
}

fn packages(page: &mut Page, status: &Status) {
    let Some(packages) = &status.packages else {
        return;
    };
    let store = &packages.standing;
    page.one(
        "packages",
        "gauge",
        "Data packages kept.",
        number(store.packages),
    );
    page.one(
        "packages_bytes",
        "gauge",
        "Bytes of all data packages.",
        number(store.bytes),
    );
    page.about(
        "packages_total",
        "counter",
        "Data packages, by what became of them.",
    );
    for (outcome, count) in [
        ("kept", store.kept),
        ("evicted", store.evicted),
        ("expired", store.expired),
        ("refused", store.refused),
        ("disk_error", store.disk_errors),
        ("settled", store.settled),
        ("held_in", packages.held_in),
        ("held_out", packages.held_out),
    ] {
        page.line("packages_total", &[("outcome", outcome)], number(count));
    }
}

fn box_itself(page: &mut Page, status: &Status) {
    let node = &status.node;
    page.about("info", "gauge", "The box: always 1.");
    let labels = [
        ("name", node.name.as_str()),
        ("version", &node.version),
        ("federate_id", &node.federate_id),
    ];
    page.line("info", &labels, 1.0);
    page.one(
        "uptime_seconds",
        "gauge",
        "Since the start.",
        number(node.uptime_seconds),
    );
    page.one(
        "clients",
        "gauge",
        "Local clients connected now.",
        f64::from(status.clients),
    );
    page.about(
        "local_events_total",
        "counter",
        "Events of all local clients together.",
    );
    page.line(
        "local_events_total",
        &[("direction", "in")],
        number(status.local.events_in),
    );
    page.line(
        "local_events_total",
        &[("direction", "out")],
        number(status.local.events_out),
    );
    page.about(
        "local_dropped_total",
        "counter",
        "Events of local clients that did not go on.",
    );
    for (reason, count) in &status.local.dropped {
        page.line("local_dropped_total", &[("reason", reason)], number(*count));
    }
    page.about(
        "refused_handshakes_total",
        "counter",
        "Strangers refused in their handshake.",
    );
    for (reason, count) in &status.refused {
        page.line(
            "refused_handshakes_total",
            &[("reason", reason)],
            number(*count),
        );
    }
    let memory = &status.memory;
    page.one(
        "memory_resident_bytes",
        "gauge",
        "Resident now.",
        number(memory.rss_kib * 1024),
    );
    page.one(
        "memory_peak_bytes",
        "gauge",
        "Most that was ever resident.",
        number(memory.peak_kib * 1024),
    );
    page.one(
        "memory_budget_bytes",
        "gauge",
        "The worst case.",
        number(memory.budget_kib * 1024),
    );
    page.one(
        "memory_ceiling_bytes",
        "gauge",
        "What is allowed.",
        number(memory.ceiling_kib * 1024),
    );
    let clock = &status.clock;
    page.one(
        "clock_trusted",
        "gauge",
        "Somebody outside the machine vouches for the time.",
        f64::from(clock.trusted),
    );
    if let Some(error) = clock.error_ms {
        page.one(
            "clock_error_seconds",
            "gauge",
            "The time may be this far off.",
            number(error) / 1000.0,
        );
    }
    if let Some(written) = status.storage.written_bytes {
        page.one(
            "storage_written_bytes_total",
            "counter",
            "Written to the disk since the machine booted.",
            number(written),
        );
    }
    if let Some(low) = status.power.under_voltage {
        page.one(
            "under_voltage",
            "gauge",
            "The voltage is too low now.",
            f64::from(low),
        );
    }
}

fn peers(page: &mut Page, status: &Status) {
    page.about("peer_up", "gauge", "The link is up.");
    for peer in &status.peers {
        let up = matches!(peer.state, PeerState::Connected | PeerState::Flowing);
        page.line("peer_up", &[("peer", &peer.name)], f64::from(up));
    }
    page.about("peer_state", "gauge", "1 for the state that the link has.");
    for peer in &status.peers {
        page.line(
            "peer_state",
            &[("peer", &peer.name), ("state", peer.state.word())],
            1.0,
        );
    }
    page.about(
        "peer_events_total",
        "counter",
        "Events taken from it (in) and sent to it (out).",
    );
    for peer in &status.peers {
        for (direction, count) in [("in", peer.events_in), ("out", peer.events_out)] {
            page.line(
                "peer_events_total",
                &[("peer", &peer.name), ("direction", direction)],
                number(count),
            );
        }
    }
    page.about(
        "peer_dropped_total",
        "counter",
        "Events that did not go on.",
    );
    for peer in &status.peers {
        page.counts("peer_dropped_total", ("peer", &peer.name), &peer.dropped);
    }
    page.about("peer_sent_bytes_total", "counter", "Bytes sent to it.");
    for peer in &status.peers {
        page.line(
            "peer_sent_bytes_total",
            &[("peer", &peer.name)],
            number(peer.sending.bytes_out),
        );
    }
    page.about(
        "peer_waiting_events",
        "gauge",
        "Events that wait for it, in memory (outbox) and kept for it (spool).",
    );
    for peer in &status.peers {
        for (place, count) in [
            ("outbox", peer.sending.waiting),
            ("spool", peer.spool.events),
        ] {
            page.line(
                "peer_waiting_events",
                &[("peer", &peer.name), ("place", place)],
                number(count),
            );
        }
    }
    page.about(
        "peer_clock_offset_seconds",
        "gauge",
        "Its clock minus ours.",
    );
    for peer in &status.peers {
        page.line(
            "peer_clock_offset_seconds",
            &[("peer", &peer.name)],
            peer.clock.offset_ms as f64 / 1000.0,
        );
    }
    page.about(
        "peer_round_trip_seconds",
        "gauge",
        "Round trip of its connection.",
    );
    for peer in &status.peers {
        if let Some(millis) = peer.line.as_ref().and_then(|line| line.round_trip_ms) {
            page.line(
                "peer_round_trip_seconds",
                &[("peer", &peer.name)],
                millis / 1000.0,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status::tests::example;

    /// The dashboard that is delivered asks for nothing that is not there.
    #[test]
    fn the_dashboard_knows_only_metrics_that_there_are() {
        let mut status = example();
        status.storage.written_bytes = Some(1);
        let page = write(&status);
        let dashboard = include_str!("../../../systemd/grafana-dashboard.json");
        let value: serde_json::Value = serde_json::from_str(dashboard).unwrap();
        let mut asked = 0;
        for panel in value["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                let text = target["expr"].as_str().unwrap();
                let (_, rest) = text.split_once("tombolo_").unwrap();
                let is_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
                let name: String = rest.chars().take_while(is_name).collect();
                let announced = format!("# TYPE tombolo_{name} ");
                assert!(page.contains(&announced), "{name}");
                asked += 1;
            }
        }
        assert!(asked > 10);
    }

    #[test]
    fn every_line_is_of_the_format_and_every_metric_is_announced_once() {
        let mut status = example();
        status.peers[0].name = "b\"r\\a\nvo".into();
        let page = write(&status);
        let mut announced = Vec::new();
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let name = rest.split(' ').next().unwrap();
                assert!(!announced.contains(&name), "{name}");
                announced.push(name);
                continue;
            }
            if line.starts_with("# HELP ") {
                continue;
            }
            let (metric, value) = line.rsplit_once(' ').unwrap();
            let name = metric.split('{').next().unwrap();
            assert_eq!(announced.last(), Some(&name), "{line}");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
        assert!(page.contains(
            "tombolo_peer_events_total{peer=\"b\\\"r\\\\a\\nvo\",direction=\"in\"} 12\n"
        ));
        assert!(page.contains(
            "tombolo_peer_dropped_total{peer=\"b\\\"r\\\\a\\nvo\",reason=\"duplicate\"} 2\n"
        ));
        assert!(
            page.contains("tombolo_peer_state{peer=\"b\\\"r\\\\a\\nvo\",state=\"flowing\"} 1\n")
        );
    }
}
