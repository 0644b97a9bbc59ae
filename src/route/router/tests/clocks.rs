//! Clocks that differ: what is moved, and that nothing else is touched.

use super::*;
use crate::clock::skew::Sample;
use crate::wire::fig;
use crate::wire::xml::Event;

const MINUTE: i64 = 60_000;

/// So many milliseconds after the others' beginning.
pub(super) fn later(milliseconds: u64) -> Now {
    Now {
        mono_ms: NOW.mono_ms + milliseconds,
        wall_ms: NOW.wall_ms + milliseconds.cast_signed(),
    }
}

fn stamped(uid: &str, kind: &str, time: i64, life: i64, detail: &str) -> String {
    let stamp = |time| String::from_utf8(stamp::write(time).unwrap().to_vec()).unwrap();
    format!(
        "<event version=\"2.0\" uid=\"{uid}\" type=\"{kind}\" time=\"{0}\" start=\"{0}\" stale=\"{1}\" how=\"m-g\">\
         <point lat=\"1.5\" lon=\"-2.25\" hae=\"3.0\" ce=\"4.0\" le=\"9999999.0\"/>{detail}</event>",
        stamp(time),
        stamp(time + life)
    )
}

/// Time and stale of each event, by `now`.
fn ages(text: &str, now: Now) -> Vec<[i64; 2]> {
    let pieces = text.split_inclusive("</event>");
    pieces
        .map(|piece| {
            let mut event = Event::nothing();
            Reader::default()
                .parse(&mut event, piece.as_bytes())
                .unwrap();
            [
                event.time.unwrap() - now.wall_ms,
                event.stale.unwrap() - now.wall_ms,
            ]
        })
        .collect()
}

/// A neighbour box says that its clock is `ahead`.
fn tell(router: &mut Router, peer: &str, ahead: i64, now: Now) {
    let level = now.wall_ms - now.mono_ms.cast_signed() + ahead;
    let sample = Sample {
        least: level - 5,
        most: level + 5,
        round_trip_ms: 10,
        ..Sample::default()
    };
    router.hear_time(peer, &sample, now);
}

/// A router whose one federate is a box with its clock so far ahead: router, federate, client.
fn told(ahead: i64) -> (Router, LinkId, LinkId) {
    let mut b = router(ID_B);
    let (far, from_a) = (client(&mut b), federate(&mut b, "a"));
    tell(&mut b, "a", ahead, NOW);
    (b, from_a, far)
}

/// The message that a box sends for an event.
fn sent(event: &str) -> Vec<u8> {
    let mut a = router(ID_A);
    let (sender, to_b) = (client(&mut a), federate(&mut a, "b"));
    a.receive_xml(sender, event.as_bytes(), NOW);
    messages(&mut a, to_b).remove(0)
}

#[test]
fn clocks_that_agree_change_no_byte() {
    let track = stamped("t", "a-f-G", NOW.wall_ms - 40, MINUTE, "<detail/>");
    let (mut b, from_a, far) = told(0);
    let onward = federate(&mut b, "c");
    let message = sent(&track);
    assert_eq!(
        b.receive_federated(from_a, &message, NOW),
        Verdict::Routed(2)
    );
    assert_eq!(text(&mut b, far), track);
    let relayed = messages(&mut b, onward).remove(0);
    assert!(relayed.starts_with(&message), "and provenance behind it");
    let tail = &relayed[message.len()..];
    assert!(fig::parse(tail, b"").unwrap().event.is_none(), "no edit");
    assert_eq!(b.peer_counters("a").unwrap().corrected, 0);
}

#[test]
fn a_told_clock_moves_every_time_as_one_and_the_message_only_grows() {
    for ahead in [-10 * MINUTE, 10 * MINUTE, -NOW.wall_ms + 5000] {
        let (mut b, from_a, far) = told(ahead);
        let onward = federate(&mut b, "c");
        let there = NOW.wall_ms + ahead;
        for (uid, time, life) in [
            ("lives", there, MINUTE),
            ("expired", there - 2 * MINUTE, MINUTE),
            ("delete", there, -1000),
        ] {
            let message = sent(&stamped(uid, "a-f-G", time, life, "<detail/>"));
            b.receive_federated(from_a, &message, NOW);
            assert_eq!(
                ages(&text(&mut b, far), NOW),
                [[time - there, time - there + life]]
            );
            let relayed = messages(&mut b, onward).remove(0);
            assert!(relayed.starts_with(&message));
            let read = fig::parse(&relayed, b"").unwrap();
            assert_eq!(read.event.unwrap().time, time - ahead);
            let untouched = fig::parse(&message, b"").unwrap().event.unwrap().bytes;
            assert_eq!(
                read.event.unwrap().bytes,
                untouched,
                "known again on another way"
            );
        }
        assert_eq!(b.peer_counters("a").unwrap().corrected, 3);
    }
}

#[test]
fn the_same_event_by_two_boxes_with_clocks_of_their_own_goes_once() {
    let message = sent(&stamped("t", "a-f-G", NOW.wall_ms, MINUTE, "<detail/>"));
    let mut d = router(ID_A.replace('a', "d").as_str());
    let far = client(&mut d);
    let mut verdicts = Vec::new();
    for (name, id, ahead) in [
        ("b", ID_B, 7 * MINUTE),
        ("c", "cccccccccccccccccccccccccccccccc", -MINUTE),
    ] {
        let mut relay = router(id);
        let (from_a, to_d) = (federate(&mut relay, "a"), federate(&mut relay, "d"));
        // The same moment by the relay's clock.
        let there = Now {
            wall_ms: NOW.wall_ms + ahead,
            ..NOW
        };
        tell(&mut relay, "a", -ahead, there);
        relay.receive_federated(from_a, &message, there);
        let from = federate(&mut d, name);
        tell(&mut d, name, ahead, NOW);
        verdicts.extend(
            messages(&mut relay, to_d)
                .iter()
                .map(|m| d.receive_federated(from, m, NOW)),
        );
    }
    assert_eq!(
        verdicts,
        [Verdict::Routed(1), Verdict::Dropped(Reason::Duplicate)]
    );
    assert_eq!(ages(&text(&mut d, far), NOW), [[0, MINUTE]]);
}

#[test]
fn who_joins_late_is_told_the_corrected_times_for_as_long_as_the_event_lives() {
    let (mut b, from_a, _) = told(-10 * MINUTE);
    let message = sent(&stamped(
        "t",
        "a-f-G",
        NOW.wall_ms - 10 * MINUTE,
        MINUTE,
        "<detail/>",
    ));
    b.receive_federated(from_a, &message, NOW);
    for (after, expected) in [(30_000, vec![[-30_000, 30_000]]), (61_000, vec![])] {
        let address = "test".to_owned();
        let late = b.attach(
            LinkSpec::Client {
                address,
                network: Network::LOCAL,
            },
            later(after),
        );
        let mut context = Context::from_waker(Waker::noop());
        let heard = match b.poll_batch(late, &mut context, later(after)) {
            Poll::Ready(Some(batch)) => String::from_utf8(batch.to_vec()).unwrap(),
            _ => String::new(),
        };
        assert_eq!(ages(&heard, later(after)), expected);
    }
}

#[test]
fn what_waits_waits_no_longer_than_it_lives() {
    // Ten minutes ahead: without correction it would wait for eleven.
    let (mut b, from_a, far) = told(10 * MINUTE);
    let message = sent(&stamped(
        "t",
        "a-f-G",
        NOW.wall_ms + 10 * MINUTE,
        MINUTE,
        "<detail/>",
    ));
    // The first fills the connection, the second waits.
    b.receive_federated(
        from_a,
        &sent(&stamped(
            "x",
            "a-f-G",
            NOW.wall_ms + 10 * MINUTE,
            MINUTE,
            "",
        )),
        NOW,
    );
    let mut context = Context::from_waker(Waker::noop());
    assert!(b.poll_batch(far, &mut context, NOW).is_ready());
    b.receive_federated(from_a, &message, NOW);
    assert!(b.poll_batch(far, &mut context, later(61_000)).is_pending());
    assert_eq!(b.local_counters().dropped(Reason::Expired), 1);
}

#[test]
fn a_device_ahead_is_corrected_from_its_third_event_and_its_newest_is_what_is_sent() {
    let mut a = router(ID_A);
    let (device, near) = (client(&mut a), client(&mut a));
    let mut context = Context::from_waker(Waker::noop());
    // Nobody reads, so the events wait and take each other's place.
    a.receive_xml(
        device,
        stamped("x", "b-t-f", NOW.wall_ms, MINUTE, "").as_bytes(),
        NOW,
    );
    assert!(a.poll_batch(near, &mut context, NOW).is_ready());
    for second in 0..4u64 {
        let now = later(second * 1000);
        let detail = format!("<detail><remarks>{second}</remarks></detail>");
        let track = stamped("t", "a-f-G", now.wall_ms + 10 * MINUTE, MINUTE, &detail);
        a.receive_xml(device, track.as_bytes(), now);
    }
    let heard = text(&mut a, near);
    assert_eq!(ages(&heard, later(3000)), [[0, MINUTE]]);
    assert!(heard.contains("<remarks>3</remarks>"));
    assert_eq!(a.local_counters().corrected, 2);
    // Its chat, each with a uid of its own, is made by the same clock.
    let chat = stamped(
        "c",
        "b-t-f",
        NOW.wall_ms + 10 * MINUTE + 4000,
        MINUTE,
        "<detail/>",
    );
    a.receive_xml(device, chat.as_bytes(), later(4000));
    assert_eq!(ages(&text(&mut a, near), later(4000)), [[0, MINUTE]]);
}

#[test]
fn pings_tell_a_devices_clock() {
    let mut a = router(ID_A);
    let (device, near) = (client(&mut a), client(&mut a));
    for ping in 0..6u64 {
        let now = later(ping * 4000);
        let ping = stamped("p-ping", "t-x-c-t", now.wall_ms - 10 * MINUTE, MINUTE, "");
        assert_eq!(
            a.receive_xml(device, ping.as_bytes(), now),
            Verdict::Consumed
        );
    }
    let now = later(21_000);
    let track = stamped("t", "a-f-G", now.wall_ms - 10 * MINUTE, MINUTE, "<detail/>");
    a.receive_xml(device, track.as_bytes(), now);
    assert_eq!(ages(&text(&mut a, near), now), [[0, MINUTE]]);
    // The next device on that place has nothing to do with it.
    a.detach(device, now);
    let address = "test".to_owned();
    assert_eq!(
        a.attach(
            LinkSpec::Client {
                address,
                network: Network::LOCAL
            },
            now
        ),
        device
    );
    let old = stamped("u", "a-f-G", now.wall_ms - 10 * MINUTE, MINUTE, "<detail/>");
    a.receive_xml(device, old.as_bytes(), now);
    assert_eq!(text(&mut a, near), old);
}

#[test]
fn a_federate_that_relays_many_devices_is_corrected_uid_by_uid() {
    let mut b = router(ID_B);
    let (far, from_a) = (client(&mut b), federate(&mut b, "a"));
    let devices = [
        ("right", 0),
        ("ahead", 10 * MINUTE),
        ("yesterday", -24 * 60 * MINUTE),
    ];
    for second in 0..15u64 {
        let now = later(second * 1000);
        for (uid, ahead) in devices {
            let track = stamped(uid, "a-f-G", now.wall_ms + ahead, MINUTE, "<detail/>");
            b.receive_federated(from_a, &sent(&track), now);
            let [age] = ages(&text(&mut b, far), now)[..] else {
                panic!("one event");
            };
            let known = match ahead {
                0 => true,
                1.. => second >= 2,
                _ => second >= 10,
            };
            assert_eq!(age == [0, MINUTE], known, "{uid} {second}: {age:?}");
        }
    }
}

#[test]
fn times_that_no_calendar_has_and_zeros_are_left_as_they_are() {
    let (mut b, from_a, far) = told(24 * 60 * MINUTE);
    let first = stamped("t", "a-f-G", -62_135_596_800_000, MINUTE, "");
    b.receive_federated(from_a, &sent(&first), NOW);
    assert_eq!(text(&mut b, far), first);
    let zero = stamped("u", "a-f-G", 0, 0, "");
    b.receive_federated(from_a, &sent(&zero), NOW);
    assert_eq!(text(&mut b, far), zero);
}

/// A device's track each second; gives the ages that the other client sees.
fn track_of(
    a: &mut Router,
    device: LinkId,
    near: LinkId,
    ahead: i64,
    seconds: std::ops::Range<u64>,
) -> Vec<[i64; 2]> {
    let mut seen = Vec::new();
    for second in seconds {
        let now = later(second * 1000);
        let uid = format!("u{}", device.0);
        let track = stamped(&uid, "a-f-G", now.wall_ms + ahead, MINUTE, "<detail/>");
        a.receive_xml(device, track.as_bytes(), now);
        seen.extend(ages(&text(a, near), now));
    }
    seen
}

#[test]
fn a_box_that_only_guesses_the_time_leaves_devices_that_know_it_alone() {
    let years = 20 * 365 * 24 * 60 * MINUTE;
    let mut a = router(ID_A);
    a.trust_clock(false);
    let (device, near, to_b) = (client(&mut a), client(&mut a), federate(&mut a, "b"));
    let onward = |a: &mut Router| -> Vec<i64> {
        let messages = messages(a, to_b);
        let events = messages
            .iter()
            .filter_map(|m| fig::parse(m, b"").unwrap().event.map(|e| e.time));
        events.collect()
    };
    // Our clock is twenty years behind. Nothing is moved into it, not one event.
    for (second, age) in (0u64..).zip(track_of(&mut a, device, near, years, 0..20)) {
        assert_eq!(age, [years, years + MINUTE], "{second}");
    }
    // Nobody read there, so the newest is what waits.
    assert_eq!(onward(&mut a), [later(19_000).wall_ms + years]);
    assert_eq!(a.local_counters().corrected, 0);
    // It tells other boxes the clock that its devices have.
    let (told, known) = a.told_time(later(20_000));
    assert!(known && (told.wall_ms - later(20_000).wall_ms - years).abs() < 100);
    // A second device, ten minutes behind the first, is moved into the clock of the many.
    let address = || "test".to_owned();
    let third = a.attach(
        LinkSpec::Client {
            address: address(),
            network: Network::LOCAL,
        },
        later(20_000),
    );
    let fourth = a.attach(
        LinkSpec::Client {
            address: address(),
            network: Network::LOCAL,
        },
        later(20_000),
    );
    track_of(&mut a, third, near, years, 20..25);
    let ages = track_of(&mut a, fourth, near, years - 10 * MINUTE, 25..40);
    assert_eq!(ages.last(), Some(&[years, years + MINUTE]));
    // Now we know the time, and it is theirs after all.
    a.trust_clock(true);
    let now = Now {
        mono_ms: NOW.mono_ms + 41_000,
        wall_ms: NOW.wall_ms + 41_000 + years,
    };
    let track = stamped("u0", "a-f-G", now.wall_ms, MINUTE, "<detail/>");
    a.receive_xml(device, track.as_bytes(), now);
    assert_eq!(text(&mut a, near), track);
}

#[test]
fn a_box_whose_clock_is_known_moves_even_the_many_into_it() {
    let mut a = router(ID_A);
    let (device, near) = (client(&mut a), client(&mut a));
    let ages = track_of(&mut a, device, near, 60 * MINUTE, 0..4);
    assert_eq!(ages.last(), Some(&[0, MINUTE]));
}

#[test]
fn a_box_adrift_is_judged_by_its_events() {
    let (mut b, from_a, far) = told(-10 * MINUTE);
    let level = NOW.wall_ms - NOW.mono_ms.cast_signed() - 10 * MINUTE;
    let sample = Sample {
        least: level - 5,
        most: level + 5,
        adrift: true,
        ..Sample::default()
    };
    b.hear_time("a", &sample, NOW);
    let track = stamped("t", "a-f-G", NOW.wall_ms, MINUTE, "<detail/>");
    b.receive_federated(from_a, &sent(&track), NOW);
    assert_eq!(text(&mut b, far), track);
}

#[test]
fn what_a_box_does_not_know_yet_is_not_moved_into_the_future() {
    // The box is ten minutes behind; a device there is right, and the box does not know that yet.
    let (mut b, from_a, far) = told(-10 * MINUTE);
    let track = stamped("t", "a-f-G", NOW.wall_ms, MINUTE, "<detail/>");
    b.receive_federated(from_a, &sent(&track), NOW);
    assert_eq!(text(&mut b, far), track);
}
