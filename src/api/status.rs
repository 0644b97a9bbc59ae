//! What `status --json` prints. Scripts rely on these names.

use serde::{Deserialize, Serialize};

pub use super::listen::ListenStatus;
pub use super::memory::MemoryStatus;
pub use super::parts::{Counts, Crossing, LedStatus, PeerState, Proven, UplinkStatus};

use super::clock::ClockStatus;
use super::groups::{NetworkStatus, PeerGroupsStatus};
use super::line::LineStatus;
use super::meshes::MeshStatus;
use super::packages::PackagesStatus;
use super::pairing::PairingStatus;
use super::sending::SendingStatus;
use super::servers::ServerStatus;
use super::spool::SpoolStatus;
use crate::counters::Reason;
use crate::link::courier::told::Carriage;
use crate::system::{Power, Storage};
use crate::wire::stamp;

pub use super::peer_clock::PeerClock;

/// The box at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The box itself.
    pub node: NodeStatus,
    /// Its clock.
    pub clock: ClockStatus,
    /// Where it listens.
    pub listen: ListenStatus,
    /// Every registered federate, in the order of the configuration.
    pub peers: Vec<PeerStatus>,
    /// Every TAK server at which the box logs in, in the order of the configuration.
    #[serde(default)]
    pub servers: Vec<ServerStatus>,
    /// Every mesh, in the order of the configuration.
    #[serde(default)]
    pub meshes: Vec<MeshStatus>,
    /// Every local network; the first is that of `[listen]`.
    #[serde(default)]
    pub networks: Vec<NetworkStatus>,
    /// Local clients connected now.
    pub clients: u32,
    /// Handshakes refused since the start, by reason.
    pub refused: Counts,
    /// Traffic of all local clients together.
    pub local: LocalStatus,
    /// A code that waits for another box to pair with; none while none does.
    #[serde(default)]
    pub pairing: Option<PairingStatus>,
    /// What it takes and what it may take.
    pub memory: MemoryStatus,
    /// What its LED says.
    pub led: LedStatus,
    /// The card, or whatever holds the state directory.
    pub storage: StorageStatus,
    /// The power supply.
    pub power: PowerStatus,
    /// Data packages between federates.
    #[serde(default)]
    pub carriage: Carriage,
    /// Data packages; none: they are off.
    #[serde(default)]
    pub packages: Option<PackagesStatus>,
}

/// The box itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// Release.
    pub version: String,
    /// Its id in provenance, 32 hex digits.
    pub federate_id: String,
    /// Since it was started.
    pub uptime_seconds: u64,
    /// SHA-256 of its certificate, as a peer's administrator registers it.
    pub fingerprint: String,
    /// `running`, `draining`, or `safe`: safe mode, without peers and clients.
    pub state: String,
    /// Why it is in safe mode, in words; else empty.
    pub reason: String,
}

/// One federate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its name in the configuration.
    pub name: String,
    /// How the link stands.
    pub state: PeerState,
    /// Why it is no better, in words; empty when all is well.
    pub reason: String,
    /// Which step stops it, in one word: network, name, tcp, tls, usage, clock, registration, version, groups, health,
    /// direction, filter, connection; none while nothing does.
    #[serde(default)]
    pub stopped_by: Option<String>,
    /// The last probe that came back on this connection; between boxes, once a minute.
    #[serde(default)]
    pub proven: Option<Proven>,
    /// Where it is dialled, or where it last came from.
    pub address: Option<String>,
    /// Not paused.
    pub enabled: bool,
    /// What may cross the link, as it is configured.
    #[serde(default, flatten)]
    pub crossing: Crossing,
    /// Events accepted from it since the start.
    pub events_in: u64,
    /// Events handed to its connection since the start.
    pub events_out: u64,
    /// Events per second from it, over the last seconds.
    pub rate_in: f64,
    /// Events per second to it, over the last seconds.
    pub rate_out: f64,
    /// When it last said anything, RFC 3339.
    pub last_heard: Option<String>,
    /// Events that did not go on, by reason.
    pub dropped: Counts,
    /// What is kept for it while it is away.
    pub spool: SpoolStatus,
    /// Its connection; none without one.
    #[serde(default)]
    pub line: Option<LineStatus>,
    /// Its uplinks, best first; empty where the kernel's routes decide.
    #[serde(default)]
    pub uplinks: Vec<UplinkStatus>,
    /// How its clock stands to ours.
    #[serde(default)]
    pub clock: PeerClock,
    /// What goes over the wire to it, and what was spared.
    #[serde(default)]
    pub sending: SendingStatus,
    /// Its groups.
    #[serde(default)]
    pub groups: PeerGroupsStatus,
    /// The federation protocol that is configured for it: `v2` or `v1`.
    #[serde(default)]
    pub protocol: String,
    /// What its configuration relaxes, in words; none where nothing is.
    #[serde(default)]
    pub relaxed: Option<String>,
}

/// All local clients together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalStatus {
    /// Events accepted from them since the start.
    pub events_in: u64,
    /// Events handed to them since the start.
    pub events_out: u64,
    /// Their events whose times were moved into our clock.
    #[serde(default)]
    pub corrected: u64,
    /// Events that did not go on, by reason.
    pub dropped: Counts,
}

/// The card, or whatever holds the state directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageStatus {
    /// Name of the disk; none where it is not on a single disk.
    pub device: Option<String>,
    /// Bytes written to that disk, by anybody, since the machine booted. A box at rest writes nothing.
    pub written_bytes: Option<u64>,
    /// What is wrong with it, in words; empty when nothing is.
    pub fault: String,
}

impl From<&Storage> for StorageStatus {
    fn from(storage: &Storage) -> Self {
        Self {
            device: storage.device.clone(),
            written_bytes: storage.written_bytes,
            fault: storage
                .fault
                .map(|fault| fault.to_string())
                .unwrap_or_default(),
        }
    }
}

/// The power supply; none = the board does not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerStatus {
    /// The voltage is too low now.
    pub under_voltage: Option<bool>,
    /// It was too low since the boot.
    pub under_voltage_seen: Option<bool>,
}

impl From<Power> for PowerStatus {
    fn from(power: Power) -> Self {
        Self {
            under_voltage: power.low,
            under_voltage_seen: power.was_low,
        }
    }
}

/// A time as `status` writes it; none for 0, which means never.
pub fn time(millis: i64) -> Option<String> {
    let text = stamp::write(millis).filter(|_| millis != 0)?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// Counts as `status` writes them.
pub fn counts(reasons: impl IntoIterator<Item = (Reason, u64)>) -> Counts {
    reasons
        .into_iter()
        .map(|(reason, count)| (reason.word().to_owned(), count))
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::budget::Budget;
    use crate::config::Limits;
    use crate::counters::Counters;
    use crate::link::board;

    /// A status in which every field says something.
    pub(crate) fn example() -> Status {
        let mut counters = Counters::default();
        counters.drop_one(Reason::Duplicate);
        counters.drop_one(Reason::Duplicate);
        Status {
            node: NodeStatus {
                name: "alpha".into(),
                version: "0.1.0".into(),
                federate_id: "0123456789abcdef0123456789abcdef".into(),
                uptime_seconds: 93_784,
                fingerprint: format!("SHA256:{}", "AB".repeat(32)),
                state: "running".into(),
                reason: String::new(),
            },
            clock: ClockStatus {
                utc: "2026-11-20T12:00:00.000Z".into(),
                quality: "ntp".into(),
                error_ms: Some(20),
                ..ClockStatus::default()
            },
            listen: ListenStatus {
                clients_tcp: "127.0.0.1:8087".parse().ok(),
                clients_tls: None,
                federation: vec!["0.0.0.0:9001".parse().unwrap()],
                api: "0.0.0.0:8443".parse().ok(),
                freetakserver: None,
                packages: None,
            },
            peers: vec![PeerStatus {
                name: "bravo".into(),
                state: PeerState::Flowing,
                reason: String::new(),
                stopped_by: None,
                proven: Some(Proven {
                    age_seconds: 12,
                    round_trip_ms: 34,
                    count: 5,
                }),
                address: Some("10.0.0.2:9001".into()),
                enabled: true,
                crossing: Crossing {
                    incoming: true,
                    outgoing: true,
                    data_packages_in: true,
                    data_packages_out: false,
                    filter: Some("both ways block_types = [\"a-h\"]".into()),
                },
                events_in: 12,
                events_out: 34,
                rate_in: 1.5,
                rate_out: 2.0,
                last_heard: time(1_700_000_000_000),
                dropped: counts(counters.reasons()),
                spool: SpoolStatus {
                    events: 12,
                    bytes: 14_000,
                    oldest_seconds: 7300,
                    spooled: 15,
                    replayed: 3,
                    place: "disk".into(),
                    fault: String::new(),
                },
                line: Some(LineStatus {
                    round_trip_ms: Some(31.25),
                    deviation_ms: Some(4.5),
                    retransmits: Some(3),
                    unacknowledged: Some(1),
                    interval_seconds: Some(21.0),
                    interval_from: "learned".into(),
                    health_seconds: Some(3.0),
                    uplink: Some("lte".into()),
                    idle_timeout_seconds: Some(30.0),
                    is_measuring: false,
                }),
                uplinks: vec![UplinkStatus {
                    name: "lte".into(),
                    state: "carries".into(),
                }],
                clock: PeerClock {
                    offset_ms: -600_000,
                    confidence: 0.97,
                    corrected: 7,
                    error_ms: 12,
                    round_trip_ms: Some(24),
                    source: "exchange".into(),
                },
                sending: SendingStatus::default(),
                protocol: "v2".into(),
                relaxed: None,
                groups: PeerGroupsStatus {
                    outbound: Some(vec!["Blue".into()]),
                    mapping: true,
                    remote: vec!["Blau".into()],
                    ..PeerGroupsStatus::default()
                },
            }],
            networks: vec![NetworkStatus {
                name: "local".into(),
                clients_tcp: "127.0.0.1:8087".parse().ok(),
                clients_tls: None,
                clients: 3,
                incoming: true,
                outgoing: false,
                inbound_groups: vec!["Blue".into()],
                outbound_groups: Vec::new(),
                events_in: 7,
                events_out: 8,
                dropped: Counts::new(),
            }],
            servers: vec![ServerStatus {
                name: "ots".into(),
                network: None,
                state: PeerState::Waiting,
                reason: "refused by host; waiting 4 s before the next attempt".into(),
                stopped_by: Some("tcp".into()),
                proven: None,
                address: "10.0.0.9:8089".into(),
                tls: true,
                protocol: "xml".into(),
                enabled: true,
                users: 4,
                events_in: 5,
                events_out: 6,
                rate_in: 0.5,
                rate_out: 0.1,
                last_heard: None,
                dropped: Counts::from([("loop".into(), 3)]),
            }],
            meshes: vec![crate::api::meshes::tests::example()],
            clients: 3,
            refused: Counts::from([("unknown_ca".into(), 2)]),
            local: LocalStatus::default(),
            pairing: Some(PairingStatus {
                remaining_seconds: 540,
                tries_left: 5,
            }),
            memory: MemoryStatus::measure(&Budget::of(&Limits::default())),
            led: LedStatus {
                signal: "flowing".into(),
                meaning: "every enabled peer flowing".into(),
                pattern: "steady".into(),
                back_end: "kernel".into(),
                place: "/sys/class/leds/tombolo:status".into(),
                problem: None,
                losses: 0,
            },
            storage: StorageStatus {
                device: Some("mmcblk0".into()),
                written_bytes: Some(5_400_000),
                fault: String::new(),
            },
            power: PowerStatus {
                under_voltage: Some(false),
                under_voltage_seen: Some(true),
            },
            carriage: Carriage::default(),
            packages: Some(PackagesStatus::default()),
        }
    }

    #[test]
    fn the_shape_that_scripts_rely_on() {
        let json = serde_json::to_value(example()).unwrap();
        assert_eq!(json["node"]["name"], "alpha");
        assert_eq!(json["clock"]["quality"], "ntp");
        assert_eq!(json["listen"]["clients_tcp"], "127.0.0.1:8087");
        assert!(json["listen"]["clients_tls"].is_null());
        assert_eq!(json["clients"], 3);
        let peer = &json["peers"][0];
        for key in [
            "name",
            "state",
            "reason",
            "events_in",
            "events_out",
            "rate_in",
            "rate_out",
            "last_heard",
            "dropped",
            "spool",
        ] {
            assert!(!peer[key].is_null(), "{key}");
        }
        assert_eq!(json["meshes"][0]["interface"], "eth0");
        assert_eq!(json["meshes"][0]["state"], "flowing");
        assert_eq!(peer["state"], "flowing");
        assert_eq!(peer["last_heard"], "2023-11-14T22:13:20.000Z");
        assert_eq!(peer["dropped"], serde_json::json!({"duplicate": 2}));
        assert_eq!(json["memory"]["ceiling_kib"], 16 * 1024);
        assert_eq!(json["led"]["signal"], "flowing");
        assert_eq!(json["led"]["back_end"], "kernel");
        assert_eq!(json["node"]["reason"], "");
        assert_eq!(json["storage"]["written_bytes"], 5_400_000);
        assert_eq!(json["power"]["under_voltage_seen"], true);
        let read: Status = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), json);
    }

    #[test]
    fn memory_is_measured() {
        let memory = MemoryStatus::measure(&Budget::of(&Limits::default()));
        assert!(
            memory.rss_kib > 0 && memory.peak_kib >= memory.rss_kib,
            "{memory:?}"
        );
        assert!(memory.budget_kib <= memory.ceiling_kib);
    }

    #[test]
    fn never_is_null_and_states_have_one_word() {
        assert_eq!(time(0), None);
        for state in [
            board::PeerState::Disabled,
            board::PeerState::Paused,
            board::PeerState::Waiting,
            board::PeerState::Connecting,
            board::PeerState::Connected,
            board::PeerState::Flowing,
        ] {
            let (ours, theirs) = (PeerState::from(state), state);
            assert_eq!(serde_json::to_value(ours).unwrap(), ours.word());
            assert_eq!(ours.word(), theirs.word());
        }
    }
}
