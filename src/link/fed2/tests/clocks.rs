//! Boxes whose clocks differ.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::clock::skew::Offset;
use crate::clock::{Clock, Now};
use crate::link::fed2::time_exchange;

/// The machine's clock, set wrong.
struct Wrong {
    right: SystemClock,
    ahead: AtomicI64,
}

impl Clock for Wrong {
    fn now(&self) -> Now {
        let now = self.right.now();
        Now {
            wall_ms: now.wall_ms + self.ahead.load(Ordering::SeqCst),
            ..now
        }
    }
}

const DAY: i64 = 86_400_000;

/// A node whose clock is `ahead`, and its clock.
fn wrong_node(name: &str, id: &str, ahead: i64) -> (Arc<Node>, Arc<Wrong>) {
    let clock = Arc::new(Wrong {
        right: SystemClock::new(),
        ahead: AtomicI64::new(ahead),
    });
    let settings = Settings::of(&Limits::default(), id.to_owned(), 1);
    let hub = Hub::new(Router::new(settings), Arc::clone(&clock) as Arc<dyn Clock>);
    let node = node_with(name, id, quick(), hub);
    time_exchange::register(&node.companions, node.hub.clone(), node.keeper.clone());
    (node, clock)
}

/// What one box knows of another's clock.
fn offset(node: &Node, peer: &str) -> Offset {
    node.hub.with(|router, now| router.peer_offset(peer, now))
}

fn about(offset: Offset, expected: i64) -> bool {
    offset.exchanged && (offset.offset_ms - expected).abs() < 200
}

#[tokio::test]
async fn either_box_knows_the_others_clock_and_finds_it_set() {
    let pki = Pki::new("islands");
    let (alpha, clock) = wrong_node("alpha", ALPHA, -DAY);
    let (bravo, _) = wrong_node("bravo", BRAVO, 0);
    let (_acceptor, address) = acceptor(&alpha, &pki, "bravo").await;
    let dialler = crate::link::fed2::dial(
        Arc::clone(&bravo),
        peer("alpha", Some(address)),
        pki.client(),
    );
    until("both know", || {
        about(offset(&alpha, "bravo"), DAY) && about(offset(&bravo, "alpha"), -DAY)
    })
    .await;
    assert!(offset(&bravo, "alpha").confidence > 0.5);
    assert!(offset(&bravo, "alpha").round_trip_ms.is_some());
    // Set right while connected: the box says so itself, long before its next turn.
    clock.ahead.store(0, Ordering::SeqCst);
    until("both know again", || {
        about(offset(&alpha, "bravo"), 0) && about(offset(&bravo, "alpha"), 0)
    })
    .await;
    dialler.stop().await;
}

/// A local device of a node, with a clock of its own.
struct Device {
    local: Local,
    clock: Arc<dyn Clock>,
}

impl Device {
    fn of(node: &Node, clock: &Arc<Wrong>) -> Self {
        Self {
            local: Local::of(node),
            clock: Arc::clone(clock) as Arc<dyn Clock>,
        }
    }

    /// Says an event made so long ago, with start and stale so long after its time, milliseconds.
    fn says(&self, uid: &str, ago: i64, start: i64, life: i64) -> String {
        let time = self.clock.now().wall_ms - ago;
        let stamp =
            |time: i64| String::from_utf8(wire::stamp::write(time).unwrap().to_vec()).unwrap();
        let (time, start, stale) = (stamp(time), stamp(time + start), stamp(time + life));
        let event = format!(
            "<event version='2.0' uid='{uid}' type='a-f-G-U-C' how='m-g' time='{time}' start='{start}' stale='{stale}'>\
             <point lat='1.5' lon='-2.25' hae='3' ce='4' le='5'/><detail><remarks>of {uid}</remarks></detail></event>"
        );
        let verdict = self.local.0.receive_xml(event.as_bytes());
        assert!(!matches!(verdict, Verdict::Dropped(_)), "{verdict:?}");
        event
    }

    /// Waits for an event; gives how old it is, how long after its time it starts, and how long it still lives, all by
    /// this device's clock, milliseconds.
    async fn hears(&self, uid: &str) -> [i64; 3] {
        let heard = self.local.hears(&format!("of {uid}<")).await;
        let from = heard.rfind("<event").unwrap();
        let mut event = wire::xml::Event::nothing();
        let piece = &heard.as_bytes()[from..];
        wire::xml::Reader::default()
            .parse(&mut event, piece)
            .unwrap();
        let (time, now) = (event.time.unwrap(), self.clock.now().wall_ms);
        [
            now - time,
            event.start.unwrap() - time,
            event.stale.unwrap() - now,
        ]
    }
}

/// alpha, bravo and charlie in a row, a device at either end; what lives a minute lives a minute everywhere.
async fn a_row(ahead: [i64; 3]) {
    let pki = Pki::new("islands");
    let (alpha, alphas) = wrong_node("alpha", ALPHA, ahead[0]);
    let (bravo, _) = wrong_node("bravo", BRAVO, ahead[1]);
    let (charlie, charlies) = wrong_node("charlie", "cccccccccccccccccccccccccccccccc", ahead[2]);
    let (_at_bravo, bravos_address) = acceptor(&bravo, &pki, "alpha").await;
    let (_at_charlie, charlies_address) = acceptor(&charlie, &pki, "bravo").await;
    let from_alpha = crate::link::fed2::dial(
        Arc::clone(&alpha),
        peer("bravo", Some(bravos_address)),
        pki.client(),
    );
    let from_bravo = crate::link::fed2::dial(
        Arc::clone(&bravo),
        peer("charlie", Some(charlies_address)),
        pki.client(),
    );
    until("all are up", || {
        let known = |node: &Node, peer: &str| {
            state(node, peer) == PeerState::Connected && offset(node, peer).exchanged
        };
        known(&alpha, "bravo")
            && known(&bravo, "alpha")
            && known(&bravo, "charlie")
            && known(&charlie, "bravo")
    })
    .await;
    let (one, other) = (Device::of(&alpha, &alphas), Device::of(&charlie, &charlies));
    for (says, hears) in [(&one, &other), (&other, &one)] {
        for (uid, ago, start, life) in [
            ("track", 0, 0, 60_000),
            ("planned", 0, 30_000, 60_000),
            ("late", 40_000, 0, 60_000),
            ("expired", 90_000, 0, 60_000),
            ("delete", 0, 0, -1000),
        ] {
            let uid = &format!("{uid}-{}", ahead[0]);
            says.says(uid, ago, start, life);
            let [old, starts, lives] = hears.hears(uid).await;
            assert!((old - ago).abs() < 1000, "{ahead:?} {uid}: {old}");
            assert_eq!(starts, start, "{ahead:?} {uid}");
            assert!(
                (lives - (life - ago)).abs() < 1000,
                "{ahead:?} {uid}: {lives}"
            );
            assert_eq!(lives + old, life, "{ahead:?} {uid}");
        }
    }
    let corrected = |node: &Node, peer: &str| {
        node.hub
            .with(|router, _| router.peer_counters(peer).unwrap().corrected)
    };
    let differ = |one: i64, other: i64| 5 * u64::from(one != other);
    assert_eq!(corrected(&bravo, "alpha"), differ(ahead[0], ahead[1]));
    assert_eq!(corrected(&bravo, "charlie"), differ(ahead[1], ahead[2]));
    assert_eq!(corrected(&charlie, "bravo"), differ(ahead[1], ahead[2]));
    from_alpha.stop().await;
    from_bravo.stop().await;
}

#[tokio::test]
async fn a_chain_of_boxes_corrects_once_at_each() {
    a_row([0, 0, 0]).await;
    a_row([600_000, 0, -DAY]).await;
    a_row([0, -1_700_000_000_000, 0]).await;
}

#[tokio::test]
async fn a_peer_whose_clock_is_not_to_be_corrected_is_not() {
    let pki = Pki::new("islands");
    let (alpha, alphas) = wrong_node("alpha", ALPHA, -600_000);
    let (bravo, bravos) = wrong_node("bravo", BRAVO, 0);
    let specs = [crate::route::PeerSpec {
        name: "alpha".into(),
        incoming: true,
        outgoing: true,
        correct_clock: false,
    }];
    bravo.hub.with(|router, _| router.set_peers(&specs));
    let (_acceptor, address) = acceptor(&alpha, &pki, "bravo").await;
    let dialler = crate::link::fed2::dial(
        Arc::clone(&bravo),
        peer("alpha", Some(address)),
        pki.client(),
    );
    until("both know", || offset(&bravo, "alpha").exchanged).await;
    let (one, other) = (Device::of(&alpha, &alphas), Device::of(&bravo, &bravos));
    one.says("track", 0, 0, 60_000);
    let [old, _, lives] = other.hears("track").await;
    assert!((old - 600_000).abs() < 1000 && (lives + 540_000).abs() < 1000);
    assert!(
        about(offset(&bravo, "alpha"), -600_000),
        "it is shown all the same"
    );
    dialler.stop().await;
}
