//! The way to one peer: its addresses and the uplinks that may carry it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use crate::config::Uplink;
use crate::link::board::PeerState;
use crate::link::tls::Asked;

use super::choice::Choice;
use super::connect::{Connected, connect};
use super::node::{Node, PeerSettings, Timing};
use super::trouble::Trouble;

/// Where there is another uplink, one that swallows everything is given up after this.
const UPLINK_CONNECT: Duration = Duration::from_secs(4);

/// Whether an attempt is told on the board: not while another connection carries the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loud {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// The way to one peer.
#[derive(Debug)]
pub struct Way {
    node: Arc<Node>,
    peer: Arc<PeerSettings>,
    tls: Arc<ClientConfig>,
    addresses: Vec<String>,
    /// The address of each name that answered last.
    favourites: Vec<Option<SocketAddr>>,
    choice: Choice,
    timing: Timing,
    asked: Option<Asked>,
}

impl Way {
    /// None for a peer without an address.
    pub fn new(node: Arc<Node>, peer: Arc<PeerSettings>, tls: Arc<ClientConfig>) -> Option<Self> {
        let addresses: Vec<String> = peer.address.iter().chain(&peer.further).cloned().collect();
        let mut timing = node.timing.clone();
        if peer.uplinks.len() > 1 {
            timing.connect = timing.connect.min(UPLINK_CONNECT);
        }
        (!addresses.is_empty()).then(|| Self {
            favourites: vec![None; addresses.len()],
            choice: Choice::new(peer.uplinks.len()),
            timing,
            asked: None,
            addresses,
            node,
            peer,
            tls,
        })
    }

    /// The same, to a peer that must ask for our certificate, of which `asked` tells.
    #[must_use]
    pub fn demanding(self, asked: Asked) -> Self {
        Self {
            asked: Some(asked),
            ..self
        }
    }

    /// Whom it leads to.
    pub fn peer(&self) -> &Arc<PeerSettings> {
        &self.peer
    }

    /// What all links share.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// How many addresses the peer has.
    pub fn addresses(&self) -> usize {
        self.addresses.len()
    }

    /// Which uplink is to have the second connection; see [`Choice::second`]. Metered ones carry no standby.
    pub fn second(&self, carrier: usize, standby: bool) -> Option<usize> {
        let unmetered = |uplink: usize| !self.peer.uplinks[uplink].metered;
        self.choice.second(carrier, standby, unmetered)
    }

    /// The number of an uplink among those of the peer; 0 where the kernel's routes decide.
    pub fn number(&self, uplink: Option<&Arc<Uplink>>) -> usize {
        let same = |uplink: &Arc<Uplink>| self.peer.uplinks.iter().position(|one| one == uplink);
        uplink.and_then(same).unwrap_or(0)
    }

    /// An address, `host:port` as configured.
    pub fn authority(&self, address: usize) -> &str {
        self.addresses.get(address).map_or("", String::as_str)
    }

    /// The number of an address.
    pub fn address_of(&self, authority: &str) -> usize {
        let same = |address: &String| address == authority;
        self.addresses.iter().position(same).unwrap_or(0)
    }

    /// How long an uplink must have held before the peer returns to it.
    pub fn hold(&self, uplink: usize) -> Duration {
        let seconds = self
            .peer
            .uplinks
            .get(uplink)
            .map_or(0, |one| one.hold_seconds);
        Duration::from_secs(seconds.into())
    }

    /// Writes on the board which uplink carries the peer, and how the others stand.
    pub fn tell(&self, carrier: usize, standby: Option<usize>) {
        let now_ms = self.node.hub.now().mono_ms;
        let standings = self
            .peer
            .uplinks
            .iter()
            .enumerate()
            .map(|(number, uplink)| {
                let state = match number {
                    _ if number == carrier => "carries",
                    _ if Some(number) == standby => "standby",
                    _ if self.choice.is_shunned(number, now_ms) => "unreachable",
                    _ => "idle",
                };
                (uplink.name.clone(), state)
            });
        self.node
            .board
            .set_uplinks(&self.peer.name, standings.collect());
    }

    /// What failed before may work now.
    pub fn network_changed(&mut self) {
        self.choice.forget();
    }

    /// An uplink does not carry any more; the others are tried first for a while.
    pub fn suspect(&mut self, uplink: usize) {
        let now_ms = self.node.hub.now().mono_ms;
        self.choice.failed(uplink, now_ms);
    }

    /// One attempt at one address: over the uplinks in their order, until one leads there.
    ///
    /// # Errors
    /// What was wrong with the uplink that was tried last.
    pub async fn reach(&mut self, address: usize, loud: Loud) -> Result<Connected, Trouble> {
        let mut last = Trouble::Lost("no uplink".into());
        for uplink in self.choice.order(self.node.hub.now().mono_ms) {
            match self.over(uplink, address, loud).await {
                Ok(connected) => return Ok(connected),
                // Another uplink leads to the same certificates.
                Err(trouble) if trouble.is_certificate() => return Err(trouble),
                Err(trouble) => last = trouble,
            }
        }
        Err(last)
    }

    /// One attempt at one address over one uplink.
    ///
    /// # Errors
    /// What was wrong.
    pub async fn over(
        &mut self,
        uplink: usize,
        address: usize,
        loud: Loud,
    ) -> Result<Connected, Trouble> {
        let reached = self.attempt(uplink, address, loud).await;
        match &reached {
            Ok(_) => self.choice.well(uplink),
            Err(_) => self.suspect(uplink),
        }
        reached
    }

    async fn attempt(
        &mut self,
        uplink: usize,
        address: usize,
        loud: Loud,
    ) -> Result<Connected, Trouble> {
        let (node, peer) = (Arc::clone(&self.node), Arc::clone(&self.peer));
        let over = peer.uplinks.get(uplink);
        let authority = self.addresses[address].as_str();
        let by = over.map_or_else(String::new, |over| format!(" over {}", over.name));
        let tell = |doing: String| {
            if loud == Loud::Yes {
                let now = node.hub.now().wall_ms;
                node.board
                    .set(&peer.name, PeerState::Connecting, doing, now);
            }
        };
        if loud == Loud::Yes {
            node.board.set_address(&peer.name, authority);
        }
        tell(format!("connecting to {authority}{by}"));
        let favourite = &mut self.favourites[address];
        let connected = connect(&peer, authority, over, favourite, &self.tls, &self.timing).await?;
        if self.asked.as_ref().is_some_and(|asked| !asked.take()) {
            return Err(Trouble::NotAsked);
        }
        tell(format!("TLS is up with {}{by}", connected.address));
        Ok(connected)
    }
}
