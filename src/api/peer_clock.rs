//! How a peer's clock stands to ours, as `status --json` says it.

use serde::{Deserialize, Serialize};

use crate::clock::skew::Offset;
use crate::clock::skew::source::CORRECTED_FROM_MS;

/// How a peer's clock stands to ours.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PeerClock {
    /// Its clock minus ours, milliseconds; 0 where they agree, or where nothing is known.
    pub offset_ms: i64,
    /// How sure that is, 0 (nothing is known) to 1.
    pub confidence: f64,
    /// Its events whose times were moved into our clock.
    pub corrected: u64,
    /// How far the offset can be off, milliseconds.
    pub error_ms: u32,
    /// There and back, milliseconds; none = not measured.
    pub round_trip_ms: Option<u32>,
    /// Who says so: `exchange` (the peer's box and ours told each other the time), `events` (judged by the times of its
    /// events), `nobody`.
    pub source: String,
}

impl PeerClock {
    /// Of what the router knows.
    pub fn of(offset: &Offset, corrected: u64) -> Self {
        Self {
            offset_ms: offset.offset_ms,
            // More than two digits would claim too much.
            confidence: (offset.confidence * 100.0).round() / 100.0,
            corrected,
            error_ms: offset.error_ms,
            round_trip_ms: offset.round_trip_ms,
            source: match offset {
                Offset {
                    exchanged: true, ..
                } => "exchange",
                Offset { confidence, .. } if *confidence > 0.0 => "events",
                _ => "nobody",
            }
            .to_owned(),
        }
    }

    /// The same in words; empty where there is nothing to say.
    pub fn words(&self) -> String {
        let off = self.offset_ms.unsigned_abs();
        let side = match self.offset_ms {
            0.. => "ahead of",
            _ => "behind",
        };
        let mut text = match self.source.as_str() {
            "exchange" | "events" if off < CORRECTED_FROM_MS.unsigned_abs() => String::new(),
            "exchange" => format!("its clock is {} {side} ours", span(off)),
            "events" => format!(
                "the clocks behind it are {} {side} ours, by what its events say (confidence {:.2})",
                span(off),
                self.confidence
            ),
            _ => String::new(),
        };
        if self.corrected > 0 {
            let pause = if text.is_empty() { "" } else { "; " };
            text += &format!("{pause}{} events moved into our clock", self.corrected);
        }
        text
    }
}

/// A time span, rounded, in its largest unit of which there are two.
fn span(milliseconds: u64) -> String {
    match milliseconds {
        0..10_000 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        10_000..119_500 => format!("{} s", (milliseconds + 500) / 1000),
        119_500..7_170_000 => format!("{} min", (milliseconds + 30_000) / 60_000),
        7_170_000..171_000_000 => format!("{} h", (milliseconds + 1_800_000) / 3_600_000),
        _ => format!("{} d", (milliseconds / 1000 + 43_200) / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_said_in_words_and_agreement_is_not() {
        let mut clock = PeerClock::of(
            &Offset {
                offset_ms: -600_000,
                confidence: 0.984,
                exchanged: true,
                ..Offset::default()
            },
            7,
        );
        assert_eq!(
            (clock.source.as_str(), clock.confidence),
            ("exchange", 0.98)
        );
        assert_eq!(
            clock.words(),
            "its clock is 10 min behind ours; 7 events moved into our clock"
        );
        clock.offset_ms = 20;
        assert_eq!(clock.words(), "7 events moved into our clock");
        let guessed = Offset {
            offset_ms: 86_400_000 * 3,
            confidence: 0.5,
            ..Offset::default()
        };
        assert_eq!(
            PeerClock::of(&guessed, 0).words(),
            "the clocks behind it are 3 d ahead of ours, by what its events say (confidence 0.50)"
        );
        assert_eq!([span(1_799_950), span(119_499)], ["30 min", "119 s"]);
        assert_eq!(PeerClock::of(&Offset::default(), 0).words(), "");
    }
}
