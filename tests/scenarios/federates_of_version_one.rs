//! Federation v1: with a foreign federate on Python's ssl, and between two boxes; and everybody who comes to the same port
//! without being registered for it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use serde_json::{Value, json};

use crate::federates_on_another_stack::{ours_arrive_field_by_field, theirs_arrive_field_by_field};
use crate::support::{
    Authority, Device, Foreign, Leaf, PATIENCE, QUIET, Registration, Setup, TomboloBox, chat,
    client_config, eventually, position, track,
};

pub const V1: &str = "protocol = \"v1\"";

fn leaves() -> (Leaf, Leaf) {
    let issue = |name: &str| Authority::new(&format!("{name}-ca")).issue(name);
    (issue("alpha"), issue("foreign"))
}

fn accepting(peer: impl Fn(Registration) -> Registration) -> (TomboloBox, Leaf, Leaf) {
    let (ours, theirs) = leaves();
    let alpha = Setup::new("alpha")
        .identity(&ours)
        .limit("half_event_seconds", 1)
        .peer(peer(Registration::of("foreign", &theirs)))
        .start();
    (alpha, ours, theirs)
}

fn it_dials(options: &[&str]) -> (TomboloBox, Foreign) {
    let (alpha, ours, theirs) = accepting(|peer| peer.key(V1));
    let foreign = Foreign::dial_v1(alpha.federation(), &theirs, &ours, options);
    foreign.expect("that it is ready", |said| said["report"] == "ready");
    alpha.wait_peer("foreign");
    (alpha, foreign)
}

fn we_dial(options: &[&str]) -> (TomboloBox, Foreign) {
    let (ours, theirs) = leaves();
    let (foreign, address) = Foreign::listen_v1(&theirs, &ours, options);
    let alpha = Setup::new("alpha")
        .identity(&ours)
        .peer(Registration::of("foreign", &theirs).dial(address).key(V1))
        .start();
    alpha.wait_peer("foreign");
    (alpha, foreign)
}

pub fn reported(foreign: &Foreign, what: &str) -> usize {
    let said = foreign.said();
    said.iter().filter(|said| said["report"] == what).count()
}

#[test]
fn events_both_ways_when_it_dials() {
    let (alpha, mut foreign) = it_dials(&["--tls12"]);
    let ready = foreign.expect("that it is ready", |said| said["report"] == "ready");
    assert_eq!(ready["tls"], "TLSv1.2");
    assert_eq!(
        alpha.status().peer("foreign").expect("the peer is shown")["protocol"],
        "v1"
    );
    ours_arrive_field_by_field(&alpha, &foreign);
    theirs_arrive_field_by_field(&alpha, &mut foreign);
}

#[test]
fn events_both_ways_when_we_dial() {
    let (alpha, mut foreign) = we_dial(&[]);
    let ready = foreign.expect("that it is ready", |said| said["report"] == "ready");
    assert_eq!(
        (&ready["alpn"], &ready["certificate"]),
        (&Value::Null, &json!(true))
    );
    ours_arrive_field_by_field(&alpha, &foreign);
    theirs_arrive_field_by_field(&alpha, &mut foreign);
}

#[test]
fn contacts_are_told_and_directed_traffic_finds_them() {
    let (alpha, mut foreign) = it_dials(&[]);
    let (hawk, otter) = (
        Device::plain(alpha.clients_tcp()),
        Device::plain(alpha.clients_tcp()),
    );
    alpha.wait_clients(2);
    hawk.send(position("hawk-uid", "HAWK"));
    let created = foreign.expect_event("CREATE", |event| event["contact"]["uid"] == "hawk-uid");
    assert_eq!(
        (
            &created["contact"]["operation"],
            &created["contact"]["callsign"]
        ),
        (&json!(1), &json!("HAWK"))
    );
    foreign.tell(
        &json!({"do": "send_contact", "operation": "CREATE", "uid": "fox-uid", "callsign": "FOX"}),
    );
    let said = eventually("chat to FOX is carried", || {
        hawk.send(chat("hawk-uid", "for the fox", &[("callsign", "FOX")]));
        std::thread::sleep(QUIET / 4);
        let events = foreign.events();
        events
            .into_iter()
            .find(|event| event["event"]["type"] == "b-t-f")
    });
    assert_eq!(said["event"]["ptpCallsigns"], json!(["FOX"]));
    assert!(otter.find(|event| event.kind() == "b-t-f").is_none());
    drop(hawk);
    let deleted = foreign.expect_event("DELETE", |event| {
        event["contact"]["uid"] == "hawk-uid" && event["contact"]["operation"] == 4
    });
    assert_eq!(deleted["contact"]["callsign"], "a-f-G-U-C");
    // Whoever comes later is told who is there, before where they are.
    otter.send(position("otter-uid", "OTTER"));
    foreign.expect_event("the otter", |event| event["event"]["uid"] == "otter-uid");
    otter.send(chat("otter-uid", "before it left", &[]));
    foreign.expect_event("the chat", |event| {
        event.to_string().contains("before it left")
    });
    // Time for the acknowledgements of the kernel to be seen.
    std::thread::sleep(QUIET * 2);
    let before = foreign.events().len();
    foreign.tell(&json!({"do": "hang_up"}));
    alpha.wait_peer_gone("foreign");
    otter.send(chat("otter-uid", "while it was away", &[]));
    foreign.tell(&json!({"do": "dial"}));
    let told = eventually("the replay", || {
        let events = foreign.events().split_off(before);
        let at = |part: &str| {
            events
                .iter()
                .position(|event| event[part]["uid"] == "otter-uid")
        };
        Some((at("contact")?, at("event")?))
    });
    assert!(told.0 < told.1, "contacts first: {told:?}");
    foreign.expect_event("what was said", |event| {
        event.to_string().contains("while it was away")
    });
    let events = foreign.events().split_off(before);
    let again = events
        .iter()
        .any(|event| event.to_string().contains("before it left"));
    assert!(!again, "what was acknowledged is not sent again");
}

fn joined() -> (TomboloBox, TomboloBox) {
    let setup =
        |name: &str| Setup::new(name).identity(&Authority::new(&format!("{name}-ca")).issue(name));
    let (alpha, bravo) = (setup("alpha"), setup("bravo"));
    let (to_bravo, to_alpha) = (bravo.registration().key(V1), alpha.registration().key(V1));
    let bravo = bravo.peer(to_alpha).start();
    let alpha = alpha.peer(to_bravo.dial(bravo.federation())).start();
    alpha.wait_peer("bravo");
    bravo.wait_peer("alpha");
    (alpha, bravo)
}

#[test]
fn two_boxes_are_joined_by_version_one() {
    let (alpha, bravo) = joined();
    let (hawk, otter) = (
        Device::plain(alpha.clients_tcp()),
        Device::plain(bravo.clients_tcp()),
    );
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    hawk.send(position("hawk-uid", "HAWK"));
    otter.send(position("otter-uid", "OTTER"));
    let came = otter.expect_uid("hawk-uid");
    assert!(
        came.xml.contains("<track speed=\"1.5\" course=\"90.25\"/>"),
        "{}",
        came.xml
    );
    hawk.expect_uid("otter-uid");
    for number in 0..200 {
        hawk.send(track(&format!("track-{number}"), number));
    }
    eventually("all of them", || {
        (0..200)
            .all(|number| otter.count(&format!("track-{number}")) == 1)
            .then_some(())
    });
    otter.send(chat(
        "otter-uid",
        "to the hawk alone",
        &[("callsign", "HAWK")],
    ));
    hawk.expect("the chat", |event| event.xml.contains("to the hawk alone"));
    assert!(alpha.status().peer("bravo").expect("the peer is shown")["state"] == "flowing");
    assert!(
        alpha
            .call(["status"], "")
            .success()
            .contains("federation v1")
    );

    // Removed: nothing passes any more, within a second.
    let begun = Instant::now();
    bravo.call(["peer", "remove", "alpha"], "").success();
    alpha.wait_peer_gone("bravo");
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    eventually("its handshakes are refused", || {
        (bravo.status().refused("unknown_ca") > 0).then_some(())
    });
}

#[test]
fn when_both_dial_one_connection_stays() {
    let (one, two) = (
        Authority::new("alpha-ca").issue("alpha"),
        Authority::new("bravo-ca").issue("bravo"),
    );
    let alpha = Setup::new("alpha")
        .identity(&one)
        .peer(Registration::of("bravo", &two).key(V1))
        .start();
    let bravo = Setup::new("bravo")
        .identity(&two)
        .peer(
            Registration::of("alpha", &one)
                .dial(alpha.federation())
                .key(V1),
        )
        .start();
    alpha
        .call(
            [
                "peer",
                "set",
                "bravo",
                "--address",
                &bravo.federation().to_string(),
            ],
            "",
        )
        .success();
    let (hawk, otter) = (
        Device::plain(alpha.clients_tcp()),
        Device::plain(bravo.clients_tcp()),
    );
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    let mut number = 0;
    eventually("a link that stays", || {
        number += 1;
        hawk.send(track(&format!("a{number}"), number));
        otter.send(track(&format!("b{number}"), number));
        std::thread::sleep(Duration::from_millis(300));
        let crossed = |device: &Device, name: &str| device.count(&format!("{name}{number}")) == 1;
        (crossed(&otter, "a") && crossed(&hawk, "b") && number > 8).then_some(())
    });
}

/// A TLS stream of a client that offers these protocols.
fn stream(
    address: SocketAddr,
    leaf: &Leaf,
    protocols: &[&[u8]],
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut config = client_config(leaf);
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("localhost").expect("a name");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    let socket = TcpStream::connect(address).expect("a listener");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    StreamOwned::new(connection, socket)
}

/// Reads until the other end closes.
fn expect_closed(stream: &mut StreamOwned<ClientConnection, TcpStream>) {
    let begun = Instant::now();
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer), Ok(count) if count > 0) {}
    assert!(begun.elapsed() < PATIENCE, "not closed");
}

#[test]
fn whoever_is_not_registered_for_it_is_refused_with_its_own_words() {
    let (alpha, _, theirs) = accepting(|peer| peer);
    // Registered, and for v2.
    expect_closed(&mut stream(alpha.federation(), &theirs, &[]));
    eventually("the refusal is counted", || {
        (alpha.status().refused("speaks_v1") == 1).then_some(())
    });
    let status = alpha.status();
    let peer = status.peer("foreign").expect("the peer is shown");
    assert_eq!(
        (&peer["state"], &peer["stopped_by"]),
        (&json!("waiting"), &json!("version"))
    );
    assert!(
        status
            .reason("foreign")
            .contains("write protocol = \"v1\" in its [[peer]]"),
        "{peer}"
    );
    // A stranger, with and without a certificate.
    let stranger = Authority::new("stranger-ca").issue("foreign");
    expect_closed(&mut stream(alpha.federation(), &stranger, &[]));
    eventually("the stranger is counted", || {
        (alpha.status().refused("unknown_ca") == 1).then_some(())
    });
    let (alpha, ours, theirs) = accepting(|peer| peer.key(V1));
    let nobody = Foreign::dial_v1(alpha.federation(), &theirs, &ours, &["--no-client-cert"]);
    eventually("nobody comes in without a certificate", || {
        (alpha.status().refused("no_certificate") == 1).then_some(())
    });
    drop(nobody);
    // Registered for v1, and speaks v2.
    let mut other = stream(alpha.federation(), &theirs, &[b"h2"]);
    let _ = other.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    expect_closed(&mut other);
    eventually("that is counted too", || {
        (alpha.status().refused("speaks_v2") == 1).then_some(())
    });
    assert!(
        alpha
            .status()
            .reason("foreign")
            .contains("take protocol = \"v1\" out")
    );
    assert!(!alpha.status().is_up("foreign"));
}

#[test]
fn bad_frames_end_the_connection_are_counted_and_hurt_nobody() {
    let (alpha, _, theirs) = accepting(|peer| peer.key(V1));
    let hawk = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(1);
    let counts = |reason: &str, bytes: &[u8], hang_up: bool| {
        let before = alpha.status().dropped_peer("foreign", reason);
        let mut stream = stream(alpha.federation(), &theirs, &[]);
        stream
            .write_all(bytes)
            .expect("a connection that takes them");
        if hang_up {
            drop(stream);
        } else {
            expect_closed(&mut stream);
        }
        eventually(reason, || {
            (alpha.status().dropped_peer("foreign", reason) > before).then_some(())
        });
    };
    // Lengths that lie: four gigabytes, below zero, a little more than allowed.
    counts("oversize", &[0xff; 4], false);
    counts("oversize", &[0x80, 0, 0, 0], false);
    counts("oversize", b"GET / HTTP/1.1\r\n\r\n", false);
    // Torn, and never finished.
    counts("bad_framing", &[0, 0, 0, 9, 1, 2, 3], true);
    counts("half_event", &[0, 0, 0, 9, 1, 2, 3], false);
    counts("half_event", &[0, 0], false);
    // Whole frames of garbage cost only themselves.
    let mut link = stream(alpha.federation(), &theirs, &[]);
    for garbage in [
        &[0, 0, 0, 3, 0xff, 0xff, 0xff][..],
        &[0, 0, 0, 0],
        &[0, 0, 0, 2, 0x0a, 0x05],
    ] {
        link.write_all(garbage).expect("the link goes on");
    }
    eventually("garbage is counted", || {
        (alpha.status().dropped_peer("foreign", "bad_message") >= 2).then_some(())
    });
    alpha.wait_peer("foreign");
    hawk.send(position("hawk-uid", "HAWK"));
    link.flush().expect("the link goes on");
    let (mut heard, mut buffer) = (Vec::new(), [0; 4096]);
    while !heard.windows(8).any(|part| part == b"hawk-uid") {
        let count = link.read(&mut buffer).expect("the link goes on");
        assert!(count > 0, "the link goes on");
        heard.extend_from_slice(&buffer[..count]);
    }
    // Slowly, byte by byte, an event within its time is an event.
    let frame = frame(&json!({"uid": "fox-uid"}));
    for byte in frame {
        link.write_all(&[byte]).expect("the link goes on");
        std::thread::sleep(Duration::from_millis(2));
    }
    hawk.expect_uid("fox-uid");
}

/// A frame with a position of that uid, written by hand.
fn frame(event: &Value) -> Vec<u8> {
    let uid = event["uid"].as_str().expect("a uid").as_bytes();
    let now = u64::try_from(crate::support::now_ms()).expect("a time after 1970");
    let varint = |mut value: u64| {
        let mut out = Vec::new();
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
        out
    };
    let mut geo = Vec::new();
    for (key, time) in [(0x08, now), (0x10, now), (0x18, now + 60_000)] {
        geo.push(key);
        geo.extend(varint(time));
    }
    for (key, text) in [(0x4a, uid), (0x52, b"a-f-G"), (0x5a, b"m-g")] {
        geo.push(key);
        geo.push(u8::try_from(text.len()).expect("a short text"));
        geo.extend_from_slice(text);
    }
    let mut message = vec![0x0a, u8::try_from(geo.len()).expect("a short event")];
    message.extend(geo);
    [
        &u32::try_from(message.len())
            .expect("a short message")
            .to_be_bytes()[..],
        &message,
    ]
    .concat()
}
