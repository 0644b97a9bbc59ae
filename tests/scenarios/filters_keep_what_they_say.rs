//! Filters of real boxes: what they keep back, who says so, and what `lint` and `import` make of their files.

use std::fs;

use serde_json::Value;

use crate::support::lan::{Lan, SA};
use crate::support::{
    Authority, Device, Finished, Setup, TomboloBox, ask, chat, eventually, joined_pair, position,
    tombolo, track,
};

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| {
        panic!("no JSON: {error}: {}\n{}", finished.stdout, finished.stderr)
    })
}

fn set(at: &TomboloBox, peer: &str, options: &[&str]) {
    at.call([&["peer", "set", peer], options].concat(), "")
        .success();
}

/// What `why` says of a uid, as soon as the box knows it.
fn why(at: &TomboloBox, uid: &str, ready: impl Fn(&Value) -> bool) -> Value {
    eventually(&format!("{uid} is known"), || {
        let why = json(&at.call(["why", uid, "--json"], ""));
        (why["unknown"] == false && ready(&why)).then_some(why)
    })
}

fn fate<'a>(why: &'a Value, link: &str) -> &'a Value {
    let fates = why["fates"].as_array().expect("fates");
    let found = fates.iter().find(|fate| fate["link"] == link);
    found.unwrap_or_else(|| panic!("nothing about {link}: {why}"))
}

/// A track of any type.
fn of_kind(uid: &str, kind: &str) -> String {
    track(uid, 1).replace("a-h-G-U-C", kind)
}

#[test]
fn a_filter_set_while_it_runs_keeps_back_what_it_says_and_why_names_the_rule() {
    let (alpha, bravo) = joined_pair();
    let hawk = Device::plain(alpha.clients_tcp());
    let otter = Device::plain(bravo.clients_tcp());
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    hawk.send(track("before", 1));
    otter.expect_uid("before");
    set(
        &alpha,
        "bravo",
        &["--allow-types", "a-f,b-t-f", "--block-callsigns", "spy*"],
    );
    hawk.send(track("hostile", 1));
    hawk.send(position("spy-uid", "SPY-1"));
    hawk.send(of_kind("marker", "b-m-p-s-m"));
    hawk.send(of_kind("help", "b-a-o-tbl"));
    hawk.send(of_kind("medevac", "b-r-f-h-c"));
    hawk.send(position("hawk-uid", "HAWK"));
    hawk.send(chat("hawk-uid", "hello", &[]));
    for uid in ["help", "medevac", "hawk-uid"] {
        otter.expect_uid(uid);
    }
    otter.expect("the chat", |event| event.kind() == "b-t-f");
    for uid in ["hostile", "spy-uid", "marker"] {
        assert_eq!(otter.count(uid), 0, "{uid} got through");
    }
    let status = alpha.status();
    assert_eq!(status.dropped_peer("bravo", "filtered"), 3);
    let entry = status.peer("bravo").expect("bravo");
    let filter = entry["filter"].as_str().expect("its filter");
    assert!(filter.contains("block_callsigns = [\"spy*\"]"), "{filter}");
    assert_eq!(entry["data_packages_out"], true);
    for (uid, rule) in [
        ("hostile", "not among allow_types = [\"a-f\", \"b-t-f\"]"),
        ("spy-uid", "\"spy*\" in block_callsigns"),
    ] {
        let why = why(&alpha, uid, |_| true);
        let fate = fate(&why, "bravo");
        assert_eq!(
            (&fate["reason"], &fate["rule"]),
            (&"filtered".into(), &"filter".into())
        );
        let words = fate["words"].as_str().expect("words");
        assert!(
            words.contains(rule) && words.contains("[peer.filter] of \"bravo\""),
            "{words}"
        );
    }
    // The link stood all the while, and stands when the filter is taken away again.
    set(&alpha, "bravo", &["--no-filter"]);
    hawk.send(track("hostile", 2));
    otter.expect_uid("hostile");
    assert!(!alpha.log().contains("link cut"), "{}", alpha.log());
}

#[test]
fn what_a_peer_may_not_send_is_refused_counted_and_explained() {
    let (alpha, bravo) = joined_pair();
    let hawk = Device::plain(alpha.clients_tcp());
    let otter = Device::plain(bravo.clients_tcp());
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    set(
        &bravo,
        "alpha",
        &[
            "--block-types",
            "a-h,b-",
            "--filter-direction",
            "in",
            "--data-packages-out",
            "false",
        ],
    );
    hawk.send(track("hostile", 1));
    hawk.send(of_kind("help", "b-a-o-tbl"));
    otter.expect_uid("help");
    let why = why(&bravo, "hostile", |why| {
        why["refused"]["reason"].is_string()
    });
    assert_eq!(why["refused"]["reason"], "filtered");
    let words = why["refused"]["words"].as_str().expect("words");
    assert!(words.contains("\"a-h\" in block_types"), "{words}");
    assert_eq!(bravo.status().dropped_peer("alpha", "filtered"), 1);
    assert_eq!(otter.count("hostile"), 0);
    // The other way everything crosses but data packages.
    otter.send(of_kind("file", "b-f-t-r"));
    otter.send(track("theirs", 1));
    hawk.expect_uid("theirs");
    assert_eq!(hawk.count("file"), 0);
    assert_eq!(bravo.status().dropped_peer("alpha", "data_packages_off"), 1);
}

#[test]
fn a_filter_that_lets_nothing_through_is_a_step_of_its_own() {
    let (alpha, _bravo) = joined_pair();
    let report = json(&alpha.call(["check", "bravo", "--json"], ""));
    let filter = |report: &Value| {
        let steps = report["steps"].as_array().expect("steps").clone();
        steps
            .into_iter()
            .find(|step| step["step"] == "filter")
            .expect("the step")
    };
    assert_eq!(filter(&report)["words"], "none: everything may cross");
    set(&alpha, "bravo", &["--block-types", "*"]);
    let checked = alpha.call(["check", "bravo", "--json"], "");
    let report = json(&checked);
    assert_eq!(
        (checked.code, &report["stopped_by"]),
        (Some(69), &"filter".into()),
        "{report}"
    );
    let step = filter(&report);
    let words = step["words"].as_str().expect("words");
    assert!(
        words.contains("lets nothing but emergencies through either way"),
        "{words}"
    );
    let status = alpha.status();
    let entry = status.peer("bravo").expect("bravo");
    assert_eq!(
        (&entry["state"], &entry["stopped_by"]),
        (&"connected".into(), &"filter".into())
    );
    let text = alpha.call(["status"], "").success();
    assert!(
        text.contains("stopped by filter: its filter lets nothing"),
        "{text}"
    );
}

#[test]
fn a_mesh_is_told_what_its_filter_leaves() {
    let Some(lan) = Lan::new(2) else {
        return;
    };
    let filter =
        "[[mesh]]\nname = \"lan\"\ninterface = \"lan0\"\n[mesh.filter]\nblock_types = [\"a-h\"]\n";
    let alpha = Setup::new("alpha")
        .within(&lan.machine(1), "127.0.0.1:0")
        .table(filter)
        .start();
    let hawk = lan.client(1, alpha.clients_tcp());
    let handset = lan.handset(2, 0);
    eventually("the mesh is joined", || {
        let state = alpha.status().0["meshes"][0]["state"].clone();
        (state == "connected" || state == "flowing").then_some(())
    });
    hawk.send(track("hostile", 1));
    hawk.send(of_kind("friend", "a-f-G"));
    eventually("the friend is said", || {
        (!handset.heard_of("friend").is_empty()).then_some(())
    });
    assert!(handset.heard_of("hostile").is_empty());
    let why = why(&alpha, "hostile", |_| true);
    let words = fate(&why, "local clients")["words"]
        .as_str()
        .expect("words");
    assert!(
        words.contains("\"a-h\" in block_types ([mesh.filter] of \"lan\")"),
        "{words}"
    );
    // What is said there is judged too.
    handset.say(SA, track("theirs", 1));
    handset.say(SA, of_kind("their-friend", "a-f-G"));
    hawk.expect_uid("their-friend");
    assert_eq!(hawk.count("theirs"), 0);
    assert_eq!(alpha.status().0["meshes"][0]["dropped"]["filtered"], 2);
}

#[test]
fn lint_reads_a_file_without_a_box() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("tombolo.toml");
    let lint = |text: &str, options: &[&str]| {
        fs::write(&file, text).expect("the file");
        let path = file.to_str().expect("UTF-8");
        ask(tombolo(), [&["lint", path], options].concat(), "")
    };
    let pin = "ab".repeat(32);
    let peer = format!("[[peer]]\nname = \"bravo\"\nfingerprint = \"{pin}\"\n");
    let well = lint(&peer, &[]).success();
    assert!(well.contains("nothing to remark"), "{well}");
    let seed = format!(
        "{peer}[peer.filter]\ncot_types = [\"a-f-\", \"a-n-\", \"t-x-m-c\"]\nblock_types = [\"b-\"]\n"
    );
    let warned = lint(&seed, &[]).success();
    for part in [
        "tombolo.toml:5: warning: peer \"bravo\": allow_types \"t-x-m-c\"",
        "tombolo.toml:6: warning: peer \"bravo\": block_types \"b-\"",
    ] {
        assert!(warned.contains(part), "{warned}");
    }
    let remarks = json(&lint(&seed, &["--json"]));
    let words: Vec<&str> = remarks
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["word"].as_str())
        .collect();
    assert!(
        words.contains(&"blocks_chat") && words.contains(&"not_chat"),
        "{words:?}"
    );
    let broken = lint(
        &format!("{peer}filter = {{ allow_typs = [] }}\n"),
        &["--json"],
    );
    assert_eq!(broken.code, Some(78), "{}", broken.stderr);
    assert_eq!(
        (&json(&broken)[0]["level"], &json(&broken)[0]["line"]),
        (&"error".into(), &4.into())
    );
    let nothing = ask(tombolo(), ["lint", "/nonexistent.toml"], "");
    assert_eq!(nothing.code, Some(66), "{}", nothing.stderr);
}

#[test]
fn a_federation_file_is_taken_at_the_start_and_imported_into_a_running_box() {
    let setup = Setup::new("alpha");
    let directory = setup
        .config()
        .parent()
        .expect("its directory")
        .to_path_buf();
    let leaf = Authority::new("battalion").issue("tak.battalion");
    fs::write(directory.join("remote-ca.pem"), &leaf.authority_pem).expect("the CA");
    let file = directory.join("federation.json");
    // Nobody listens at that port: what counts is the registration.
    let declared = |name: &str, port: u16| {
        format!(
            "{{\n\"version\": 1,\n\"peers\": [\n{{\n\"name\": \"{name}\", \"address\": \"127.0.0.1\", \"port\": {port},\n\
             \"ca_cert\": \"/ssl/remote-ca.pem\", \"bidirectional\": true,\n\
             \"filters\": {{ \"cot_types\": [\"a-f-\", \"a-n-\", \"t-x-m-c\"] }}\n}}\n]\n}}\n"
        )
    };
    fs::write(&file, declared("BN-TAK-Server", 9)).expect("the file");
    let alpha = setup.start();
    let peers = |at: &TomboloBox| json(&at.call(["peer", "list", "--json"], ""));
    let first = peers(&alpha);
    assert_eq!(
        (&first[0]["name"], &first[0]["address"]),
        (&"BN-TAK-Server".into(), &"127.0.0.1:9".into())
    );
    assert!(
        alpha.log().contains("added BN-TAK-Server"),
        "{}",
        alpha.log()
    );
    // A second file, into the running box: what is there stays as it is.
    let path = file.to_str().expect("UTF-8");
    fs::write(&file, declared("BN-TAK-Server", 10)).expect("the file");
    let words = alpha.call(["import", path], "").success();
    assert!(
        words.contains("there already, left as it is: BN-TAK-Server"),
        "{words}"
    );
    assert_eq!(peers(&alpha), first);
    fs::write(&file, declared("other", 10)).expect("the file");
    let trial = alpha
        .call(["import", path, "--authoritative", "--dry-run"], "")
        .success();
    assert!(
        trial.contains("would be: added other; removed BN-TAK-Server"),
        "{trial}"
    );
    assert_eq!(peers(&alpha), first);
    alpha
        .call(["import", path, "--authoritative"], "")
        .success();
    let now = peers(&alpha);
    assert_eq!(
        (now.as_array().map(Vec::len), &now[0]["name"]),
        (Some(1), &"other".into())
    );
    let status = alpha.status();
    let filter = status.peer("other").expect("it is known at once")["filter"].clone();
    assert_eq!(
        filter,
        "both ways allow_types = [\"a-f-\", \"a-n-\", \"t-x-m-c\"]"
    );
    // What goes out comes in again.
    let exported = alpha.call(["export", "federation"], "").success();
    let read: Value = serde_json::from_str(&exported).expect("JSON");
    assert_eq!(
        (&read["version"], &read["peers"][0]["port"]),
        (&1.into(), &10.into())
    );
    assert!(
        read["peers"][0]["ca_cert"]
            .as_str()
            .is_some_and(|pem| pem.contains("BEGIN CERTIFICATE"))
    );
    fs::write(&file, &exported).expect("the file");
    let again = alpha
        .call(["import", path, "--authoritative"], "")
        .success();
    assert!(again.contains("set anew other"), "{again}");
    // A broken one is refused whole, with its line and cure.
    fs::write(&file, declared("x", 1).replace("port\"", "prt\"")).expect("the file");
    let broken = alpha.call(["import", path], "");
    assert_eq!(broken.code, Some(78), "{}", broken.stdout);
    assert!(
        broken.stderr.contains(
            "federation.json: line 5: peer \"x\": `prt`: unknown key; did you mean `port`?"
        ),
        "{}",
        broken.stderr
    );
    assert_eq!(peers(&alpha)[0]["name"], "other");
}
