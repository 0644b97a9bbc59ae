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

/// A connection that was accepted, after its handshake.
#[derive(Debug)]
pub struct Accepted {
    /// Shared by all links.
    pub node: Arc<Node>,
    /// Whose it is.
    pub peer: PeerSettings,
    /// Fingerprints of our certificate and of the peer's.
    pub leaves: (String, String),
    /// Where it comes from.
    pub address: String,
    /// Its socket; none if the process has no file descriptor left.
    pub link: Option<Arc<Link>>,
    /// Ends it from elsewhere.
    pub cutter: Cutter,
}

/// Runs a connection until it ends, is cut, or `stop` changes.
pub async fn serve<S>(accepted: Accepted, stream: S, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Accepted {
        node,
        peer,
        leaves,
        address,
        link,
        cutter,
    } = accepted;
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
