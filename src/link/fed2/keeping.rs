//! One dialled connection and its schedule: asks [`crate::link::keepalive`] with what is known now, and performs it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::link::keepalive::{self, Facts, Plan};
use crate::link::nat::Link;

use crate::route::Router;

use super::companion::Companion;
use crate::link::federate::node::{Node, PeerSettings};
use crate::link::federate::trouble::Trouble;

/// How a dialled connection is kept alive. Clones share it.
#[derive(Debug, Clone)]
pub struct Keeping {
    node: Arc<Node>,
    peer: PeerSettings,
    link: Arc<Link>,
    companion: Companion,
    pings: Option<(Duration, Duration)>,
    /// The last answered health check.
    well: Arc<Mutex<Instant>>,
}

impl Keeping {
    /// For a connection that begins.
    pub fn new(
        node: &Arc<Node>,
        peer: &PeerSettings,
        link: Arc<Link>,
        companion: Companion,
    ) -> Self {
        let was_box = node.keeper.begin(&peer.name, &link);
        let mut new = Self {
            node: Arc::clone(node),
            peer: peer.clone(),
            link,
            companion,
            pings: None,
            well: Arc::new(Mutex::new(Instant::now())),
        };
        // Whether PINGs are sent is settled before the peer has said anything.
        new.pings = keepalive::pings(&new.facts(was_box));
        new
    }

    /// For a connection that began without PINGs and carries events from now on.
    pub fn without_pings(
        node: &Arc<Node>,
        peer: &PeerSettings,
        link: Arc<Link>,
        companion: Companion,
    ) -> Self {
        Self {
            pings: None,
            ..Self::new(node, peer, link, companion)
        }
    }

    /// How often HTTP/2 is to ping, and how long to wait for the answer.
    pub fn pings(&self) -> Option<(Duration, Duration)> {
        self.pings
    }

    /// The schedule as of now; the kernel's part of it is given to the kernel.
    pub fn plan(&self) -> Plan {
        let facts = self.facts(self.companion.is_box());
        let plan = Plan::of(&facts, self.node.timing.health_every);
        self.link.follow(&plan);
        plan
    }

    /// A health check was answered.
    pub fn well(&self) {
        self.note_round_trip();
        *self.well.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// What is believed of the peer's clock is bounded by the way there and back.
    fn note_round_trip(&self) {
        if let Some(round_trip) = self.link.round_trip_ms() {
            let note = |router: &mut Router| router.note_round_trip(&self.peer.name, round_trip);
            self.node.hub.with(|router, _| note(router));
        }
    }

    /// The connection has ended.
    pub fn ended(&self, why: Option<&Trouble>) {
        let keeper = &self.node.keeper;
        keeper.note_box(&self.peer.name, self.companion.is_box());
        let idle = self.well.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = idle.elapsed();
        let plan = self.plan();
        let fell_silent = matches!(why, Some(Trouble::TimedOut(_) | Trouble::Lost(_)));
        if fell_silent && plan.is_stretched() && idle >= plan.interval {
            keeper.lost_at_idle(&self.peer.name, plan.interval);
        }
    }

    fn facts(&self, is_box: bool) -> Facts {
        let place = self.link.place.as_ref();
        Facts {
            is_box,
            is_thin: self.peer.is_thin(),
            configured: self.peer.keepalive_seconds,
            idle_timeout: place.and_then(|place| self.node.keeper.idle_timeout(place)),
            has_pings: self.pings.is_some(),
        }
    }
}
