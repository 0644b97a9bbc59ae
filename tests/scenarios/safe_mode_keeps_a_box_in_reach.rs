//! A box that cannot run stays in reach: short boots, crashes and bad configurations lead to safe mode, and out of it.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::{Authority, Managed, Registration, Setup};

const WATCHDOG: Duration = Duration::from_secs(30);

fn managed() -> Managed {
    let leaf = Authority::new("bravo-ca").issue("bravo");
    Managed::new(Setup::new("alpha").peer(Registration::of("bravo", &leaf)))
}

/// Starts it and tells its state.
fn start(alpha: &mut Managed) -> String {
    alpha.start(WATCHDOG, &[]);
    alpha.wait_word("READY=1");
    let state = alpha.status()["node"]["state"].clone();
    state.as_str().expect("a word").to_owned()
}

#[test]
fn three_short_boots_lead_to_safe_mode_and_the_operator_out_of_it() {
    let mut alpha = managed();
    for id in ["a", "b", "c"] {
        alpha.boot(id);
        assert_eq!(start(&mut alpha), "running", "boot {id}");
        alpha.power_cut();
    }
    alpha.boot("d");
    assert_eq!(start(&mut alpha), "safe");
    let words = alpha.wait_word("STATUS=");
    assert!(
        words.starts_with("STATUS=safe mode: the box lost power or crashed 3 times"),
        "{words}"
    );

    let status = alpha.status();
    let reason = status["node"]["reason"].as_str().expect("words");
    assert!(reason.contains("3 times in a row"), "{reason}");
    assert!(status["listen"]["clients_tcp"].is_null());
    assert_eq!(status["listen"]["federation"], serde_json::json!([]));
    // Still registered, and not served.
    assert_eq!(status["peers"][0]["name"], "bravo");
    assert_eq!(status["peers"][0]["state"], "paused");
    let shown = alpha.call(["status"]).success();
    assert!(shown.contains("safe-mode leave`"), "{shown}");

    let left = alpha.call(["safe-mode", "leave"]).success();
    assert!(left.contains("starting again as configured"), "{left}");
    assert_eq!(alpha.wait_end().code(), Some(75));
    assert_eq!(start(&mut alpha), "running");
    let again = alpha.call(["safe-mode", "leave"]);
    assert_eq!(again.code, Some(69), "{}", again.stderr);
    assert!(
        again.stderr.contains("not in safe mode"),
        "{}",
        again.stderr
    );
}

#[test]
fn boots_that_end_in_order_are_not_short() {
    let mut alpha = managed();
    for id in ["a", "b", "c", "d", "e"] {
        alpha.boot(id);
        assert_eq!(start(&mut alpha), "running", "boot {id}");
        alpha.signal(Signal::SIGTERM);
        assert_eq!(alpha.wait_end().code(), Some(0));
    }
}

#[test]
fn crashes_in_one_boot_lead_to_safe_mode_and_a_restart_out_of_it() {
    let mut alpha = managed();
    for crash in 1..=5 {
        assert_eq!(start(&mut alpha), "running", "before crash {crash}");
        alpha.signal(Signal::SIGABRT);
        alpha.wait_end();
    }
    assert_eq!(start(&mut alpha), "safe");
    alpha.signal(Signal::SIGTERM);
    assert_eq!(alpha.wait_end().code(), Some(0));
    assert_eq!(start(&mut alpha), "running");
}

#[test]
fn a_configuration_that_cannot_be_used_is_said_and_mended_from_within() {
    let mut alpha = managed();
    let good = fs::read_to_string(alpha.config()).expect("tombolo.toml");
    fs::write(alpha.config(), good.replace("[limits]", "[limts]")).expect("tombolo.toml");
    assert_eq!(start(&mut alpha), "safe");
    let status = alpha.status();
    let reason = status["node"]["reason"].as_str().expect("words");
    assert!(
        reason.contains("tombolo.toml") && reason.contains("limts"),
        "{reason}"
    );
    let left = alpha.call(["safe-mode", "leave"]);
    assert_eq!(left.code, Some(78), "{}", left.stderr);
    assert!(left.stderr.contains("limts"), "{}", left.stderr);

    fs::write(alpha.config(), good).expect("tombolo.toml");
    let read = alpha.call(["reload"]).success();
    assert!(read.contains("leaving safe mode"), "{read}");
    assert_eq!(alpha.wait_end().code(), Some(75));
    assert_eq!(start(&mut alpha), "running");
}

#[test]
fn an_identity_that_cannot_be_used_is_said_too() {
    let mut alpha = managed();
    let good = fs::read_to_string(alpha.config()).expect("tombolo.toml");
    let bad = format!("[identity]\ncertificate = \"gone.pem\"\nkey = \"gone.pem\"\n\n{good}");
    fs::write(alpha.config(), bad).expect("tombolo.toml");
    assert_eq!(start(&mut alpha), "safe");
    let reason = alpha.status()["node"]["reason"].to_string();
    assert!(reason.contains("gone.pem"), "{reason}");
}

#[test]
fn safe_mode_can_be_asked_for() {
    let mut alpha = managed();
    alpha.start(WATCHDOG, &["--safe"]);
    alpha.wait_word("READY=1");
    let status = alpha.status();
    assert_eq!(status["node"]["state"], "safe");
    assert_eq!(status["node"]["reason"], "it was started with --safe");
    let left = alpha.call(["safe-mode", "leave"]);
    assert_eq!(left.code, Some(69), "{}", left.stderr);
    assert!(left.stderr.contains("without"), "{}", left.stderr);
    assert!(alpha.state().join("boots.a").exists());
}
