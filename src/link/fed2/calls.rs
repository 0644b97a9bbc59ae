//! The calls that the dialling side makes, each with the task that reads its answer.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use crate::link::grpc::body::{GrpcBody, Part};
use crate::link::grpc::call::{self, Messages};
use crate::link::grpc::frame::framed;
use crate::link::grpc::scope::TaskScope;
use crate::link::grpc::status::{Code, Status};
use crate::link::keepalive::Announcement;
use crate::wire::cold::{ClientHealth, FederateGroups, Health, ServerHealth, Subscription};

use super::companion::{Companion, Feature};
use super::flow::Flow;
use super::intake;
use super::keeping::Keeping;
use super::names::{Introduction, KEEPALIVE, MethodName};
use super::pulse::Pulse;
use super::rol;
use crate::link::federate::node::{Node, PeerSettings};
use crate::link::federate::trouble::{HEALTH_ANSWER, Trouble};

/// A health check over a link with a byte budget must be answered within this.
const THIN_DEADLINE: Duration = Duration::from_secs(11);

/// What the tasks of a connection tell the one that conducts it.
#[derive(Debug)]
pub enum Signal {
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

/// The calls of one connection.
#[derive(Debug)]
pub struct Calls<'a> {
    /// Who we are.
    pub node: &'a Arc<Node>,
    /// Who the peer is.
    pub peer: &'a PeerSettings,
    /// Sends them.
    pub caller: Caller,
    /// How we introduce ourselves in all of them.
    pub introduction: Introduction,
    /// The tasks that read the answers.
    pub readers: TaskScope,
    /// The connection's events.
    pub flow: Arc<Flow>,
    /// How well it is.
    pub pulse: Pulse,
    /// Keeps ClientFederateGroupsStream open.
    pub group_updates: Option<mpsc::Sender<Part>>,
    /// What goes over ServerROLStream.
    pub rol: Arc<rol::Outgoing>,
}

impl Calls<'_> {
    /// The peer's events to us. What comes before the flow is attached waits under flow control.
    pub fn open_client_events(&mut self) {
        let method = MethodName::ClientEventStream;
        let body = GrpcBody::request(framed(&self.introduction.dialling()));
        let answer = self.caller.open(method, body);
        let (flow, node) = (Arc::clone(&self.flow), Arc::clone(self.node));
        let companion = self.caller.companion.clone();
        self.caller.watch(&self.readers, method, async move {
            // The peer may send no headers for minutes: nothing waits for this.
            let mut body = answer.await?;
            flow.attached().await;
            companion.timed().await;
            let ended = intake::read(&mut body, &flow, &node).await?;
            Err(ended.status())
        });
    }

    /// The peer's groups; SERVING in them opens our ServerEventStream.
    pub fn open_server_groups(&mut self) {
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

    /// Our events to the peer, for as long as the flow lasts.
    pub fn open_server_events(&mut self) {
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

    /// Our groups to the peer; the call stays open for later changes.
    pub fn open_client_groups(&mut self) {
        let method = MethodName::ClientFederateGroupsStream;
        let (updates, parts) = mpsc::channel(4);
        // The channel is new and has room.
        let (groups, peer) = (self.node.groups.clone(), self.peer.name.clone());
        let told = groups.message(&peer, &self.introduction, false);
        let _ = updates.try_send(Part::Data(framed(&told)));
        let (introduction, stream) = (self.introduction.clone(), updates.downgrade());
        (self.readers).spawn(groups.keep_told(peer, introduction, told, stream));
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

    /// The first answer within 15 s of ClientEventStream, then one every 3 s (pitfall 9), or as boxes agree on.
    pub fn check_health(&self, first: Instant, keeping: Keeping) {
        let (caller, timing) = (self.caller.clone(), self.node.timing.clone());
        let (pulse, flow) = (self.pulse.clone(), Arc::clone(&self.flow));
        // On a thin link the answer stands behind events; TAK Server bears 15 s between two checks.
        let thin = self.peer.rate.map_or(Duration::ZERO, |_| THIN_DEADLINE);
        self.readers.spawn(async move {
            let mut first = Some(first);
            let mut previous = None;
            loop {
                let plan = keeping.plan();
                let within = match plan.is_stretched() {
                    true => plan.health_deadline,
                    false => timing.health_deadline.max(thin),
                };
                let latest = Instant::now() + within;
                let deadline = first.take().map_or(latest, |first| first.min(latest));
                let handed = flow.handed();
                pulse.begin();
                let checked = timeout_at(deadline, caller.health(plan.announcement))
                    .await
                    .unwrap_or(Err(Trouble::TimedOut(HEALTH_ANSWER)));
                match checked {
                    // Some peers never end the call: it is let go of when the next one is due, not reset at once.
                    Ok(open) => drop(previous.replace(open)),
                    Err(trouble) => {
                        let _ = caller.signals.send(Signal::Failed(trouble)).await;
                        return;
                    }
                }
                keeping.well();
                pulse.answered();
                if !caller.companion.has(Feature::Receipt) {
                    // All that is known of other peers: what they had before the question arrived before it.
                    flow.took(handed);
                }
                let _ = caller.signals.send(Signal::Healthy).await;
                tokio::select! {
                    () = sleep(plan.health_every) => {}
                    () = pulse.asked() => {}
                }
            }
        });
    }

    /// Without it the peer ignores resources (pitfall 14). A hub ends it with OK after catching up: it is opened again
    /// (pitfall 19), with a pause lest that becomes a loop.
    pub fn open_client_rol(&mut self) {
        let method = MethodName::ClientRolStream;
        let body = GrpcBody::request(framed(&self.introduction.dialling()));
        let answer = self.caller.open(method, body);
        let (flow, node) = (Arc::clone(&self.flow), Arc::clone(self.node));
        let peer = self.peer.name.clone();
        self.watch_rol(method, async move {
            match answer.await {
                Ok(mut body) => rol::receiving::read(&mut body, &flow, &node, &peer)
                    .await
                    .status(),
                Err(status) => status,
            }
        });
    }

    /// What we have for the peer beside events.
    pub fn open_server_rol(&mut self) {
        let method = MethodName::ServerRolStream;
        let body = GrpcBody::request_source(rol::Sending::of(&self.rol));
        let answer = self.caller.open(method, body);
        let rol = Arc::clone(&self.rol);
        self.watch_rol(method, async move {
            let status = match answer.await {
                Ok(mut body) => call::drain(&mut body, |_| Ok(())).await.status(),
                Err(status) => status,
            };
            if status.code == Code::Unimplemented {
                rol.shut();
            }
            status
        });
    }

    /// Events matter more than resources: a ROL stream that fails does not take the link along.
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

/// Sends calls on one connection.
#[derive(Debug, Clone)]
pub struct Caller {
    sender: SendRequest<GrpcBody>,
    authority: String,
    signals: mpsc::Sender<Signal>,
    companion: Companion,
}

impl Caller {
    /// Calls on `sender`, with `authority` as dialled; what comes of them goes to `signals`, what their heads say to
    /// `companion`.
    pub fn new(
        sender: SendRequest<GrpcBody>,
        authority: &str,
        signals: mpsc::Sender<Signal>,
        companion: Companion,
    ) -> Self {
        Self {
            sender,
            authority: authority.to_owned(),
            signals,
            companion,
        }
    }

    /// The peer as another box.
    pub fn companion(&self) -> &Companion {
        &self.companion
    }

    /// Sends a call's head now, in the order of these calls; the future gives its answer's body.
    fn open(
        &mut self,
        method: MethodName,
        body: GrpcBody,
    ) -> impl Future<Output = Result<Incoming, Status>> + Send + use<> {
        self.open_path(&method.path(), body)
    }

    /// The same for any path.
    pub fn open_path(
        &mut self,
        path: &str,
        body: GrpcBody,
    ) -> impl Future<Output = Result<Incoming, Status>> + Send + use<> {
        self.open_announcing(path, body, None)
    }

    /// The same, and says when to expect the next.
    fn open_announcing(
        &mut self,
        path: &str,
        body: GrpcBody,
        announcement: Option<Announcement>,
    ) -> impl Future<Output = Result<Incoming, Status>> + Send + use<> {
        let sent = call::request(&self.authority, path, body).map(|mut request| {
            self.companion.mark_call(request.headers_mut());
            let announced = announcement.map(|announced| announced.text().parse());
            if let Some(Ok(announced)) = announced {
                request.headers_mut().insert(KEEPALIVE, announced);
            }
            self.sender.send_request(request)
        });
        let companion = self.companion.clone();
        async move {
            let answer = sent
                .map_err(|error| Status::new(Code::Internal, error.to_string()))?
                .await
                .map_err(|error| Status::new(Code::Unavailable, call::reason(&error)))?;
            companion.note(answer.headers());
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
    pub async fn health(
        &self,
        announcement: Option<Announcement>,
    ) -> Result<Messages<ServerHealth>, Trouble> {
        let method = MethodName::HealthCheck;
        let failed = |status| Trouble::Call {
            method: method.name(),
            status,
        };
        let question: Bytes = framed(&ClientHealth {
            status: Health::Serving.into(),
        });
        let body = GrpcBody::request(question);
        let mut caller = self.clone();
        let answer = caller.open_announcing(&method.path(), body, announcement);
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
