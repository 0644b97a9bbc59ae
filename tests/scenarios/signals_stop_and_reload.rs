//! Stopping, and reloading, while traffic flows.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{
    Authority, Device, RawDevice, Registration, Setup, eventually, joined_pair, track,
};

#[test]
fn sigterm_hands_over_what_waits_first() {
    let (mut alpha, bravo) = joined_pair();
    let (hawk, otter) = (
        Device::plain(alpha.clients_tcp()),
        Device::plain(bravo.clients_tcp()),
    );
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    for number in 0..100 {
        hawk.send(track(&format!("last-{number}"), number));
    }
    eventually("alpha has taken them all", || {
        let taken = alpha.status().number("/local/events_in");
        (taken >= 100).then_some(())
    });
    let began = Instant::now();
    alpha.signal(Signal::SIGTERM);
    let ended = alpha.wait_end(Duration::from_secs(10)).expect("it ends");
    assert_eq!(ended.code(), Some(0), "{}", alpha.log());
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    otter.expect_uid("last-99");
    bravo.wait_peer_gone("alpha");
}

#[test]
fn sigterm_waits_for_nobody_who_does_not_read() {
    let authority = Authority::new("alpha-ca");
    let mut alpha = Setup::new("alpha")
        .identity(&authority.issue("alpha"))
        .start();
    let deaf = RawDevice::connect(alpha.clients_tcp());
    let hawk = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(2);
    let long = "x".repeat(20_000);
    for number in 0..500 {
        hawk.send(track(&format!("track-{number}"), number).replace("report", &long));
    }
    hawk.send(track("end", 1).replace("a-h-G-U-C", "t-x-c-t"));
    hawk.expect_uid("takPong");
    alpha.signal(Signal::SIGTERM);
    let ended = alpha
        .wait_end(Duration::from_secs(5))
        .expect("it ends within five seconds");
    assert_eq!(ended.code(), Some(0));
    drop(deaf);
}

#[test]
fn a_second_start_finds_the_same_identity() {
    let setup = Setup::new("alpha");
    setup.write();
    let (config, state) = (setup.config(), setup.state());
    let show = || {
        let arguments = [
            "--config".as_ref(),
            config.as_os_str(),
            "--state".as_ref(),
            state.as_os_str(),
        ];
        let own = ["cert", "show", "--json"].map(std::ffi::OsStr::new);
        let shown = crate::support::ask(
            crate::support::tombolo(),
            arguments.into_iter().chain(own),
            "",
        );
        let shown: serde_json::Value = serde_json::from_str(&shown.success()).expect("JSON");
        shown["fingerprint"]
            .as_str()
            .expect("a fingerprint")
            .to_owned()
    };
    let mut alpha = setup.start();
    let first = show();
    assert!(first.starts_with("SHA256:") && first.len() == 71, "{first}");
    alpha.signal(Signal::SIGTERM);
    assert!(alpha.wait_end(Duration::from_secs(5)).is_some());
    assert_eq!(show(), first);
}

#[test]
fn sighup_reloads_peers() {
    let (alpha_authority, bravo_authority) =
        (Authority::new("alpha-ca"), Authority::new("bravo-ca"));
    let (alpha_leaf, bravo_leaf) = (
        alpha_authority.issue("alpha"),
        bravo_authority.issue("bravo"),
    );
    let bravo = Setup::new("bravo").identity(&bravo_leaf);
    let to_bravo = Registration::of("bravo", &bravo_leaf);
    let bravo = bravo.peer(Registration::of("alpha", &alpha_leaf)).start();
    let alpha = Setup::new("alpha").identity(&alpha_leaf).start();
    let otter = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(1);
    assert!(alpha.status().peer("bravo").is_none());

    let without = fs::read_to_string(alpha.config()).expect("tombolo.toml");
    let with = Setup::new("alpha")
        .identity(&alpha_leaf)
        .peer(to_bravo.dial(bravo.federation()));
    with.write();
    let section = fs::read_to_string(with.config()).expect("tombolo.toml");
    let section = &section[section.find("[[peer]]").expect("the peer")..];
    fs::write(alpha.config(), format!("{without}\n{section}")).expect("tombolo.toml");
    alpha.signal(Signal::SIGHUP);
    alpha.wait_peer("bravo");
    bravo.wait_peer("alpha");

    fs::write(alpha.config(), "this is no configuration").expect("tombolo.toml");
    alpha.signal(Signal::SIGHUP);
    eventually("the fault is in the log", || {
        alpha.log().contains("tombolo.toml").then_some(())
    });
    assert!(
        alpha.status().is_up("bravo"),
        "a broken file changes nothing"
    );

    fs::write(alpha.config(), without).expect("tombolo.toml");
    alpha.signal(Signal::SIGHUP);
    bravo.wait_peer_gone("alpha");
    let hawk = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(2);
    hawk.send(track("after-the-reload", 1));
    otter.expect_uid("after-the-reload");
}
