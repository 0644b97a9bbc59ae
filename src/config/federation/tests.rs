use std::path::Path;

use super::*;
use crate::config::authority::tests::certificate;
use crate::config::{Config, candidate};

fn one(fields: &str) -> Result<Vec<PeerSpec>, Vec<Mistake>> {
    let text = format!(
        "{{\"version\":1,\n\"peers\":[\n{{\"name\":\"bravo\",\"address\":\"tak.example\",\n{fields}}}]}}"
    );
    let ca = certificate("ca", true);
    read(&text, |path| {
        (path == "/ssl/remote-ca.pem").then(|| ca.clone())
    })
}

/// Exactly as in the document that this shape comes from.
const SEED: &str = r#"{
  "version": 1,
  "peers": [
    {
      "name": "BN-TAK-Server",
      "address": "tak.battalion.mil",
      "port": 9000,
      "ca_cert": "/ssl/remote-ca.pem",
      "bidirectional": true,
      "filters": {
        "cot_types": ["a-f-", "a-n-", "t-x-m-c"],
        "groups": ["Blue Force", "Command"]
      }
    }
  ]
}
"#;

fn loaded(specs: &[PeerSpec]) -> Config {
    let mut text = String::new();
    for spec in specs {
        text = candidate::add_peer(&text, spec).unwrap();
    }
    Config::parse(&text, Path::new("")).unwrap()
}

#[test]
fn the_documented_file_becomes_a_peer_with_its_filter() {
    let ca = certificate("ca", true);
    let config = loaded(&read(SEED, |_| Some(ca.clone())).unwrap());
    let peer = &config.peers[0];
    assert_eq!(peer.name, "BN-TAK-Server");
    assert_eq!(peer.address.as_deref(), Some("tak.battalion.mil:9000"));
    assert!(peer.incoming && peer.outgoing && peer.enabled);
    assert_eq!(peer.authorities.len(), 1);
    let filter = peer.filters.outgoing.as_ref().unwrap();
    assert_eq!(filter.allow_types, ["a-f-", "a-n-", "t-x-m-c"]);
    assert_eq!(peer.filters.incoming, peer.filters.outgoing);
    let groups = Some(vec!["Blue Force".to_owned(), "Command".to_owned()]);
    assert_eq!(
        (&peer.groups.inbound, &peer.groups.outbound),
        (&groups, &groups)
    );
}

#[test]
fn toggles_directions_and_the_planned_filter_are_understood() {
    let peers = one(r#""ca_cert":"/ssl/remote-ca.pem","bidirectional":false"#).unwrap();
    assert_eq!(peers[0].address.as_deref(), Some("tak.example:9001"));
    assert!(!peers[0].incoming && peers[0].outgoing);
    // A direction without a rule is the peer's own.
    let peers = one(r#""ca_cert":"/ssl/remote-ca.pem","filters":{"direction":"in"}"#).unwrap();
    assert!(peers[0].incoming && !peers[0].outgoing && peers[0].more.is_empty());
    let planned = r#""ca_cert":"/ssl/remote-ca.pem","data_packages_out":false,
        "federation_filter":{"allow_types":["a-f-G","b-m-p","t-x"],"block_types":["a-h"]}"#;
    let config = loaded(&one(planned).unwrap());
    let filter = config.peers[0].filters.incoming.as_ref().unwrap();
    assert_eq!((filter.allow_types.len(), filter.block_types.len()), (3, 1));
    assert!(!config.peers[0].data_packages_out);
    let out = r#""fingerprint":"FP","filters":{"cot_types":["a-f"],"direction":"out"}"#;
    let out = out.replace("FP", &"ab".repeat(32));
    let config = loaded(&one(&out).unwrap());
    assert!(config.peers[0].filters.incoming.is_none() && config.peers[0].incoming);
}

#[test]
fn a_pin_must_be_that_of_the_authority() {
    let ca = certificate("ca", true);
    let pin = Fingerprint::of(&authority::read(ca.as_bytes()).unwrap()[0]).to_string();
    let text = |pin: &str| SEED.replace("\"port\": 9000", &format!("\"ca_pin\": \"{pin}\""));
    let bare = pin.replace("SHA256:", "").replace(':', "");
    for spelled in [pin.clone(), bare.clone(), bare.to_lowercase()] {
        assert!(
            read(&text(&spelled), |_| Some(ca.clone())).is_ok(),
            "{spelled}"
        );
    }
    let wrong = read(&text(&"ab".repeat(32)), |_| Some(ca.clone())).unwrap_err();
    assert!(
        wrong[0]
            .to_string()
            .starts_with("line 7: peer \"BN-TAK-Server\": `ca_pin`: is not"),
        "{}",
        wrong[0]
    );
}

#[test]
fn every_mistake_has_its_line_key_and_cure() {
    for (fields, part) in [
        (
            r#""prt":9000"#,
            "line 4: peer \"bravo\": `prt`: unknown key; did you mean `port`?",
        ),
        (
            r#""port":99999"#,
            "line 4: peer \"bravo\": `port`: 99999 will not do; write a number without quotes, 1 to 65535",
        ),
        (r#""port":"9000""#, "`port`: \"9000\" will not do"),
        (
            r#""protocol":"tcp""#,
            "`protocol`: \"tcp\" is not known; write \"tls\"",
        ),
        (
            r#""ca_cert":"/ssl/other.pem""#,
            "`ca_cert`: there is no file /ssl/other.pem; put the peer's CA there, or other.pem beside",
        ),
        (
            "\"filters\":{\n\"cot_typs\":[]}",
            "line 5: peer \"bravo\": `cot_typs`: unknown key; did you mean `cot_types`?",
        ),
        (
            "\"filters\":{\n\"cot_types\":\"a-f\"}",
            "line 5: peer \"bravo\": `cot_types`: is no list of texts",
        ),
        (
            r#""filters":{"direction":"up"}"#,
            "`direction`: \"up\" is not known; write \"in\" or \"out\" or \"both\"",
        ),
        (
            r#""enabled":"yes""#,
            "`enabled`: \"yes\" is not true or false",
        ),
    ] {
        let mistakes = one(fields).unwrap_err();
        assert!(
            mistakes
                .iter()
                .any(|mistake| mistake.to_string().contains(part)),
            "{part}: {mistakes:?}"
        );
    }
    let all = |text: &str| read(text, |_| None).unwrap_err()[0].to_string();
    assert!(
        all("{\n\"version\":2,\"peers\":[]}")
            .contains("line 2: `version`: 2 is not known; write 1")
    );
    assert!(all("[]").contains("it is no object"));
    assert!(all("{\n").contains("line 2: not JSON"));
    assert!(all(r#"{"version":1}"#).contains("`peers`: is missing; write a list"));
    let twice = format!(
        "{{\"version\":1,\"peers\":[{0},\n{0}]}}",
        r#"{"name":"a","address":"x","fingerprint":"y"}"#
    );
    assert!(all(&twice).contains("line 2: peer \"a\": `name`: another peer has it too"));
    // All of them at once, from the top.
    let two = one("\"prt\":1,\n\"enabled\":7").unwrap_err();
    assert_eq!(
        two.iter().map(|mistake| mistake.line).collect::<Vec<_>>(),
        [4, 5]
    );
}

#[test]
fn what_is_written_is_read_back_the_same() {
    let pin = "ab".repeat(32);
    let text = format!(
        "[[peer]]\nname = \"a\"\naddress = \"[::1]:9001\"\nfingerprint = \"{pin}\"\nincoming = false\n\
         data_packages_in = false\nkeepalive_seconds = 20\n\
         filter = {{ preset = \"tracks\", block_types = [\"a-h\"], block_callsigns = [\"X*\"], direction = \"out\" }}\n\
         [[peer]]\nname = \"b\"\nfingerprint = \"{pin}\"\nenabled = false\n\
         inbound_groups = [\"Blue\"]\noutbound_groups = [\"Blue\"]\nfilter = {{ allow_types = [\"a\"] }}\n"
    );
    let config = Config::parse(&text, Path::new("")).unwrap();
    let written = write(&config.peers, |_| String::new()).unwrap();
    assert_eq!(
        loaded(&read(&written, |_| None).unwrap()).peers,
        config.peers
    );
    let odd = text.replace("filter = { allow_types = [\"a\"] }", "[[peer.filter]]\ndirection = \"in\"\nblock_types = [\"a\"]\n[[peer.filter]]\ndirection = \"out\"\n");
    let config = Config::parse(&odd, Path::new("")).unwrap();
    assert_eq!(write(&config.peers, |_| String::new()).unwrap_err().0, "b");
}
