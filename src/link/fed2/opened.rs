//! A connection that we dialled, with HTTP/2 on it and no calls yet: it may begin to carry events, or wait as a standby.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::config::Uplink;
use crate::link::grpc::body::GrpcBody;
use crate::link::grpc::call;
use crate::link::grpc::http2;
use crate::link::grpc::scope::{ScopeGuard, TaskScope};
use crate::link::meter::Meter;
use crate::link::nat::Link;
use crate::link::nat::quiet;
use crate::link::nat::table::{ONLY_UPLINK, Place};

use super::companion::Companion;
use super::keeping::Keeping;
use crate::link::federate::attempts::Open;
use crate::link::federate::connect::Connected;
use crate::link::federate::node::{Node, PeerSettings};
use crate::link::federate::trickle::Trickle;
use crate::link::federate::trouble::Trouble;
use crate::link::federate::watched::{Fault, Watched};
use crate::link::federate::way::{Loud, Way};

/// What a connection is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To carry the peer's events at once.
    Carry,
    /// To wait.
    Wait,
}

/// The connection. Dropping it ends it.
#[derive(Debug)]
pub struct Opened {
    /// Sends calls.
    pub sender: SendRequest<GrpcBody>,
    /// hyper's tasks.
    pub transport: TaskScope,
    /// Why the TLS stream broke.
    pub fault: Fault,
    /// What goes over it.
    pub meter: Meter,
    /// The peer as another box.
    pub companion: Companion,
    /// As dialled, `host:port`.
    pub authority: String,
    /// Where it leads.
    pub address: SocketAddr,
    /// The uplink that carries it.
    pub uplink: Option<Arc<Uplink>>,
    /// How to open another one beside it.
    pub way: quiet::Way,
    /// Its socket, and how it goes out.
    pub link: Arc<Link>,
    /// Its schedule, when it was made to carry events at once.
    keeping: Option<Keeping>,
    ended: watch::Receiver<Option<Trouble>>,
    _guard: ScopeGuard,
}

impl Open for Opened {
    async fn open(way: &mut Way, address: usize) -> Result<Self, Trouble> {
        Self::reach(way, address, Loud::Yes).await
    }
}

impl Opened {
    /// One attempt at one address, to carry the peer's events.
    ///
    /// # Errors
    /// What was wrong.
    pub async fn reach(way: &mut Way, address: usize, loud: Loud) -> Result<Self, Trouble> {
        let connected = way.reach(address, loud).await?;
        Self::begin(way, address, connected, Purpose::Carry).await
    }

    /// One attempt at one address over one uplink.
    ///
    /// # Errors
    /// What was wrong.
    pub async fn over(
        way: &mut Way,
        uplink: usize,
        address: usize,
        purpose: Purpose,
    ) -> Result<Self, Trouble> {
        let connected = way.over(uplink, address, Loud::No).await?;
        Self::begin(way, address, connected, purpose).await
    }

    async fn begin(
        way: &mut Way,
        address: usize,
        connected: Connected,
        purpose: Purpose,
    ) -> Result<Self, Trouble> {
        let (node, peer) = (Arc::clone(way.node()), Arc::clone(way.peer()));
        let uplink = way.number(connected.uplink.as_ref());
        let opened = Self::new(&node, &peer, way.authority(address), connected, purpose).await;
        if opened.is_err() {
            way.suspect(uplink);
        }
        opened
    }

    /// Starts HTTP/2.
    ///
    /// # Errors
    /// Why that failed.
    pub async fn new(
        node: &Arc<Node>,
        peer: &PeerSettings,
        authority: &str,
        connected: Connected,
        purpose: Purpose,
    ) -> Result<Self, Trouble> {
        let uplink = connected.uplink.as_ref();
        let name = uplink.map_or(ONLY_UPLINK, |uplink| uplink.name.as_str());
        let place = Place::of(name, connected.way.from.ip());
        let link = Link::new(connected.gauge, place);
        // A standby is made for little; one that takes over goes unpacked.
        let packed = purpose == Purpose::Carry && peer.over(uplink).is_packed();
        let companion = node.companions.companion(&peer.name, packed);
        let keeping = (purpose == Purpose::Carry).then(|| {
            let peer = peer.over(uplink);
            Keeping::new(node, &peer, Arc::clone(&link), companion.clone())
        });
        let pings = keeping.as_ref().and_then(Keeping::pings);
        let transport = TaskScope::new();
        let guard = transport.guard();
        let meter = node.meters.connection(&peer.name);
        if let Some(rate) = peer.over(uplink).rate {
            companion.set_trickle(Trickle::new(rate, meter.clone()));
        }
        let shown = connected.stream.get_ref().1.peer_certificates();
        if let Some(leaf) = shown.and_then(<[_]>::first) {
            node.board.set_leaf(&peer.name, leaf);
        }
        let (stream, fault) = Watched::new(connected.stream, meter.clone());
        let (sender, connection) = timeout(
            node.timing.handshake,
            http2::client(transport.clone(), pings).handshake::<_, GrpcBody>(TokioIo::new(stream)),
        )
        .await
        .map_err(|_| Trouble::TimedOut("starting HTTP/2"))?
        .map_err(|error| {
            let why = || Trouble::Lost(call::reason(&error));
            fault.take().unwrap_or_else(why)
        })?;
        let (over, ended) = watch::channel(None);
        transport.spawn(async move {
            let why = match connection.await {
                Ok(()) => "the peer closed the connection".to_owned(),
                Err(error) => call::reason(&error),
            };
            over.send_replace(Some(Trouble::Lost(why)));
        });
        Ok(Self {
            sender,
            transport,
            fault,
            meter,
            companion,
            authority: authority.to_owned(),
            address: connected.address,
            uplink: connected.uplink,
            way: connected.way,
            link,
            keeping,
            ended,
            _guard: guard,
        })
    }

    /// How it is kept alive while it carries events.
    pub fn keeping(&self, node: &Arc<Node>, peer: &PeerSettings) -> Keeping {
        match &self.keeping {
            Some(keeping) => keeping.clone(),
            // HTTP/2 was started without pings and stays so.
            None => Keeping::without_pings(
                node,
                &peer.over(self.uplink.as_ref()),
                Arc::clone(&self.link),
                self.companion.clone(),
            ),
        }
    }

    /// Waits until the connection is over.
    pub fn ended(&self) -> impl Future<Output = Trouble> + Send + use<> {
        over(self.ended.clone())
    }

    /// Whether the connection is over.
    pub fn is_over(&self) -> bool {
        self.ended.borrow().is_some()
    }
}

async fn over(mut ended: watch::Receiver<Option<Trouble>>) -> Trouble {
    let ended = ended.wait_for(Option::is_some).await;
    let why = ended.ok().and_then(|trouble| trouble.clone());
    why.unwrap_or_else(|| Trouble::Lost("the connection ended".into()))
}
