//! Our own CA and federation certificate, made once and kept under the state directory.
//!
//! `STATE/pki/` (0700) holds `ca.key` and `node.key` (0600, PKCS#8), `ca.pem`, and `node.pem` (leaf, then CA). Each
//! key is written before its certificate and each file appears whole, so a power cut leaves a key without its
//! certificate at worst; the certificate is then made again for that key. Nothing that exists is ever overwritten.
//! The CA key is read only to issue: it may be taken away to a safe place, and the box runs on.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::KeyPair;
use rustls::crypto::ring::default_provider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use super::certificate::Facts;
use super::identity::{Flaw, IdentityError, read_chain, read_key};
use super::issue::{self, IssueError, KeyAlgorithm};
use super::{Fingerprint, Identity, files};

pub mod renew;
pub mod revoke;

/// The store, open.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    identity: Identity,
    authority: CertificateDer<'static>,
    stamp: renew::Stamp,
}

const AUTHORITY_CERTIFICATE: &str = "ca.pem";
const AUTHORITY_KEY: &str = "ca.key";
const NODE_CERTIFICATE: &str = "node.pem";
const NODE_KEY: &str = "node.key";
const LOCK: &str = ".lock";

impl Store {
    /// Opens `STATE/pki`; makes the CA and the federation certificate when there are none. `node_name` (its first 64
    /// characters) and `algorithm` matter only then: a later change of name does not change the certificate,
    /// because a new leaf is a new federate for every TAK Server.
    ///
    /// Keys that others can read are put back to 0600, with a warning in the log: they may have been seen, but a box
    /// that does not start helps nobody.
    ///
    /// # Errors
    /// A file that cannot be read or written, is missing, or does not fit the others.
    pub fn open_or_create(
        state: &Path,
        node_name: &str,
        algorithm: KeyAlgorithm,
        now: UnixTime,
    ) -> Result<Self, PkiError> {
        let directory = state.join("pki");
        files::private_directory(&directory).map_err(|error| io_error(&directory, &error))?;
        let lock_file = directory.join(LOCK);
        let _lock = files::lock(&lock_file).map_err(|error| io_error(&lock_file, &error))?;
        let files = Files { directory };
        files.finish_switch()?;
        for key in [AUTHORITY_KEY, NODE_KEY] {
            files.protect(key)?;
        }
        let authority = files.authority(node_name, algorithm, now)?;
        let identity = files.identity(node_name, algorithm, &authority, now)?;
        match identity.check(now) {
            // An expired certificate must not keep the box from serving its own clients and telling what is wrong.
            Ok(()) => {}
            Err(flaw @ Flaw::Expired(_)) => {
                tracing::error!(file = %files.path(NODE_CERTIFICATE).display(), "{flaw}");
            }
            Err(flaw) => return Err(files.flawed(NODE_CERTIFICATE, flaw)),
        }
        Ok(Self {
            stamp: files.stamp(),
            directory: files.directory,
            identity,
            authority,
        })
    }

    /// Whether a CA was made or put there already.
    pub fn exists(state: &Path) -> bool {
        let directory = state.join("pki");
        [AUTHORITY_CERTIFICATE, AUTHORITY_KEY]
            .iter()
            .any(|name| directory.join(name).exists())
    }

    /// What federates see.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The certificate of our own CA.
    pub fn authority(&self) -> &CertificateDer<'static> {
        &self.authority
    }

    /// Where the files are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Issues a certificate (clientAuth, 730 days) for one local user. Neither it nor its key is kept here.
    ///
    /// # Errors
    /// `Name` unless the callsign has 1 to 64 characters and no control character; a CA key that is missing or does
    /// not fit.
    pub fn issue_client(&self, callsign: &str, now: UnixTime) -> Result<Identity, PkiError> {
        let callsign = callsign.trim();
        let length = callsign.chars().count();
        if length == 0 || length > issue::MAX_NAME || callsign.chars().any(char::is_control) {
            return Err(PkiError::Name);
        }
        let files = Files {
            directory: self.directory.clone(),
        };
        let authority_key = files.authority_key(&self.authority)?;
        let key = issue::generate_key(issue::algorithm_of(&authority_key))?;
        let leaf = issue::client_leaf(callsign, &key, &self.authority, &authority_key, now)?;
        self.note_issued(&leaf, now)?;
        Ok(Identity {
            chain: vec![leaf, self.authority.clone()],
            key: pkcs8(&key),
        })
    }
}

/// The store cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PkiError {
    /// A file or directory, and the system's words.
    Io(PathBuf, String),
    /// A file is gone that the others need.
    Missing(PathBuf),
    /// A file that is not what it should be.
    Flawed(IdentityError),
    /// The CA key does not belong to the CA certificate.
    AuthorityMismatch(PathBuf),
    /// A key or certificate could not be made.
    Issue(IssueError),
    /// A name that no certificate can carry.
    Name,
    /// Our own revocation list cannot be read.
    List(PathBuf),
    /// It can hold no more.
    ListFull(PathBuf),
}

impl PkiError {
    /// A certificate is over, and nothing else is wrong with it.
    pub fn is_expired(&self) -> bool {
        matches!(self, Self::Flawed(error) if matches!(error.flaw, Flaw::Expired(_)))
    }
}

impl fmt::Display for PkiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(
                f,
                "{}: {error}; see that the state directory belongs to the user who runs tombolo and that the disk is \
                 not full",
                path.display()
            ),
            Self::Missing(path) => write!(
                f,
                "{} is missing: restore it from a backup, or move the directory away to get new certificates (every \
                 peer must then register the new ones)",
                path.display()
            ),
            Self::Flawed(error) => error.fmt(f),
            Self::AuthorityMismatch(path) => write!(
                f,
                "{} does not belong to ca.pem beside it: restore the key that made this CA from a backup",
                path.display()
            ),
            Self::Issue(IssueError::NoRandomness) => {
                f.write_str("the system gives no random numbers: no key can be made now, try again")
            }
            Self::Issue(IssueError::Key) => f.write_str("no key could be made"),
            Self::Issue(IssueError::NoRsa) => f.write_str(
                "this program makes no RSA keys: make them with that of a package, and bring them here by \
                 `tombolo cert import`",
            ),
            Self::Issue(IssueError::Certificate) => f.write_str(
                "no certificate could be made: the CA certificate or the name is unusable",
            ),
            Self::List(path) => write!(
                f,
                "{} is damaged, and what it revokes would be lost: restore it from a backup, or move it away to begin \
                 anew",
                path.display()
            ),
            Self::ListFull(path) => write!(
                f,
                "{} holds as many certificates as a list may: make a new CA (`tombolo cert renew --ca`)",
                path.display()
            ),
            Self::Name => f.write_str(
                "a name in a certificate has 1 to 64 characters and no control character",
            ),
        }
    }
}

impl std::error::Error for PkiError {}

impl From<IssueError> for PkiError {
    fn from(error: IssueError) -> Self {
        Self::Issue(error)
    }
}

impl From<IdentityError> for PkiError {
    fn from(error: IdentityError) -> Self {
        Self::Flawed(error)
    }
}

/// The directory while the lock is held.
struct Files {
    directory: PathBuf,
}

impl Files {
    fn authority(
        &self,
        node_name: &str,
        algorithm: KeyAlgorithm,
        now: UnixTime,
    ) -> Result<CertificateDer<'static>, PkiError> {
        if let Some(chain) = self.certificates(AUTHORITY_CERTIFICATE)? {
            return chain
                .into_iter()
                .next()
                .ok_or(PkiError::Missing(self.path(AUTHORITY_CERTIFICATE)));
        }
        if self.path(NODE_CERTIFICATE).exists() {
            // Never a second CA under a leaf of the first.
            return Err(PkiError::Missing(self.path(AUTHORITY_CERTIFICATE)));
        }
        let key = self.key_or_new(AUTHORITY_KEY, algorithm)?;
        let certificate = issue::authority(common_name(node_name)?, &key, now)?;
        self.write(
            AUTHORITY_CERTIFICATE,
            0o644,
            pem(std::slice::from_ref(&certificate)).as_bytes(),
        )?;
        Ok(certificate)
    }

    fn identity(
        &self,
        node_name: &str,
        algorithm: KeyAlgorithm,
        authority: &CertificateDer<'static>,
        now: UnixTime,
    ) -> Result<Identity, PkiError> {
        if let Some(chain) = self.certificates(NODE_CERTIFICATE)? {
            if !self.path(NODE_KEY).exists() {
                return Err(PkiError::Missing(self.path(NODE_KEY)));
            }
            let key = read_key(&self.path(NODE_KEY)).map_err(|flaw| self.flawed(NODE_KEY, flaw))?;
            return Ok(Identity { chain, key });
        }
        let authority_key = self.authority_key(authority)?;
        let key = self.key_or_new(NODE_KEY, algorithm)?;
        let name = common_name(node_name)?;
        let leaf = issue::federation_leaf(name, &key, authority, &authority_key, now)?;
        let chain = vec![leaf, authority.clone()];
        self.write(NODE_CERTIFICATE, 0o644, pem(&chain).as_bytes())?;
        Ok(Identity {
            chain,
            key: pkcs8(&key),
        })
    }

    /// The CA's key, checked against its certificate.
    fn authority_key(&self, authority: &CertificateDer<'static>) -> Result<KeyPair, PkiError> {
        let path = self.path(AUTHORITY_KEY);
        if !path.exists() {
            return Err(PkiError::Missing(path));
        }
        let key = self.key(AUTHORITY_KEY)?;
        match CertifiedKey::from_der(vec![authority.clone()], pkcs8(&key), &default_provider()) {
            Ok(_) => Ok(key),
            Err(_) => Err(PkiError::AuthorityMismatch(path)),
        }
    }

    fn key_or_new(&self, name: &str, algorithm: KeyAlgorithm) -> Result<KeyPair, PkiError> {
        if self.path(name).exists() {
            return self.key(name);
        }
        let key = issue::generate_key(algorithm)?;
        self.write(name, 0o600, key.serialize_pem().as_bytes())?;
        Ok(key)
    }

    fn key(&self, name: &str) -> Result<KeyPair, PkiError> {
        let der = read_key(&self.path(name)).map_err(|flaw| self.flawed(name, flaw))?;
        KeyPair::try_from(&der).map_err(|_| self.flawed(name, Flaw::BadKey))
    }

    fn certificates(&self, name: &str) -> Result<Option<Vec<CertificateDer<'static>>>, PkiError> {
        if !self.path(name).exists() {
            return Ok(None);
        }
        read_chain(&self.path(name))
            .map(Some)
            .map_err(|flaw| self.flawed(name, flaw))
    }

    fn protect(&self, name: &str) -> Result<(), PkiError> {
        let path = self.path(name);
        match files::restrict(&path, 0o600) {
            Ok(false) => Ok(()),
            Ok(true) => {
                tracing::warn!(file = %path.display(), "others could read this key; its mode is 0600 again");
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io_error(&path, &error)),
        }
    }

    fn write(&self, name: &str, mode: u32, bytes: &[u8]) -> Result<(), PkiError> {
        let path = self.path(name);
        files::write(&path, mode, bytes).map_err(|error| io_error(&path, &error))
    }

    fn flawed(&self, name: &str, flaw: Flaw) -> PkiError {
        PkiError::Flawed(IdentityError {
            file: self.path(name),
            flaw,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Certificates as PEM, one after the other.
pub fn pem(chain: &[CertificateDer<'_>]) -> String {
    chain
        .iter()
        .map(|certificate| pem_section("CERTIFICATE", certificate))
        .collect()
}

/// One section of a PEM file.
pub(super) fn pem_section(label: &str, der: &[u8]) -> String {
    let base64 = base64(der);
    let lines: Vec<&str> = base64
        .as_bytes()
        .chunks(64)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

/// The CN of a certificate, for files and people; its fingerprint when it has none.
pub fn display_name(certificate: &CertificateDer<'_>) -> String {
    Facts::read(certificate)
        .ok()
        .and_then(|facts| facts.common_name)
        .unwrap_or_else(|| Fingerprint::of(certificate).to_string())
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let value = group
            .iter()
            .chain(&[0; 3])
            .take(3)
            .fold(0usize, |value, &byte| value << 8 | usize::from(byte));
        for place in 0..4 {
            if place <= group.len() {
                text.push(char::from(DIGITS[value >> (18 - 6 * place) & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

fn common_name(name: &str) -> Result<&str, PkiError> {
    let name = name.trim();
    let end = name
        .char_indices()
        .nth(issue::MAX_NAME)
        .map_or(name.len(), |(end, _)| end);
    match &name[..end] {
        "" => Err(PkiError::Name),
        name if name.chars().any(char::is_control) => Err(PkiError::Name),
        name => Ok(name),
    }
}

fn pkcs8(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(key.serialize_der().into())
}

fn io_error(path: &Path, error: &io::Error) -> PkiError {
    PkiError::Io(path.to_owned(), error.to_string())
}

#[cfg(test)]
mod tests;
