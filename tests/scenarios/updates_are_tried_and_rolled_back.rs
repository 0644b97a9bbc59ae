//! Updates on a box that lies in a directory: a card in a file, RAUC played by a script where only the flow matters, and
//! the real one where it checks signatures.

use std::fs;
use std::process::Command;

use crate::support::{Machine, Setup};
use serde_json::Value;

#[test]
fn an_update_that_never_becomes_healthy_is_rolled_back() {
    let machine = Machine::new();
    let bundle = machine.bundle();
    let words = machine.update(&["install", &bundle]).success();
    assert!(
        words.contains("version 0.3.0 is installed in slot B"),
        "{words}"
    );
    let log = fs::read_to_string(machine.at("rauc.log")).expect("its log");
    assert!(
        log.contains("--keyring") && log.contains("etc/rauc/keyring.pem info --output-format=json"),
        "{log}"
    );
    assert_eq!(machine.slots()["trial"], "B");
    assert_eq!(machine.slots()["left"], 2);
    assert_eq!(machine.status()["state"], "waiting");

    for (boot_id, left) in [("second", 1), ("third", 0)] {
        machine.boot_loader(boot_id);
        assert_eq!(machine.slots()["running"], "B");
        assert_eq!(machine.slots()["left"], left);
        assert_eq!(machine.status()["on_trial"], true);
        // No daemon runs.
        let judged = machine.update(&["confirm", "--wait", "1"]);
        assert_eq!(judged.code, Some(69), "{judged:?}");
        assert!(
            judged.stderr.contains("the daemon does not answer"),
            "{judged:?}"
        );
        assert_eq!(machine.slots()["good"], "A");
    }
    machine.boot_loader("fourth");
    assert_eq!(machine.slots()["running"], "A");
    let status = machine.status();
    let words = status["words"].as_str().expect("words");
    assert!(
        words.starts_with("rolled back: trial B did not become healthy"),
        "{words}"
    );
    assert!(words.contains("the daemon does not answer"), "{words}");
    // The next command notes it for good, and the trial is off the card.
    machine.rauc("tombolo-rpi4-64", "0.3.0", "slot show");
    assert_eq!(machine.update(&["install", &bundle]).code, Some(65));
    assert_eq!(machine.slots()["trial"], Value::Null);
    let status = machine.status();
    assert_eq!(status["history"][0]["end"], "rolled_back");
    assert!(
        status["words"]
            .as_str()
            .expect("words")
            .starts_with("rolled back: trial B"),
        "{status}"
    );
    assert!(
        machine
            .update(&["rollback"])
            .stderr
            .contains("does not hold a system that once worked")
    );
}

#[test]
fn what_is_not_news_or_not_for_us_is_refused_and_touches_nothing() {
    let machine = Machine::new();
    let bundle = machine.bundle();
    let install = "slot rauc set-primary B";
    for (compatible, version, word) in [
        ("tombolo-virt", "0.2.0", "runs already"),
        ("tombolo-virt", "0.1.9", "older than 0.2.0"),
        ("tombolo-virt", "", "names no version"),
        ("tombolo-rpi4-64", "0.3.0", "take the bundle for this board"),
    ] {
        machine.rauc(compatible, version, install);
        let refused = machine.update(&["install", &bundle]);
        assert_eq!(refused.code, Some(65), "{refused:?}");
        assert!(refused.stderr.contains(word), "{refused:?}");
    }
    assert_eq!(machine.slots()["trial"], Value::Null);
    let log = fs::read_to_string(machine.at("rauc.log")).expect("its log");
    assert!(log.lines().all(|line| line.contains("info")), "{log}");
    // RAUC fails half way: nothing of it is tried.
    machine.rauc(
        "tombolo-virt",
        "0.3.0",
        "rauc set-primary B; echo no space left >&2; exit 1",
    );
    let failed = machine.update(&["install", &bundle]);
    assert_eq!(failed.code, Some(69), "{failed:?}");
    assert!(failed.stderr.contains("no space left"), "{failed:?}");
    assert_eq!(machine.slots()["trial"], Value::Null);
    assert_eq!(machine.status()["history"][0]["end"], "failed");
    // With the word of the operator an older one is taken.
    machine.rauc("tombolo-virt", "0.1.9", install);
    machine
        .update(&["install", &bundle, "--allow-downgrade"])
        .success();
    assert_eq!(machine.slots()["next"], "B");
    // A power cut while a slot is written is noticed after the restart.
    let words = machine.update(&["rollback"]).success();
    assert!(words.contains("slot A boots"), "{words}");
    // Not a box with two slots.
    fs::write(machine.at("proc/cmdline"), "quiet\n").expect("cmdline");
    for words in [
        &["install", &bundle][..],
        &["status"],
        &["confirm"],
        &["rollback"],
    ] {
        let refused = machine.update(words);
        assert_eq!(refused.code, Some(69), "{refused:?}");
        assert!(refused.stderr.contains("two slots"), "{refused:?}");
    }
}

#[test]
fn requests_of_the_daemon_are_checked_and_answered() {
    let machine = Machine::new();
    let _ = machine.bundle();
    let request = |text: &str| {
        fs::write(machine.at("run/tombolo/requests/update"), text).expect("a request");
        let finished = machine.update(&["run-request"]);
        let answer =
            fs::read_to_string(machine.at("run/tombolo/results/update.json")).expect("an answer");
        (
            finished,
            serde_json::from_str::<Value>(&answer).expect("JSON"),
        )
    };
    for bad in [
        "{",
        r#"{"path":"/etc/passwd"}"#,
        r#"{"path":"/data/none.raucb"}"#,
        r#"{"path":"/data/new.raucb","reboot":true}"#,
    ] {
        let (finished, answer) = request(bad);
        assert_ne!(finished.code, Some(0), "{bad}");
        assert_eq!(answer["ok"], false, "{bad}");
    }
    assert!(!machine.at("systemctl.log").exists());
    let (finished, answer) = request(r#"{"path":"/data/new.raucb"}"#);
    finished.success();
    assert_eq!(answer["ok"], true);
    assert_eq!(machine.slots()["trial"], "B");
    assert_eq!(
        fs::read_to_string(machine.at("systemctl.log")).expect("asked"),
        "--no-block reboot\n"
    );
    // The unit puts a request aside first, and what is left meanwhile stays for the next time.
    fs::write(machine.at("run/tombolo/taken-update"), "{").expect("a request");
    let (finished, answer) = request(r#"{"path":"/data/new.raucb"}"#);
    assert_ne!(finished.code, Some(0));
    assert_eq!(answer["ok"], false);
    assert!(machine.at("run/tombolo/requests/update").exists());
    fs::remove_file(machine.at("run/tombolo/taken-update")).expect("it is there");
    // A second one while the first waits for its restart only replaces it.
    let (_, answer) = request(r#"{"path":"/data/new.raucb"}"#);
    assert_eq!(answer["ok"], true);
}

#[test]
fn the_real_rauc_decides_about_signatures() {
    let is_there = |program: &str| {
        Command::new(program)
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if !is_there("rauc")
        || !Command::new("openssl")
            .arg("version")
            .output()
            .is_ok_and(|output| output.status.success())
    {
        println!("SKIPPED: rauc or openssl is not installed");
        return;
    }
    let machine = Machine::new();
    let run = |program: &str, words: &[&str]| {
        let output = Command::new(program)
            .args(words)
            .current_dir(machine.root.path())
            .output()
            .expect("it runs");
        assert!(output.status.success(), "{program} {words:?}: {output:?}");
    };
    for (name, stem) in [("us", "ours"), ("them", "theirs")] {
        run(
            "openssl",
            &[
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                &format!("/CN={name}"),
                "-keyout",
                &format!("{stem}.key"),
                "-out",
                &format!("{stem}.pem"),
            ],
        );
    }
    fs::copy(machine.at("ours.pem"), machine.at("etc/rauc/keyring.pem")).expect("the keyring");
    let bundle = |stem: &str, version: &str, name: &str| {
        let folder = machine.at(&format!("content-{name}"));
        fs::create_dir(&folder).expect("a folder");
        // Incompressible, as a bundle of less than 4 KiB is none.
        let noise = (0..2048_u32).flat_map(|n| {
            let digest = ring::digest::digest(&ring::digest::SHA256, &n.to_le_bytes());
            digest.as_ref().to_vec()
        });
        fs::write(folder.join("root.img"), noise.collect::<Vec<_>>()).expect("an image");
        let manifest = format!(
            "[update]\ncompatible=tombolo-virt\nversion={version}\n\n[bundle]\nformat=verity\n\n[image.root]\nfilename=root.img\n"
        );
        fs::write(folder.join("manifest.raucm"), manifest).expect("a manifest");
        let file = machine
            .at(&format!("data/{name}.raucb"))
            .display()
            .to_string();
        run(
            "rauc",
            &[
                "bundle",
                &format!("--cert={stem}.pem"),
                &format!("--key={stem}.key"),
                &folder.display().to_string(),
                &file,
            ],
        );
        file
    };
    let path = "/usr/sbin:/usr/bin:/sbin:/bin";
    let root = machine.root.path().display().to_string();
    let install =
        |file: &str| machine.call_with(path, &["update", "--root", &root, "install", file]);
    let foreign = install(&bundle("theirs", "0.9.0", "foreign"));
    assert_eq!(foreign.code, Some(65), "{foreign:?}");
    assert!(
        foreign.stderr.contains("signature verification failed"),
        "{foreign:?}"
    );
    // Signed by us, and old: so its signature was found good and its version read.
    let old = install(&bundle("ours", "0.1.0", "old"));
    assert_eq!(old.code, Some(65), "{old:?}");
    assert!(old.stderr.contains("older than 0.2.0"), "{old:?}");
    // One byte changed in what is signed.
    let file = bundle("ours", "0.3.0", "damaged");
    let mut bytes = fs::read(&file).expect("a bundle");
    let at = bytes.len() - 200;
    bytes[at] ^= 1;
    fs::write(&file, bytes).expect("a bundle");
    let damaged = install(&file);
    assert_eq!(damaged.code, Some(65), "{damaged:?}");
    assert_eq!(machine.slots()["trial"], Value::Null);
}

#[test]
fn a_healthy_system_is_committed_and_can_be_left_again() {
    let machine = Machine::new();
    machine.update(&["install", &machine.bundle()]).success();
    machine.boot_loader("second");
    let daemon = Setup::new("alpha").start();
    let root = machine.root.path().display().to_string();
    // The state directory is the daemon's, where the notes of the update are not: nothing flowed before.
    let words = daemon
        .call(["update", "--root", &root, "confirm", "--wait", "60"], "")
        .success();
    assert!(words.contains("slot B is healthy and committed"), "{words}");
    assert_eq!(
        (&machine.slots()["good"], &machine.slots()["trial"]),
        (&Value::from("B"), &Value::Null)
    );
    let again = daemon
        .call(["update", "--root", &root, "confirm", "--wait", "1"], "")
        .success();
    assert!(again.contains("nothing to confirm"), "{again}");
    // With the notes at hand it is told as committed, and the system before can be tried again.
    assert_eq!(machine.status()["state"], "ended");
    let words = machine.update(&["rollback"]).success();
    assert!(words.contains("slot A is tried"), "{words}");
    assert_eq!(machine.status()["history"][0]["end"], "committed");
    assert_eq!(machine.slots()["next"], "A");
}
