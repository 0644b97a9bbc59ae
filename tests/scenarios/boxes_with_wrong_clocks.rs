//! Two real boxes, one with a wrong system clock that steps while they are connected: whatever it says, a track lives as
//! long as it was meant to, on either side, by the clock of that side.

use crate::support::{
    Authority, Device, Event, FakedClock, Leaf, Registration, Setup, TomboloBox, days, eventually,
    now_ms, stamp,
};

/// All clocks are so many days after the machine's, so that one that is behind is not before the release.
const TRUTH: i64 = 20;
const MINUTE: i64 = 60_000;
const LIFE: i64 = 60_000;

fn leaf(name: &str) -> Leaf {
    Authority::new(&format!("{name}-ca")).issue(name)
}

/// A box with a system clock that is so far ahead of the truth, and its kernel says that it knows.
fn setup(name: &str, leaf: &Leaf, clock: &FakedClock, ahead: i64) -> Setup {
    clock.shift_ms(days(TRUTH) + ahead);
    clock.synchronised(20_000, 500);
    Setup::new(name).identity(leaf).clock(clock)
}

/// What a device says that has the clock of its box.
fn say(device: &Device, clock: &FakedClock, uid: &str, age: i64, life: i64) -> String {
    let made = now_ms() + clock.shifted_ms() - age;
    let (time, stale) = (stamp(made), stamp(made + life));
    let event = format!(
        "<event version='2.0' uid='{uid}' type='a-f-G' how='m-g' time='{time}' start='{time}' stale='{stale}'>\
         <point lat='1.5' lon='2.5' hae='3.0' ce='4.0' le='5.0'/><detail><remarks>of {uid}</remarks></detail></event>"
    );
    device.send(&event);
    event
}

/// How old an event is and how long it still lives, by a clock.
fn judged(event: &Event, clock: &FakedClock) -> [i64; 2] {
    let now = now_ms() + clock.shifted_ms();
    let read = |name| tombolo::wire::stamp::read(event.attribute(name).as_bytes()).expect("a time");
    [now - read("time"), read("stale") - now]
}

fn offset(of: &TomboloBox) -> i64 {
    let status = of.status();
    let clock = &status.0["peers"][0]["clock"];
    match clock["source"] == "exchange" {
        true => clock["offset_ms"].as_i64().expect("a number"),
        false => i64::MAX,
    }
}

#[test]
fn a_track_lives_as_long_as_it_was_meant_to_ten_minutes_off() {
    goes_through([-10 * MINUTE, 0, 10 * MINUTE]);
}

#[test]
fn a_track_lives_as_long_as_it_was_meant_to_a_day_off() {
    goes_through([-days(1), 0, days(1)]);
}

/// Alpha begins with the first, and is set to the others while it is connected. Forward only: a box does not follow a
/// system clock that goes back.
fn goes_through(steps: [i64; 3]) {
    let (alphas, bravos) = (FakedClock::new(), FakedClock::new());
    let (alpha_leaf, bravo_leaf) = (leaf("alpha"), leaf("bravo"));
    let bravo = setup("bravo", &bravo_leaf, &bravos, 0)
        .peer(Registration::of("alpha", &alpha_leaf))
        .start();
    let alpha = setup("alpha", &alpha_leaf, &alphas, steps[0])
        .peer(Registration::of("bravo", &bravo_leaf).dial(bravo.federation()))
        .start();
    alpha.wait_peer("bravo");
    bravo.wait_peer("alpha");
    let (one, other) = (
        Device::plain(alpha.clients_tcp()),
        Device::plain(bravo.clients_tcp()),
    );
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    for (step, ahead) in steps.into_iter().enumerate() {
        alphas.shift_ms(days(TRUTH) + ahead);
        alphas.drift_ppm(if step % 2 == 0 { 100 } else { -100 });
        eventually(&format!("either box knows of {ahead}"), || {
            let known = [(offset(&bravo), ahead), (offset(&alpha), -ahead)];
            known
                .into_iter()
                .all(|(offset, ahead)| offset.saturating_sub(ahead).abs() < 400)
                .then_some(())
        });
        let ways = [
            (&one, &alphas, &other, &bravos, "out"),
            (&other, &bravos, &one, &alphas, "in"),
        ];
        for (from, theirs, to, ours, way) in ways {
            // A device there that was set with its box is known to that box after a few events.
            for _ in 0..5 {
                say(from, theirs, &format!("{way}-{step}"), 0, LIFE);
                std::thread::sleep(std::time::Duration::from_millis(350));
            }
            for (what, age, life) in [("live", 0, LIFE), ("old", 90_000, LIFE), ("gone", 0, -1000)]
            {
                let uid = &format!("{way}-{what}-{step}");
                let sent = say(from, theirs, uid, age, life);
                let came = to.expect_uid(uid);
                let [old, lives] = judged(&came, ours);
                assert!((old - age).abs() <= 1000, "{uid}: {old} ms old");
                assert!(
                    (lives - (life - age)).abs() <= 1000,
                    "{uid}: lives {lives} ms"
                );
                assert_eq!(old + lives, life, "{uid}");
                if ahead == 0 {
                    assert_eq!(
                        came.attribute("time"),
                        Event { xml: sent }.attribute("time")
                    );
                }
            }
        }
    }
    assert!(bravo.status().number("/peers/0/clock/corrected") >= 2 * 8);
    assert!(alpha.status().number("/peers/0/clock/corrected") >= 2 * 8);
}
