//! Groups and local networks of real boxes: who hears whom, what peers are told of it, and what `why` says.

use serde_json::{Value, json};

use crate::support::{
    Authority, Device, Foreign, QUIET, Registration, Setup, eventually, joined, track,
};

fn network<'a>(status: &'a Value, name: &str) -> &'a Value {
    let networks = status["networks"].as_array().expect("networks");
    let named = networks.iter().find(|network| network["name"] == name);
    named.expect("the network")
}

#[test]
fn two_networks_in_one_box_and_a_peer_that_hears_one_of_them() {
    let (one, two) = (Authority::new("alpha-ca"), Authority::new("bravo-ca"));
    let range = "[[network]]\nname = \"range\"\nclients_tcp = \"127.0.0.1:0\"\nclients_tls = \"127.0.0.1:0\"\n\
                 inbound_groups = [\"Range\"]\noutbound_groups = [\"Range\", \"__ANON__\"]";
    let alpha = Setup::new("alpha")
        .identity(&one.issue("alpha"))
        .table(range);
    let bravo = Setup::new("bravo").identity(&two.issue("bravo"));
    let (to_alpha, to_bravo) = (alpha.registration(), bravo.registration());
    let bravo = bravo.peer(to_alpha).start();
    let to_bravo = to_bravo
        .dial(bravo.federation())
        .key("outbound_groups = [\"Range\"]")
        .key("group_mapping = true")
        .key("fallback_when_no_group_mappings = true");
    let alpha = alpha.peer(to_bravo).start();
    alpha.wait_peer("bravo");
    bravo.wait_peer("alpha");
    let status = alpha.status().0;
    let range = network(&status, "range");
    let address = |key: &str| {
        range[key]
            .as_str()
            .expect("an address")
            .parse()
            .expect("one")
    };
    let local = Device::plain(alpha.clients_tcp());
    let on_range = Device::plain(address("clients_tcp"));
    let by_tls = Device::tls(address("clients_tls"), &alpha.issue("ranger"));
    let far = Device::plain(bravo.clients_tcp());
    alpha.wait_clients(3);
    bravo.wait_clients(1);

    on_range.send(track("shot", 1));
    by_tls.expect_uid("shot");
    far.expect_uid("shot");
    local.send(track("walk", 1));
    on_range.expect_uid("walk");
    by_tls.expect_uid("walk");
    far.send(track("home", 1));
    local.expect_uid("home");
    on_range.expect_uid("home");
    std::thread::sleep(QUIET);
    assert_eq!((local.count("shot"), far.count("walk")), (0, 0));

    let status = alpha.status();
    assert_eq!(status.dropped_peer("bravo", "no_group"), 1);
    let range = network(&status.0, "range");
    assert_eq!(
        (&range["clients"], &range["events_in"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(network(&status.0, "local")["events_in"], 1);
    // Its exit code says that it did not get there.
    let why = alpha.call(["why", "walk", "--peer", "bravo"], "").stdout;
    assert!(
        why.contains("(no_group)") && why.contains("outbound_groups"),
        "{why}"
    );
    let words = alpha.call(["status"], "").success();
    assert!(words.contains("range: 2 clients"), "{words}");
    assert!(
        words.contains("groups: in all, out Range, names mapped"),
        "{words}"
    );
    // The other box was told what it may get.
    let remote = eventually("the groups at bravo", || {
        let status = bravo.status();
        let groups = status.peer("alpha")?["groups"]["remote"].clone();
        (groups == json!(["Range"])).then_some(groups)
    });
    assert_eq!(remote, json!(["Range"]));

    // Taken over while everything is up: now the peer hears everybody.
    let file = std::fs::read_to_string(alpha.config()).expect("the configuration");
    let wider = file.replace(
        "outbound_groups = [\"Range\"]\n",
        "outbound_groups = [\"Range\", \"__ANON__\"]\n",
    );
    assert_ne!(file, wider);
    std::fs::write(alpha.config(), wider).expect("written");
    alpha.call(["reload"], "").success();
    // It is told of what it did not hear before, and of its groups.
    far.expect_uid("walk");
    eventually("the new groups at bravo", || {
        let status = bravo.status();
        (status.peer("alpha")?["groups"]["remote"] == json!(["__ANON__", "Range"])).then_some(())
    });
    assert!(!alpha.log().contains("link cut"), "the link stayed up");
}

#[test]
fn a_network_that_is_switched_off_is_on_its_own() {
    let (one, two) = (Authority::new("alpha-ca"), Authority::new("bravo-ca"));
    let lab = "[[network]]\nname = \"lab\"\nclients_tcp = \"127.0.0.1:0\"\nincoming = false\noutgoing = false";
    let (alpha, bravo) = joined(
        Setup::new("alpha").identity(&one.issue("alpha")).table(lab),
        Setup::new("bravo").identity(&two.issue("bravo")),
    );
    let status = alpha.status().0;
    let address = network(&status, "lab")["clients_tcp"]
        .as_str()
        .expect("an address");
    let address = address.parse().expect("an address");
    let [one, other] = [(); 2].map(|()| Device::plain(address));
    let (local, far) = (
        Device::plain(alpha.clients_tcp()),
        Device::plain(bravo.clients_tcp()),
    );
    alpha.wait_clients(3);
    bravo.wait_clients(1);
    one.send(track("inside", 1));
    other.expect_uid("inside");
    local.send(track("outside", 1));
    far.expect_uid("outside");
    std::thread::sleep(QUIET);
    assert_eq!((local.count("inside"), far.count("inside")), (0, 0));
    assert_eq!((one.count("outside"), other.count("outside")), (0, 0));
    let why = alpha.call(["why", "inside"], "").success();
    assert!(why.contains("incoming_off"), "{why}");
    // Another name is another network: that takes a restart, and is said.
    let file = std::fs::read_to_string(alpha.config()).expect("the configuration");
    std::fs::write(alpha.config(), file.replace("\"lab\"", "\"shop\"")).expect("written");
    let words = alpha.call(["reload"], "").success();
    assert!(words.contains("[[network]] take a restart"), "{words}");
}

#[test]
fn a_federate_on_another_stack_is_told_groups_and_hops_and_its_names_count() {
    let (ours, theirs) = (Authority::new("alpha-ca"), Authority::new("foreign-ca"));
    let (leaf, foreign_leaf) = (ours.issue("alpha"), theirs.issue("foreign"));
    let (mut foreign, address) = Foreign::listen(&foreign_leaf, &leaf, &[]);
    let blue = "[[network]]\nname = \"blue\"\nclients_tcp = \"127.0.0.1:0\"\n\
                inbound_groups = [\"Blue\", \"Secret\"]\noutbound_groups = [\"Blue\"]";
    let alpha = Setup::new("alpha")
        .identity(&leaf)
        .table(blue)
        .peer(
            Registration::of("foreign", &foreign_leaf)
                .dial(address)
                .key("outbound_groups = [\"Blue\"]")
                .key("group_mapping = true")
                .key("inbound_group_mapping = [\"Blau:Blue\"]")
                .key("max_hops = 4")
                .key("outbound_group_hop_limits = [\"Blue:2\"]"),
        )
        .start();
    alpha.wait_peer("foreign");
    let told = foreign.expect("our groups", |said| {
        said["report"] == "message" && said["method"] == "ClientFederateGroupsStream"
    });
    assert_eq!(told["message"]["federateGroups"], json!(["Blue"]));
    let status = alpha.status().0;
    let address = network(&status, "blue")["clients_tcp"]
        .as_str()
        .expect("an address");
    let in_blue = Device::plain(address.parse().expect("an address"));
    let local = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(2);
    local.send(track("anon", 1));
    in_blue.send(track("blue", 1));
    let event = foreign.expect_event("the track", |event| event["event"]["uid"] == "blue");
    assert_eq!(event["federateGroups"], json!(["Blue"]), "Secret is ours");
    let number = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.as_i64(), |text| text.parse().ok())
    };
    assert_eq!(number(&event["federateHops"]["maxHops"]), Some(4));
    assert_eq!(number(&event["federateHops"]["currentHops"]), Some(1));
    let limits = &event["federateGroupHopLimits"];
    assert_eq!(limits["useFederateGroupHopLimits"], json!(true));
    let limit = limits["limits"].as_array().expect("limits").iter();
    let limit = limit
        .clone()
        .find(|limit| limit["groupName"] == "Blue")
        .expect("Blue");
    assert_eq!(
        (number(&limit["maxHops"]), number(&limit["currentHops"])),
        (Some(2), Some(1))
    );
    assert!(
        foreign
            .events()
            .iter()
            .all(|event| event["event"]["uid"] != "anon")
    );

    let mut say = |uid: &str, names: Value| {
        let now = crate::support::now_ms();
        foreign.tell(&json!({"do": "send_event", "federateGroups": names, "event": {
            "sendTime": now, "startTime": now, "staleTime": now + 60_000, "uid": uid, "type": "a-f-G",
            "coordSource": "m-g", "lat": 1.0, "lon": 2.0, "hae": 3.0, "ce": 4.0, "le": 5.0,
        }}));
    };
    say("unnamed", json!([]));
    say("other", json!(["Rot"]));
    say("named", json!(["Blau"]));
    in_blue.expect_uid("named");
    assert_eq!((in_blue.count("unnamed"), in_blue.count("other")), (0, 0));
    assert_eq!(local.count("named"), 0);
    eventually("both counted", || {
        (alpha.status().dropped_peer("foreign", "no_group") >= 2).then_some(())
    });
    let why = alpha.call(["why", "other"], "").success();
    assert!(why.contains("no_group"), "{why}");
    foreign.tell(&json!({"do": "groups", "groups": ["Blau", "Rot\u{7}"]}));
    eventually("its groups in the status", || {
        let status = alpha.status();
        let remote = &status.peer("foreign")?["groups"]["remote"];
        (*remote == json!(["Blau", "Rot"])).then_some(())
    });
}
