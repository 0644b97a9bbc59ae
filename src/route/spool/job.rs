//! What the spool wants of the disk, and what it hears back. Jobs are performed one after the other, in their order.

use std::sync::Arc;

use bytes::Bytes;

/// The two lanes of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Which {
    /// Emergencies and their cancellation, CASEVAC, deletes.
    Control,
    /// Chat and what is addressed to somebody.
    Chat,
}

impl Which {
    /// Most important first.
    pub const ALL: [Self; 2] = [Self::Control, Self::Chat];

    /// What the names of its files begin with.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Chat => "chat",
        }
    }
}

/// A segment's file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// The peer's name.
    pub peer: Arc<str>,
    /// Its lane.
    pub which: Which,
    /// Number of the first record that was meant for it; its name.
    pub first: u64,
}

/// Something to be done on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// Write these bytes at that place, and see to it that they are on the disk. At place 0 the file is made.
    Append {
        /// Which file.
        file: FileId,
        /// From which byte on; what lies behind is of no worth.
        at: u32,
        /// What to write.
        bytes: Bytes,
    },
    /// Read whole records, from the first that is not below a number.
    Read {
        /// Which file.
        file: FileId,
        /// From which byte on.
        at: u32,
        /// Events below this number are passed over.
        from: u64,
        /// Bytes wanted; a longer record comes alone.
        most: u32,
    },
    /// Remove a segment; one that is not there is fine.
    Remove {
        /// Which file.
        file: FileId,
    },
    /// Remove everything of a peer.
    Forget {
        /// The peer's name.
        peer: Arc<str>,
    },
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Piece {
    /// Records.
    pub bytes: Vec<u8>,
    /// Where the next one begins; none: nothing readable follows in this file.
    pub next_at: Option<u32>,
}

/// What came of a [`Job`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// It is on the disk.
    Appended {
        /// Which file.
        file: FileId,
    },
    /// It is not; whatever was written of it does not count.
    NotAppended {
        /// Which file.
        file: FileId,
        /// Why, in words.
        why: String,
    },
    /// What was read; nothing, when the file cannot be read.
    Read {
        /// Which file.
        file: FileId,
        /// The records.
        piece: Piece,
    },
}

/// What the disk holds of a lane at the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The segments, oldest first.
    pub segments: Vec<FoundSegment>,
    /// One more than the last number in use.
    pub end: u64,
    /// Everything below has arrived.
    pub arrived: u64,
}

/// A segment on the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FoundSegment {
    /// Its name: the number of its first event.
    pub first: u64,
    /// Its length, without a torn tail.
    pub bytes: u32,
    /// When its first event was spooled, wall clock, milliseconds since 1970.
    pub oldest_ms: i64,
    /// When its last event was.
    pub newest_ms: i64,
}
