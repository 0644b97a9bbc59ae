//! When the peer's next health check is due, and what follows from one that came.

use std::time::Duration;

use http::HeaderMap;

use super::Methods;
use crate::link::fed2::names::KEEPALIVE;
use crate::link::keepalive::Announcement;

impl Methods {
    /// How long ago the peer last proved that it is well.
    pub fn silence(&self) -> Duration {
        self.lock().well.elapsed()
    }

    /// How long it may be before the peer proves that again: what it announced, or what every federate keeps to.
    pub fn patience(&self) -> Duration {
        let announced = self.lock().announced;
        let usual = self.node.timing.silence;
        // On a thin link health checks stand behind events.
        let usual = match self.peer.rate {
            Some(_) => usual * 2,
            None => usual,
        };
        announced.map_or(usual, |announced| announced.patience())
    }

    /// What a box says of its next health check.
    pub(super) fn announced(&self, head: &HeaderMap) -> Option<Announcement> {
        let text = head.get(KEEPALIVE).filter(|_| self.companion.is_box())?;
        Announcement::parse(text.to_str().ok()?)
    }

    /// Follows the schedule that the peer announced, and notes how long the way there and back takes.
    pub(super) fn follow(&self, announced: Option<&Announcement>) {
        let Some(link) = &self.link else { return };
        if let Some(announced) = announced {
            link.follow_peer(announced);
        }
        if let Some(round_trip) = link.round_trip_ms() {
            let hub = &self.node.hub;
            hub.with(|router, _| router.note_round_trip(&self.peer.name, round_trip));
        }
    }
}
