//! `selftest`: every part is really tried, and what fails says its cure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use crate::api::{PeerState, Status};
use crate::cli::paths::Places;
use crate::config::{Config, Peer, transaction};
use crate::console::Check;
use crate::files;
use crate::supervise::changes;

use super::certificates;

/// For one connection attempt.
const PATIENCE: Duration = Duration::from_secs(5);
/// 2025-01-01: no clock of a box of this release shows less.
const PLAUSIBLE_MS: i64 = 1_735_689_600_000;
/// Free space below which the state directory is nearly full, bytes.
const LEAST_FREE: u64 = 1024 * 1024;

/// Tries everything.
pub(super) fn run(places: &Places, status: Result<Status, String>, wall_ms: i64) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut note = |what: String, fault: Option<String>| checks.push(Check { what, fault });
    let state = places.state.display();
    note(
        format!("state directory {state} can be written"),
        unwritable(&places.state),
    );
    let config = config(places);
    note(
        format!("configuration {} is valid", places.config.display()),
        config.as_ref().err().cloned(),
    );
    note("the box runs".to_owned(), status.as_ref().err().cloned());
    let is_plausible = wall_ms >= PLAUSIBLE_MS;
    note(
        "the clock is plausible".to_owned(),
        (!is_plausible).then(|| {
            "it stands before this release was made: connect a time source (NTP, GPS)".to_owned()
        }),
    );
    if let Ok(config) = &config {
        let own = certificates::own(places, config);
        let fault = match own {
            Some(own) if expired(&own.until, wall_ms) => {
                Some(format!("it was valid until {}: peers refuse it", own.until))
            }
            Some(_) => None,
            None => Some("there is none that can be read; `tombolo run` makes one".to_owned()),
        };
        note("our certificate is valid".to_owned(), fault);
    }
    if let Ok(status) = &status {
        for address in listeners(status) {
            let fault = reach(&[local(address)]);
            note(format!("{address} is served"), fault);
        }
    }
    for peer in config.iter().flat_map(|config| &config.peers) {
        peer_checks(peer, status.as_ref().ok(), &mut note);
    }
    checks
}

fn peer_checks(
    peer: &Peer,
    status: Option<&Status>,
    note: &mut impl FnMut(String, Option<String>),
) {
    let name = &peer.name;
    if !peer.enabled {
        return note(format!("peer {name} is paused"), None);
    }
    if let Some(address) = &peer.address {
        let found: Result<Vec<SocketAddr>, _> = address.to_socket_addrs().map(Iterator::collect);
        let found = match found {
            Ok(found) if !found.is_empty() => found,
            Ok(_) => {
                let words = format!("{address} has no address; check the name and the name server");
                return note(format!("peer {name} is found"), Some(words));
            }
            Err(error) => {
                let words = format!("{address}: {error}; check the name and the name server");
                return note(format!("peer {name} is found"), Some(words));
            }
        };
        note(format!("peer {name} is found at {}", found[0].ip()), None);
        note(format!("peer {name} takes connections"), reach(&found));
    }
    let link = status.and_then(|status| status.peers.iter().find(|link| link.name == *name));
    if let Some(link) = link {
        let is_up = matches!(link.state, PeerState::Connected | PeerState::Flowing);
        let fault = (!is_up).then(|| format!("{}: {}", link.state, link.reason));
        note(format!("peer {name} is connected"), fault);
    }
}

fn config(places: &Places) -> Result<Config, String> {
    let text = transaction::text(&places.config).map_err(|error| error.to_string())?;
    changes::check(&text, &places.config).map_err(|fault| fault.message)
}

fn unwritable(state: &Path) -> Option<String> {
    let file = state.join(".selftest");
    let tried = files::replace(&file, b"x", files::PRIVATE).and_then(|()| files::remove(&file));
    if let Err(error) = tried {
        let words = files::fault(&error);
        return Some(format!("{words}; it must belong to the user of the box"));
    }
    let space = nix::sys::statvfs::statvfs(state).ok()?;
    #[allow(
        clippy::useless_conversion,
        reason = "32-bit machines count in 32 bits"
    )]
    let free = u64::from(space.blocks_available()).saturating_mul(space.fragment_size().into());
    (free < LEAST_FREE).then(|| format!("only {} KiB are free", free / 1024))
}

fn expired(until: &str, wall_ms: i64) -> bool {
    crate::wire::stamp::read(until.as_bytes()).is_some_and(|until| until < wall_ms)
}

fn listeners(status: &Status) -> impl Iterator<Item = SocketAddr> {
    let listen = &status.listen;
    [listen.clients_tcp, listen.clients_tls]
        .into_iter()
        .flatten()
        .chain(listen.federation.iter().copied())
}

/// How a listener is reached from here.
fn local(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

/// What is wrong when none of the addresses can be reached.
fn reach(addresses: &[SocketAddr]) -> Option<String> {
    let mut fault = None;
    for address in addresses {
        match TcpStream::connect_timeout(address, PATIENCE) {
            Ok(_) => return None,
            Err(error) => {
                let words = match error.kind() {
                    std::io::ErrorKind::ConnectionRefused => {
                        "refused: the machine is there, nothing listens at that port".to_owned()
                    }
                    std::io::ErrorKind::TimedOut => {
                        "no answer: check cable, addresses and the firewall in between".to_owned()
                    }
                    _ => format!("{error}; check the network"),
                };
                fault = Some(format!("{address}: {words}"));
            }
        }
    }
    fault
}
