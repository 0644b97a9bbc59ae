//! Our dialler against our acceptor.

use super::*;
use crate::wire::cold::Health;

#[tokio::test]
async fn both_sides_become_connected_and_know_each_other() {
    let pki = Pki::new("islands");
    let (alpha, bravo) = (node("alpha", ALPHA, quick()), node("bravo", BRAVO, quick()));
    let (_acceptor, address) = acceptor(&alpha, &pki, "bravo").await;
    let dialler = crate::link::fed2::dial(
        Arc::clone(&bravo),
        peer("alpha", Some(address)),
        pki.client(),
    );
    until("alpha sees bravo", || {
        state(&alpha, "bravo") == PeerState::Connected
    })
    .await;
    until("bravo sees alpha", || {
        state(&bravo, "alpha") == PeerState::Connected
    })
    .await;
    let (seen, sees) = (
        alpha.board.status("bravo").unwrap(),
        bravo.board.status("alpha").unwrap(),
    );
    assert_eq!(
        (seen.federate_id.as_str(), sees.federate_id.as_str()),
        (BRAVO, ALPHA)
    );
    until("groups arrive", || {
        alpha.board.status("bravo").unwrap().groups == ["__ANON__"]
    })
    .await;
    assert_eq!(bravo.board.status("alpha").unwrap().groups, ["__ANON__"]);

    let begun = tokio::time::Instant::now();
    dialler.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(2));
    until("alpha notices", || {
        state(&alpha, "bravo") == PeerState::Waiting
    })
    .await;
    assert!(!alpha.registry.is_live("bravo"));
    assert!(!bravo.registry.is_live("alpha"));
}

#[tokio::test]
async fn a_cut_peer_is_told_why_and_may_come_back() {
    let pki = Pki::new("islands");
    let (alpha, bravo) = (node("alpha", ALPHA, quick()), node("bravo", BRAVO, quick()));
    let (acceptor, address) = acceptor(&alpha, &pki, "bravo").await;
    let _dialler = crate::link::fed2::dial(
        Arc::clone(&bravo),
        peer("alpha", Some(address)),
        pki.client(),
    );
    until("connected", || {
        state(&bravo, "alpha") == PeerState::Connected
    })
    .await;
    acceptor.cut("nobody", "not meant");
    acceptor.cut("bravo", "paused by the operator");
    until("bravo is told", || {
        reason(&bravo, "alpha").contains("paused by the operator")
    })
    .await;
    until("connected again", || {
        state(&bravo, "alpha") == PeerState::Connected
    })
    .await;

    acceptor.shutdown().await;
    until("bravo is told", || {
        reason(&bravo, "alpha").contains("shutting down")
    })
    .await;
    until("nothing listens any more", || {
        reason(&bravo, "alpha").contains("refused by host")
    })
    .await;
}

#[tokio::test]
async fn when_both_dial_one_connection_stays() {
    let pki = Pki::new("islands");
    let (alpha, bravo) = (node("alpha", ALPHA, quick()), node("bravo", BRAVO, quick()));
    let (_a, to_alpha) = acceptor(&alpha, &pki, "bravo").await;
    let (_b, to_bravo) = acceptor(&bravo, &pki, "alpha").await;
    let _one = crate::link::fed2::dial(
        Arc::clone(&alpha),
        peer("bravo", Some(to_bravo)),
        pki.client(),
    );
    let _two = crate::link::fed2::dial(
        Arc::clone(&bravo),
        peer("alpha", Some(to_alpha)),
        pki.client(),
    );
    let steady = || {
        state(&alpha, "bravo") == PeerState::Connected
            && state(&bravo, "alpha") == PeerState::Connected
    };
    until("both connected", steady).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    until("still connected", steady).await;
    let since = alpha.board.status("bravo").unwrap().since_ms;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        alpha.board.status("bravo").unwrap().since_ms,
        since,
        "the link does not flap"
    );
    assert!(steady());
}

#[tokio::test]
async fn a_dropped_dialler_is_gone_at_once() {
    let pki = Pki::new("islands");
    let (alpha, bravo) = (node("alpha", ALPHA, quick()), node("bravo", BRAVO, quick()));
    let (_acceptor, address) = acceptor(&alpha, &pki, "bravo").await;
    let dialler = crate::link::fed2::dial(
        Arc::clone(&bravo),
        peer("alpha", Some(address)),
        pki.client(),
    );
    until("connected", || {
        state(&alpha, "bravo") == PeerState::Connected
    })
    .await;
    drop(dialler);
    let gone = tokio::time::timeout(Duration::from_secs(1), async {
        bravo.registry.vacated("alpha").await;
        alpha.registry.vacated("bravo").await;
    });
    assert!(gone.await.is_ok());
}

#[tokio::test]
async fn distrust_is_said_in_words_and_not_hammered() {
    let (ours, theirs) = (Pki::new("ours"), Pki::new("theirs"));
    let (alpha, bravo) = (node("alpha", ALPHA, quick()), node("bravo", BRAVO, quick()));
    let (_acceptor, address) = acceptor(&alpha, &theirs, "bravo").await;
    let _dialler = crate::link::fed2::dial(
        Arc::clone(&bravo),
        peer("alpha", Some(address)),
        ours.client_trusting(&theirs),
    );
    until("told", || {
        reason(&bravo, "alpha").contains("does not trust our certificate")
    })
    .await;
    let pause: u64 = reason(&bravo, "alpha")
        .split_whitespace()
        .find_map(|word| word.parse().ok().filter(|&seconds| seconds >= 60))
        .expect("a minute at least");
    assert!(pause <= 75);
    let _other = crate::link::fed2::dial(
        Arc::clone(&bravo),
        peer("delta", Some(address)),
        ours.client(),
    );
    until("told", || {
        reason(&bravo, "delta").contains("we refused the peer: its certificate comes from a CA")
    })
    .await;
}

#[tokio::test]
async fn events_cross_both_ways_and_wait_while_the_link_is_down() {
    let pki = Pki::new("islands");
    let (alpha, bravo) = (node("alpha", ALPHA, quick()), node("bravo", BRAVO, quick()));
    let (acceptor, address) = acceptor(&alpha, &pki, "bravo").await;
    let (here, there) = (Local::of(&alpha), Local::of(&bravo));
    here.says("before");
    let dialler = crate::link::fed2::dial(
        Arc::clone(&bravo),
        peer("alpha", Some(address)),
        pki.client(),
    );
    there.hears("before speaks").await;
    there.says("from-bravo");
    here.hears("from-bravo speaks").await;
    here.says("from-alpha");
    let heard = there.hears("from-alpha speaks").await;
    assert!(!heard.contains("from-bravo"), "nothing comes back: {heard}");
    let now = alpha.hub.now().wall_ms;
    for (node, name) in [(&alpha, "bravo"), (&bravo, "alpha")] {
        let counters = node
            .hub
            .with(|router, _| router.peer_counters(name).cloned())
            .unwrap();
        until("connected", || state(node, name) == PeerState::Connected).await;
        let status = node.board.status_with(name, &counters, now).unwrap();
        assert_eq!(status.state, PeerState::Flowing, "{name} {counters:?}");
    }
    // Flushed on the way out, though the connection ends at once.
    there.says("last-word");
    dialler.stop().await;
    here.hears("last-word speaks").await;
    here.says("first-word");
    acceptor.shutdown().await;
}

#[tokio::test]
async fn a_flood_passes_whole_and_a_peer_that_does_not_read_disturbs_nobody() {
    let pki = Pki::new("islands");
    let (alpha, bravo) = (node("alpha", ALPHA, quick()), node("bravo", BRAVO, quick()));
    let (_acceptor, address) = acceptor(&alpha, &pki, "bravo").await;
    let (stuck, to_stuck) = acceptor(&alpha, &pki, "stuck").await;
    let mut unread = accepting::Foreign::connect(to_stuck, &pki).await;
    let _never_read = unread
        .ask("ClientEventStream", &accepting::subscription())
        .await;
    let _dialler = crate::link::fed2::dial(
        Arc::clone(&bravo),
        peer("alpha", Some(address)),
        pki.client(),
    );
    until("connected", || {
        state(&bravo, "alpha") == PeerState::Connected
    })
    .await;
    let (here, there) = (Local::of(&alpha), Local::of(&bravo));
    let mut heard = String::new();
    for number in 0..4_000 {
        here.says(&format!("flood-{number:05}"));
        // What is said in one go must fit into an outbox.
        if number % 50 == 49 {
            let last = format!("flood-{number:05} speaks");
            heard.push_str(&there.hears(&last).await);
        }
    }
    assert_eq!(heard.matches(" speaks</remarks>").count(), 4_000);
    assert_eq!(
        unread.health().await.0,
        Health::Serving,
        "its health is none of its events' business"
    );
    drop(stuck);
}

#[tokio::test]
async fn of_one_address_few_do_their_handshake_and_a_newcomer_waits() {
    let pki = Pki::new("islands");
    let (alpha, bravo) = (node("alpha", ALPHA, quick()), node("bravo", BRAVO, quick()));
    let (acceptor, address) = acceptor(&alpha, &pki, "bravo").await;
    // Two who never say anything hold both places that one address has of four.
    let silent = || tokio::net::TcpStream::connect(address);
    let (first, second) = (silent().await.unwrap(), silent().await.unwrap());
    until("both places are taken", || acceptor.free_handshakes() == 2).await;
    let _dialler = crate::link::fed2::dial(
        Arc::clone(&bravo),
        peer("alpha", Some(address)),
        pki.client(),
    );
    tokio::time::sleep(WHILE).await;
    assert_ne!(state(&alpha, "bravo"), PeerState::Connected);
    drop(first);
    until("the newcomer gets the place", || {
        state(&alpha, "bravo") == PeerState::Connected
    })
    .await;
    drop(second);
    until("every place is free", || acceptor.free_handshakes() == 4).await;
}

#[tokio::test]
async fn a_peer_has_three_connections_at_most() {
    let pki = Pki::new("islands");
    let alpha = node("alpha", ALPHA, quick());
    let (acceptor, address) = acceptor(&alpha, &pki, "bravo").await;
    let mut used = accepting::Foreign::connect(address, &pki).await;
    let _events = used
        .ask("ClientEventStream", &accepting::subscription())
        .await;
    assert_eq!(used.health().await.0, Health::Serving);
    until("it is the live one", || alpha.registry.is_live("bravo")).await;
    let mut idle = accepting::Foreign::connect(address, &pki).await;
    assert_eq!(idle.health().await.0, Health::NotConnected);
    let mut standby = accepting::Foreign::connect(address, &pki).await;
    assert_eq!(standby.health().await.0, Health::NotConnected);
    // The fourth is turned away, and the first idle one makes room for the next attempt.
    let fourth = accepting::Foreign::try_connect(address, &pki).await;
    if let Some(fourth) = fourth {
        fourth.closed().await;
    }
    idle.closed().await;
    let mut fifth = accepting::Foreign::connect(address, &pki).await;
    assert_eq!(fifth.health().await.0, Health::NotConnected);
    assert_eq!(used.health().await.0, Health::Serving);
    drop(acceptor);
}
