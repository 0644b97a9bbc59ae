//! PKCS#12 files: written so that ATAK can open them, read as OpenSSL, Java, BouncyCastle and Windows write them.
//!
//! What we write is encrypted by PBE-SHA1-3DES with a SHA-1 MAC, on purpose: the BouncyCastle of Android knows neither
//! PBES2 keys nor a SHA-256 MAC (ATAK-CIV issues 156 and 224), and current OpenSSL, Java and Windows still read this.
//! What protects the key is the random password and that the file is for one user; it should be deleted once imported.
//!
//! No crate does this in the space there is: `p12-keystore` 0.4 brings 19 crates that nothing else needs, and was the
//! dearest of all in the program. ASN.1 is `yasna`, which writes our certificates too; digests and PBKDF2 are ring's.

mod cipher;
mod read;
mod write;

use std::fmt;

pub use read::Contents;
pub use write::{keystore, truststore};

/// A PKCS#12 file could not be made or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum P12Error {
    /// A key that is not PKCS#8.
    Key,
    /// The system gives no randomness.
    NoRandomness,
    /// No PKCS#12 file, or a damaged one.
    Damaged,
    /// Another password.
    Password,
    /// Encrypted or sealed in a way that is not known here.
    Unknown,
}

impl fmt::Display for P12Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "only PKCS#8 keys go into a .p12",
            Self::NoRandomness => "the system gives no randomness for a .p12",
            Self::Damaged => "is no .p12, or a damaged one",
            Self::Password => "is a .p12 with another password",
            Self::Unknown => {
                "is a .p12 that is encrypted in a way that is not known here; export it again with AES-256 or 3DES"
            }
        })
    }
}

impl std::error::Error for P12Error {}

/// The names of things (RFC 7292 and 8018, and those they refer to).
mod oid {
    pub(super) const DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 1];
    pub(super) const ENCRYPTED_DATA: &[u64] = &[1, 2, 840, 113_549, 1, 7, 6];
    pub(super) const KEY_BAG: &[u64] = &[1, 2, 840, 113_549, 1, 12, 10, 1, 1];
    pub(super) const SHROUDED_KEY_BAG: &[u64] = &[1, 2, 840, 113_549, 1, 12, 10, 1, 2];
    pub(super) const CERTIFICATE_BAG: &[u64] = &[1, 2, 840, 113_549, 1, 12, 10, 1, 3];
    pub(super) const X509_CERTIFICATE: &[u64] = &[1, 2, 840, 113_549, 1, 9, 22, 1];
    pub(super) const FRIENDLY_NAME: &[u64] = &[1, 2, 840, 113_549, 1, 9, 20];
    pub(super) const LOCAL_KEY_ID: &[u64] = &[1, 2, 840, 113_549, 1, 9, 21];
    /// By which Java tells a certificate that is trusted from one that is only there.
    pub(super) const TRUSTED_KEY_USAGE: &[u64] = &[2, 16, 840, 1, 113_894, 746_875, 1, 1];
    pub(super) const ANY_USAGE: &[u64] = &[2, 5, 29, 37, 0];

    pub(super) const PBE_3DES: &[u64] = &[1, 2, 840, 113_549, 1, 12, 1, 3];
    pub(super) const PBE_3DES_TWO_KEYS: &[u64] = &[1, 2, 840, 113_549, 1, 12, 1, 4];
    pub(super) const PBE_RC2_128: &[u64] = &[1, 2, 840, 113_549, 1, 12, 1, 5];
    pub(super) const PBE_RC2_40: &[u64] = &[1, 2, 840, 113_549, 1, 12, 1, 6];
    pub(super) const PBES2: &[u64] = &[1, 2, 840, 113_549, 1, 5, 13];
    pub(super) const PBKDF2: &[u64] = &[1, 2, 840, 113_549, 1, 5, 12];
    pub(super) const DES_EDE3_CBC: &[u64] = &[1, 2, 840, 113_549, 3, 7];
    pub(super) const AES_128_CBC: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 1, 2];
    pub(super) const AES_192_CBC: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 1, 22];
    pub(super) const AES_256_CBC: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 1, 42];

    pub(super) const SHA1: &[u64] = &[1, 3, 14, 3, 2, 26];
    pub(super) const SHA256: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 2, 1];
    pub(super) const SHA384: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 2, 2];
    pub(super) const SHA512: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 2, 3];
    pub(super) const HMAC_SHA1: &[u64] = &[1, 2, 840, 113_549, 2, 7];
    pub(super) const HMAC_SHA256: &[u64] = &[1, 2, 840, 113_549, 2, 9];
    pub(super) const HMAC_SHA384: &[u64] = &[1, 2, 840, 113_549, 2, 10];
    pub(super) const HMAC_SHA512: &[u64] = &[1, 2, 840, 113_549, 2, 11];
}

/// A password in both forms.
struct Password<'a> {
    /// For PBES2.
    text: &'a str,
    /// For the old schemes: UTF-16, and a zero behind it.
    wide: Vec<u8>,
}

impl<'a> Password<'a> {
    fn new(text: &'a str) -> Self {
        let units = text.encode_utf16().chain([0]);
        Self {
            text,
            wide: units.flat_map(u16::to_be_bytes).collect(),
        }
    }

    /// None at all, which to the old schemes is something else than an empty one.
    fn none() -> Self {
        Self {
            text: "",
            wide: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
