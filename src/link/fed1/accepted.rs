//! One connection of federation v1 that a peer dialled.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::link::board::PeerState;
use crate::link::federate::node::{Node, PeerSettings};
use crate::link::federate::registry::{Cutter, Side};
use crate::link::federate::trouble::Trouble;
use crate::link::nat::Link;

use super::session::Session;
use super::signs::Signs;

/// Runs a connection until it ends, is cut, or `stop` changes. `leaves` are the fingerprints of our certificate and of
/// the peer's.
pub async fn serve<S>(
    node: Arc<Node>,
    peer: PeerSettings,
    leaves: (String, String),
    address: String,
    stream: S,
    link: Option<Arc<Link>>,
    cutter: Cutter,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    if !node.registry.is_live(&peer.name) {
        node.board.set_address(&peer.name, &address);
    }
    let signs = Signs::default();
    let session = Session {
        node: &node,
        peer: &peer,
        side: Side::Accepted,
        leaves: (&leaves.0, &leaves.1),
        cutter,
        gauge: link.as_ref().map(|link| &link.gauge),
        signs: &signs,
        follows: false,
    };
    let ended = session.run(stream, &mut stop).await;
    let trouble = ended
        .err()
        .unwrap_or_else(|| Trouble::Cut("shutting down".into()));
    let name = peer.name.as_str();
    tracing::info!(peer = name, "{name}: connection ended: {trouble}");
    // A connection that was refused in favour of another one has nothing to say about the peer.
    if trouble != Trouble::Taken && !node.registry.is_live(name) {
        node.board.set_hindrance(name, trouble.hindrance());
        let reason = format!("{trouble}; waiting for the peer to connect again");
        node.board
            .set(name, PeerState::Waiting, reason, node.hub.now().wall_ms);
    }
}
