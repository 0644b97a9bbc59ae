//! Which groups an event belongs to, which link hears it, and what becomes of one that a link does not hear.

use super::replay::Replay;
use super::{Kind, Link, Router};
use crate::clock::Now;
use crate::counters::{Counters, Reason};
use crate::route::groups::{
    GroupSet, GroupTable, Groups, MOST_NETWORKS, Membership, NetworkPolicy, PeerPolicy,
};
use crate::route::link::{LinkId, Network};
use crate::wire::fig::Federated;

/// The local networks.
#[derive(Debug)]
pub(super) struct Networks([(NetworkPolicy, Counters); MOST_NETWORKS]);

impl Default for Networks {
    fn default() -> Self {
        let plain = |at: usize| (NetworkPolicy::plain(at as u8), Counters::default());
        Self(std::array::from_fn(plain))
    }
}

impl Networks {
    /// The tallies of a network's clients.
    #[inline(always)]
    pub(super) fn tally(&mut self, network: Network) -> &mut Counters {
        &mut self.0[usize::from(network.0) % MOST_NETWORKS].1
    }

    pub(super) fn counters(&self, network: Network) -> &Counters {
        &self.0[usize::from(network.0) % MOST_NETWORKS].1
    }

    /// The tallies of all of them together.
    pub(super) fn all(&self) -> Counters {
        let mut sum = Counters::default();
        for (_, counters) in &self.0 {
            sum.add(counters);
        }
        sum
    }

    pub(super) fn membership(&self, network: Network) -> Membership {
        self.policy(network).membership
    }

    fn policy(&self, network: Network) -> &NetworkPolicy {
        &self.0[usize::from(network.0) % MOST_NETWORKS].0
    }

    /// Why an event does not go to a link that does not hear it.
    fn reason(&self, link: &Link, from: Option<Network>, groups: GroupSet) -> Reason {
        let shut = |network: Network| !self.policy(network).incoming;
        if groups.beyond().is_empty() && from.is_some_and(shut) {
            return Reason::IncomingOff;
        }
        let is_off = match &link.kind {
            Kind::Federate(federate) => !federate.outgoing,
            Kind::Client | Kind::Neighbour(_) | Kind::Commands => {
                !self.policy(link.network).outgoing
            }
        };
        match is_off {
            true => Reason::OutgoingOff,
            false => Reason::NoGroup,
        }
    }

    /// An event passes a link by; counts it there and tells why. Of clients it counts for none: others of their network
    /// are passed by just so.
    #[cold]
    #[inline(never)]
    pub(super) fn pass_by(
        &self,
        link: &mut Link,
        from: Option<Network>,
        groups: GroupSet,
    ) -> Option<Reason> {
        let reason = self.reason(link, from, groups);
        match &mut link.kind {
            Kind::Federate(federate) if federate.registered || link.up => {
                federate.counters.drop_one(reason);
            }
            Kind::Neighbour(neighbour) if link.up => neighbour.counters.drop_one(reason),
            Kind::Client if link.up => {}
            _ => return None,
        }
        Some(reason)
    }
}

impl Router {
    /// Sets the groups of the whole box. Links that are up stay up: who hears more is told what is there, and who hears
    /// less is told which contacts it has no longer.
    pub fn set_groups(&mut self, groups: &Groups, now: Now) {
        self.envelope.set_table(groups.table.clone());
        for (number, (policy, _)) in (0..).zip(&mut self.networks.0) {
            let configured = groups.networks.get(usize::from(number)).copied();
            *policy = configured.unwrap_or_else(|| NetworkPolicy::plain(number));
        }
        for place in 0..self.links.len() {
            let link = &mut self.links[place];
            let before = link.groups;
            match &mut link.kind {
                Kind::Federate(federate) => {
                    let named = |policy: &&PeerPolicy| policy.name == federate.name;
                    let known = groups.peers.iter().find(named).cloned();
                    let policy = known.unwrap_or_else(|| PeerPolicy::plain(&federate.name));
                    link.groups = policy.membership;
                    federate.label = self.envelope.label(&policy.label);
                    federate.mapping = policy.mapping;
                }
                _ => link.groups = self.networks.membership(link.network),
            }
            if link.up && link.groups.hears != before.hears {
                self.hears_anew(place, now);
            }
        }
        self.contacts.belong(|link| {
            let link = self.links.get(usize::from(link.0))?;
            link.kind.is_local().then_some(link.groups.says)
        });
    }

    fn hears_anew(&mut self, place: usize, now: Now) {
        let changes = self.changes;
        let link = &mut self.links[place];
        let outgoing = match &link.kind {
            Kind::Federate(federate) => {
                let outgoing = federate.outgoing;
                if outgoing {
                    self.withdraw(place, now);
                    self.links[place].replay = Replay::with_contacts(changes);
                }
                outgoing
            }
            Kind::Neighbour(neighbour) => {
                let outgoing = neighbour.outgoing;
                if outgoing {
                    link.replay = Replay::of_events(changes);
                }
                outgoing
            }
            Kind::Client => {
                link.replay = Replay::of_events(changes);
                true
            }
            Kind::Commands => false,
        };
        if outgoing {
            self.links[place].outbox.wake();
        }
    }

    /// The groups that what a link of a local network sends is put into.
    #[inline(always)]
    pub(super) fn said_by(&self, from: LinkId) -> GroupSet {
        let link = self.links.get(usize::from(from.0));
        link.map_or(GroupSet::NONE, |link| link.groups.says)
    }

    /// The groups of a federate's message.
    ///
    /// # Errors
    /// [`Reason::NoGroup`] when it is in none.
    #[inline(always)]
    pub(super) fn groups_of(
        &self,
        from: LinkId,
        message: &Federated<'_>,
    ) -> Result<GroupSet, Reason> {
        let Some(link) = self.links.get(usize::from(from.0)) else {
            return Err(Reason::NoGroup);
        };
        let groups = match &link.kind {
            Kind::Federate(federate) => match &federate.mapping {
                None => link.groups.says,
                Some(mapping) => {
                    let table = self.envelope.table();
                    mapping.groups(message.groups(), table, link.groups.says)
                }
            },
            _ => link.groups.says,
        };
        match groups.is_empty() {
            true => Err(Reason::NoGroup),
            false => Ok(groups),
        }
    }

    /// The local network that a link is in; none for a federate.
    pub(super) fn network_of(&self, from: LinkId) -> Option<Network> {
        let link = self.links.get(usize::from(from.0))?;
        (!matches!(link.kind, Kind::Federate(_))).then_some(link.network)
    }

    /// A peer is a Federation Hub, by what it said of itself: it has no users, and passes on what it gets.
    pub fn note_hub(&mut self, peer: &str, is_hub: bool) {
        for link in &mut self.links {
            if let Kind::Federate(federate) = &mut link.kind
                && federate.name == peer
            {
                federate.is_hub = is_hub;
            }
        }
    }

    /// The names of groups.
    pub fn groups(&self) -> &GroupTable {
        self.envelope.table()
    }
}
