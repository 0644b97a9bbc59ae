//! A registered federate as it is configured.

use serde::{Deserialize, Serialize};

use super::parts::PeerState;
use super::trust::PeerTrustEntry;
use crate::config::Peer;
use crate::pki::Fingerprint;
use crate::pki::certificate::{Facts, stamp};

/// A registered federate as `peer list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerEntry {
    /// Its name.
    pub name: String,
    /// Where it is dialled; none: it dials us.
    pub address: Option<String>,
    /// SHA-256 of each certificate of its CA.
    pub authorities: Vec<String>,
    /// When the first of those certificates ends, RFC 3339.
    #[serde(default)]
    pub authority_until: Option<String>,
    /// SHA-256 of its leaf.
    pub fingerprint: Option<String>,
    /// Not paused.
    pub enabled: bool,
    /// What it sends is taken.
    pub incoming: bool,
    /// What we have is sent to it.
    pub outgoing: bool,
    /// Data packages and files are taken from it.
    pub data_packages_in: bool,
    /// Data packages and files of ours may go to it.
    pub data_packages_out: bool,
    /// Its filter, as it would be written; none = everything may cross.
    pub filter: Option<String>,
    /// Seconds between keepalives; none = 60.
    pub keepalive_seconds: Option<u32>,
    /// What it must show beside, and from where it may come.
    #[serde(default)]
    pub trust: PeerTrustEntry,
    /// How its link stands; none when no box is running.
    pub state: Option<PeerState>,
}

impl PeerEntry {
    /// The entry of a configured federate.
    pub fn new(peer: &Peer, state: Option<PeerState>) -> Self {
        Self {
            name: peer.name.clone(),
            address: peer.address.clone(),
            authorities: peer
                .authorities
                .iter()
                .map(|certificate| Fingerprint::of(certificate).to_string())
                .collect(),
            authority_until: first_end(peer),
            fingerprint: peer.fingerprint.map(|fingerprint| fingerprint.to_string()),
            enabled: peer.enabled,
            incoming: peer.incoming,
            outgoing: peer.outgoing,
            data_packages_in: peer.data_packages_in,
            data_packages_out: peer.data_packages_out,
            filter: (!peer.filters.is_empty()).then(|| peer.filters.to_string()),
            trust: PeerTrustEntry::of(&peer.trust),
            keepalive_seconds: peer.keepalive_seconds,
            state,
        }
    }
}

/// When the first certificate of a peer's CA ends.
fn first_end(peer: &Peer) -> Option<String> {
    let certificates = peer.authorities.iter();
    let ends = certificates.filter_map(|one| Some(Facts::read(one).ok()?.not_after));
    Some(stamp(ends.min()?))
}
