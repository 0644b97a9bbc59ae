//! Data packages as the command line and the API speak of them.

use serde::{Deserialize, Serialize};

use super::status::time;
use crate::packages::{Details, Origin, Standing};

/// Bytes in one [`PackagePiece`], at most.
pub const PIECE: usize = 12 * 1024;
/// Entries in one answer to a request for the list, at most.
pub const PAGE: usize = 16;

/// One package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageEntry {
    /// SHA-256, 64 hex digits.
    pub hash: String,
    /// What people call it.
    pub name: String,
    /// Its file name.
    pub filename: String,
    /// Bytes.
    pub size: u64,
    /// What kind of file.
    pub mime_type: String,
    /// Words to find it by.
    pub keywords: Vec<String>,
    /// `public` or `private`.
    pub tool: String,
    /// The uid of the device that made it.
    pub creator_uid: String,
    /// Who brought it.
    pub submitter: String,
    /// When, RFC 3339.
    pub submitted: Option<String>,
    /// The federate that it came from; none: it came from here.
    pub peer: Option<String>,
}

impl PackageEntry {
    /// The entry of a package.
    pub fn of(details: &Details) -> Self {
        Self {
            hash: details.hash.to_string(),
            name: details.name.clone(),
            filename: details.filename.clone(),
            size: details.size,
            mime_type: details.mime_type.clone(),
            keywords: details.keywords.clone(),
            tool: details.tool.clone(),
            creator_uid: details.creator_uid.clone(),
            submitter: details.submitter.clone(),
            submitted: time(i64::try_from(details.submitted).unwrap_or_default()),
            peer: match &details.from {
                Origin::Local => None,
                Origin::Peer(name) => Some(name.clone()),
            },
        }
    }
}

/// A piece of a package that somebody at this machine adds. The first is empty, and asks how much is there already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackagePiece {
    /// SHA-256 of the whole.
    pub hash: String,
    /// Bytes of the whole.
    pub size: u64,
    /// Its file name.
    pub filename: String,
    /// Where this piece begins.
    pub at: u64,
    /// Its bytes as hex digits, at most [`PIECE`] bytes.
    pub bytes: String,
}

/// The store in `status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackagesStatus {
    /// How it stands.
    #[serde(flatten)]
    pub standing: Standing,
    /// Packages that a federate was not allowed to bring (`data_packages_in`).
    pub held_in: u64,
    /// Packages that a federate was not allowed to fetch (`data_packages_out`).
    pub held_out: u64,
    /// Why there is no store although there should be; empty when all is well.
    #[serde(default)]
    pub fault: String,
}

/// Bytes as hex digits.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(digit.into(), 16));
            }
            text
        })
}

/// Bytes from hex digits; none if they are others.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    pairs.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_there_and_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(from_hex(&to_hex(&bytes)), Some(bytes));
        assert_eq!(from_hex("0"), None);
        assert_eq!(from_hex("0g"), None);
        assert_eq!(from_hex(""), Some(Vec::new()));
    }
}
