//! Client → box → federation → box → client, both ways, with chat and ping, in order.

use crate::support::{Device, chat, joined_pair, position, track};

#[test]
fn both_ways() {
    let (alpha, bravo) = joined_pair();
    let (hawk, otter) = (
        Device::plain(alpha.clients_tcp()),
        Device::plain(bravo.clients_tcp()),
    );
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    hawk.send(track("from-alpha", 1));
    otter.send(track("from-bravo", 1));
    let there = otter.expect_uid("from-alpha");
    assert_eq!(there.kind(), "a-h-G-U-C");
    assert!(there.xml.contains("report 1"), "{}", there.xml);
    hawk.expect_uid("from-bravo");
    assert_eq!(
        hawk.count("from-alpha"),
        0,
        "never back to where it came from"
    );
    let status = alpha.status();
    let peer = status.peer("bravo").expect("bravo");
    assert!(peer["events_out"].as_u64() >= Some(1), "{peer}");
    assert!(peer["events_in"].as_u64() >= Some(1), "{peer}");
    assert_eq!(peer["state"], "flowing");
}

#[test]
fn over_tls_clients() {
    let (alpha, bravo) = joined_pair();
    let hawk = Device::tls(alpha.clients_tls(), &alpha.issue("hawk"));
    let otter = Device::tls(bravo.clients_tls(), &bravo.issue("otter"));
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    hawk.send(track("from-alpha", 1));
    otter.expect_uid("from-alpha");
    otter.send(track("from-bravo", 1));
    hawk.expect_uid("from-bravo");
}

#[test]
fn chat_crosses_once() {
    let (alpha, bravo) = joined_pair();
    let (hawk, otter) = (
        Device::plain(alpha.clients_tcp()),
        Device::plain(bravo.clients_tcp()),
    );
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    hawk.send(position("hawk-uid", "HAWK"));
    otter.expect_uid("hawk-uid");
    let said = chat("hawk-uid", "bridge is open", &[]);
    hawk.send(&said);
    hawk.send(&said);
    hawk.send(track("behind-the-chat", 1));
    let heard = otter.expect("the chat", |event| event.kind() == "b-t-f");
    assert!(heard.xml.contains("bridge is open"));
    otter.expect_uid("behind-the-chat");
    assert_eq!(
        otter.count(heard.uid()),
        1,
        "the same content twice is one event"
    );
    assert_eq!(alpha.status().dropped_local("duplicate"), 1);
}

#[test]
fn order_is_kept() {
    let (alpha, bravo) = joined_pair();
    let (hawk, otter) = (
        Device::plain(alpha.clients_tcp()),
        Device::plain(bravo.clients_tcp()),
    );
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    let names: Vec<String> = (0..200)
        .map(|number| format!("in-order-{number}"))
        .collect();
    for (number, name) in (0..).zip(&names) {
        hawk.send(track(name, number));
    }
    otter.expect_uid("in-order-199");
    let came: Vec<String> = otter
        .events()
        .iter()
        .map(|event| event.uid().to_owned())
        .filter(|uid| uid.starts_with("in-order-"))
        .collect();
    assert_eq!(came, names);
}

#[test]
fn a_ping_is_answered_and_stays_here() {
    let (alpha, bravo) = joined_pair();
    let (hawk, otter) = (
        Device::plain(alpha.clients_tcp()),
        Device::plain(bravo.clients_tcp()),
    );
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    hawk.send(track("ping", 1).replace("a-h-G-U-C", "t-x-c-t"));
    let pong = hawk.expect("the answer", |event| event.kind() == "t-x-c-t-r");
    assert_eq!(pong.uid(), "takPong");
    hawk.send(track("behind-the-ping", 1));
    otter.expect_uid("behind-the-ping");
    assert!(
        otter
            .events()
            .iter()
            .all(|event| !event.kind().starts_with("t-x-c-t"))
    );
}
