//! Pieces of answers about events and the configuration.

use serde::{Deserialize, Serialize};

/// An event that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedEvent {
    /// Which one of the request, counted from 1.
    pub event: u32,
    /// The word of the reason, as in `status`.
    pub reason: String,
}

/// The configuration as it stands in its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigText {
    /// The file.
    pub file: String,
    /// Its text; empty when there is no file.
    pub text: String,
    /// The name of that text, for `ConfigCommit`.
    pub generation: String,
    /// Seconds until it is taken back; none = it needs no confirmation.
    pub unconfirmed_seconds: Option<u32>,
    /// There is one to roll back to.
    pub has_previous: bool,
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigFault {
    /// The line, counted from 1.
    pub line: Option<u32>,
    /// The key.
    pub key: Option<String>,
    /// Place, fault and cure in words.
    pub message: String,
}

/// What came of a change of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// In words.
    pub words: String,
    /// The box starts again for it, within a second.
    pub restarts: bool,
    /// Seconds until it is taken back; none = it needs no confirmation.
    pub unconfirmed_seconds: Option<u32>,
}
