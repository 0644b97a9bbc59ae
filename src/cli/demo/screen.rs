//! What the demo shows: a table on a terminal, a line a second elsewhere, one JSON line for scripts.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::ledger::{Ledger, TrackRow};

/// Rows of tracks that fit a terminal of 24 lines.
const ROWS: usize = 15;

/// The state of one direction of the link, as the box at its head words it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct LinkRow {
    /// The box that was asked.
    pub(super) from: &'static str,
    /// The peer it was asked about.
    pub(super) to: &'static str,
    /// Its word for it.
    pub(super) state: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Table,
    Lines,
    Json,
}

/// Where the demo writes.
#[derive(Debug)]
pub(super) struct Screen {
    style: Style,
    drawn: u64,
}

impl Screen {
    /// A table on a terminal, lines into a pipe or file, nothing but the last line as JSON.
    pub(super) fn new(json: bool, terminal: bool) -> Self {
        let style = match (json, terminal) {
            (true, _) => Style::Json,
            (false, true) => Style::Table,
            (false, false) => Style::Lines,
        };
        Self { style, drawn: 0 }
    }

    /// Nothing is drawn before the end.
    pub(super) fn is_silent(&self) -> bool {
        self.style == Style::Json
    }

    /// Draws the present state; called twice a second.
    pub(super) fn draw(&mut self, running: Duration, ledger: &Ledger, links: &[LinkRow]) {
        let text = match self.style {
            Style::Json => return,
            // Only the first time is everything cleared: no flicker, and the scroll-back stays.
            Style::Table if self.drawn == 0 => format!("\x1b[2J{}", table(running, ledger, links)),
            Style::Table => table(running, ledger, links),
            Style::Lines if self.drawn % 2 == 1 => String::new(),
            Style::Lines => format!("{:>4} s  {}\n", running.as_secs(), summary(ledger, links)),
        };
        self.drawn += 1;
        print(&text);
    }

    /// The last word.
    pub(super) fn finish(&self, ledger: &Ledger, links: &[LinkRow]) {
        let text = match self.style {
            Style::Json => json_line(ledger, links),
            Style::Table | Style::Lines => {
                let verdict = if ledger.all_seen_once() {
                    "everything was seen on the other side, nothing twice"
                } else {
                    "something is missing or came twice"
                };
                format!("{}\n{verdict}\n", summary(ledger, links))
            }
        };
        print(&text);
    }
}

/// A reader that went away (`| head`) is no reason to stop.
fn print(text: &str) {
    let mut output = std::io::stdout().lock();
    let _ = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
}

fn table(running: Duration, ledger: &Ledger, links: &[LinkRow]) -> String {
    let mut text = String::from("\x1b[H");
    let seconds = running.as_secs();
    line(
        &mut text,
        &format!(
            "tombolo demo: two islands, two boxes, one link{:>28}",
            format!("{:02}:{:02}", seconds / 60, seconds % 60)
        ),
    );
    line(
        &mut text,
        &links
            .iter()
            .map(|link| format!("{} → {}: {:<20}", link.from, link.to, link.state))
            .collect::<String>(),
    );
    line(&mut text, "");
    line(
        &mut text,
        &format!(
            "{:<16}{:<10}{:<14}{:>16}{:>16}",
            "track", "from", "callsign", "crossed", "last"
        ),
    );
    for row in ledger.rows().iter().take(ROWS) {
        line(&mut text, &track_line(row));
    }
    if let hidden @ 1.. = ledger.rows().len().saturating_sub(ROWS) {
        line(&mut text, &format!("and {hidden} more"));
    }
    line(&mut text, "");
    line(&mut text, &totals(ledger));
    line(&mut text, "Ctrl-C ends it.");
    text.push_str("\x1b[J");
    text
}

fn track_line(row: &TrackRow) -> String {
    let last = row.last.map_or_else(
        || "-".into(),
        |last| format!("{:.2} ms", last.as_secs_f64() * 1000.0),
    );
    format!(
        "{:<16}{:<10}{:<14}{:>16}{:>16}",
        row.label,
        row.from,
        row.callsign,
        format!("{}/{}", row.seen, row.injected),
        last
    )
}

fn totals(ledger: &Ledger) -> String {
    format!(
        "injected {}  seen {}  duplicates {}  p50 {:.2} ms  p99 {:.2} ms",
        ledger.injected(),
        ledger.seen(),
        ledger.duplicates(),
        ledger.percentile_ms(50),
        ledger.percentile_ms(99)
    )
}

fn summary(ledger: &Ledger, links: &[LinkRow]) -> String {
    let mut text = totals(ledger);
    for link in links {
        // Writing to a String cannot fail.
        let _ = write!(text, "  {}→{} {}", link.from, link.to, link.state);
    }
    text
}

fn line(text: &mut String, content: &str) {
    text.push_str(content);
    text.push_str("\x1b[K\r\n");
}

fn json_line(ledger: &Ledger, links: &[LinkRow]) -> String {
    let thousandth = |value: f64| (value * 1000.0).round() / 1000.0;
    let result = DemoResult {
        injected: ledger.injected(),
        seen: ledger.seen(),
        duplicates: ledger.duplicates(),
        latency_ms: Latency {
            p50: thousandth(ledger.percentile_ms(50)),
            p99: thousandth(ledger.percentile_ms(99)),
        },
        links,
    };
    // Numbers and text always have a JSON form.
    serde_json::to_string(&result).unwrap_or_default() + "\n"
}

/// The last line of `demo --json`; scripts rely on it.
#[derive(Debug, Serialize)]
struct DemoResult<'links> {
    injected: u64,
    seen: u64,
    duplicates: u64,
    latency_ms: Latency,
    links: &'links [LinkRow],
}

#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p99: f64,
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Key;
    use super::*;
    use serde_json::json;
    use tokio::time::Instant;

    fn links() -> [LinkRow; 2] {
        [("alpha", "bravo"), ("bravo", "alpha")].map(|(from, to)| LinkRow {
            from,
            to,
            state: "flowing".into(),
        })
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        let now = Instant::now();
        let key = Key {
            uid: "a".into(),
            time_ms: 1,
        };
        for number in 0..40 {
            ledger.open("alpha", &format!("track {number}"), "HERON-100");
        }
        ledger.inject(0, key.clone(), now);
        ledger.see(&key, "alpha", now + Duration::from_micros(1_234_567));
        ledger
    }

    #[test]
    fn scripts_get_the_promised_keys() {
        let line = json_line(&ledger(), &links());
        assert_eq!(line.matches('\n').count(), 1);
        assert!(
            line.starts_with(
                "{\"injected\":1,\"seen\":1,\"duplicates\":0,\"latency_ms\":{\"p50\":"
            )
        );
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["injected"], 1);
        assert_eq!(value["seen"], 1);
        assert_eq!(value["duplicates"], 0);
        assert_eq!(value["latency_ms"]["p50"], 1234.567);
        assert_eq!(value["latency_ms"]["p99"], 1234.567);
        assert_eq!(
            value["links"],
            json!([{"from":"alpha","to":"bravo","state":"flowing"},{"from":"bravo","to":"alpha","state":"flowing"}])
        );
    }

    #[test]
    fn the_table_fits_a_dumb_terminal() {
        let text = table(Duration::from_secs(3700), &ledger(), &links());
        let lines: Vec<&str> = text.split("\x1b[K\r\n").collect();
        assert!(lines.len() <= 24, "{}", lines.len());
        for line in lines {
            let shown = line
                .trim_start_matches("\x1b[H")
                .trim_start_matches("\x1b[J");
            assert!(shown.chars().count() <= 80, "{shown}");
        }
        assert!(text.contains("1/1") && text.contains("1234.57 ms"));
    }
}
