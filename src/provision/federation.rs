//! `federation.json`: federates declared for machines, in the shape that other TAK software reads too.

use serde::Deserialize;

use crate::config::PeerSpec;
use crate::config::settings::FEDERATION_PORT;

/// Most peers of one file.
const MOST_PEERS: usize = 256;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    peers: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    address: String,
    port: Option<u16>,
    ca_cert: Option<String>,
    protocol: Option<String>,
    #[serde(default = "on")]
    bidirectional: bool,
    #[serde(default = "on")]
    enabled: bool,
    #[serde(default)]
    filters: Filters,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filters {
    #[serde(default)]
    cot_types: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    direction: Option<String>,
}

fn on() -> bool {
    true
}

/// Reads the file. `certificate` gives the PEM text of a file that `ca_cert` names by its last part.
///
/// # Errors
/// What is wrong, and the cure, one sentence for each mistake.
pub fn read(
    text: &str,
    certificate: impl Fn(&str) -> Option<String>,
) -> Result<Vec<PeerSpec>, Vec<String>> {
    let file: File = serde_json::from_str(text)
        .map_err(|error| vec![format!("{error}; compare it with the documentation")])?;
    if file.version != 1 {
        return Err(vec![format!(
            "version: {} is not known; write 1",
            file.version
        )]);
    }
    if file.peers.len() > MOST_PEERS {
        return Err(vec![format!(
            "peers: there are more than {MOST_PEERS}; take some out"
        )]);
    }
    let mut mistakes = Vec::new();
    let mut peers = Vec::new();
    for entry in file.peers {
        match peer(&entry, &certificate) {
            Ok(peer) => peers.push(peer),
            Err(mistake) => mistakes.push(format!("peer \"{}\": {mistake}", entry.name)),
        }
    }
    match mistakes.is_empty() {
        true => Ok(peers),
        false => Err(mistakes),
    }
}

fn peer(entry: &Entry, certificate: impl Fn(&str) -> Option<String>) -> Result<PeerSpec, String> {
    if entry
        .protocol
        .as_deref()
        .is_some_and(|protocol| protocol != "tls")
    {
        return Err("protocol: only \"tls\" is spoken; write that, or leave it out".into());
    }
    let (incoming, outgoing) = match (entry.filters.direction.as_deref(), entry.bidirectional) {
        (Some("both"), _) | (None, true) => (true, true),
        (Some("in"), _) => (true, false),
        (Some("out"), _) | (None, false) => (false, true),
        (Some(_), _) => return Err("filters.direction: write \"in\", \"out\" or \"both\"".into()),
    };
    // To take the peer and not the filter would send it what it must not get.
    if !entry.filters.cot_types.is_empty() || !entry.filters.groups.is_empty() {
        return Err("filters: this release does not filter by type or group; take cot_types and groups out to \
                    exchange everything with this peer"
            .into());
    }
    let ca_pem = match entry.ca_cert.as_deref() {
        Some(pem) if pem.contains("-----BEGIN ") => Some(pem.to_owned()),
        Some(path) => {
            let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
            Some(certificate(name).ok_or_else(|| {
                format!(
                    "ca_cert: there is no file {name} in certs or peers; put the peer's CA there"
                )
            })?)
        }
        None => None,
    };
    let host = match entry.address.contains(':') && !entry.address.starts_with('[') {
        true => format!("[{}]", entry.address),
        false => entry.address.clone(),
    };
    Ok(PeerSpec {
        name: entry.name.clone(),
        address: Some(format!("{host}:{}", entry.port.unwrap_or(FEDERATION_PORT))),
        ca_pem,
        fingerprint: None,
        enabled: entry.enabled,
        incoming,
        outgoing,
        keepalive_seconds: None,
        more: Default::default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(fields: &str) -> Result<Vec<PeerSpec>, Vec<String>> {
        let text = format!(
            r#"{{"version":1,"peers":[{{"name":"bravo","address":"tak.example",{fields}}}]}}"#
        );
        read(&text, |name| {
            (name == "remote-ca.pem").then(|| "PEM".to_owned())
        })
    }

    #[test]
    fn the_documented_shape_is_understood() {
        let peers =
            one(r#""port":9000,"ca_cert":"/ssl/remote-ca.pem","bidirectional":true"#).unwrap();
        assert_eq!(peers[0].address.as_deref(), Some("tak.example:9000"));
        assert_eq!(peers[0].ca_pem.as_deref(), Some("PEM"));
        assert!(peers[0].incoming && peers[0].outgoing && peers[0].enabled);
        let peers = one(r#""ca_cert":"remote-ca.pem","bidirectional":false"#).unwrap();
        assert_eq!(peers[0].address.as_deref(), Some("tak.example:9001"));
        assert!(!peers[0].incoming && peers[0].outgoing);
    }

    #[test]
    fn what_cannot_be_done_is_a_mistake_and_never_left_out() {
        for (fields, word) in [
            (
                r#""port":9000,"filters":{"cot_types":["a-f-"]}"#,
                "does not filter",
            ),
            (
                r#""port":9000,"filters":{"groups":["Blue"]}"#,
                "does not filter",
            ),
            (r#""ca_cert":"/ssl/other.pem""#, "no file other.pem"),
            (r#""protocol":"tcp""#, "only \"tls\""),
            (r#""prt":9000"#, "unknown field"),
            (r#""port":99999"#, "expected u16"),
        ] {
            let mistakes = one(fields).unwrap_err();
            assert!(mistakes[0].contains(word), "{mistakes:?}");
        }
        assert!(read(r#"{"version":2,"peers":[]}"#, |_| None).unwrap_err()[0].contains("write 1"));
        assert!(read("{", |_| None).is_err());
    }
}
