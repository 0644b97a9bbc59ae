//! The logins at TAK servers, in the table of `status`.

use super::output::{clean, column, wrap};
use crate::api::servers::ServerStatus;
use crate::console::wording::{counts, duration, heard};

/// A table with its heading, no wider than `width`; nothing without servers. `now` is RFC 3339.
pub(super) fn table(servers: &[ServerStatus], now: &str, width: usize) -> String {
    let mut text = String::new();
    if !servers.is_empty() {
        text.push_str(
            "\nSERVER               STATE         IN/s   OUT/s        IN       OUT  HEARD\n",
        );
    }
    for server in servers {
        text.push_str(&row(server, now, width));
    }
    text
}

fn row(server: &ServerStatus, now: &str, width: usize) -> String {
    let mut text = format!(
        "{} {:<10} {:>7.1} {:>7.1} {:>9} {:>9}  {}\n",
        column(&server.name, 20),
        server.state,
        server.rate_in,
        server.rate_out,
        server.events_in,
        server.events_out,
        clean(&heard(server.last_heard.as_deref(), now)),
    );
    let how = if server.tls { "TLS" } else { "plain" };
    let tak = match server.protocol.as_str() {
        "tak" => ", TAK protocol v1",
        _ => "",
    };
    let mut lines = vec![format!("at {} ({how}{tak})", server.address)];
    lines.push(match &server.stopped_by {
        Some(step) => format!("stopped by {step}: {}", server.reason),
        None => server.reason.clone(),
    });
    lines.push(match server.users {
        0 => String::new(),
        1 => "1 user there".to_owned(),
        users => format!("{users} users there"),
    });
    if let Some(proven) = &server.proven {
        let age = duration(proven.age_seconds);
        let millis = proven.round_trip_ms;
        lines.push(format!("ping answered {age} ago, in {millis} ms"));
    }
    if !server.dropped.is_empty() {
        lines.push(format!("dropped: {}", counts(&server.dropped)));
    }
    for line in lines.iter().filter(|line| !line.is_empty()) {
        text.push_str(&wrap(line, "  ", width));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status::tests::example;

    #[test]
    fn a_server_says_where_it_is_and_what_stops_it() {
        assert_eq!(table(&[], "", 80), "");
        let status = example();
        let text = table(&status.servers, &status.clock.utc, 80);
        for part in [
            "ots                  waiting",
            "at 10.0.0.9:8089 (TLS)",
            "stopped by tcp: refused by host",
            "4 users there",
            "dropped: loop 3",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
    }
}
