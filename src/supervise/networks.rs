//! The local networks: how they stand, and which of their changes take a restart.

use super::Shared;
use crate::api::groups::{NetworkStatus, PeerGroupsStatus};
use crate::api::status::counts;
use crate::config::{Config, Peer};
use crate::route::Network;

impl Shared {
    /// Every local network.
    pub(super) fn networks(&self, config: &Config) -> Vec<NetworkStatus> {
        let status = |(number, network): (u8, &crate::config::NetworkSettings)| {
            let number = Network(number);
            let bound = self.bound_in_networks.get(usize::from(number.0)).copied();
            let [mut clients_tcp, mut clients_tls] = bound.unwrap_or_default();
            if number == Network::LOCAL {
                clients_tcp = self.bound.clients_tcp.or(clients_tcp);
                clients_tls = self.bound.clients_tls.or(clients_tls);
            }
            let (counters, clients) = self.hub.with(|router, _| {
                let counters = router.network_counters(number).clone();
                (counters, router.clients_in(number))
            });
            NetworkStatus {
                name: network.name.clone(),
                clients_tcp,
                clients_tls,
                clients: u32::try_from(clients).unwrap_or(u32::MAX),
                incoming: network.incoming,
                outgoing: network.outgoing,
                inbound_groups: network.inbound_groups.clone(),
                outbound_groups: network.outbound_groups.clone(),
                events_in: counters.events_in,
                events_out: counters.events_out,
                dropped: counts(counters.reasons()),
            }
        };
        (0..).zip(&config.networks).map(status).collect()
    }
}

/// A peer's groups: ours for it, and those that it told of.
pub(super) fn groups(peer: &Peer, remote: Vec<String>) -> PeerGroupsStatus {
    PeerGroupsStatus {
        inbound: peer.groups.inbound.clone(),
        outbound: peer.groups.outbound.clone(),
        mapping: peer.groups.mapping,
        remote,
    }
}

/// Whether the networks differ in no more than what the router does: groups and directions.
pub(super) fn same_listeners(one: &Config, other: &Config) -> bool {
    let listeners = |config: &Config| -> Vec<_> {
        let of = |network: &crate::config::NetworkSettings| {
            let name = network.name.clone();
            (name, network.clients_tcp, network.clients_tls)
        };
        config.networks.iter().map(of).collect()
    };
    listeners(one) == listeners(other)
}
