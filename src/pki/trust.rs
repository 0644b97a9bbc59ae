//! Whether a neighbour's certificate chain is the one that was registered.

use std::fmt;

use rustls_pki_types::{CertificateDer, UnixTime};

use super::Fingerprint;

/// How one peer is known: by its CA, by its leaf, or by both (then both must hold).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustRule {
    /// The peer's name in the configuration.
    pub peer: String,
    /// Its CA certificates; empty = not known by CA.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Its leaf.
    pub fingerprint: Option<Fingerprint>,
}

/// Why a chain was refused, in words a signaller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Leaf without its issuer.
    OneCertificate,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneCertificate => f.write_str("one certificate"),
        }
    }
}

impl TrustRule {
    /// Judges a chain as it came in the handshake (leaf first).
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn judge(&self, _chain: &[CertificateDer<'_>], _now: UnixTime) -> Result<(), Refusal> {
        Err(Refusal::OneCertificate)
    }
}
