//! What we prove ourselves with.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustls::crypto::ring::default_provider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use super::certificate::{Facts, stamp};
use super::{Fingerprint, Refusal, chain, files};

/// A certificate chain and its key.
pub struct Identity {
    /// Leaf first, then its issuer; never fewer than two (protocol reference 1.3, "send at least two").
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's private key.
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads `[identity]`: a PEM chain (leaf, then issuer) and a PEM key (PKCS#8, SEC1 or PKCS#1, not encrypted),
    /// and checks all that a TAK peer will check.
    ///
    /// A certificate that is not valid *yet* is accepted: a box without a battery boots in the past.
    ///
    /// # Errors
    /// What is wrong with which file, and the cure.
    pub fn from_files(
        certificate: &Path,
        key: &Path,
        now: UnixTime,
    ) -> Result<Self, IdentityError> {
        let wrong = |file: &Path, flaw: Flaw| IdentityError {
            file: file.to_owned(),
            flaw,
        };
        let chain = read_chain(certificate).map_err(|flaw| wrong(certificate, flaw))?;
        let private = read_key(key).map_err(|flaw| wrong(key, flaw))?;
        if std::fs::metadata(key).is_ok_and(|metadata| metadata.mode() & 0o007 != 0) {
            // The operator's own file: told, not changed.
            tracing::warn!(file = %key.display(), "every user of this machine can read the key; cure: chmod 600");
        }
        let identity = Self {
            chain,
            key: private,
        };
        identity.check(now).map_err(|flaw| {
            wrong(
                if matches!(flaw, Flaw::BadKey) {
                    key
                } else {
                    certificate
                },
                flaw,
            )
        })?;
        Ok(identity)
    }

    /// SHA-256 of our leaf: what a TAK administrator registers.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.chain.first().map_or(&[], |leaf| leaf.as_ref()))
    }

    /// Everything a TAK peer will check, and that the key belongs to the leaf.
    pub(super) fn check(&self, now: UnixTime) -> Result<(), Flaw> {
        let leaf = self.chain.first().ok_or(Flaw::NoCertificate)?;
        let facts = Facts::read(leaf).map_err(|_| Flaw::Unreadable)?;
        match CertifiedKey::from_der(
            self.chain.clone(),
            self.key.clone_key(),
            &default_provider(),
        ) {
            Ok(_) => {}
            Err(rustls::Error::InconsistentKeys(_)) if facts.authority => {
                return Err(Flaw::WrongOrder);
            }
            Err(rustls::Error::InconsistentKeys(_)) => return Err(Flaw::KeyMismatch),
            Err(_) => return Err(Flaw::BadKey),
        }
        let issuer = self.chain.get(1).ok_or(Flaw::NoIssuer)?;
        if facts.common_name.is_none() || facts.issuer_common_name.is_none() {
            return Err(Flaw::NoCommonName);
        }
        for (present, usage) in [
            (facts.client_auth, "clientAuth"),
            (facts.server_auth, "serverAuth"),
            (facts.digital_signature, "digitalSignature"),
        ] {
            if !present {
                return Err(Flaw::Usage(usage));
            }
        }
        match chain::verify(&self.chain, std::slice::from_ref(issuer), now) {
            Ok(()) | Err(Refusal::NotYetValid) => Ok(()),
            Err(Refusal::Expired) => Err(Flaw::Expired(facts.not_after)),
            Err(Refusal::UnknownCa) => Err(Flaw::NotItsIssuer),
            Err(Refusal::WeakAlgorithm) => Err(Flaw::Weak),
            Err(_) => Err(Flaw::Unreadable),
        }
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
        }
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

/// An identity that no TAK peer would accept, or that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityError {
    /// The file at fault.
    pub file: PathBuf,
    /// What is wrong with it.
    pub flaw: Flaw,
}

/// What is wrong with an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Flaw {
    /// The file cannot be read; the system's words.
    Io(String),
    /// No certificate in the file.
    NoCertificate,
    /// No private key in the file.
    NoKey,
    /// The key is protected by a password.
    EncryptedKey,
    /// A kind of key that TLS cannot use, or a damaged one.
    BadKey,
    /// A certificate cannot be read.
    Unreadable,
    /// The leaf alone.
    NoIssuer,
    /// The second certificate did not sign the first.
    NotItsIssuer,
    /// The CA comes before the leaf.
    WrongOrder,
    /// The key belongs to another certificate.
    KeyMismatch,
    /// Subject or issuer without CN.
    NoCommonName,
    /// A usage is missing.
    Usage(&'static str),
    /// Over since then, seconds since 1970.
    Expired(i64),
    /// Weak signature or key.
    Weak,
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.flaw)
    }
}

impl std::error::Error for IdentityError {}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot be read ({error}): check path and permissions"),
            Self::NoCertificate => f.write_str(
                "holds no PEM certificate: it must contain -----BEGIN CERTIFICATE----- (from DER: openssl x509 \
                 -inform der -in FILE; from .p12: openssl pkcs12 -in FILE -nokeys)",
            ),
            Self::NoKey => f.write_str(
                "holds no PEM private key: it must contain -----BEGIN PRIVATE KEY----- (from .p12: openssl pkcs12 -in \
                 FILE -nocerts -nodes)",
            ),
            Self::EncryptedKey => f.write_str(
                "the key is encrypted, and nobody is there to type a password at boot: openssl pkey -in FILE -out \
                 NEWFILE, and keep that file at mode 0600",
            ),
            Self::BadKey => f.write_str(
                "the key is damaged or of an unusable kind: use ECDSA P-256/P-384 or RSA of at least 2048 bits",
            ),
            Self::Unreadable => f.write_str("a certificate is malformed: export it again"),
            Self::NoIssuer => f.write_str(
                "chain lacks its issuer: TAK servers drop a peer that sends one certificate; append the CA \
                 certificate to this file",
            ),
            Self::NotItsIssuer => f.write_str(
                "the second certificate did not sign the first: the order is leaf, then the CA that issued it",
            ),
            Self::WrongOrder => f.write_str("a CA certificate comes first: the order is leaf, then the CA that issued it"),
            Self::KeyMismatch => f.write_str("the key does not belong to the first certificate: use the key it was issued for"),
            Self::NoCommonName => f.write_str(
                "subject or issuer has no common name (CN), and TAK knows federates by it: issue one with a CN",
            ),
            Self::Usage(usage) => write!(
                f,
                "lacks the usage {usage}: federation uses one certificate as client and as server, so issue one with \
                 digitalSignature, clientAuth and serverAuth"
            ),
            Self::Expired(end) => write!(
                f,
                "expired on {}: renew it, or set the clock if that is still to come",
                stamp(*end)
            ),
            Self::Weak => f.write_str(
                "is signed with a weak or unknown algorithm: use ECDSA P-256/P-384 or RSA of at least 2048 bits, with \
                 SHA-256 or better",
            ),
        }
    }
}

/// Every certificate of a PEM file.
pub(super) fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Flaw> {
    let bytes = files::read(path).map_err(|error| io_flaw(&error))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = chain.map_err(|_| Flaw::Unreadable)?;
    if chain.is_empty() {
        return Err(Flaw::NoCertificate);
    }
    for certificate in &chain {
        Facts::read(certificate).map_err(|_| Flaw::Unreadable)?;
    }
    Ok(chain)
}

/// The first private key of a PEM file.
pub(super) fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, Flaw> {
    let bytes = files::read(path).map_err(|error| io_flaw(&error))?;
    let encrypted = [
        &b"BEGIN ENCRYPTED PRIVATE KEY"[..],
        b"Proc-Type: 4,ENCRYPTED",
    ];
    if encrypted
        .iter()
        .any(|mark| memchr::memmem::find(&bytes, mark).is_some())
    {
        return Err(Flaw::EncryptedKey);
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| Flaw::NoKey)
}

fn io_flaw(error: &io::Error) -> Flaw {
    Flaw::Io(error.to_string())
}

#[cfg(test)]
mod tests;
