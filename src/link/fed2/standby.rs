//! A second connection to a peer over another uplink: it waits until it is needed, and between boxes it carries every
//! emergency a second time, both ways.
//!
//! It is TCP, TLS and HTTP/2 with a health check now and then, and none of the calls that make a federate: a TAK Server
//! knows a federate by those calls, and refuses a second one of the same certificate. Towards others than boxes it is
//! therefore made only to prove a better uplink before the peer returns to it. At the router the peer stays one link:
//! what comes here is handed over in its name, and what came on the other connection before is known by its content.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use hyper::body::Incoming;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::link::grpc::body::{GrpcBody, Part};
use crate::link::grpc::call::{self, Messages};
use crate::link::grpc::frame::framed;
use crate::link::grpc::scope::{ScopeGuard, TaskScope};
use crate::link::grpc::status::{Code, Status};
use crate::link::hub::Hub;
use crate::route::ASIDE_BYTES;

use super::calls::Caller;
use super::companion::{Feature, SERVICE};
use super::companion_desk::Companions;
use super::opened::Opened;
use super::prove::prove;
use crate::link::federate::node::{Node, PeerSettings};
use crate::link::federate::registry::Standby;
use crate::link::federate::trouble::Trouble;

/// The private call that carries emergencies both ways.
pub const METHOD: &str = "Standby";

/// Between two health checks of a connection that waits.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// Each must be answered within this.
const CHECK_WITHIN: Duration = Duration::from_secs(5);
/// Longest message around an emergency, bytes.
const MESSAGE_LIMIT: usize = ASIDE_BYTES + 64;

/// Tells other boxes that they may keep a standby here.
pub fn register(companions: &Companions) {
    companions.offer(Feature::Standby);
}

/// A connection that waits. Dropping it ends it.
#[derive(Debug)]
pub struct Warm {
    opened: Opened,
    caller: Caller,
    uplink: usize,
    since: Instant,
    failed: watch::Receiver<bool>,
    _tasks: ScopeGuard,
    _place: Standby,
}

impl Warm {
    /// Lets a connection wait.
    pub fn new(
        node: &Arc<Node>,
        peer: &PeerSettings,
        opened: Opened,
        uplink: usize,
        place: Standby,
    ) -> Self {
        let tasks = TaskScope::new();
        // It hears of its calls' ends itself.
        let (signals, _) = mpsc::channel(1);
        let companion = opened.companion.clone();
        let sender = opened.sender.clone();
        let caller = Caller::new(sender, &opened.authority, signals, companion.clone());
        let (fails, failed) = watch::channel(false);
        let (checks, over) = (caller.clone(), opened.ended());
        tasks.spawn(async move {
            tokio::select! {
                () = check(&checks) => {}
                _ = over => {}
            }
            fails.send_replace(true);
        });
        let (hub, name, alarms) = (node.hub.clone(), peer.name.clone(), caller.clone());
        let inner = tasks.clone();
        tasks.spawn(async move {
            if companion.known().await && companion.has(Feature::Standby) {
                carry(alarms, hub, name, inner).await;
            }
        });
        Self {
            caller,
            uplink,
            since: Instant::now(),
            failed,
            _tasks: tasks.guard(),
            _place: place,
            opened,
        }
    }

    /// The number of its uplink.
    pub fn uplink(&self) -> usize {
        self.uplink
    }

    /// Since when it waits.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Whether nothing is known against it.
    pub fn is_well(&self) -> bool {
        !*self.failed.borrow() && !self.opened.is_over()
    }

    /// Waits until it is of no use any more.
    pub async fn over(&self) {
        let mut failed = self.failed.clone();
        let _ = failed.wait_for(|&failed| failed).await;
    }

    /// Asks whether it is well now.
    pub async fn check(&self, within: Duration) -> bool {
        self.is_well() && timeout(within, answers(&self.caller)).await == Ok(true)
    }

    /// It waits no longer: it is to carry the peer.
    pub fn into_opened(self) -> Opened {
        self.opened
    }
}

/// Ends when the peer does not answer any more.
async fn check(caller: &Caller) {
    while timeout(CHECK_WITHIN, answers(caller)).await == Ok(true) {
        sleep(CHECK_EVERY).await;
    }
}

/// Whether the peer answers at all. That it does not know us as a federate on this connection is as it should be.
async fn answers(caller: &Caller) -> bool {
    matches!(caller.health(None).await, Ok(_) | Err(Trouble::Unwell(_)))
}

/// The dialling side.
async fn carry(mut caller: Caller, hub: Hub, peer: String, tasks: TaskScope) {
    if prove(caller.clone()).await.is_err() {
        // It will be told again, and louder, when it is to carry events.
        return;
    }
    let (messages, parts) = mpsc::channel(2);
    let path = format!("{SERVICE}{METHOD}");
    let answer = caller.open_path(&path, GrpcBody::request_channel(parts));
    tasks.spawn(send(hub.clone(), peer.clone(), messages));
    if let Ok(body) = answer.await {
        receive(&hub, &peer, body).await;
    }
}

/// The accepting side.
///
/// # Errors
/// RESOURCE_EXHAUSTED when the box has no place for a connection more.
pub fn accepted(
    node: &Arc<Node>,
    peer: &PeerSettings,
    tasks: &TaskScope,
    body: Incoming,
) -> Result<Response<GrpcBody>, Status> {
    let Some(place) = node.registry.standby() else {
        let words = "no place for a standby connection: max_federates";
        return Err(Status::new(Code::ResourceExhausted, words));
    };
    let (messages, parts) = mpsc::channel(2);
    let (hub, name) = (node.hub.clone(), peer.name.clone());
    tasks.spawn(send(hub.clone(), name.clone(), messages));
    tasks.spawn(async move {
        receive(&hub, &name, body).await;
        drop(place);
    });
    Ok(call::answer(GrpcBody::answer_channel(None, parts)))
}

/// Sends what the router sets aside for this peer, until the connection ends or a later standby takes it.
async fn send(hub: Hub, peer: String, messages: mpsc::Sender<Part>) {
    let aside = Aside {
        number: hub.with(|router, _| router.open_aside(&peer)),
        hub,
        peer,
    };
    loop {
        let next = poll_fn(|context| {
            aside
                .hub
                .with(|router, _| router.poll_aside(&aside.peer, aside.number, context))
        });
        let Some(event) = next.await else { return };
        if messages.send(Part::Data(framed(&event))).await.is_err() {
            return;
        }
    }
}

struct Aside {
    hub: Hub,
    peer: String,
    number: u64,
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.hub
            .with(|router, _| router.close_aside(&self.peer, self.number));
    }
}

async fn receive(hub: &Hub, peer: &str, body: Incoming) {
    let mut messages = Messages::<Bytes>::limited(body, MESSAGE_LIMIT);
    while let Ok(event) = messages.next().await {
        hub.with(|router, now| router.receive_aside(peer, &event, now));
    }
}
