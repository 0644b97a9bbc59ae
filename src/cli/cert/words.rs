//! Fingerprints as `cert` shows them.

use crate::pki::Fingerprint;

/// In both spellings, behind what it is of.
pub(super) fn labelled(label: &str, fingerprint: Fingerprint) -> String {
    format!(
        "{label:<25}{fingerprint}\n{:25}{}\n",
        "",
        fingerprint.colons()
    )
}
