//! The facts of the running box, as the LED wants them.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use serde::Deserialize;

use super::super::Shared;
use crate::files;
use crate::led::{Fault, Link, PeerPicture, Picture, Trouble};
use crate::link::board::{Hindrance, PeerState};

/// What provisioning left is looked at so often, milliseconds.
const PROVISION_MS: u64 = 1_000;
/// Its report is short.
const MOST_BYTES: u64 = 64 * 1024;

/// What must be remembered from one look to the next.
#[derive(Debug)]
pub(super) struct Looker {
    provision: PathBuf,
    provision_ms: Option<u64>,
    /// Change time and size of the report that was read.
    provision_seen: Option<(i64, i64, u64)>,
    mistakes: bool,
    /// Since when each peer has been failing, monotonic.
    failing: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
struct Report {
    #[serde(default)]
    state: String,
}

impl Looker {
    /// `runtime` is where provisioning leaves its report.
    pub(super) fn new(runtime: &Path) -> Self {
        Self {
            provision: runtime.join("provision.json"),
            provision_ms: None,
            provision_seen: None,
            mistakes: false,
            failing: BTreeMap::new(),
        }
    }

    /// The facts now.
    pub(super) fn look(&mut self, shared: &Shared, now_ms: u64) -> Picture {
        let config = shared.config();
        let peers: Vec<(PeerState, Option<Hindrance>)> = shared.hub.with(|router, now| {
            let standing = |name: &str| match router.peer_counters(name) {
                Some(counters) => shared.board.standing(name, counters, now.wall_ms),
                None => shared
                    .board
                    .standing(name, &Default::default(), now.wall_ms),
            };
            let of_peer = |peer: &crate::config::Peer| standing(&peer.name);
            config.peers.iter().map(of_peer).collect()
        });
        let of_peers = config
            .peers
            .iter()
            .zip(peers)
            .map(|(peer, (state, hindrance))| {
                let crosses = peer.enabled && (peer.incoming || peer.outgoing);
                (peer.name.clone(), crosses, state, hindrance)
            });
        // A server at which the box logs in counts as a peer does; names may be the same, so one gets a mark.
        let of_servers = shared.server_standings().into_iter();
        let of_servers = of_servers.map(|(name, crosses, state, hindrance)| {
            (format!("server\n{name}"), crosses, state, hindrance)
        });
        let mut failing = std::mem::take(&mut self.failing);
        let peers = of_peers
            .chain(of_servers)
            .map(|(name, crosses, state, hindrance)| {
                let trouble = hindrance.map(trouble);
                if trouble.is_some() {
                    let since = failing.remove(&name).unwrap_or(now_ms);
                    self.failing.insert(name.clone(), since);
                }
                PeerPicture {
                    link: if crosses { link(state) } else { Link::Off },
                    trouble,
                    failing_ms: self
                        .failing
                        .get(&name)
                        .map_or(0, |since| now_ms.saturating_sub(*since)),
                }
            })
            .collect();
        let vitals = shared.vitals.lock().unwrap_or_else(PoisonError::into_inner);
        Picture {
            dark: config.led.dark,
            safe_mode: shared.safe.is_some(),
            storage: vitals.storage.fault.is_some(),
            under_voltage: vitals.power.low == Some(true),
            booting: false,
            pairing: shared.pairing.is_waiting(now_ms),
            provisioning_mistakes: self.has_mistakes(now_ms),
            clock: shared.clock.report().is_lost(),
            peers,
        }
    }

    /// Whether the last provisioning had mistakes.
    fn has_mistakes(&mut self, now_ms: u64) -> bool {
        if self
            .provision_ms
            .is_some_and(|last| now_ms < last.saturating_add(PROVISION_MS))
        {
            return self.mistakes;
        }
        self.provision_ms = Some(now_ms);
        let seen = std::fs::metadata(&self.provision)
            .ok()
            .map(|file| (file.mtime(), file.mtime_nsec(), file.size()));
        if seen != self.provision_seen {
            self.provision_seen = seen;
            self.mistakes = files::read_bounded(&self.provision, MOST_BYTES)
                .ok()
                .and_then(|bytes| serde_json::from_slice::<Report>(&bytes).ok())
                .is_some_and(|report| report.state == "mistakes");
        }
        self.mistakes
    }
}

fn link(state: PeerState) -> Link {
    match state {
        PeerState::Disabled | PeerState::Paused => Link::Off,
        PeerState::Waiting => Link::Waiting,
        PeerState::Connecting => Link::Connecting,
        PeerState::Connected => Link::Connected,
        PeerState::Flowing => Link::Flowing,
    }
}

fn trouble(hindrance: Hindrance) -> Trouble {
    Trouble::Known(match hindrance {
        // Nothing that a crew could put right: the words are in the status.
        Hindrance::Passing
        | Hindrance::Groups
        | Hindrance::Health
        | Hindrance::Direction
        | Hindrance::Filter => return Trouble::Passing,
        Hindrance::NoNetwork => Fault::NoNetwork,
        // Without any network no name is found either, and the cable comes first.
        Hindrance::NameLookup if !has_route() => Fault::NoNetwork,
        Hindrance::NameLookup => Fault::NameLookup,
        Hindrance::Unanswered => Fault::Unanswered,
        Hindrance::Trust
        | Hindrance::Usage
        | Hindrance::Registration
        | Hindrance::Revoked
        | Hindrance::Source
        | Hindrance::Secret => Fault::Certificate,
        Hindrance::Clock => Fault::Clock,
        Hindrance::Version => Fault::Version,
    })
}

/// Whether the machine has a route to anywhere but itself. Asked only while names are not found.
fn has_route() -> bool {
    let read = |path: &str| {
        let bytes = files::read_bounded(Path::new(path), MOST_BYTES).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    match (read("/proc/net/route"), read("/proc/net/ipv6_route")) {
        (None, None) => true,
        (four, six) => routes(&four.unwrap_or_default(), &six.unwrap_or_default()),
    }
}

/// The kernel's two tables: IPv4 with a line of headings and the interface first, IPv6 with the interface last.
fn routes(four: &str, six: &str) -> bool {
    let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
    let last = |line: &str| line.split_whitespace().last().map(str::to_owned);
    let four = four.lines().skip(1).filter_map(first);
    // Link-local routes lead to no name server.
    let six = six
        .lines()
        .filter(|line| !line.starts_with("fe80") && !line.starts_with("ff"))
        .filter_map(last);
    four.chain(six).any(|interface| interface != "lo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_a_cable_has_no_route() {
        let head = "Iface\tDestination\tGateway \tFlags\n";
        let local = "00000000000000000000000000000001 80 00000000000000000000000000000000 00 \
                     00000000000000000000000000000000 00000000 00000003 00000000 80200001 lo\n\
                     fe800000000000000000000000000000 40 00000000000000000000000000000000 00 \
                     00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0\n";
        assert!(!routes(head, local));
        assert!(!routes("", ""));
        let four = format!("{head}eth0\t00000000\t0100A8C0\t0003\n");
        assert!(routes(&four, local));
        assert!(routes(head, &local.replace("fe80", "fd00")));
    }

    #[test]
    fn the_report_of_provisioning_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("provision.json");
        let mut looker = Looker::new(directory.path());
        assert!(!looker.has_mistakes(0));
        std::fs::write(&file, "{\"state\":\"mistakes\",\"mistakes\":[\"x\"]}").unwrap();
        assert!(!looker.has_mistakes(999), "not looked at yet");
        assert!(looker.has_mistakes(1000));
        std::fs::write(&file, "{\"state\":\"done\"}").unwrap();
        assert!(!looker.has_mistakes(2000));
        std::fs::write(&file, "no json at all").unwrap();
        assert!(!looker.has_mistakes(3000));
    }
}
