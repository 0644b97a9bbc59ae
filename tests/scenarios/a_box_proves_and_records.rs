//! What a second identity at a server proves, and what a recording tells afterwards.

use serde_json::Value;

use crate::support::{
    Authority, Device, Finished, Registration, Setup, chat, eventually, joined_pair, position,
    track,
};

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout)
        .unwrap_or_else(|error| panic!("no JSON: {error}: {}", finished.stdout))
}

fn step<'a>(check: &'a Value, name: &str) -> &'a Value {
    let steps = check["steps"].as_array().expect("steps");
    let found = steps.iter().find(|step| step["step"] == name);
    found.unwrap_or_else(|| panic!("no step {name}: {check}"))
}

#[test]
fn a_recording_tells_what_happened_and_is_decided_the_same_again() {
    let (alpha, bravo) = joined_pair();
    let (hawk, otter) = (
        Device::plain(alpha.clients_tcp()),
        Device::plain(bravo.clients_tcp()),
    );
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    hawk.send(position("hawk-uid", "HAWK"));
    otter.send(position("otter-uid", "OTTER"));
    hawk.expect_uid("otter-uid");
    for number in 0..20 {
        hawk.send(track(&format!("track-{number}"), number));
    }
    let same = track("same", 99);
    hawk.send(&same);
    hawk.send(&same);
    hawk.send(chat("hawk-uid", "hello otter", &[("callsign", "OTTER")]));
    hawk.send(chat("hawk-uid", "hello ghost", &[("callsign", "GHOST")]));
    hawk.send(track("last", 1));
    otter.expect_uid("last");
    let file = alpha.state().join("mine.tbr");
    let file = file.to_str().expect("a path");
    alpha.call(["recorder", "dump", file], "").success();
    let shown = alpha.call(["recorder", "show", file], "").success();
    for part in [
        "alpha, release",
        "bravo came up",
        "link: bravo connected",
        "track-19 a-h-G-U-C (track,",
        "not passed on: duplicate",
        "not passed on: no_destination",
    ] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    let json = alpha
        .call(["recorder", "show", file, "--json"], "")
        .success();
    assert!(
        json.lines()
            .all(|line| serde_json::from_str::<Value>(line).is_ok()),
        "{json}"
    );
    let replayed = alpha.call(["recorder", "replay", file], "").success();
    assert!(
        replayed
            .trim_end()
            .ends_with("0 otherwise (!), 0 not gone through again (?)"),
        "{replayed}"
    );
    let cot = alpha
        .call(["recorder", "replay", file, "--cot"], "")
        .success();
    assert!(
        cot.contains("hello ghost") && !cot.contains("track-7"),
        "{cot}"
    );

    // The power goes: written down without being asked, with what was said last.
    alpha.signal(nix::sys::signal::Signal::SIGPWR);
    let listed = eventually("the recording", || {
        let listed = alpha.call(["recorder", "list"], "").success();
        listed.contains("SIGPWR").then_some(listed)
    });
    assert_eq!(
        listed.lines().count(),
        1,
        "the other one was taken away: {listed}"
    );
    let shown = alpha.call(["recorder", "show"], "").success();
    assert!(shown.contains("box: the power is about to go"), "{shown}");
    let bad = alpha.call(["recorder", "show", "/etc/passwd"], "");
    assert_eq!(bad.code, Some(65), "{}", bad.stderr);
}

#[test]
fn a_second_identity_proves_a_server() {
    let alpha_leaf = Authority::new("alpha-ca").issue("alpha");
    let bravo_leaf = Authority::new("bravo-ca").issue("bravo");
    let bravo = Setup::new("bravo")
        .identity(&bravo_leaf)
        .peer(Registration::of("alpha", &alpha_leaf))
        .start();
    let otter = Device::plain(bravo.clients_tcp());
    bravo.wait_clients(1);
    // The identity of an ordinary client of bravo.
    let folder = tempfile::tempdir().expect("a folder");
    let leaf = bravo.issue("probe");
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let (certificate, key) = (
        path("probe.pem", &leaf.chain_pem),
        path("probe.key", &leaf.key_pem),
    );
    let probe = |address: std::net::SocketAddr| {
        format!(
            "probe = {{ address = \"{address}\", certificate = \"{certificate}\", key = \"{key}\" }}"
        )
    };
    let alpha = Setup::new("alpha")
        .identity(&alpha_leaf)
        .peer(
            Registration::of("bravo", &bravo_leaf)
                .dial(bravo.federation())
                .key(&probe(bravo.clients_tls())),
        )
        .start();
    let hawk = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(1);
    alpha.wait_peer("bravo");
    let checked = alpha.call(["check", "bravo", "--json"], "");
    let report = json(&checked);
    assert_eq!(
        (checked.code, &report["verdict"]),
        (Some(0), &"proven".into()),
        "{report}"
    );
    for name in ["login", "out", "in"] {
        assert_eq!(step(&report, name)["state"], "ok", "{report}");
    }
    // Clients of the server see it for a moment, then its delete; ours never see the one that comes in.
    otter.expect("the delete of the probe", |event| {
        event.kind() == "t-x-d-d" && event.xml.contains("tombolo-probe-")
    });
    hawk.send(track("behind", 1));
    otter.expect_uid("behind");
    assert!(hawk.events().iter().all(|event| event.kind() != "a-u-G"));

    // What the server does not let out is told as such.
    bravo
        .call(["peer", "set", "alpha", "--no-outgoing"], "")
        .success();
    let report = json(&alpha.call(["check", "bravo", "--json"], ""));
    assert_eq!(report["stopped_by"], "direction", "{report}");
}
