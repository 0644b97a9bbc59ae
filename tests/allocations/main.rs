//! A passing event allocates nothing in wire, cot and route, in either direction.
//!
//! "Passing" means that every link takes what it is offered; what must wait is copied once, which is an allocation
//! by design.

mod groups;
mod tak;
#[path = "../support/track.rs"]
mod track;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::task::{Context, Poll, Waker};

use tombolo::clock::Now;
use tombolo::clock::skew::Sample;
use tombolo::config::Limits;
use tombolo::route::{LinkId, LinkSpec, Network, Router, Settings, Verdict, Wire};
use tombolo::wire::scan::{Found, Scanner};
use tombolo::wire::stamp;
use track::Track;

/// Counts per thread, so that the test runner's own threads do not disturb.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system allocator as it came; counting touches a thread-local integer only.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

const WARM: u64 = 20_000;
const MEASURED: u64 = 20_000;

fn now(number: u64) -> Now {
    Now {
        mono_ms: number,
        // The senders' clocks are right.
        wall_ms: track::made_ms(number) + 30,
    }
}

fn router(id: &str) -> Router {
    Router::new(Settings::of(&Limits::default(), id.repeat(32), 1))
}

fn client(router: &mut Router) -> LinkId {
    let address = "test".to_owned();
    router.attach(
        LinkSpec::Client {
            address,
            network: Network::LOCAL,
        },
        now(0),
    )
}

fn federate(router: &mut Router, name: &str) -> LinkId {
    let spec = LinkSpec::Federate {
        name: name.to_owned(),
        incoming: true,
        outgoing: true,
        wire: Wire::Federated,
    };
    router.attach(spec, now(0))
}

/// Takes what waits and lets it go at once, as a connection does.
fn drain(router: &mut Router, link: LinkId, number: u64, mut each: impl FnMut(&[u8])) {
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(batch)) = router.poll_batch(link, &mut context, now(number)) {
        each(&batch);
    }
}

#[test]
fn the_counter_counts() {
    let before = allocations();
    drop(std::hint::black_box(Vec::<u8>::with_capacity(10)));
    assert_eq!(allocations() - before, 1);
}

#[test]
fn nothing_is_allocated_from_client_to_client_and_federates() {
    let mut router = router("a");
    let (sender, near) = (client(&mut router), client(&mut router));
    let (one, two) = (federate(&mut router, "one"), federate(&mut router, "two"));
    let links = [near, one, two];
    let mut scanner = Scanner::new(256 * 1024);
    let mut track = Track::new();
    let mut before = 0;
    for number in 0..WARM + MEASURED {
        if number == WARM {
            before = allocations();
        }
        let piece = track.number(number);
        assert!(matches!(scanner.next(piece), Found::Piece { .. }));
        for link in links {
            drain(&mut router, link, number, |_| {});
        }
        assert_eq!(
            router.receive_xml(sender, piece, now(number)),
            Verdict::Routed(3)
        );
        for link in links {
            let mut bytes = 0;
            drain(&mut router, link, number, |batch| bytes += batch.len());
            assert!(bytes > 300);
        }
    }
    assert_eq!(allocations() - before, 0, "in {MEASURED} events");
}

#[test]
fn nothing_is_allocated_from_federate_to_clients_and_federates() {
    from_federate(None);
}

#[test]
fn nothing_is_allocated_from_a_federate_whose_clock_is_wrong() {
    from_federate(Some(600_000));
    from_federate(Some(-86_400_000));
}

/// The time in the first track, 2026-11-20T12:34:56.789Z.
const TRACK_MS: i64 = 1_795_178_096_789;

/// `ahead`: the federate's clock is said to be so far ahead, milliseconds.
fn from_federate(ahead: Option<i64>) {
    let (mut near, mut far) = (router("b"), router("c"));
    let (sender, out) = (client(&mut far), federate(&mut far, "near"));
    drain(&mut far, out, 0, |_| {});
    let mut batch = Vec::new();
    far.receive_xml(sender, Track::new().number(0), now(0));
    drain(&mut far, out, 0, |bytes| batch.extend_from_slice(bytes));
    let length =
        |at: usize| u32::from_be_bytes(*batch[at + 1..].first_chunk().expect("a prefix")) as usize;
    let second = 5 + length(0);
    let mut message = batch[second + 5..second + 5 + length(second)].to_vec();
    let uid = message
        .windows(track::UID.len())
        .position(|window| window == track::UID)
        .expect("the uid");

    let (from, client, other) = (
        federate(&mut near, "far"),
        client(&mut near),
        federate(&mut near, "other"),
    );
    let mut before = 0;
    // What its clock says, the events say too.
    let now = |number: u64| match ahead {
        Some(ahead) => Now {
            mono_ms: number,
            wall_ms: TRACK_MS - ahead + 20,
        },
        None => now(number),
    };
    for number in 0..WARM + MEASURED {
        if number == WARM {
            before = allocations();
        }
        track::write_number(&mut message[uid..uid + track::UID.len()], number);
        for link in [client, other] {
            drain(&mut near, link, number, |_| {});
        }
        if let Some(ahead) = ahead {
            let now = now(number);
            let level = now.wall_ms - now.mono_ms.cast_signed() + ahead;
            let sample = Sample {
                least: level - 2,
                most: level + 2,
                round_trip_ms: 4,
                ..Sample::default()
            };
            near.hear_time("far", &sample, now);
        }
        assert_eq!(
            near.receive_federated(from, &message, now(number)),
            Verdict::Routed(2)
        );
        for link in [client, other] {
            let mut bytes = 0;
            drain(&mut near, link, number, |batch| bytes += batch.len());
            assert!(bytes > 300);
        }
    }
    assert_eq!(allocations() - before, 0, "in {MEASURED} events");
    let corrected = near.peer_counters("far").map(|tally| tally.corrected);
    assert_eq!(corrected, Some(ahead.map_or(0, |_| WARM + MEASURED)));
}

#[test]
fn nothing_is_allocated_from_a_client_whose_clock_is_wrong() {
    for ahead in [600_000, -600_000, 86_400_000 * 3650] {
        let mut router = router("a");
        let (sender, near) = (client(&mut router), client(&mut router));
        let far = federate(&mut router, "far");
        let mut event = b"<event version='2.0' uid='u0' type='a-f-G' how='m-g' time='2026-11-20T12:00:00.000Z' \
            start='2026-11-20T12:00:00.000Z' stale='2026-11-20T12:00:00.000Z'>\
            <point lat='1.5' lon='2.5' hae='3' ce='4' le='5'/><detail/></event>"
            .to_vec();
        let places: Vec<usize> = (0..event.len())
            .filter(|&at| event[at..].starts_with(b"'2026-"))
            .collect();
        let uid = track::position(&event, b"u0") + 1;
        let mut before = 0;
        for number in 0..WARM + MEASURED {
            if number == WARM {
                before = allocations();
            }
            // Four devices in turn, each once a second.
            let mono_ms = number * 250;
            let now = Now {
                mono_ms,
                wall_ms: 1_790_000_000_000 + mono_ms.cast_signed(),
            };
            event[uid] = b'0' + (number % 4) as u8;
            let made = now.wall_ms + ahead - 20;
            for (at, time) in places.iter().zip([made, made, made + 60_000]) {
                let text = stamp::write(time).expect("a time");
                event[at + 1..at + 1 + stamp::WIDTH].copy_from_slice(&text);
            }
            let mut bytes = 0;
            for link in [near, far] {
                let mut context = Context::from_waker(Waker::noop());
                while router.poll_batch(link, &mut context, now).is_ready() {}
            }
            router.receive_xml(sender, &event, now);
            for link in [near, far] {
                let mut context = Context::from_waker(Waker::noop());
                while let Poll::Ready(Some(batch)) = router.poll_batch(link, &mut context, now) {
                    bytes += batch.len();
                }
            }
            assert!(bytes > 300);
        }
        assert_eq!(allocations() - before, 0, "in {MEASURED} events, {ahead}");
        assert!(router.local_counters().corrected > MEASURED);
    }
}
