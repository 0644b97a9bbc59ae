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
            link.outbox.flight().taken(count, &mut self.pool);
            self.settle_spool(id, count, 0);
        }
    }

    /// The peer has taken what it was handed before that moment, monotonic milliseconds: it answered a question that
    /// was asked then.
    pub fn taken_before(&mut self, id: LinkId, mono_ms: u64) {
        if let Some((link, pool, _)) = self.parts(id) {
            link.outbox.flight().taken_before(mono_ms, pool);
            self.settle_spool(usize::from(id.0), 0, mono_ms);
        }
    }

    /// Ready while the peer has not acknowledged everything that must not be lost.
    pub fn poll_in_flight(&mut self, peer: &str, context: &Context<'_>) -> Poll<()> {
        match self.up(peer) {
            Some(id) => self.links[id].outbox.flight().poll(context),
            None => Poll::Pending,
        }
    }

    fn up(&self, peer: &str) -> Option<usize> {
        let named = |kind: &Kind| matches!(kind, Kind::Federate(federate) if federate.name == peer);
        self.links
            .iter()
            .position(|link| link.up && named(&link.kind))
    }
}
