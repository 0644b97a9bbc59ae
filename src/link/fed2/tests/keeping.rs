//! How two ends keep a connection alive, and the side connections that teach them.

use super::*;
use crate::budget::QUIET_CONNECTIONS;
use crate::link::nat::Shown;
use crate::link::nat::quiet::{Outcome, Way};
use crate::link::tls::{QUIET_ALPN, quiet};

fn shown(node: &Node, peer: &str) -> Shown {
    node.keeper.shown(peer).unwrap_or_default()
}

#[tokio::test]
async fn a_schedule_is_agreed_on_and_followed_on_both_sides() {
    let pki = Pki::new("islands");
    let timing = Timing {
        health_every: Duration::from_millis(50),
        ..quick()
    };
    let (alpha, bravo) = (
        node("alpha", ALPHA, timing.clone()),
        node("bravo", BRAVO, timing),
    );
    let (acceptor, address) = acceptor(&alpha, &pki, "bravo").await;
    let settings = PeerSettings {
        keepalive_seconds: Some(1),
        ..peer("alpha", Some(address))
    };
    let dialler = crate::link::fed2::dial(Arc::clone(&bravo), settings, pki.client());
    let second = Duration::from_secs(1);
    // The peer is known to be a box from the second connection on: pings, and checks four times rarer.
    for health in [second, second * 4] {
        until("both know", || {
            let both = [shown(&bravo, "alpha"), shown(&alpha, "bravo")];
            both.iter()
                .all(|one| one.interval == Some(second) && one.health_every == Some(health))
        })
        .await;
        let (dialled, accepted) = (shown(&bravo, "alpha"), shown(&alpha, "bravo"));
        assert_eq!(
            (dialled.origin, accepted.origin),
            ("configured", "announced")
        );
        assert!(dialled.line.is_some_and(|line| line.round_trip_us > 0));
        assert!(accepted.line.is_some_and(|line| line.round_trip_us > 0));
        for (node, other) in [(&alpha, "bravo"), (&bravo, "alpha")] {
            assert_eq!(node.keeper.slowest(other), Some(health));
        }
        // Longer than any federate but a box may be silent.
        tokio::time::sleep(second * 2).await;
        assert_eq!(state(&alpha, "bravo"), PeerState::Connected);
        acceptor.cut("bravo", "once more");
        until("the connection is gone", || {
            shown(&alpha, "bravo").health_every != Some(health)
        })
        .await;
    }
    dialler.stop().await;
}

#[tokio::test]
async fn without_a_word_every_federate_is_asked_as_usual() {
    let pki = Pki::new("islands");
    let (alpha, bravo) = (node("alpha", ALPHA, quick()), node("bravo", BRAVO, quick()));
    let (_acceptor, address) = acceptor(&alpha, &pki, "bravo").await;
    let dialler = crate::link::fed2::dial(
        Arc::clone(&bravo),
        peer("alpha", Some(address)),
        pki.client(),
    );
    until("they are connected", || {
        state(&alpha, "bravo") == PeerState::Connected
    })
    .await;
    let dialled = shown(&bravo, "alpha");
    assert_eq!(dialled.health_every, Some(quick().health_every));
    assert_eq!(dialled.origin, "default");
    assert_eq!(
        shown(&alpha, "bravo").interval,
        None,
        "the peer said nothing of it"
    );
    for (node, other) in [(&alpha, "bravo"), (&bravo, "alpha")] {
        assert_eq!(node.keeper.slowest(other), None);
    }
    dialler.stop().await;
}

/// A listener of `node` that knows side connections, and the way there.
async fn way_to(node: &Arc<Node>, pki: &Pki, words: &[&[u8]]) -> (Acceptor, Way) {
    let mut tls = (*pki.server()).clone();
    tls.alpn_protocols = words.iter().map(|word| word.to_vec()).collect();
    let settings = peer("bravo", None);
    let acceptor = Acceptor::new(AcceptorSettings {
        door: Door::new(4, 4),
        refusals: Refusals::default(),
        leaf: Arc::new(String::new),
        allow: Vec::new(),
        node: Arc::clone(node),
        tls: Arc::new(tls),
        identify: Arc::new(move |_| Some(settings.clone())),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap();
    acceptor.listen(listener);
    let way = Way {
        to,
        from: "127.0.0.1:0".parse().unwrap(),
        interface: None,
        tls: quiet(&pki.client()),
    };
    (acceptor, way)
}

#[tokio::test]
async fn a_box_answers_after_the_silence_and_nobody_else_does() {
    let pki = Pki::new("islands");
    let alpha = node("alpha", ALPHA, quick());
    let (_acceptor, way) = way_to(&alpha, &pki, &[b"h2", QUIET_ALPN]).await;
    assert_eq!(way.greet().await, None, "it may not");
    alpha.keeper.set_discovers(true);
    let round_trip = way.greet().await.expect("an answer");
    let quiet = way.open(600).await.expect("a quiet connection");
    let begun = tokio::time::Instant::now();
    assert_eq!(quiet.outcome(round_trip).await, Outcome::Lived);
    assert!(
        begun.elapsed() >= Duration::from_millis(350),
        "the silence was kept"
    );
    // A server of another make knows nothing of it.
    let (_other, way) = way_to(&alpha, &pki, &[b"h2"]).await;
    assert_eq!(way.greet().await, None);
    assert!(way.open(600).await.is_none());
}

#[tokio::test]
async fn a_peer_gets_no_more_silence_than_there_is_room_for() {
    let pki = Pki::new("islands");
    let alpha = node("alpha", ALPHA, quick());
    alpha.keeper.set_discovers(true);
    let (_acceptor, way) = way_to(&alpha, &pki, &[b"h2", QUIET_ALPN]).await;
    let mut open = Vec::new();
    for _ in 0..QUIET_CONNECTIONS {
        open.push(way.open(60_000).await.expect("room"));
    }
    assert_eq!(way.greet().await, None, "all places are taken");
    // It lets go at once: that says nothing about the network.
    if let Some(one_more) = way.open(60_000).await {
        assert_eq!(one_more.outcome(Duration::ZERO).await, Outcome::Broken);
    }
    drop(open);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while way.greet().await.is_none() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "those that left make room"
        );
    }
}
