//! The clock in `status --json`, and in words.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Quality;
use crate::clock::judge::{Follows, Leap};
use crate::clock::keeper::{Report, Step};
use crate::wire::stamp;

/// The clock.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClockStatus {
    /// Now, by what the box goes by, RFC 3339.
    pub utc: String,
    /// Where it comes from: `gps`, `ntp`, `peers`, `rtc`, `last_known`, `build`, or `unknown`.
    pub quality: String,
    /// Somebody outside the machine vouches for it.
    pub trusted: bool,
    /// What it is counted from: `system`, or `own` where the system clock is plainly wrong.
    pub follows: String,
    /// The box's time less the system clock's, milliseconds.
    pub offset_ms: i64,
    /// It may be this far off, milliseconds; none = nobody knows.
    pub error_ms: Option<u64>,
    /// How old the source's word is, milliseconds; none where no source has spoken.
    pub age_ms: Option<u64>,
    /// The system clock, RFC 3339.
    pub system_utc: String,
    /// The kernel calls its clock synchronised; none where it does not say.
    pub synchronised: Option<bool>,
    /// How far off the kernel holds its clock to be, microseconds.
    pub estimated_error_us: Option<u64>,
    /// A leap second at the end of the day: `none`, `insert`, `delete`, `now`.
    pub leap: String,
    /// gpsd: `off`, `away`, `no_receiver`, `no_fix`, `implausible`, `fix`, `pps`.
    pub gps: String,
    /// The battery-backed clock, RFC 3339; none where there is none.
    pub rtc_utc: Option<String>,
    /// The earliest that it can be, RFC 3339.
    pub not_before: String,
    /// How often the system clock was set to another time since the start.
    pub steps: u64,
    /// The last of them.
    pub last_step: Option<StepStatus>,
    /// How often the box's own time jumped since the start.
    pub jumps: u64,
    /// The last of them.
    pub last_jump: Option<StepStatus>,
    /// Certificates admitted although their dates are doubtful, since the start, by reason.
    pub doubtful_certificates: BTreeMap<String, u64>,
    /// What is wrong with the clock, in words; empty when nothing is.
    pub fault: String,
}

/// A jump of a clock.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StepStatus {
    /// When, by the box's time after it, RFC 3339.
    pub at: String,
    /// By how much, milliseconds; forward is positive.
    pub by_ms: i64,
}

impl From<Step> for StepStatus {
    fn from(step: Step) -> Self {
        Self {
            at: time(step.at_ms).unwrap_or_default(),
            by_ms: step.by_ms,
        }
    }
}

impl ClockStatus {
    /// The clock as it reports itself, with the doubtful certificates counted elsewhere.
    pub fn of(report: &Report, doubtful_certificates: BTreeMap<String, u64>) -> Self {
        let verdict = &report.verdict;
        let kernel = report.kernel;
        Self {
            utc: time(verdict.wall_ms).unwrap_or_default(),
            quality: verdict.quality.word().to_owned(),
            trusted: verdict.quality.is_trusted(),
            follows: match verdict.follows {
                Follows::System => "system",
                Follows::Anchor(_) => "own",
            }
            .to_owned(),
            offset_ms: match verdict.follows {
                Follows::System => 0,
                Follows::Anchor(_) => verdict.wall_ms.saturating_sub(report.system_ms),
            },
            error_ms: verdict.error_ms,
            age_ms: verdict.age_ms,
            system_utc: time(report.system_ms).unwrap_or_default(),
            synchronised: kernel.map(|kernel| kernel.is_synchronised),
            estimated_error_us: kernel.map(|kernel| kernel.estimated_error_us),
            leap: match kernel.map_or(Leap::None, |kernel| kernel.leap) {
                Leap::None => "none",
                Leap::Insert => "insert",
                Leap::Delete => "delete",
                Leap::Now => "now",
            }
            .to_owned(),
            gps: report.gps.word().to_owned(),
            rtc_utc: report.rtc_ms.and_then(time),
            not_before: time(report.lowest_ms).unwrap_or_default(),
            steps: report.steps,
            last_step: report.last_step.map(StepStatus::from),
            jumps: report.jumps,
            last_jump: report.last_jump.map(StepStatus::from),
            doubtful_certificates,
            fault: fault(report),
        }
    }

    /// In a line: the time, where it comes from, how good it is.
    pub fn in_words(&self) -> String {
        let quality = Quality::of_word(&self.quality).unwrap_or_default();
        let mut words = format!("{}, {}: {}", self.utc, self.quality, quality.meaning());
        if let Some(error) = self.error_ms {
            words += &format!(", within {}", span(error));
        }
        if let Some(age) = self.age_ms.filter(|age| *age >= 60_000) {
            words += &format!(", last heard {} ago", span(age));
        }
        if self.follows == "own" {
            let side = if self.offset_ms < 0 {
                "ahead"
            } else {
                "behind"
            };
            let by = span(self.offset_ms.unsigned_abs());
            words += &format!("; the system clock is {by} {side}");
        }
        if let Some(step) = &self.last_step {
            let side = if step.by_ms < 0 { "back" } else { "forward" };
            let by = span(step.by_ms.unsigned_abs());
            words += &format!("; the system clock was set {} times", self.steps);
            words += &format!(", last {by} {side} at {}", step.at);
        }
        words
    }
}

/// What a person should look at.
fn fault(report: &Report) -> String {
    match report.is_lost() {
        false => String::new(),
        true => "the system clock cannot be right, and no source says what time it is: connect GPS or NTP, or set \
                 the clock (`date -s`)"
            .to_owned(),
    }
}

/// A time as `status` writes it; none for 0, which means never.
fn time(millis: i64) -> Option<String> {
    let text = stamp::write(millis).filter(|_| millis != 0)?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// A span of time for people, rounded.
pub fn span(millis: u64) -> String {
    let rounded = |unit: u64| (millis / unit) + u64::from(millis % unit >= unit.div_ceil(2));
    match millis / 1000 {
        0 => format!("{millis} ms"),
        1..120 => format!("{}.{} s", rounded(100) / 10, rounded(100) % 10),
        120..7_200 => format!("{} min", rounded(60_000)),
        7_200..172_800 => format!("{} h", rounded(3_600_000)),
        _ => format!("{} days", rounded(86_400_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_source_error_offset_and_last_step() {
        let status = ClockStatus {
            utc: "2026-11-20T12:00:00.000Z".into(),
            quality: "gps".into(),
            follows: "own".into(),
            offset_ms: 3_600_000,
            error_ms: Some(500),
            age_ms: Some(180_000),
            steps: 2,
            last_step: Some(StepStatus {
                at: "2026-11-20T11:00:00.000Z".into(),
                by_ms: -3_600_000,
            }),
            ..ClockStatus::default()
        };
        assert_eq!(
            status.in_words(),
            "2026-11-20T12:00:00.000Z, gps: from GPS, within 500 ms, last heard 3 min ago; the system clock is 60 min \
             behind; the system clock was set 2 times, last 60 min back at 2026-11-20T11:00:00.000Z"
        );
        assert_eq!(ClockStatus::default().in_words(), ", : unknown");
    }

    #[test]
    fn spans_are_short() {
        for (millis, words) in [
            (12, "12 ms"),
            (1_250, "1.3 s"),
            (259_199_900, "3 days"),
            (600_000, "10 min"),
            (90_000_000, "25 h"),
            (u64::MAX, "213503982335 days"),
        ] {
            assert_eq!(span(millis), words);
        }
    }
}
