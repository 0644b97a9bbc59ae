//! A federate on another gRPC stack (Python grpcio over BoringSSL, as in a TAK Server), as dialler and as acceptor.

use serde_json::{Value, json};

use crate::support::{
    Authority, Device, Element, FOREIGN_ID, Foreign, QUIET, Registration, Setup, TomboloBox, chat,
    eventually, position,
};

const NOW_MS: i64 = 1_900_000_000_250;

fn a_foreign_federate_dials() -> (TomboloBox, Foreign) {
    let alpha_leaf = Authority::new("alpha-ca").issue("alpha");
    let foreign_leaf = Authority::new("foreign-ca").issue("foreign");
    let alpha = Setup::new("alpha")
        .identity(&alpha_leaf)
        .peer(Registration::of("foreign", &foreign_leaf))
        .start();
    let foreign = Foreign::dial(
        alpha.federation(),
        &foreign_leaf,
        &alpha_leaf,
        &["--health-every", "1"],
    );
    foreign.expect("the first health answer", |said| said["report"] == "health");
    alpha.wait_peer("foreign");
    (alpha, foreign)
}

fn we_dial(options: &[&str]) -> (TomboloBox, Foreign) {
    let alpha_leaf = Authority::new("alpha-ca").issue("alpha");
    let foreign_leaf = Authority::new("foreign-ca").issue("foreign");
    let (foreign, address) = Foreign::listen(&foreign_leaf, &alpha_leaf, options);
    let alpha = Setup::new("alpha")
        .identity(&alpha_leaf)
        .peer(Registration::of("foreign", &foreign_leaf).dial(address))
        .start();
    foreign.expect("our event stream", |said| {
        said["report"] == "call" && said["method"] == "ServerEventStream"
    });
    alpha.wait_peer("foreign");
    (alpha, foreign)
}

fn messages(foreign: &Foreign, method: &str) -> Vec<Value> {
    let mut said = foreign.said();
    said.retain(|said| said["report"] == "message" && said["method"] == method);
    said.into_iter()
        .map(|said| said["message"].clone())
        .collect()
}

pub fn own_id(alpha: &TomboloBox) -> String {
    let id = alpha.status().0["node"]["federate_id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert_eq!(id.len(), 32, "{id}");
    id
}

#[test]
fn it_dials_us_and_is_greeted_as_a_tak_server_would() {
    let (alpha, foreign) = a_foreign_federate_dials();
    let id = own_id(&alpha);
    let health = foreign.expect("health", |said| said["report"] == "health");
    assert_eq!(
        (&health["status"], &health["ended"]),
        (&json!(1), &json!(true))
    );
    for method in [
        "ServerEventStream",
        "ClientFederateGroupsStream",
        "ServerROLStream",
    ] {
        let subscription = eventually(&format!("the early answer on {method}"), || {
            messages(&foreign, method).first().cloned()
        });
        assert_eq!(subscription["identity"]["serverId"], json!(id), "{method}");
        assert_eq!(subscription["identity"]["name"], "alpha", "{method}");
    }
    // Two more health checks: time enough for anything that comes twice.
    eventually("health goes on", || {
        let answers = foreign
            .said()
            .iter()
            .filter(|said| said["report"] == "health")
            .count();
        (answers >= 3).then_some(())
    });
    let serving = messages(&foreign, "ServerFederateGroupsStream")
        .iter()
        .filter(|groups| groups.get("streamUpdate").is_some())
        .inspect(|groups| assert_eq!(groups["streamUpdate"]["status"], 1))
        .count();
    assert_eq!(
        serving, 1,
        "a second SERVING would open a second event stream over there"
    );
    assert!(
        !foreign.said().iter().any(|said| said["report"] == "status"),
        "no call ended"
    );
}

#[test]
fn we_dial_it_in_the_order_of_the_reference() {
    let (alpha, foreign) = we_dial(&[]);
    let id = own_id(&alpha);
    foreign.expect("the resource streams", |said| {
        said["report"] == "call" && said["method"] == "ServerROLStream"
    });
    let calls: Vec<Value> = foreign
        .said()
        .into_iter()
        .filter(|said| said["report"] == "call")
        .collect();
    let at = |method: &str| {
        calls
            .iter()
            .position(|call| call["method"] == method)
            .unwrap_or_else(|| panic!("{method} was not called"))
    };
    assert!(
        at("ClientEventStream") < at("ServerEventStream"),
        "or its contacts are lost"
    );
    assert!(
        at("ServerEventStream") < at("ClientFederateGroupsStream"),
        "or that call dies"
    );
    assert!(at("HealthCheck") < at("ClientROLStream"));
    let once = |method: &str| calls.iter().filter(|call| call["method"] == method).count();
    assert_eq!(once("ServerEventStream"), 1);
    for method in [
        "ClientEventStream",
        "ServerFederateGroupsStream",
        "ClientROLStream",
    ] {
        let request = &calls[at(method)]["request"];
        assert_eq!(request["identity"]["name"], "alpha", "{method}");
        assert_eq!(request["identity"]["serverId"], json!(id), "{method}");
        assert_eq!(request["identity"]["type"], 3, "{method}");
    }
    let version = &calls[at("ClientEventStream")]["request"]["version"];
    assert!(
        version["major"].as_u64() >= Some(1),
        "or health checks never end: {version}"
    );
    assert_eq!(calls[at("HealthCheck")]["request"]["status"], 1);
    eventually("our groups", || {
        messages(&foreign, "ClientFederateGroupsStream")
            .first()
            .cloned()
    });
}

#[test]
fn we_dial_one_whose_health_answers_never_end_and_one_without_groups() {
    for options in [
        ["--hang-health", "--late-replies"].as_slice(),
        &["--no-groups"],
    ] {
        let (alpha, foreign) = we_dial(options);
        let hawk = Device::plain(alpha.clients_tcp());
        alpha.wait_clients(1);
        hawk.send(position("hawk-uid", "HAWK"));
        foreign.expect_event("the position", |event| event["event"]["uid"] == "hawk-uid");
    }
}

#[test]
fn events_both_ways_when_it_dials() {
    let (alpha, mut foreign) = a_foreign_federate_dials();
    ours_arrive_field_by_field(&alpha, &foreign);
    theirs_arrive_field_by_field(&alpha, &mut foreign);
}

#[test]
fn events_both_ways_when_we_dial() {
    let (alpha, mut foreign) = we_dial(&[]);
    ours_arrive_field_by_field(&alpha, &foreign);
    theirs_arrive_field_by_field(&alpha, &mut foreign);
}

pub fn ours_arrive_field_by_field(alpha: &TomboloBox, foreign: &Foreign) {
    let hawk = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(1);
    let sent = position("hawk-uid", "HAWK");
    hawk.send(&sent);
    let came = foreign.expect_event("the position", |event| event["event"]["uid"] == "hawk-uid");
    let event = &came["event"];
    let sent_time = crate::support::Event { xml: sent }
        .attribute("time")
        .to_owned();
    let millis = event["sendTime"].as_i64().expect("a time");
    assert_eq!(crate::support::stamp(millis), sent_time);
    assert_eq!(event["startTime"], event["sendTime"]);
    assert_eq!(event["staleTime"].as_i64(), Some(millis + 120_000));
    for (field, value) in [
        ("lat", json!(47.0707)),
        ("lon", json!(12.6938)),
        ("hae", json!(1204.6)),
        ("ce", json!(4.7)),
        ("le", json!(9_999_999.0)),
        ("type", json!("a-f-G-U-C")),
        ("coordSource", json!("m-g")),
        ("battery", json!(87)),
        ("ploc", json!("GPS")),
        ("palt", json!("GPS")),
        ("speed", json!(1.5)),
        ("course", json!(90.25)),
    ] {
        assert_eq!(event[field], value, "{field}");
    }
    for absent in [
        "screenName",
        "groupName",
        "groupRole",
        "phone",
        "feedUid",
        "ptpUids",
        "ptpCallsigns",
    ] {
        assert!(event.get(absent).is_none(), "{absent}: {event}");
    }
    let other = event["other"].as_str().expect("the detail");
    assert_eq!(
        Element::parse(other),
        Element::parse(
            "<detail><contact callsign='HAWK' endpoint='*:-1:stcp'/><__group name='Cyan' role='Team Member'/>\
             <takv device='x' platform='ATAK-CIV' os='34' version='5.4'/></detail>"
        )
    );
    let servers = came["federateProvenance"].as_array().expect("a provenance");
    assert!(
        servers
            .iter()
            .any(|server| server["federationServerId"] == json!(own_id(alpha)))
    );
    if let Some(hops) = came.get("federateHops") {
        assert_eq!(hops["maxHops"], -1, "0 would mean none at all");
    }
    let unknown = |said: &Value| said["report"] == "message" && said["unknown"].as_u64() > Some(0);
    assert!(
        !foreign.said().iter().any(unknown),
        "nothing but what the tables name"
    );
}

pub fn theirs_arrive_field_by_field(alpha: &TomboloBox, foreign: &mut Foreign) {
    let otter = Device::plain(alpha.clients_tcp());
    eventually("the second client", || {
        (alpha.status().number("/clients") >= 1).then_some(())
    });
    foreign.tell(&json!({
        "do": "send_event",
        "event": {
            "sendTime": NOW_MS, "startTime": NOW_MS, "staleTime": NOW_MS + 60_000,
            "lat": -33.5, "lon": 0.0, "hae": 12.25, "ce": 999_999.0, "le": 9_999_999.0,
            "uid": "fox-uid", "type": "a-f-G-U-C-I", "coordSource": "h-e",
            "other": "<detail><contact callsign=\"FOX &amp; HOUND\"/><remarks>grüß &lt;all&gt;</remarks></detail>",
            "battery": 55, "ploc": "GPS", "palt": "DTED0", "speed": 3.25, "course": 271.5,
            "access": "Unclassified", "caveat": "none", "releaseableTo": "all"
        },
        "federateProvenance": [{"federationServerId": FOREIGN_ID}],
        "federateHops": {"maxHops": -1, "currentHops": 1}
    }));
    let came = otter.expect_uid("fox-uid");
    assert_eq!(
        Element::parse(&came.xml),
        Element::parse(
            "<event version='2.0' uid='fox-uid' type='a-f-G-U-C-I' how='h-e' time='2030-03-17T17:46:40.250Z' \
             start='2030-03-17T17:46:40.250Z' stale='2030-03-17T17:47:40.250Z' access='Unclassified' caveat='none' \
             releasableTo='all'><point lat='-33.5' lon='0' hae='12.25' ce='999999' le='9999999'/><detail>\
             <contact callsign='FOX &amp; HOUND'/><remarks>grüß &lt;all&gt;</remarks><track speed='3.25' course='271.5'/>\
             <status battery='55'/><precisionlocation geopointsrc='GPS' altsrc='DTED0'/></detail></event>"
        ),
        "{}",
        came.xml
    );
    foreign.tell(&json!({
        "do": "send_event",
        "event": {"sendTime": NOW_MS, "startTime": NOW_MS, "staleTime": NOW_MS + 60_000, "lat": 1.0, "lon": 2.0,
            "hae": 0.0, "ce": 1.0, "le": 1.0, "uid": "bare-uid", "type": "a-n-G", "coordSource": "m-g",
            "other": "<detail><remarks>bare</remarks></detail>"}
    }));
    let bare = otter.expect_uid("bare-uid");
    assert!(
        !bare.xml.contains("<track") && !bare.xml.contains("<status"),
        "nothing is invented: {}",
        bare.xml
    );
    std::thread::sleep(QUIET);
    let echoed =
        |event: &Value| event["event"]["uid"] == "fox-uid" || event["event"]["uid"] == "bare-uid";
    assert!(
        !foreign.events().iter().any(echoed),
        "never back to where it came from"
    );
}

#[test]
fn contacts_come_before_directed_traffic_and_go_with_their_device() {
    let (alpha, mut foreign) = a_foreign_federate_dials();
    let (hawk, otter) = (
        Device::plain(alpha.clients_tcp()),
        Device::plain(alpha.clients_tcp()),
    );
    alpha.wait_clients(2);
    hawk.send(position("hawk-uid", "HAWK"));
    let created = foreign.expect_event("CREATE", |event| event["contact"]["uid"] == "hawk-uid");
    assert_eq!(created["contact"]["operation"], 1);
    assert_eq!(created["contact"]["callsign"], "HAWK");

    foreign.tell(
        &json!({"do": "send_contact", "operation": "CREATE", "uid": "fox-uid", "callsign": "FOX"}),
    );
    let said = eventually("chat to FOX is carried", || {
        // Until the contact has arrived nobody of that name is known.
        hawk.send(chat("hawk-uid", "for the fox", &[("callsign", "FOX")]));
        std::thread::sleep(QUIET / 4);
        foreign
            .events()
            .into_iter()
            .find(|event| event["event"]["type"] == "b-t-f")
    });
    assert_eq!(said["event"]["ptpCallsigns"], json!(["FOX"]));
    assert!(
        !said["event"]["other"]
            .as_str()
            .unwrap_or_default()
            .contains("<marti"),
        "{said}"
    );
    let order: Vec<Value> = foreign.events();
    let create = order
        .iter()
        .position(|event| event["contact"]["uid"] == "hawk-uid");
    let directed = order
        .iter()
        .position(|event| event["event"]["type"] == "b-t-f");
    assert!(create < directed);
    let creates = order
        .iter()
        .filter(|event| event["contact"]["uid"] == "hawk-uid")
        .count();
    assert_eq!(creates, 1, "once per uid and connection");

    foreign.tell(&json!({
        "do": "send_event",
        "event": {"sendTime": NOW_MS, "startTime": NOW_MS, "staleTime": NOW_MS + 60_000, "lat": 1.0, "lon": 2.0,
            "hae": 0.0, "ce": 1.0, "le": 1.0, "uid": "GeoChat.fox", "type": "b-t-f", "coordSource": "h-e",
            "other": "<detail><remarks>for the hawk</remarks></detail>", "ptpUids": ["hawk-uid"]}
    }));
    hawk.expect_uid("GeoChat.fox");
    std::thread::sleep(QUIET);
    assert_eq!(otter.count("GeoChat.fox"), 0, "not for OTTER");
    assert!(otter.events().iter().all(|event| event.kind() != "b-t-f"));

    drop(hawk);
    let gone = foreign.expect_event("DELETE", |event| event["contact"]["operation"] == 4);
    assert_eq!(gone["contact"]["uid"], "hawk-uid");
    assert_eq!(
        gone["contact"]["callsign"], "a-f-G-U-C",
        "a DELETE carries the type there (protocol reference 1.9)"
    );

    foreign.tell(&json!({
        "do": "send_contact", "operation": "DELETE", "uid": "fox-uid", "callsign": "a-f-G-U-C"
    }));
    otter.expect("the notice that FOX left", |event| {
        event.kind() == "t-x-d-d" && event.xml.contains("fox-uid")
    });
}

#[test]
fn what_went_round_or_cannot_be_read_is_counted() {
    let (alpha, mut foreign) = a_foreign_federate_dials();
    let otter = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(1);
    let event = |uid: &str, other: &str| {
        json!({"sendTime": NOW_MS, "startTime": NOW_MS, "staleTime": NOW_MS + 60_000, "lat": 1.0, "lon": 2.0,
            "hae": 0.0, "ce": 1.0, "le": 1.0, "uid": uid, "type": "a-n-G", "coordSource": "m-g", "other": other})
    };
    let dropped = |reason: &str| alpha.status().dropped_peer("foreign", reason);
    let smuggled = "<detail><remarks><![CDATA[</event><event uid='x'>]]></remarks></detail>";
    let raw = json!({"do": "send_raw", "hex": "0affffffff7f"});
    let cases = [
        (
            "loop",
            json!({"do": "send_event", "event": event("round", "<detail/>"),
                "federateProvenance": [{"federationServerId": own_id(&alpha)}]}),
        ),
        (
            "ambiguous",
            json!({"do": "send_event", "event": event("smuggled", smuggled)}),
        ),
        (
            "malformed",
            json!({"do": "send_event", "event": event("torn", "<detail><a></detail>")}),
        ),
        (
            "malformed",
            json!({"do": "send_event", "event": event("two", "<detail/></event><event><detail/>")}),
        ),
        ("bad_message", raw),
    ];
    for (reason, command) in &cases {
        let before = dropped(reason);
        foreign.tell(command);
        eventually(&format!("counted as {reason}: {command}"), || {
            (dropped(reason) > before).then_some(())
        });
    }
    foreign.tell(&json!({"do": "send_event", "event": event("sound", "<detail/>")}));
    let sound = eventually("the next event, on this connection or the next", || {
        otter.find(|event| event.uid() == "sound").or_else(|| {
            foreign.tell(&json!({"do": "send_event", "event": event("sound", "<detail/>")}));
            None
        })
    });
    assert_eq!(sound.kind(), "a-n-G");
    for uid in ["round", "smuggled", "torn", "two", "x"] {
        assert_eq!(otter.count(uid), 0, "{uid}");
    }
}

#[test]
fn a_federate_that_dies_is_missed_and_taken_back() {
    let alpha_leaf = Authority::new("alpha-ca").issue("alpha");
    let foreign_leaf = Authority::new("foreign-ca").issue("foreign");
    let alpha = Setup::new("alpha")
        .identity(&alpha_leaf)
        .peer(Registration::of("foreign", &foreign_leaf))
        .start();
    for _ in 0..2 {
        let foreign = Foreign::dial(alpha.federation(), &foreign_leaf, &alpha_leaf, &[]);
        alpha.wait_peer("foreign");
        drop(foreign);
        alpha.wait_peer_gone("foreign");
    }
}
