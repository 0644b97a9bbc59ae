//! A peer's connection in words: its line, and how it is kept alive.

use super::output::clean;
use crate::api::line::LineStatus;

/// The words; empty when nothing is known.
pub fn words(line: &LineStatus) -> String {
    let mut parts = Vec::new();
    if let (Some(round_trip), Some(deviation)) = (line.round_trip_ms, line.deviation_ms) {
        parts.push(format!(
            "round trip {} ms, give or take {}",
            figure(round_trip),
            figure(deviation)
        ));
    }
    if let Some(sent_again) = line.retransmits.filter(|&count| count > 0) {
        parts.push(format!("{sent_again} sent again"));
    }
    if let Some(waiting) = line.unacknowledged.filter(|&count| count > 0) {
        parts.push(format!("{waiting} unacknowledged"));
    }
    parts.extend(keepalive(line));
    parts.join("; ")
}

fn keepalive(line: &LineStatus) -> Option<String> {
    let uplink = line.uplink.as_deref().map(clean);
    let bears = match (&uplink, line.idle_timeout_seconds) {
        (Some(uplink), Some(idle)) => {
            format!("uplink {uplink} bears {} s of silence", figure(idle))
        }
        _ => String::new(),
    };
    let measuring = match (&uplink, line.is_measuring) {
        (Some(uplink), true) => format!("how long uplink {uplink} bears silence is being measured"),
        _ => String::new(),
    };
    let every = line.interval_seconds.map(|interval| {
        let health = line
            .health_seconds
            .map(|health| format!(", health every {} s", figure(health)));
        let origin = clean(&line.interval_from);
        format!(
            "keepalive {} s ({origin}){}",
            figure(interval),
            health.unwrap_or_default()
        )
    });
    let parts: Vec<String> = every
        .into_iter()
        .chain([bears, measuring])
        .filter(|part| !part.is_empty())
        .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// One decimal, where it says something.
fn figure(value: f64) -> String {
    match value {
        value if value >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        value => format!("{value:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_told_and_nothing_else() {
        assert_eq!(words(&LineStatus::default()), "");
        let line = LineStatus {
            round_trip_ms: Some(31.25),
            deviation_ms: Some(4.0),
            retransmits: Some(3),
            unacknowledged: Some(0),
            interval_seconds: Some(20.65),
            interval_from: "learned".into(),
            health_seconds: Some(82.6),
            uplink: Some("lte".into()),
            idle_timeout_seconds: Some(29.5),
            is_measuring: true,
        };
        assert_eq!(
            words(&line),
            "round trip 31.2 ms, give or take 4; 3 sent again; keepalive 20.6 s (learned), health every 82.6 s; \
             uplink lte bears 29.5 s of silence; how long uplink lte bears silence is being measured"
        );
        let accepted = LineStatus {
            round_trip_ms: Some(250.7),
            deviation_ms: Some(0.5),
            unacknowledged: Some(7),
            ..LineStatus::default()
        };
        assert_eq!(
            words(&accepted),
            "round trip 251 ms, give or take 0.5; 7 unacknowledged"
        );
    }
}
