//! The same for links that speak TAK protocol v1.

use std::task::{Context, Poll, Waker};

use tombolo::clock::Now;
use tombolo::cot::tak;
use tombolo::route::{LinkId, Router, Verdict, Wire};
use tombolo::wire::tak::framing::{self, Found};
use tombolo::wire::{stamp, xml};

use crate::track::{self, Track};
use crate::{MEASURED, WARM, allocations, client, drain, federate, now, router};

/// A client that has asked for it.
fn tak_client(router: &mut Router) -> LinkId {
    let id = client(router);
    router.set_wire(id, Wire::Tak);
    id
}

/// The track as a `TakMessage`, and where its uid is.
fn message() -> (Vec<u8>, usize) {
    let mut router = router("c");
    let (from, to) = (client(&mut router), tak_client(&mut router));
    drain(&mut router, to, 0, |_| {});
    let text = String::from_utf8(Track::new().number(0).to_vec()).expect("text");
    // All six kinds of children become typed fields.
    let text = text.replace(" phone=\"+13145550142\"", "").replace(
        "<uid Droid",
        "<takv device=\"x\" platform=\"ATAK-CIV\" os=\"34\" version=\"5.4\"/><uid Droid",
    );
    router.receive_xml(from, text.as_bytes(), now(0));
    let mut stream = Vec::new();
    drain(&mut router, to, 0, |bytes| stream.extend_from_slice(bytes));
    let Found::Message { start, end } = framing::next(&stream, 4096) else {
        panic!("a message");
    };
    let message = stream[start..end].to_vec();
    let uid = message
        .windows(track::UID.len())
        .position(|window| window == track::UID)
        .expect("the uid");
    (message, uid)
}

#[test]
fn nothing_is_allocated_from_a_tak_client_to_every_kind_of_link() {
    let (mut message, uid) = message();
    let mut router = router("a");
    let from = tak_client(&mut router);
    let (near, same) = (client(&mut router), tak_client(&mut router));
    let links = [near, same, federate(&mut router, "one")];
    let mut before = 0;
    for number in 0..WARM + MEASURED {
        if number == WARM {
            before = allocations();
        }
        track::write_number(&mut message[uid..uid + track::UID.len()], number);
        for link in links {
            drain(&mut router, link, number, |_| {});
        }
        let verdict = router.receive_tak(from, &message, now(number));
        assert_eq!(verdict, Verdict::Routed(3));
        for link in links {
            let mut bytes = 0;
            drain(&mut router, link, number, |batch| bytes += batch.len());
            assert!(bytes > 200);
        }
    }
    assert_eq!(allocations() - before, 0, "in {MEASURED} events");
}

/// The last of the gRPC messages in a batch.
fn last_message(mut batch: &[u8], message: &mut Vec<u8>) {
    while let [0, a, b, c, d, behind @ ..] = batch {
        let (this, behind) = behind.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        message.clear();
        message.extend_from_slice(this);
        batch = behind;
    }
}

#[test]
fn nothing_is_allocated_from_every_kind_of_link_to_a_tak_client() {
    let mut far = router("b");
    let (sender, out) = (client(&mut far), federate(&mut far, "near"));
    let mut router = router("a");
    let (from, other) = (client(&mut router), federate(&mut router, "far"));
    let to = tak_client(&mut router);
    let mut track = Track::new();
    let mut message = Vec::new();
    let mut sum = 0;
    for number in 0..WARM + MEASURED {
        for (xml, number) in [(true, 2 * number), (false, 2 * number + 1)] {
            let piece = track.number(number);
            if !xml {
                drain(&mut far, out, number, |_| {});
                far.receive_xml(sender, piece, now(number));
                message.clear();
                // A contact entry may stand before it.
                drain(&mut far, out, number, |batch| {
                    last_message(batch, &mut message);
                });
            }
            let (mut bytes, before) = (0, allocations());
            drain(&mut router, to, number, |_| {});
            let verdict = match xml {
                true => router.receive_xml(from, piece, now(number)),
                false => router.receive_federated(other, &message, now(number)),
            };
            drain(&mut router, to, number, |batch| bytes += batch.len());
            assert!(matches!(verdict, Verdict::Routed(_)), "{verdict:?}");
            assert!(bytes > 200);
            if number >= 2 * WARM {
                sum += allocations() - before;
            }
            // What it has for the federate is of no interest, and must not wait.
            drain(&mut router, other, number, |_| {});
        }
    }
    assert_eq!(sum, 0, "in {MEASURED} events each way");
}

#[test]
fn nothing_is_allocated_from_a_tak_client_whose_clock_is_wrong() {
    for ahead in [600_000, -600_000] {
        let mut router = router("a");
        let from = tak_client(&mut router);
        let links = [
            client(&mut router),
            tak_client(&mut router),
            federate(&mut router, "far"),
        ];
        let mut message = Vec::new();
        let mut sum = 0;
        for number in 0..WARM + MEASURED {
            // Four devices in turn, each once a second.
            let mono_ms = number * 250;
            let wall_ms = 1_790_000_000_000 + mono_ms.cast_signed();
            let now = Now { mono_ms, wall_ms };
            let made = wall_ms + ahead - 20;
            let time =
                |ms| String::from_utf8(stamp::write(ms).expect("a time").to_vec()).expect("text");
            let text = format!(
                "<event version='2.0' uid='u{}' type='a-f-G' how='m-g' time='{}' start='{}' stale='{}'>\
                 <point lat='1.5' lon='2.5' hae='3' ce='4' le='5'/><detail><track speed='1' course='2'/></detail></event>",
                number % 4,
                time(made),
                time(made),
                time(made + 60_000)
            );
            message.clear();
            let event = xml::parse(text.as_bytes()).expect("an event");
            tak::encode::put_event(&mut message, &event).expect("a message");
            let mut bytes = 0;
            let before = allocations();
            let mut drain = |router: &mut Router| {
                let mut context = Context::from_waker(Waker::noop());
                for link in links {
                    while let Poll::Ready(Some(batch)) = router.poll_batch(link, &mut context, now)
                    {
                        bytes += batch.len();
                    }
                }
            };
            drain(&mut router);
            router.receive_tak(from, &message, now);
            drain(&mut router);
            if number >= WARM {
                sum += allocations() - before;
            }
            assert!(bytes > 200);
        }
        assert_eq!(sum, 0, "in {MEASURED} events, {ahead}");
        assert!(router.local_counters().corrected > MEASURED);
    }
}
