//! Clocks that are wrong, set while the box runs, or in 1970: what the box goes by, what it says, and whom it admits.

use crate::support::{
    Authority, Device, FakedClock, Leaf, Profile, Registration, Setup, Status, TomboloBox, days,
    eventually, now_ms, track,
};

/// What the clocks of those who know the time say, days after the machine's.
const TRUTH: i64 = 20;

/// A clock that is right, and known to be.
fn right() -> FakedClock {
    let clock = FakedClock::new();
    clock.shift_ms(days(TRUTH));
    clock.synchronised(20_000, 500);
    clock
}

/// A leaf that was made yesterday, by the clocks of those who know.
fn leaf(name: &str) -> Leaf {
    let today = now_ms() + days(TRUTH);
    let profile = Profile {
        valid: Some((today - days(1), today + days(700))),
        ..Profile::default()
    };
    Authority::new(&format!("{name}-ca")).issue_as(name, &profile)
}

fn utc_ms(status: &Status) -> i64 {
    let utc = status.text("/clock/utc");
    tombolo::wire::stamp::read(utc.as_bytes()).expect("a time")
}

#[track_caller]
fn wait_quality(of: &TomboloBox, quality: &str) {
    eventually(&format!("quality {quality}"), || {
        (of.status().text("/clock/quality") == quality).then_some(())
    });
}

fn doubts(of: &TomboloBox, word: &str) -> u64 {
    let status = of.status();
    status.number(&format!("/clock/doubtful_certificates/{word}"))
}

#[test]
fn a_box_in_1970_federates_with_registered_leaves_and_says_so() {
    let (alpha_leaf, bravo_leaf, charlie_leaf) = (leaf("alpha"), leaf("bravo"), leaf("charlie"));
    let (battery, right) = (FakedClock::in_1970(), right());
    let setup =
        |name: &str, own: &Leaf, clock: &FakedClock| Setup::new(name).identity(own).clock(clock);
    let bravo = setup("bravo", &bravo_leaf, &right)
        .peer(Registration::of("alpha", &alpha_leaf))
        .start();
    let mut alpha = setup("alpha", &alpha_leaf, &battery)
        .deaf_to_peers()
        .peer(Registration::of("bravo", &bravo_leaf).dial(bravo.federation()))
        .peer(Registration::by_fingerprint("charlie", &charlie_leaf))
        .start();
    let charlie = setup("charlie", &charlie_leaf, &right)
        .peer(Registration::of("alpha", &alpha_leaf).dial(alpha.federation()))
        .start();
    // It judges who is dialled, and who dials.
    alpha.wait_peer("bravo");
    alpha.wait_peer("charlie");
    charlie.wait_peer("alpha");
    assert_eq!(doubts(&alpha, "not_yet_valid_by_our_clock"), 2);
    assert_eq!(doubts(&bravo, "not_yet_valid_by_our_clock"), 0);
    let status = alpha.status();
    assert_eq!(status.text("/clock/quality"), "build");
    assert_eq!(status.text("/clock/follows"), "own");
    assert_eq!(status.0["clock"]["trusted"], false);
    assert!(status.text("/clock/system_utc").starts_with("1970-01-01T"));
    assert!(status.text("/clock/utc") >= status.text("/clock/not_before"));
    assert!(!status.text("/clock/fault").is_empty());
    let log = alpha.log();
    assert!(log.contains("not valid yet by our clock"), "{log}");
    assert!(log.contains("which cannot be"), "{log}");
    let shown = alpha.call(["status"], "").success();
    assert!(
        shown.contains("CLOCK           the system clock cannot be right"),
        "{shown}"
    );
    // And what it passes on arrives.
    let (hawk, otter) = (
        Device::plain(alpha.clients_tcp()),
        Device::plain(bravo.clients_tcp()),
    );
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    hawk.send(track("from-1970", 1));
    otter.expect_uid("from-1970");

    // Something sets the system clock: it is followed, told and counted, and kept.
    battery.shift_ms(days(TRUTH));
    battery.synchronised(20_000, 500);
    wait_quality(&alpha, "ntp");
    let status = alpha.status();
    assert_eq!(status.text("/clock/follows"), "system");
    assert_eq!(
        (status.number("/clock/steps"), status.number("/clock/jumps")),
        (1, 1)
    );
    assert!(status.0["clock"]["last_step"]["by_ms"].as_i64() > Some(days(365 * 50)));
    assert_eq!(status.text("/clock/fault"), "");
    let log = alpha.log();
    assert!(log.contains("the system clock was set"), "{log}");
    eventually("the time is kept", || {
        alpha.state().join("clock.a").exists().then_some(())
    });
    alpha.wait_peer("bravo");

    // Power is cut, and the clock has no battery.
    let kept = alpha.status().text("/clock/utc").to_owned();
    battery.shift_ms(10_000 - now_ms());
    battery.unsynchronised();
    alpha.start_again(&[]);
    let status = alpha.status();
    assert_eq!(status.text("/clock/quality"), "last_known");
    let back = status.text("/clock/not_before");
    assert!(back[..10] >= kept[..10], "{back} {kept}");
    alpha.wait_peer("bravo");
}

#[test]
fn a_box_without_a_source_goes_by_the_peers_that_have_one() {
    let (alpha_leaf, bravo_leaf) = (leaf("alpha"), leaf("bravo"));
    let (battery, right) = (FakedClock::in_1970(), right());
    let bravo = Setup::new("bravo")
        .identity(&bravo_leaf)
        .clock(&right)
        .peer(Registration::of("alpha", &alpha_leaf))
        .start();
    let alpha = Setup::new("alpha")
        .identity(&alpha_leaf)
        .clock(&battery)
        .peer(Registration::of("bravo", &bravo_leaf).dial(bravo.federation()))
        .start();
    wait_quality(&alpha, "peers");
    let (ours, theirs) = (alpha.status(), bravo.status());
    let apart = utc_ms(&ours) - utc_ms(&theirs);
    assert!(apart.abs() < 5_000, "the day of those who know: {apart}");
    assert_eq!(alpha.status().text("/clock/follows"), "own");
    assert_eq!(alpha.status().text("/clock/fault"), "");
    // It vouches for nobody: its peer does not go by it.
    assert_eq!(bravo.status().text("/clock/quality"), "ntp");
    right.unsynchronised();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(bravo.status().text("/clock/follows"), "system");
    assert_ne!(bravo.status().text("/clock/quality"), "peers");
}

#[test]
fn known_by_its_ca_alone_it_waits_for_the_time_and_the_led_says_clock() {
    let (alpha_leaf, bravo_leaf) = (leaf("alpha"), leaf("bravo"));
    let (battery, right) = (FakedClock::in_1970(), right());
    let bravo = Setup::new("bravo")
        .identity(&bravo_leaf)
        .clock(&right)
        .peer(Registration::of("alpha", &alpha_leaf))
        .start();
    let alpha = Setup::new("alpha")
        .identity(&alpha_leaf)
        .clock(&battery)
        .peer(Registration::by_authority("bravo", &bravo_leaf).dial(bravo.federation()))
        .start();
    eventually("it is refused", || {
        alpha
            .status()
            .reason("bravo")
            .contains("not valid yet")
            .then_some(())
    });
    eventually("the LED says clock", || {
        (alpha.status().text("/led/signal") == "fault_clock").then_some(())
    });
    assert_eq!(doubts(&alpha, "not_yet_valid_by_our_clock"), 0);
}

#[test]
fn whom_only_a_clock_ahead_admits_is_named() {
    let (alpha_leaf, bravo_leaf) = (leaf("alpha"), leaf("bravo"));
    // As far ahead as the others, but nobody vouches for it.
    let (ahead, right) = (FakedClock::new(), right());
    ahead.shift_ms(days(TRUTH));
    let bravo = Setup::new("bravo")
        .identity(&bravo_leaf)
        .clock(&right)
        .peer(Registration::of("alpha", &alpha_leaf))
        .start();
    let alpha = Setup::new("alpha")
        .identity(&alpha_leaf)
        .clock(&ahead)
        .peer(Registration::by_authority("bravo", &bravo_leaf).dial(bravo.federation()))
        .start();
    alpha.wait_peer("bravo");
    assert_eq!(doubts(&alpha, "dates_not_proven"), 1);
    assert_eq!(doubts(&bravo, "dates_not_proven"), 0);
    let log = alpha.log();
    assert!(log.contains("only if our clock"), "{log}");
}

#[test]
fn the_kernels_word_is_shown_and_a_clock_set_wrong_is_not_followed() {
    let clock = FakedClock::new();
    clock.synchronised(40_000, 1_500);
    clock.leap_second();
    let alpha = Setup::new("alpha").clock(&clock).start();
    let status = alpha.status();
    assert_eq!(status.text("/clock/quality"), "ntp");
    assert_eq!(status.0["clock"]["synchronised"], true);
    assert_eq!(status.number("/clock/error_ms"), 40);
    assert_eq!(status.number("/clock/estimated_error_us"), 1_500);
    assert_eq!(status.text("/clock/leap"), "insert");
    let line = alpha.call(["status"], "").success();
    assert!(
        line.contains("ntp: synchronised (NTP), within 40 ms"),
        "{line}"
    );
    // Somebody types a wrong date; the kernel calls the clock unsynchronised.
    clock.unsynchronised();
    clock.shift_ms(-days(3));
    eventually("the step is counted", || {
        (alpha.status().number("/clock/steps") == 1).then_some(())
    });
    let status = alpha.status();
    assert_eq!(status.0["clock"]["synchronised"], false);
    assert_eq!(status.text("/clock/follows"), "own");
    assert_eq!(status.number("/clock/jumps"), 0, "the box's time ran on");
    let apart = utc_ms(&status) - now_ms();
    assert!(apart.abs() < 5_000, "{apart}");
    let offset = status.0["clock"]["offset_ms"].as_i64().expect("a number");
    assert!((offset - days(3)).abs() < 2_000, "{offset}");
    let shown = alpha.call(["status"], "").success();
    let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("the system clock is 3 days behind"),
        "{shown}"
    );
    // He puts it right.
    clock.shift_ms(0);
    eventually("it is followed again", || {
        (alpha.status().text("/clock/follows") == "system").then_some(())
    });
    assert_eq!(alpha.status().number("/clock/steps"), 2);
}

#[test]
fn a_battery_backed_clock_that_agrees_is_said_so() {
    let clock = FakedClock::new();
    let setup = Setup::new("alpha").clock(&clock).own_machine();
    let rtc = setup.machine().join("sys/class/rtc/rtc0");
    std::fs::create_dir_all(&rtc).expect("a clock");
    std::fs::write(rtc.join("since_epoch"), format!("{}\n", now_ms() / 1000)).expect("its time");
    let mut alpha = setup.start();
    let status = alpha.status();
    assert_eq!(status.text("/clock/quality"), "rtc");
    assert!(!status.0["clock"]["rtc_utc"].is_null());
    // The system came up in 1970, and the other clock ran on.
    clock.shift_ms(10_000 - now_ms());
    std::fs::write(rtc.join("since_epoch"), format!("{}\n", now_ms() / 1000)).expect("its time");
    alpha.start_again(&[]);
    let status = alpha.status();
    assert_eq!(
        (status.text("/clock/quality"), status.text("/clock/follows")),
        ("rtc", "own")
    );
    let apart = utc_ms(&status) - now_ms();
    assert!(apart.abs() < 5_000, "{apart}");
}
