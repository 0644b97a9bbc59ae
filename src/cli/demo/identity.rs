//! What one box of the demo registers of the other: made before the boxes start, by the store that they open.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls_pki_types::UnixTime;

use super::error::DemoError;
use crate::clock::{Clock, SystemClock};
use crate::pki::{Fingerprint, KeyAlgorithm, Store, store};

/// What the other box registers.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// The leaf's fingerprint.
    pub(super) fingerprint: Fingerprint,
    /// The CA certificate, PEM.
    pub(super) ca_file: PathBuf,
}

/// Makes the box's CA and identity in its state directory, and writes what others need of it.
pub(super) fn create(
    name: &'static str,
    state: &Path,
    ca_file: PathBuf,
) -> Result<Known, DemoError> {
    let wall_ms = SystemClock::new().now().wall_ms;
    let now = UnixTime::since_unix_epoch(Duration::from_millis(wall_ms.unsigned_abs()));
    let store = Store::open_or_create(state, name, KeyAlgorithm::default(), now)
        .map_err(|error| DemoError::Island(name, format!("has no keys: {error}"), String::new()))?;
    let pem = store::pem(std::slice::from_ref(store.authority()));
    std::fs::write(&ca_file, pem).map_err(|error| DemoError::Playground(ca_file.clone(), error))?;
    Ok(Known {
        fingerprint: store.identity().fingerprint(),
        ca_file,
    })
}
