//! What is worth a word in how peers prove themselves.

use std::path::Path;

use rustls_pki_types::UnixTime;

use super::{Remark, fault};
use crate::config::{Config, Peer};
use crate::pki::Fingerprint;
use crate::pki::certificate::{Facts, stamp};
use crate::pki::revocations::load;

/// Every remark.
pub(super) fn of_trust(config: &Config, file: &Path) -> Vec<Remark> {
    let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
    let mut remarks = Vec::new();
    for peer in &config.peers {
        for (level, word, key, text) in of_peer(peer, now) {
            remarks.push(Remark {
                level,
                word: word.to_owned(),
                table: Some("peer"),
                name: Some(peer.name.clone()),
                key: Some(key.to_owned()),
                ..fault(file, text)
            });
        }
    }
    remarks
}

type Found = (&'static str, &'static str, &'static str, String);

fn of_peer(peer: &Peer, now: i64) -> Vec<Found> {
    let mut found = Vec::new();
    let trust = &peer.trust;
    if trust.secret.is_some() {
        found.push((
            "note",
            "secret_wants_a_box",
            "secret",
            "only a box like this one can prove it; a TAK Server or any other peer is refused: take it out for those"
                .to_owned(),
        ));
    }
    for authority in &peer.authorities {
        let Ok(facts) = Facts::read(authority) else {
            continue;
        };
        let name = facts.common_name.unwrap_or_default();
        if facts.not_after < now {
            found.push((
                "warning",
                "ca_expired",
                "ca_cert",
                format!(
                    "the CA {name} has ended on {}: ask for the new one; many peers refuse what it signed",
                    stamp(facts.not_after)
                ),
            ));
        }
    }
    if let Some(path) = &trust.crl
        && let Ok(list) = load(path, &peer.authorities)
        && let Some(due) = list.due.filter(|&due| due < now)
    {
        found.push((
            "warning",
            "crl_overdue",
            "crl",
            format!(
                "a newer list was due on {}; what this one revokes stays revoked",
                stamp(due)
            ),
        ));
    }
    let known: Vec<Fingerprint> = (peer.fingerprint.iter())
        .chain(&trust.fingerprints)
        .copied()
        .collect();
    if !known.is_empty() && known.iter().all(|one| trust.denied.contains(one)) {
        found.push((
            "warning",
            "all_denied",
            "denied_fingerprints",
            "every certificate by which it is known is denied too, so it cannot come in".to_owned(),
        ));
    }
    found
}
