//! Two boxes with a NAT between them that forgets idle connections: how long it remembers is learned, and kept to; a
//! link that sends less is cut; a dead line is noticed in time. In namespaces of the kernel, so as root only.

use std::time::{Duration, Instant};

use crate::support::netns::{INSIDE, Nat, OUTSIDE};
use crate::support::{Authority, PATIENCE, Setup, TomboloBox, eventually, track};

/// Bytes are dear here: the schedule may stretch the health checks.
const METERED: &str = "[[uplink]]\nname = \"lte\"\ninterface = \"net0\"\nmetered = true";

fn wait(seconds: f64) {
    std::thread::sleep(Duration::from_secs_f64(seconds));
}

/// Alpha inside dials bravo outside.
fn through(nat: &Nat, table: &str, key: &str) -> (TomboloBox, TomboloBox) {
    let (inner, outer) = (Authority::new("alpha-ca"), Authority::new("bravo-ca"));
    let alpha = Setup::new("alpha").identity(&inner.issue("alpha"));
    let bravo = Setup::new("bravo").identity(&outer.issue("bravo"));
    let (to_alpha, to_bravo) = (alpha.registration(), bravo.registration());
    let bravo = bravo
        .within(&nat.outside(), &format!("{OUTSIDE}:9001"))
        .peer(to_alpha)
        .start();
    let address = format!("{OUTSIDE}:9001").parse().expect("an address");
    let alpha = alpha
        .within(&nat.inside(), &format!("{INSIDE}:9001"))
        .peer(to_bravo.dial(address).key(key))
        .table(table)
        .start();
    alpha.wait_peer("bravo");
    bravo.wait_peer("alpha");
    (alpha, bravo)
}

/// A figure of the peer's line; none while it is not known.
fn line(at: &TomboloBox, peer: &str, key: &str) -> Option<f64> {
    at.status().peer(peer)?["line"][key].as_f64()
}

/// How often a box connected to its peer.
fn connections(at: &TomboloBox, peer: &str) -> usize {
    at.log().matches(&format!("{peer}: connected")).count()
}

fn events_in(at: &TomboloBox, peer: &str) -> u64 {
    let status = at.status();
    let count = status
        .peer(peer)
        .and_then(|peer| peer["events_in"].as_u64());
    count.unwrap_or(0)
}

fn inject(at: &TomboloBox, uid: &str) {
    at.call(["inject", "-"], &track(uid, 1)).success();
}

/// Learns what a NAT bears, keeps a link through it for so many intervals with nothing else on it, and then proves it
/// from outside, where no packet opens anything anew.
fn learned_and_kept_to(seconds: u32, cycles: u32) {
    let Some(nat) = Nat::new(seconds) else {
        return;
    };
    let begun = Instant::now();
    let (alpha, bravo) = through(&nat, METERED, "");
    let deadline = begun + Duration::from_secs(60) + Duration::from_secs(u64::from(seconds) * 5);
    let found = loop {
        if let Some(found) = line(&alpha, "bravo", "idle_timeout_seconds") {
            break found;
        }
        assert!(
            Instant::now() < deadline,
            "nothing was learned\n{}",
            alpha.log()
        );
        wait(0.2);
    };
    println!(
        "NAT of {seconds} s: {found:.1} s after {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    let truth = f64::from(seconds);
    assert!(
        (truth * 0.9..=truth * 1.1).contains(&found),
        "found {found} s of {truth} s"
    );
    let interval = eventually("the schedule follows", || {
        let origin = alpha.status().peer("bravo")?["line"]["interval_from"].clone();
        (origin == "learned").then(|| line(&alpha, "bravo", "interval_seconds"))?
    });
    assert!(
        (found * 0.69..found * 0.71).contains(&interval),
        "{interval} of {found}"
    );
    let health = eventually("health checks follow", || {
        line(&alpha, "bravo", "health_seconds").filter(|&health| health >= interval)
    });
    let retransmits = || line(&alpha, "bravo", "retransmits").expect("a line");
    let before = retransmits();
    // The first attempt of all may have been given up for a better one.
    let ends = [(&alpha, "bravo"), (&bravo, "alpha")];
    let connected = ends.map(|(at, peer)| connections(at, peer));
    wait(interval * f64::from(cycles));
    println!(
        "NAT of {seconds} s: {cycles} cycles of {interval:.1} s (health {health:.1} s), round trip {:.2} ms, sent again {}",
        line(&alpha, "bravo", "round_trip_ms").expect("a line"),
        retransmits() - before,
    );
    for ((at, peer), before) in ends.into_iter().zip(connected) {
        assert_eq!(
            connections(at, peer),
            before,
            "the same connection from first to last\n{}",
            at.log()
        );
    }
    inject(&bravo, "from-outside");
    eventually("an event from outside", || {
        (events_in(&alpha, "bravo") == 1).then_some(())
    });
    assert_eq!(
        connections(&alpha, "bravo"),
        connected[0],
        "{}",
        alpha.log()
    );
    let table = alpha.call(["status"], "").success();
    assert!(table.contains("uplink lte bears"), "{table}");
}

/// Without keepalive the same NAT cuts the link: what is sent from outside arrives nowhere, and outside sees the end.
fn cut_without_keepalive(seconds: u32) {
    let Some(nat) = Nat::new(seconds) else {
        return;
    };
    let table = "[keepalive]\ndiscovery = false";
    let (alpha, bravo) = through(&nat, table, "keepalive_seconds = 3600");
    inject(&bravo, "while-young");
    eventually("an event from outside", || {
        (events_in(&alpha, "bravo") == 1).then_some(())
    });
    // In its first seconds a link tells the time and what it has taken; then it is silent.
    wait(f64::from(seconds) * 1.1 + 6.0);
    assert!(
        bravo.status().is_up("alpha"),
        "nobody has noticed yet\n{}",
        bravo.log()
    );
    inject(&bravo, "into-nothing");
    bravo.wait_peer_gone("alpha");
    assert_eq!(
        events_in(&alpha, "bravo"),
        1,
        "the NAT has forgotten the link"
    );
    assert_eq!(
        line(&alpha, "bravo", "idle_timeout_seconds"),
        None,
        "discovery is off"
    );
    println!("NAT of {seconds} s, keepalive off: cut");
}

fn side_by_side(timeouts: &[u32], run: impl Fn(u32) + Sync) {
    std::thread::scope(|scope| {
        let runs: Vec<_> = timeouts
            .iter()
            .map(|&seconds| {
                scope.spawn({
                    let run = &run;
                    move || run(seconds)
                })
            })
            .collect();
        for one in runs {
            one.join().expect("each NAT does its part");
        }
    });
}

#[test]
fn what_a_nat_bears_is_learned_and_kept_to() {
    side_by_side(&[6, 12], |seconds| learned_and_kept_to(seconds, 3));
}

#[test]
fn without_keepalive_the_nat_cuts_the_link() {
    side_by_side(&[6, 12], cut_without_keepalive);
}

/// `scripts/nat` runs it: half an hour.
#[test]
#[ignore = "half an hour; scripts/nat runs it"]
fn the_four_nats_of_the_field() {
    let timeouts = [30, 60, 120, 300];
    std::thread::scope(|scope| {
        scope.spawn(|| side_by_side(&timeouts, cut_without_keepalive));
        side_by_side(&timeouts, |seconds| learned_and_kept_to(seconds, 10));
    });
}

#[test]
fn a_dead_line_is_noticed_within_two_intervals_on_either_side() {
    let Some(nat) = Nat::new(600) else {
        return;
    };
    let interval = 6_u32;
    let (alpha, bravo) = through(&nat, "", &format!("keepalive_seconds = {interval}"));
    // On the first connection health checks carry the interval. On the next one the peer is known to be a box from the
    // beginning: HTTP/2 pings, and checks come four times rarer.
    for health in [interval, 4 * interval] {
        for (at, peer) in [(&alpha, "bravo"), (&bravo, "alpha")] {
            eventually("the schedule", || {
                let known = line(at, peer, "interval_seconds")? == f64::from(interval);
                (known && line(at, peer, "health_seconds")? == f64::from(health)).then_some(())
            });
        }
        nat.cut();
        let begun = Instant::now();
        let bound = Duration::from_secs(u64::from(interval) * 2);
        let noticed = |at: &TomboloBox, peer: &str| {
            let deadline = begun + bound + PATIENCE;
            while at.status().is_up(peer) {
                assert!(
                    Instant::now() < deadline,
                    "{peer} still looks alive\n{}",
                    at.log()
                );
                wait(0.05);
            }
            begun.elapsed()
        };
        let (inside, outside) = std::thread::scope(|scope| {
            let inside = scope.spawn(|| noticed(&alpha, "bravo"));
            let outside = scope.spawn(|| noticed(&bravo, "alpha"));
            (
                inside.join().expect("an end"),
                outside.join().expect("an end"),
            )
        });
        println!(
            "interval {interval} s, health {health} s: dialling side noticed after {inside:.1?}, accepting side after \
             {outside:.1?}"
        );
        // A busy machine may be late with everything, but not by another interval.
        let latest = bound + Duration::from_secs(interval.into());
        assert!(
            inside <= latest && outside <= latest,
            "{inside:?} {outside:?}"
        );
        nat.mend();
        alpha.wait_peer("bravo");
        bravo.wait_peer("alpha");
    }
}
