use super::*;
use proptest::prelude::*;

/// Monotonic zero is this time of day.
const ANCHOR: i64 = 1_790_000_000_000;

fn report(mode: u8, time_ms: i64) -> Line {
    Line::Report {
        mode,
        time_ms: Some(time_ms),
        error_ms: None,
    }
}

/// Hears a report each second, each so many milliseconds late.
fn after(lateness: &[i64]) -> Tracker {
    let mut tracker = Tracker::default();
    tracker.set_connected(true);
    for (second, late) in (1_i64..).zip(lateness) {
        let mono = u64::try_from(second * 1000 + late).unwrap();
        tracker.hear(&report(3, ANCHOR + second * 1000), mono, 0, |_| true);
    }
    tracker
}

#[test]
fn lines_of_a_real_gpsd_are_read() {
    let version =
        br#"{"class":"VERSION","release":"3.25","rev":"3.25","proto_major":3,"proto_minor":15}"#;
    assert_eq!(parse(version), Line::Version("3.25".into()));
    let devices = br#"{"class":"DEVICES","devices":[{"class":"DEVICE","path":"/dev/pts/3","activated":"2026-01-01T00:00:00.000Z","flags":1,"driver":"NMEA0183"}]}"#;
    assert_eq!(parse(devices), Line::Devices(1));
    assert_eq!(
        parse(br#"{"class":"DEVICES","devices":[]}"#),
        Line::Devices(0)
    );
    let tpv = br#"{"class":"TPV","device":"/dev/pts/3","mode":3,"time":"2026-11-20T12:34:56.000Z","ept":0.005,"lat":48.1,"lon":11.5,"altHAE":545.4,"track":84.4}"#;
    assert_eq!(
        parse(tpv),
        Line::Report {
            mode: 3,
            time_ms: stamp::read(b"2026-11-20T12:34:56Z"),
            error_ms: Some(5),
        }
    );
    let no_fix = br#"{"class":"TPV","device":"/dev/pts/3","mode":1}"#;
    assert_eq!(
        parse(no_fix),
        Line::Report {
            mode: 1,
            time_ms: None,
            error_ms: None,
        }
    );
    let pps = br#"{"class":"PPS","device":"/dev/pps0","real_sec":1790000000,"real_nsec":0,"clock_sec":1789999999,"clock_nsec":750000000,"precision":-20,"shm":"NTP1"}"#;
    assert_eq!(
        parse(pps),
        Line::Pair {
            is_pulse: true,
            real_ms: 1_790_000_000_000,
            clock_ms: 1_789_999_999_750,
        }
    );
    assert_eq!(parse(br#"{"class":"SKY","satellites":[]}"#), Line::Other);
    for junk in [
        &b"HTTP/1.1 400 Bad Request"[..],
        b"{}",
        b"",
        b"\xff{",
        br#"{"class":7}"#,
    ] {
        assert_eq!(parse(junk), Line::Unreadable);
    }
}

#[test]
fn the_least_late_of_the_last_reports_is_the_time() {
    assert_eq!(after(&[300, 200]).sighting(), None, "two are not enough");
    let sighting = after(&[300, 200, 700, 120, 400]).sighting().unwrap();
    assert_eq!(sighting.anchor_ms, ANCHOR - 120);
    assert_eq!(sighting.error_ms, MESSAGE_ERROR_MS);
    assert_eq!(sighting.at_ms, 5_400);
}

#[test]
fn a_report_without_a_fix_or_with_an_impossible_time_is_no_time() {
    let mut tracker = Tracker::default();
    assert_eq!(tracker.state(0), State::Away);
    tracker.hear(&Line::Version("3.25".into()), 1, 0, |_| true);
    assert_eq!(tracker.state(1), State::NoReceiver);
    for second in 1..9 {
        tracker.hear(&report(1, ANCHOR), second * 1000, 0, |_| true);
    }
    assert_eq!(
        (tracker.state(9_000), tracker.sighting()),
        (State::NoFix, None)
    );
    for second in 9..19 {
        tracker.hear(&report(3, ANCHOR), second * 1000, 0, |_| false);
    }
    let seen = (tracker.state(19_000), tracker.sighting());
    assert_eq!(seen, (State::Implausible, None));
    let mut tracker = after(&[100; 5]);
    assert_eq!(tracker.state(6_000), State::Fix);
    assert_eq!(tracker.state(16_000), State::NoFix);
    tracker.set_connected(false);
    assert_eq!(tracker.state(6_000), State::Away);
    assert!(tracker.sighting().is_some(), "it stays, and ages");
}

#[test]
fn one_wild_report_changes_nothing_and_three_that_agree_do() {
    let mut tracker = after(&[100; 5]);
    let before = tracker.sighting().unwrap().anchor_ms;
    let wild = ANCHOR + 3_600_000;
    tracker.hear(&report(3, wild + 6_000), 6_000, 0, |_| true);
    assert_eq!(tracker.sighting().unwrap().anchor_ms, before);
    tracker.hear(&report(3, wild + 7_000), 7_000, 0, |_| true);
    assert_eq!(tracker.sighting().unwrap().anchor_ms, before);
    tracker.hear(&report(3, wild + 8_000), 8_000, 0, |_| true);
    assert_eq!(tracker.sighting().unwrap().anchor_ms, wild);
}

#[test]
fn the_pulse_goes_before_messages_and_needs_a_fix() {
    let mut tracker = Tracker::default();
    tracker.set_connected(true);
    // The system clock is 10.25 s behind.
    let pulse = |mono: u64| Line::Pair {
        is_pulse: true,
        real_ms: ANCHOR + i64::try_from(mono).unwrap(),
        clock_ms: ANCHOR + i64::try_from(mono).unwrap() - 10_250,
    };
    let system = |mono: u64| ANCHOR + i64::try_from(mono).unwrap() - 10_250;
    tracker.hear(&pulse(1_000), 1_003, system(1_003), |_| true);
    assert_eq!(tracker.sighting(), None);
    tracker.hear(&report(3, ANCHOR + 1_000), 1_400, system(1_400), |_| true);
    tracker.hear(&pulse(2_000), 2_003, system(2_003), |_| true);
    let sighting = tracker.sighting().unwrap();
    assert_eq!((sighting.anchor_ms, sighting.error_ms), (ANCHOR, 1));
    assert_eq!(tracker.state(2_003), State::Pulse);
    for second in 2..8_i64 {
        let mono = u64::try_from(second * 1000 + 400).unwrap();
        tracker.hear(
            &report(3, ANCHOR + second * 1000),
            mono,
            system(mono),
            |_| true,
        );
    }
    assert_eq!(tracker.sighting(), Some(sighting), "messages are worse");
    for second in 8..15_i64 {
        let mono = u64::try_from(second * 1000 + 400).unwrap();
        tracker.hear(
            &report(3, ANCHOR + second * 1000),
            mono,
            system(mono),
            |_| true,
        );
    }
    assert_eq!(
        tracker.sighting().unwrap().error_ms,
        MESSAGE_ERROR_MS,
        "the pulse is gone"
    );
}

proptest! {
    #[test]
    fn no_line_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn no_numbers_make_it_panic(
        class in prop_oneof!["TPV", "PPS", "TOFF"],
        mode in any::<i64>(), ept in any::<f64>(), real in any::<i64>(), nanos in any::<i64>(), clock in any::<i64>(),
        mono in any::<u64>(), system in any::<i64>(),
    ) {
        let ept = if ept.is_finite() { ept } else { 0.0 };
        let line = format!(
            "{{\"class\":\"{class}\",\"mode\":{mode},\"ept\":{ept:e},\"time\":\"2026-01-01T00:00:00Z\",\
             \"real_sec\":{real},\"real_nsec\":{nanos},\"clock_sec\":{clock},\"clock_nsec\":{nanos}}}"
        );
        let mut tracker = Tracker::default();
        for mode in [3, 3, 3] {
            tracker.hear(&report(mode, system), mono, system, |_| true);
        }
        tracker.hear(&parse(line.as_bytes()), mono, system, |_| true);
        let _ = tracker.state(mono);
    }
}
