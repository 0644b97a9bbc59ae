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

use super::companion::Companion;
use super::connect::{Connected, Grip};
use super::node::{Node, PeerSettings};
use super::trouble::Trouble;
use super::watched::{Fault, Watched};

/// The connection. Dropping it ends it.
#[derive(Debug)]
pub struct Opened {
    /// Sends calls.
    pub sender: SendRequest<GrpcBody>,
    /// hyper's tasks.
    pub transport: TaskScope,
    /// Why the TLS stream broke.
    pub fault: Fault,
    /// The peer as another box.
    pub companion: Companion,
    /// As dialled, `host:port`.
    pub authority: String,
    /// Where it leads.
    pub address: SocketAddr,
    /// The uplink that carries it.
    pub uplink: Option<Arc<Uplink>>,
    /// Ends it the hard way.
    pub grip: Grip,
    ended: watch::Receiver<Option<Trouble>>,
    _guard: ScopeGuard,
}

impl Opened {
    /// Starts HTTP/2.
    ///
    /// # Errors
    /// Why that failed.
    pub async fn new(
        node: &Node,
        peer: &PeerSettings,
        authority: &str,
        connected: Connected,
    ) -> Result<Self, Trouble> {
        let transport = TaskScope::new();
        let guard = transport.guard();
        let (stream, fault) = Watched::new(connected.stream);
        let (sender, connection) = timeout(
            node.timing.handshake,
            http2::client(transport.clone()).handshake::<_, GrpcBody>(TokioIo::new(stream)),
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
            companion: Companion::new(&peer.name, node.companions.features()),
            authority: authority.to_owned(),
            address: connected.address,
            uplink: connected.uplink,
            grip: connected.grip,
            ended,
            _guard: guard,
        })
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
