//! Numbers, times and states as people read them.

use std::fmt::{self, Display};

use crate::api::status::PeerState;
use crate::wire::stamp;

/// How a link stands: a word for the style sheet, and words for people.
pub fn state(state: PeerState) -> (&'static str, &'static str) {
    match state {
        PeerState::Flowing => ("good", "Flowing"),
        PeerState::Connected => ("fair", "Connected"),
        PeerState::Connecting => ("busy", "Connecting"),
        PeerState::Waiting => ("bad", "Down"),
        PeerState::Paused | PeerState::Disabled => ("off", "Paused"),
    }
}

/// Whether it is up, down, or meant to be neither.
pub fn up(state: PeerState) -> &'static str {
    match state {
        PeerState::Flowing | PeerState::Connected => "up",
        PeerState::Connecting | PeerState::Waiting => "down",
        PeerState::Paused | PeerState::Disabled => "paused",
    }
}

/// Events per second.
pub struct Rate(pub f64);

impl Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            none if none < 0.05 => f.write_str("0"),
            few if few < 99.95 => write!(f, "{few:.1}"),
            many => write!(f, "{}", Count(many.round() as u64)),
        }
    }
}

/// A count, in groups of three digits.
pub struct Count(pub u64);

impl Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                // A narrow blank that does not break.
                f.write_str("\u{202F}")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// Bytes.
pub struct Bytes(pub u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const KIB: u64 = 1024;
        match self.0 {
            small @ 0..10_240 => write!(f, "{small} B"),
            medium @ 10_240..10_485_760 => write!(f, "{} KiB", medium / KIB),
            large @ 10_485_760..10_737_418_240 => write!(f, "{} MiB", large / (KIB * KIB)),
            huge => write!(f, "{} GiB", huge / (KIB * KIB * KIB)),
        }
    }
}

/// A span of time, in the two largest units that it has.
pub struct Span(pub u64);

impl Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0;
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
        match seconds {
            0..120 => write!(f, "{seconds} s"),
            120..7_200 => write!(f, "{minutes} min"),
            7_200..172_800 => write!(f, "{hours} h {} min", minutes % 60),
            _ => write!(f, "{days} days {} h", hours % 24),
        }
    }
}

/// How long ago a time is, by another; both as `status` writes them.
pub fn ago(then: Option<&str>, now: &str) -> String {
    let read = |text: &str| stamp::read(text.as_bytes());
    let (Some(then), Some(now)) = (then.and_then(read), read(now)) else {
        return "never".to_owned();
    };
    match now.saturating_sub(then) / 1000 {
        ..=1 => "just now".to_owned(),
        seconds => format!("{} ago", Span(seconds.unsigned_abs())),
    }
}

/// A time as `status` writes it, to the second and with a blank.
pub fn clock(utc: &str) -> String {
    match (utc.get(..10), utc.get(11..19)) {
        (Some(day), Some(time)) => format!("{day} {time} UTC"),
        _ => "unknown".to_owned(),
    }
}

/// Where the time comes from, for people.
pub fn source(quality: &str) -> &str {
    match quality {
        "gps" => "GPS",
        "ntp" => "NTP",
        "peers" => "the federates",
        "rtc" => "its battery-backed clock",
        "last_known" => "the last known time",
        "build" => "the date of this release",
        other => other,
    }
}

/// At most so many letters of a name; what is cut off shows.
pub fn short(name: &str, most: usize) -> String {
    match name.chars().count() {
        count if count <= most => name.to_owned(),
        _ => name.chars().take(most - 1).chain(['…']).collect(),
    }
}

/// `1 client`, `2 clients`.
pub fn plural(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{} {one}s", Count(count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let rates = [0.0, 0.04, 0.25, 99.9, 99.96, 1234.5].map(|rate| Rate(rate).to_string());
        assert_eq!(
            rates,
            ["0", "0", "0.2", "99.9", "100", "1\u{202F}235"].map(str::to_owned)
        );
        let spans = [59, 119, 120, 7_260, 180_000].map(|span| Span(span).to_string());
        assert_eq!(
            spans,
            ["59 s", "119 s", "2 min", "2 h 1 min", "2 days 2 h"].map(str::to_owned)
        );
        assert_eq!(Count(12_345_678).to_string(), "12\u{202F}345\u{202F}678");
        assert_eq!(Bytes(5_400_000).to_string(), "5273 KiB");
        assert_eq!(short("CHARLIE", 7), "CHARLIE");
        assert_eq!(short("CHARLIES", 7), "CHARLI…");
        assert_eq!(
            (plural(1, "client"), plural(0, "client")),
            ("1 client".into(), "0 clients".into())
        );
    }

    #[test]
    fn times_are_told_by_the_clock_of_the_box() {
        let now = "2026-11-20T12:00:00.000Z";
        assert_eq!(ago(Some("2026-11-20T11:59:48.000Z"), now), "12 s ago");
        assert_eq!(ago(Some("2026-11-20T12:00:09.000Z"), now), "just now");
        assert_eq!(ago(None, now), "never");
        assert_eq!(ago(Some("x"), now), "never");
        assert_eq!(clock(now), "2026-11-20 12:00:00 UTC");
        assert_eq!(clock(""), "unknown");
    }
}
