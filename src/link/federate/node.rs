//! Who we are, who a peer is, and every interval of the protocol.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tokio::sync::Semaphore;

use crate::config::{Flavour, Peer, Protocol, Rate, Uplink};
use crate::link::board::PeerBoard;
use crate::link::fed2::companion_desk::Companions;
use crate::link::hub::Hub;
use crate::link::meter::Meters;
use crate::link::nat::Keeper;
use crate::link::packages::Packages;
use crate::link::route_watch::Routes;

use super::packing;
use super::plan::Pauses;
use super::registry::Registry;
use crate::link::fed2::groups::Announced;

/// What every federation connection of this box shares.
#[derive(Debug, Clone)]
pub struct Node {
    /// Our name, as peers see it; never empty (TAK Server refuses an empty one).
    pub name: String,
    /// Our stable federate id, 32 hex digits: the same in every Subscription and in the provenance.
    pub federate_id: String,
    /// The router.
    pub hub: Hub,
    /// Where states are written.
    pub board: PeerBoard,
    /// What goes over the wire to each peer.
    pub meters: Meters,
    /// Which peers are connected.
    pub registry: Registry,
    /// Where changes of the network are told.
    pub routes: Routes,
    /// Other boxes, and what we do for them.
    pub companions: Companions,
    /// The groups that peers are told of.
    pub groups: Announced,
    /// What keeps links alive, and what was learned about that.
    pub keeper: Keeper,
    /// Longest `FederatedEvent` taken, bytes: the largest event plus what federation adds to it. A longer one ends
    /// the connection.
    pub message_limit: usize,
    /// Places for events larger than [`crate::budget::INGEST`]; all links of the box share them.
    pub large_events: Arc<Semaphore>,
    /// Data packages.
    pub packages: Packages,
    /// The intervals.
    pub timing: Timing,
}

/// Room for provenance, groups and hop limits around the largest event, bytes.
pub const MESSAGE_OVERHEAD: usize = 64 * 1024;

/// What the links need to know of a registered peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSettings {
    /// Its name in the configuration.
    pub name: String,
    /// `host:port` to dial; none: it dials us.
    pub address: Option<String>,
    /// Take what it sends.
    pub incoming: bool,
    /// Send what we have.
    pub outgoing: bool,
    /// Seconds between keepalives; none = what was learned, or else 60.
    pub keepalive_seconds: Option<u32>,
    /// Further addresses of the same peer.
    pub further: Vec<String>,
    /// Whom it stands in for, and how long that one must be down first.
    pub fallback: Option<(String, Duration)>,
    /// The uplinks that may carry it, best first; empty: the kernel's routes decide.
    pub uplinks: Vec<Arc<Uplink>>,
    /// What may be sent to it; none = as much as the network takes.
    pub rate: Option<Rate>,
    /// Pack what is sent over a thin link, if the peer can unpack it.
    pub compress: bool,
    /// Which federation protocol it speaks.
    pub protocol: Protocol,
    /// Who speaks federation v1 there.
    pub flavour: Flavour,
}

impl PeerSettings {
    /// The same over one uplink: what is set for the peer goes before what is set for the uplink.
    #[must_use]
    pub fn over(&self, uplink: Option<&Arc<Uplink>>) -> Self {
        let of_uplink = uplink.and_then(|uplink| uplink.keepalive_seconds);
        let rate = uplink.and_then(|uplink| Rate::of_bits(uplink.rate?));
        Self {
            keepalive_seconds: self.keepalive_seconds.or(of_uplink),
            rate: self.rate.into_iter().chain(rate).min(),
            uplinks: uplink.cloned().into_iter().collect(),
            ..self.clone()
        }
    }

    /// Whether bytes are dear on the way there.
    pub fn is_thin(&self) -> bool {
        let dear = |uplink: &Arc<Uplink>| uplink.metered || uplink.rate.is_some();
        self.rate.is_some() || self.uplinks.iter().any(dear)
    }

    /// What a configuration says of a peer; `uplinks` are all that the box has, best first.
    pub fn of(peer: &Peer, uplinks: &[Arc<Uplink>]) -> Self {
        let carries =
            |uplink: &&Arc<Uplink>| peer.uplinks.is_empty() || peer.uplinks.contains(&uplink.name);
        let mut addresses = peer.all_addresses().map(str::to_owned);
        Self {
            name: peer.name.clone(),
            address: addresses.next(),
            further: addresses.collect(),
            incoming: peer.incoming,
            outgoing: peer.outgoing,
            keepalive_seconds: peer.keepalive_seconds,
            fallback: peer.fallback_of.as_ref().map(|main| {
                let after = Duration::from_secs(peer.fallback_seconds.into());
                (main.clone(), after)
            }),
            uplinks: uplinks.iter().filter(carries).cloned().collect(),
            rate: peer.rate,
            compress: peer.compress,
            protocol: peer.protocol,
            flavour: peer.flavour,
        }
    }
}

impl PeerSettings {
    /// Whether what is sent to it is worth packing.
    pub fn is_packed(&self) -> bool {
        self.compress && packing::pays(self.rate)
    }
}

/// Finds the peer that a certificate chain (leaf first) belongs to. The handshake has judged the chain already.
pub type Identify = Arc<dyn Fn(&[CertificateDer<'static>]) -> Option<PeerSettings> + Send + Sync>;

/// Every interval of the protocol (protocol reference 1.4). Tests shorten them.
#[derive(Clone, PartialEq, Eq)]
pub struct Timing {
    /// Name lookup and TCP connect together.
    pub connect: Duration,
    /// A TLS handshake must be done within this.
    pub handshake: Duration,
    /// The peer must answer ServerFederateGroupsStream within this.
    pub groups: Duration,
    /// How long the early Subscription on ServerEventStream is waited for.
    pub reply: Duration,
    /// An event begun must be whole within this.
    pub half_event: Duration,
    /// Between health checks; TAK Server wants them under 15 s apart.
    pub health_every: Duration,
    /// A health check must be answered within this.
    pub health_deadline: Duration,
    /// Between two looks for silent peers, accepting side.
    pub sweep: Duration,
    /// A peer without a good health check for this long is cut off.
    pub silence: Duration,
    /// A peer whose last good health check is younger keeps its place against a second connection.
    pub fresh: Duration,
    /// Before a ROL stream that ended is opened again.
    pub reopen: Duration,
    /// Between two looks whether events stand still.
    pub look: Duration,
    /// Events that wait and are not taken for this long, though the peer answers, mean that it has let go of them.
    pub latched: Duration,
    /// Federation v1: a connection that we dialled counts as well when nothing went wrong for so long.
    pub quietly_well: Duration,
    /// Federation v1: a connection that follows another one closely is given up when nothing came for so long.
    pub deaf: Duration,
    /// Pause after a link that was well went away.
    pub retry_at_once: Duration,
    /// First pause after a failed attempt; doubles each time.
    pub retry_first: Duration,
    /// Longest pause after a failed attempt.
    pub retry_most: Duration,
    /// Shortest pause after one side refused the other's certificate: somebody must act first.
    pub retry_certificate: Duration,
    /// A connection that held this long starts the pauses from the beginning.
    pub settled: Duration,
    /// Everything must be flushed and closed within this.
    pub closing: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            groups: Duration::from_secs(10),
            reply: Duration::from_millis(500),
            half_event: Duration::from_secs(30),
            health_every: Duration::from_secs(3),
            health_deadline: Duration::from_secs(5),
            sweep: Duration::from_secs(5),
            silence: Duration::from_secs(15),
            fresh: Duration::from_secs(6),
            reopen: Duration::from_secs(10),
            look: Duration::from_secs(3),
            latched: Duration::from_secs(30),
            // In TLS 1.3 a refusal of our certificate comes after the handshake.
            quietly_well: Duration::from_secs(2),
            // A TAK Server holds a dead connection for alive for 30 s (protocol reference 2).
            deaf: Duration::from_secs(40),
            retry_at_once: Duration::from_millis(100),
            retry_first: Duration::from_secs(1),
            retry_most: Duration::from_secs(30),
            retry_certificate: Duration::from_secs(60),
            settled: Duration::from_secs(20),
            closing: Duration::from_millis(1500),
        }
    }
}

impl Timing {
    /// The pauses of the dialler.
    pub fn pauses(&self) -> Pauses {
        Pauses {
            at_once: self.retry_at_once,
            first: self.retry_first,
            most: self.retry_most,
            certificate: self.retry_certificate,
            settled: self.settled,
            counts: Duration::from_secs(2),
        }
    }
}

impl fmt::Debug for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timing").finish_non_exhaustive()
    }
}
