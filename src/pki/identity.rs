//! What we prove ourselves with.

use std::fmt;

use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::Fingerprint;

/// A certificate chain and its key.
pub struct Identity {
    /// Leaf first, then its issuer; never fewer than two (protocol reference 1.3, "send at least two").
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's private key.
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    /// SHA-256 of our leaf: what a TAK administrator registers.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.chain.first().map_or(&[], |leaf| leaf.as_ref()))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key must never reach a log.
        f.debug_tuple("Identity")
            .field(&self.fingerprint())
            .finish()
    }
}
