//! The command line against a running box.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::{Authority, Device, Setup, ask, eventually, tombolo, track};

const OLD: &str = "2001-02-03T04:05:06.000Z";

#[test]
fn inject_from_a_file_from_stdin_and_as_tak_inject() {
    let authority = Authority::new("alpha-ca");
    let alpha = Setup::new("alpha")
        .identity(&authority.issue("alpha"))
        .start();
    let otter = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(1);
    let folder = tempfile::tempdir().expect("a folder");

    let file = folder.path().join("events.cot");
    fs::write(
        &file,
        format!(
            "<?xml version='1.0'?>{}\n{}",
            track("one", 1),
            track("two", 2)
        ),
    )
    .expect("the file");
    alpha
        .call(["inject".as_ref(), file.as_os_str()], "")
        .success();
    otter.expect_uid("one");
    otter.expect_uid("two");

    alpha.call(["inject", "-"], &track("three", 3)).success();
    otter.expect_uid("three");

    let link = folder.path().join("tak-inject");
    symlink(tombolo(), &link).expect("the link");
    let state = alpha.state();
    ask(
        &link,
        ["--state".as_ref(), state.as_os_str(), "-".as_ref()],
        &track("four", 4),
    )
    .success();
    otter.expect_uid("four");
}

#[test]
fn inject_now_rewrites_the_times_and_nothing_else() {
    let authority = Authority::new("alpha-ca");
    let alpha = Setup::new("alpha")
        .identity(&authority.issue("alpha"))
        .start();
    let otter = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(1);
    let mut old = track("old", 1);
    for key in ["time", "start", "stale"] {
        let at = old.find(&format!(" {key}=\"")).expect("the attribute") + key.len() + 3;
        let end = at + old[at..].find('"').expect("its end");
        let value = if key == "stale" {
            OLD.replace(":06", ":36")
        } else {
            OLD.into()
        };
        old.replace_range(at..end, &value);
    }
    alpha.call(["inject", "--now", "-"], &old).success();
    let came = otter.expect_uid("old");
    assert_eq!(came.attribute("time"), came.attribute("start"));
    assert!(came.attribute("time") > "2024", "{}", came.xml);
    let blank = |xml: &str| {
        let head = xml.find("<point").expect("a point");
        xml[head..].to_owned()
    };
    assert_eq!(blank(&came.xml), blank(&old));
}

#[test]
fn inject_says_what_is_wrong() {
    let authority = Authority::new("alpha-ca");
    let alpha = Setup::new("alpha")
        .identity(&authority.issue("alpha"))
        .start();
    for (input, word) in [("", "no event"), ("<event uid='x'></event>", "")] {
        let finished = alpha.call(["inject", "-"], input);
        assert_ne!(finished.code, Some(0), "{input}");
        assert!(
            !finished.stderr.trim().is_empty() && finished.stderr.contains(word),
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn without_a_running_box_the_answer_is_69() {
    let setup = Setup::new("alpha");
    let state = setup.state();
    for command in [vec!["status"], vec!["inject", "-"]] {
        let arguments = ["--state".as_ref(), state.as_os_str()]
            .into_iter()
            .chain(command.iter().map(std::ffi::OsStr::new));
        let finished = ask(tombolo(), arguments, &track("one", 1));
        assert_eq!(finished.code, Some(69), "{command:?}: {}", finished.stderr);
        assert!(
            finished.stderr.contains("tombolo run"),
            "the cure: {}",
            finished.stderr
        );
    }
}

#[test]
fn wrong_arguments_are_64_and_blame_no_line_that_was_never_written() {
    let authority = Authority::new("alpha-ca");
    let alpha = Setup::new("alpha")
        .identity(&authority.issue("alpha"))
        .start();
    let before = fs::read_to_string(alpha.config()).expect("tombolo.toml");
    let pin = "ab".repeat(32);
    for (name, address, argument) in [
        ("bravo", "https://x", "--address: \"https://x\""),
        ("", "x:9001", "NAME: it is empty"),
    ] {
        let finished = alpha.call(
            [
                "peer",
                "add",
                name,
                "--fingerprint",
                &pin,
                "--address",
                address,
            ],
            "",
        );
        assert_eq!(finished.code, Some(64), "{}", finished.stderr);
        assert!(finished.stderr.contains(argument), "{}", finished.stderr);
        assert!(
            !finished.stderr.contains("tombolo.toml"),
            "{}",
            finished.stderr
        );
    }
    assert_eq!(
        fs::read_to_string(alpha.config()).expect("tombolo.toml"),
        before
    );
}

#[test]
fn peer_add_list_set_remove() {
    let (alpha_authority, bravo_authority) =
        (Authority::new("alpha-ca"), Authority::new("bravo-ca"));
    let (alpha_leaf, bravo_leaf) = (
        alpha_authority.issue("alpha"),
        bravo_authority.issue("bravo"),
    );
    let alpha = Setup::new("alpha").identity(&alpha_leaf).start();
    let bravo = Setup::new("bravo").identity(&bravo_leaf).start();
    let folder = tempfile::tempdir().expect("a folder");
    let ca = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        fs::write(&path, pem).expect("the file");
        path.display().to_string()
    };
    let (alpha_ca, bravo_ca) = (
        ca("a.pem", &alpha_leaf.authority_pem),
        ca("b.pem", &bravo_leaf.authority_pem),
    );
    let address = bravo.federation().to_string();
    bravo
        .call(
            [
                "peer",
                "add",
                "alpha",
                "--ca-cert",
                &alpha_ca,
                "--fingerprint",
                &alpha_leaf.fingerprint,
            ],
            "",
        )
        .success();
    alpha
        .call(
            [
                "peer",
                "add",
                "bravo",
                "--address",
                &address,
                "--ca-cert",
                &bravo_ca,
                "--fingerprint",
                &bravo_leaf.fingerprint,
            ],
            "",
        )
        .success();
    alpha.wait_peer("bravo");
    bravo.wait_peer("alpha");
    let written = fs::read_to_string(alpha.config()).expect("tombolo.toml");
    for piece in ["[[peer]]", "name = \"bravo\"", &address, "fingerprint"] {
        assert!(written.contains(piece), "{piece} in\n{written}");
    }
    let listed = alpha.call(["peer", "list"], "").success();
    assert!(
        listed.contains("bravo") && listed.contains(&address),
        "{listed}"
    );

    let twice = alpha.call(["peer", "add", "bravo", "--ca-cert", &bravo_ca], "");
    assert_ne!(twice.code, Some(0));
    assert!(twice.stderr.contains("peer set"), "{}", twice.stderr);

    // Paused, the link is cut and everything else of it stays; resumed, it comes up again.
    alpha.call(["peer", "pause", "bravo"], "").success();
    bravo.wait_peer_gone("alpha");
    let paused = fs::read_to_string(alpha.config()).expect("tombolo.toml");
    assert!(paused.contains("enabled = false"), "{paused}");
    for line in written.lines() {
        assert!(paused.contains(line), "{line} in\n{paused}");
    }
    alpha.call(["peer", "resume", "bravo"], "").success();
    alpha.wait_peer("bravo");
    alpha
        .call(["peer", "set", "bravo", "--no-outgoing"], "")
        .success();
    let listed = alpha.call(["peer", "list", "--json"], "").success();
    assert!(
        listed.contains("\"outgoing\":false") && listed.contains(&address),
        "{listed}"
    );

    alpha.call(["peer", "remove", "bravo"], "").success();
    bravo.wait_peer_gone("alpha");
    eventually("bravo is forgotten", || {
        alpha.status().peer("bravo").is_none().then_some(())
    });
    let written = fs::read_to_string(alpha.config()).expect("tombolo.toml");
    assert!(!written.contains("[[peer]]"), "{written}");
    assert_ne!(alpha.call(["peer", "remove", "bravo"], "").code, Some(0));
}
