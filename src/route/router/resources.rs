//! Resource messages (ROL) beside the events: they do not pass the router, but the same groups, provenance and hops count
//! for them, and they are told apart and labelled as events are.

use super::{Kind, Router};
use crate::cot::federated::is_last_hop;
use crate::counters::Reason;
use crate::route::groups::GroupSet;
use crate::route::link::LinkId;
use crate::wire::fig::{self, Federated};

impl Router {
    /// The groups of a federate's resource message; `envelope` are its fields 3 to 6, whose numbers are those of events.
    ///
    /// # Errors
    /// Why it goes no further: it cannot be read, it is ours, it is in no group. Nothing is counted.
    pub fn resource_groups(&self, from: LinkId, envelope: &[u8]) -> Result<GroupSet, Reason> {
        let message = fig::parse(envelope, self.envelope.id())?;
        if message.seen {
            return Err(Reason::Loop);
        }
        self.groups_of(from, &message)
    }

    /// What goes around a resource message on its way to a federate, fields 3 to 6: made new for one that begins here
    /// (`came_with` is none), else what other federates wrote with our provenance and one hop more. `their_id` is the
    /// federate's own id, empty if it is not known.
    ///
    /// # Errors
    /// Why it is not for that federate: no group in common, it passed there already, its hops are used up.
    pub fn resource_envelope(
        &self,
        to: LinkId,
        groups: GroupSet,
        came_with: Option<&[u8]>,
        their_id: &[u8],
    ) -> Result<Vec<u8>, Reason> {
        let link = self.links.get(usize::from(to.0)).filter(|link| link.up);
        let link = link.ok_or(Reason::LinkDown)?;
        let Kind::Federate(federate) = &link.kind else {
            return Err(Reason::NoGroup);
        };
        if !link.groups.hears.meets(groups) {
            return Err(Reason::NoGroup);
        }
        let mut out = Vec::with_capacity(came_with.map_or(0, <[u8]>::len) + 128);
        let Some(came_with) = came_with else {
            (self.envelope).put_tail(&mut out, federate.label, groups, None);
            return Ok(out);
        };
        let message: Federated<'_> = fig::parse(came_with, their_id)?;
        if message.seen && !their_id.is_empty() {
            return Err(Reason::Loop);
        }
        if federate.is_hub && is_last_hop(&message) {
            return Err(Reason::HopLimit);
        }
        (self.envelope).put_relayed_as(&mut out, &message, federate.label, groups)?;
        Ok(out)
    }

    /// Whether anything waits in a link's outbox.
    pub fn has_waiting(&self, id: LinkId) -> bool {
        let link = self.links.get(usize::from(id.0));
        link.is_some_and(|link| link.outbox.queued() > 0)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::clock::Now;
    use crate::config::Limits;
    use crate::route::groups::{Groups, PeerPolicy};
    use crate::route::{LinkSpec, Settings, Wire};
    use crate::wire::cold::{FederateHops, FederateProvenance, Rol};

    const OWN: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const NOW: Now = Now {
        mono_ms: 1,
        wall_ms: 1_795_298_400_000,
    };

    fn router() -> (Router, [LinkId; 2]) {
        let mut router = Router::new(Settings::of(&Limits::default(), OWN.to_owned(), 1));
        let mut attach = |name: &str| {
            let spec = LinkSpec::Federate {
                name: name.to_owned(),
                incoming: false,
                outgoing: false,
                wire: Wire::Federated,
            };
            router.attach(spec, NOW)
        };
        let links = [attach("bravo"), attach("charlie")];
        (router, links)
    }

    fn envelope(ids: &[&str], max_hops: i64, current_hops: i64) -> Vec<u8> {
        Rol {
            federate_groups: vec!["theirs".into()],
            federate_provenance: ids
                .iter()
                .map(|id| FederateProvenance {
                    federation_server_id: (*id).to_owned(),
                    federation_server_name: String::new(),
                })
                .collect(),
            federate_hops: Some(FederateHops {
                max_hops,
                current_hops,
            }),
            ..Rol::default()
        }
        .encode_to_vec()
    }

    #[test]
    fn a_relayed_mission_carries_one_id_and_one_hop_more() {
        let (router, [bravo, charlie]) = router();
        let came = envelope(&["bravo-id"], -1, 1);
        let groups = router.resource_groups(bravo, &came).unwrap();
        let goes = router.resource_envelope(charlie, groups, Some(&came), b"charlie-id");
        let goes = Rol::decode(goes.unwrap().as_slice()).unwrap();
        let ids: Vec<_> = (goes.federate_provenance.iter())
            .map(|one| one.federation_server_id.as_str())
            .collect();
        assert_eq!(ids, ["bravo-id", OWN]);
        assert_eq!(goes.federate_hops.unwrap().current_hops, 2);
        assert_eq!(goes.federate_groups, ["theirs"], "as it came");
    }

    #[test]
    fn nothing_goes_in_a_circle_or_further_than_it_may() {
        let (router, [bravo, charlie]) = router();
        let ours = envelope(&["bravo-id", OWN], -1, 2);
        assert_eq!(router.resource_groups(bravo, &ours), Err(Reason::Loop));
        let to = |came: &[u8]| {
            router.resource_envelope(charlie, GroupSet::ALL, Some(came), b"charlie-id")
        };
        assert_eq!(to(&envelope(&["charlie-id"], -1, 1)), Err(Reason::Loop));
        assert_eq!(to(&envelope(&["x"], 1, 1)), Err(Reason::HopLimit));
        assert!(to(&envelope(&["x"], 2, 1)).is_ok());
        assert_eq!(to(&[0x2a, 9]), Err(Reason::BadMessage));
        let down = router.resource_envelope(LinkId(9), GroupSet::ALL, None, b"");
        assert_eq!(down, Err(Reason::LinkDown));
    }

    #[test]
    fn groups_count_for_packages_too() {
        let (mut router, [bravo, charlie]) = router();
        let mut groups = Groups::default();
        let red = groups.table.add("red");
        let mut policy = PeerPolicy::plain("charlie");
        policy.membership.hears = red;
        policy.label.names = Some(red);
        policy.label.max_hops = 3;
        groups.peers.push(policy);
        router.set_groups(&groups, NOW);
        let to = |groups| router.resource_envelope(charlie, groups, None, b"");
        assert_eq!(to(GroupSet::DEFAULT), Err(Reason::NoGroup));
        let told = Rol::decode(to(GroupSet::DEFAULT | red).unwrap().as_slice()).unwrap();
        assert_eq!(told.federate_groups, ["red"]);
        assert_eq!(told.federate_hops.unwrap().max_hops, 3);
        assert_eq!(told.federate_provenance[0].federation_server_id, OWN);
        assert!(router.resource_groups(bravo, &[]).is_ok());
        assert!(!router.has_waiting(bravo));
    }
}
