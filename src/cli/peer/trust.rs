//! The keys of trust as options of `peer add` and `peer set`.

use std::path::PathBuf;

use clap::Args;

use super::keys::absolute;
use crate::config::written::{Key, KeyChanges, Written};

/// What it must show, and from where it may come.
#[derive(Debug, Args)]
pub(super) struct TrustKeys {
    /// SHA-256 of its CA; alone, the CA comes with its certificate; "" = no pin
    #[arg(long, value_name = "SHA256", group = "changes", help_heading = "Trust")]
    ca_pin: Option<String>,
    /// Further certificates that it may show, by SHA-256, with commas in between; "" = none
    #[arg(long, value_name = "LIST", group = "changes", help_heading = "Trust")]
    fingerprints: Option<String>,
    /// Certificates that nobody may show any more, by SHA-256; "" = none
    #[arg(long, value_name = "LIST", group = "changes", help_heading = "Trust")]
    denied_fingerprints: Option<String>,
    /// Revocation list of its CA, read again when the file changes
    #[arg(long, value_name = "FILE", group = "changes", help_heading = "Trust")]
    crl: Option<PathBuf>,
    /// No revocation list
    #[arg(
        long,
        group = "changes",
        conflicts_with = "crl",
        help_heading = "Trust"
    )]
    no_crl: bool,
    /// From where it may connect, such as 203.0.113.0/24, with commas in between; "" = from everywhere
    #[arg(long, value_name = "LIST", group = "changes", help_heading = "Trust")]
    source_addresses: Option<String>,
    /// A file with a secret that the box there has too
    #[arg(long, value_name = "FILE", group = "changes", help_heading = "Trust")]
    secret_file: Option<PathBuf>,
    /// No secret
    #[arg(
        long,
        group = "changes",
        conflicts_with = "secret_file",
        help_heading = "Trust"
    )]
    no_secret: bool,
}

impl TrustKeys {
    /// Adds what the options change.
    pub(super) fn add_to(&self, changes: &mut KeyChanges) {
        for (option, text) in [
            ("ca-pin", &self.ca_pin),
            ("fingerprints", &self.fingerprints),
            ("denied-fingerprints", &self.denied_fingerprints),
            ("source-addresses", &self.source_addresses),
        ] {
            if let (Some(text), Some(key)) = (text, Key::of_option(option)) {
                // An empty text takes the key away.
                let read = key.read(text).ok().filter(|_| !text.trim().is_empty());
                changes.insert(key.key.to_owned(), read);
            }
        }
        for (key, file) in [("crl", &self.crl), ("secret_file", &self.secret_file)] {
            if let Some(file) = file {
                changes.insert(key.to_owned(), Some(Written::Text(absolute(file))));
            }
        }
        if self.no_crl {
            changes.insert("crl".to_owned(), None);
        }
        if self.no_secret {
            changes.insert("secret_file".to_owned(), None);
        }
        if self.no_secret || self.secret_file.is_some() {
            changes.insert("secret".to_owned(), None);
        }
    }
}
