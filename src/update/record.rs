//! What must be remembered of an update while the box restarts, and of those before.

use std::io;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::UpdateError;
use super::machine::{Machine, unusable};
use super::owner::as_owner;
use crate::api::PastUpdate;
use crate::files;

/// Updates that are remembered.
pub const MOST_HISTORY: usize = 8;
/// Largest of the files, bytes.
const MOST_BYTES: u64 = 64 * 1024;

/// How far an update came before the restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// RAUC is writing the slot.
    Installing,
    /// The slot is whole and on trial.
    Installed,
}

/// The update under way: `update/trial.json` in the state directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// The slot written, A or B.
    pub slot: String,
    /// The version in it; empty if it is not known.
    pub version: String,
    /// The version that wrote it.
    pub from_version: String,
    /// The start of the machine in which it was written.
    pub boot_id: String,
    /// How far it came.
    pub phase: Phase,
    /// Peers that flowed then.
    pub flowing: Vec<String>,
    /// Why the trial was found wanting, by the last that judged it.
    #[serde(default)]
    pub trouble: Option<String>,
}

/// The files, written as the daemon's user.
#[derive(Debug, Clone)]
pub struct Records {
    directory: PathBuf,
}

impl Records {
    /// The records of a box.
    pub fn of(machine: &Machine) -> Self {
        Self {
            directory: machine.state.join("update"),
        }
    }

    /// The update under way. A record that cannot be understood is none.
    pub fn trial(&self) -> Option<TrialRecord> {
        self.read("trial.json")
    }

    /// Notes the update under way.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn set_trial(&self, record: &TrialRecord) -> Result<(), UpdateError> {
        self.write("trial.json", record)
    }

    /// The updates before, the oldest first.
    pub fn history(&self) -> Vec<PastUpdate> {
        self.read("history.json").unwrap_or_default()
    }

    /// Notes how an update ended; then none is under way.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn end(&self, past: PastUpdate) -> Result<(), UpdateError> {
        let mut history = self.history();
        // A power cut between the two steps may have left it noted already.
        if history.last() != Some(&past) {
            history.push(past);
        }
        let surplus = history.len().saturating_sub(MOST_HISTORY);
        history.drain(..surplus);
        self.write("history.json", &history)?;
        let path = self.directory.join("trial.json");
        as_owner(|| files::remove(&path)).map_err(|error| unusable(&path, &error))
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let path = self.directory.join(name);
        let bytes = files::read_bounded(&path, MOST_BYTES).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<(), UpdateError> {
        let path = self.directory.join(name);
        let written = as_owner(|| {
            let bytes = serde_json::to_vec(value).map_err(io::Error::other)?;
            files::private_directory(&self.directory)?;
            files::replace(&path, &bytes, files::PRIVATE)
        });
        written.map_err(|error: io::Error| unusable(&path, &error))
    }
}
