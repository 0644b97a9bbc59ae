//! Two boxes over a link with a byte budget.

use super::*;
use crate::config::Rate;
use crate::link::federate::Dialler;

/// A node that may pack so many connections.
fn box_of(name: &str, id: &str, packed: usize) -> Arc<Node> {
    let node = node(name, id, quick());
    node.companions.allow_packing(packed);
    node
}

async fn thin_pair(packed: [usize; 2], rate: u64) -> (Arc<Node>, Arc<Node>, Acceptor, Dialler) {
    let pki = Pki::new("islands");
    let alpha = box_of("alpha", ALPHA, packed[0]);
    let bravo = box_of("bravo", BRAVO, packed[1]);
    let mut settings = peer("bravo", None);
    settings.rate = Rate::of_bits(rate);
    let (acceptor, address) = acceptor_of(&alpha, &pki, settings).await;
    let mut settings = peer("alpha", Some(address));
    settings.rate = Rate::of_bits(rate);
    let dialler = crate::link::fed2::dial(Arc::clone(&bravo), settings, pki.client());
    until("connected", || {
        state(&alpha, "bravo") == PeerState::Connected
            && state(&bravo, "alpha") == PeerState::Connected
    })
    .await;
    (alpha, bravo, acceptor, dialler)
}

#[tokio::test]
async fn what_is_packed_arrives_both_ways() {
    let (alpha, bravo, _acceptor, _dialler) = thin_pair([1, 1], 64_000).await;
    let (here, there) = (Local::of(&alpha), Local::of(&bravo));
    let saved = |node: &Node, peer: &str| node.meters.totals(peer).packed_away();
    for number in 0..20 {
        here.says(&format!("hawk-{number}"));
        there.says(&format!("otter-{number}"));
        there.hears(&format!("hawk-{number} speaks")).await;
        here.hears(&format!("otter-{number} speaks")).await;
    }
    assert!(saved(&alpha, "bravo") > 2_000 && saved(&bravo, "alpha") > 2_000);
}

#[tokio::test]
async fn without_a_place_at_the_other_box_all_stays_plain() {
    for places in [[0, 1], [1, 0]] {
        let (alpha, bravo, _acceptor, _dialler) = thin_pair(places, 64_000).await;
        let (here, there) = (Local::of(&alpha), Local::of(&bravo));
        here.says("hawk");
        there.hears("hawk speaks").await;
        there.says("otter");
        here.hears("otter speaks").await;
        assert_eq!(alpha.meters.totals("bravo").packed_away(), 0);
        assert_eq!(bravo.meters.totals("alpha").packed_away(), 0);
    }
}

#[tokio::test]
async fn the_budget_is_kept_and_counted() {
    let (alpha, bravo, _acceptor, _dialler) = thin_pair([0, 0], 32_000).await;
    let (here, there) = (Local::of(&alpha), Local::of(&bravo));
    let totals = alpha.meters.totals("bravo");
    let (begun, before) = (tokio::time::Instant::now(), totals.bytes_out());
    for number in 0..40 {
        here.says(&format!("hawk-{number}"));
    }
    there.hears("hawk-39 speaks").await;
    let (took, sent) = (begun.elapsed(), totals.bytes_out() - before);
    // 4000 bytes per second, half a second in advance, one piece and the health checks of this test (ten a second).
    let allowed = 4_000.0 * (took.as_secs_f64() + 0.5) + 1_500.0;
    assert!(sent as f64 <= allowed * 1.1, "{sent} bytes in {took:?}");
    assert!(
        sent > 12_000 && took.as_secs_f64() > 3.0,
        "{sent} in {took:?}"
    );
    let waiting = alpha.hub.with(|router, _| {
        let outbox = router.peer_outbox("bravo").unwrap();
        (outbox.queued(), outbox.sent())
    });
    assert!(waiting.1 >= 40, "{waiting:?}");
}

#[tokio::test]
async fn a_long_event_goes_in_pieces() {
    let (alpha, bravo, _acceptor, _dialler) = thin_pair([0, 0], 64_000).await;
    let (here, there) = (Local::of(&alpha), Local::of(&bravo));
    let clock = SystemClock::new().now().wall_ms;
    let stamp =
        |offset| String::from_utf8(wire::stamp::write(clock + offset).unwrap().to_vec()).unwrap();
    let event = format!(
        "<event version='2.0' uid='long' type='b-t-f' how='m-g' time='{0}' start='{0}' stale='{1}'><point lat='1' \
         lon='2' hae='3' ce='4' le='5'/><detail><remarks>{2}the end</remarks></detail></event>",
        stamp(0),
        stamp(86_400_000),
        "x".repeat(20_000)
    );
    let begun = tokio::time::Instant::now();
    here.0.receive_xml(event.as_bytes());
    there.hears("the end").await;
    // 20 kB at 8 kB per second, less what may go in advance.
    assert!(begun.elapsed() >= Duration::from_millis(1_700));
}
