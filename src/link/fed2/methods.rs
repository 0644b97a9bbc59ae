//! What we answer to a peer that dialled us (protocol reference 1.1, 1.4).

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use prost::Message;
use tokio::sync::{OnceCell, mpsc};
use tokio::time::Instant;

use crate::counters::Reason;
use crate::link::board::PeerState;
use crate::link::grpc::body::{GrpcBody, Part};
use crate::link::grpc::call::{self, Ended, Messages};
use crate::link::grpc::frame::{FrameError, Skipper, framed};
use crate::link::grpc::scope::TaskScope;
use crate::link::grpc::status::{Code, Status};
use crate::link::keepalive::Announcement;
use crate::link::nat::Link;
use crate::route::{LinkSpec, Wire};
use crate::wire::cold::{ClientHealth, Empty, FederateGroups, Health, ServerHealth, Subscription};

use super::companion::{self, Companion, Feature};
use super::companion_calls;
use super::flow::Flow;
use super::groups;
use super::intake;
use super::names::{Introduction, MethodName};
use super::rol;
use super::secret;
use super::standby;
use crate::link::federate::node::{Node, PeerSettings};
use crate::link::federate::registry::{Candidate, Cutter, Side};
use crate::link::federate::trickle::Trickle;
use crate::link::federate::trouble;

/// ServerEventStreams of one connection. TAK opens a newer one beside the old one; more have no use.
const EVENT_STREAMS: usize = 2;

type Answer = Result<Response<GrpcBody>, Status>;

/// One connection's calls.
#[derive(Debug)]
pub struct Methods {
    node: Arc<Node>,
    peer: PeerSettings,
    address: String,
    link: Option<Arc<Link>>,
    introduction: Introduction,
    flow: Arc<Flow>,
    companion: Companion,
    rol: Arc<rol::Outgoing>,
    cutter: Cutter,
    readers: TaskScope,
    attached: OnceCell<()>,
    one_event: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    federate_id: String,
    /// The last sign that the peer is well; the connection's beginning counts as one.
    well: Instant,
    /// What its last health check announced.
    announced: Option<Announcement>,
    connected: bool,
    /// ServerEventStreams that are open: TAK opens a newer one beside the old one.
    event_streams: usize,
    /// The calls that stay open until we or the peer end them.
    held: Vec<mpsc::Sender<Part>>,
    ended: Option<Status>,
}

impl Methods {
    /// For a new connection of `peer` from `address`, which `status` shows by `link`. `cutter` ends it, `readers` holds its tasks.
    pub fn new(
        node: Arc<Node>,
        peer: PeerSettings,
        address: String,
        link: Option<Arc<Link>>,
        cutter: Cutter,
        readers: TaskScope,
    ) -> Arc<Self> {
        let companion = node.companions.companion(&peer.name, peer.is_packed());
        let meter = node.meters.connection(&peer.name);
        if let Some(rate) = peer.rate {
            companion.set_trickle(Trickle::new(rate, meter.clone()));
        }
        let flow = Flow::limited(peer.rate, meter, companion.packing().clone());
        companion.swear(peer.vow.clone());
        Arc::new(Self {
            introduction: Introduction::new(&node),
            rol: rol::Outgoing::new(&node, &peer.name, &flow, readers.clone()),
            flow,
            companion,
            node,
            peer,
            address,
            link,
            cutter,
            readers,
            attached: OnceCell::new(),
            one_event: tokio::sync::Mutex::new(()),
            state: Mutex::new(State {
                federate_id: String::new(),
                well: Instant::now(),
                announced: None,
                connected: false,
                event_streams: 0,
                held: Vec::new(),
                ended: None,
            }),
        })
    }

    /// The connection's events.
    pub fn flow(&self) -> &Arc<Flow> {
        &self.flow
    }

    /// The peer as another box.
    pub fn companion(&self) -> &Companion {
        &self.companion
    }

    /// Ends every open call with `status`, after what waits in the outbox.
    pub fn finish(&self, status: &Status) {
        let held = {
            let mut state = self.lock();
            state.ended.get_or_insert_with(|| status.clone());
            std::mem::take(&mut state.held)
        };
        self.flow.finish(status.clone());
        self.rol.finish(status.clone());
        for call in held {
            // A full channel ends with UNAVAILABLE when its sender is dropped here; nothing is lost.
            let _ = call.try_send(Part::End(status.clone()));
        }
    }

    /// Answers one call.
    ///
    /// # Errors
    /// None: a call that goes wrong is answered with its status.
    pub async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<GrpcBody>, Infallible> {
        if let Some(answer) = call::turn_away(&request) {
            return Ok(answer);
        }
        self.companion.note_call(request.headers());
        let method = MethodName::of_path(request.uri().path());
        if let Some(name) = request.uri().path().strip_prefix(companion::SERVICE) {
            let name = name.to_owned();
            let answer = self.private(&name, request.into_body()).await;
            return Ok(self.marked(answer));
        }
        let announced = self.announced(request.headers());
        let body = request.into_body();
        let answer = match method {
            Some(MethodName::ClientEventStream) => self.client_events(body).await,
            Some(MethodName::ServerEventStream) => self.server_events(body).await,
            Some(MethodName::HealthCheck) => self.health(body, announced).await,
            Some(MethodName::ServerFederateGroupsStream) => self.server_groups(body).await,
            Some(MethodName::ClientFederateGroupsStream) => Ok(self.client_groups(body)),
            Some(MethodName::ClientRolStream) => self.client_rol(body).await,
            Some(MethodName::ServerRolStream) => Ok(self.server_rol(body)),
            Some(MethodName::SendOneEvent) => self.one_event(body).await,
            Some(MethodName::SendOneBlob | MethodName::BinaryMessageStream) => {
                self.blobs(body).await
            }
            Some(MethodName::GetIdentity) => Ok(self.identity()),
            None => Err(Status::new(
                Code::Unimplemented,
                "this method is not served here",
            )),
        };
        Ok(self.marked(answer))
    }

    /// An answer says that a box gives it.
    fn marked(&self, answer: Answer) -> Response<GrpcBody> {
        let mut answer = answer.unwrap_or_else(|status| call::refusal(&status));
        self.companion.mark(answer.headers_mut());
        answer
    }

    async fn private(&self, name: &str, body: Incoming) -> Answer {
        if name == secret::METHOD {
            return self.hear_proof(body).await;
        }
        self.sworn()?;
        if name == standby::METHOD && self.companion.is_box() {
            return standby::accepted(&self.node, &self.peer, &self.readers, body);
        }
        let companions = &self.node.companions;
        companion_calls::answered(companions, &self.companion, &self.readers, name, body).await
    }

    async fn client_events(&self, body: Incoming) -> Answer {
        self.introduced(body).await?;
        self.attach().await?;
        self.lock().well = Instant::now();
        Ok(call::answer(GrpcBody::answer_source(self.flow.reader())))
    }

    async fn server_groups(&self, body: Incoming) -> Answer {
        self.introduced(body).await?;
        self.sworn()?;
        // SERVING at once and once only: never = the peer never sends; twice = it sends everything twice (pitfall 11).
        let (groups, peer) = (self.node.groups.clone(), self.peer.name.clone());
        let told = groups.message(&peer, &self.introduction, true);
        let (call, answer) = self.hold(Some(framed(&told)));
        let (introduction, stream) = (self.introduction.clone(), call.downgrade());
        (self.readers).spawn(groups.keep_told(peer, introduction, told, stream));
        Ok(answer)
    }

    async fn server_events(self: &Arc<Self>, mut body: Incoming) -> Answer {
        self.attach().await?;
        {
            let mut state = self.lock();
            if state.event_streams == EVENT_STREAMS {
                let words = "too many ServerEventStreams on one connection";
                return Err(Status::new(Code::ResourceExhausted, words));
            }
            state.event_streams += 1;
        }
        let (call, answer) = self.hold(Some(framed(&self.introduction.accepting())));
        let this = Arc::clone(self);
        self.readers.spawn(async move {
            this.flow.attached().await;
            this.companion.timed().await;
            let ended = intake::read(&mut body, &this.flow, &this.node).await;
            let others = {
                let mut state = this.lock();
                state.event_streams -= 1;
                state.event_streams
            };
            match ended {
                Err(status) => this.close(status),
                Ok(Ended::Finished(_)) => drop(call.try_send(Part::End(Status::ok()))),
                Ok(Ended::Framing(error)) => this.close(call::framing_status(error)),
                // Without its events the federate is gone; a newer stream beside it carries on.
                Ok(Ended::Lost(why)) if others == 0 => {
                    tracing::debug!(peer = this.peer.name, why, "ServerEventStream was reset");
                    let words = "the peer let go of ServerEventStream";
                    this.close(Status::new(Code::Cancelled, words));
                }
                Ok(Ended::Lost(_)) => {}
            }
        });
        Ok(answer)
    }

    async fn health(&self, body: Incoming, announced: Option<Announcement>) -> Answer {
        let health: ClientHealth = self.first(body).await?;
        let well = health.status() == Health::Serving;
        let registered = self.flow.is_read();
        if well {
            self.flow.healthy();
            // A box says more exactly what it has.
            self.flow.asked_again(!self.companion.has(Feature::Receipt));
            self.follow(announced.as_ref());
            let newly = {
                let mut state = self.lock();
                state.well = Instant::now();
                state.announced = announced;
                registered && !std::mem::replace(&mut state.connected, registered)
            };
            if newly {
                let now = self.node.hub.now().wall_ms;
                self.node
                    .board
                    .set(&self.peer.name, PeerState::Connected, "", now);
                let peer = self.peer.name.as_str();
                tracing::info!(peer, address = self.address, "{peer}: connected");
            }
        }
        let status = if registered {
            Health::Serving
        } else {
            Health::NotConnected
        };
        Ok(message(&ServerHealth {
            status: status.into(),
        }))
    }

    fn client_groups(self: &Arc<Self>, body: Incoming) -> Response<GrpcBody> {
        let (call, answer) = self.hold(Some(framed(&self.introduction.accepting())));
        let this = Arc::clone(self);
        self.readers.spawn(async move {
            let mut messages = Messages::<FederateGroups>::new(body);
            loop {
                match messages.next().await {
                    Ok(groups) => {
                        this.flow.heard();
                        this.node
                            .board
                            .set_groups(&this.peer.name, &groups.federate_groups);
                    }
                    Err(ended) => return this.reader_ended(&call, &ended),
                }
            }
        });
        answer
    }

    async fn client_rol(&self, body: Incoming) -> Answer {
        self.introduced(body).await?;
        Ok(call::answer(GrpcBody::answer_source(rol::Sending::of(
            &self.rol,
        ))))
    }

    fn server_rol(self: &Arc<Self>, mut body: Incoming) -> Response<GrpcBody> {
        let (call, answer) = self.hold(Some(framed(&self.introduction.accepting())));
        let this = Arc::clone(self);
        self.readers.spawn(async move {
            let ended = rol::receiving::read(&mut body, &this.flow, &this.node, &this.peer.name);
            this.reader_ended(&call, &ended.await);
        });
        answer
    }

    async fn one_event(&self, mut body: Incoming) -> Answer {
        self.attach().await?;
        // One after the other: each may need the memory of the largest event.
        let _turn = self.one_event.lock().await;
        match intake::read(&mut body, &self.flow, &self.node).await {
            Ok(Ended::Finished(_)) => Ok(message(&Empty {})),
            Ok(Ended::Lost(why)) => Err(Status::new(Code::Cancelled, why)),
            Ok(Ended::Framing(error)) => {
                let status = call::framing_status(error);
                self.close(status.clone());
                Err(status)
            }
            Err(status) => {
                self.close(status.clone());
                Err(status)
            }
        }
    }

    async fn blobs(&self, mut body: Incoming) -> Answer {
        let mut skipper = Skipper::default();
        let ended = call::drain(&mut body, |bytes| self.skip(&mut skipper, bytes)).await;
        match ended {
            Ended::Finished(_) => Ok(message(&Empty {})),
            Ended::Framing(error) => {
                self.unreadable(error);
                Err(call::framing_status(error))
            }
            Ended::Lost(_) => Err(ended.status()),
        }
    }

    fn identity(&self) -> Response<GrpcBody> {
        message(&self.introduction.accepting().identity.unwrap_or_default())
    }

    /// Reads the Subscription of a call and remembers who asks.
    async fn introduced(&self, body: Incoming) -> Result<(), Status> {
        let subscription: Subscription = self.first(body).await?;
        let identity = subscription.identity.unwrap_or_default();
        if identity.name.is_empty() {
            return Err(Status::new(
                Code::InvalidArgument,
                "the Subscription's identity has no name",
            ));
        }
        let is_hub = groups::is_hub(&identity);
        (self.node.hub).with(|router, _| router.note_hub(&self.peer.name, is_hub));
        if !identity.server_id.is_empty() {
            self.node
                .board
                .set_federate_id(&self.peer.name, &identity.server_id);
            self.lock().federate_id = identity.server_id;
        }
        Ok(())
    }

    /// Takes the peer's place and joins the router, on whichever event stream comes first.
    async fn attach(&self) -> Result<(), Status> {
        let attach = async {
            self.sworn()?;
            let federate_id = self.lock().federate_id.clone();
            let candidate = Candidate {
                peer: &self.peer.name,
                side: Side::Accepted,
                federate_id: &federate_id,
                own_id: None,
                origin: self.companion.their_origin(),
                cutter: Arc::clone(&self.cutter),
                challenge: Arc::default(),
            };
            let claim = self.node.registry.claim(candidate).await.map_err(|taken| {
                if !self.companion.is_box() {
                    trouble::both_dial(&self.node.board, &self.peer.name);
                }
                let status = Status::new(Code::AlreadyExists, taken.to_string());
                self.close(status.clone());
                status
            })?;
            let now = self.node.hub.now().wall_ms;
            self.node.board.set_attached(&self.peer.name, now);
            let port = self.node.hub.attach(LinkSpec::Federate {
                name: self.peer.name.clone(),
                incoming: self.peer.incoming,
                outgoing: self.peer.outgoing,
                wire: Wire::Federated,
            });
            self.flow.attach(port, claim);
            self.node.board.set_address(&self.peer.name, &self.address);
            Ok(())
        };
        self.attached.get_or_try_init(|| attach).await.map(|_| ())
    }

    /// A call that stays open: `first` is sent at once, the rest when the sender says so.
    fn hold(&self, first: Option<Bytes>) -> (mpsc::Sender<Part>, Response<GrpcBody>) {
        let (call, parts) = mpsc::channel(2);
        let mut state = self.lock();
        match &state.ended {
            // The channel is new and has room.
            Some(status) => drop(call.try_send(Part::End(status.clone()))),
            None => {
                state.held.retain(|held| !held.is_closed());
                state.held.push(call.clone());
            }
        }
        (call, call::answer(GrpcBody::answer_channel(first, parts)))
    }

    async fn first<M: Message + Default>(&self, body: Incoming) -> Result<M, Status> {
        Messages::new(body)
            .next()
            .await
            .map_err(|ended| match ended {
                Ended::Framing(error) => {
                    self.unreadable(error);
                    call::framing_status(error)
                }
                Ended::Finished(_) => {
                    Status::new(Code::InvalidArgument, "the call carries no message")
                }
                Ended::Lost(why) => Status::new(Code::InvalidArgument, why),
            })
    }

    fn skip(&self, skipper: &mut Skipper, bytes: &[u8]) -> Result<(), FrameError> {
        for _ in 0..skipper.feed(bytes)? {
            self.flow.count(Reason::Resource);
        }
        Ok(())
    }

    fn reader_ended(&self, call: &mpsc::Sender<Part>, ended: &Ended) {
        match ended {
            Ended::Finished(_) => drop(call.try_send(Part::End(Status::ok()))),
            Ended::Framing(error) => self.unreadable(*error),
            // The peer let go of this one call, or the connection is gone, which its own task sees.
            Ended::Lost(_) => {}
        }
    }

    /// Counts a frame that cannot be read, and closes the connection.
    fn unreadable(&self, error: FrameError) {
        self.flow.refuse(error);
        self.close(call::framing_status(error));
    }

    fn close(&self, status: Status) {
        self.cutter.send_replace(Some(status));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn message<M: Message>(message: &M) -> Response<GrpcBody> {
    call::answer(GrpcBody::answer(framed(message)))
}

mod proof;
mod schedule;
