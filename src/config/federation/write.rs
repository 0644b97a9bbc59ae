//! The peers of a configuration as a `federation.json`.

use serde_json::{Map, Value, json};

use crate::config::filter::{Direction, Filter};
use crate::config::settings::{FEDERATION_PORT, Peer};

/// The peers as a `federation.json`, each CA inline. What the shape of the documents has no key for is not in it.
///
/// # Errors
/// The name of a peer that the file cannot hold, and why.
pub fn write(peers: &[Peer], pem: impl Fn(&Peer) -> String) -> Result<String, (String, String)> {
    let mut entries = Vec::new();
    for peer in peers {
        entries.push(entry(peer, pem(peer)).map_err(|fault| (peer.name.clone(), fault))?);
    }
    let file = json!({"version": 1, "peers": entries});
    Ok(format!("{file:#}\n"))
}

fn entry(peer: &Peer, pem: String) -> Result<Value, String> {
    let mut keys = Map::new();
    let mut put = |key: &str, value: Value| keys.insert(key.to_owned(), value);
    put("name", json!(peer.name));
    if let Some(address) = &peer.address {
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "9001"));
        put("address", json!(host.trim_matches(['[', ']'])));
        put(
            "port",
            json!(port.parse::<u16>().unwrap_or(FEDERATION_PORT)),
        );
    }
    put("protocol", json!("tls"));
    if !pem.is_empty() {
        put("ca_cert", json!(pem));
    }
    if let Some(fingerprint) = &peer.fingerprint {
        put("fingerprint", json!(fingerprint.to_string()));
    }
    if let Some(pin) = &peer.trust.ca_pin {
        put("ca_pin", json!(pin.to_string()));
    }
    put("bidirectional", json!(peer.incoming && peer.outgoing));
    if !peer.incoming || !peer.outgoing {
        put("incoming", json!(peer.incoming));
        put("outgoing", json!(peer.outgoing));
    }
    put("enabled", json!(peer.enabled));
    for (key, on) in [
        ("data_packages_in", peer.data_packages_in),
        ("data_packages_out", peer.data_packages_out),
    ] {
        if !on {
            put(key, json!(false));
        }
    }
    if let Some(seconds) = peer.keepalive_seconds {
        put("keepalive_seconds", json!(seconds));
    }
    let filter = one(&peer.filters.incoming, &peer.filters.outgoing)?;
    let groups = one(&peer.groups.inbound, &peer.groups.outbound)?;
    let direction = match (&filter, &groups) {
        (None, None) => return Ok(Value::Object(keys)),
        (Some((_, one)), Some((_, other))) if one != other => return Err(ONE_DIRECTION.into()),
        (Some((_, direction)), _) | (None, Some((_, direction))) => *direction,
    };
    let mut rules = filter.map_or_else(Map::new, |(filter, _)| rules(filter));
    if let Some((groups, _)) = groups {
        rules.insert("groups".to_owned(), json!(groups));
    }
    rules.insert("direction".to_owned(), json!(direction.word()));
    keys.insert("filters".to_owned(), Value::Object(rules));
    Ok(Value::Object(keys))
}

const ONE_DIRECTION: &str =
    "its filter or its groups are others for each direction, and federation.json has one of them";

/// What holds for one direction or for both alike, and for which.
fn one<'a, T: PartialEq>(
    incoming: &'a Option<T>,
    outgoing: &'a Option<T>,
) -> Result<Option<(&'a T, Direction)>, String> {
    match (incoming, outgoing) {
        (None, None) => Ok(None),
        (Some(one), Some(other)) if one == other => Ok(Some((one, Direction::Both))),
        (Some(one), None) => Ok(Some((one, Direction::In))),
        (None, Some(other)) => Ok(Some((other, Direction::Out))),
        (Some(_), Some(_)) => Err(ONE_DIRECTION.into()),
    }
}

fn rules(filter: &Filter) -> Map<String, Value> {
    let mut rules = Map::new();
    if let Some(preset) = &filter.preset {
        rules.insert("preset".to_owned(), json!(preset.to_string()));
    }
    for (key, list) in [
        ("cot_types", &filter.allow_types),
        ("block_types", &filter.block_types),
        ("allow_callsigns", &filter.allow_callsigns),
        ("block_callsigns", &filter.block_callsigns),
    ] {
        if !list.is_empty() {
            rules.insert(key.to_owned(), json!(list));
        }
    }
    rules
}
