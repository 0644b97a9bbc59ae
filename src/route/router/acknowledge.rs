//! Who has what: what came on a connection, and what its peer says it has taken.

use std::task::{Context, Poll};

use super::{Kind, Router};
use crate::route::link::LinkId;

impl Router {
    /// One more message came on this connection.
    pub(super) fn count_received(&mut self, from: LinkId) {
        if let Some(link) = self.links.get_mut(usize::from(from.0))
            && let Kind::Federate(federate) = &mut link.kind
        {
            federate.received += 1;
        }
    }

    /// Messages that came from the peer on its present connection; none when it has none.
    pub fn received(&self, peer: &str) -> Option<u64> {
        self.links.iter().find_map(|link| match &link.kind {
            Kind::Federate(federate) if federate.name == peer && link.up => Some(federate.received),
            _ => None,
        })
    }

    /// The peer, another box, has taken the first `count` messages of its present connection.
    pub fn taken(&mut self, peer: &str, count: u64) {
        if let Some(id) = self.up(peer) {
            let link = &mut self.links[id];
            link.outbox.flight().take(count, &mut self.pool.used);
            self.settle_spool(id, count);
        }
    }

    /// Messages that the link was handed on its present connection.
    pub fn handed(&mut self, id: LinkId) -> u64 {
        let link = self.links.get_mut(usize::from(id.0));
        link.map_or(0, |link| link.outbox.flight().handed())
    }

    /// The link's peer has taken the first `count` of them: it answered a question that was asked then.
    pub fn link_took(&mut self, id: LinkId, count: u64) {
        if let Some((link, pool, _)) = self.parts(id) {
            link.outbox.flight().take(count, &mut pool.used);
            self.settle_spool(usize::from(id.0), count);
        }
    }

    /// Ready while the peer has not acknowledged everything that must not be lost.
    pub fn poll_in_flight(&mut self, peer: &str, context: &Context<'_>) -> Poll<()> {
        match self.up(peer) {
            Some(id) => self.links[id].outbox.flight().poll(context),
            None => Poll::Pending,
        }
    }

    /// Messages handed to the peer's present connection, parcels that wait for it, and messages that came on it; none
    /// when it has none.
    pub fn progress(&mut self, peer: &str) -> Option<(u64, usize, u64)> {
        let link = self.up(peer).and_then(|id| self.links.get_mut(id))?;
        let Kind::Federate(federate) = &link.kind else {
            return None;
        };
        let received = federate.received;
        Some((
            link.outbox.flight().handed(),
            link.outbox.queued(),
            received,
        ))
    }

    fn up(&self, peer: &str) -> Option<usize> {
        let named = |kind: &Kind| matches!(kind, Kind::Federate(federate) if federate.name == peer);
        self.links
            .iter()
            .position(|link| link.up && named(&link.kind))
    }
}
