//! What `status` says of the spool of a peer.

use serde::{Deserialize, Serialize};

/// What is kept for a federate: emergencies, deletes, chat and what is addressed to its users.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpoolStatus {
    /// Events that wait, those included that were sent and are not yet known to have arrived.
    pub events: u64,
    /// Bytes that they take on the disk and in memory.
    pub bytes: u64,
    /// How long the oldest has waited, seconds; 0 when nothing waits.
    pub oldest_seconds: u64,
    /// Events put there since the start, and those found there at the start.
    pub spooled: u64,
    /// Events sent from there since the start.
    pub replayed: u64,
    /// `disk`; `memory` when the disk takes nothing; `off` with `spool = false`.
    pub place: String,
    /// Why the disk takes nothing, in words; else empty.
    pub fault: String,
}
