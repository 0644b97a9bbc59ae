//! What can be asked of the router.

use super::{Kind, Link, Router};
use crate::counters::Counters;
use crate::route::contacts::Contact;
use crate::route::link::{Network, Role, Wire};
use crate::route::outbox::Outbox;

impl Router {
    /// What waits for the peer of that name, and what was spared it, if it was ever registered or attached.
    pub fn peer_outbox(&self, name: &str) -> Option<&Outbox> {
        let named =
            |link: &&Link| matches!(&link.kind, Kind::Federate(federate) if federate.name == name);
        self.links.iter().find(named).map(|link| &link.outbox)
    }

    /// The tallies of the peer of that name, if it was ever registered or attached.
    pub fn peer_counters(&self, name: &str) -> Option<&Counters> {
        self.links.iter().find_map(|link| match &link.kind {
            Kind::Federate(federate) if federate.name == name => Some(&federate.counters),
            _ => None,
        })
    }

    /// The tallies of all local clients together.
    pub fn local_counters(&self) -> Counters {
        self.networks.all()
    }

    /// The tallies of the clients of one local network.
    pub fn network_counters(&self, network: Network) -> &Counters {
        self.networks.counters(network)
    }

    /// Clients connected that are in that local network.
    pub fn clients_in(&self, network: Network) -> usize {
        let client =
            |link: &&Link| link.up && link.network == network && matches!(link.kind, Kind::Client);
        self.links.iter().filter(client).count()
    }

    /// Local clients connected.
    pub fn clients(&self) -> usize {
        let client = |link: &&Link| link.up && matches!(link.kind, Kind::Client);
        self.links.iter().filter(client).count()
    }

    /// Contacts known, ours and the federates'.
    pub fn contacts(&self) -> usize {
        self.contacts.len()
    }

    /// The tallies of the neighbour of that name and role, if it was ever attached.
    pub fn neighbour_counters(&self, role: Role, name: &str) -> Option<&Counters> {
        self.links.iter().find_map(|link| match &link.kind {
            Kind::Neighbour(neighbour) if neighbour.role == role && neighbour.name == name => {
                Some(&neighbour.counters)
            }
            _ => None,
        })
    }

    /// Whether the neighbour of that name and role is up and spoken to in TAK protocol v1.
    pub fn speaks_tak(&self, role: Role, name: &str) -> bool {
        self.links.iter().any(|link| {
            link.up
                && link.wire == Wire::Tak
                && matches!(&link.kind, Kind::Neighbour(neighbour) if neighbour.role == role && neighbour.name == name)
        })
    }

    /// How many users are known to be behind the neighbour of that name and role.
    pub fn users_of(&self, role: Role, name: &str) -> usize {
        let of_name = |link: &Link| matches!(&link.kind, Kind::Neighbour(neighbour) if neighbour.role == role && neighbour.name == name);
        let place = self.links.iter().position(of_name);
        place.map_or(0, |place| {
            let there = |contact: &&Contact| usize::from(contact.link.0) == place;
            self.contacts.all().filter(there).count()
        })
    }

    /// Bytes that wait for all links together.
    pub fn waiting_bytes(&self) -> usize {
        self.pool.used
    }
}
