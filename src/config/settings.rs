//! The settings as the rest of the box sees them, and what they are without a file.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;

pub use super::address::{CLIENTS_TCP_PORT, CLIENTS_TLS_PORT, FEDERATION_PORT};
use super::clock::ClockSources;
use super::filter::Filters;
use super::groups::PeerGroups;
use super::led::Led;
use super::limits::Limits;
use super::mesh::Mesh;
use super::network::{LOCAL_NETWORK, NetworkSettings};
use super::packages::Packages;
use super::peer_packages::PeerPackages;
use super::probe::Probe;
use super::protocol::{Flavour, Protocol};
use super::rate::Rate;
use super::server::Server;
use super::uplinks::Uplink;
use crate::pki::Fingerprint;

/// Port of the HTTPS API.
pub const API_PORT: u16 = 8443;
/// Port of FreeTAKServer's routes.
pub const FREETAKSERVER_PORT: u16 = 19023;

/// Minutes without a key pressed after which a console with a PIN locks.
const CONSOLE_IDLE_MINUTES: u32 = 10;

/// Everything that can be set. Defaults make a box that runs with no file at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The box's name: what other federates see. 1 to 64 characters; default: the host's name.
    pub name: String,
    /// Host name or address that clients and federates reach this box by; none: it is found from the network.
    pub advertised_host: Option<String>,
    /// Own certificate and key; none: the CA and certificates under the state directory.
    pub identity: Option<IdentityFiles>,
    /// Addresses to listen on.
    pub listen: Listen,
    /// The status LED.
    pub led: Led,
    /// Where the time of day comes from.
    pub clock: ClockSources,
    /// Data packages.
    pub packages: Packages,
    /// Every bound of the box.
    pub limits: Limits,
    /// Side connections to other boxes may be opened, and answered, to learn how long networks remember idle links.
    pub keepalive_discovery: bool,
    /// Minutes after which a console with a PIN locks by itself; 0 = never.
    pub console_idle_minutes: u32,
    /// The ways out, best first; none: the kernel's routes decide.
    pub uplinks: Vec<Arc<Uplink>>,
    /// The local networks; the first is that of `[listen]`.
    pub networks: Vec<NetworkSettings>,
    /// Registered federates.
    pub peers: Vec<Peer>,
    /// TAK servers at which the box logs in.
    pub servers: Vec<Server>,
    /// Multicast groups that the box joins.
    pub meshes: Vec<Mesh>,
}

/// Where a certificate of somebody else's making lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFiles {
    /// PEM: leaf, then its issuer.
    pub certificate: PathBuf,
    /// PEM: the leaf's private key.
    pub key: PathBuf,
}

/// Addresses to listen on; none or empty = off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Plain CoT, default 127.0.0.1:8087.
    pub clients_tcp: Option<SocketAddr>,
    /// CoT over mutual TLS, default 0.0.0.0:8089.
    pub clients_tls: Option<SocketAddr>,
    /// Federation, default 0.0.0.0:9001.
    pub federation: Vec<SocketAddr>,
    /// HTTPS API, default 0.0.0.0:8443.
    pub api: Option<SocketAddr>,
    /// FreeTAKServer's two routes, plain and for this machine alone; default 127.0.0.1:19023 where `api` is on.
    pub freetakserver: Option<SocketAddr>,
}

/// One registered federate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Unique name, 1 to 64 characters.
    pub name: String,
    /// `host:port` to dial; none: it dials us.
    pub address: Option<String>,
    /// Further addresses of the same peer, at most 4, tried in turn.
    pub addresses: Vec<String>,
    /// The peer that this one stands in for: it is dialled only while that one is down.
    pub fallback_of: Option<String>,
    /// Seconds that the other must be down before this one is dialled, 1 to 3600; it is let go when the other has been
    /// up for three times as long.
    pub fallback_seconds: u32,
    /// Names of the uplinks that may carry it; empty: all.
    pub uplinks: Vec<String>,
    /// Certificates of its CA.
    pub authorities: Vec<CertificateDer<'static>>,
    /// SHA-256 of its leaf.
    pub fingerprint: Option<Fingerprint>,
    /// Off = paused, registration kept.
    pub enabled: bool,
    /// Take what it sends.
    pub incoming: bool,
    /// Send what we have.
    pub outgoing: bool,
    /// Keep emergencies, deletes and chat for it while it is away.
    pub spool: bool,
    /// Move the times of its events into our clock when its own is off.
    pub correct_clock: bool,
    /// Seconds between keepalives, 1 to 32,767; none = 70 % of what was learned of the uplink, or else 60.
    pub keepalive_seconds: Option<u32>,
    /// A second identity there, with which `check` logs in as a client.
    pub probe: Option<Probe>,
    /// What may be sent to it; none = as much as the network takes.
    pub rate: Option<Rate>,
    /// Pack what is sent over a thin link when the peer is a box that can unpack it.
    pub compress: bool,
    /// Which groups it gives and takes, and how far.
    pub groups: PeerGroups,
    /// Which federation protocol it speaks.
    pub protocol: Protocol,
    /// Who speaks federation v1 there.
    pub flavour: Flavour,
    /// It need not ask for our certificate, and is known by its fingerprint alone; see [`Peer::relaxed`].
    pub legacy_no_client_certificate: bool,
    /// Take data packages and files from it.
    pub data_packages_in: bool,
    /// Let it have data packages and files of ours.
    pub data_packages_out: bool,
    /// How large they may be, what they may hold, and where they are uploaded.
    pub packages: PeerPackages,
    /// What may cross the link, each way.
    pub filters: Filters,
}

impl Peer {
    /// What is relaxed for it, for those who look after the box; none where nothing is.
    pub fn relaxed(&self) -> Option<&'static str> {
        self.legacy_no_client_certificate.then_some(
            "legacy_no_client_certificate: this peer may leave our certificate unchecked, so anybody can take our place \
             there, and its own certificate is judged by fingerprint and dates alone; use it for FreeTAKServer only, \
             and over a network that you trust",
        )
    }

    /// Every address to dial, the first one first.
    pub fn all_addresses(&self) -> impl Iterator<Item = &str> {
        let further = self.addresses.iter().map(String::as_str);
        self.address.as_deref().into_iter().chain(further)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: default_name(),
            advertised_host: None,
            identity: None,
            listen: Listen::default(),
            led: Led::default(),
            clock: ClockSources::default(),
            packages: Packages::default(),
            limits: Limits::default(),
            keepalive_discovery: true,
            console_idle_minutes: CONSOLE_IDLE_MINUTES,
            uplinks: Vec::new(),
            networks: vec![NetworkSettings::of(LOCAL_NETWORK)],
            peers: Vec::new(),
            servers: Vec::new(),
            meshes: Vec::new(),
        }
    }
}

impl Default for Listen {
    fn default() -> Self {
        let everywhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            clients_tcp: Some(SocketAddr::new(
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                CLIENTS_TCP_PORT,
            )),
            clients_tls: Some(SocketAddr::new(everywhere, CLIENTS_TLS_PORT)),
            federation: vec![SocketAddr::new(everywhere, FEDERATION_PORT)],
            api: Some(SocketAddr::new(everywhere, API_PORT)),
            freetakserver: Some(SocketAddr::new(
                IpAddr::V4(Ipv4Addr::LOCALHOST),
                FREETAKSERVER_PORT,
            )),
        }
    }
}

/// What is wrong with a name, if anything: names are shown to people and stand in logs and file names.
pub fn name_fault(name: &str) -> Option<&'static str> {
    match name {
        _ if name.is_empty() => Some("it is empty"),
        _ if name.chars().count() > 64 => Some("it is longer than 64 characters"),
        _ if name.chars().any(char::is_control) => Some("it holds a control character"),
        _ if name.trim() != name => Some("it begins or ends with a space"),
        _ => None,
    }
}

/// The host's own name up to its first dot, or `tombolo` where it has none that can be shown.
fn default_name() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|host| host.into_string().ok())
        .and_then(|host| host.split('.').next().map(str::to_owned))
        .filter(|host| name_fault(host).is_none())
        .unwrap_or_else(|| String::from("tombolo"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_to_people() {
        for fine in ["alpha", "Battalion TOC", "Élan-7", &"x".repeat(64)] {
            assert_eq!(name_fault(fine), None, "{fine}");
        }
        for bad in ["", " alpha", "a\nb", "a\u{1b}[2J", &"x".repeat(65)] {
            assert!(name_fault(bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn a_box_without_a_file_listens_where_the_documents_say() {
        let config = Config::default();
        assert_eq!(name_fault(&config.name), None);
        assert_eq!(
            config.listen.clients_tcp.map(|address| address.to_string()),
            Some("127.0.0.1:8087".into())
        );
        assert_eq!(config.listen.federation.len(), 1);
        assert!(config.peers.is_empty());
    }
}
