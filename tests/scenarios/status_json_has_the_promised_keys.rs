//! What scripts rely on stays where it is.

use crate::support::{Device, eventually, joined_pair, track};

#[test]
fn all_of_them() {
    let (alpha, bravo) = joined_pair();
    let hawk = Device::plain(alpha.clients_tcp());
    let otter = Device::plain(bravo.clients_tcp());
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    for number in 0..20 {
        hawk.send(track(&format!("track-{number}"), number));
    }
    otter.expect_uid("track-19");
    let status = alpha.status();
    let value = &status.0;
    assert_eq!(
        value["node"].as_str().or(value["node"]["name"].as_str()),
        Some("alpha")
    );
    assert!(value["clock"].is_object(), "{value}");
    assert!(value["memory"].is_object(), "{value}");
    assert_eq!(value["clients"], 1);
    assert!(value["local"]["dropped"].is_object(), "{value}");
    let peer = status.peer("bravo").expect("bravo");
    assert_eq!(peer["state"], "flowing");
    assert!(
        peer["reason"].is_string() || peer["reason"].is_null(),
        "{peer}"
    );
    for key in ["events_in", "events_out"] {
        assert!(peer[key].is_u64(), "{key}: {peer}");
    }
    for key in ["rate_in", "rate_out"] {
        assert!(peer[key].is_number(), "{key}: {peer}");
    }
    assert!(!peer["last_heard"].is_null(), "{peer}");
    assert!(peer["dropped"].is_object(), "{peer}");
    assert!(peer["events_out"].as_u64() >= Some(20), "{peer}");
    let bravo_side = eventually("bravo counts what came", || {
        let status = bravo.status();
        let peer = status.peer("alpha")?.clone();
        (peer["events_in"].as_u64()? >= 20).then_some(peer)
    });
    assert_eq!(bravo_side["state"], "flowing");
}

#[test]
fn the_table_for_people_names_the_peer_and_its_state() {
    let (alpha, _bravo) = joined_pair();
    let table = alpha.call(["status"], "").success();
    assert!(table.contains("bravo"), "{table}");
    assert!(
        table.contains("connected") || table.contains("flowing"),
        "{table}"
    );
}
