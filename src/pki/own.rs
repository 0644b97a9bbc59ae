//! All that proves us: the identity in use, and the CA behind local clients.

use std::path::Path;

use rustls_pki_types::{CertificateDer, UnixTime};

use super::store::PkiError;
use super::{Identity, KeyAlgorithm, Store};

/// The identity that federates and clients see, and our own store behind it.
#[derive(Debug)]
pub struct Own {
    /// From `[identity]` when that is set, else the store's.
    pub identity: Identity,
    /// Issues the client certificates in either case.
    pub store: Store,
}

impl Own {
    /// Opens the store (made on first use) and, when given, the certificate and key files of `[identity]`.
    ///
    /// # Errors
    /// Whatever is wrong with either, in words with the cure.
    pub fn open(
        state: &Path,
        node_name: &str,
        identity: Option<(&Path, &Path)>,
        algorithm: KeyAlgorithm,
        now: UnixTime,
    ) -> Result<Self, PkiError> {
        let store = Store::open_or_create(state, node_name, algorithm, now)?;
        let identity = match identity {
            Some((certificate, key)) => Identity::from_files(certificate, key, now)?,
            None => store.identity().clone(),
        };
        Ok(Self { identity, store })
    }

    /// The CA certificates by which local clients are judged: ours alone, and those that it replaced.
    pub fn client_authorities(&self) -> Vec<CertificateDer<'static>> {
        let former = self.store.former();
        std::iter::once(self.store.authority().clone())
            .chain(former)
            .collect()
    }

    /// What a client must trust to accept us: everything after our leaf, and our own CA.
    pub fn truststore(&self) -> Vec<CertificateDer<'static>> {
        let mut authorities: Vec<_> = self.identity.chain.iter().skip(1).cloned().collect();
        if !authorities.contains(self.store.authority()) {
            authorities.push(self.store.authority().clone());
        }
        authorities
    }

    /// The certificate that issued our leaf: what a TAK administrator puts into the federation truststore.
    pub fn issuer(&self) -> &CertificateDer<'static> {
        self.identity
            .chain
            .get(1)
            .unwrap_or_else(|| self.store.authority())
    }
}
