//! Which groups each neighbour's events are put into, and which it hears, as the configuration says it (protocol
//! reference 1.5). A local network hears itself in any case; it and a federate are joined by the same rules.

use crate::config::{Config, NetworkSettings, Peer, PeerGroups};
use crate::cot::federated::{Label, UNLIMITED};
pub use crate::cot::groups::{DEFAULT_GROUP, GroupSet, GroupTable, MOST_GROUPS, MOST_NETWORKS};

/// A link's place among the groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// What comes from it is put into these.
    pub says: GroupSet,
    /// It gets what is in one of these.
    pub hears: GroupSet,
}

impl Membership {
    /// Of a federate for whom no list was written.
    pub const ALL: Self = Self {
        says: GroupSet::ALL,
        hears: GroupSet::ALL,
    };
}

/// The groups of the whole box.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Groups {
    /// Their names.
    pub table: GroupTable,
    /// The local networks, by their number.
    pub networks: Vec<NetworkPolicy>,
    /// The federates that are configured.
    pub peers: Vec<PeerPolicy>,
}

/// How a local network is joined to the others and to federates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkPolicy {
    /// Its groups.
    pub membership: Membership,
    /// Others get what it sends.
    pub incoming: bool,
    /// It gets what others send.
    pub outgoing: bool,
}

impl NetworkPolicy {
    /// Of the network of that number when nothing is said about it.
    pub fn plain(number: u8) -> Self {
        let own = GroupSet::within(number) | GroupSet::DEFAULT;
        Self {
            membership: Membership {
                says: own,
                hears: own,
            },
            incoming: true,
            outgoing: true,
        }
    }

    fn of(number: u8, network: &NetworkSettings, table: &mut GroupTable) -> Self {
        let mut set = |joined: bool, names: &[String]| {
            let groups = table.add_all(names.iter().map(String::as_str));
            match joined {
                true => GroupSet::within(number) | groups,
                false => GroupSet::within(number),
            }
        };
        Self {
            membership: Membership {
                says: set(network.incoming, &network.inbound_groups),
                hears: set(network.outgoing, &network.outbound_groups),
            },
            incoming: network.incoming,
            outgoing: network.outgoing,
        }
    }
}

/// The groups of one federate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerPolicy {
    /// Its name in the configuration.
    pub name: String,
    /// Its groups; of what it sends, those that count when its names do not.
    pub membership: Membership,
    /// How the names on its events become groups here; none: they count for nothing.
    pub mapping: Option<Mapping>,
    /// What it is told around our events.
    pub label: Label,
}

/// From a federate's names of groups to ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    names: Names,
    /// An event with none of these names is in the plain groups of the federate; without, it is in none.
    fallback: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Names {
    /// Theirs, and which of ours it is.
    Listed(Vec<(Box<[u8]>, GroupSet)>),
    /// The same here and there.
    Same,
}

impl Mapping {
    /// The groups of an event with these names.
    pub fn groups<'a>(
        &self,
        named: impl Iterator<Item = &'a [u8]>,
        table: &GroupTable,
        plain: GroupSet,
    ) -> GroupSet {
        let groups = named.fold(GroupSet::NONE, |groups, name| {
            groups
                | match &self.names {
                    Names::Same => table.find(name),
                    Names::Listed(listed) => listed
                        .iter()
                        .filter(|(theirs, _)| **theirs == *name)
                        .fold(GroupSet::NONE, |groups, (_, ours)| groups | *ours),
                }
        });
        match groups.is_empty() && self.fallback {
            true => plain,
            false => groups,
        }
    }
}

impl Mapping {
    /// Every group that it can lead to.
    fn reaches(&self, plain: GroupSet) -> GroupSet {
        let named = match &self.names {
            Names::Same => GroupSet::ALL,
            Names::Listed(listed) => {
                (listed.iter()).fold(GroupSet::NONE, |groups, (_, ours)| groups | *ours)
            }
        };
        match self.fallback {
            true => named | plain,
            false => named,
        }
    }
}

impl PeerPolicy {
    /// Every group that something from it can be in.
    fn may_say(&self) -> GroupSet {
        let says = self.membership.says;
        let mapping = self.mapping.as_ref();
        mapping.map_or(says, |mapping| mapping.reaches(says))
    }

    /// Of a federate for whom nothing is configured: it gives and takes all groups.
    pub fn plain(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            membership: Membership::ALL,
            mapping: None,
            label: Label::PLAIN,
        }
    }

    /// `is_kin`: its CA is the one of our own certificate.
    fn of(name: &str, groups: &PeerGroups, is_kin: bool, table: &mut GroupTable) -> Self {
        let mut list = |names: &Option<Vec<String>>| match names {
            None => GroupSet::ALL,
            Some(names) => table.add_all(names.iter().map(String::as_str)),
        };
        let membership = Membership {
            says: list(&groups.inbound),
            hears: list(&groups.outbound),
        };
        let listed = groups
            .inbound_mapping
            .iter()
            .map(|(theirs, ours)| (theirs.as_bytes().into(), table.add(ours)))
            .collect();
        let hop_limits = groups.hop_limits.iter().filter_map(|(name, most)| {
            let most = most.map_or(UNLIMITED, i64::from);
            Some((table.add(name).places().next()?, most))
        });
        Self {
            name: name.to_owned(),
            membership,
            mapping: groups.mapping.then_some(Mapping {
                names: match groups.automatic && is_kin {
                    true => Names::Same,
                    false => Names::Listed(listed),
                },
                fallback: groups.fallback,
            }),
            label: Label {
                names: groups.mapping.then_some(membership.hears),
                max_hops: groups.max_hops.map_or(UNLIMITED, i64::from),
                group_hops: hop_limits.collect(),
            },
        }
    }
}

impl Groups {
    /// What a configuration says. `is_kin` tells whether a federate's CA is the one of our own certificate.
    pub fn of(config: &Config, is_kin: impl Fn(&Peer) -> bool) -> Self {
        let mut table = GroupTable::default();
        let networks = (0..)
            .zip(&config.networks)
            .map(|(number, network)| NetworkPolicy::of(number, network, &mut table))
            .collect();
        let peers = config
            .peers
            .iter()
            .map(|peer| PeerPolicy::of(&peer.name, &peer.groups, is_kin(peer), &mut table))
            .collect();
        Self {
            table,
            networks,
            peers,
        }
    }

    /// Whether anything from others here can be in a group that a federate hears, and whether anything from it can be in
    /// one that others here hear.
    pub fn crossing(&self, peer: &str) -> [bool; 2] {
        let Some(policy) = self.peers.iter().find(|policy| policy.name == peer) else {
            return [true; 2];
        };
        let others = || self.peers.iter().filter(|other| other.name != peer);
        let said = (self.networks.iter().map(|network| network.membership.says))
            .chain(others().map(PeerPolicy::may_say))
            .any(|says| says.meets(policy.membership.hears));
        let heard = (self.networks.iter().map(|network| network.membership.hears))
            .chain(others().map(|other| other.membership.hears))
            .any(|hears| policy.may_say().meets(hears));
        [said, heard]
    }

    /// The names that a federate is told it may get. Where names are not told, it is TAK's default alone: the same list
    /// as on every event, or a TAK Server shows one in turn with the other.
    pub fn announced(&self, peer: &str) -> Vec<String> {
        let policy = self.peers.iter().find(|policy| policy.name == peer);
        let told = policy.and_then(|policy| policy.label.names);
        let told = told.unwrap_or(GroupSet::DEFAULT);
        self.table.names(told).map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests;
