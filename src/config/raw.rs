//! The shapes of `tombolo.toml` as written, every value with its place.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use toml::Spanned;

use super::clock::{CLOCK_KEYS, RawClock};
use super::filter::{FILTER_KEYS, RawFilters};
use super::led::{LED_KEYS, RawLed};
use super::limits::{Limits, RawLimits};
use super::mesh::{MESH_KEYS, RawMesh};
use super::packages::written::{PACKAGES_KEYS, RawPackages};
use super::probe::RawProbe;
use super::server::{RawServer, SERVER_KEYS};
use super::uplinks::{RawUplink, UPLINK_KEYS};

/// Keys of each table, for suggestions; the shapes below refuse all others.
pub(super) const TOP_KEYS: &[&str] = &[
    "node",
    "identity",
    "listen",
    "led",
    "clock",
    "packages",
    "limits",
    "console",
    "keepalive",
    "uplink",
    "network",
    "peer",
    "server",
    "mesh",
];
const NODE_KEYS: &[&str] = &["name", "advertised_host"];
const IDENTITY_KEYS: &[&str] = &["certificate", "key"];
const LISTEN_KEYS: &[&str] = &[
    "clients_tcp",
    "clients_tls",
    "federation",
    "api",
    "freetakserver",
];
const CONSOLE_KEYS: &[&str] = &["idle_minutes"];
const KEEPALIVE_KEYS: &[&str] = &["discovery"];
const NETWORK_KEYS: &[&str] = &[
    "name",
    "inbound_groups",
    "outbound_groups",
    "clients_tcp",
    "clients_tls",
    "incoming",
    "outgoing",
];
const PEER_KEYS: &[&str] = &[
    "name",
    "address",
    "ca_cert",
    "fingerprint",
    "enabled",
    "incoming",
    "outgoing",
    "correct_clock",
    "keepalive_seconds",
    "probe",
    "spool",
    "addresses",
    "fallback_of",
    "fallback_seconds",
    "uplinks",
    "rate",
    "compress",
    "inbound_groups",
    "outbound_groups",
    "group_mapping",
    "inbound_group_mapping",
    "automatic_group_mapping",
    "fallback_when_no_group_mappings",
    "max_hops",
    "outbound_group_hop_limits",
    "protocol",
    "flavour",
    "legacy_no_client_certificate",
    "data_packages_in",
    "data_packages_out",
    "package_limit_mib",
    "package_block_extensions",
    "package_port",
    "relay_missions",
    "filter",
    "filters",
    "federation_filter",
];

/// The keys of `[[peer]]`.
pub(super) fn peer_keys() -> &'static [&'static str] {
    PEER_KEYS
}

/// How a table is spelled in a message, and its keys.
pub(super) fn table(key: &str) -> Option<(&'static str, &'static [&'static str])> {
    match key {
        "node" => Some(("[node]", NODE_KEYS)),
        "identity" => Some(("[identity]", IDENTITY_KEYS)),
        "listen" => Some(("[listen]", LISTEN_KEYS)),
        "led" => Some(("[led]", LED_KEYS)),
        "clock" => Some(("[clock]", CLOCK_KEYS)),
        "packages" => Some(("[packages]", PACKAGES_KEYS)),
        "limits" => Some(("[limits]", Limits::KEYS)),
        "console" => Some(("[console]", CONSOLE_KEYS)),
        "uplink" => Some(("[[uplink]]", UPLINK_KEYS)),
        "keepalive" => Some(("[keepalive]", KEEPALIVE_KEYS)),
        "network" => Some(("[[network]]", NETWORK_KEYS)),
        "peer" => Some(("[[peer]]", PEER_KEYS)),
        "server" => Some(("[[server]]", SERVER_KEYS)),
        "mesh" => Some(("[[mesh]]", MESH_KEYS)),
        _ => None,
    }
}

/// The keys of a table within a table, and how that one is spelled.
pub(super) fn inner_table(
    table: &str,
    key: &str,
) -> Option<(&'static str, &'static [&'static str])> {
    match (table, key) {
        ("peer", "filter" | "filters" | "federation_filter") => {
            Some(("[peer.filter]", FILTER_KEYS))
        }
        ("mesh", "filter") => Some(("[mesh.filter]", FILTER_KEYS)),
        _ => None,
    }
}

/// What is to be written for a key of a table of the top level, or for that table itself.
pub(super) fn kind_of(table: &str, key: &str) -> String {
    if table == "limits"
        && let Some(limit) = Limits::TABLE.iter().find(|limit| limit.key == key)
    {
        let (least, most) = (limit.least, limit.most);
        return format!("write a whole number without quotes, {least} to {most}");
    }
    match (table, key) {
        ("peer", "probe") => {
            "write { address = \"host:8089\", p12 = \"probe.p12\", password = \"...\" }".into()
        }
        (
            "peer" | "uplink" | "server",
            "keepalive_seconds" | "hold_seconds" | "fallback_seconds",
        ) => "write a whole number of seconds without quotes".into(),
        ("uplink", "priority") => "write a whole number without quotes, 0 to 1000".into(),
        ("peer", "addresses") => {
            "write a list of addresses such as [\"198.51.100.7:9001\", \"tak.example.org:9001\"]"
                .into()
        }
        ("peer", "uplinks") => "write a list of names of uplinks such as [\"lte\", \"sat\"]".into(),
        ("peer" | "network", "inbound_groups" | "outbound_groups") => {
            "write a list of groups such as [\"Blue\", \"Command\"]".into()
        }
        ("peer", "inbound_group_mapping") => {
            "write a list such as [\"Blue Force:Blue\"]: the group's name at the peer, and here"
                .into()
        }
        ("peer", "outbound_group_hop_limits") => {
            "write a list such as [\"Blue:2\"]: the group, and how many hops it may go".into()
        }
        ("peer", "max_hops") => "write a whole number without quotes, 1 to 254".into(),
        (
            "peer",
            "group_mapping" | "automatic_group_mapping" | "fallback_when_no_group_mappings",
        )
        | ("network", "incoming" | "outgoing") => "write true or false, without quotes".into(),
        ("network", "clients_tcp" | "clients_tls") => {
            "write an address in quotes such as \"127.0.0.1:9087\", or \"\" for off".into()
        }
        ("network", "network") => "begin each network with a line [[network]]".into(),
        ("console", "idle_minutes") => {
            "write a whole number of minutes without quotes, 0 to 1440".into()
        }
        ("server", "auth") => "write { username = \"...\", password = \"...\" }".into(),
        ("peer", "filter" | "filters" | "federation_filter") | ("mesh", "filter") => {
            "write a table such as { block_types = [\"a-h\"] }, or the name of a preset in quotes"
                .into()
        }
        (_, "allow_types" | "block_types" | "cot_types") => {
            "write a list of types such as [\"a-f\", \"b-t-f\"]".into()
        }
        ("peer", "package_block_extensions") => {
            "write a list of extensions such as [\"pref\", \"exe\"]".into()
        }
        (_, "allow_callsigns" | "block_callsigns") => {
            "write a list of callsigns such as [\"ALPHA*\"]".into()
        }
        (
            "peer",
            "enabled"
            | "incoming"
            | "outgoing"
            | "spool"
            | "correct_clock"
            | "compress"
            | "data_packages_in"
            | "data_packages_out"
            | "relay_missions"
            | "legacy_no_client_certificate",
        )
        | ("server", "enabled" | "incoming" | "outgoing" | "tls")
        | ("led", "active_low")
        | ("uplink", "metered")
        | ("mesh", "incoming" | "outgoing" | "data_packages_in" | "data_packages_out")
        | ("packages", "enabled")
        | ("keepalive", "discovery") => "write true or false, without quotes".into(),
        ("clock", "gpsd") => {
            "write host:port in quotes such as \"127.0.0.1:2947\", or \"\" for off".into()
        }
        ("clock", "peers") => "write true or false, without quotes".into(),
        ("listen", key) if key != table => {
            "write an address in quotes such as \"0.0.0.0:9001\", a list of them, or \"\" for off"
                .into()
        }
        ("packages", "federation_port") => {
            "write a port without quotes such as 8444, or false for off".into()
        }
        ("packages", key) if key != table => "write a whole number without quotes".into(),
        ("mesh", "ttl") => "write a whole number without quotes, 1 to 255".into(),
        ("mesh", "mesh") => "begin each mesh with a line [[mesh]]".into(),
        ("uplink", "uplink") => "begin each uplink with a line [[uplink]]".into(),
        ("peer", "peer") => "begin each peer with a line [[peer]]".into(),
        ("server", "server") => "begin each server with a line [[server]]".into(),
        (_, key) if key == table => {
            format!("write a line [{table}], and its keys in the lines below")
        }
        _ => "write text in \"quotes\"".into(),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawConfig {
    pub(super) node: RawNode,
    pub(super) identity: Option<Spanned<RawIdentity>>,
    pub(super) listen: RawListen,
    pub(super) led: RawLed,
    pub(super) clock: RawClock,
    pub(super) packages: RawPackages,
    pub(super) limits: RawLimits,
    pub(super) console: RawConsole,
    pub(super) uplink: Vec<Spanned<RawUplink>>,
    pub(super) network: Vec<Spanned<RawNetwork>>,
    pub(super) keepalive: RawKeepalive,
    pub(super) peer: Vec<Spanned<RawPeer>>,
    pub(super) server: Vec<Spanned<RawServer>>,
    pub(super) mesh: Vec<Spanned<RawMesh>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawNode {
    pub(super) name: Option<Spanned<String>>,
    pub(super) advertised_host: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawIdentity {
    pub(super) certificate: Option<Spanned<String>>,
    pub(super) key: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawListen {
    pub(super) clients_tcp: Option<Spanned<AddressList>>,
    pub(super) clients_tls: Option<Spanned<AddressList>>,
    pub(super) federation: Option<Spanned<AddressList>>,
    pub(super) api: Option<Spanned<AddressList>>,
    pub(super) freetakserver: Option<Spanned<AddressList>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawConsole {
    pub(super) idle_minutes: Option<Spanned<i64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawKeepalive {
    pub(super) discovery: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPeer {
    pub(super) name: Option<Spanned<String>>,
    pub(super) address: Option<Spanned<String>>,
    pub(super) ca_cert: Option<Spanned<String>>,
    pub(super) fingerprint: Option<Spanned<String>>,
    pub(super) enabled: Option<bool>,
    pub(super) incoming: Option<bool>,
    pub(super) outgoing: Option<bool>,
    pub(super) spool: Option<bool>,
    pub(super) correct_clock: Option<bool>,
    pub(super) keepalive_seconds: Option<Spanned<i64>>,
    pub(super) probe: Option<Spanned<RawProbe>>,
    pub(super) addresses: Option<Spanned<Vec<String>>>,
    pub(super) fallback_of: Option<Spanned<String>>,
    pub(super) fallback_seconds: Option<Spanned<i64>>,
    pub(super) uplinks: Option<Spanned<Vec<String>>>,
    pub(super) rate: Option<Spanned<String>>,
    pub(super) compress: Option<bool>,
    pub(super) inbound_groups: Option<Spanned<Vec<String>>>,
    pub(super) outbound_groups: Option<Spanned<Vec<String>>>,
    pub(super) group_mapping: Option<Spanned<bool>>,
    pub(super) inbound_group_mapping: Option<Spanned<Vec<String>>>,
    pub(super) automatic_group_mapping: Option<bool>,
    pub(super) fallback_when_no_group_mappings: Option<bool>,
    pub(super) max_hops: Option<Spanned<i64>>,
    pub(super) outbound_group_hop_limits: Option<Spanned<Vec<String>>>,
    pub(super) protocol: Option<Spanned<String>>,
    pub(super) flavour: Option<Spanned<String>>,
    pub(super) legacy_no_client_certificate: Option<Spanned<bool>>,
    pub(super) data_packages_in: Option<bool>,
    pub(super) data_packages_out: Option<bool>,
    pub(super) package_limit_mib: Option<Spanned<i64>>,
    pub(super) package_block_extensions: Option<Spanned<Vec<String>>>,
    pub(super) package_port: Option<Spanned<i64>>,
    pub(super) relay_missions: Option<bool>,
    #[serde(alias = "filters", alias = "federation_filter")]
    pub(super) filter: Option<Spanned<RawFilters>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawNetwork {
    pub(super) name: Option<Spanned<String>>,
    pub(super) inbound_groups: Option<Spanned<Vec<String>>>,
    pub(super) outbound_groups: Option<Spanned<Vec<String>>>,
    pub(super) clients_tcp: Option<Spanned<AddressList>>,
    pub(super) clients_tls: Option<Spanned<AddressList>>,
    pub(super) incoming: Option<bool>,
    pub(super) outgoing: Option<bool>,
}

/// One address or several; `""` and `[]` are none.
#[derive(Debug)]
pub(super) struct AddressList(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for AddressList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AddressListVisitor)
    }
}

struct AddressListVisitor;

impl<'de> Visitor<'de> for AddressListVisitor {
    type Value = AddressList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an address in quotes such as \"0.0.0.0:9001\", a list of them, or \"\" for off",
        )
    }

    fn visit_str<E>(self, text: &str) -> Result<AddressList, E> {
        let listed = !text.trim().is_empty();
        Ok(AddressList(
            listed.then(|| text.to_owned()).into_iter().collect(),
        ))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<AddressList, A::Error> {
        let mut addresses = Vec::new();
        while let Some(item) = items.next_element::<String>()? {
            addresses.push(item);
        }
        Ok(AddressList(addresses))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serde and the lists above must know the same keys.
    #[test]
    fn every_listed_key_is_a_key() {
        for key in TOP_KEYS {
            let (_, keys) = table(key).unwrap();
            for inner in keys {
                let unknown = |text: String| match toml::from_str::<RawConfig>(&text) {
                    Ok(_) => false,
                    Err(error) => error.message().contains("unknown field"),
                };
                let (head, _) = table(key).unwrap();
                assert!(!unknown(format!("{head}\n{inner} = {{}}")), "{inner}");
                assert!(unknown(format!("{head}\n{inner}x = {{}}")), "{inner}x");
            }
        }
    }
}
