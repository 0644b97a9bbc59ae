use std::path::Path;

use super::*;
use crate::config::authority::tests::certificate;
use crate::config::written::Written;
use crate::config::{Config, PeerSpec, authority};
use crate::pki::Fingerprint;

const CORE: &str = include_str!("../../../tests/samples/CoreConfig.xml");
const SERVER: &str = include_str!("../../../tests/samples/federation-server.xml");
const LINE: &str = include_str!("../../../tests/samples/federation-line.xml");
const FTS: &str = include_str!("../../../tests/samples/FTSConfig.yaml");

fn settings(found: &Found) -> Vec<String> {
    let settings = found.settings.iter();
    settings
        .map(|setting| format!("{} = {}", setting.key, setting.value.trim()))
        .collect()
}

fn list(words: &[&str]) -> Written {
    Written::List(words.iter().map(|word| (*word).to_owned()).collect())
}

fn left(found: &Found, words: &str) -> bool {
    found.left_out.iter().any(|left| left.contains(words))
}

/// As it would stand in the file, read by the validator.
fn config(found: &Found) -> Config {
    let joined = join("", found, &[], false).unwrap();
    match Config::parse(&joined.text, Path::new("/nonexistent")) {
        Ok(config) => config,
        Err(error) => panic!("{error}\n{}", joined.text),
    }
}

fn peer<'a>(found: &'a Found, name: &str) -> &'a PeerSpec {
    found.peers.iter().find(|peer| peer.name == name).unwrap()
}

#[test]
fn kinds_are_told_by_what_is_in_them() {
    for (text, kind) in [
        (CORE, Kind::Xml),
        (SERVER, Kind::Xml),
        (LINE, Kind::Xml),
        (FTS, Kind::FreeTakServer),
        ("\n{\"version\": 1}", Kind::Federation),
        ("", Kind::Federation),
        ("# x\n[node]\n", Kind::Own),
        ("node.name = \"x\"\n", Kind::Own),
    ] {
        assert_eq!(Kind::of(text), kind, "{text:.40}");
    }
}

#[test]
fn the_documents_federation_server_is_a_peer() {
    let ca = certificate("ca", true);
    let found = read_xml(SERVER, &|name| {
        (name == "company-cloudtak").then(|| ca.clone())
    })
    .unwrap();
    let one = peer(&found, "company-cloudtak");
    assert_eq!(one.address.as_deref(), Some("tak.company.mil:9000"));
    assert_eq!(one.more["inbound_groups"], list(&["BlueForce"]));
    assert_eq!(one.more["outbound_groups"], list(&["BlueForce"]));
    assert!(
        left(
            &found,
            "line 5: reconnectInterval = 5: this box waits longer"
        ),
        "{found:?}"
    );
    assert!(
        left(&found, "maxRetries = 10: this box never gives up"),
        "{found:?}"
    );
    assert_eq!(config(&found).peers.len(), 1);
    // Nobody says whom to trust: no peer.
    let found = read_xml(SERVER, &|_| None).unwrap();
    assert_eq!(
        (found.peers.len(), found.untrusted),
        (0, vec!["company-cloudtak".to_owned()])
    );
}

#[test]
fn the_documents_federation_line_is_a_port() {
    let found = read_xml(LINE, &|_| None).unwrap();
    assert_eq!(settings(&found), ["listen.federation = \"0.0.0.0:9000\""]);
    assert!(
        left(
            &found,
            "v1Enabled = true: version 1 is spoken with those peers"
        ),
        "{found:?}"
    );
    assert!(
        left(
            &found,
            "allowMissionPackageUpload = false: data packages are a switch"
        ),
        "{found:?}"
    );
    assert!(left(&found, "missionPackageStopPort = 8448"), "{found:?}");
    config(&found);
}

#[test]
fn a_core_config_is_peers_with_their_groups() {
    let ca = certificate("ca", true);
    let authority = |name: &str| (name == "brigade south").then(|| ca.clone());
    let found = read_xml(CORE, &authority).unwrap();
    let names: Vec<&str> = found.peers.iter().map(|peer| peer.name.as_str()).collect();
    assert_eq!(names, ["brigade_north", "brigade south", "Patrol & Co"]);
    assert_eq!(found.untrusted, ["nobody_knows"]);
    let north = peer(&found, "brigade_north");
    assert_eq!(north.address.as_deref(), Some("north.example.mil:9001"));
    assert!(
        north
            .fingerprint
            .as_deref()
            .unwrap()
            .to_lowercase()
            .contains("aaaa")
    );
    assert_eq!(north.more["inbound_groups"], list(&["Blue", "__ANON__"]));
    assert_eq!(
        north.more["inbound_group_mapping"],
        list(&["Blue Force:Blue"])
    );
    assert_eq!(north.more["group_mapping"], Written::Switch(true));
    assert_eq!(north.more["max_hops"], Written::Number(3));
    assert_eq!(
        north.more["outbound_group_hop_limits"],
        list(&["Command:2"])
    );
    assert!(!north.more.contains_key("protocol"));
    assert_eq!(
        north.more["package_block_extensions"],
        list(&["exe", "bat"])
    );
    let south = peer(&found, "brigade south");
    assert_eq!(south.address.as_deref(), Some("[2001:db8::7]:9000"));
    assert_eq!(south.more["protocol"], Written::Text("v1".into()));
    assert_eq!(
        south.more["fallback_of"],
        Written::Text("brigade_north".into())
    );
    assert!(!south.enabled);
    let patrol = peer(&found, "Patrol & Co");
    assert_eq!(
        (&patrol.address, &patrol.more["inbound_groups"]),
        (&None, &list(&[]))
    );
    assert_eq!(
        settings(&found),
        ["listen.federation = [\"0.0.0.0:9000\", \"0.0.0.0:9001\"]"]
    );
    for words in [
        "missionFederationDisruptionToleranceRecencySeconds = 86400: missions",
        "webBaseUrl = https://hq.example.mil:8443/Marti: others reach this box at",
        "tls: its keystores stay with the TAK Server",
        "archive = false: this box keeps no archive",
        "federate \"token-user\": its id is no SHA-256",
        "peer \"Patrol & Co\" has no inboundGroup: nothing of it is taken",
        "federateCA CC:CC:CC:CC: no peer of this file is known by that CA",
        "peer \"brigade south\": no <federate> of that name says its groups",
        "reconnectInterval = 10",
    ] {
        assert!(left(&found, words), "{words}: {:#?}", found.left_out);
    }
    let config = config(&found);
    assert_eq!(config.peers.len(), 3);
    assert_eq!(config.listen.federation.len(), 2);
}

#[test]
fn a_federate_ca_gives_its_groups_to_those_it_issued() {
    let ca = certificate("ca", true);
    let fingerprint = Fingerprint::of(&authority::read(ca.as_bytes()).unwrap()[0]).colons();
    let text = format!(
        "<federation><federation-outgoing displayName='a' address='h' port='9001' protocolVersion='2'/><fileFilter/>\
         <federateCA fingerprint='{fingerprint}' maxHops='2'><inboundGroup>In</inboundGroup><outboundGroup>Out</outboundGroup>\
         </federateCA></federation>"
    );
    let found = read_xml(&text, &|_| Some(ca.clone())).unwrap();
    let one = &found.peers[0];
    assert_eq!(
        (&one.more["inbound_groups"], &one.more["max_hops"]),
        (&list(&["In"]), &Written::Number(2))
    );
    assert_eq!(found.left_out, Vec::<String>::new());
    config(&found);
}

#[test]
fn a_federate_of_which_nothing_would_be_taken_still_makes_a_valid_peer() {
    let pin = "ab".repeat(32);
    let text = format!(
        "<federation><federate id='{pin}' name='x:y' federatedGroupMapping='true' maxHops='0'/></federation>"
    );
    let found = read_xml(&text, &|_| None).unwrap();
    assert!(
        left(
            &found,
            "federatedGroupMapping: no group of the peer has a meaning"
        ),
        "{found:?}"
    );
    assert!(
        left(&found, "maxHops = 0: it is 1 to 254 hops"),
        "{found:?}"
    );
    config(&found);
}

#[test]
fn other_files_are_refused_in_plain_words() {
    for (text, words) in [
        (
            "<html></html>",
            "line 1: <html> holds no <federation>; give a TAK Server's",
        ),
        ("<Configuration>\n<a>", "line 2: not XML: it ends before"),
        (
            "<!DOCTYPE x []><federation/>",
            "not XML: a document type is not read",
        ),
    ] {
        let fault = read_xml(text, &|_| None).unwrap_err().to_string();
        assert!(fault.contains(words), "{fault}");
    }
}

#[test]
fn an_fts_config_is_keys_of_ours() {
    let found = read_yaml(FTS).unwrap();
    assert_eq!(
        settings(&found),
        [
            "node.name = \"server_a_hq_node\"",
            "node.advertised_host = \"server-a.example.com\"",
            "listen.federation = \"0.0.0.0:9000\"",
            "identity.certificate = \"/opt/fts/certs/server.pem\"",
            "identity.key = \"/opt/fts/certs/server.key\"",
            "listen.clients_tls = \"0.0.0.0:8090\""
        ]
    );
    assert_eq!(found.settings[2].from, "line 8: FTS_FED_PORT");
    assert!(
        left(&found, "FTS_FEDERATION_KEYPASS is not needed"),
        "{found:?}"
    );
    assert!(
        left(
            &found,
            "line 6: FTS_COT_PORT: plain CoT is open to this machine alone"
        ),
        "{found:?}"
    );
    assert!(
        left(
            &found,
            "line 3: FTS_OPTIMIZE_API: it is FreeTAKServer's own affair"
        ),
        "{found:?}"
    );
    let config = config(&found);
    assert_eq!(
        (config.name.as_str(), config.listen.federation[0].port()),
        ("server_a_hq_node", 9000)
    );
    let fault = read_yaml(&FTS.replace("federation_password", "defaultpass")).unwrap_err();
    assert_eq!(fault.line, 14);
    assert!(
        fault
            .to_string()
            .contains("the password that everybody knows; choose"),
        "{fault}"
    );
}

#[test]
fn what_is_there_stays_unless_the_file_is_the_truth() {
    let found = read_yaml("Addresses:\n  FTS_FED_PORT: 9000\nSystem:\n  FTS_NODE_ID: a\n").unwrap();
    let text = "# mine\n[listen]\nfederation = \"0.0.0.0:9001\" # ours\n";
    let kind = join(text, &found, &[], false).unwrap();
    assert_eq!(
        kind.in_words(false),
        "set node.name = \"a\"; set already, left as it is: listen.federation"
    );
    assert!(
        kind.text.contains("federation = \"0.0.0.0:9001\" # ours"),
        "{}",
        kind.text
    );
    let strict = join(text, &found, &[], true).unwrap();
    assert!(
        strict.text.contains("federation = \"0.0.0.0:9000\" # ours"),
        "{}",
        strict.text
    );
    let again = join(&strict.text, &found, &[], true).unwrap();
    assert_eq!(
        (again.in_words(true), again.text),
        ("nothing to do".to_owned(), strict.text)
    );
}

#[test]
fn an_untrusted_peer_that_is_there_is_not_forgotten() {
    let pin = "ab".repeat(32);
    let text = format!("[[peer]]\nname = \"company-cloudtak\"\nfingerprint = \"{pin}\"\n");
    let found = read_xml(SERVER, &|_| None).unwrap();
    assert_eq!(
        join(&text, &found, &[], true).unwrap().removed,
        Vec::<String>::new()
    );
    // One that a file of conf.d/ declares is not written a second time.
    let ca = certificate("ca", true);
    let found = read_xml(SERVER, &|_| Some(ca.clone())).unwrap();
    let joined = join("", &found, &["company-cloudtak".to_owned()], true).unwrap();
    assert_eq!((joined.text.as_str(), joined.added.len()), ("", 0));
}
