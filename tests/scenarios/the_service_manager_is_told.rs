//! What systemd hears of a box: ready, alive, in words, reading again, stopping.

use std::fs;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{Authority, Managed, Registration, Setup};

const WATCHDOG: Duration = Duration::from_millis(800);

#[test]
fn ready_comes_when_everything_is_bound_and_stopping_at_the_end() {
    let mut alpha = Managed::new(Setup::new("alpha"));
    alpha.start(Duration::from_secs(30), &[]);
    alpha.wait_word("READY=1");
    // At once, without another try: that is what "ready" means.
    let status = alpha.status();
    let clients = status["listen"]["clients_tcp"]
        .as_str()
        .expect("an address");
    assert!(TcpStream::connect(clients).is_ok());
    assert_eq!(status["node"]["state"], "running");
    assert_eq!(alpha.wait_word("STATUS="), "STATUS=no peers yet");
    alpha.signal(Signal::SIGHUP);
    assert!(alpha.wait_word("MONOTONIC_USEC=").len() > 15);
    alpha.wait_word("READY=1");
    alpha.signal(Signal::SIGTERM);
    alpha.wait_word("STOPPING=1");
    assert_eq!(alpha.wait_end().code(), Some(0));
}

#[test]
fn the_watchdog_is_fed_twice_in_its_time_and_not_by_a_box_that_stands_still() {
    let mut alpha = Managed::new(Setup::new("alpha"));
    alpha.start(WATCHDOG, &[]);
    alpha.wait_word("READY=1");
    let began = Instant::now();
    let mut pings = 0;
    while began.elapsed() < 5 * WATCHDOG {
        pings += u32::from(
            alpha
                .hear(WATCHDOG)
                .is_some_and(|said| said.contains("WATCHDOG=1")),
        );
    }
    // Ten on a machine with time to spare.
    assert!(
        (5..=13).contains(&pings),
        "{pings} in {:?}",
        began.elapsed()
    );
    alpha.signal(Signal::SIGSTOP);
    while alpha.hear(Duration::from_millis(1)).is_some() {}
    assert_eq!(alpha.hear(2 * WATCHDOG), None);
    alpha.signal(Signal::SIGCONT);
    alpha.wait_word("WATCHDOG=1");
}

#[test]
fn a_watchdog_of_another_process_is_not_fed() {
    // As a child of a service has it: the manager's variables, meant for somebody else.
    let mut alpha = Managed::new(Setup::new("alpha"));
    alpha.start_with(WATCHDOG, &[], &[("WATCHDOG_PID", "1")]);
    alpha.wait_word("STATUS=");
    assert_eq!(alpha.hear(2 * WATCHDOG), None);
}

#[test]
fn the_words_tell_how_the_peers_are() {
    let leaf = Authority::new("bravo-ca").issue("bravo");
    let alpha = Setup::new("alpha").peer(Registration::of("bravo", &leaf).key("enabled = false"));
    let mut alpha = Managed::new(alpha);
    alpha.start(Duration::from_secs(30), &[]);
    let words = alpha.wait_word("STATUS=");
    assert_eq!(words, "STATUS=1 peer: 1 disabled");
}

#[test]
fn card_and_power_are_in_the_status() {
    let mut alpha = Managed::new(Setup::new("alpha"));
    let throttled = alpha
        .machine()
        .join("sys/devices/platform/soc/soc:firmware");
    fs::create_dir_all(&throttled).expect("a directory");
    fs::write(throttled.join("get_throttled"), "50005\n").expect("get_throttled");
    alpha.start(Duration::from_secs(30), &[]);
    alpha.wait_word("STATUS=");
    let status = alpha.status();
    assert_eq!(status["power"]["under_voltage"], true);
    assert_eq!(status["storage"]["fault"], "");
    let shown = alpha.call(["status"]).success();
    assert!(shown.contains("the voltage is too low"), "{shown}");
}

#[test]
fn an_address_that_comes_later_is_waited_for() {
    let setup = Setup::new("alpha");
    let mut alpha = Managed::new(setup);
    // TEST-NET-1: no interface has it.
    let text = fs::read_to_string(alpha.config()).expect("tombolo.toml");
    let text = text.replace(
        "clients_tls = \"127.0.0.1:0\"",
        "clients_tls = \"192.0.2.7:0\"",
    );
    fs::write(alpha.config(), text).expect("tombolo.toml");
    alpha.start(Duration::from_secs(30), &[]);
    alpha.wait_word("READY=1");
    let tls = alpha.status()["listen"]["clients_tls"].to_string();
    assert!(tls.starts_with("\"192.0.2.7:"), "{tls}");
    assert!(
        alpha.log().contains("no interface has the address"),
        "{}",
        alpha.log()
    );
}
