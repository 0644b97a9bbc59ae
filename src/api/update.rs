//! How updates stand, for console, socket and HTTPS alike.

use serde::{Deserialize, Serialize};

/// How an update ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpdateEnd {
    /// It was found healthy and boots from now on.
    Committed,
    /// It was tried and given up; the system before it runs.
    RolledBack,
    /// The box went off while it was written.
    Interrupted,
    /// It could not be installed.
    Failed,
    /// It was called off.
    Cancelled,
}

/// An update that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastUpdate {
    /// The version installed; empty if it is not known.
    pub version: String,
    /// The version that ran before.
    pub from_version: String,
    /// The slot, A or B.
    pub slot: String,
    /// How it ended.
    pub end: UpdateEnd,
    /// Why, in words; empty when all went well.
    pub why: String,
}

/// `update status --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateReport {
    /// The version that runs.
    pub version: String,
    /// The board.
    pub board: String,
    /// The slot that runs.
    pub running: String,
    /// It is on trial.
    pub on_trial: bool,
    /// The committed slot; none: only root may read it.
    pub committed: Option<String>,
    /// Boots left for the slot on trial; none: no trial, or only root may read it.
    pub left: Option<u8>,
    /// `nothing`, `installing`, `waiting`, `on_trial` or `ended`.
    pub state: String,
    /// The same in words, with the reason.
    pub words: String,
    /// Updates before, the oldest first.
    pub history: Vec<PastUpdate>,
}
