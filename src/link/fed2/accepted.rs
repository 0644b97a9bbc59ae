//! One connection that a peer dialled: serves its calls, looks after its health, closes it with a reason.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::link::board::PeerState;
use crate::link::grpc::call;
use crate::link::grpc::http2;
use crate::link::grpc::scope::TaskScope;
use crate::link::grpc::status::{Code, Status};
use crate::link::nat::Link;

use super::methods::Methods;
use crate::link::federate::node::{Node, PeerSettings};
use crate::link::federate::registry::{Cutter, stopped, told};
use crate::link::federate::trouble::Trouble;
use crate::link::federate::watched::Watched;

/// Between two looks at whether the peer has fallen silent, at least.
const SHORTEST_LOOK: Duration = Duration::from_millis(20);

/// Serves a connection until it ends, is cut, or `stop` changes.
pub async fn serve<S>(
    node: Arc<Node>,
    peer: PeerSettings,
    address: String,
    stream: S,
    link: Option<Arc<Link>>,
    cutter: Cutter,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (readers, transport) = (TaskScope::new(), TaskScope::new());
    let (_readers, _transport) = (readers.guard(), transport.guard());
    let mut cut = cutter.subscribe();
    if !node.registry.is_live(&peer.name) {
        let doing = format!("TLS is up with {address}, waiting for its event stream and health");
        node.board.set(
            &peer.name,
            PeerState::Connecting,
            doing,
            node.hub.now().wall_ms,
        );
    }
    // On a thin link health checks stand behind events.
    let thin = if peer.rate.is_some() { 2 } else { 1 };
    let name = peer.name.clone();
    let methods = Methods::new(
        Arc::clone(&node),
        peer,
        address,
        link,
        cutter,
        readers.clone(),
    );
    let (stream, fault) = Watched::new(stream, methods.flow().meter().clone());
    let service = {
        let methods = Arc::clone(&methods);
        service_fn(move |request| Arc::clone(&methods).answer(request))
    };
    let mut connection =
        pin!(http2::server(transport.clone()).serve_connection(TokioIo::new(stream), service));

    let (trouble, farewell) = loop {
        let patience = methods.patience() * thin;
        let left = patience.saturating_sub(methods.silence());
        tokio::select! {
            ended = connection.as_mut() => {
                let why = ended.err().map_or_else(
                    || "the peer closed the connection".to_owned(),
                    |error| call::reason(&error),
                );
                break (fault.take().unwrap_or(Trouble::Lost(why)), None);
            }
            () = stopped(&mut stop) => {
                let status = Status::new(Code::Unavailable, "shutting down");
                break (Trouble::Cut(status.message.clone()), Some(status));
            }
            status = told(&mut cut) => {
                break (Trouble::Cut(status.message.clone()), Some(status));
            }
            () = sleep(left.clamp(SHORTEST_LOOK, node.timing.sweep.max(SHORTEST_LOOK))) => {
                if methods.silence() >= patience {
                    let words = format!("no health check for {} s", patience.as_secs());
                    // An error status on purpose: a TAK client does not reconnect after OK (pitfall 15).
                    let status = Status::new(Code::DeadlineExceeded, words);
                    break (Trouble::Cut(status.message.clone()), Some(status));
                }
            }
        }
    };
    report(&node, &name, &methods, &trouble);
    if let Some(status) = farewell {
        methods.finish(&status);
        readers.end();
        let within = if *stop.borrow() {
            node.timing.closing
        } else {
            // Cut, silent or replaced: what waits is not for this connection any more.
            methods.flow().detach();
            node.timing.closing / 2
        };
        connection.as_mut().graceful_shutdown();
        let _ = timeout(within, connection).await;
    }
    methods.flow().detach();
    methods.companion().hang_up();
}

fn report(node: &Node, peer: &str, methods: &Methods, trouble: &Trouble) {
    tracing::info!(peer, "{peer}: connection ended: {trouble}");
    // A connection that was refused in favour of another one has nothing to say about the peer.
    if methods.flow().is_attached() || !node.registry.is_live(peer) {
        node.board.set_hindrance(peer, trouble.hindrance());
        let reason = format!("{trouble}; waiting for the peer to connect again");
        node.board
            .set(peer, PeerState::Waiting, reason, node.hub.now().wall_ms);
    }
}
