//! The hot path alone, for counting instructions: `hot_path out N` or `hot_path in N` passes N tracks through a router.
//!
//! `scripts/bench instructions` runs it under callgrind with two values of N and divides the difference, so that
//! start-up does not count.

#[path = "../support/track.rs"]
mod track;

use std::hint::black_box;
use std::task::{Context, Poll, Waker};

use tombolo::clock::Now;
use tombolo::config::Limits;
use tombolo::route::{LinkId, LinkSpec, Router, Settings};
use tombolo::wire::scan::{Found, Scanner, check_prelude};
use track::Track;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let (direction, count) = match arguments.as_slice() {
        [direction, count] => (
            direction.as_str(),
            count.parse().expect("a number of tracks"),
        ),
        _ => ("out", 100_000),
    };
    let passed = match direction {
        "in" => inward(count),
        _ => outward(count),
    };
    println!("{direction}: {count} tracks, {passed} bytes");
}

/// Tracks that come with one read, and leave with one write.
const BURST: u64 = 10;

fn router(id: &str) -> Router {
    Router::new(Settings::of(&Limits::default(), id.repeat(32), 1))
}

fn now(number: u64) -> Now {
    Now {
        mono_ms: number,
        wall_ms: 1_790_000_000_000,
    }
}

fn federate(router: &mut Router) -> LinkId {
    let spec = LinkSpec::Federate {
        name: "peer".to_owned(),
        incoming: true,
        outgoing: true,
    };
    router.attach(spec, now(0))
}

fn client(router: &mut Router) -> LinkId {
    let address = "bench".to_owned();
    router.attach(LinkSpec::Client { address }, now(0))
}

/// What is ready for a link.
fn drain(router: &mut Router, link: LinkId, number: u64) -> usize {
    let mut context = Context::from_waker(Waker::noop());
    let mut bytes = 0;
    while let Poll::Ready(Some(batch)) = router.poll_batch(link, &mut context, now(number)) {
        bytes += black_box(&batch).len();
    }
    bytes
}

/// Socket bytes of a client to encoded `FederatedEvent`.
fn outward(count: u64) -> usize {
    let mut router = router("a");
    let (sender, peer) = (client(&mut router), federate(&mut router));
    drain(&mut router, peer, 0);
    let mut scanner = Scanner::new(256 * 1024);
    let mut track = Track::new();
    let mut bytes = 0;
    for number in 0..count {
        let buffer = track.number(number);
        let Found::Piece { start, end } = scanner.next(black_box(buffer)) else {
            panic!("no piece");
        };
        check_prelude(&buffer[..start]).expect("nothing before it");
        router.receive_xml(sender, &buffer[start..end], now(number));
        if number % BURST == BURST - 1 {
            bytes += drain(&mut router, peer, number);
        }
    }
    assert!(bytes > count as usize * 300);
    bytes
}

/// `FederatedEvent` as it stands in a gRPC frame to the XML that a client is sent.
fn inward(count: u64) -> usize {
    let (mut near, mut far) = (router("b"), router("c"));
    let (sender, out) = (client(&mut far), federate(&mut far));
    drain(&mut far, out, 0);
    far.receive_xml(sender, Track::new().number(0), now(0));
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Some(batch)) = far.poll_batch(out, &mut context, now(0)) else {
        panic!("nothing encoded");
    };
    // Contact first, then the track; both with five bytes of gRPC before them.
    let length = |at: usize| u32::from_be_bytes(batch[at + 1..at + 5].try_into().unwrap()) as usize;
    let second = 5 + length(0);
    let mut message = batch[second + 5..second + 5 + length(second)].to_vec();
    let uid = message
        .windows(track::UID.len())
        .position(|window| window == track::UID)
        .expect("the uid");

    let (peer, receiver) = (federate(&mut near), client(&mut near));
    drain(&mut near, receiver, 0);
    let mut bytes = 0;
    for number in 0..count {
        track::write_number(&mut message[uid..uid + track::UID.len()], number);
        near.receive_federated(peer, black_box(&message), now(number));
        if number % BURST == BURST - 1 {
            bytes += drain(&mut near, receiver, number);
        }
    }
    assert!(bytes > count as usize * 300);
    bytes
}
