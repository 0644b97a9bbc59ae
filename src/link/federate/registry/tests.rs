//! Who keeps the place of a peer.

use proptest::prelude::*;

use super::*;

fn candidate(side: Side, federate_id: &str) -> Candidate<'_> {
    Candidate {
        peer: "bravo",
        side,
        federate_id,
        own_id: None,
        origin: None,
        cutter: Arc::new(watch::Sender::new(None)),
        challenge: Arc::default(),
    }
}

fn registry(fresh: Duration) -> Registry {
    Registry::new("5555", fresh)
}

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_healthy_connection_keeps_its_place() {
    let registry = registry(LONG);
    let first = registry
        .claim(candidate(Side::Accepted, "7777"))
        .await
        .unwrap();
    assert_eq!(
        registry
            .claim(candidate(Side::Accepted, "7777"))
            .await
            .err(),
        Some(Taken)
    );
    drop(first);
    assert!(!registry.is_live("bravo"));
    assert!(
        registry
            .claim(candidate(Side::Accepted, "7777"))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_silent_connection_is_told_to_go_and_then_replaced() {
    let registry = registry(Duration::ZERO);
    let old = candidate(Side::Accepted, "7777");
    let mut told = old.cutter.subscribe();
    let old = registry.claim(old).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2)).await;
    let leaves = tokio::spawn(async move {
        told.changed().await.unwrap();
        assert_eq!(
            told.borrow().as_ref().map(|status| status.code),
            Some(Code::Aborted)
        );
        drop(old);
    });
    let new = registry
        .claim(candidate(Side::Accepted, "7777"))
        .await
        .unwrap();
    leaves.await.unwrap();
    assert!(registry.is_live("bravo"));
    drop(new);
}

#[tokio::test]
async fn of_two_that_dial_each_other_the_smaller_ones_connection_stays() {
    // We are 5555. Against 7777 our own connection stays, against 3333 the peer's does.
    for (live, comes, peer, keeps) in [
        (Side::Dialled, Side::Accepted, "7777", true),
        (Side::Accepted, Side::Dialled, "7777", false),
        (Side::Dialled, Side::Accepted, "3333", false),
        (Side::Accepted, Side::Dialled, "3333", true),
        (Side::Accepted, Side::Dialled, "", true),
    ] {
        let registry = registry(LONG);
        let _first = registry.claim(candidate(live, peer)).await.unwrap();
        let places = registry.lock();
        assert_eq!(
            registry.keeps(&places.live["bravo"], &candidate(comes, peer)),
            keeps,
            "{live:?} {comes:?} {peer}"
        );
    }
}

fn of(side: Side, instance: u64, serial: u64) -> Candidate<'static> {
    Candidate {
        origin: Some(Origin { instance, serial }),
        ..candidate(side, "7777")
    }
}

#[tokio::test]
async fn a_later_attempt_of_the_same_program_takes_over_at_once() {
    let registry = registry(LONG);
    let first = of(Side::Accepted, 1, 5);
    let mut told = first.cutter.subscribe();
    let challenged = Arc::clone(&first.challenge);
    let first = registry.claim(first).await.unwrap();
    for older in [
        of(Side::Accepted, 1, 5),
        of(Side::Accepted, 1, 4),
        of(Side::Accepted, 2, 9),
    ] {
        assert_eq!(registry.claim(older).await.err(), Some(Taken));
        // Whoever keeps its place is asked whether it is well.
        challenged.notified().await;
    }
    let leaves = tokio::spawn(async move {
        told.changed().await.unwrap();
        drop(first);
    });
    let second = registry.claim(of(Side::Accepted, 1, 6)).await.unwrap();
    leaves.await.unwrap();
    assert!(registry.is_live("bravo"));
    drop(second);
}

#[tokio::test]
async fn a_fallback_waits_until_the_other_is_down_and_goes_when_it_is_up_for_long() {
    let registry = registry(LONG);
    let waits = Duration::from_millis(200);
    let begun = Instant::now();
    registry.down_for("bravo", waits).await;
    assert!(begun.elapsed() >= waits, "it never came");
    let claim = registry.claim(candidate(Side::Dialled, "")).await.unwrap();
    let watcher = registry.clone();
    let down = tokio::spawn(async move { watcher.down_for("bravo", waits).await });
    sleep(waits * 2).await;
    assert!(!down.is_finished(), "it is up");
    drop(claim);
    tokio::task::yield_now().await;
    let claim = registry.claim(candidate(Side::Dialled, "")).await.unwrap();
    sleep(waits * 2).await;
    assert!(!down.is_finished(), "it came back in time");
    let watcher = registry.clone();
    let up = tokio::spawn(async move { watcher.up_for("bravo", waits).await });
    tokio::task::yield_now().await;
    drop(claim);
    sleep(waits * 2).await;
    assert!(down.is_finished() && !up.is_finished());
    let _claim = registry.claim(candidate(Side::Dialled, "")).await.unwrap();
    up.await.unwrap();
}

#[test]
fn standbys_take_places_that_live_connections_leave() {
    let registry = registry(LONG).with_room_for(2);
    let first = registry.standby().unwrap();
    let _second = registry.standby().unwrap();
    assert!(registry.standby().is_none());
    drop(first);
    assert!(registry.standby().is_some());
}

/// One of the two boxes, and its connections: `ours` it dialled itself.
struct Boxed {
    registry: Registry,
    live: Option<Live>,
}

impl Boxed {
    fn new(id: &str) -> Self {
        Self {
            registry: Registry::new(id, LONG),
            live: None,
        }
    }

    /// Claims the place; the connection that must go, by who dialled it, if one must.
    fn claim(&mut self, side: Side, peer: &str) -> Option<Side> {
        let wants = candidate(side, peer);
        let loses = match &self.live {
            Some(live) if self.registry.keeps(live, &wants) => return Some(side),
            live => live.as_ref().map(|live| live.side),
        };
        self.live = Some(Live {
            serial: 0,
            side,
            origin: None,
            healthy: Instant::now(),
            cutter: wants.cutter,
            challenge: wants.challenge,
            vacated: watch::Sender::new(()),
        });
        loses
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Dialled => Side::Accepted,
        Side::Accepted => Side::Dialled,
    }
}

proptest! {
    /// Both ends dial at once, and their claims come in any order: one connection stays, the same at both ends, and it
    /// is the one that the smaller id dialled.
    #[test]
    fn of_two_that_dial_each_other_one_connection_stays_whatever_comes_first(
        ids in ("[0-9a-f]{1,6}", "[0-9a-f]{1,6}").prop_filter("two boxes", |(a, b)| a != b),
        order in Just([(0, Side::Dialled), (0, Side::Accepted), (1, Side::Dialled), (1, Side::Accepted)]).prop_shuffle(),
    ) {
        let ids = [ids.0, ids.1];
        let mut boxes = [Boxed::new(&ids[0]), Boxed::new(&ids[1])];
        // Connections that were ended, as box 0 calls them.
        let mut gone: Vec<Side> = Vec::new();
        for (at, side) in order {
            let seen = |side| if at == 0 { side } else { other(side) };
            if gone.contains(&seen(side)) {
                continue;
            }
            if let Some(loser) = boxes[at].claim(side, &ids[1 - at]) {
                gone.push(seen(loser));
                // The other end notices that its connection is gone.
                let far = &mut boxes[1 - at];
                if far.live.as_ref().is_some_and(|live| live.side == other(loser)) {
                    far.live = None;
                }
            }
        }
        let stays = |at: usize| boxes[at].live.as_ref().map(|live| live.side);
        let smaller = if ids[0] < ids[1] { Side::Dialled } else { Side::Accepted };
        prop_assert_eq!(stays(0), Some(smaller));
        prop_assert_eq!(stays(1), Some(other(smaller)));
    }
}
