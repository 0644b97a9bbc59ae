//! The federation listener: federation v2 where ALPN says `h2`, v1 where there is no ALPN (protocol reference 1.3, 2).

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::{Protocol, Subnet, allows};
use crate::link::board::{Hindrance, PeerState};
use crate::link::door::{Door, Guest, Place};
use crate::link::fed1;
use crate::link::gauge::Gauge;
use crate::link::grpc::scope::TaskScope;
use crate::link::grpc::status::{Code, Status};
use crate::link::handshake::Failure;
use crate::link::narrow::narrow;
use crate::link::nat::{Link, quiet};
use crate::link::refusals::Refusals;
use crate::link::socket;
use crate::link::tls::FEDERATION_ALPN;
use crate::pki::{Fingerprint, Refusal};

use super::{accepted, prove};
use crate::link::federate::connect::TLS_BUFFER;
use crate::link::federate::node::{Identify, Node, PeerSettings};
use crate::link::federate::registry::{Cutter, stopped};
use crate::link::federate::trouble::Trouble;

/// Connections that one peer may have: the one that carries its events, its standby, and one that will replace either.
const MOST_OF_ONE: usize = 3;

/// What a listener needs.
pub struct AcceptorSettings {
    /// Shared by all links.
    pub node: Arc<Node>,
    /// Our side of the handshake; it must demand a client certificate and judge it.
    pub tls: Arc<ServerConfig>,
    /// Whose certificate that was.
    pub identify: Identify,
    /// Who may do a TLS handshake; all listeners of the box share it.
    pub door: Door,
    /// Where refused handshakes are counted.
    pub refusals: Refusals,
    /// Fingerprint of our certificate.
    pub leaf: Leaf,
    /// From where anybody may connect; empty: from everywhere.
    pub allow: Vec<Subnet>,
}

/// Tells the fingerprint of our certificate, which may be renewed while the box runs.
pub type Leaf = Arc<dyn Fn() -> String + Send + Sync>;

impl fmt::Debug for AcceptorSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptorSettings").finish_non_exhaustive()
    }
}

/// Accepts federates on any number of listeners. Dropping it cuts every connection; [`Acceptor::shutdown`] says
/// goodbye first.
#[derive(Debug)]
pub struct Acceptor {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    tasks: TaskScope,
}

struct Shared {
    node: Arc<Node>,
    tls: Arc<ServerConfig>,
    identify: Identify,
    door: Door,
    refusals: Refusals,
    leaf: Leaf,
    allow: Vec<Subnet>,
    connections: Mutex<Vec<Open>>,
    tasks: TaskScope,
}

/// A connection that is up, and how to end it.
struct Open {
    peer: String,
    cutter: Weak<watch::Sender<Option<Status>>>,
}

impl Acceptor {
    /// Without listeners yet.
    pub fn new(settings: AcceptorSettings) -> Self {
        let tasks = TaskScope::new();
        Self {
            shared: Arc::new(Shared {
                node: settings.node,
                tls: settings.tls,
                identify: settings.identify,
                door: settings.door,
                refusals: settings.refusals,
                leaf: settings.leaf,
                allow: settings.allow,
                connections: Mutex::default(),
                tasks: tasks.clone(),
            }),
            stop: watch::Sender::new(false),
            tasks,
        }
    }

    /// Accepts on one more listener, until [`Self::shutdown`].
    pub fn listen(&self, listener: TcpListener) {
        self.tasks.spawn(accept(
            Arc::clone(&self.shared),
            listener,
            self.stop.subscribe(),
        ));
    }

    /// Cuts every connection of a peer (removed, paused, changed), telling it why. It is gone within two seconds,
    /// and nothing passes any more as soon as its task has run once.
    pub fn cut(&self, peer: &str, why: &str) {
        let status = Status::new(Code::Unavailable, why);
        for open in lock(&self.shared.connections).iter() {
            if open.peer == peer
                && let Some(cutter) = open.cutter.upgrade()
            {
                cutter.send_replace(Some(status.clone()));
            }
        }
    }

    /// Places for handshakes that are free.
    #[cfg(test)]
    pub(super) fn free_handshakes(&self) -> usize {
        self.shared.door.free()
    }

    /// Stops listening; ends every connection with UNAVAILABLE, GOAWAY and TLS close_notify, within two seconds.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        let most = self.shared.node.timing.closing + Duration::from_millis(500);
        let _ = timeout(most, self.tasks.idle()).await;
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.tasks.end();
    }
}

impl Shared {
    /// Counts a handshake that did not come about.
    fn refused(&self, address: SocketAddr, failure: &Failure) {
        let now = self.node.hub.now().mono_ms;
        self.refusals.count("federate", address, failure, now);
    }

    /// Notes one more connection of a peer; false when it has too many. An older one that carries nothing then makes
    /// room, so that the peer's next attempt succeeds.
    fn open(&self, peer: &str, cutter: &Cutter) -> bool {
        let mut connections = lock(&self.connections);
        connections.retain(|open| open.cutter.strong_count() > 0);
        let older: Vec<Cutter> = connections
            .iter()
            .filter(|open| open.peer == peer)
            .filter_map(|open| open.cutter.upgrade())
            .collect();
        if older.len() >= MOST_OF_ONE {
            let registry = &self.node.registry;
            if let Some(idle) = older.iter().find(|older| !registry.holds(peer, older)) {
                let told = "too many connections of this federate";
                idle.send_replace(Some(Status::new(Code::Aborted, told)));
            }
            return false;
        }
        connections.push(Open {
            peer: peer.to_owned(),
            cutter: Arc::downgrade(cutter),
        });
        true
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => return,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: the next attempt at once would spin.
                tracing::warn!(%error, "a federate could not be accepted");
                sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        if !allows(&shared.allow, address.ip()) {
            shared.refused(address, &Failure::NotAllowed);
            continue;
        }
        let Some(guest) = shared.door.arrive(address.ip()) else {
            shared.refused(address, &Failure::Crowded);
            continue;
        };
        let (inner, stop) = (Arc::clone(&shared), stop.clone());
        shared
            .tasks
            .spawn(newcomer(inner, guest, stream, address, stop));
    }
}

/// Somebody at the door. All that comes after is boxed, so that those who wait cost no room for it.
async fn newcomer(
    shared: Arc<Shared>,
    guest: Guest,
    stream: TcpStream,
    address: SocketAddr,
    mut stop: watch::Receiver<bool>,
) {
    let place = tokio::select! {
        place = guest.place(shared.node.timing.handshake) => place,
        () = stopped(&mut stop) => return,
    };
    match place {
        Ok(place) => Box::pin(connection(&shared, place, stream, address, stop)).await,
        Err(failure) => shared.refused(address, &failure),
    }
}

async fn connection(
    shared: &Arc<Shared>,
    place: Place,
    stream: TcpStream,
    address: SocketAddr,
    mut stop: watch::Receiver<bool>,
) {
    let stream = tokio::select! {
        stream = handshake(shared, place, stream, address) => stream,
        () = stopped(&mut stop) => return,
    };
    let (stream, peer) = match stream {
        Ok(known) => known,
        Err(trouble) => {
            if let Some(failure) = trouble.handshake() {
                shared.refused(address, &failure);
            } else {
                tracing::warn!(%address, "a federate at {address} was turned away: {trouble}");
            }
            return;
        }
    };
    if stream.get_ref().1.alpn_protocol() == Some(quiet::ALPN) {
        // More than there is room for are let go; the peer tries again later.
        if let Some(_place) = shared.node.keeper.answer_place() {
            tokio::select! {
                () = quiet::answer(stream) => {}
                () = stopped(&mut stop) => {}
            }
        }
        return;
    }
    let link = Gauge::of(stream.get_ref().0).map(|gauge| Link::new(gauge, None));
    let link = link.ok();
    if let Some(link) = &link {
        shared.node.keeper.begin(&peer.name, link);
    }
    let cutter: Cutter = Arc::new(watch::Sender::new(None));
    if !shared.open(&peer.name, &cutter) {
        tracing::warn!(%address, peer = peer.name, "{}: has {MOST_OF_ONE} connections already", peer.name);
        return;
    }
    let node = Arc::clone(&shared.node);
    // Boxed, so that strangers in their handshake cost no room for it.
    let address = address.to_string();
    if peer.protocol == Protocol::V1 {
        let leaves = ((shared.leaf)(), leaf_of(&stream));
        let accepted = fed1::accepted::Accepted {
            node,
            peer,
            leaves,
            address,
            link,
            cutter,
        };
        return Box::pin(fed1::accepted::serve(accepted, stream, stop)).await;
    }
    Box::pin(accepted::serve(
        node, peer, address, stream, link, cutter, stop,
    ))
    .await;
}

async fn handshake(
    shared: &Shared,
    place: Place,
    stream: TcpStream,
    address: SocketAddr,
) -> Result<(TlsStream<TcpStream>, PeerSettings), Trouble> {
    let tls = TlsAcceptor::from(Arc::clone(&shared.tls));
    let mut stream = place
        .handshake(tls, stream, shared.node.timing.handshake)
        .await
        .map_err(|refused| {
            if let Some(stream) = refused.stream {
                shared.door.see_off(stream);
            }
            Trouble::of_failure(refused.failure)
        })?;
    let session = stream.get_ref().1;
    let chain = session.peer_certificates().unwrap_or_default();
    let owned: Vec<_> = chain.iter().map(|one| one.clone().into_owned()).collect();
    let Some(mut peer) = (shared.identify)(&owned) else {
        return Err(Trouble::Handshake(Failure::Refused(Refusal::Unregistered)));
    };
    if !allows(&peer.sources, address.ip()) {
        return Err(elsewhere(shared, &peer.name, address));
    }
    peer.vow = prove::vow(&peer, session)?;
    let spoken = session.alpn_protocol();
    if spoken == Some(quiet::ALPN) {
        return Ok((stream, peer));
    }
    if let Some(leaf) = owned.first() {
        shared.node.board.set_leaf(&peer.name, leaf);
    }
    let trouble = match (spoken, peer.protocol) {
        (Some(FEDERATION_ALPN), Protocol::V2) | (None, Protocol::V1) => None,
        (None, Protocol::V2) => Some(Trouble::Speaks(1)),
        (Some(FEDERATION_ALPN), Protocol::V1) => Some(Trouble::Speaks(2)),
        // Nothing else is offered.
        (Some(_), _) => Some(Trouble::NoHttp2),
    };
    if let Some(trouble) = trouble {
        let node = &shared.node;
        if !node.registry.is_live(&peer.name) {
            let reason = trouble.to_string();
            node.board.set_hindrance(&peer.name, trouble.hindrance());
            node.board.set(
                &peer.name,
                PeerState::Waiting,
                reason,
                node.hub.now().wall_ms,
            );
        }
        return Err(trouble);
    }
    let prepared = socket::prepare(stream.get_ref().0, peer.keepalive_seconds);
    if let Err(error) = prepared.and_then(|()| narrow(stream.get_ref().0, peer.rate)) {
        tracing::warn!(peer = peer.name, %error, "TCP options refused by the system");
    }
    stream.get_mut().1.set_buffer_limit(Some(TLS_BUFFER));
    Ok((stream, peer))
}

/// It has shown a peer's certificate, from where that peer may not come.
fn elsewhere(shared: &Shared, peer: &str, address: SocketAddr) -> Trouble {
    let node = &shared.node;
    if !node.registry.is_live(peer) {
        node.board.set_hindrance(peer, Hindrance::Source);
        let words = format!(
            "its certificate was shown from {}, from where it may not come: see `source_addresses`",
            address.ip()
        );
        let now = node.hub.now().wall_ms;
        node.board.set(peer, PeerState::Waiting, words, now);
    }
    Trouble::Handshake(Failure::SourceAddress)
}

/// Fingerprint of the certificate that the other end showed.
fn leaf_of(stream: &TlsStream<TcpStream>) -> String {
    let shown = stream.get_ref().1.peer_certificates();
    let leaf = shown.and_then(<[_]>::first);
    leaf.map_or_else(String::new, |leaf| Fingerprint::of(leaf).to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
