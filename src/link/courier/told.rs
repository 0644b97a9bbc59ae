//! What people are shown of data packages on their way, and of those that ended.

use serde::{Deserialize, Serialize};

use super::table::Table;
use super::{Courier, lock};

/// Ended errands that are shown.
pub const RECENT: usize = 16;

/// One package on its way to or from one peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The peer; empty: bytes of a local user are awaited.
    pub peer: String,
    /// It comes from there.
    pub incoming: bool,
    /// SHA-256.
    pub hash: String,
    /// The file's name.
    pub filename: String,
    /// Bytes; 0 = not known.
    pub size: u64,
    /// Bytes that are over.
    pub done: u64,
}

/// One that ended, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// The peer.
    pub peer: String,
    /// It came from there.
    pub incoming: bool,
    /// SHA-256.
    pub hash: String,
    /// The file's name.
    pub filename: String,
    /// The word of the reason why it did not arrive; none: it did.
    pub reason: Option<String>,
    /// In words.
    pub words: String,
}

/// Everything that is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carriage {
    /// On their way.
    pub transfers: Vec<Transfer>,
    /// The latest that ended, newest first.
    pub ended: Vec<Ended>,
}

impl Courier {
    /// What is under way, and what ended.
    pub fn carriage(&self) -> Carriage {
        Carriage {
            transfers: transfers(&self.table()),
            ended: lock(&self.0.recent).iter().rev().cloned().collect(),
        }
    }
}

fn transfers(table: &Table) -> Vec<Transfer> {
    let mut transfers = Vec::new();
    for errand in table.all() {
        let transfer = |peer: &str, incoming, done| Transfer {
            peer: peer.to_owned(),
            incoming,
            hash: errand.hash().to_string(),
            filename: errand.filename.clone(),
            size: errand.size,
            done,
        };
        if !errand.told {
            let from = errand.from.as_deref().unwrap_or_default();
            transfers.push(transfer(from, true, errand.done));
        }
        for target in &errand.targets {
            transfers.push(transfer(&target.peer, false, target.done));
        }
    }
    transfers
}
