//! The attempts at one peer: one at a time, when the [`Plan`] says so or the network changes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::link::board::PeerState;
use crate::link::route_watch::{self, Changes};

use super::node::{Node, PeerSettings};
use super::plan::{Outcome, Plan};
use super::trouble::{Trouble, chance};
use super::way::Way;

/// After an attempt was begun, a change of routes waits this long before it begins the next one.
const BETWEEN_CHANGES: Duration = Duration::from_millis(250);

/// What an attempt opens.
pub trait Open: Sized + Send {
    /// One attempt at one address of the peer.
    fn open(way: &mut Way, address: usize) -> impl Future<Output = Result<Self, Trouble>> + Send;
}

/// The attempts.
#[derive(Debug)]
pub struct Attempts {
    /// When the next one comes, and where it goes.
    pub plan: Plan,
    /// Changes of the network.
    pub changes: watch::Receiver<Changes>,
    node: Arc<Node>,
}

impl Attempts {
    /// None made yet.
    pub fn new(way: &Way) -> Self {
        let node = Arc::clone(way.node());
        Self {
            plan: Plan::new(node.timing.pauses(), way.addresses()),
            changes: node.routes.subscribe(),
            node,
        }
    }

    /// Tries until a connection is there.
    pub async fn next<O: Open>(&mut self, way: &mut Way) -> O {
        let peer = Arc::clone(way.peer());
        loop {
            self.stand_by(&peer).await;
            // A peer that dialled us needs no dialling; its state is the accepting side's to tell.
            self.node.registry.vacated(&peer.name).await;
            let _ = self.changes.borrow_and_update();
            let begun = Instant::now();
            let trouble = tokio::select! {
                reached = O::open(way, self.plan.address()) => match reached {
                    Ok(opened) => return opened,
                    Err(trouble) => trouble,
                },
                // What was sent into the old network is not waited for.
                () = route_watch::came(&mut self.changes) => {
                    sleep_until(begun + BETWEEN_CHANGES).await;
                    self.came(way);
                    continue;
                }
            };
            let pause = self.ended(&peer, &trouble, None);
            self.wait(way, pause).await;
        }
    }

    /// A fallback is dialled only while the peer that it stands in for is down.
    async fn stand_by(&self, peer: &PeerSettings) {
        if let Some((main, after)) = &peer.fallback {
            let words = format!(
                "stands in for {main}, which is not down for {} s",
                after.as_secs()
            );
            let now = self.node.hub.now().wall_ms;
            self.node
                .board
                .set(&peer.name, PeerState::Waiting, words, now);
            self.node.registry.down_for(main, *after).await;
        }
    }

    /// Waits until the peer that this one stands in for has been up for long; for ever where it stands in for nobody.
    pub fn main_is_up(&self, peer: &PeerSettings) -> impl Future<Output = ()> + Send + use<> {
        let (registry, fallback) = (self.node.registry.clone(), peer.fallback.clone());
        async move {
            match fallback {
                // Long enough that a link which flaps does not drag this one along.
                Some((main, after)) => registry.up_for(&main, after * 3).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Waits, unless the network changes.
    pub async fn wait(&mut self, way: &mut Way, pause: Duration) {
        let begun = Instant::now();
        let mut over = std::pin::pin!(sleep(pause));
        loop {
            tokio::select! {
                () = &mut over => return,
                () = route_watch::came(&mut self.changes) => if self.came(way) {
                    sleep_until(begun + BETWEEN_CHANGES.min(pause)).await;
                    return;
                }
            }
        }
    }

    fn came(&mut self, way: &mut Way) -> bool {
        way.network_changed();
        self.plan.route_came()
    }

    /// Counts what ended, says so, and gives the pause before the next attempt. `held` is how long it was well, if it
    /// ever was.
    pub fn ended(
        &mut self,
        peer: &PeerSettings,
        trouble: &Trouble,
        held: Option<Duration>,
    ) -> Duration {
        if held.is_some() {
            self.plan.well();
        }
        let outcome = Outcome {
            held: held.unwrap_or_default(),
            certificate: trouble.is_certificate(),
        };
        let pause = self.plan.ended(outcome, chance());
        report(&self.node, peer, trouble, pause);
        pause
    }
}

fn report(node: &Node, peer: &PeerSettings, trouble: &Trouble, pause: Duration) {
    // The connection that the peer dialled meanwhile writes the state.
    if node.registry.is_live(&peer.name) {
        return;
    }
    let seconds = pause.as_secs_f64().ceil();
    tracing::warn!(
        peer = peer.name,
        next_attempt_seconds = seconds,
        "{}: not connected: {trouble}",
        peer.name
    );
    node.board.set_hindrance(&peer.name, trouble.hindrance());
    let reason = format!("{trouble}; waiting {seconds} s before the next attempt");
    node.board.set(
        &peer.name,
        PeerState::Waiting,
        reason,
        node.hub.now().wall_ms,
    );
}
