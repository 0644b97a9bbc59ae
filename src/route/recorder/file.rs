//! A recording as it lies in a file: postcard with a mark before and a CRC-32 behind.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::route::link::{Form, Role, Verdict};
use crate::route::policy::Policy;

const MAGIC: [u8; 4] = *b"tbr2";

/// What was recorded, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Recording {
    /// Release that made it.
    pub release: String,
    /// The box's name.
    pub name: String,
    /// Its id in provenance.
    pub federate_id: String,
    /// Why it was written, in words.
    pub why: String,
    /// When it was written, by both clocks, milliseconds.
    pub written: (u64, i64),
    /// How long a content hash counts as a repeat, milliseconds.
    pub repeat_ms: u64,
    /// Notes made before the first one here, since the start.
    pub missed: u64,
    /// Links that were up when the first note was made: number, kind, name.
    pub links: Vec<(u16, LinkKind, String)>,
    /// What may cross the links that have a filter, when it was written: number of the link, and its rules.
    pub policies: Vec<(u16, Policy)>,
    /// The phone book when it was written.
    pub contacts: Vec<Contact>,
    /// What happened.
    pub notes: Vec<Note>,
}

/// A contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Its uid.
    pub uid: String,
    /// Its callsign.
    pub callsign: String,
    /// Its type.
    pub kind: String,
    /// The link behind which it is.
    pub link: u16,
}

/// What kind of neighbour a link leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkKind {
    /// A local client.
    Client,
    /// The box's own commands.
    Commands,
    /// A federate.
    Federate {
        /// What it sends is taken.
        incoming: bool,
        /// What we have is sent to it.
        outgoing: bool,
    },
    /// A mesh or a server.
    Neighbour {
        /// Which of them.
        role: Role,
        /// What it sends is taken.
        incoming: bool,
        /// What we have is sent to it.
        outgoing: bool,
    },
}

/// One note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Monotonic milliseconds.
    pub mono_ms: u64,
    /// Wall clock, milliseconds since 1970.
    pub wall_ms: i64,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// An event came in.
    Event {
        /// The link's number.
        from: u16,
        /// The form it came in.
        form: Form,
        /// Hash of its uid.
        key: u64,
        /// Hash of its content.
        content: u64,
        /// Its uid, the last bytes.
        uid: String,
        /// Its type, the first bytes.
        kind: String,
        /// Its class, 0 = emergency to 4 = bulk.
        class: u8,
        /// What was decided.
        verdict: Decided,
        /// Seconds that it still had to live; none where it has no stale time.
        left_s: Option<i32>,
        /// Its length, bytes.
        size: u32,
        /// Its bytes, where they were kept.
        bytes: Option<Vec<u8>>,
    },
    /// Something that has words.
    Words {
        /// [`super::Topic`] as a number.
        topic: u8,
        /// The words.
        words: String,
    },
    /// A link came up.
    Up {
        /// Its number.
        link: u16,
        /// What it leads to.
        kind: LinkKind,
        /// Its name; of a client, where it came from.
        name: String,
    },
    /// A link went down.
    Down {
        /// Its number.
        link: u16,
    },
    /// A federate's directions were changed.
    Directions {
        /// The link's number.
        link: u16,
        /// What it sends is taken.
        incoming: bool,
        /// What we have is sent to it.
        outgoing: bool,
    },
}

/// A verdict in words that outlive a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decided {
    /// Offered to this many links.
    Routed(u16),
    /// For this box only.
    Consumed,
    /// Not passed on; the reason's word.
    Dropped(String),
}

impl From<Verdict> for Decided {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Routed(links) => Self::Routed(links),
            Verdict::Consumed => Self::Consumed,
            Verdict::Dropped(reason) => Self::Dropped(reason.word().to_owned()),
        }
    }
}

impl fmt::Display for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Routed(1) => f.write_str("offered to 1 link"),
            Self::Routed(links) => write!(f, "offered to {links} links"),
            Self::Consumed => f.write_str("for this box itself"),
            Self::Dropped(word) => write!(f, "not passed on: {word}"),
        }
    }
}

/// A file that is no recording, or not a whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damaged;

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a recording, not a whole one, or one of another release: `recorder dump` writes one")
    }
}

impl std::error::Error for Damaged {}

impl Recording {
    /// As it lies in a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = postcard::to_extend(self, Vec::from(MAGIC)).unwrap_or_default();
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads what [`Recording::to_bytes`] wrote.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Damaged> {
        let (content, crc) = bytes
            .split_at_checked(bytes.len().saturating_sub(4))
            .ok_or(Damaged)?;
        if crc32fast::hash(content).to_le_bytes() != crc {
            return Err(Damaged);
        }
        let body = content.strip_prefix(&MAGIC).ok_or(Damaged)?;
        match postcard::take_from_bytes(body) {
            Ok((recording, [])) => Ok(recording),
            _ => Err(Damaged),
        }
    }
}
