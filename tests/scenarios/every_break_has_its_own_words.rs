//! Each way to break a link or a track yields its own state and its own words in `status`, `why` and `check`.

use std::io::Write;

use rcgen::ExtendedKeyUsagePurpose;
use serde_json::Value;

use crate::support::{
    Authority, Device, Event, Finished, Foreign, Leaf, Profile, Registration, Setup, TomboloBox,
    chat, eventually, joined_pair, position, track,
};

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| {
        panic!("no JSON: {error}: {}\n{}", finished.stdout, finished.stderr)
    })
}

fn why(at: &TomboloBox, uid: &str) -> Value {
    json(&at.call(["why", uid, "--json"], ""))
}

fn fate<'a>(why: &'a Value, link: &str) -> &'a Value {
    let fates = why["fates"].as_array().expect("fates");
    let found = fates.iter().find(|fate| fate["link"] == link);
    found.unwrap_or_else(|| panic!("nothing about {link}: {why}"))
}

fn step<'a>(check: &'a Value, name: &str) -> &'a Value {
    let steps = check["steps"].as_array().expect("steps");
    let found = steps.iter().find(|step| step["step"] == name);
    found.unwrap_or_else(|| panic!("no step {name}: {check}"))
}

#[test]
fn a_link_that_is_well_is_proven_without_users() {
    let (alpha, bravo) = joined_pair();
    for (at, peer) in [(&alpha, "bravo"), (&bravo, "alpha")] {
        let checked = at.call(["check", peer, "--json"], "");
        let report = json(&checked);
        assert_eq!(checked.code, Some(0), "{report}");
        assert_eq!(report["verdict"], "proven", "{report}");
        assert!(
            report["stopped_by"].is_null() && report["round_trip_ms"].is_u64(),
            "{report}"
        );
        for name in [
            "name",
            "tcp",
            "tls",
            "registration",
            "version",
            "groups",
            "health",
            "clock",
            "direction",
            "echo",
        ] {
            assert_eq!(step(&report, name)["state"], "ok", "{report}");
        }
        assert!(
            step(&report, "clock")["words"]
                .as_str()
                .unwrap()
                .contains("the same within a second")
        );
        let words = at.call(["check", peer], "").success();
        assert!(words.contains("proven, a probe came back in"), "{words}");
        assert!(
            words
                .lines()
                .all(|line| line.chars().count() <= 80 || line.contains("SHA256:")),
            "{words}"
        );
        // Nobody is there and nothing was sent, yet the link is known to flow.
        let status = at.status();
        let entry = status.peer(peer).expect("the peer");
        assert_eq!(entry["state"], "flowing", "{entry}");
        assert!(entry["proven"]["count"].as_u64() >= Some(1), "{entry}");
        assert_eq!(
            (&entry["events_in"], &entry["events_out"]),
            (&0.into(), &0.into()),
            "{entry}"
        );
    }
}

#[test]
fn a_probe_is_shown_to_nobody() {
    let (alpha, bravo) = joined_pair();
    let otter = Device::plain(bravo.clients_tcp());
    let hawk = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    alpha.call(["check", "bravo"], "").success();
    bravo.call(["check", "alpha"], "").success();
    hawk.send(track("behind-the-probe", 1));
    otter.expect_uid("behind-the-probe");
    for device in [&hawk, &otter] {
        assert!(
            device
                .events()
                .iter()
                .all(|event| !event.kind().contains("tombolo"))
        );
    }
    // What a client sends in a probe's name stays with the client.
    hawk.send(track("forged", 1).replace("a-h-G-U-C", "t-x-tombolo-echo"));
    hawk.send(track("behind-the-forged", 1));
    otter.expect_uid("behind-the-forged");
    assert_eq!(otter.count("forged"), 0);
}

#[test]
fn why_tells_where_a_track_went_and_what_stopped_it() {
    let (alpha, bravo) = joined_pair();
    let hawk = Device::plain(alpha.clients_tcp());
    let near = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(2);
    hawk.send(position("hawk-uid", "HAWK"));
    near.expect_uid("hawk-uid");
    let sent = eventually("it is sent", || {
        let why = why(&alpha, "hawk-uid");
        (why["unknown"] == false && fate(&why, "bravo")["fate"] == "sent").then_some(why)
    });
    assert_eq!(sent["callsign"], "HAWK");
    assert_eq!(sent["taken"]["from"], "local client");
    assert_eq!(sent["taken"]["class"], "track");
    assert_eq!(fate(&sent, "local clients")["fate"], "sent");
    // By callsign too, and at the other box from the other side.
    assert_eq!(why(&alpha, "HAWK")["uid"], "hawk-uid");
    eventually("bravo has it", || {
        (why(&bravo, "hawk-uid")["taken"]["from"] == "alpha").then_some(())
    });
    assert_eq!(fate(&why(&bravo, "hawk-uid"), "alpha")["fate"], "origin");
    let words = alpha
        .call(["why", "hawk-uid", "--peer", "bravo"], "")
        .success();
    assert!(words.contains("bravo: sent"), "{words}");

    // The same again: a repeat. What became of the first stays known.
    let same = track("same", 7);
    hawk.send(&same);
    hawk.send(&same);
    let repeated = eventually("the repeat", || {
        let why = why(&alpha, "same");
        why["refused"]["reason"].is_string().then_some(why)
    });
    assert_eq!(repeated["refused"]["reason"], "duplicate");
    assert_eq!(repeated["refused"]["rule"], "loop");
    assert_eq!(fate(&repeated, "bravo")["fate"], "sent");

    // Never heard of.
    let unknown = alpha.call(["why", "nobody", "--json"], "");
    assert_eq!(
        (unknown.code, &json(&unknown)["unknown"]),
        (Some(65), &true.into())
    );
}

#[test]
fn directions_have_their_words() {
    let (alpha, bravo) = joined_pair();
    let hawk = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(1);
    bravo
        .call(["peer", "set", "alpha", "--no-incoming"], "")
        .success();
    let checked = alpha.call(["check", "bravo", "--json"], "");
    let report = json(&checked);
    assert_eq!(
        (checked.code, &report["stopped_by"]),
        (Some(69), &"direction".into()),
        "{report}"
    );
    let words = step(&report, "direction")["words"].as_str().unwrap();
    assert!(words.contains("bravo does not take our events"), "{words}");
    hawk.send(track("refused-there", 1));
    let refused = eventually("bravo refuses it", || {
        let why = why(&bravo, "refused-there");
        why["refused"]["reason"].is_string().then_some(why)
    });
    assert_eq!(
        (&refused["refused"]["reason"], &refused["refused"]["rule"]),
        (&"incoming_off".into(), &"direction".into())
    );
    assert!(
        refused["refused"]["words"]
            .as_str()
            .unwrap()
            .contains("peer set alpha --incoming"),
        "{refused}"
    );

    alpha
        .call(["peer", "set", "bravo", "--no-outgoing"], "")
        .success();
    hawk.send(track("kept-here", 1));
    let kept = eventually("alpha keeps it", || {
        let why = why(&alpha, "kept-here");
        (why["unknown"] == false).then_some(why)
    });
    assert_eq!(fate(&kept, "bravo")["reason"], "outgoing_off");
    assert!(
        fate(&kept, "bravo")["words"]
            .as_str()
            .unwrap()
            .contains("peer set bravo --outgoing")
    );
    let only = alpha.call(["why", "kept-here", "--peer", "bravo"], "");
    assert_eq!(only.code, Some(69), "{}", only.stdout);

    alpha
        .call(["peer", "set", "bravo", "--no-incoming"], "")
        .success();
    let status = alpha.status();
    let entry = status.peer("bravo").expect("bravo");
    assert_eq!(
        (&entry["state"], &entry["stopped_by"]),
        (&"paused".into(), &"direction".into())
    );
    let report = json(&alpha.call(["check", "bravo", "--json"], ""));
    assert_eq!(report["stopped_by"], "direction", "{report}");
}

#[test]
fn a_track_that_is_stale_or_for_nobody_says_so() {
    let (alpha, _bravo) = joined_pair();
    let hawk = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(1);
    hawk.send(track("old", 1).replace("stale=\"20", "stale=\"19"));
    let stale = eventually("it came", || {
        let why = why(&alpha, "old");
        (why["unknown"] == false).then_some(why)
    });
    assert!(stale["taken"]["left_seconds"].as_i64() < Some(0), "{stale}");
    assert!(
        stale["taken"]["words"]
            .as_str()
            .unwrap()
            .contains("stale when it came"),
        "{stale}"
    );
    assert_eq!(fate(&stale, "bravo")["fate"], "sent");

    let chat = chat("hawk-uid", "anybody?", &[("callsign", "GHOST")]);
    let uid = Event { xml: chat.clone() }.uid().to_owned();
    hawk.send(&chat);
    let lost = eventually("nobody is there", || {
        let why = why(&alpha, &uid);
        why["refused"]["reason"].is_string().then_some(why)
    });
    assert_eq!(
        (&lost["refused"]["reason"], &lost["refused"]["rule"]),
        (&"no_destination".into(), &"destination".into())
    );
}

#[test]
fn a_link_that_is_down_is_named_for_its_tracks() {
    let alpha_leaf = Authority::new("alpha-ca").issue("alpha");
    let bravo_leaf = Authority::new("bravo-ca").issue("bravo");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = nobody.local_addr().expect("an address");
    drop(nobody);
    let alpha = Setup::new("alpha")
        .identity(&alpha_leaf)
        .peer(Registration::of("bravo", &bravo_leaf).dial(address))
        .start();
    let hawk = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(1);
    hawk.send(track("nowhere", 1));
    let down = eventually("it came", || {
        let why = why(&alpha, "nowhere");
        (why["unknown"] == false).then_some(why)
    });
    assert_eq!(
        (
            &fate(&down, "bravo")["reason"],
            &fate(&down, "bravo")["rule"]
        ),
        (&"link_down".into(), &"link".into())
    );
    let entry = eventually("the port refuses", || {
        let status = alpha.status();
        let entry = status.peer("bravo").expect("bravo").clone();
        entry["stopped_by"].is_string().then_some(entry)
    });
    assert_eq!(entry["stopped_by"], "tcp", "{entry}");
    let checked = alpha.call(["check", "bravo", "--json"], "");
    let report = json(&checked);
    assert_eq!(
        (checked.code, &report["stopped_by"]),
        (Some(69), &"tcp".into()),
        "{report}"
    );
    assert_eq!(step(&report, "name")["state"], "ok");
    assert_eq!(step(&report, "tls")["state"], "unknown");
}

/// How alpha sees bravo, and what `check` makes of it, once it is stopped by something.
fn stopped(alpha: &TomboloBox, word: &str) -> (Value, Value) {
    let entry = eventually(&format!("stopped by {word}"), || {
        let status = alpha.status();
        let entry = status.peer("bravo").expect("bravo").clone();
        (entry["stopped_by"] == word).then_some(entry)
    });
    let checked = alpha.call(["check", "bravo", "--json"], "");
    let report = json(&checked);
    assert_eq!(
        (checked.code, &report["stopped_by"]),
        (Some(69), &word.into()),
        "{report}"
    );
    assert_eq!(step(&report, word)["state"], "failed");
    (entry, report)
}

/// Alpha, dialling somebody at that address who should be bravo.
fn dialling(address: &str, bravo: &Leaf, alpha: &Leaf) -> TomboloBox {
    let key = format!("address = \"{address}\"");
    Setup::new("alpha")
        .identity(alpha)
        .peer(Registration::of("bravo", bravo).key(&key))
        .start()
}

#[test]
fn each_step_of_a_link_that_fails_has_its_own_word_and_words() {
    let alpha_leaf = Authority::new("alpha-ca").issue("alpha");
    let authority = Authority::new("bravo-ca");
    let bravo_leaf = authority.issue("bravo");
    let mut reasons: Vec<String> = Vec::new();
    let mut note = |alpha: &TomboloBox, word: &str| {
        let (entry, report) = stopped(alpha, word);
        let reason = entry["reason"].as_str().expect("a reason").to_owned();
        let words = step(&report, word)["words"]
            .as_str()
            .expect("words")
            .to_owned();
        assert!(
            !reason.is_empty() && words.contains("In short: "),
            "{word}: {words}"
        );
        // What a track is told, whatever the reason.
        alpha.call(["inject", "-"], &track("stopped", 1)).success();
        let stopped = why(alpha, "stopped");
        assert_eq!(fate(&stopped, "bravo")["rule"], "link", "{stopped}");
        assert!(
            fate(&stopped, "bravo")["words"]
                .as_str()
                .unwrap()
                .contains("tombolo check bravo")
        );
        reasons.push(words);
    };
    // TCP to the broadcast address has no route on any machine.
    note(
        &dialling("255.255.255.255:9001", &bravo_leaf, &alpha_leaf),
        "network",
    );
    note(
        &dialling("no-such-host.invalid:9001", &bravo_leaf, &alpha_leaf),
        "name",
    );
    let strangers = [
        ("tls", Authority::new("other-ca").issue("bravo")),
        ("registration", authority.issue("bravo")),
        (
            "usage",
            authority.issue_as(
                "bravo",
                &Profile {
                    usages: vec![ExtendedKeyUsagePurpose::ServerAuth],
                    ..Profile::default()
                },
            ),
        ),
        (
            "clock",
            authority.issue_as(
                "bravo",
                &Profile {
                    // 2090.
                    valid: Some((3_786_912_000_000, 3_818_448_000_000)),
                    ..Profile::default()
                },
            ),
        ),
    ];
    for (word, leaf) in strangers {
        let (_bravo, address) = Foreign::listen(&leaf, &alpha_leaf, &[]);
        note(
            &dialling(&address.to_string(), &bravo_leaf, &alpha_leaf),
            word,
        );
    }
    for (word, options) in [
        ("groups", ["--serving-after", "-1"]),
        ("health", ["--health-status", "2"]),
    ] {
        let (_bravo, address) = Foreign::listen(&bravo_leaf, &alpha_leaf, &options);
        note(
            &dialling(&address.to_string(), &bravo_leaf, &alpha_leaf),
            word,
        );
    }
    // Something that speaks another protocol on that port.
    let other = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = other.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in other.incoming().take(50).flatten() {
            let _ = (&stream).write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    note(&dialling(&address, &bravo_leaf, &alpha_leaf), "version");
    let different: std::collections::BTreeSet<&String> = reasons.iter().collect();
    assert_eq!(different.len(), reasons.len(), "{reasons:#?}");
}
