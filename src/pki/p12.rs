//! PKCS#12 files that ATAK can open.
//!
//! Encryption is PBE-SHA1-3DES with a SHA-1 MAC, on purpose: the BouncyCastle of Android knows neither PBES2 keys nor
//! a SHA-256 MAC (ATAK-CIV issues 156 and 224), and current OpenSSL, Java and Windows still read this. What protects
//! the key is the random password and that the file is for one user; it should be deleted once imported.

use std::fmt;

use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey,
    PrivateKeyChain,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{Fingerprint, Identity};

/// A PKCS#12 file could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum P12Error {
    /// A key that is not PKCS#8.
    Key,
    /// A certificate or the password cannot be encoded.
    Encoding,
}

impl fmt::Display for P12Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "only PKCS#8 keys go into a .p12",
            Self::Encoding => "certificate or password cannot be written into a .p12",
        })
    }
}

impl std::error::Error for P12Error {}

/// CA certificates, without a key, marked as trusted.
///
/// # Errors
/// A certificate or password that PKCS#12 cannot carry.
pub fn truststore(authorities: &[CertificateDer<'_>], password: &str) -> Result<Vec<u8>, P12Error> {
    let mut store = KeyStore::new();
    for (index, authority) in authorities.iter().enumerate() {
        let entry = KeyStoreEntry::Certificate(certificate(authority)?);
        store.add_entry(&format!("ca{index}"), entry);
    }
    write(&store, password)
}

/// A key with its chain, under one alias.
///
/// # Errors
/// A key that is not PKCS#8; a certificate or password that PKCS#12 cannot carry.
pub fn keystore(alias: &str, identity: &Identity, password: &str) -> Result<Vec<u8>, P12Error> {
    let PrivateKeyDer::Pkcs8(key) = &identity.key else {
        return Err(P12Error::Key);
    };
    let key = PrivateKey::from_der(key.secret_pkcs8_der()).map_err(|_| P12Error::Key)?;
    let chain: Result<Vec<_>, _> = identity.chain.iter().map(certificate).collect();
    // Ties the key to its leaf inside the file.
    let Fingerprint(link) = identity.fingerprint();
    let mut store = KeyStore::new();
    let chain = PrivateKeyChain::new(&link[..20], key, chain?);
    store.add_entry(alias, KeyStoreEntry::PrivateKeyChain(chain));
    write(&store, password)
}

fn certificate(der: &CertificateDer<'_>) -> Result<Certificate, P12Error> {
    Certificate::from_der(der).map_err(|_| P12Error::Encoding)
}

fn write(store: &KeyStore, password: &str) -> Result<Vec<u8>, P12Error> {
    store
        .writer(password)
        .encryption_algorithm(EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc)
        .mac_algorithm(MacAlgorithm::HmacSha1)
        .write()
        .map_err(|_| P12Error::Encoding)
}
