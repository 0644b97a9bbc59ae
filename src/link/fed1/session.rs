//! One connection of federation v1, whoever dialled: its place, its two directions, and how it ends.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, split};
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::link::board::PeerState;
use crate::link::federate::node::{Node, PeerSettings};
use crate::link::federate::registry::{Candidate, Cutter, Side, stopped, told};
use crate::link::federate::trouble::Trouble;
use crate::link::federate::watched::Watched;
use crate::link::gauge::Gauge;
use crate::link::hub::Port;
use crate::route::{LinkSpec, Wire};

use super::incoming::Incoming;
use super::outgoing::{Outgoing, SharedDesk};
use super::signs::Signs;

/// Between two looks at how the connection is, at most.
const LOOK: Duration = Duration::from_millis(500);
/// A connection to run.
#[derive(Debug)]
pub struct Session<'a> {
    /// Shared by all links.
    pub node: &'a Arc<Node>,
    /// Whom it leads to.
    pub peer: &'a PeerSettings,
    /// Who dialled.
    pub side: Side,
    /// Fingerprints of our certificate and of the peer's; they settle which of two connections stays.
    pub leaves: (&'a str, &'a str),
    /// Ends it from elsewhere.
    pub cutter: Cutter,
    /// Its socket; none if the process has no file descriptor left.
    pub gauge: Option<&'a Gauge>,
    /// How well it is.
    pub signs: &'a Signs,
    /// It follows another connection closely. A TAK Server takes it for a second login while it has heard of the first one
    /// in the last 30 s, does not serve it, and says nothing (protocol reference 2).
    pub follows: bool,
}

impl Session<'_> {
    /// Runs it until it ends or `stop` changes. `Ok` = stopped on request. Dropping the future cuts it at once.
    ///
    /// # Errors
    /// Why it ended.
    pub async fn run<S>(&self, stream: S, stop: &mut watch::Receiver<bool>) -> Result<(), Trouble>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let (node, peer) = (self.node, self.peer);
        let mut cut = self.cutter.subscribe();
        let (own, theirs) = self.leaves;
        let candidate = Candidate {
            peer: &peer.name,
            side: self.side,
            federate_id: theirs,
            own_id: Some(own),
            origin: None,
            cutter: Arc::clone(&self.cutter),
            challenge: Arc::new(Notify::new()),
        };
        let claim = node.registry.claim(candidate).await;
        let claim = claim.map_err(|_| Trouble::Taken)?;
        let now = node.hub.now().wall_ms;
        node.board.set_attached(&peer.name, now);
        // Dropped before the claim: whoever gets that next attaches under the same name.
        let port = node.hub.attach(LinkSpec::Federate {
            name: peer.name.clone(),
            incoming: peer.incoming,
            outgoing: peer.outgoing,
            wire: Wire::Legacy,
        });
        let meter = node.meters.connection(&peer.name);
        let (stream, fault) = Watched::new(stream, meter.clone());
        let desk = SharedDesk::of(peer);
        let incoming = Incoming {
            node,
            port: &port,
            claim: &claim,
            signs: self.signs,
            desk: desk.as_ref(),
        };
        let limit = node.message_limit;
        let mut outgoing =
            Outgoing::new(&port, self.signs, desk.as_ref(), peer.rate, &meter, limit);
        let (ending, mut ends) = watch::channel(false);
        let (reader, writer) = split(stream);
        let result = {
            let mut reading = pin!(incoming.read(reader));
            let mut writing = pin!(outgoing.write(writer, &mut ends));
            let ended = tokio::select! {
                trouble = &mut reading => Err(trouble),
                written = &mut writing => match written {
                    // What the peer said last tells more than that it does not listen.
                    Err(trouble) => Err(timeout(LOOK, &mut reading).await.unwrap_or(trouble)),
                    Ok(()) => Err(Trouble::Lost("the connection is closing".into())),
                },
                trouble = self.look(&port) => Err(trouble),
                () = stopped(stop) => Ok(()),
                status = told(&mut cut) => Err(Trouble::Cut(status.message)),
            };
            if ended.is_ok() {
                // What waits is handed over; whoever does not read is not waited for.
                ending.send_replace(true);
                let _ = timeout(node.timing.closing / 2, &mut writing).await;
            }
            ended
        };
        let result = result.map_err(|trouble| match (trouble, fault.take()) {
            (Trouble::Lost(_), Some(fault)) => fault,
            (trouble, _) => trouble,
        });
        if let (Err(trouble), Some(gauge)) = (&result, self.gauge)
            && !matches!(trouble, Trouble::Cut(_))
            && self.signs.is_well()
        {
            // A peer that thinks it alive would refuse the next one.
            gauge.reset();
        }
        result
    }

    /// Looks after the connection while it runs; returns why it is of no use.
    async fn look(&self, port: &Port) -> Trouble {
        let timing = &self.node.timing;
        let mut looks = interval(LOOK.min(timing.look));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shown = false;
        loop {
            looks.tick().await;
            if self.side == Side::Accepted || self.signs.age() >= timing.quietly_well {
                self.signs.well();
            }
            if !shown && self.signs.is_well() {
                shown = true;
                let (peer, now) = (self.peer.name.as_str(), self.node.hub.now().wall_ms);
                self.node.board.set(peer, PeerState::Connected, "", now);
                tracing::info!(peer, "{peer}: connected (federation v1)");
            }
            if self.follows && !self.signs.is_heard() && self.signs.age() >= timing.deaf {
                return Trouble::Deaf(timing.deaf.as_secs());
            }
            let line = self.gauge.and_then(Gauge::read);
            if line.is_some_and(|line| line.is_drained()) {
                // All that can be known: the other end's kernel has it.
                port.took(self.signs.in_the_kernel());
            }
        }
    }
}
