//! Looks after the successor of a connection while that carries events: makes it prove itself when the network
//! changes, dials anew beside it when it does not, keeps a standby over another uplink, leads back to a better one, and
//! sees when a peer that answers does nothing else.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::link::route_watch::Changes;

use super::companion::Companion;
use super::opened::{Opened, Purpose};
use super::pulse::Pulse;
use super::standby::Warm;
use crate::link::federate::latch::{Latch, Latched, Progress};
use crate::link::federate::plan::{self, Outcome, Plan};
use crate::link::federate::trouble::chance;
use crate::link::federate::way::{Loud, Way};

/// With a standby at hand, a health check that goes unanswered this long at least is reason enough to use it.
const OVERDUE: Duration = Duration::from_millis(1000);

/// Who takes over.
#[derive(Debug)]
pub enum Successor {
    /// The connection that carries is dead: this one instead.
    Instead(Box<Opened>),
    /// It is well, and this one is over a better uplink.
    Better(Box<Opened>),
    /// Nobody yet: it answers, and events stand still.
    Nobody(Latched),
}

/// Looks after successors.
#[derive(Debug)]
pub struct Deputy {
    /// The way to the peer.
    pub way: Way,
    /// The address that led to the connection in use.
    address: usize,
    /// The uplink that carries.
    carrier: usize,
    warm: Option<Warm>,
    /// When the next attempt at a second connection may be made.
    plan: Plan,
    due: Instant,
    latch: Latch,
}

impl Deputy {
    /// Nothing carries yet.
    pub fn new(way: Way) -> Self {
        let timing = &way.node().timing;
        let (plan, latch) = (Plan::new(timing.pauses(), 1), Latch::new(timing.latched));
        Self {
            way,
            address: 0,
            carrier: 0,
            warm: None,
            plan,
            due: Instant::now(),
            latch,
        }
    }

    /// From now on this connection carries.
    pub fn began(&mut self, opened: &Opened) {
        self.carrier = self.way.number(opened.uplink.as_ref());
        self.address = self.way.address_of(&opened.authority);
        self.latch.began(self.way.node().hub.now().mono_ms);
        if self
            .warm
            .as_ref()
            .is_some_and(|warm| warm.uplink() == self.carrier)
        {
            self.warm = None;
        }
        self.tell();
    }

    /// The standby, if there is one that is well. It is asked for when the connection in use is gone.
    pub fn standby(&mut self) -> Option<Opened> {
        self.way.suspect(self.carrier);
        let warm = self.warm.take()?;
        warm.is_well().then(|| warm.into_opened())
    }

    /// Watches over the connection in use until it should be replaced.
    pub async fn watch(
        &mut self,
        pulse: &Pulse,
        companion: &Companion,
        changes: &mut watch::Receiver<Changes>,
    ) -> Successor {
        let several = self.way.peer().uplinks.len() > 1;
        let mut known = *changes.borrow_and_update();
        let mut looks = tokio::time::interval(self.way.node().timing.look);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let overdue = plan::proof_within(pulse.round_trip()).max(OVERDUE);
            let has_standby = self.warm.is_some();
            let prove = tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() {
                        std::future::pending::<()>().await;
                    }
                    let now = *changes.borrow_and_update();
                    let came = now.came != known.came;
                    known = now;
                    if came {
                        self.way.network_changed();
                        self.due = Instant::now();
                    }
                    // What went may come back under the same connection, unless there is another way now.
                    came || several
                }
                () = pulse.overdue(overdue), if has_standby => true,
                _ = looks.tick() => match self.look(pulse, companion) {
                    Some(latched) => return Successor::Nobody(latched),
                    None => false,
                },
                better = self.tend(companion) => return Successor::Better(Box::new(better)),
            };
            if prove && let Some(opened) = self.prove(pulse).await {
                return Successor::Instead(Box::new(opened));
            }
        }
    }

    /// Whether events stand still though the peer answers.
    fn look(&mut self, pulse: &Pulse, companion: &Companion) -> Option<Latched> {
        let (node, peer) = (self.way.node(), self.way.peer());
        pulse.held()?;
        if !pulse.is_prompt(OVERDUE) {
            return None;
        }
        let now_ms = node.hub.now().mono_ms;
        let progress = node.hub.with(|router, _| router.progress(&peer.name));
        let (handed, waiting, received) = progress?;
        let progress = Progress {
            handed,
            waiting,
            received,
        };
        self.latch.look(progress, companion.is_box(), now_ms)
    }

    /// Makes the connection prove that it is well. If it does not at once, a new one is made beside it; whichever is
    /// well first goes on.
    async fn prove(&mut self, pulse: &Pulse) -> Option<Opened> {
        let answer = pulse.answer();
        tokio::pin!(answer);
        pulse.ask();
        let usual = pulse.round_trip();
        tokio::select! {
            () = &mut answer => return None,
            () = sleep(plan::patience(usual)) => {}
        }
        if let Some(warm) = self.warm.take() {
            tokio::select! {
                () = &mut answer => {
                    self.warm = Some(warm);
                    return None;
                }
                well = warm.check(plan::proof_within(usual)) => if well {
                    self.way.suspect(self.carrier);
                    return Some(warm.into_opened());
                }
            }
        }
        tokio::select! {
            () = &mut answer => None,
            reached = Opened::reach(&mut self.way, self.address, Loud::No) => reached.ok(),
        }
    }

    /// Keeps the second connection, if there is to be one. Returns with it when it is over a better uplink and has held
    /// long enough.
    async fn tend(&mut self, companion: &Companion) -> Opened {
        loop {
            if let Some(warm) = &self.warm {
                let better = warm.uplink() < self.carrier;
                let hold = self.way.hold(warm.uplink());
                tokio::select! {
                    () = warm.over() => {
                        let outcome = Outcome { held: warm.since().elapsed(), certificate: false };
                        self.due = Instant::now() + self.plan.ended(outcome, chance());
                        self.warm = None;
                    }
                    () = sleep_until(warm.since() + hold), if better => {
                        if let Some(warm) = self.warm.take() && warm.is_well() {
                            return warm.into_opened();
                        }
                    }
                }
                self.tell();
                continue;
            }
            sleep_until(self.due).await;
            let standby = companion.has(super::companion::Feature::Standby);
            let Some(uplink) = self.way.second(self.carrier, standby) else {
                // The companion may not be known yet.
                sleep(Duration::from_secs(2)).await;
                continue;
            };
            let place = self.way.node().registry.standby();
            let reached = match place {
                Some(place) => {
                    let (way, address) = (&mut self.way, self.address);
                    let reached = Opened::over(way, uplink, address, Purpose::Wait).await;
                    reached.ok().map(|opened| (opened, place))
                }
                None => None,
            };
            match reached {
                Some((opened, place)) => {
                    self.warm = Some(Warm::new(
                        self.way.node(),
                        self.way.peer(),
                        opened,
                        uplink,
                        place,
                    ));
                }
                None => {
                    let outcome = Outcome {
                        held: Duration::ZERO,
                        certificate: false,
                    };
                    self.due = Instant::now() + self.plan.ended(outcome, chance());
                }
            }
            self.tell();
        }
    }

    /// Writes on the board which uplink carries the peer, and how the others stand.
    fn tell(&self) {
        self.way
            .tell(self.carrier, self.warm.as_ref().map(Warm::uplink));
    }
}
