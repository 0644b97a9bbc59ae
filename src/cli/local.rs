//! What the commands share that work on this box's own files, without asking the running box.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustls_pki_types::UnixTime;

use crate::config::Peer;
use crate::pki::crl::CrlFault;
use crate::pki::gather::GatherError;
use crate::pki::issue::IssueError;
use crate::pki::package::PackageError;
use crate::pki::store::PkiError;
use crate::pki::{KeyAlgorithm, Own};

/// The part of the configuration that these commands need.
#[derive(Debug, Clone, Copy)]
pub struct Local<'a> {
    /// The state directory.
    pub state: &'a Path,
    /// The box's name.
    pub node_name: &'a str,
    /// Certificate and key of `[identity]`, when that is set.
    pub identity: Option<(&'a Path, &'a Path)>,
    /// Port of `clients_tls`.
    pub clients_port: u16,
    /// First port of `federation`.
    pub federation_port: u16,
    /// Registered federates.
    pub peers: &'a [Peer],
}

impl Local<'_> {
    /// Opens identity and store; makes the store on first use.
    ///
    /// # Errors
    /// Whatever is wrong with either.
    pub fn open(&self) -> Result<Own, LocalError> {
        self.open_with(KeyAlgorithm::default())
    }

    /// The same, with a choice of keys for a store that is not there yet.
    ///
    /// # Errors
    /// Whatever is wrong with either.
    pub fn open_with(&self, algorithm: KeyAlgorithm) -> Result<Own, LocalError> {
        Ok(Own::open(
            self.state,
            self.node_name,
            self.identity,
            algorithm,
            UnixTime::now(),
        )?)
    }
}

/// A command on our own files failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocalError {
    /// Identity or store.
    Pki(PkiError),
    /// The package for a user.
    Package(PackageError),
    /// A callsign that cannot be used, and why.
    Callsign(&'static str),
    /// An address that cannot be used, and why.
    Address(String, &'static str),
    /// A password that cannot be used.
    Password,
    /// A peer that is not registered, and those that are.
    UnknownPeer(String, Vec<String>),
    /// A peer that a federation.json cannot hold, and why.
    NotInFile(String, String),
    /// A file that is there already and holds a key.
    Exists(PathBuf),
    /// The store is there already.
    StoreExists(PathBuf),
    /// A file that cannot be read, and why.
    Read(PathBuf, String),
    /// A revocation list that cannot be used.
    List(PathBuf, CrlFault),
    /// What was to be imported, and what is wrong with it.
    Import(GatherError),
    /// Our certificate was made elsewhere: that of `[identity]`.
    Elsewhere(PathBuf),
    /// No next certificate waits.
    NothingWaits,
    /// A certificate that our CA did not issue.
    NotOurs(PathBuf),
    /// Nobody of whom a certificate is remembered, and those of whom one is.
    NotIssued(String, Vec<String>),
    /// A file that cannot be written, and the system's words.
    Write(PathBuf, String),
    /// The output is closed or full.
    Output(String),
}

impl LocalError {
    /// The exit code, as in sysexits: 64 usage, 65 data, 66 no input, 70 internal, 73 cannot create, 74 output, 78 configuration.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Pki(PkiError::Name)
            | Self::Callsign(_)
            | Self::Address(..)
            | Self::Password
            | Self::NothingWaits
            | Self::NotOurs(_)
            | Self::NotIssued(..)
            | Self::UnknownPeer(..) => 64,
            Self::List(..) | Self::Import(_) => 65,
            Self::Read(..) => 66,
            Self::Elsewhere(_) => 78,
            Self::NotInFile(..) => 78,
            Self::Package(_) | Self::Pki(PkiError::Issue(_)) => 70,
            Self::Exists(_) | Self::StoreExists(_) | Self::Write(..) => 73,
            Self::Output(_) => 74,
            Self::Pki(_) => 78,
        }
    }
}

impl fmt::Display for LocalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pki(error) => error.fmt(f),
            Self::Package(error) => error.fmt(f),
            Self::Callsign(why) => {
                write!(f, "CALLSIGN: {why}; give 1 to 64 printable characters")
            }
            Self::Address(address, why) => write!(f, "--host {address:?}: {why}"),
            Self::Password => f.write_str(
                "this password cannot be used: take 1 to 64 printable ASCII characters, or leave --password out for a \
                 random one",
            ),
            Self::NotInFile(peer, fault) => write!(
                f,
                "peer \"{peer}\": {fault}; write one filter for both, or none"
            ),
            Self::UnknownPeer(name, known) if known.is_empty() => {
                write!(f, "no peer {name:?}: none is registered; register one with `tombolo peer add`")
            }
            Self::UnknownPeer(name, known) => {
                write!(f, "no peer {name:?}: registered are {}", known.join(", "))
            }
            Self::Exists(path) => write!(
                f,
                "{} exists and may hold somebody's key: delete it first, or choose another with --out",
                path.display()
            ),
            Self::StoreExists(path) => write!(
                f,
                "{} holds certificates already: to begin anew move it away, then every peer must register the new ones",
                path.display()
            ),
            Self::Read(path, error) => {
                write!(f, "cannot read {}: {error}", path.display())
            }
            Self::List(path, fault) => write!(f, "{} {fault}", path.display()),
            Self::Import(error) => error.fmt(f),
            Self::Elsewhere(path) => write!(
                f,
                "{} of [identity] was made elsewhere: renew it there and take it in with `tombolo cert import`, or take \
                 [identity] out to use our own CA",
                path.display()
            ),
            Self::NothingWaits => f.write_str(
                "no next certificate waits; `tombolo cert renew` makes one",
            ),
            Self::NotOurs(path) => write!(
                f,
                "{} was not issued by our CA: put its fingerprint into `denied_fingerprints` of a [[peer]], or take in \
                 its own CA's list (`tombolo cert crl FILE`)",
                path.display()
            ),
            Self::NotIssued(who, names) if names.is_empty() => write!(
                f,
                "no certificate of {who:?} is remembered, nor any other: give the file with the certificate, or \
                 serial:HEX"
            ),
            Self::NotIssued(who, names) => write!(
                f,
                "no certificate of {who:?} is remembered; there are those of {}. Older ones: give the file with the \
                 certificate, or serial:HEX",
                names.join(", ")
            ),
            Self::Write(path, error) => write!(
                f,
                "cannot write {}: {error}; name another place with --out",
                path.display()
            ),
            Self::Output(error) => write!(f, "cannot write the output: {error}"),
        }
    }
}

impl std::error::Error for LocalError {}

impl From<PkiError> for LocalError {
    fn from(error: PkiError) -> Self {
        Self::Pki(error)
    }
}

impl From<IssueError> for LocalError {
    fn from(error: IssueError) -> Self {
        Self::Pki(PkiError::Issue(error))
    }
}

impl From<PackageError> for LocalError {
    fn from(error: PackageError) -> Self {
        Self::Package(error)
    }
}

impl From<io::Error> for LocalError {
    fn from(error: io::Error) -> Self {
        Self::Output(error.to_string())
    }
}
