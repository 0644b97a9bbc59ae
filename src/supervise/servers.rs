//! The TAK servers at which the box logs in, as configured.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::federation::Federation;
use crate::config::{Config, Server};
use crate::cot::flow_tag::own_uid;
use crate::link::board::{PeerBoard, PeerState};
use crate::link::hub::Hub;
use crate::link::server::{ServerLink, ServerNode};
use crate::route::Network;

/// All logins of the box.
#[derive(Debug)]
pub(super) struct Servers {
    node: Arc<ServerNode>,
    /// Every configured server as it was applied last.
    applied: BTreeMap<String, Server>,
    links: BTreeMap<String, ServerLink>,
}

impl Servers {
    /// No logins yet; [`Servers::apply`] brings them. What links share comes from federation.
    pub(super) fn new(
        config: &Config,
        federate_id: &str,
        hub: Hub,
        board: PeerBoard,
        federation: &Federation,
    ) -> Self {
        Self {
            node: Arc::new(ServerNode {
                hub,
                board,
                routes: federation.routes(),
                intake: federation.intake(&config.limits),
                own: federation.credentials(),
                moments: federation.clock().moments(),
                timing: federation.timing(),
                uid: own_uid(federate_id),
                name: config.name.clone(),
            }),
            applied: BTreeMap::new(),
            links: BTreeMap::new(),
        }
    }

    /// Makes the logins what the configuration says; what did not change is not touched. The words tell what did, if
    /// anything.
    pub(super) fn apply(&mut self, config: &Config) -> Option<String> {
        let wanted = config.servers.iter();
        let wanted = wanted.map(|server| (server.name.clone(), server.clone()));
        let old = std::mem::replace(&mut self.applied, wanted.collect());
        let mut changes = Vec::new();
        for (name, server) in &old {
            let now = self.applied.get(name);
            if now == Some(server) {
                continue;
            }
            // Dropping the link ends its connection at once.
            self.links.remove(name);
            self.node.board.clear_hindrance(name);
            if now.is_none() {
                self.node.board.forget(name);
            }
            let what = if now.is_some() { "changed" } else { "removed" };
            tracing::info!(server = name.as_str(), "{name}: login ended: it was {what}");
            changes.push(format!("server {name} {what}"));
        }
        for name in self.applied.keys().filter(|name| !old.contains_key(*name)) {
            changes.push(format!("server {name} added"));
        }
        for (name, server) in &self.applied {
            let board = &self.node.board;
            if !server.enabled {
                let now = self.node.hub.now().wall_ms;
                board.set(name, PeerState::Disabled, "enabled = false", now);
            } else if !self.links.contains_key(name) {
                board.set_address(name, &server.address);
                let node = Arc::clone(&self.node);
                let number = server.network.as_deref();
                let number = number.and_then(|name| config.network_number(name));
                let network = number.map_or(Network::LOCAL, Network);
                let link = ServerLink::spawn(node, server.clone(), network);
                self.links.insert(name.clone(), link);
            }
        }
        (!changes.is_empty()).then(|| changes.join(", "))
    }

    /// Says goodbye everywhere.
    pub(super) async fn shutdown(self) {
        let goodbyes: Vec<_> = (self.links.into_values())
            .map(|link| tokio::spawn(link.stop()))
            .collect();
        for goodbye in goodbyes {
            // A link that panicked has nothing left to say.
            let _ = goodbye.await;
        }
    }
}
