//! What was taken before, so that it is not taken again when the operator has changed it since.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::update::owner::as_owner;

const NAME: &str = "provision.json";
/// Largest memory, bytes.
const MOST_BYTES: u64 = 1024 * 1024;
/// Bundles that are remembered.
const MOST_BUNDLES: usize = 16;

/// SHA-256 of what was taken, by name.
type Digests = BTreeMap<String, String>;

/// What was taken from one source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Taken {
    /// `tombolo.toml`
    pub toml: Option<String>,
    /// `federation.json`
    pub federation: Option<String>,
    /// `authorized_keys`
    pub authorized_keys: Option<String>,
    /// Peers by name.
    pub peers: Digests,
    /// Network files by name.
    pub network: Digests,
    /// The identity's short name.
    pub identity: Option<String>,
}

/// A bundle that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriedBundle {
    /// Its SHA-256.
    pub digest: String,
    /// How often it was begun.
    pub tries: u32,
    /// What came of it; none: the box went off meanwhile.
    pub words: Option<String>,
}

/// The whole memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// By source, `boot` or `stick`.
    pub sources: BTreeMap<String, Taken>,
    /// The identity that provisioning put in use last.
    pub identity: Option<String>,
    /// Bundles, the newest last.
    pub bundles: Vec<TriedBundle>,
}

impl Memory {
    /// Reads it; what is not there or cannot be understood is empty.
    pub fn read(state: &Path) -> Self {
        let bytes =
            as_owner(|| files::read_bounded(&state.join(NAME), MOST_BYTES)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Writes it down.
    ///
    /// # Errors
    /// Whatever the file system says.
    pub fn save(&self, state: &Path) -> io::Result<()> {
        let bytes = serde_json::to_vec(self).map_err(io::Error::other)?;
        as_owner(|| {
            files::private_directory(state)?;
            files::replace(&state.join(NAME), &bytes, files::PRIVATE)
        })
    }

    /// What is known of a bundle; made if it is new.
    pub fn bundle(&mut self, digest: &str) -> &mut TriedBundle {
        let at = self
            .bundles
            .iter()
            .position(|bundle| bundle.digest == digest);
        let at = at.unwrap_or_else(|| {
            if self.bundles.len() >= MOST_BUNDLES {
                self.bundles.remove(0);
            }
            self.bundles.push(TriedBundle {
                digest: digest.to_owned(),
                tries: 0,
                words: None,
            });
            self.bundles.len() - 1
        });
        &mut self.bundles[at]
    }
}

/// SHA-256 in hex.
pub fn digest_of(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// Bytes in hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
