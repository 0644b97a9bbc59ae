use super::*;
use crate::config::authority::tests::certificate;
use crate::config::spec::Cleared;
use crate::config::written::Written;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::LazyLock;

static AUTHORITY: LazyLock<String> = LazyLock::new(|| certificate("ca", true));

fn spec(name: &str) -> PeerSpec {
    PeerSpec {
        name: name.into(),
        ca_pem: Some(certificate(name, true)),
        ..spec_without_authority()
    }
}

fn spec_without_authority() -> PeerSpec {
    PeerSpec {
        address: Some("b.example:9001".into()),
        ..PeerSpec::of("")
    }
}

#[test]
fn a_peer_comes_and_goes_and_remarks_stay() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tombolo.toml");
    let pin = "ab".repeat(32);
    let before = format!(
        "# head\n[node]   # the box\nname='alpha'\n\n# an old friend\n[[peer]]\n  name = \"old\" # here\n  \
         fingerprint = \"{pin}\"\n\n[limits]\nmax_contacts = 100 # few\n"
    );
    fs::write(&file, &before).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    add_peer(&file, &spec("bravo"), false).unwrap();
    let after = fs::read_to_string(&file).unwrap();
    for line in before.lines() {
        assert!(after.contains(line), "{line} is gone from\n{after}");
    }
    assert!(
        after.contains("ca_cert = \"peers/bravo-ca.pem\""),
        "{after}"
    );
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o640
    );
    let config = Config::load(&file).unwrap();
    assert_eq!(config.peers.len(), 2);
    assert_eq!(config.peers[1].authorities.len(), 1);
    remove_peer(&file, "bravo").unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), before);
    assert!(!directory.path().join("peers/bravo-ca.pem").exists());
}

#[test]
fn a_file_is_made_for_the_first_peer() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("deep/er/tombolo.toml");
    let mut odd = spec("B/Coy #2 … Élan");
    odd.keepalive_seconds = Some(20);
    odd.outgoing = false;
    add_peer(&file, &odd, false).unwrap();
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let peer = Config::load(&file).unwrap().peers.remove(0);
    assert_eq!(peer.name, odd.name);
    assert_eq!(
        (peer.incoming, peer.outgoing, peer.keepalive_seconds),
        (true, false, Some(20))
    );
    remove_peer(&file, &odd.name).unwrap();
    assert_eq!(
        fs::read_dir(file.with_file_name("peers")).unwrap().count(),
        0
    );
}

#[test]
fn replacing_changes_in_place() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tombolo.toml");
    let pin = "ab".repeat(32);
    fs::write(
        &file,
        format!("[[peer]]\n# friend\nname = \"bravo\"\naddress = \"x:1\" # old road\nfingerprint = \"{pin}\"\nenabled = false\n"),
    )
    .unwrap();
    assert_eq!(
        add_peer(&file, &spec("bravo"), false),
        Err(EditError::Exists("bravo".into()))
    );
    add_peer(&file, &spec("bravo"), true).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("# friend") && text.contains("\"b.example:9001\" # old road"),
        "{text}"
    );
    assert!(
        !text.contains("fingerprint") && !text.contains("enabled"),
        "{text}"
    );
}

#[test]
fn nothing_invalid_is_ever_written() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tombolo.toml");
    fs::write(&file, "# mine\n").unwrap();
    let unknown = PeerSpec {
        ca_pem: None,
        ..spec("bravo")
    };
    let leaf = PeerSpec {
        ca_pem: Some(certificate("x", false)),
        ..spec("bravo")
    };
    let nowhere = PeerSpec {
        address: Some("http://x".into()),
        ..spec("bravo")
    };
    let nameless = spec("");
    let control = spec("a\nb");
    for bad in [unknown, leaf, nowhere, nameless, control] {
        assert!(add_peer(&file, &bad, false).is_err(), "{bad:?}");
    }
    assert!(matches!(
        remove_peer(&file, "bravo"),
        Err(EditError::NotFound { .. })
    ));
    assert_eq!(fs::read_to_string(&file).unwrap(), "# mine\n");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    fs::write(&file, "[nod]\n").unwrap();
    let error = add_peer(&file, &spec("bravo"), false)
        .unwrap_err()
        .to_string();
    assert!(error.contains("did you mean `node`?"), "{error}");
}

#[test]
fn what_cannot_be_written_is_an_argument_and_no_line_of_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tombolo.toml");
    fs::write(&file, "# mine\n").unwrap();
    let with = |change: fn(&mut PeerSpec)| {
        let mut peer = spec("bravo");
        change(&mut peer);
        add_peer(&file, &peer, false).unwrap_err()
    };
    for (error, start) in [
        (
            with(|peer| peer.address = Some("https://x".into())),
            "--address: \"https://x\" has a scheme in front; write host:port",
        ),
        (with(|peer| peer.name.clear()), "NAME: it is empty; write"),
        (
            with(|peer| peer.keepalive_seconds = Some(0)),
            "--keepalive-seconds: 0 is out of range; give 1 to ",
        ),
        (
            with(|peer| peer.fingerprint = Some("AB".into())),
            "--fingerprint: not a SHA-256",
        ),
    ] {
        assert!(matches!(error, EditError::Argument { .. }), "{error:?}");
        assert!(error.to_string().starts_with(start), "{error}");
    }
    fs::write(&file, "[limits]\nmax_federates = 1\n").unwrap();
    add_peer(&file, &spec("alpha"), false).unwrap();
    let full = add_peer(&file, &spec("bravo"), false).unwrap_err();
    assert!(matches!(full, EditError::TooMany { .. }), "{full:?}");
    let words = full.to_string();
    assert!(
        words.contains("tombolo.toml: more than 1 peers; raise max_federates"),
        "{words}"
    );
}

#[test]
fn setting_changes_what_is_named_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tombolo.toml");
    let mut first = spec("bravo");
    first.outgoing = false;
    first.keepalive_seconds = Some(20);
    add_peer(&file, &first, false).unwrap();
    let ca = directory.path().join("peers/bravo-ca.pem");
    let before = fs::read_to_string(&file).unwrap();
    let named = |change: fn(&mut PeerChange)| {
        let mut named = PeerChange::of("bravo");
        change(&mut named);
        set_peer(&file, &named)
    };
    named(|change| change.address = Some("c.example".into())).unwrap();
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        before.replace("b.example:9001", "c.example")
    );
    named(|change| change.enabled = Some(false)).unwrap();
    assert!(!Config::load(&file).unwrap().peers[0].enabled);
    named(|change| (change.enabled, change.outgoing) = (Some(true), Some(true))).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("enabled = true") && text.contains("outgoing = true"),
        "{text}"
    );
    assert!(!text.contains("incoming"), "{text}");
    named(|change| change.clear = vec![Cleared::Address]).unwrap();
    let peer = Config::load(&file).unwrap().peers.remove(0);
    assert_eq!((peer.address, peer.keepalive_seconds), (None, Some(20)));

    // Without any means to know it by it stays as it is; with another the CA goes, and its file.
    let unknown = named(|change| change.clear = vec![Cleared::CaCert]).unwrap_err();
    assert!(
        unknown.to_string().starts_with("--ca-cert: peer"),
        "{unknown}"
    );
    assert!(ca.exists());
    named(|change| {
        change.fingerprint = Some("ab".repeat(32));
        change.clear = vec![Cleared::CaCert];
    })
    .unwrap();
    assert!(!ca.exists());
    assert!(Config::load(&file).unwrap().peers[0].authorities.is_empty());
    let stranger = set_peer(&file, &PeerChange::of("charlie")).unwrap_err();
    assert!(matches!(stranger, EditError::NotFound { .. }));
}

#[test]
fn a_ca_that_is_no_longer_named_does_not_stay_behind() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tombolo.toml");
    let ca = directory.path().join("peers/bravo-ca.pem");
    add_peer(&file, &spec("bravo"), false).unwrap();
    let first = fs::read_to_string(&ca).unwrap();
    add_peer(&file, &spec("bravo"), true).unwrap();
    assert_ne!(
        fs::read_to_string(&ca).unwrap(),
        first,
        "another CA of that name"
    );
    let mut pinned = PeerSpec {
        fingerprint: Some("ab".repeat(32)),
        ca_pem: None,
        ..spec("bravo")
    };
    add_peer(&file, &pinned, true).unwrap();
    assert!(!ca.exists());
    // A file that somebody else uses too, or wrote elsewhere, is not ours to remove.
    fs::write(directory.path().join("theirs.pem"), &first).unwrap();
    fs::write(
        &file,
        "[[peer]]\nname = \"bravo\"\nca_cert = \"theirs.pem\"\n",
    )
    .unwrap();
    pinned.fingerprint = Some("cd".repeat(32));
    add_peer(&file, &pinned, true).unwrap();
    assert!(directory.path().join("theirs.pem").exists());
}

#[test]
fn newer_keys_are_set_one_by_one_and_taken_away() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tombolo.toml");
    let list = |texts: &[&str]| Written::List(texts.iter().map(|&text| text.to_owned()).collect());
    let mut bravo = spec("bravo");
    bravo
        .more
        .insert("rate".into(), Written::Text("9600 bit/s".into()));
    bravo
        .more
        .insert("filter.allow_types".into(), list(&["a-f", "b-t-f"]));
    add_peer(&file, &bravo, false).unwrap();
    let peer = || Config::load(&file).unwrap().peers.remove(0);
    assert_eq!(peer().rate, crate::config::Rate::of_bits(9600));
    let set = |changes: &[(&str, Option<Written>)]| {
        let more = changes
            .iter()
            .map(|(key, written)| ((*key).to_owned(), written.clone()));
        let change = PeerChange {
            more: more.collect(),
            ..PeerChange::of("bravo")
        };
        set_peer(&file, &change)
    };
    set(&[
        ("filter.block_types", Some(list(&["a-f-A"]))),
        ("data_packages_out", Some(Written::Switch(false))),
    ])
    .unwrap();
    let filter = peer().filters.outgoing.unwrap();
    assert_eq!((filter.allow_types.len(), filter.block_types.len()), (2, 1));
    assert!(!peer().data_packages_out);
    set(&[("filter.allow_types", None), ("rate", None)]).unwrap();
    let changed = peer();
    assert_eq!(
        (
            changed.rate,
            changed.filters.incoming.unwrap().allow_types.len()
        ),
        (None, 0)
    );
    // What does not hold is an argument of the command, not a line of the file.
    let fault = set(&[("filter.block_types", Some(list(&["a b"])))])
        .unwrap_err()
        .to_string();
    assert!(
        fault.starts_with("--block-types: \"a b\" has a character"),
        "{fault}"
    );
    let fault = set(&[("uplinks", Some(list(&["lte"])))])
        .unwrap_err()
        .to_string();
    assert!(
        fault.starts_with("--uplinks: no [[uplink]] is called"),
        "{fault}"
    );
    set(&[("filter", None)]).unwrap();
    assert!(peer().filters.is_empty());
    // Whatever way it is written.
    for written in [
        "filter = \"tracks\"",
        "filters = { cot_types = [\"a\"] }",
        "[peer.filter]\npreset = \"tracks\" # mine",
        "[peer.federation_filter]\nblock_types = [\"a-u\"]",
    ] {
        let pin = "ab".repeat(32);
        let text = format!("[[peer]]\nname = \"bravo\"\nfingerprint = \"{pin}\"\n{written}\n");
        fs::write(&file, text).unwrap();
        set(&[("filter.block_types", Some(list(&["a-h"])))]).unwrap();
        let filter = peer().filters.outgoing.unwrap();
        assert_eq!(filter.block_types, ["a-h"], "{written}");
        assert_eq!(
            filter.preset.is_some(),
            written.contains("tracks"),
            "{written}"
        );
        set(&[("filter", None)]).unwrap();
        assert!(peer().filters.is_empty(), "{written}");
    }
    // Set anew, all of it goes back to its default.
    set(&[("spool", Some(Written::Switch(false)))]).unwrap();
    add_peer(&file, &spec("bravo"), true).unwrap();
    assert!(peer().spool);
    let two = "[[peer.filter]]\ndirection = \"in\"\n[[peer.filter]]\ndirection = \"out\"\n";
    let text = fs::read_to_string(&file).unwrap() + two;
    fs::write(&file, text).unwrap();
    let fault = set(&[("filter.preset", None)]).unwrap_err().to_string();
    assert!(
        fault.contains("has a table for each direction; change it in the file"),
        "{fault}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_name_comes_and_goes(name in "[^\\p{C}\\s]([^\\p{C}]{0,30}[^\\p{C}\\s])?", head in "(# .{0,9}\n)?(\\[node\\]\nname = 'x'\n)?") {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tombolo.toml");
        let head = head.replace(|c: char| c.is_control() && c != '\n', "");
        fs::write(&file, &head).unwrap();
        let peer = PeerSpec { name: name.clone(), ca_pem: Some(AUTHORITY.clone()), ..spec_without_authority() };
        add_peer(&file, &peer, false).unwrap();
        prop_assert_eq!(&Config::load(&file).unwrap().peers[0].name, &name);
        prop_assert_eq!(fs::read_dir(directory.path().join("peers")).unwrap().count(), 1);
        remove_peer(&file, &name).unwrap();
        let after = fs::read_to_string(&file).unwrap();
        prop_assert_eq!(after.trim_end(), head.trim_end());
    }
}
