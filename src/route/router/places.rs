//! Where links are kept: places are found by name, or used again.

use super::aside::Aside;
use super::introduce::Told;
use super::replay::Replay;
use super::{Federate, Kind, Link, Neighbour, Router};
use crate::clock::skew::Frame;
use crate::cot::federated::LabelId;
use crate::counters::Counters;
use crate::route::groups::Membership;
use crate::route::link::{LinkId, Network, Role, Wire};
use crate::route::outbox::{Framing, Outbox};
use crate::route::spool::PeerSpool;
use crate::route::trace::Column;

impl Router {
    pub(super) fn neighbour_place(&mut self, neighbour: Neighbour, network: Network) -> usize {
        let same = |link: &Link| {
            matches!(&link.kind, Kind::Neighbour(known)
                if known.name == neighbour.name && known.role == neighbour.role)
        };
        let place = self.links.iter().position(same).unwrap_or_else(|| {
            let mut outbox = Outbox::new(self.settings.outbox, Framing::None);
            outbox.set_column(Column::CLIENTS);
            self.links.push(Link {
                kind: Kind::Commands,
                wire: Wire::Xml,
                network,
                groups: self.networks.membership(network),
                up: false,
                outbox,
                replay: Replay::done(),
                frame: Frame::default(),
                thin: false,
                turn: false,
                guard: None,
            });
            self.links.len() - 1
        });
        self.rewritten = true;
        let link = &mut self.links[place];
        link.network = network;
        link.groups = self.networks.membership(network);
        if neighbour.role == Role::Mesh {
            link.outbox.set_single();
        }
        match &mut link.kind {
            Kind::Neighbour(known) => {
                let counters = std::mem::take(&mut known.counters);
                // A login that stands again has the users that it had.
                let stays = match link.up {
                    true => std::mem::take(&mut known.stays),
                    false => Vec::new(),
                };
                **known = Neighbour {
                    counters,
                    stays,
                    ..neighbour
                };
            }
            kind => *kind = Kind::Neighbour(Box::new(neighbour)),
        }
        link.write_as(Wire::Xml);
        place
    }

    pub(super) fn local_place(&mut self, kind: Kind, network: Network) -> usize {
        let free = |link: &Link| {
            !link.up && std::mem::discriminant(&link.kind) == std::mem::discriminant(&kind)
        };
        let place = self.links.iter().position(free).unwrap_or_else(|| {
            let mut outbox = Outbox::new(self.settings.outbox, Framing::None);
            if matches!(kind, Kind::Client) {
                outbox.set_column(Column::CLIENTS);
            }
            self.links.push(Link {
                kind,
                wire: Wire::Xml,
                network,
                groups: self.networks.membership(network),
                up: false,
                outbox,
                replay: Replay::done(),
                frame: Frame::default(),
                thin: false,
                turn: false,
                guard: None,
            });
            self.links.len() - 1
        });
        let link = &mut self.links[place];
        link.network = network;
        link.groups = self.networks.membership(network);
        link.write_as(Wire::Xml);
        place
    }

    pub(super) fn federate_place(&mut self, name: &str) -> usize {
        let named =
            |link: &Link| matches!(&link.kind, Kind::Federate(federate) if federate.name == name);
        if let Some(place) = self.links.iter().position(named) {
            return place;
        }
        let mut link = Link {
            kind: Kind::Federate(Box::new(Federate {
                name: name.to_owned(),
                registered: false,
                incoming: true,
                outgoing: true,
                received: 0,
                spool: PeerSpool::new(name),
                correct: true,
                aside: Aside::default(),
                mapping: None,
                label: LabelId::PLAIN,
                is_hub: false,
                told: Told::new(self.settings.max_contacts),
                counters: Counters::default(),
            })),
            wire: Wire::Federated,
            network: Network::LOCAL,
            groups: Membership::ALL,
            up: false,
            outbox: Outbox::new(self.settings.outbox, Framing::Grpc),
            replay: Replay::done(),
            frame: Frame::default(),
            thin: false,
            turn: false,
            guard: None,
        };
        // Of a peer that was removed, the place is used again: names that come and go must not add up.
        let removed = |link: &Link| {
            matches!(&link.kind, Kind::Federate(federate)
                if !federate.registered && !link.up && !federate.spool.enabled)
        };
        match self.links.iter().position(removed) {
            Some(place) => {
                self.latest.disown(LinkId(place as u16));
                link.outbox.set_column(self.links[place].outbox.column());
                self.contacts.forget_away(LinkId(place as u16));
                self.skew.disown(place as u16);
                self.links[place] = link;
                place
            }
            None => {
                let is_federate = |link: &&Link| matches!(link.kind, Kind::Federate(_));
                let number = self.links.iter().filter(is_federate).count() as u16;
                link.outbox.set_column(Column::federate(number));
                self.links.push(link);
                self.links.len() - 1
            }
        }
    }
}
