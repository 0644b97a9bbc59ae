//! What each peer is told of the groups it may get, when its link comes up and whenever that changes (protocol reference
//! 1.5), and what it says of its own.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::cot::federated::UNLIMITED;
use crate::cot::groups::GroupSet;
use crate::link::grpc::body::Part;
use crate::link::grpc::frame::framed;
use crate::route::groups::Groups;
use crate::wire::cold::{
    ConnectionType, FederateGroupHopLimit, FederateGroupHopLimits, FederateGroups, FederateHops,
    Identity,
};

use super::names::Introduction;

/// The groups of the box, as its links read them. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Announced {
    groups: Arc<watch::Sender<Arc<Groups>>>,
}

impl Announced {
    /// Other groups count from now on.
    pub fn set(&self, groups: Groups) {
        self.groups.send_if_modified(|known| {
            let is_new = **known != groups;
            *known = Arc::new(groups);
            is_new
        });
    }

    /// What a peer is told. `serving` opens its ServerEventStream and may be said once only (pitfall 11).
    pub fn message(
        &self,
        peer: &str,
        introduction: &Introduction,
        serving: bool,
    ) -> FederateGroups {
        let groups = Arc::clone(&self.groups.borrow());
        let policy = groups.peers.iter().find(|policy| policy.name == peer);
        let label = policy.map(|policy| &policy.label);
        let limits = |place: usize| {
            let mut listed = label.iter().flat_map(|label| &label.group_hops);
            let listed = listed.find(|(known, _)| *known == place);
            Some(FederateGroupHopLimit {
                group_name: groups.table.name(place)?.to_owned(),
                max_hops: listed.map_or(UNLIMITED, |&(_, most)| most),
                current_hops: 1,
            })
        };
        let limited = label.filter(|label| !label.group_hops.is_empty());
        let told = label.and_then(|label| label.names);
        FederateGroups {
            federate_groups: groups.announced(peer),
            federate_hops: Some(FederateHops {
                max_hops: label.map_or(UNLIMITED, |label| label.max_hops),
                current_hops: 1,
            }),
            federate_group_hop_limits: limited.map(|_| FederateGroupHopLimits {
                limits: (told.unwrap_or(GroupSet::DEFAULT).places())
                    .filter_map(limits)
                    .collect(),
                use_federate_group_hop_limits: true,
            }),
            ..introduction.groups(serving)
        }
    }

    /// Tells a peer of each change over an open group stream, for as long as that is open.
    pub async fn keep_told(
        self,
        peer: String,
        introduction: Introduction,
        told: FederateGroups,
        stream: mpsc::WeakSender<Part>,
    ) {
        let mut groups = self.groups.subscribe();
        let mut told = FederateGroups {
            stream_update: None,
            ..told
        };
        loop {
            let message = self.message(&peer, &introduction, false);
            if message != told {
                let Some(stream) = stream.upgrade() else {
                    return;
                };
                if stream.send(Part::Data(framed(&message))).await.is_err() {
                    return;
                }
                told = message;
            }
            if groups.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Whether who introduces itself so is a Federation Hub. A type that is not said reads as one (protocol reference 1.4).
pub fn is_hub(identity: &Identity) -> bool {
    matches!(
        identity.r#type(),
        ConnectionType::FederationHubServer | ConnectionType::FederationHubClient
    )
}
