//! One connection that we dialled: the calls in the order that a TAK Server needs (protocol reference 1.4, second
//! table, and the sketch at the end of section 7).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::counters::Reason;
use crate::link::board::PeerState;
use crate::link::grpc::body::{GrpcBody, Part};
use crate::link::grpc::call::{self, Ended, Messages};
use crate::link::grpc::frame::{Decoder, Skipper, framed};
use crate::link::grpc::http2;
use crate::link::grpc::scope::TaskScope;
use crate::link::grpc::status::{Code, Status};
use crate::route::LinkSpec;
use crate::wire::cold::{ClientHealth, FederateGroups, Health, ServerHealth, Subscription};

use super::connect::Connected;
use super::flow::Flow;
use super::names::{Introduction, MethodName};
use super::node::{Node, PeerSettings};
use super::registry::{Candidate, Cutter, Side, stopped, told};
use super::trouble::Trouble;
use super::watched::Watched;

/// What the tasks of a connection tell the one that conducts it.
#[derive(Debug)]
enum Signal {
    /// The peer's group stream opened the gate, and perhaps said its federate id.
    Serving(String),
    /// The peer knows no group streams: an older one (protocol reference 1.2).
    NoGroupStream,
    /// The early Subscription on ServerEventStream.
    Subscribed(Subscription),
    /// A health check ended well.
    Healthy,
    /// A ROL stream ended.
    RolEnded(MethodName),
    /// The link cannot go on.
    Failed(Trouble),
}

/// Runs a connection until it ends or `stop` changes, and closes it. `Ok` = stopped on request.
///
/// # Errors
/// Why it ended.
pub async fn run(
    node: &Arc<Node>,
    peer: &PeerSettings,
    authority: &str,
    connected: Connected,
    stop: &mut watch::Receiver<bool>,
) -> Result<(), Trouble> {
    // Two scopes: our readers end first, then hyper gets time to say goodbye.
    let (readers, transport) = (TaskScope::new(), TaskScope::new());
    let (_readers, _transport) = (readers.guard(), transport.guard());
    let (stream, fault) = Watched::new(connected.stream);
    let (sender, connection) = timeout(
        node.timing.handshake,
        http2::client(transport.clone()).handshake::<_, GrpcBody>(TokioIo::new(stream)),
    )
    .await
    .map_err(|_| Trouble::TimedOut("starting HTTP/2"))?
    .map_err(|error| Trouble::Lost(call::reason(&error)))?;

    let (signals, inbox) = mpsc::channel(16);
    let ended = signals.clone();
    transport.spawn(async move {
        let why = match connection.await {
            Ok(()) => "the peer closed the connection".to_owned(),
            Err(error) => call::reason(&error),
        };
        let _ = ended.send(Signal::Failed(Trouble::Lost(why))).await;
    });
    let cutter: Cutter = Arc::new(watch::Sender::new(None));
    let mut cut = cutter.subscribe();
    let flow = Flow::new();
    let mut conductor = Conductor {
        node,
        peer,
        caller: Caller {
            sender,
            authority: authority.to_owned(),
            signals,
        },
        introduction: Introduction::new(node),
        readers: readers.clone(),
        flow: Arc::clone(&flow),
        cutter,
        inbox,
        group_updates: None,
        rol: None,
    };
    let result = tokio::select! {
        trouble = conductor.conduct() => Err(trouble),
        () = stopped(stop) => Ok(()),
        status = told(&mut cut) => Err(Trouble::Cut(status.message)),
    };
    // An alert or a reset says more than what HTTP/2 made of it.
    let result = result.map_err(|trouble| match (trouble, fault.take()) {
        (Trouble::Lost(_) | Trouble::Call { .. }, Some(fault)) => fault,
        (trouble, _) => trouble,
    });

    // Half-close our streams, let go of every call, and let hyper send GOAWAY and TLS close_notify.
    flow.finish(Status::ok());
    drop(conductor);
    let _ = timeout(node.timing.closing / 3, readers_done(&flow)).await;
    readers.end();
    let _ = timeout(node.timing.closing, transport.idle()).await;
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
    result
}

/// Waits until the outbox is empty and our event stream half-closed.
async fn readers_done(flow: &Flow) {
    while flow.is_read() {
        sleep(Duration::from_millis(10)).await;
    }
}

struct Conductor<'a> {
    node: &'a Arc<Node>,
    peer: &'a PeerSettings,
    caller: Caller,
    introduction: Introduction,
    readers: TaskScope,
    flow: Arc<Flow>,
    cutter: Cutter,
    inbox: mpsc::Receiver<Signal>,
    /// Keeps ClientFederateGroupsStream open.
    group_updates: Option<mpsc::Sender<Part>>,
    /// Keeps ServerROLStream open.
    rol: Option<mpsc::Sender<Part>>,
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
        let first_health = Instant::now() + self.node.timing.silence;
        // ClientEventStream first: contacts that the peer pushes before it is there are lost (pitfall 12).
        self.open_client_events();
        self.open_server_groups();
        let federate_id = self.gate().await?;
        self.attach(&federate_id).await?;
        self.open_server_events();
        self.early_reply().await?;
        // Our groups only now: before ServerEventStream is up the call dies (pitfall 13).
        self.open_client_groups();
        self.check_health(first_health);
        let mut serving = false;
        loop {
            match self.signal().await? {
                Signal::Healthy if !serving => {
                    serving = true;
                    self.flow.healthy();
                    let now = self.node.hub.now().wall_ms;
                    self.node
                        .board
                        .set(&self.peer.name, PeerState::Connected, "", now);
                    tracing::info!(peer = self.peer.name, "connected");
                    self.open_client_rol();
                    self.open_server_rol();
                }
                Signal::Healthy => self.flow.healthy(),
                Signal::RolEnded(MethodName::ClientRolStream) => self.open_client_rol(),
                Signal::RolEnded(_) => self.open_server_rol(),
                // SERVING a second time must not open a second ServerEventStream.
                Signal::Serving(_) | Signal::NoGroupStream => {}
                Signal::Subscribed(subscription) => self.note_identity(&subscription),
                Signal::Failed(trouble) => return Err(trouble),
            }
        }
    }

    /// Waits for SERVING, or for the answer that the peer knows no group streams.
    async fn gate(&mut self) -> Result<String, Trouble> {
        let wait = self.node.timing.groups;
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
        let deadline = Instant::now() + self.node.timing.reply;
        while let Ok(signal) = timeout_at(deadline, self.signal()).await {
            if let Signal::Subscribed(subscription) = signal? {
                self.note_identity(&subscription);
                return Ok(());
            }
        }
        Ok(())
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
            peer: &self.peer.name,
            side: Side::Dialled,
            federate_id,
            cutter: Arc::clone(&self.cutter),
        };
        let claim = self
            .node
            .registry
            .claim(candidate)
            .await
            .map_err(|_| Trouble::Taken)?;
        let port = self.node.hub.attach(LinkSpec::Federate {
            name: self.peer.name.clone(),
            incoming: self.peer.incoming,
            outgoing: self.peer.outgoing,
        });
        self.flow.attach(port, claim);
        Ok(())
    }

    fn note_identity(&self, subscription: &Subscription) {
        if let Some(identity) = &subscription.identity {
            self.node
                .board
                .set_federate_id(&self.peer.name, &identity.server_id);
        }
    }

    fn open_client_events(&mut self) {
        let method = MethodName::ClientEventStream;
        let body = GrpcBody::request(framed(&self.introduction.dialling()));
        let answer = self.caller.open(method, body);
        let (flow, limit) = (Arc::clone(&self.flow), self.node.message_limit);
        self.caller.watch(&self.readers, method, async move {
            // The peer may send no headers for minutes: nothing waits for this.
            let mut body = answer.await?;
            flow.attached().await;
            let mut decoder = Decoder::new(limit);
            let ended = call::drain(&mut body, |bytes| {
                decoder.feed(bytes, &mut |message| flow.receive(message))
            })
            .await;
            let ended = match ended {
                Ended::Finished(status) => match decoder.finish() {
                    Ok(()) => Ended::Finished(status),
                    Err(error) => Ended::Framing(error),
                },
                other => other,
            };
            if let Ended::Framing(error) = &ended {
                flow.refuse(*error);
            }
            Err(ended.status())
        });
    }

    fn open_server_groups(&mut self) {
        let method = MethodName::ServerFederateGroupsStream;
        let body = GrpcBody::request(framed(&self.introduction.dialling()));
        let answer = self.caller.open(method, body);
        let signals = self.caller.signals.clone();
        let (board, name, flow) = (
            self.node.board.clone(),
            self.peer.name.clone(),
            Arc::clone(&self.flow),
        );
        self.caller.watch(&self.readers, method, async move {
            let read = async {
                let mut messages = Messages::<FederateGroups>::new(answer.await?);
                loop {
                    let groups = messages.next().await.map_err(|ended| ended.status())?;
                    flow.heard();
                    board.set_groups(&name, &groups.federate_groups);
                    let origin = groups.federate_provenance.into_iter().next();
                    let id = origin
                        .map(|origin| origin.federation_server_id)
                        .unwrap_or_default();
                    if groups
                        .stream_update
                        .is_some_and(|update| update.status() == Health::Serving)
                    {
                        let _ = signals.send(Signal::Serving(id)).await;
                    }
                }
            };
            let result: Result<(), Status> = read.await;
            match result {
                Err(status) if status.code == Code::Unimplemented => {
                    let _ = signals.send(Signal::NoGroupStream).await;
                    Ok(())
                }
                other => other,
            }
        });
    }

    fn open_server_events(&mut self) {
        let method = MethodName::ServerEventStream;
        let body = GrpcBody::request_source(self.flow.reader());
        let answer = self.caller.open(method, body);
        let signals = self.caller.signals.clone();
        self.caller.watch(&self.readers, method, async move {
            let mut messages = Messages::<Subscription>::new(answer.await?);
            loop {
                let subscription = messages.next().await.map_err(|ended| ended.status())?;
                let _ = signals.send(Signal::Subscribed(subscription)).await;
            }
        });
    }

    fn open_client_groups(&mut self) {
        let method = MethodName::ClientFederateGroupsStream;
        let (updates, parts) = mpsc::channel(4);
        // The channel is new and has room.
        let _ = updates.try_send(Part::Data(framed(&self.introduction.groups(false))));
        self.group_updates = Some(updates);
        let answer = self.caller.open(method, GrpcBody::request_channel(parts));
        self.caller.watch(&self.readers, method, async move {
            match answer.await.map(Messages::<Subscription>::new) {
                Ok(mut messages) => loop {
                    match messages.next().await.map_err(|ended| ended.status()) {
                        Ok(_) => {}
                        Err(status) => return tolerated(status),
                    }
                },
                Err(status) => tolerated(status),
            }
        });
    }

    /// The first answer within 15 s of ClientEventStream, then one every 3 s (pitfall 9).
    fn check_health(&self, first: Instant) {
        let (caller, timing) = (self.caller.clone(), self.node.timing.clone());
        self.readers.spawn(async move {
            let mut deadline = first.min(Instant::now() + timing.health_deadline);
            let mut previous = None;
            loop {
                let checked =
                    timeout_at(deadline, caller.health())
                        .await
                        .unwrap_or(Err(Trouble::TimedOut(
                            "waiting for the answer to a health check",
                        )));
                match checked {
                    // Some peers never end the call: it is let go of when the next one is due, not reset at once.
                    Ok(open) => drop(previous.replace(open)),
                    Err(trouble) => {
                        let _ = caller.signals.send(Signal::Failed(trouble)).await;
                        return;
                    }
                }
                let _ = caller.signals.send(Signal::Healthy).await;
                sleep(timing.health_every).await;
                deadline = Instant::now() + timing.health_deadline;
            }
        });
    }

    /// Without it the peer ignores resources (pitfall 14). A hub ends it with OK after catching up: it is opened again
    /// (pitfall 19), with a pause lest that becomes a loop.
    fn open_client_rol(&mut self) {
        let method = MethodName::ClientRolStream;
        let body = GrpcBody::request(framed(&self.introduction.dialling()));
        let answer = self.caller.open(method, body);
        let flow = Arc::clone(&self.flow);
        self.watch_rol(method, async move {
            let mut body = match answer.await {
                Ok(body) => body,
                Err(status) => return status,
            };
            let mut skipper = Skipper::default();
            let ended = call::drain(&mut body, |bytes| {
                for _ in 0..skipper.feed(bytes)? {
                    flow.count(Reason::Resource);
                }
                Ok(())
            });
            ended.await.status()
        });
    }

    fn open_server_rol(&mut self) {
        let method = MethodName::ServerRolStream;
        let (rol, parts) = mpsc::channel(1);
        self.rol = Some(rol);
        let answer = self.caller.open(method, GrpcBody::request_channel(parts));
        self.watch_rol(method, async move {
            match answer.await {
                Ok(mut body) => call::drain(&mut body, |_| Ok(())).await.status(),
                Err(status) => status,
            }
        });
    }

    /// Events matter more than resources, which this release drops anyway: a ROL stream that fails does not take the
    /// link along.
    fn watch_rol(&self, method: MethodName, ended: impl Future<Output = Status> + Send + 'static) {
        let (signals, pause) = (self.caller.signals.clone(), self.node.timing.reopen);
        let peer = self.peer.name.clone();
        self.readers.spawn(async move {
            let status = ended.await;
            tracing::debug!(peer, method = method.name(), %status, "ended");
            if status.code != Code::Unimplemented {
                sleep(pause).await;
                let _ = signals.send(Signal::RolEnded(method)).await;
            }
        });
    }
}

/// An older peer has no such method; a call that ended with OK has nothing more to say. Neither ends the link.
fn tolerated(status: Status) -> Result<(), Status> {
    match status.code {
        Code::Ok | Code::Unimplemented => Ok(()),
        _ => Err(status),
    }
}

#[derive(Clone)]
struct Caller {
    sender: SendRequest<GrpcBody>,
    authority: String,
    signals: mpsc::Sender<Signal>,
}

impl Caller {
    /// Sends a call's head now, in the order of these calls; the future gives its answer's body.
    fn open(
        &mut self,
        method: MethodName,
        body: GrpcBody,
    ) -> impl Future<Output = Result<Incoming, Status>> + Send + 'static {
        let sent = call::request(&self.authority, &method.path(), body)
            .map(|request| self.sender.send_request(request));
        async move {
            let answer = sent
                .map_err(|error| Status::new(Code::Internal, error.to_string()))?
                .await
                .map_err(|error| Status::new(Code::Unavailable, call::reason(&error)))?;
            call::judge_answer(&answer)?;
            Ok(answer.into_body())
        }
    }

    /// Runs a call that the link cannot do without: its end is the link's end.
    fn watch(
        &self,
        readers: &TaskScope,
        method: MethodName,
        run: impl Future<Output = Result<(), Status>> + Send + 'static,
    ) {
        let signals = self.signals.clone();
        readers.spawn(async move {
            if let Err(status) = run.await {
                let method = method.name();
                let trouble = Trouble::Call { method, status };
                let _ = signals.send(Signal::Failed(trouble)).await;
            }
        });
    }

    /// One health check; gives back the call, which may still be open.
    async fn health(&self) -> Result<Messages<ServerHealth>, Trouble> {
        let method = MethodName::HealthCheck;
        let failed = |status| Trouble::Call {
            method: method.name(),
            status,
        };
        let question: Bytes = framed(&ClientHealth {
            status: Health::Serving.into(),
        });
        let answer = self.clone().open(method, GrpcBody::request(question));
        let mut messages = Messages::<ServerHealth>::new(answer.await.map_err(failed)?);
        // The first message is the answer, whether trailers follow or not (pitfall 8).
        let health = messages
            .next()
            .await
            .map_err(|ended| failed(ended.status()))?;
        match health.status() {
            Health::Serving => Ok(messages),
            Health::NotServing => Err(Trouble::Unwell("NOT_SERVING")),
            Health::NotConnected => Err(Trouble::Unwell("NOT_CONNECTED")),
            Health::Unknown => Err(Trouble::Unwell("UNKNOWN")),
        }
    }
}
