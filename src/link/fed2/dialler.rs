//! Dials one peer, for as long as it is configured. While a connection carries events, a [`Deputy`] looks after its
//! successor.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::watch;

use crate::link::federate::Dialler;
use crate::link::federate::attempts::Attempts;
use crate::link::federate::node::{Node, PeerSettings};
use crate::link::federate::registry::stopped;
use crate::link::federate::trouble::Trouble;
use crate::link::federate::way::Way;

use super::deputy::{Deputy, Successor};
use super::dialled;
use super::opened::Opened;
use super::pulse::Pulse;

/// Begins to dial. A peer without an address is never dialled; its task ends at once.
pub fn dial(node: Arc<Node>, peer: PeerSettings, tls: Arc<ClientConfig>) -> Dialler {
    let closing = node.timing.closing;
    Dialler::spawn(closing, |stop| run(node, peer, tls, stop))
}

async fn run(
    node: Arc<Node>,
    peer: PeerSettings,
    tls: Arc<ClientConfig>,
    mut stop: watch::Receiver<bool>,
) {
    let Some(way) = Way::new(Arc::clone(&node), Arc::new(peer), tls) else {
        return;
    };
    let mut dialling = Dialling {
        attempts: Attempts::new(&way),
        deputy: Deputy::new(way),
        node,
    };
    let mut ready = None;
    loop {
        let opened = match ready.take() {
            Some(opened) => opened,
            // Between connections there is nobody to say goodbye to.
            None => tokio::select! {
                opened = dialling.attempts.next(&mut dialling.deputy.way) => opened,
                () = stopped(&mut stop) => return,
            },
        };
        match dialling.carry(opened, &mut stop).await {
            Over::Stopped => return,
            Over::Handed(successor) => ready = Some(*successor),
            Over::Failed(pause) => tokio::select! {
                () = dialling.attempts.wait(&mut dialling.deputy.way, pause) => {}
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
    attempts: Attempts,
    deputy: Deputy,
}

impl Dialling {
    /// Runs a connection until it ends, and looks after its successor meanwhile.
    async fn carry(&mut self, opened: Opened, stop: &mut watch::Receiver<bool>) -> Over {
        let (node, peer) = (Arc::clone(&self.node), Arc::clone(self.deputy.way.peer()));
        let pulse = Pulse::default();
        self.deputy.began(&opened);
        let companion = opened.companion.clone();
        let (retire, mut retired) = watch::channel(false);
        let mut run = Box::pin(dialled::run(&node, &peer, opened, &pulse, &mut retired));
        let up_again = self.attempts.main_is_up(&peer);
        let trouble = tokio::select! {
            result = &mut run => match result {
                Ok(()) => return Over::Stopped,
                Err(trouble) => trouble,
            },
            successor = self.deputy.watch(&pulse, &companion, &mut self.attempts.changes) => {
                let opened = match successor {
                    Successor::Instead(opened) => opened,
                    Successor::Better(opened) => {
                        retire.send_replace(true);
                        let _ = run.as_mut().await;
                        opened
                    }
                    Successor::Nobody(latched) => {
                        drop(run);
                        let pause = self.attempts.ended(&peer, &Trouble::Latched(latched), pulse.held());
                        return Over::Failed(pause);
                    }
                };
                self.attempts.plan.well();
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
        let pause = self.attempts.ended(&peer, &trouble, pulse.held());
        Over::Failed(pause)
    }
}
