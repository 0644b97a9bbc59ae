//! Commit, confirm, revert: whatever happens meanwhile, the configuration is the old or the new one.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tombolo::config::Config;

use crate::support::{Authority, Setup, Terminal, TomboloBox, eventually};

fn start() -> TomboloBox {
    let authority = Authority::new("alpha-ca");
    Setup::new("alpha")
        .identity(&authority.issue("alpha"))
        .start()
}

fn text(of: &TomboloBox) -> String {
    fs::read_to_string(of.config()).expect("tombolo.toml")
}

/// One request, its answer; none when the box is gone.
fn request(state: &Path, request: &Value) -> Option<Value> {
    let mut stream = UnixStream::connect(state.join("control.sock")).ok()?;
    stream.write_all(format!("{request}\n").as_bytes()).ok()?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).ok()?;
    serde_json::from_str(&answer).ok()
}

fn commit(of: &TomboloBox, text: &str, confirm_seconds: Option<u32>) -> Value {
    let wanted = json!({"config_commit": {"text": text, "confirm_seconds": confirm_seconds}});
    let answer = request(&of.state(), &wanted).expect("an answer");
    assert!(answer.get("error").is_none(), "{answer}");
    answer["committed"].clone()
}

/// The marker as another boot of the kernel would find it.
fn pretend_a_power_cut(of: &TomboloBox) {
    let marker = of.config().with_file_name("tombolo.toml.unconfirmed");
    let mut found: Value =
        serde_json::from_str(&fs::read_to_string(&marker).expect("the marker")).expect("JSON");
    found["boot"] = "before the power went".into();
    fs::write(&marker, found.to_string()).expect("the marker");
}

#[test]
fn nobody_confirms_and_the_old_one_comes_back_with_its_links() {
    let alpha = start();
    let old = text(&alpha);
    let new = format!(
        "{old}\n[[peer]]\nname = \"bravo\"\nfingerprint = \"{}\"\n",
        "ab".repeat(32)
    );
    let shown = alpha
        .call(["console", "--script", "-"], "peer list\n")
        .success();
    assert!(shown.contains("no peers"), "{shown}");
    let committed = commit(&alpha, &new, Some(2));
    assert_eq!(committed["unconfirmed_seconds"], 2);
    assert!(alpha.status().peer("bravo").is_some());
    // Peers are not edited into a configuration that may go away.
    let refused = alpha.call(["peer", "remove", "bravo"], "");
    assert!(
        refused.stderr.contains("waits for its confirmation"),
        "{}",
        refused.stderr
    );
    eventually("the old one is back", || {
        (text(&alpha) == old).then_some(())
    });
    eventually("and in use", || {
        alpha.status().peer("bravo").is_none().then_some(())
    });
    assert!(alpha.log().contains("nobody confirmed"));

    commit(&alpha, &new, Some(2));
    let kept = alpha
        .call(["console", "--script", "-"], "confirm\n")
        .success();
    assert!(kept.contains("stays"), "{kept}");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(text(&alpha), new);
    assert!(alpha.status().peer("bravo").is_some());
    alpha
        .call(["console", "--script", "-"], "rollback\n")
        .success();
    assert_eq!(text(&alpha), old);
}

#[test]
fn an_unconfirmed_change_outlives_a_restart_but_not_a_power_cut() {
    let mut alpha = start();
    let old = text(&alpha);
    let new = format!(
        "{old}\n[[peer]]\nname = \"bravo\"\nfingerprint = \"{}\"\n",
        "ab".repeat(32)
    );
    commit(&alpha, &new, Some(600));
    alpha.start_again(&[]);
    assert_eq!(text(&alpha), new);
    let found = request(&alpha.state(), &json!("config_text")).expect("an answer");
    let left = found["config"]["unconfirmed_seconds"]
        .as_u64()
        .expect("it waits");
    assert!((590..=600).contains(&left), "{found}");
    pretend_a_power_cut(&alpha);
    alpha.start_again(&[]);
    assert_eq!(text(&alpha), old);
    assert!(alpha.log().contains("was not confirmed"), "{}", alpha.log());
    // What is confirmed stays over both.
    commit(&alpha, &new, Some(600));
    request(&alpha.state(), &json!("config_confirm")).expect("an answer");
    alpha.start_again(&[]);
    assert_eq!(text(&alpha), new);
}

#[test]
fn a_change_that_keeps_the_box_from_starting_is_taken_back() {
    let mut alpha = start();
    let old = text(&alpha);
    // Valid, and nobody can bind it: an address of the documentation block.
    let new = old.replace(
        "clients_tcp = \"127.0.0.1:0\"",
        "clients_tcp = \"192.0.2.77:5\"",
    );
    assert_ne!(old, new);
    let words = commit(&alpha, &new, Some(600));
    assert!(
        words["words"]
            .as_str()
            .is_some_and(|words| words.contains("[listen] take a restart")),
        "{words}"
    );
    alpha.signal(Signal::SIGKILL);
    alpha.wait_end(Duration::from_secs(5)).expect("it ends");
    let ended = crate::support::ask(
        crate::support::tombolo(),
        [
            "run".as_ref(),
            "--config".as_ref(),
            alpha.config().as_os_str(),
            "--state".as_ref(),
            alpha.state().as_os_str(),
        ],
        "",
    );
    assert_eq!(ended.code, Some(75), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("the one before is back"),
        "{}",
        ended.stderr
    );
    assert_eq!(text(&alpha), old);
    alpha.start_again(&[]);
}

#[test]
fn under_a_supervisor_the_box_starts_again_for_what_takes_it() {
    let mut alpha = start();
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("notify");
    let _listens = std::os::unix::net::UnixDatagram::bind(&socket).expect("a socket");
    let socket = socket.to_str().expect("a path").to_owned();
    alpha.start_again(&[("NOTIFY_SOCKET", &socket)]);
    let old = text(&alpha);
    let peer = format!(
        "{old}\n[[peer]]\nname = \"bravo\"\nfingerprint = \"{}\"\n",
        "ab".repeat(32)
    );
    assert_eq!(commit(&alpha, &peer, None)["restarts"], false);
    assert!(alpha.wait_end(Duration::from_millis(700)).is_none());
    let renamed = peer.replace("name = \"alpha\"", "name = \"north\"");
    assert_eq!(commit(&alpha, &renamed, Some(600))["restarts"], true);
    let ended = alpha.wait_end(Duration::from_secs(10)).expect("it ends");
    assert_eq!(ended.code(), Some(75), "{}", alpha.log());
    alpha.start_again(&[("NOTIFY_SOCKET", &socket)]);
    assert_eq!(alpha.status().text("/node/name"), "north");
    let found = request(&alpha.state(), &json!("config_text")).expect("an answer");
    assert!(
        found["config"]["unconfirmed_seconds"].is_u64(),
        "it still waits: {found}"
    );
}

/// The console waits for the box that starts again, and goes on with it.
#[test]
fn the_console_waits_for_the_box_that_starts_again() {
    let mut alpha = start();
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("notify");
    let _listens = std::os::unix::net::UnixDatagram::bind(&socket).expect("a socket");
    let environment = [("NOTIFY_SOCKET", socket.to_str().expect("a path"))];
    alpha.start_again(&environment);
    let mut terminal = Terminal::open(&alpha, &[]);
    terminal.expect("1/6 name of this box [alpha]> ");
    for answer in ["north", "none", "later"] {
        terminal.line(answer);
    }
    terminal.send(b"yes\r");
    terminal.expect("starts again");
    let ended = alpha.wait_end(Duration::from_secs(10)).expect("it ends");
    assert_eq!(ended.code(), Some(75), "{}", alpha.log());
    alpha.start_again(&environment);
    let shown = terminal.expect("tombolo> ");
    assert!(
        shown.contains("the box is back") && shown.contains("\nok\n"),
        "{shown}"
    );
    terminal.ok("confirm");
    assert!(terminal.ok("show").contains("north"));
}

/// Killed at 50 moments while one change follows the other: there is always a whole configuration, one that was
/// committed, and the box starts with it.
#[test]
fn killed_at_any_moment_the_configuration_is_whole() {
    let mut alpha = start();
    let first = text(&alpha);
    let version = |number: u32| {
        format!(
            "{first}\n# change {number} {}\n",
            "x".repeat(number as usize % 7 * 900)
        )
    };
    let mut number = 0;
    let mut different = std::collections::BTreeSet::new();
    let is_known = |text: &str, most: u32| {
        text == first || (0..=most).rev().any(|number| text == version(number))
    };
    for round in 0..50u64 {
        let stop = AtomicBool::new(false);
        let state = alpha.state();
        number = std::thread::scope(|scope| {
            let begins_at = number;
            let (stop, state, version) = (&stop, &state, &version);
            let committing = scope.spawn(move || {
                let mut number = begins_at;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    let confirm = (number % 3 == 0).then_some(600);
                    let wanted = json!({"config_commit": {"text": version(number), "confirm_seconds": confirm}});
                    if request(state, &wanted).is_none() {
                        break;
                    }
                    if number % 5 == 0 && request(state, &json!("config_rollback")).is_none() {
                        break;
                    }
                }
                number
            });
            std::thread::sleep(Duration::from_micros(2_000 + round * 7_919 % 40_000));
            alpha.signal(Signal::SIGKILL);
            stop.store(true, Ordering::Relaxed);
            committing.join().expect("the committing side ends")
        });
        alpha
            .wait_end(Duration::from_secs(5))
            .expect("it was killed");
        let found = text(&alpha);
        assert!(
            is_known(&found, number),
            "round {round}: no configuration that was committed:\n{found}"
        );
        different.insert(found);
        Config::load(&alpha.config()).expect("a valid configuration");
        // Every fifth cut takes the power too: an unconfirmed change is gone then.
        let marker = alpha.config().with_file_name("tombolo.toml.unconfirmed");
        if round % 5 == 0 && marker.exists() {
            pretend_a_power_cut(&alpha);
        }
        alpha.start_again(&[]);
        assert!(
            is_known(&text(&alpha), number),
            "round {round}: after the start"
        );
    }
    assert!(
        different.len() > 10,
        "changes did get through: {}",
        different.len()
    );
}
