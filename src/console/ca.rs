//! The CA of a peer as somebody pasted it.

use rustls_pki_types::CertificateDer;

use crate::config::authority;
use crate::pki::Fingerprint;
use crate::pki::certificate::Facts;

/// A CA certificate that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authority {
    /// The certificate alone.
    pub(super) pem: String,
    /// SHA-256.
    pub(super) fingerprint: String,
    /// Whose it is.
    pub(super) subject: String,
    /// What its owner is probably called.
    pub(super) suggested_name: Option<String>,
}

impl Authority {
    /// Reads it, with the words of the configuration's own check.
    pub(super) fn read(pem: &str) -> Result<Self, String> {
        let certificates = authority::read(pem.as_bytes())
            .map_err(|fault| format!("the peer's CA {fault}; {}", fault.cure()))?;
        let first: &CertificateDer<'_> = certificates
            .first()
            .ok_or_else(|| "that holds no certificate".to_owned())?;
        let facts = Facts::read(first).map_err(|fault| format!("that is {fault}"))?;
        Ok(Self {
            pem: authority::certificates_only(pem),
            fingerprint: Fingerprint::of(first).to_string(),
            suggested_name: facts.common_name.as_deref().and_then(owner),
            subject: facts.subject,
        })
    }
}

/// The owner in a CA's name: ours are called `NAME CA 1a2b3c4d`, many others `NAME-ca`.
fn owner(common_name: &str) -> Option<String> {
    let mut name = common_name.trim();
    if let Some((stem, mark)) = name.rsplit_once(" CA ")
        && mark.len() == 8
        && mark.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        name = stem;
    }
    for ending in [" CA", "-ca", "-CA", "_ca", " ca"] {
        name = name.strip_suffix(ending).unwrap_or(name);
    }
    let name = name.trim();
    let fits = !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    fits.then(|| name.chars().take(64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_ca_is_guessed() {
        for (name, meant) in [
            ("bravo CA 00ff11aa", Some("bravo")),
            ("bravo CA", Some("bravo")),
            ("Battalion TOC-ca", Some("Battalion TOC")),
            ("bravo", Some("bravo")),
            ("CA", Some("CA")),
            ("\u{e9}lan", None),
            ("", None),
        ] {
            assert_eq!(owner(name).as_deref(), meant, "{name}");
        }
    }
}
