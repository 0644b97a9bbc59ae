//! What `why` answers: what became of a track, and which rule stopped it where.

use serde::{Deserialize, Serialize};

/// What is known of one uid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyReport {
    /// The uid; as it was asked for when nothing is known of it.
    pub uid: String,
    /// Its callsign, if anybody said it.
    pub callsign: Option<String>,
    /// Other uids of the same callsign, when it was asked for by callsign.
    pub others: Vec<String>,
    /// Nothing came of it since the start, or longer ago than is remembered.
    pub unknown: bool,
    /// How many uids are remembered at most.
    pub remembered: u64,
    /// CoT type of its newest event, its first 16 characters.
    pub kind: String,
    /// The newest event that was taken.
    pub taken: Option<Arrived>,
    /// The newest event that was refused when it came.
    pub refused: Option<Arrived>,
    /// What became of the newest event that was taken, at each peer and at the local clients.
    pub fates: Vec<Fate>,
}

/// An event that came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrived {
    /// When, RFC 3339, by this box's clock of now.
    pub at: String,
    /// How long ago, milliseconds.
    pub age_ms: u64,
    /// From whom: a peer's name, `local client` or `commands`.
    pub from: String,
    /// `emergency`, `control`, `chat`, `track` or `bulk`; empty for one that was refused.
    pub class: String,
    /// Its length as it came, bytes; 0 for one that was refused.
    pub size: u32,
    /// Seconds it still had to live when it came, by this box's clock; negative = it was stale already; none = it has
    /// no stale time, or was refused.
    pub left_seconds: Option<i64>,
    /// How many events of this uid were taken, or refused, since the box remembers it.
    pub count: u32,
    /// The word of the reason, for one that was refused.
    pub reason: Option<String>,
    /// The kind of rule, for one that was refused.
    pub rule: Option<String>,
    /// In words: why it was refused, or that it was stale; else empty.
    pub words: String,
}

/// What became of it on one link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    /// A peer's name, or `local clients`.
    pub link: String,
    /// `sent`, `waiting`, `spooled`, `dropped`, `origin` (it came from there) or `not_addressed`.
    pub fate: String,
    /// The word of the reason, when dropped.
    pub reason: Option<String>,
    /// The kind of rule, when dropped.
    pub rule: Option<String>,
    /// How long after it came, milliseconds, to a tenth of a second.
    pub after_ms: u64,
    /// How many clients; 1 for a peer.
    pub count: u32,
    /// In words.
    pub words: String,
}

impl WhyReport {
    /// Only what concerns one peer.
    pub fn only(&mut self, peer: &str) {
        self.fates.retain(|fate| fate.link == peer);
    }

    /// In lines for people, not wrapped.
    pub fn lines(&self) -> Vec<String> {
        let name = match &self.callsign {
            Some(callsign) => format!("{callsign} ({})", self.uid),
            None => self.uid.clone(),
        };
        if self.unknown {
            return vec![format!(
                "{name}: no event of it has come in since the start of the box, or not among those of the last {} uids. \
                 It is asked for by uid or by callsign, in exactly these letters",
                self.remembered
            )];
        }
        let mut lines = vec![match self.kind.as_str() {
            "" => name,
            kind => format!("{name}, {kind}"),
        }];
        if !self.others.is_empty() {
            lines.push(format!("the same callsign has {}", self.others.join(", ")));
        }
        if let Some(taken) = &self.taken {
            let mut line = format!(
                "seen {} from {}: {}, {} bytes; {} so far",
                ago(taken.age_ms),
                taken.from,
                taken.class,
                taken.size,
                taken.count
            );
            if !taken.words.is_empty() {
                line = format!("{line}. {}", taken.words);
            }
            lines.push(line);
        }
        for fate in &self.fates {
            lines.push(format!("{}: {}", fate.link, fate.words));
        }
        if let Some(refused) = &self.refused {
            lines.push(format!(
                "refused {} from {}, {} so far: {} ({})",
                ago(refused.age_ms),
                refused.from,
                refused.count,
                refused.words,
                refused.reason.as_deref().unwrap_or("unknown")
            ));
        }
        lines
    }
}

/// How long ago, for people.
pub fn ago(age_ms: u64) -> String {
    match age_ms {
        0..1000 => "just now".to_owned(),
        1000..120_000 => format!("{} s ago", age_ms / 1000),
        120_000..7_200_000 => format!("{} min ago", age_ms / 60_000),
        _ => format!("{} h ago", age_ms / 3_600_000),
    }
}
