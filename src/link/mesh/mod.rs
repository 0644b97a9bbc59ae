//! The `mesh` link: the multicast with which ATAK devices find each other where there is no server (protocol reference 6.3).
//!
//! One link is one pair of groups (positions, chat) on one interface. What is heard there goes to the router as a client's
//! events do, and what the router has for the mesh is said there, each event in a datagram of its own.
//!
//! **What keeps several boxes on one network quiet**, also when they are federated with each other:
//!
//! 1. *Repeats are known in every form.* From the first mesh or server link on, the router compares what events say
//!    ([`crate::cot::content`]) and not their bytes: what came over the mesh as XML is known when it comes from a federate as
//!    `GeoEvent`, and the other way round. It is the exact content that is compared, never the uid alone.
//! 2. *One box speaks.* Boxes know of each other ([`beacon`]), take turns ([`speaker`]), and what somebody said already is
//!    not said again. Nothing that was heard on a mesh is said on it.
//! 3. *Nothing comes back as news.* What a box says on a mesh is not taken by its federates there: it comes to them by
//!    federation, if it is for them. So it cannot come back through another box's federation to somebody who would not know
//!    it again. A box that is no federate, or whose link is down, is heard like a device; what it said and we had is a repeat
//!    by 1, and chat and alarms are remembered for a day.
//!
//! **Who is meant.** Chat (`b-t-f…`) goes to the chat group, everything else to the other. What is addressed to somebody who
//! was heard on this mesh and named his endpoint goes there ([`company`]), by TCP or as a datagram as the endpoint says,
//! and not to everybody; without an endpoint that can be believed it is said to all.
//!
//! **Who is there.** Users become contacts by their own positions, and leave when those go stale by their own clock.
//!
//! **Silence.** With `outgoing = false` nothing is sent, no beacon either; only the kernel's own IGMP reports tell the
//! switches that somebody listens. A datagram longer than 8 KiB is not said, and one longer than 24 KiB not taken; both are
//! counted.

pub mod beacon;
pub mod company;
pub mod glance;
mod interface;
pub mod pace;
mod run;
mod serve;
mod sockets;
pub mod speaker;

use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use super::board::PeerBoard;
use super::hub::Hub;
use super::route_watch::Routes;
use crate::budget;
use crate::config::{self, MeshForm};
use crate::route::policy::Policy;
use crate::route::{Network, WATCHED_BYTES};

/// One mesh, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its name.
    pub name: String,
    /// The local network it is in.
    pub network: Network,
    /// The interface.
    pub interface: String,
    /// The group of positions.
    pub sa: SocketAddrV4,
    /// The group of chat.
    pub chat: SocketAddrV4,
    /// Routers that a datagram may pass, and one more.
    pub ttl: u8,
    /// How events are written.
    pub form: MeshForm,
    /// What is heard is taken.
    pub incoming: bool,
    /// What we have is said.
    pub outgoing: bool,
    /// What may cross; none = everything.
    pub policy: Option<Policy>,
}

impl Settings {
    /// Those of a configured mesh in that network.
    pub fn of(mesh: &config::Mesh, network: Network) -> Self {
        Self {
            name: mesh.name.clone(),
            network,
            interface: mesh.interface.clone(),
            sa: mesh.sa,
            chat: mesh.chat,
            ttl: mesh.ttl,
            form: mesh.form,
            incoming: mesh.incoming,
            outgoing: mesh.outgoing,
            policy: Policy::of(&mesh.filters, mesh.data_packages_in, mesh.data_packages_out),
        }
    }
}

/// Connections to people on all meshes at once.
const CONNECTIONS: usize = 4;

/// What all meshes of a box share.
#[derive(Debug, Clone)]
pub struct Shared {
    hub: Hub,
    board: PeerBoard,
    federates: PeerBoard,
    routes: Routes,
    id: speaker::BoxId,
    /// The datagram that is being read.
    room: Arc<Mutex<Box<[u8]>>>,
    connections: Arc<Semaphore>,
}

impl Shared {
    /// For a box of that federate id. States are written on the first board, which is the meshes' own; the second one is
    /// the federates'.
    pub fn new(
        hub: Hub,
        [board, federates]: [PeerBoard; 2],
        routes: Routes,
        federate_id: &str,
    ) -> Self {
        Self {
            hub,
            board,
            federates,
            routes,
            id: beacon::box_id(federate_id),
            room: Arc::default(),
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }
}

/// A mesh that runs. Dropping it ends it at once, without a goodbye.
#[derive(Debug)]
pub struct Mesh {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Mesh {
    /// Joins the groups, now or as soon as the interface is there; not before `instead_of`, whose place at the router it takes,
    /// has left.
    pub fn spawn(settings: Settings, shared: Shared, instead_of: Option<Self>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            if let Some(former) = instead_of {
                former.stop().await;
            }
            run::run(settings, shared, stopped).await;
        });
        Self {
            stop,
            task: Some(task),
        }
    }

    /// Says what is held back, and that this box leaves.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            // A mesh that panicked has nothing left to say.
            let _ = task.await;
        }
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

const _: () = assert!(
    speaker::HELD_BYTES + speaker::BYTES + company::BYTES + WATCHED_BYTES <= budget::MESH as usize
);
