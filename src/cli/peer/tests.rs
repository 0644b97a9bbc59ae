use super::*;
use clap::Parser;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn places(directory: &std::path::Path) -> Places {
    Places {
        config: directory.join("tombolo.toml"),
        config_is_named: false,
        state: directory.join("state"),
    }
}

fn peer(directory: &std::path::Path, words: &[&str]) -> Result<(), Failure> {
    let line = Line::try_parse_from([&["peer"], words].concat()).unwrap();
    run(&line.arguments, &places(directory))
}

#[test]
fn without_a_box_the_file_is_changed() {
    let directory = tempfile::tempdir().unwrap();
    let pin = "ab".repeat(32);
    let add = [
        "add",
        "bravo",
        "--fingerprint",
        &pin,
        "--address",
        "b.example",
        "--no-outgoing",
    ];
    peer(directory.path(), &add).unwrap();
    let config = places(directory.path()).load_config().unwrap();
    assert_eq!(config.peers[0].address.as_deref(), Some("b.example:9001"));
    assert!(!config.peers[0].outgoing);
    let again = peer(directory.path(), &add).unwrap_err();
    assert_eq!(again.exit, Exit::Data);
    assert!(again.message.contains("--replace"), "{again}");
    peer(directory.path(), &["list"]).unwrap();
    peer(directory.path(), &["remove", "bravo"]).unwrap();
    assert_eq!(
        peer(directory.path(), &["remove", "bravo"])
            .unwrap_err()
            .exit,
        Exit::Data
    );
}

#[test]
fn wrong_arguments_are_64_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let pin = "ab".repeat(32);
    let wrong = |words: &[&str]| peer(directory.path(), words).unwrap_err();
    for (words, argument) in [
        (
            &[
                "add",
                "bravo",
                "--fingerprint",
                &pin,
                "--address",
                "https://x",
            ][..],
            "--address: \"https://x\" has a scheme in front; write host:port",
        ),
        (&["add", "", "--fingerprint", &pin], "NAME: it is empty"),
        (
            &[
                "add",
                "b",
                "--fingerprint",
                &pin,
                "--keepalive-seconds",
                "0",
            ],
            "--keepalive-seconds: 0 is out of range",
        ),
    ] {
        let failure = wrong(words);
        assert_eq!(failure.exit, Exit::Usage, "{failure}");
        assert!(failure.message.starts_with(argument), "{failure}");
        assert!(!failure.message.contains("tombolo.toml"), "{failure}");
    }
}

#[test]
fn set_pause_and_resume_change_what_they_name() {
    let directory = tempfile::tempdir().unwrap();
    let pin = "ab".repeat(32);
    let now = || {
        let config = places(directory.path()).load_config().unwrap();
        config.peers[0].clone()
    };
    let call = |words: &[&str]| peer(directory.path(), words).unwrap();
    call(&[
        "add",
        "bravo",
        "--fingerprint",
        &pin,
        "--address",
        "b:1",
        "--no-incoming",
    ]);
    let first = now();
    call(&["pause", "bravo"]);
    let mut paused = first.clone();
    paused.enabled = false;
    assert_eq!(now(), paused);
    call(&["resume", "bravo"]);
    assert_eq!(now(), first);
    call(&[
        "set",
        "bravo",
        "--incoming",
        "--no-address",
        "--keepalive-seconds",
        "20",
    ]);
    let set = now();
    assert_eq!(
        (
            set.incoming,
            set.address,
            set.keepalive_seconds,
            set.fingerprint
        ),
        (true, None, Some(20), first.fingerprint)
    );
    let unknown = peer(directory.path(), &["pause", "charlie"]).unwrap_err();
    assert!(unknown.message.contains("there are: bravo"), "{unknown}");
    for contradictory in [
        &["peer", "set", "bravo"][..],
        &["peer", "set", "bravo", "--incoming", "--no-incoming"],
        &["peer", "set", "bravo", "--address", "x", "--no-address"],
    ] {
        assert!(
            Line::try_parse_from(contradictory).is_err(),
            "{contradictory:?}"
        );
    }
}

#[test]
fn nobody_is_registered_unknown() {
    for words in [
        &["peer", "add", "bravo"][..],
        &["peer", "add", "--fingerprint", "AB", "bravo"],
        &["peer", "add"],
    ] {
        assert!(Line::try_parse_from(words).is_err(), "{words:?}");
    }
    let directory = tempfile::tempdir().unwrap();
    let missing = peer(directory.path(), &["add", "b", "--ca-cert", "/no/such.pem"]);
    assert_eq!(missing.unwrap_err().exit, Exit::NoInput);
}

#[test]
fn the_list_fits_a_terminal() {
    let entry = PeerEntry {
        name: "bravo".into(),
        address: None,
        authorities: vec![Fingerprint::of(b"ca").to_string()],
        authority_until: None,
        fingerprint: Some(Fingerprint::of(b"leaf").to_string()),
        enabled: true,
        incoming: true,
        outgoing: false,
        data_packages_in: true,
        data_packages_out: true,
        filter: Some("both ways block_types = [\"a-h\"]".into()),
        keepalive_seconds: None,
        trust: Default::default(),
        state: Some(PeerState::Flowing),
    };
    let text = table(&[entry]);
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    assert!(
        text.contains("flowing") && text.contains("(it dials us)") && text.contains("off"),
        "{text}"
    );
}
