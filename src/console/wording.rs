//! Figures in words, as `status` and the console both say them.

use crate::api::status::Counts;
use crate::wire::stamp;

/// A time span in its largest whole unit.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Each reason with its count.
pub fn counts(counts: &Counts) -> String {
    let parts: Vec<String> = counts
        .iter()
        .map(|(reason, count)| format!("{reason} {count}"))
        .collect();
    parts.join(", ")
}

/// How long ago `last` was; both are RFC 3339 stamps. One that cannot be read is given as it stands, for the caller to
/// make fit to be shown.
pub fn heard(last: Option<&str>, now: &str) -> String {
    let Some(last) = last else {
        return "never".to_owned();
    };
    match (stamp::read(last.as_bytes()), stamp::read(now.as_bytes())) {
        (Some(last), Some(now)) => duration(u64::try_from(now - last).unwrap_or(0) / 1000) + " ago",
        _ => last.to_owned(),
    }
}
