//! A week without a link, in virtual time: 200 users, three federates, and every bound looked at each hour.
//!
//! `TOMBOLO_REHEARSAL_SECONDS` is the time between two positions of a user; 3600 without it, 10 is what devices do.

use super::away::Rig;
use super::*;
use crate::config::Limits;

const USERS: u64 = 200;
const WEEK: u64 = 7 * 24 * 3600;

/// Numbers that look random, the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

fn at(second: u64) -> Now {
    Now {
        mono_ms: 1000 + second * 1000,
        wall_ms: NOW.wall_ms + i64::try_from(second).unwrap() * 1000,
    }
}

/// An event of that second, stale after so many seconds more.
fn said(uid: &str, kind: &str, second: u64, lives: u64, detail: &str) -> String {
    let stamp = |second| {
        let text = stamp::write(at(second).wall_ms).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    };
    let (time, stale) = (stamp(second), stamp(second + lives));
    format!(
        "<event version=\"2.0\" uid=\"{uid}\" type=\"{kind}\" time=\"{time}\" start=\"{time}\" stale=\"{stale}\" how=\"m-g\">\
         <point lat=\"47.0707\" lon=\"12.6938\" hae=\"1204.6\" ce=\"4.7\" le=\"9999999.0\"/><detail>{detail}</detail></event>"
    )
}

fn chat(user: u64, number: u64, second: u64, marti: &str) -> String {
    let text = "We are at the second bridge and wait for the truck. ".repeat(2);
    let detail = format!(
        "<__chat id=\"All Chat Rooms\" chatroom=\"All Chat Rooms\" senderCallsign=\"USER{user}\" groupOwner=\"false\">\
         <chatgrp uid0=\"ANDROID-{user:016x}\" uid1=\"All Chat Rooms\" id=\"All Chat Rooms\"/></__chat>\
         <link uid=\"ANDROID-{user:016x}\" type=\"a-f-G-U-C\" relation=\"p-p\"/>\
         <remarks source=\"BAO.F.ATAK.ANDROID-{user:016x}\">{text}{number}</remarks>{marti}"
    );
    said(&format!("chat-{number}"), "b-t-f", second, 86_400, &detail)
}

#[derive(Debug, Default)]
struct Figures {
    positions: u64,
    chats: u64,
    alarms: u64,
    spooled: u64,
    most_memory: usize,
    oldest_hours: u64,
}

fn rehearse(limits: &Limits, every: u64) -> (Rig, Figures) {
    let mut rig = Rig::new(limits, &["bravo", "charlie", "delta"]);
    let mut dice = Dice(42);
    let mut figures = Figures::default();
    // Charlie is there all the time, delta comes and goes, bravo is away for the week.
    let charlie = rig.up("charlie", at(0));
    let mut delta = None;
    let mut alarm: Option<u64> = None;
    for second in 0..WEEK {
        let now = at(second);
        // Every user once in that time, spread evenly over it.
        let slot = second % every;
        let users = (slot * USERS).div_ceil(every)..((slot + 1) * USERS).div_ceil(every);
        for user in users {
            let uid = format!("ANDROID-{user:016x}");
            let detail = format!(
                "<contact callsign=\"USER{user}\" endpoint=\"*:-1:stcp\"/><track speed=\"1.5\" course=\"{}.0\"/>",
                second % 360
            );
            rig.say(&said(&uid, "a-f-G-U-C", second, 2 * every, &detail), now);
            figures.positions += 1;
        }
        let chats = figures.chats;
        // Twenty lines of chat a day from each user.
        if dice.below(86_400) < USERS * 20 {
            rig.say(&chat(dice.below(USERS), figures.chats, second, ""), now);
            figures.chats += 1;
        }
        // Three emergencies a day: repeated every three seconds for ten minutes, then cancelled.
        if alarm.is_none() && dice.below(86_400) < 3 {
            alarm = Some(second);
        }
        if let Some(since) = alarm {
            let uid = format!("alarm-{since}");
            if second == since + 600 {
                rig.say(
                    &said(
                        &uid,
                        "b-a-o-can",
                        second,
                        60,
                        "<emergency cancel=\"true\"/>",
                    ),
                    now,
                );
                figures.alarms += 1;
                alarm = None;
            } else if (second - since).is_multiple_of(3) {
                rig.say(
                    &said(
                        &uid,
                        "b-a-o-tbl",
                        second,
                        60,
                        "<emergency type=\"911 Alert\"/>",
                    ),
                    now,
                );
            }
        }
        // The disk's second: only where there was something to write, for the sake of the test's own time.
        if figures.chats != chats || alarm.is_some() || second.is_multiple_of(10) {
            rig.tick(now);
        }
        if second.is_multiple_of(10) {
            rig.get(charlie, now);
            rig.router.taken("charlie", u64::MAX);
            if let Some(delta) = delta {
                rig.get(delta, now);
                rig.router.taken("delta", u64::MAX);
            }
        }
        // Delta: half a day away, half a day there.
        if second % 43_200 == 20_000 {
            match delta.take() {
                Some(link) => rig.router.detach(link, now),
                None => delta = Some(rig.up("delta", now)),
            }
        }
        figures.most_memory = figures.most_memory.max(rig.router.pool.used);
        if second.is_multiple_of(3600) {
            look(&rig, limits, now);
            let state = rig.router.spool_state("bravo", now);
            figures.oldest_hours = figures.oldest_hours.max(state.oldest_ms / 3_600_000);
        }
    }
    figures.spooled = rig.router.peer_counters("bravo").unwrap().spooled;
    (rig, figures)
}

fn look(rig: &Rig, limits: &Limits, now: Now) {
    let states = ["bravo", "charlie", "delta"].map(|peer| {
        rig.balance(peer);
        rig.router.spool_state(peer, now)
    });
    let events: u64 = states.iter().map(|state| state.events).sum();
    assert!(events <= u64::from(limits.spool_events), "{events}");
    assert!(rig.card.bytes() <= limits.spool_kib as usize * 1024);
    assert!(rig.router.pool.used <= rig.router.pool.limit);
    if now.mono_ms % (48 * 3_600_000) < 2000 {
        assert!(rig.card.is_sound());
    }
    let oldest = states.iter().map(|state| state.oldest_ms).max().unwrap();
    let most = u64::from(limits.spool_hours) * 3_600_000 * 9 / 8;
    assert!(oldest <= most + 1000, "{oldest}");
}

#[test]
fn a_week_without_a_link_loses_no_word() {
    let every = std::env::var("TOMBOLO_REHEARSAL_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(3600);
    let limits = Limits::default();
    let (mut rig, figures) = rehearse(&limits, every);
    let now = at(WEEK);
    let state = rig.router.spool_state("bravo", now);
    println!("a week of 200 users, a position every {every} s: {figures:?}");
    println!(
        "card: {} KiB at most, {} writes, {} KiB written; bravo waits for {} events, {} KiB",
        rig.card.peak / 1024,
        rig.card.writes,
        rig.card.written / 1024,
        state.events,
        state.bytes / 1024
    );
    let bravo = rig.up("bravo", now);
    let told = rig.get(bravo, now);
    let of = |kind: &str| {
        let suffix = format!(" {kind}");
        let lines = told.iter().filter(|line| line.ends_with(&suffix));
        lines.cloned().collect::<Vec<_>>()
    };
    let chats: Vec<String> = (0..figures.chats)
        .map(|number| format!("chat-{number} b-t-f"))
        .collect();
    assert_eq!(of("b-t-f"), chats, "every word, once and in order");
    assert_eq!(of("b-a-o-can").len() as u64, figures.alarms);
    // Raised before cancelled, and each ends cancelled.
    for line in of("b-a-o-can") {
        let uid = line.split(' ').next().unwrap();
        let last = told
            .iter()
            .rfind(|line| line.starts_with(&format!("{uid} ")))
            .unwrap();
        assert_eq!(*last, line);
        assert!(told.contains(&format!("{uid} b-a-o-tbl")));
    }
    assert_eq!(
        of("a-f-G-U-C").len() as u64,
        USERS,
        "the newest position of each"
    );
    let first_chat = told
        .iter()
        .position(|line| line.ends_with("b-t-f"))
        .unwrap();
    let last_control = told
        .iter()
        .rposition(|line| line.ends_with("b-a-o-can"))
        .unwrap();
    assert!(last_control < first_chat);
    rig.router.taken("bravo", u64::MAX);
    rig.tick(at(WEEK + 1));
    rig.balance("bravo");
    assert_eq!(rig.router.spool_state("bravo", now).events, 0);
    let tally = rig.router.peer_counters("bravo").unwrap();
    for reason in [
        Reason::SpoolFull,
        Reason::SpoolExpired,
        Reason::SpoolDamaged,
    ] {
        assert_eq!(tally.dropped(reason), 0, "{reason}");
    }
    println!("replayed {}, delivered {}", tally.replayed, tally.delivered);
}

#[test]
fn a_week_in_a_small_spool_keeps_the_alarms_and_the_last_words() {
    let limits = Limits {
        spool_kib: 2048,
        spool_events: 4096,
        spool_hours: 48,
        ..Limits::default()
    };
    let (mut rig, figures) = rehearse(&limits, 3600);
    let now = at(WEEK);
    let tally = rig.router.peer_counters("bravo").unwrap();
    println!(
        "small spool: {figures:?}, card {} KiB at most, spool_full {}, spool_expired {}",
        rig.card.peak / 1024,
        tally.dropped(Reason::SpoolFull),
        tally.dropped(Reason::SpoolExpired)
    );
    assert!(tally.dropped(Reason::SpoolFull) > 0);
    let bravo = rig.up("bravo", now);
    let told = rig.get(bravo, now);
    let last = format!("chat-{} b-t-f", figures.chats - 1);
    assert!(told.contains(&last));
    assert!(told.iter().any(|line| line.ends_with("b-a-o-can")));
    rig.balance("bravo");
}
