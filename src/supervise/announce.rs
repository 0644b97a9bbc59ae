//! The first lines of the log.

use std::io::{self, IsTerminal, Write};

use super::Shared;
use crate::access::FIRST_USER;
use crate::config::Config;
use crate::pki::{Fingerprint, Own};

/// Says where the box listens and what to do next.
pub(super) fn announce(shared: &Shared, own: &Own, config: &Config, first: Option<String>) {
    let bound = &shared.bound;
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(name = config.name, "tombolo {version}");
    tracing::info!("federate id {}", shared.federate_id);
    tracing::info!("certificate {}", shared.credentials.fingerprint());
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
    if let Some(address) = bound.api {
        tracing::info!("HTTPS API: {address}; `tombolo token` says who may use it");
    }
    // A person sits there. It must not get into a journal, a file, or the log that is kept.
    if let Some(first) = first.filter(|_| bound.api.is_some() && io::stderr().is_terminal()) {
        let _ = writeln!(
            io::stderr(),
            "first login at the API, once: {FIRST_USER} {first}"
        );
    }
    if let Some(address) = bound.packages {
        tracing::info!("data packages of federates: {address}; those of clients: at the API");
    }
    if let Some(address) = bound.freetakserver {
        tracing::info!("FreeTAKServer's routes, for this machine: {address}");
    }
    if config.peers.is_empty() {
        tracing::info!(
            "no federates yet: `tombolo cert export` writes what the other side needs, `tombolo peer add` registers it"
        );
    }
}
