use std::path::Path;

use clap::Parser;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::*;
use crate::config::Peer;
use crate::pki::{Fingerprint, Store};

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: ExportArgs,
}

fn peer(name: &str, address: Option<&str>) -> Peer {
    Peer {
        name: name.to_owned(),
        address: address.map(str::to_owned),
        authorities: Vec::new(),
        fingerprint: None,
        enabled: true,
        incoming: true,
        outgoing: true,
        spool: true,
        correct_clock: true,
        keepalive_seconds: None,
        probe: None,
        addresses: Vec::new(),
        fallback_of: None,
        fallback_seconds: 10,
        uplinks: Vec::new(),
        rate: None,
        compress: true,
        groups: Default::default(),
        protocol: Default::default(),
        flavour: Default::default(),
        legacy_no_client_certificate: false,
        data_packages_in: true,
        data_packages_out: true,
        packages: crate::config::PeerPackages::default(),
        filters: Default::default(),
    }
}

fn export(state: &Path, arguments: &[&str]) -> Result<String, LocalError> {
    let line = Line::try_parse_from([&["export", "coreconfig"], arguments].concat()).unwrap();
    let old = |name, address| Peer {
        protocol: Protocol::V1,
        ..peer(name, address)
    };
    let peers = [
        peer("hq", Some("tak.example:9001")),
        peer("bravo", None),
        old("old", None),
        old("older", Some("tak.example:9000")),
    ];
    let local = Local {
        state,
        node_name: "alpha-1",
        identity: None,
        clients_port: 8089,
        federation_port: 9011,
        peers: &peers,
    };
    let (mut out, mut notes) = (Vec::new(), Vec::new());
    run(&line.command, &local, &mut out, &mut notes)?;
    assert!(String::from_utf8(notes).unwrap().contains("keytool"));
    Ok(String::from_utf8(out).unwrap())
}

/// Every element with its depth, in document order; fails on anything that is not well-formed.
fn elements(xml: &str) -> Vec<(usize, String)> {
    let mut reader = Reader::from_str(xml);
    let (mut found, mut depth) = (Vec::new(), 0);
    loop {
        match reader.read_event().unwrap() {
            Event::Start(start) => {
                found.push((depth, start.name().as_ref().to_owned()));
                depth += 1;
            }
            Event::Empty(start) => found.push((depth, start.name().as_ref().to_owned())),
            Event::End(_) => depth -= 1,
            Event::Comment(text) => assert!(!text.contains("--")),
            Event::Eof => return found,
            _ => {}
        }
    }
}

fn names(xml: &str, wanted: usize) -> Vec<String> {
    elements(xml)
        .into_iter()
        .filter(|(depth, _)| *depth == wanted)
        .map(|(_, name)| name)
        .collect()
}

#[test]
fn the_whole_element_is_in_the_order_of_the_schema() {
    let state = tempfile::tempdir().unwrap();
    let xml = export(state.path(), &["--address", "10.0.0.5"]).unwrap();
    assert_eq!(names(&xml, 0), ["federation"]);
    assert_eq!(
        names(&xml, 1),
        [
            "federation-server",
            "federation-outgoing",
            "federate",
            "fileFilter",
            "federateCA"
        ]
    );
    assert_eq!(
        names(&xml, 2),
        [
            "tls",
            "inboundGroup",
            "outboundGroup",
            "inboundGroup",
            "outboundGroup"
        ]
    );
    assert!(xml.contains("only one end may dial"));
}

#[test]
fn the_values_are_ours() {
    let state = tempfile::tempdir().unwrap();
    let xml = export(state.path(), &["--address", "10.0.0.5"]).unwrap();
    let store = Store::open_or_create(
        state.path(),
        "alpha-1",
        crate::pki::KeyAlgorithm::EcdsaP256,
        rustls_pki_types::UnixTime::now(),
    )
    .unwrap();
    let issuer = crate::pki::store::display_name(store.authority());
    for piece in [
        "address=\"10.0.0.5\"".to_owned(),
        "port=\"9011\"".to_owned(),
        "protocolVersion=\"2\"".to_owned(),
        "displayName=\"alpha_1\"".to_owned(),
        format!("id=\"{}\"", store.identity().fingerprint().colons()),
        format!("name=\"alpha-1:{issuer}\""),
        format!(
            "fingerprint=\"{}\"",
            Fingerprint::of(store.authority()).colons()
        ),
        "<inboundGroup>__ANON__</inboundGroup>".to_owned(),
    ] {
        assert!(xml.contains(&piece), "{piece} in {xml}");
    }
}

#[test]
fn a_peer_that_we_dial_must_not_dial_us() {
    let state = tempfile::tempdir().unwrap();
    let dialled = export(state.path(), &["hq"]).unwrap();
    assert_eq!(
        names(&dialled, 1),
        ["federation-server", "federate", "fileFilter", "federateCA"]
    );
    assert!(
        names(
            &export(state.path(), &["hq", "--snippet", "outgoing"]).unwrap(),
            0
        )
        .is_empty()
    );
    let dials = export(state.path(), &["bravo", "--snippet", "outgoing"]).unwrap();
    assert_eq!(names(&dials, 0), ["federation-outgoing"]);
    let error = export(state.path(), &["nobody"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no peer \"nobody\": registered are hq, bravo, old, older"
    );
}

#[test]
fn the_registration_alone() {
    let state = tempfile::tempdir().unwrap();
    let xml = export(state.path(), &["--snippet", "federate"]).unwrap();
    assert_eq!(names(&xml, 0), ["federate", "federateCA"]);
}

#[test]
fn a_peer_of_version_one_gets_what_version_one_takes() {
    let directory = tempfile::tempdir().unwrap();
    let dials = export(directory.path(), &["old", "--address", "here"]).unwrap();
    assert!(
        dials.contains("protocolVersion=\"1\"") && !dials.contains("protocolVersion=\"2\""),
        "{dials}"
    );
    // We dial: then it is the other server that must answer version 1.
    let dialled = export(directory.path(), &["older", "--address", "here"]).unwrap();
    assert!(!dialled.contains("<federation-outgoing"), "{dialled}");
    for part in [
        "v1enabled=\"true\"",
        "<federation-port port=\"9000\"",
        "<v1Tls tlsVersion=\"TLSv1.3\"",
    ] {
        assert!(dialled.contains(part), "{part}: {dialled}");
    }
    let tls = dialled.find("<tls ").unwrap();
    let port = dialled.find("<federation-port").unwrap();
    assert!(
        tls < port && port < dialled.find("<v1Tls").unwrap(),
        "{dialled}"
    );
    let plain = export(directory.path(), &["bravo", "--address", "here"]).unwrap();
    assert!(
        plain.contains("protocolVersion=\"2\"") && plain.contains("v1enabled=\"false\""),
        "{plain}"
    );
}
