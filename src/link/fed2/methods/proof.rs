//! The accepting side wants the shared secret proven before anything else.

use bytes::Bytes;
use hyper::body::Incoming;

use super::{Answer, Methods};
use crate::link::board::{Hindrance, PeerState};
use crate::link::fed2::secret::Vow;
use crate::link::grpc::body::GrpcBody;
use crate::link::grpc::call::{self, Messages};
use crate::link::grpc::frame::framed;
use crate::link::grpc::status::Status;

/// Longest proof, bytes.
const PROOF: usize = 256;

impl Methods {
    /// Judges the proof of the side that dialled.
    pub(super) async fn hear_proof(&self, body: Incoming) -> Answer {
        let mut messages = Messages::<Bytes>::limited(body, PROOF);
        let proof = messages.next().await.map_err(|ended| ended.status())?;
        let Some(vow) = self.companion.vow() else {
            return Err(self.unsworn(Vow::unwanted()));
        };
        let answer = vow.judge(&proof).map_err(|status| self.unsworn(status))?;
        Ok(call::answer(GrpcBody::answer(framed(&answer))))
    }

    /// Lets nobody past without proof, where one is wanted.
    pub(super) fn sworn(&self) -> Result<(), Status> {
        Vow::wanted(self.companion.vow()).map_err(|status| self.unsworn(status))
    }

    /// Says so where somebody looks, and ends the connection.
    fn unsworn(&self, status: Status) -> Status {
        let (node, peer) = (&self.node, &self.peer.name);
        if !node.registry.is_live(peer) {
            let now = node.hub.now().wall_ms;
            node.board.set_hindrance(peer, Hindrance::Secret);
            let words = format!("we refused it: {}", status.message);
            node.board.set(peer, PeerState::Waiting, words, now);
        }
        tracing::warn!(
            peer,
            reason = "secret",
            "{peer}: refused: {}",
            status.message
        );
        self.close(status.clone());
        status
    }
}
