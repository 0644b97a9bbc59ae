//! What a federate must show beside its CA, as requests say it.

use super::fields::{Field, Kind, Members, may};
use crate::config::written::{KeyChanges, Written};

/// SHA-256 of its CA.
pub const CA_PIN: Field = may(
    "ca_pin",
    Kind::Text(128),
    "SHA-256 of its CA: of the one certificate of ca_cert that is trusted, or alone of the CA that it sends along",
);
/// Further leaves.
pub const FINGERPRINTS: Field = may(
    "fingerprints",
    Kind::Words(16),
    "SHA-256 of further certificates that it may show, while it renews",
);
/// Leaves that nobody may show.
pub const DENIED: Field = may(
    "denied_fingerprints",
    Kind::Words(16),
    "SHA-256 of certificates that nobody may show any more",
);
/// What its CA took back.
pub const CRL: Field = may(
    "crl",
    Kind::Text(255),
    "revocation list of its CA, a file on the box; read again when it changes",
);
/// Where it connects from.
pub const SOURCES: Field = may(
    "source_addresses",
    Kind::Words(16),
    "addresses from which it may connect, such as 203.0.113.0/24",
);
/// What both sides know.
pub const SECRET: Field = may(
    "secret",
    Kind::Text(256),
    "12 characters or more that the box there has too; never shown",
);

/// The keys by which it is decided who the peer is.
pub const WHO: [&str; 2] = ["ca_pin", "fingerprints"];

/// Adds them to the changes of `[[peer]]`.
pub fn add_to(members: &Members, changes: &mut KeyChanges) {
    for key in ["crl", "secret", "ca_pin"] {
        // Beside `ca_cert` the pin says which certificate of it is kept.
        let chosen = key == "ca_pin" && members.text("ca_cert").is_some();
        if let Some(text) = members.text(key).filter(|_| !chosen) {
            changes.insert(key.to_owned(), Some(Written::Text(text.to_owned())));
        }
    }
    for key in ["fingerprints", "denied_fingerprints", "source_addresses"] {
        if let Some(list) = members.words(key) {
            let list = Some(list).filter(|list| !list.is_empty());
            changes.insert(key.to_owned(), list.map(Written::List));
        }
    }
    for field in [CA_PIN, FINGERPRINTS, DENIED, CRL, SOURCES, SECRET] {
        if members.is_null(field.key) {
            changes.insert(field.key.to_owned(), None);
        }
    }
}
