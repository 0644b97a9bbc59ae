//! The first lines of the log.

use super::Shared;
use crate::config::Config;
use crate::pki::{Fingerprint, Own};

/// Says where the box listens and what to do next.
pub(super) fn announce(shared: &Shared, own: &Own, config: &Config) {
    let bound = &shared.bound;
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(name = config.name, "tombolo {version}");
    tracing::info!("federate id {}", shared.federate_id);
    tracing::info!("certificate {}", shared.fingerprint);
    let authority = Fingerprint::of(own.issuer());
    tracing::info!("its CA      {authority}");
    if let Some(address) = bound.clients_tcp {
        tracing::info!("CoT clients, plain: {address}");
    }
    if let Some(address) = bound.clients_tls {
        tracing::info!(
            "CoT clients, TLS: {address}; `tombolo cert issue CALLSIGN` makes a package for ATAK"
        );
    }
    for (network, [plain, mutual]) in config.networks.iter().zip(&shared.bound_in_networks) {
        let name = &network.name;
        for (address, kind) in [(plain, "plain"), (mutual, "TLS")] {
            if let Some(address) = address {
                tracing::info!("CoT clients of network {name}, {kind}: {address}");
            }
        }
    }
    for address in &bound.federation {
        tracing::info!("federation: {address}");
    }
    if config.peers.is_empty() {
        tracing::info!(
            "no federates yet: `tombolo cert export` writes what the other side needs, `tombolo peer add` registers it"
        );
    }
}
