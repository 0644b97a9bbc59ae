//! What `status` says of certificates: ours, and those that were taken back.

use serde::{Deserialize, Serialize};

use crate::config::PeerTrust;
use crate::pki::Fingerprint;
use crate::pki::certificate::stamp;
use crate::pki::revocations::Standing;

/// Our certificate and the revocation lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustStatus {
    /// Our certificate is valid until, RFC 3339.
    #[serde(default)]
    pub valid_until: String,
    /// What is wrong with it, or will be within 30 days, in words; empty when nothing is.
    #[serde(default)]
    pub warning: String,
    /// SHA-256 of the certificate that will be shown next; none where none waits.
    #[serde(default)]
    pub next: Option<String>,
    /// Peers that do not know it yet.
    #[serde(default)]
    pub waits_for: Vec<String>,
    /// Revocation lists.
    #[serde(default)]
    pub lists: Vec<ListStatus>,
}

impl TrustStatus {
    /// What somebody should know, in words; empty where nothing is to be known.
    pub fn in_words(&self) -> String {
        let mut words = Vec::new();
        if !self.warning.is_empty() {
            words.push(self.warning.clone());
        }
        if let Some(next) = &self.next {
            let whom = match self.waits_for.is_empty() {
                true => "other boxes to be told".to_owned(),
                false => self.waits_for.join(", "),
            };
            words.push(format!(
                "the next one, {next}, waits for {whom} (`tombolo cert renew --switch` shows it at once)"
            ));
        }
        for list in &self.lists {
            match list.state.as_str() {
                "faulty" => words.push(format!("revocation list {} {}", list.file, list.fault)),
                "overdue" => words.push(format!(
                    "revocation list {}: a newer one was due on {}; what it revokes stays revoked",
                    list.file,
                    list.due.as_deref().unwrap_or_default()
                )),
                _ => {}
            }
        }
        words.join("; ")
    }
}

/// What a peer must show beside its CA and its certificate, and from where it may come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerTrustEntry {
    /// SHA-256 of its CA; none where none is pinned.
    #[serde(default)]
    pub ca_pin: Option<String>,
    /// SHA-256 of further certificates that it may show.
    #[serde(default)]
    pub fingerprints: Vec<String>,
    /// SHA-256 of certificates that nobody may show.
    #[serde(default)]
    pub denied_fingerprints: Vec<String>,
    /// The revocation list of its CA.
    #[serde(default)]
    pub crl: Option<String>,
    /// From where it may connect; empty: from everywhere.
    #[serde(default)]
    pub source_addresses: Vec<String>,
    /// A secret is to be proven, which is never shown.
    #[serde(default)]
    pub has_secret: bool,
}

impl PeerTrustEntry {
    /// Of a configured federate.
    pub fn of(trust: &PeerTrust) -> Self {
        let texts = |all: &[Fingerprint]| all.iter().map(ToString::to_string).collect();
        Self {
            ca_pin: trust.ca_pin.map(|pin| pin.to_string()),
            fingerprints: texts(&trust.fingerprints),
            denied_fingerprints: texts(&trust.denied),
            crl: trust.crl.as_ref().map(|path| path.display().to_string()),
            source_addresses: trust.sources.iter().map(ToString::to_string).collect(),
            has_secret: trust.secret.is_some(),
        }
    }
}

/// A revocation list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListStatus {
    /// Its file.
    pub file: String,
    /// The CA that signed it.
    pub issuer: String,
    /// How many certificates it revokes.
    pub revoked: u32,
    /// When it was made, RFC 3339.
    pub made: String,
    /// When a newer one is due, RFC 3339; none: it does not say.
    pub due: Option<String>,
    /// `valid`, `overdue` (still in force), or `faulty`.
    pub state: String,
    /// Why it cannot be used, in words; empty when it can.
    pub fault: String,
}

impl ListStatus {
    /// Of a list; `now` in seconds since 1970.
    pub fn of(standing: &Standing, now: i64) -> Self {
        let list = standing.list.as_deref();
        let due = list.and_then(|list| list.due);
        Self {
            file: standing.path.display().to_string(),
            issuer: list.map(|list| list.issuer.clone()).unwrap_or_default(),
            revoked: list.map_or(0, |list| u32::try_from(list.len()).unwrap_or(u32::MAX)),
            made: list.map(|list| stamp(list.made)).unwrap_or_default(),
            due: due.map(stamp),
            state: match (&standing.fault, due) {
                (Some(_), _) => "faulty",
                (None, Some(due)) if due < now => "overdue",
                _ => "valid",
            }
            .to_owned(),
            fault: (standing.fault.as_ref())
                .map(ToString::to_string)
                .unwrap_or_default(),
        }
    }
}
