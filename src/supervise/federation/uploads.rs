//! Where peers of federation v1 take data packages.

use super::Federation;
use crate::config::{Peer, Protocol};
use crate::link::courier::upload::Destination;
use crate::link::federate::PeerSettings;
use crate::link::tls;

/// Of one peer; none where packages go over the federation link itself.
pub(super) fn destination(federation: &Federation, peer: &Peer) -> Option<Destination> {
    if peer.protocol != Protocol::V1 {
        return None;
    }
    let observer = federation.clock.telling(tls::unobserved());
    let tls = tls::legacy_client(&federation.credentials, super::rule(peer), observer);
    let settings = PeerSettings::of(peer, &federation.uplinks);
    let (tls, _) = tls.ok()?;
    Some(Destination {
        tls,
        address: peer.all_addresses().next().map(str::to_owned),
        port: peer.packages.port,
        uplink: (!peer.uplinks.is_empty())
            .then(|| settings.uplinks.first().cloned())
            .flatten(),
        rate: peer.rate,
    })
}
