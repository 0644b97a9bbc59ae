//! The meshes of the box: started, changed and stopped as the configuration says, and how they stand.

use std::collections::BTreeMap;

use super::Shared;
use crate::api::meshes::MeshStatus;
use crate::api::status::{PeerState, counts, time};
use crate::config::{Config, Mesh, MeshForm};
use crate::link::board::PeerBoard;
use crate::link::mesh;
use crate::link::route_watch::Routes;
use crate::route::{Network, Role};

/// All meshes of the box.
#[derive(Debug)]
pub(super) struct Meshes {
    shared: mesh::Shared,
    board: PeerBoard,
    running: BTreeMap<String, (mesh::Settings, mesh::Mesh)>,
}

impl Meshes {
    /// None yet; [`Meshes::apply`] brings them.
    pub(super) fn new(shared: &Shared, routes: Routes) -> Self {
        let (hub, board) = (shared.hub.clone(), shared.mesh_board.clone());
        board.record(shared.black_box.recorder().clone(), hub.clock());
        Self {
            shared: mesh::Shared::new(
                hub,
                [board.clone(), shared.board.clone()],
                routes,
                &shared.federate_id,
            ),
            board,
            running: BTreeMap::new(),
        }
    }

    /// Makes the meshes what the configuration says; what did not change is not touched. The words tell what did, if
    /// anything.
    pub(super) fn apply(&mut self, config: &Config) -> Option<String> {
        let mut changes = Vec::new();
        let removed = |name: &&String| config.meshes.iter().all(|mesh| mesh.name != **name);
        let removed: Vec<String> = self.running.keys().filter(removed).cloned().collect();
        for name in removed {
            if let Some((_, running)) = self.running.remove(&name) {
                tokio::spawn(running.stop());
            }
            self.board.forget(&name);
            changes.push(format!("mesh {name} removed"));
        }
        for mesh in &config.meshes {
            let network = (mesh.network.as_deref()).and_then(|name| config.network_number(name));
            let network = network.map_or(Network::LOCAL, Network);
            let settings = mesh::Settings::of(mesh, network);
            let former = match self.running.remove(&mesh.name) {
                Some((same, running)) if same == settings => {
                    self.running.insert(mesh.name.clone(), (same, running));
                    continue;
                }
                Some((_, former)) => {
                    changes.push(format!("mesh {} changed", mesh.name));
                    Some(former)
                }
                None => {
                    changes.push(format!("mesh {} added", mesh.name));
                    None
                }
            };
            let running = mesh::Mesh::spawn(settings.clone(), self.shared.clone(), former);
            self.running.insert(mesh.name.clone(), (settings, running));
        }
        (!changes.is_empty()).then(|| changes.join(", "))
    }

    /// Leaves all meshes.
    pub(super) async fn shutdown(self) {
        for (_, (_, running)) in self.running {
            running.stop().await;
        }
    }
}

impl Shared {
    /// How every mesh stands, in the order of the configuration.
    pub(super) fn meshes(&self, config: &Config) -> Vec<MeshStatus> {
        config.meshes.iter().map(|mesh| self.mesh(mesh)).collect()
    }

    fn mesh(&self, mesh: &Mesh) -> MeshStatus {
        let (counters, now) = self.hub.with(|router, now| {
            let counters = router.neighbour_counters(Role::Mesh, &mesh.name);
            (counters.cloned().unwrap_or_default(), now)
        });
        let known = self
            .mesh_board
            .status_with(&mesh.name, &counters, now.wall_ms)
            .unwrap_or_default();
        let state = match PeerState::from(known.state) {
            _ if self.safe.is_some() => PeerState::Paused,
            state => state,
        };
        let joined = matches!(state, PeerState::Connected | PeerState::Flowing);
        let address = known.address.split_once(' ');
        MeshStatus {
            name: mesh.name.clone(),
            state,
            reason: match state {
                PeerState::Paused => "the box is in safe mode".to_owned(),
                PeerState::Connected if known.reason.is_empty() => {
                    "no event has crossed in the last minute".to_owned()
                }
                _ => known.reason,
            },
            interface: mesh.interface.clone(),
            address: address
                .filter(|_| joined)
                .map(|(_, address)| address.to_owned()),
            sa: mesh.sa.to_string(),
            chat: mesh.chat.to_string(),
            form: match mesh.form {
                MeshForm::Xml => "xml",
                MeshForm::Protobuf => "protobuf",
            }
            .to_owned(),
            incoming: mesh.incoming,
            outgoing: mesh.outgoing,
            events_in: counters.events_in,
            events_out: counters.events_out,
            last_heard: time(counters.last_heard_ms),
            dropped: counts(counters.reasons()),
        }
    }
}
