//! Dials one peer, for as long as it is configured: one attempt at a time, when the [`Plan`] says so or the
//! network changes. While a connection carries events, a [`Deputy`] looks after its successor.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::link::board::PeerState;
use crate::link::route_watch::{self, Changes};

use super::deputy::{Deputy, Successor};
use super::dialled;
use super::node::{Node, PeerSettings};
use super::opened::Opened;
use super::plan::{Outcome, Plan};
use super::pulse::Pulse;
use super::registry::stopped;
use super::trouble::{Trouble, chance};
use super::way::{Loud, Way};

/// After an attempt was begun, a change of routes waits this long before it begins the next one.
const BETWEEN_CHANGES: Duration = Duration::from_millis(250);

/// The task that dials one peer. Dropping it cuts the connection at once, without a goodbye; [`Dialler::stop`] says
/// goodbye first.
#[derive(Debug)]
pub struct Dialler {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
    closing: Duration,
}

impl Dialler {
    /// Begins to dial. A peer without an address is never dialled; its task ends at once.
    pub fn spawn(node: Arc<Node>, peer: PeerSettings, tls: Arc<ClientConfig>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let closing = node.timing.closing;
        let task = tokio::spawn(dial(node, peer, tls, stopped));
        Self {
            stop,
            task: Some(task),
            closing,
        }
    }

    /// Ends the connection: what waits in the outbox is flushed, the streams half-closed, TLS closed; within two
    /// seconds.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(task) = &mut self.task
            && timeout(self.closing + Duration::from_millis(500), task)
                .await
                .is_ok()
        {
            self.task = None;
        }
    }
}

impl Drop for Dialler {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn dial(
    node: Arc<Node>,
    peer: PeerSettings,
    tls: Arc<ClientConfig>,
    mut stop: watch::Receiver<bool>,
) {
    let Some(way) = Way::new(Arc::clone(&node), Arc::new(peer), tls) else {
        return;
    };
    let mut dialling = Dialling {
        plan: Plan::new(node.timing.pauses(), way.addresses()),
        deputy: Deputy::new(way),
        changes: node.routes.subscribe(),
        node,
    };
    let mut ready = None;
    loop {
        let opened = match ready.take() {
            Some(opened) => opened,
            // Between connections there is nobody to say goodbye to.
            None => tokio::select! {
                opened = dialling.next() => opened,
                () = stopped(&mut stop) => return,
            },
        };
        match dialling.carry(opened, &mut stop).await {
            Over::Stopped => return,
            Over::Handed(successor) => ready = Some(*successor),
            Over::Failed(pause) => tokio::select! {
                () = dialling.wait(pause) => {}
                () = stopped(&mut stop) => return,
            },
        }
    }
}

/// How a connection ended.
enum Over {
    /// On request.
    Stopped,
    /// Another one takes over.
    Handed(Box<Opened>),
    /// The next attempt comes after this pause.
    Failed(Duration),
}

struct Dialling {
    node: Arc<Node>,
    plan: Plan,
    deputy: Deputy,
    changes: watch::Receiver<Changes>,
}

impl Dialling {
    /// Tries until a connection is there.
    async fn next(&mut self) -> Opened {
        let peer = Arc::clone(self.deputy.way.peer());
        loop {
            self.stand_by().await;
            // A peer that dialled us needs no dialling; its state is the accepting side's to tell.
            self.node.registry.vacated(&peer.name).await;
            let _ = self.changes.borrow_and_update();
            let begun = Instant::now();
            let attempt = self.deputy.way.reach(self.plan.address(), Loud::Yes);
            let trouble = tokio::select! {
                reached = attempt => match reached {
                    Ok(opened) => return opened,
                    Err(trouble) => trouble,
                },
                // What was sent into the old network is not waited for.
                () = route_watch::came(&mut self.changes) => {
                    sleep_until(begun + BETWEEN_CHANGES).await;
                    self.came();
                    continue;
                }
            };
            let pause = self.ended(&trouble, None);
            self.wait(pause).await;
        }
    }

    /// A fallback is dialled only while the peer that it stands in for is down.
    async fn stand_by(&self) {
        let peer = self.deputy.way.peer();
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

    /// Waits, unless the network changes.
    async fn wait(&mut self, pause: Duration) {
        let begun = Instant::now();
        let mut over = std::pin::pin!(sleep(pause));
        loop {
            tokio::select! {
                () = &mut over => return,
                () = route_watch::came(&mut self.changes) => if self.came() {
                    sleep_until(begun + BETWEEN_CHANGES.min(pause)).await;
                    return;
                }
            }
        }
    }

    fn came(&mut self) -> bool {
        self.deputy.way.network_changed();
        self.plan.route_came()
    }

    /// Runs a connection until it ends, and looks after its successor meanwhile.
    async fn carry(&mut self, opened: Opened, stop: &mut watch::Receiver<bool>) -> Over {
        let (node, peer) = (Arc::clone(&self.node), Arc::clone(self.deputy.way.peer()));
        let pulse = Pulse::default();
        self.deputy.began(&opened);
        let companion = opened.companion.clone();
        let (retire, mut retired) = watch::channel(false);
        let mut run = Box::pin(dialled::run(&node, &peer, opened, &pulse, &mut retired));
        let main = peer.fallback.as_ref();
        let up_again = async {
            match main {
                // Long enough that a link which flaps does not drag this one along.
                Some((main, after)) => node.registry.up_for(main, *after * 3).await,
                None => std::future::pending().await,
            }
        };
        let trouble = tokio::select! {
            result = &mut run => match result {
                Ok(()) => return Over::Stopped,
                Err(trouble) => trouble,
            },
            successor = self.deputy.watch(&pulse, &companion, &mut self.changes) => {
                let opened = match successor {
                    Successor::Instead(opened) => opened,
                    Successor::Better(opened) => {
                        retire.send_replace(true);
                        let _ = run.as_mut().await;
                        opened
                    }
                    Successor::Nobody(latched) => {
                        drop(run);
                        let pause = self.ended(&Trouble::Latched(latched), pulse.held());
                        return Over::Failed(pause);
                    }
                };
                self.plan.well();
                return Over::Handed(opened);
            }
            () = up_again => {
                retire.send_replace(true);
                let _ = run.as_mut().await;
                return Over::Failed(Duration::ZERO);
            }
            () = stopped(stop) => {
                retire.send_replace(true);
                let _ = run.as_mut().await;
                return Over::Stopped;
            }
        };
        drop(run);
        if let Some(opened) = self.deputy.standby() {
            tracing::warn!(
                peer = peer.name,
                "{}: {trouble}; the standby takes over",
                peer.name
            );
            return Over::Handed(Box::new(opened));
        }
        let pause = self.ended(&trouble, pulse.held());
        Over::Failed(pause)
    }

    /// Counts what ended, says so, and gives the pause before the next attempt.
    fn ended(&mut self, trouble: &Trouble, held: Option<Duration>) -> Duration {
        if held.is_some() {
            self.plan.well();
        }
        let outcome = Outcome {
            held: held.unwrap_or_default(),
            certificate: trouble.is_certificate(),
        };
        let pause = self.plan.ended(outcome, chance());
        report(&self.node, self.deputy.way.peer(), trouble, pause);
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
