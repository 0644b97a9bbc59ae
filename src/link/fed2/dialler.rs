//! Dials one peer, for as long as it is configured: one attempt at a time, with growing pauses.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::link::board::PeerState;

use super::connect::connect;
use super::dialled;
use super::node::{Node, PeerSettings};
use super::registry::stopped;
use super::trouble::{Backoff, Trouble, chance};

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
    let Some(address) = peer.address.clone() else {
        return;
    };
    let mut backoff = Backoff::new(&node.timing);
    loop {
        // A peer that dialled us needs no dialling; its state is the accepting side's to tell.
        tokio::select! {
            () = node.registry.vacated(&peer.name) => {}
            () = stopped(&mut stop) => return,
        }
        let begun = Instant::now();
        let trouble = match attempt(&node, &peer, &address, &tls, &mut stop).await {
            Ok(()) => return,
            Err(trouble) => trouble,
        };
        if begun.elapsed() >= node.timing.settled {
            backoff.settled();
        }
        let pause = backoff.pause(&trouble, chance());
        report(&node, &peer, &trouble, pause);
        tokio::select! {
            () = sleep(pause) => {}
            () = stopped(&mut stop) => return,
        }
    }
}

/// `Ok` = stopped on request.
async fn attempt(
    node: &Arc<Node>,
    peer: &PeerSettings,
    address: &str,
    tls: &Arc<ClientConfig>,
    stop: &mut watch::Receiver<bool>,
) -> Result<(), Trouble> {
    let now = node.hub.now().wall_ms;
    node.board.set_address(&peer.name, address);
    let doing = format!("connecting to {address}");
    node.board
        .set(&peer.name, PeerState::Connecting, doing, now);
    let connected = tokio::select! {
        connected = connect(peer, address, tls, &node.timing) => connected?,
        () = stopped(stop) => return Ok(()),
    };
    let doing = format!(
        "TLS is up with {}, waiting for the peer's groups and health",
        connected.address
    );
    node.board.set(
        &peer.name,
        PeerState::Connecting,
        doing,
        node.hub.now().wall_ms,
    );
    dialled::run(node, peer, address, connected, stop).await
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
