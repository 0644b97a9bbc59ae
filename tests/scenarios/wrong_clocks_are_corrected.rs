//! One side's clock is wrong, in every way a clock can be: at the receiver every track lives as long as it was meant to.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{
    Authority, Device, Event, FakedClock, Foreign, Registration, Setup, TomboloBox, eventually,
    now_ms, stamp,
};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// How long every track is meant to live, milliseconds.
const LIFE: i64 = 60_000;
/// An event each second.
const SECONDS: i64 = 19;
/// When some step, and when the backlog comes.
const STEP: i64 = 13;
/// Behind is believed after ten seconds, ahead and a step after three events; and a little more on a busy machine.
const LEARNT: i64 = 12;
const FEW: i64 = 5;

/// A device with a clock of its own.
struct Source {
    uid: &'static str,
    /// How far its clock is ahead, before and after its step.
    ahead: [i64; 2],
    /// Its events take so long.
    delay: i64,
    /// Its first event, second.
    begins: i64,
}

const fn source(uid: &'static str, before: i64, after: i64) -> Source {
    Source {
        uid,
        ahead: [before, after],
        delay: 0,
        begins: 0,
    }
}

/// Those whose clocks are off, and those who only look as if.
fn sources() -> Vec<Source> {
    let since_1970 = 5000 - now_ms();
    vec![
        source("right", 0, 0),
        source("ten-minutes-ahead", 10 * MINUTE, 10 * MINUTE),
        source("ten-minutes-behind", -10 * MINUTE, -10 * MINUTE),
        source("tomorrow", DAY, DAY),
        source("yesterday", -DAY, -DAY),
        source("in-1970", since_1970, since_1970),
        source("set-forward", 0, 10 * MINUTE),
        source("set-back", 0, -10 * MINUTE),
        source("set-right", 10 * MINUTE, 0),
        Source {
            delay: 2000,
            ..source("by-satellite", 0, 0)
        },
        Source {
            begins: STEP,
            ..source("after-an-outage", 0, 0)
        },
    ]
}

/// One event: who, made when by a right clock, and the times that are written.
struct Made {
    uid: String,
    made: i64,
    time: i64,
    stale: i64,
    kind: &'static str,
    /// The receiver should have it right.
    known: bool,
}

/// What all of them say within one second.
fn say(sources: &[Source], second: i64, now: i64) -> Vec<Made> {
    let mut said = Vec::new();
    for source in sources.iter().filter(|source| second >= source.begins) {
        let ahead = source.ahead[usize::from(second >= STEP)];
        let steps = source.ahead[0] != source.ahead[1];
        let known = match ahead {
            _ if steps && second >= STEP => second >= STEP + FEW,
            0 => true,
            1.. => second >= FEW,
            _ => second >= LEARNT,
        };
        let mut one = |made: i64, life: i64| {
            said.push(Made {
                uid: source.uid.to_owned(),
                made,
                time: made + ahead,
                stale: made + ahead + life,
                kind: "a-f-G",
                known,
            });
        };
        // What was made during the last minute comes at once.
        let held = if source.begins == second { 60 } else { 0 };
        for ago in (0..=held).rev().filter(|_| second < SECONDS) {
            one(now - source.delay - ago * 1000, LIFE);
        }
        if second == SECONDS {
            // Long expired.
            one(now - 3 * LIFE / 2, LIFE);
        }
        if second == SECONDS + 1 {
            one(now, -1000);
        }
    }
    said
}

/// Says everything, second by second.
fn talk(mut tell: impl FnMut(&Made)) -> Vec<Made> {
    let sources = sources();
    let (begin, mut all) = (Instant::now(), Vec::new());
    for second in 0..SECONDS + 2 {
        for made in say(&sources, second, now_ms()) {
            tell(&made);
            all.push(made);
        }
        let next = Duration::from_secs(second.unsigned_abs() + 1);
        sleep(next.saturating_sub(begin.elapsed()));
    }
    all
}

/// What came, by the number that it carries. Of many events of one device that come at once, the newest is enough.
fn heard(receiver: &Device, sent: &[Made]) -> BTreeMap<usize, Event> {
    let numbered = |event: &Event| {
        let (_, rest) = event.xml.split_once("<remarks>no ")?;
        rest.split_once('<')?.0.parse().ok()
    };
    let all = || -> BTreeMap<usize, Event> {
        let events = receiver.events().into_iter();
        events
            .filter_map(|event| Some((numbered(&event)?, event)))
            .collect()
    };
    let last = sent.len() - sources().len()..sent.len();
    eventually("the last of each", || {
        let all = all();
        last.clone()
            .all(|number| all.contains_key(&number))
            .then_some(())
    });
    let all = all();
    for source in sources() {
        let of = |event: &&Event| event.uid() == source.uid;
        let least = usize::try_from(SECONDS - source.begins).expect("some");
        assert!(all.values().filter(of).count() >= least, "{}", source.uid);
    }
    all
}

fn millis(event: &Event, name: &str) -> i64 {
    tombolo::wire::stamp::read(event.attribute(name).as_bytes()).expect("a time")
}

#[track_caller]
fn judge(sent: &[Made], heard: &BTreeMap<usize, Event>) {
    for (number, made) in sent.iter().enumerate() {
        let Some(event) = heard.get(&number) else {
            continue;
        };
        let uid = &made.uid;
        let [time, start, stale] = ["time", "start", "stale"].map(|name| millis(event, name));
        assert_eq!(
            stale - time,
            made.stale - made.time,
            "{uid}: it keeps its lifetime"
        );
        assert_eq!(start, time, "{uid}");
        if made.known && made.time == made.made {
            assert_eq!(time, made.time, "{uid}: a right clock is left alone");
        }
        if made.known {
            let off = time - made.made;
            assert!(off.abs() <= 1000, "{uid} no {number}: {off} ms off");
        }
    }
}

/// The machine's time, and a kernel that says that it knows it: a box that only guesses goes by what most devices say.
fn known() -> FakedClock {
    let clock = FakedClock::new();
    clock.synchronised(20_000, 500);
    clock
}

fn remarks(number: usize) -> String {
    format!("<detail><remarks>no {number}</remarks></detail>")
}

#[test]
fn a_federate_relays_devices_with_wrong_clocks() {
    let alpha_leaf = Authority::new("alpha-ca").issue("alpha");
    let foreign_leaf = Authority::new("foreign-ca").issue("foreign");
    let clock = known();
    let alpha = Setup::new("alpha")
        .identity(&alpha_leaf)
        .clock(&clock)
        .peer(Registration::of("foreign", &foreign_leaf))
        .start();
    let mut foreign = Foreign::dial(
        alpha.federation(),
        &foreign_leaf,
        &alpha_leaf,
        &["--health-every", "1"],
    );
    alpha.wait_peer("foreign");
    let receiver = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(1);
    let mut number = 0;
    let sent = talk(|made| {
        foreign.tell(&json!({"do": "send_event", "event": {
            "sendTime": made.time, "startTime": made.time, "staleTime": made.stale,
            "lat": 1.5, "lon": 2.5, "hae": 3.0, "ce": 4.0, "le": 5.0,
            "uid": made.uid, "type": made.kind, "coordSource": "m-g", "other": remarks(number),
        }}));
        number += 1;
    });
    judge(&sent, &heard(&receiver, &sent));
    let status = alpha.status();
    assert!(status.number("/peers/0/clock/corrected") > 50, "{status:?}");
    // They differ among each other, so nothing is said of the peer.
    assert_eq!(status.0["peers"][0]["clock"]["offset_ms"], json!(0));
}

#[test]
fn local_devices_with_wrong_clocks() {
    let clock = known();
    let alpha = Setup::new("alpha").clock(&clock).start();
    let receiver = Device::plain(alpha.clients_tcp());
    let mut devices: BTreeMap<String, Device> = BTreeMap::new();
    for source in sources() {
        devices.insert(source.uid.to_owned(), Device::plain(alpha.clients_tcp()));
    }
    alpha.wait_clients(devices.len() as u64 + 1);
    let mut number = 0;
    let sent = talk(|made| {
        let (time, stale) = (stamp(made.time), stamp(made.stale));
        devices[&made.uid].send(format!(
            "<event version='2.0' uid='{}' type='{}' how='m-g' time='{time}' start='{time}' stale='{stale}'>\
             <point lat='1' lon='2' hae='3' ce='4' le='5'/>{}</event>",
            made.uid,
            made.kind,
            remarks(number)
        ));
        number += 1;
    });
    judge(&sent, &heard(&receiver, &sent));
}

/// A federate whose events are all behind, and then a device that nobody heard before.
#[test]
fn what_most_devices_of_a_peer_have_in_common_is_said_of_the_peer() {
    let alpha_leaf = Authority::new("alpha-ca").issue("alpha");
    let foreign_leaf = Authority::new("foreign-ca").issue("foreign");
    let clock = known();
    let alpha = Setup::new("alpha")
        .identity(&alpha_leaf)
        .clock(&clock)
        .peer(Registration::of("foreign", &foreign_leaf))
        .start();
    let mut foreign = Foreign::dial(
        alpha.federation(),
        &foreign_leaf,
        &alpha_leaf,
        &["--health-every", "1"],
    );
    alpha.wait_peer("foreign");
    let receiver = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(1);
    let mut tell = |uid: &str| {
        let time = now_ms() + 30 * MINUTE;
        foreign.tell(&json!({"do": "send_event", "event": {
            "sendTime": time, "startTime": time, "staleTime": time + LIFE,
            "lat": 1.5, "lon": 2.5, "hae": 3.0, "ce": 4.0, "le": 5.0,
            "uid": uid, "type": "a-f-G", "coordSource": "m-g",
        }}));
    };
    for _ in 0..4 {
        tell("one");
        tell("two");
        sleep(Duration::from_millis(400));
    }
    let offset = |alpha: &TomboloBox| alpha.status().0["peers"][0]["clock"]["offset_ms"].as_i64();
    eventually("the peer's offset", || {
        tell("two");
        sleep(Duration::from_millis(200));
        offset(&alpha).filter(|offset| (offset - 30 * MINUTE).abs() < 1000)
    });
    tell("three");
    let first = receiver.expect_uid("three");
    assert!((millis(&first, "stale") - now_ms() - LIFE).abs() < 2000);
    let said = alpha.call(["status"], "").success();
    let words: Vec<&str> = said.split_whitespace().collect();
    assert!(words.join(" ").contains("30 min ahead of ours"), "{said}");
}
