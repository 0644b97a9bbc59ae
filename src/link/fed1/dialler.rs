//! Dials one peer over federation v1, for as long as it is configured.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::link::federate::Dialler;
use crate::link::federate::attempts::{Attempts, Open};
use crate::link::federate::connect::Connected;
use crate::link::federate::node::{Node, PeerSettings};
use crate::link::federate::registry::{Cutter, Side, stopped};
use crate::link::federate::trouble::Trouble;
use crate::link::federate::way::{Loud, Way};
use crate::link::keepalive::{Facts, Plan, Probes};
use crate::link::nat::Link;
use crate::link::nat::table::{ONLY_UPLINK, Place};
use crate::link::route_watch;
use crate::link::tls::Asked;
use crate::pki::Fingerprint;

use super::session::Session;
use super::signs::Signs;

/// A connection that follows within this on one on which something came may be taken for a second login by a TAK Server
/// that does not know yet that the first one is dead (protocol reference 2).
const CLOSELY: Duration = Duration::from_secs(45);

/// After a change of the network the kernel asks a quiet peer for a sign of life so soon.
const ASKS: Duration = Duration::from_secs(3);
/// And for so long.
const ASKS_FOR: Duration = Duration::from_secs(30);

/// Our side of TLS towards a peer.
#[derive(Debug)]
pub struct Ours {
    /// The handshake.
    pub tls: Arc<ClientConfig>,
    /// Tells whether the peer asks for our certificate; none if it need not.
    pub asked: Option<Asked>,
    /// Fingerprint of our certificate.
    pub leaf: String,
}

/// Begins to dial. A peer without an address is never dialled; its task ends at once.
pub fn dial(node: Arc<Node>, peer: PeerSettings, ours: Ours) -> Dialler {
    let closing = node.timing.closing;
    Dialler::spawn(closing, |stop| run(node, peer, ours, stop))
}

impl Open for Connected {
    async fn open(way: &mut Way, address: usize) -> Result<Self, Trouble> {
        way.reach(address, Loud::Yes).await
    }
}

async fn run(node: Arc<Node>, peer: PeerSettings, ours: Ours, mut stop: watch::Receiver<bool>) {
    let Some(way) = Way::new(Arc::clone(&node), Arc::new(peer), Arc::clone(&ours.tls)) else {
        return;
    };
    let way = match ours.asked {
        Some(asked) => way.demanding(asked),
        None => way,
    };
    let mut dialling = Dialling {
        attempts: Attempts::new(&way),
        way,
        leaf: ours.leaf,
        heard: None,
        node,
    };
    loop {
        let connected = tokio::select! {
            connected = dialling.attempts.next(&mut dialling.way) => connected,
            () = stopped(&mut stop) => return,
        };
        let Some(pause) = dialling.carry(connected, &mut stop).await else {
            return;
        };
        tokio::select! {
            () = dialling.attempts.wait(&mut dialling.way, pause) => {}
            () = stopped(&mut stop) => return,
        }
    }
}

struct Dialling {
    node: Arc<Node>,
    way: Way,
    attempts: Attempts,
    /// Fingerprint of our certificate.
    leaf: String,
    /// When the last connection ended on which something came.
    heard: Option<Instant>,
}

impl Dialling {
    /// Runs a connection until it ends, and gives the pause before the next attempt; none = stopped on request.
    async fn carry(
        &mut self,
        connected: Connected,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<Duration> {
        let (node, peer) = (Arc::clone(&self.node), Arc::clone(self.way.peer()));
        let Connected {
            stream,
            uplink,
            way,
            gauge,
            ..
        } = connected;
        let carrier = self.way.number(uplink.as_ref());
        self.way.tell(carrier, None);
        let over = peer.over(uplink.as_ref());
        let name = uplink
            .as_ref()
            .map_or(ONLY_UPLINK, |uplink| uplink.name.as_str());
        let link = Link::new(gauge, Place::of(name, way.from.ip()));
        node.keeper.begin(&peer.name, &link);
        let plan = self.plan(&over, &link);
        link.follow_probes(&plan);
        let shown = stream.get_ref().1.peer_certificates();
        let leaf = shown.and_then(<[_]>::first);
        if let Some(leaf) = leaf {
            node.board.set_leaf(&peer.name, leaf);
        }
        let theirs = leaf.map_or_else(String::new, |leaf| Fingerprint::of(leaf).to_string());
        let signs = Signs::default();
        let cutter: Cutter = Arc::new(watch::Sender::new(None));
        let session = Session {
            node: &node,
            peer: &over,
            side: Side::Dialled,
            leaves: (&self.leaf, &theirs),
            cutter,
            gauge: Some(&link.gauge),
            signs: &signs,
            follows: self
                .heard
                .take()
                .is_some_and(|ended| ended.elapsed() < CLOSELY),
        };
        let main_is_up = self.attempts.main_is_up(&peer);
        let (retire, mut retired) = watch::channel(false);
        let mut run = Box::pin(session.run(stream, &mut retired));
        let mut main_is_up = std::pin::pin!(main_is_up);
        let mut asked_until = None;
        let trouble = loop {
            let asked_enough = sleep_until(asked_until.unwrap_or_else(Instant::now));
            tokio::select! {
                ended = &mut run => match ended {
                    Ok(()) => return None,
                    Err(trouble) => break trouble,
                },
                () = &mut main_is_up => {
                    retire.send_replace(true);
                    let _ = run.as_mut().await;
                    return Some(Duration::ZERO);
                }
                () = route_watch::came(&mut self.attempts.changes) => {
                    // Nothing in the protocol could prove that it still leads there: the kernel asks.
                    self.way.network_changed();
                    let _ = link.gauge.set_probes(&Probes::of(ASKS.min(plan.interval)));
                    asked_until = Some(Instant::now() + ASKS_FOR);
                }
                () = asked_enough, if asked_until.is_some() => {
                    let _ = link.gauge.set_probes(&plan.probes);
                    asked_until = None;
                }
                () = stopped(stop) => {
                    retire.send_replace(true);
                    let _ = run.as_mut().await;
                    return None;
                }
            }
        };
        drop(run);
        self.way.suspect(carrier);
        self.heard = signs.is_heard().then(Instant::now);
        Some(self.attempts.ended(&peer, &trouble, signs.held()))
    }

    /// What keeps a connection alive.
    fn plan(&self, peer: &PeerSettings, link: &Link) -> Plan {
        let place = link.place.as_ref();
        let facts = Facts {
            configured: peer.keepalive_seconds,
            idle_timeout: place.and_then(|place| self.node.keeper.idle_timeout(place)),
            ..Facts::default()
        };
        Plan::of(&facts, self.node.timing.health_every)
    }
}
