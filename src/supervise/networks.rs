//! The local networks: how they stand, and which of their changes take a restart.

use super::Shared;
use crate::api::groups::{NetworkStatus, PeerGroupsStatus};
use crate::api::status::counts;
use crate::config::{Config, NetworkSettings, Peer};
use crate::link::hub::Hub;
use crate::route::Network;
use crate::route::groups::Groups;

impl Shared {
    /// Every local network.
    pub(super) fn networks(&self, config: &Config) -> Vec<NetworkStatus> {
        let status = |(number, network): (u8, &NetworkSettings)| {
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

/// Before anybody is let in: who belongs where. Of federates there are none yet.
pub(super) fn set(hub: &Hub, config: &Config) {
    let groups = Groups::of(config, |_| false);
    hub.with(|router, now| router.set_groups(&groups, now));
}

/// Why nothing can cross one way or both, when a peer's groups meet those of nobody else here.
pub(super) fn apart(config: &Config, peer: &Peer) -> Option<String> {
    let [out, back] = Groups::of(config, |_| true).crossing(&peer.name);
    let (out, back) = (out || !peer.outgoing, back || !peer.incoming);
    let list = |names: &Option<Vec<String>>| match names {
        None => "all".to_owned(),
        Some(names) if names.is_empty() => "none".to_owned(),
        Some(names) => names.join(", "),
    };
    let sent = format!(
        "nothing is sent: nobody here is in its outbound_groups ({})",
        list(&peer.groups.outbound)
    );
    let taken = format!(
        "nothing is taken: nobody here hears the groups that its events come into ({})",
        match peer.groups.mapping {
            true => "inbound_group_mapping".to_owned(),
            false => list(&peer.groups.inbound),
        }
    );
    match (out, back) {
        (true, true) => None,
        (false, true) => Some(sent),
        (true, false) => Some(taken),
        (false, false) => Some(format!("{sent}; {taken}")),
    }
}

/// Whether the networks differ in no more than what the router does: groups and directions.
pub(super) fn same_listeners(one: &Config, other: &Config) -> bool {
    let listeners = |config: &Config| -> Vec<_> {
        let of = |network: &NetworkSettings| {
            let name = network.name.clone();
            (name, network.clients_tcp, network.clients_tls)
        };
        config.networks.iter().map(of).collect()
    };
    listeners(one) == listeners(other)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(rest: &str) -> Config {
        let pin = "ab".repeat(32);
        let text = format!("[[peer]]\nname = \"bravo\"\nfingerprint = \"{pin}\"\n{rest}\n");
        Config::parse(&text, Path::new("")).unwrap()
    }

    #[test]
    fn a_peer_whose_groups_meet_nobodys_is_told_of_in_words() {
        let words = |rest: &str| {
            let config = config(rest);
            apart(&config, &config.peers[0])
        };
        assert_eq!(words(""), None);
        let out = words("outbound_groups = [\"Blue\"]").unwrap();
        assert_eq!(
            out,
            "nothing is sent: nobody here is in its outbound_groups (Blue)"
        );
        let both = words("outbound_groups = []\ninbound_groups = []").unwrap();
        assert!(
            both.contains("outbound_groups (none); nothing is taken"),
            "{both}"
        );
        assert_eq!(
            words("outgoing = false\noutbound_groups = [\"Blue\"]"),
            None
        );
        let network = "[[network]]\nname = \"n\"\ninbound_groups = [\"Blue\"]";
        assert_eq!(
            words(&format!("outbound_groups = [\"Blue\"]\n{network}")),
            None
        );
    }

    #[test]
    fn other_groups_are_taken_over_and_other_listeners_are_not() {
        let network = |rest: &str| config(&format!("[[network]]\nname = \"n\"\n{rest}"));
        let plain = network("");
        assert!(same_listeners(
            &plain,
            &network("incoming = false\ninbound_groups = []")
        ));
        assert!(!same_listeners(
            &plain,
            &network("clients_tcp = \"127.0.0.1:9\"")
        ));
        assert!(!same_listeners(&plain, &config("")));
    }
}
