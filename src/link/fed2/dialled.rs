//! One connection that we dialled: the calls in the order that a TAK Server needs (protocol reference 1.4, second
//! table, and the sketch at the end of section 7).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::link::board::PeerState;
use crate::link::grpc::scope::TaskScope;
use crate::link::grpc::status::Status;
use crate::link::nat::quiet::Way;
use crate::link::nat::{Link, measure};
use crate::route::{LinkSpec, Wire};
use crate::wire::cold::Subscription;

use super::calls::{Caller, Calls, Signal};
use super::companion::Feature;
use super::companion_calls;
use super::flow::Flow;
use super::groups;
use super::keeping::Keeping;
use super::names::{Introduction, MethodName};
use super::opened::Opened;
use super::pulse::Pulse;
use super::rol;
use crate::link::federate::node::{Node, PeerSettings};
use crate::link::federate::registry::{Candidate, Cutter, Origin, Side, stopped, told};
use crate::link::federate::trouble::Trouble;

/// Runs a connection until it ends or `stop` changes, and closes it. `Ok` = stopped on request. Dropping the future cuts
/// the connection at once.
///
/// # Errors
/// Why it ended.
pub async fn run(
    node: &Arc<Node>,
    peer: &PeerSettings,
    opened: Opened,
    pulse: &Pulse,
    stop: &mut watch::Receiver<bool>,
) -> Result<(), Trouble> {
    // Our readers end first, then hyper gets time to say goodbye.
    let readers = TaskScope::new();
    let _readers = readers.guard();
    let (fault, transport) = (opened.fault.clone(), opened.transport.clone());
    let (signals, inbox) = mpsc::channel(16);
    let (over, ended) = (opened.ended(), signals.clone());
    readers.spawn(async move {
        let _ = ended.send(Signal::Failed(over.await)).await;
    });
    let cutter: Cutter = Arc::new(watch::Sender::new(None));
    let mut cut = cutter.subscribe();
    let companion = opened.companion.clone();
    let flow = Flow::limited(
        peer.over(opened.uplink.as_ref()).rate,
        opened.meter.clone(),
        companion.packing().clone(),
    );
    let _leaves = Leaves(Arc::clone(&flow));
    let keeping = opened.keeping(node, peer);
    let origin = node.registry.next_attempt();
    companion.set_origin(origin);
    let caller = Caller::new(
        opened.sender.clone(),
        &opened.authority,
        signals,
        companion.clone(),
    );
    readers.spawn(companion_calls::dialled(
        node.companions.clone(),
        companion.clone(),
        caller.clone(),
        Arc::clone(&flow),
        readers.clone(),
    ));
    let mut conductor = Conductor {
        calls: Calls {
            node,
            peer,
            caller,
            introduction: Introduction::new(node),
            readers: readers.clone(),
            flow: Arc::clone(&flow),
            pulse: pulse.clone(),
            group_updates: None,
            rol: rol::Outgoing::new(node, &peer.name, &flow, readers.clone()),
        },
        keeping: keeping.clone(),
        way: opened.way.clone(),
        link: Arc::clone(&opened.link),
        cutter,
        origin,
        inbox,
    };
    let result = tokio::select! {
        trouble = conductor.conduct() => Err(trouble),
        () = stopped(stop) => Ok(()),
        status = told(&mut cut) => Err(Trouble::Cut(status.message)),
    };
    // An alert or a reset says more than what HTTP/2 made of it.
    let mut result = result.map_err(|trouble| match (trouble, fault.take()) {
        (Trouble::Lost(_) | Trouble::Call { .. }, Some(fault)) => fault,
        (trouble, _) => trouble,
    });
    let lost = match &result {
        Ok(()) | Err(Trouble::Cut(_)) => false,
        Err(_) => pulse.held().is_some(),
    };
    if lost {
        // It was well and is gone: what waits is for the next connection, and every moment counts.
        flow.detach();
        opened.link.gauge.reset();
    }
    // Half-close our streams, let go of every call, and let hyper send GOAWAY and TLS close_notify.
    flow.finish(Status::ok());
    drop(conductor);
    companion.hang_up();
    if !lost {
        let _ = timeout(node.timing.closing / 3, readers_done(&flow)).await;
        readers.end();
        let _ = timeout(node.timing.closing, transport.idle()).await;
    }
    // A call may fail before the refusal behind it has been read.
    if let (Err(Trouble::Lost(_) | Trouble::Call { .. }), Some(fault)) = (&result, fault.take())
        && fault.handshake().is_some()
    {
        result = Err(fault);
    }
    keeping.ended(result.as_ref().err());
    if let Err(trouble) = &result {
        let reason = trouble.to_string();
        node.board.set(
            &peer.name,
            PeerState::Waiting,
            reason,
            node.hub.now().wall_ms,
        );
    }
    flow.detach();
    drop(opened);
    result
}

/// However a connection ends, it leaves the router and makes room for the next one.
struct Leaves(Arc<Flow>);

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.detach();
    }
}

/// Waits until the outbox is empty and our event stream half-closed.
async fn readers_done(flow: &Flow) {
    while flow.is_read() {
        sleep(Duration::from_millis(10)).await;
    }
}

struct Conductor<'a> {
    calls: Calls<'a>,
    cutter: Cutter,
    origin: Origin,
    inbox: mpsc::Receiver<Signal>,
    keeping: Keeping,
    link: Arc<Link>,
    way: Way,
}

impl Conductor<'_> {
    /// Goes through the calls in their order; returns why that came to an end.
    async fn conduct(&mut self) -> Trouble {
        match self.steps().await {
            Ok(never) => never,
            Err(trouble) => trouble,
        }
    }

    async fn steps(&mut self) -> Result<Trouble, Trouble> {
        let first_health = Instant::now() + self.calls.node.timing.silence;
        // ClientEventStream first: contacts that the peer pushes before it is there are lost (pitfall 12).
        self.calls.open_client_events();
        self.calls.open_server_groups();
        let federate_id = self.gate().await?;
        self.attach(&federate_id).await?;
        self.calls.open_server_events();
        self.early_reply().await?;
        // Our groups only now: before ServerEventStream is up the call dies (pitfall 13).
        self.calls.open_client_groups();
        self.calls.check_health(first_health, self.keeping.clone());
        let mut serving = false;
        loop {
            match self.signal().await? {
                Signal::Healthy if !serving => {
                    serving = true;
                    self.calls.flow.healthy();
                    let now = self.calls.node.hub.now().wall_ms;
                    self.calls
                        .node
                        .board
                        .set(&self.calls.peer.name, PeerState::Connected, "", now);
                    let peer = self.calls.peer.name.as_str();
                    tracing::info!(peer, "{peer}: connected");
                    self.calls.open_client_rol();
                    self.calls.open_server_rol();
                    self.measure();
                }
                Signal::Healthy => self.calls.flow.healthy(),
                Signal::RolEnded(MethodName::ClientRolStream) => self.calls.open_client_rol(),
                Signal::RolEnded(_) => self.calls.open_server_rol(),
                // SERVING a second time must not open a second ServerEventStream.
                Signal::Serving(_) | Signal::NoGroupStream => {}
                Signal::Subscribed(subscription) => self.note_identity(&subscription),
                Signal::Failed(trouble) => return Err(trouble),
            }
        }
    }

    /// Waits for SERVING, or for the answer that the peer knows no group streams.
    async fn gate(&mut self) -> Result<String, Trouble> {
        let wait = self.calls.node.timing.groups;
        let deadline = Instant::now() + wait;
        loop {
            let signal = timeout_at(deadline, self.signal())
                .await
                .map_err(|_| Trouble::NoGroups(wait.as_secs()))??;
            match signal {
                Signal::Serving(federate_id) => return Ok(federate_id),
                Signal::NoGroupStream => return Ok(String::new()),
                _ => {}
            }
        }
    }

    /// A hub never answers early (pitfall 20), so the wait is short and nothing depends on it.
    async fn early_reply(&mut self) -> Result<(), Trouble> {
        let deadline = Instant::now() + self.calls.node.timing.reply;
        while let Ok(signal) = timeout_at(deadline, self.signal()).await {
            if let Signal::Subscribed(subscription) = signal? {
                self.note_identity(&subscription);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Learns, beside the link, how long the network remembers it when it is idle.
    fn measure(&self) {
        let Calls { node, peer, .. } = &self.calls;
        if self.calls.caller.companion().has(Feature::Quiet) {
            self.calls.readers.spawn(measure::run(
                node.keeper.clone(),
                Arc::clone(&self.link),
                self.way.clone(),
                node.hub.clone(),
                peer.name.clone(),
            ));
        }
    }

    async fn signal(&mut self) -> Result<Signal, Trouble> {
        match self.inbox.recv().await {
            Some(Signal::Failed(trouble)) => Err(trouble),
            Some(signal) => Ok(signal),
            // The caller holds a sender, so this cannot come.
            None => Err(Trouble::Lost("the connection ended".into())),
        }
    }

    async fn attach(&self, federate_id: &str) -> Result<(), Trouble> {
        let candidate = Candidate {
            peer: &self.calls.peer.name,
            side: Side::Dialled,
            federate_id,
            own_id: None,
            origin: Some(self.origin),
            cutter: Arc::clone(&self.cutter),
            challenge: self.calls.pulse.challenge(),
        };
        let claim = self
            .calls
            .node
            .registry
            .claim(candidate)
            .await
            .map_err(|_| Trouble::Taken)?;
        let now = self.calls.node.hub.now().wall_ms;
        self.calls
            .node
            .board
            .set_attached(&self.calls.peer.name, now);
        let port = self.calls.node.hub.attach(LinkSpec::Federate {
            name: self.calls.peer.name.clone(),
            incoming: self.calls.peer.incoming,
            outgoing: self.calls.peer.outgoing,
            wire: Wire::Federated,
        });
        self.calls.flow.attach(port, claim);
        Ok(())
    }

    fn note_identity(&self, subscription: &Subscription) {
        if let Some(identity) = &subscription.identity {
            let (node, peer) = (self.calls.node, &self.calls.peer.name);
            (node.hub).with(|router, _| router.note_hub(peer, groups::is_hub(identity)));
            self.calls
                .node
                .board
                .set_federate_id(&self.calls.peer.name, &identity.server_id);
        }
    }
}
