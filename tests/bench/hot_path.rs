//! The hot path alone, for counting instructions: `hot_path WHAT N` passes N tracks.
//!
//! | WHAT | from | to |
//! |---|---|---|
//! | `codec-out` | socket bytes of a client | encoded `FederatedEvent` |
//! | `codec-in` | `FederatedEvent` | XML |
//! | `out` | the same, through a router | what a federate's connection is given |
//! | `in` | the same, through a router | what a client's connection is given |
//!
//! The two ways through a router do everything that a passing event needs: repeats, contacts, late joiners, the
//! outbox. `scripts/bench instructions` runs each under callgrind with two values of N and divides the difference, so
//! that start-up does not count.

#[path = "../support/track.rs"]
mod track;

use std::hint::black_box;
use std::task::{Context, Poll, Waker};

use tombolo::clock::Now;
use tombolo::config::Limits;
use tombolo::cot::federated::Envelope;
use tombolo::cot::render;
use tombolo::route::{LinkId, LinkSpec, Network, Router, Settings, Wire};
use tombolo::wire::fig::{self, Federated};
use tombolo::wire::scan::{Found, Scanner, check_prelude};
use tombolo::wire::stamp;
use tombolo::wire::xml::{Event, Reader};
use track::Track;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let (what, count) = match arguments.as_slice() {
        [what, count] => (what.as_str(), count.parse().expect("a number of tracks")),
        _ => ("out", 100_000),
    };
    let passed = match what {
        "codec-out" => codec_outward(count),
        "codec-in" => codec_inward(count),
        "out" => outward(count),
        "in" => inward(count),
        _ => panic!("{what} is nothing that can be passed"),
    };
    println!("{what}: {count} tracks, {passed} bytes");
}

/// Tracks that come with one read, and leave with one write.
const BURST: u64 = 10;

const FAR: &str = "cccccccccccccccccccccccccccccccc";

fn router(id: &str) -> Router {
    Router::new(Settings::of(&Limits::default(), id.to_owned(), 1))
}

fn now(number: u64) -> Now {
    Now {
        mono_ms: number,
        // The senders' clocks are right.
        wall_ms: track::made_ms(number) + 30,
    }
}

fn federate(router: &mut Router) -> LinkId {
    let spec = LinkSpec::Federate {
        name: "peer".to_owned(),
        incoming: true,
        outgoing: true,
        wire: Wire::Federated,
    };
    router.attach(spec, now(0))
}

fn client(router: &mut Router) -> LinkId {
    let address = "bench".to_owned();
    router.attach(
        LinkSpec::Client {
            address,
            network: Network::LOCAL,
        },
        now(0),
    )
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

/// The piece at the start of the buffer, as a client's connection finds it.
fn cut<'a>(scanner: &mut Scanner, buffer: &'a [u8]) -> &'a [u8] {
    let Found::Piece { start, end } = scanner.next(black_box(buffer)) else {
        panic!("no piece");
    };
    check_prelude(&buffer[..start]).expect("nothing before it");
    &buffer[start..end]
}

fn codec_outward(count: u64) -> usize {
    let envelope = Envelope::new(FAR.as_bytes());
    let (mut scanner, mut reader) = (Scanner::new(256 * 1024), Reader::default());
    let (mut tracks, mut out) = (Track::new(), Vec::new());
    let mut bytes = 0;
    for number in 0..count {
        let piece = cut(&mut scanner, tracks.number(number));
        let mut event = Event::nothing();
        reader.parse(&mut event, piece).expect("a good event");
        out.clear();
        let put = envelope.put_event(&mut out, &event);
        put.expect("it can cross federation");
        bytes += black_box(&out).len();
    }
    assert!(bytes > count as usize * 300);
    bytes
}

fn outward(count: u64) -> usize {
    let mut router = router(FAR);
    let (sender, peer) = (client(&mut router), federate(&mut router));
    drain(&mut router, peer, 0);
    let mut scanner = Scanner::new(256 * 1024);
    let mut tracks = Track::new();
    let mut bytes = 0;
    for number in 0..count {
        let piece = cut(&mut scanner, tracks.number(number));
        router.receive_xml(sender, piece, now(number));
        if number % BURST == BURST - 1 {
            bytes += drain(&mut router, peer, number);
        }
    }
    assert!(bytes > count as usize * 300);
    bytes
}

/// Messages made beforehand.
const MADE: u64 = 512;

/// Messages as they stand in gRPC frames; the uid is rewritten in place for each number.
struct Messages {
    made: Vec<Vec<u8>>,
    uid: usize,
}

impl Messages {
    fn new() -> Self {
        let envelope = Envelope::new(FAR.as_bytes());
        let mut tracks = Track::new();
        let made: Vec<Vec<u8>> = (0..MADE)
            .map(|number| {
                let event = tombolo::wire::xml::parse(tracks.number(number));
                let (event, mut out) = (event.expect("a good event"), Vec::new());
                let put = envelope.put_event(&mut out, &event);
                put.expect("it can cross federation");
                out
            })
            .collect();
        let uid = track::position(&made[0], track::UID);
        Self { made, uid }
    }

    fn number(&mut self, number: u64) -> &[u8] {
        let message = &mut self.made[(number % MADE) as usize];
        track::write_number(&mut message[self.uid..self.uid + track::UID.len()], number);
        message
    }
}

fn codec_inward(count: u64) -> usize {
    let (mut messages, mut reader, mut out) = (Messages::new(), Reader::default(), Vec::new());
    let mut stamps = stamp::Writer::default();
    let own = "b".repeat(32);
    let mut bytes = 0;
    for number in 0..count {
        let message = black_box(messages.number(number));
        let mut read = Federated::default();
        fig::read(&mut read, message, own.as_bytes()).expect("a good message");
        let event = read.event.as_ref().expect("an event");
        let mut shown = Event::nothing();
        render::read_detail(&mut shown, event, &mut reader).expect("a good detail");
        out.clear();
        let put = render::put_event(&mut out, event, shown.detail.as_ref(), &mut stamps);
        put.expect("times in the calendar");
        bytes += black_box(&out).len();
    }
    assert!(bytes > count as usize * 300);
    bytes
}

fn inward(count: u64) -> usize {
    let mut router = router(&"b".repeat(32));
    let (peer, receiver) = (federate(&mut router), client(&mut router));
    drain(&mut router, receiver, 0);
    let mut messages = Messages::new();
    let mut bytes = 0;
    for number in 0..count {
        router.receive_federated(peer, black_box(messages.number(number)), now(number));
        if number % BURST == BURST - 1 {
            bytes += drain(&mut router, receiver, number);
        }
    }
    assert!(bytes > count as usize * 300);
    bytes
}
