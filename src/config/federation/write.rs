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
    let filters = &peer.filters;
    let (filter, direction) = match (&filters.incoming, &filters.outgoing) {
        (None, None) => return Ok(Value::Object(keys)),
        (Some(one), Some(other)) if one == other => (one, Direction::Both),
        (Some(one), None) => (one, Direction::In),
        (None, Some(other)) => (other, Direction::Out),
        (Some(_), Some(_)) => {
            return Err(
                "its filter is another one for each direction, and federation.json has one".into(),
            );
        }
    };
    keys.insert("filters".to_owned(), rules(filter, direction));
    Ok(Value::Object(keys))
}

fn rules(filter: &Filter, direction: Direction) -> Value {
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
    rules.insert("direction".to_owned(), json!(direction.word()));
    Value::Object(rules)
}
