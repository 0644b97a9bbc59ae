//! Routers joined by hand: what one hands over is given to the next.

mod again;
mod away;
mod clocks;
mod groups;
mod meshes;
mod packages;
mod policing;
mod reach;
mod server;
mod seven_days;
mod tak;
mod told;

use std::task::Waker;

use super::*;
use crate::route::link::Verdict;
use crate::wire::stamp;

const ID_A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const ID_B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const NOW: Now = Now {
    mono_ms: 1000,
    wall_ms: 1_790_000_000_000,
};

fn router(id: &str) -> Router {
    Router::new(Settings {
        federate_id: id.to_owned(),
        seed: 7,
        outbox: Bounds {
            events: 64,
            bytes: 64 * 1024,
            batch: 16 * 1024,
        },
        waiting_bytes: 1024 * 1024,
        max_contacts: 16,
        latest_events: 16,
        dedup_events: 256,
        dedup_window_ms: 30_000,
        recorder_bytes: 96 * 1024,
        max_federates: 8,
        spool: crate::route::spool::Bounds::of(&crate::config::Limits::default()),
        skew_sources: 64,
    })
}

fn client(router: &mut Router) -> LinkId {
    let address = "test".to_owned();
    let id = router.attach(
        LinkSpec::Client {
            address,
            network: Network::LOCAL,
        },
        NOW,
    );
    assert_eq!(text(router, id), "");
    id
}

fn federate(router: &mut Router, name: &str) -> LinkId {
    router.attach(
        LinkSpec::Federate {
            name: name.to_owned(),
            incoming: true,
            outgoing: true,
            wire: Wire::Federated,
        },
        NOW,
    )
}

/// Everything that waits for a link, batches joined.
fn take(router: &mut Router, id: LinkId) -> Vec<u8> {
    let mut all = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(batch)) = router.poll_batch(id, &mut context, NOW) {
        all.extend_from_slice(&batch);
    }
    all
}

fn text(router: &mut Router, id: LinkId) -> String {
    String::from_utf8(take(router, id)).unwrap()
}

/// The messages for a federate, without their gRPC prefixes.
fn messages(router: &mut Router, id: LinkId) -> Vec<Vec<u8>> {
    let bytes = take(router, id);
    let mut rest = bytes.as_slice();
    let mut messages = Vec::new();
    while let [0, a, b, c, d, tail @ ..] = rest {
        let (message, tail) = tail.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        messages.push(message.to_vec());
        rest = tail;
    }
    assert!(rest.is_empty());
    messages
}

/// Carries what `a` has for `to_b` into `b`, as coming from `to_a`.
fn carry(a: &mut Router, to_b: LinkId, b: &mut Router, to_a: LinkId) -> Vec<Verdict> {
    let messages = messages(a, to_b);
    messages
        .iter()
        .map(|message| b.receive_federated(to_a, message, NOW))
        .collect()
}

fn event(uid: &str, kind: &str, detail: &str) -> String {
    format!(
        "<event version=\"2.0\" uid=\"{uid}\" type=\"{kind}\" time=\"2026-09-21T14:13:20.123Z\" \
         start=\"2026-09-21T14:13:20.123Z\" stale=\"2036-09-21T14:13:20.123Z\" how=\"m-g\">\
         <point lat=\"1.5\" lon=\"-2.25\" hae=\"3.0\" ce=\"4.0\" le=\"9999999.0\"/>{detail}</event>"
    )
}

fn presence(uid: &str, callsign: &str) -> String {
    event(
        uid,
        "a-f-G-U-C",
        &format!("<detail><contact callsign=\"{callsign}\" endpoint=\"*:-1:stcp\"/></detail>"),
    )
}

#[test]
fn a_track_crosses_to_the_other_island() {
    let (mut a, mut b) = (router(ID_A), router(ID_B));
    let (sender, near) = (client(&mut a), client(&mut a));
    let far = client(&mut b);
    let (to_b, to_a) = (federate(&mut a, "b"), federate(&mut b, "a"));
    let track = event("t", "a-f-G", "<detail><remarks>x</remarks></detail>");
    assert_eq!(
        a.receive_xml(sender, track.as_bytes(), NOW),
        Verdict::Routed(2)
    );
    assert_eq!(text(&mut a, near), track);
    assert_eq!(text(&mut a, sender), "");
    assert_eq!(carry(&mut a, to_b, &mut b, to_a), [Verdict::Routed(1)]);
    assert_eq!(text(&mut b, far), track);
    assert_eq!(take(&mut b, to_a), b"");
}

#[test]
fn the_same_content_goes_once_and_the_same_uid_goes_on() {
    let mut a = router(ID_A);
    let (sender, near) = (client(&mut a), client(&mut a));
    let first = event("t", "a-f-G", "<detail/>");
    let second = first.replace("1.5", "1.6");
    a.receive_xml(sender, first.as_bytes(), NOW);
    a.receive_xml(near, first.as_bytes(), NOW);
    a.receive_xml(sender, second.as_bytes(), NOW);
    assert_eq!(text(&mut a, near), first + &second);
    assert_eq!(a.local_counters().dropped(Reason::Duplicate), 1);
}

#[test]
fn an_event_that_went_in_a_circle_is_dropped() {
    let (mut a, mut b) = (router(ID_A), router(ID_B));
    let sender = client(&mut a);
    let (to_b, to_a, to_c) = (
        federate(&mut a, "b"),
        federate(&mut b, "a"),
        federate(&mut b, "c"),
    );
    let from_c = federate(&mut a, "c");
    a.receive_xml(sender, event("t", "a-f-G", "<detail/>").as_bytes(), NOW);
    take(&mut a, from_c);
    assert_eq!(carry(&mut a, to_b, &mut b, to_a), [Verdict::Routed(1)]);
    assert_eq!(
        carry(&mut b, to_c, &mut a, from_c),
        [Verdict::Dropped(Reason::Loop)]
    );
}

#[test]
fn relayed_messages_keep_unknown_fields_and_count_hops() {
    let mut b = router(ID_B);
    let (from, to) = (federate(&mut b, "a"), federate(&mut b, "c"));
    let mut a = router(ID_A);
    let (sender, to_b) = (client(&mut a), federate(&mut a, "b"));
    a.receive_xml(sender, event("t", "a-f-G", "<detail/>").as_bytes(), NOW);
    let mut message = messages(&mut a, to_b).remove(0);
    message.extend_from_slice(b"\xa2\x1f\x03abc");
    b.receive_federated(from, &message, NOW);
    let relayed = messages(&mut b, to).remove(0);
    assert!(relayed.starts_with(&message));
    let read = crate::wire::fig::parse(&relayed, ID_A.as_bytes()).unwrap();
    assert!(read.seen);
    assert_eq!(
        read.hops.map(|hops| (hops.max, hops.current)),
        Some((-1, 2))
    );
}

#[test]
fn a_hop_limit_is_honoured() {
    let mut b = router(ID_B);
    let (from, to) = (federate(&mut b, "a"), federate(&mut b, "c"));
    let near = client(&mut b);
    let mut message = Vec::new();
    let track = event("t", "a-f-G", "<detail/>");
    let parsed = crate::wire::xml::parse(track.as_bytes()).unwrap();
    crate::cot::encode::put_event(&mut message, 1, &parsed, b"").unwrap();
    message.extend_from_slice(&[0x2a, 4, 8, 1, 16, 1]);
    b.receive_federated(from, &message, NOW);
    assert_eq!(text(&mut b, near), track);
    assert_eq!(take(&mut b, to), b"");
    assert_eq!(b.peer_counters("c").unwrap().dropped(Reason::HopLimit), 1);
}

#[test]
fn directed_events_reach_only_their_addressee() {
    let (mut a, mut b) = (router(ID_A), router(ID_B));
    let (alice, bob) = (client(&mut a), client(&mut a));
    let (carol, dave) = (client(&mut b), client(&mut b));
    let (to_b, to_a) = (federate(&mut a, "b"), federate(&mut b, "a"));
    for (id, name) in [(alice, "ALICE"), (bob, "B&amp;B")] {
        a.receive_xml(id, presence(name, name).as_bytes(), NOW);
    }
    for (id, name) in [(carol, "CAROL"), (dave, "DAVE")] {
        b.receive_xml(id, presence(name, name).as_bytes(), NOW);
    }
    carry(&mut a, to_b, &mut b, to_a);
    carry(&mut b, to_a, &mut a, to_b);
    for id in [alice, bob] {
        take(&mut a, id);
    }
    for id in [carol, dave] {
        take(&mut b, id);
    }
    let chat = |dest: &str| {
        let marti = format!("<detail><marti>{dest}</marti></detail>").replace('\'', "\"");
        event(&format!("chat{}", dest.len()), "b-t-f", &marti)
    };
    let to_bob = chat("<dest callsign='B&amp;B'/>");
    a.receive_xml(alice, to_bob.as_bytes(), NOW);
    assert_eq!(text(&mut a, bob), to_bob);
    assert_eq!(take(&mut a, to_b), b"");

    let to_dave = chat("<dest uid='DAVE'/>");
    assert_eq!(
        a.receive_xml(alice, to_dave.as_bytes(), NOW),
        Verdict::Routed(1)
    );
    assert_eq!(carry(&mut a, to_b, &mut b, to_a), [Verdict::Routed(1)]);
    assert_eq!(text(&mut b, dave), to_dave);
    assert_eq!((text(&mut b, carol), text(&mut a, bob)), Default::default());

    let to_nobody = chat("<dest callsign='NOBODY'/>");
    assert_eq!(
        a.receive_xml(alice, to_nobody.as_bytes(), NOW),
        Verdict::Dropped(Reason::NoDestination)
    );
    for all in [
        "",
        "<dest callsign='All Streaming'/><dest callsign='NOBODY'/>",
    ] {
        let to_all = chat(all);
        assert_eq!(
            a.receive_xml(alice, to_all.as_bytes(), NOW),
            Verdict::Routed(2),
            "{all}"
        );
    }
}

#[test]
fn late_joiners_are_told_who_and_where() {
    let (mut a, mut b) = (router(ID_A), router(ID_B));
    let alice = client(&mut a);
    let sa = presence("u-alice", "ALICE");
    a.receive_xml(alice, sa.as_bytes(), NOW);
    a.receive_xml(
        alice,
        event("old", "a-f-G", "").replace("2036", "2020").as_bytes(),
        NOW,
    );
    let late = a.attach(
        LinkSpec::Client {
            address: String::new(),
            network: Network::LOCAL,
        },
        NOW,
    );
    assert_eq!(text(&mut a, late), sa);

    let (to_b, to_a) = (federate(&mut a, "b"), federate(&mut b, "a"));
    let told = messages(&mut a, to_b);
    let first = crate::wire::fig::parse(&told[0], b"").unwrap();
    let contact = first.contact.unwrap();
    assert_eq!(
        (contact.uid, contact.callsign),
        (&b"u-alice"[..], &b"ALICE"[..])
    );
    assert_eq!(told.len(), 2);
    for message in &told {
        b.receive_federated(to_a, message, NOW);
    }
    assert_eq!(b.contacts(), 1);
    let far = b.attach(
        LinkSpec::Client {
            address: String::new(),
            network: Network::LOCAL,
        },
        NOW,
    );
    assert_eq!(text(&mut b, far), sa);
}

#[test]
fn what_happens_during_a_replay_is_told_once() {
    let mut a = router(ID_A);
    let alice = client(&mut a);
    a.receive_xml(alice, presence("u", "ALICE").as_bytes(), NOW);
    let to_b = federate(&mut a, "b");
    let newer = presence("u", "ALICE").replace("1.5", "1.6");
    a.receive_xml(alice, newer.as_bytes(), NOW);
    let told = messages(&mut a, to_b);
    assert_eq!(told.len(), 2, "the contact, and the newer position only");
}

#[test]
fn a_client_that_leaves_is_taken_off_every_map() {
    let (mut a, mut b) = (router(ID_A), router(ID_B));
    let (alice, bob) = (client(&mut a), client(&mut a));
    let far = client(&mut b);
    let (to_b, to_a) = (federate(&mut a, "b"), federate(&mut b, "a"));
    a.receive_xml(alice, presence("u", "ALICE").as_bytes(), NOW);
    carry(&mut a, to_b, &mut b, to_a);
    take(&mut a, bob);
    take(&mut b, far);
    a.detach(alice, NOW);
    assert!(text(&mut a, bob).contains("type=\"t-x-d-d\""));
    carry(&mut a, to_b, &mut b, to_a);
    let gone = text(&mut b, far);
    assert!(
        gone.contains("<link relation=\"p-p\" uid=\"u\" type=\"a-f-G-U-C\"/>"),
        "{gone}"
    );
    assert_eq!((a.contacts(), b.contacts()), (0, 0));
}

#[test]
fn a_delete_crosses_as_contact_and_as_event() {
    let (mut a, mut b) = (router(ID_A), router(ID_B));
    let (alice, far) = (client(&mut a), client(&mut b));
    let (to_b, to_a) = (federate(&mut a, "b"), federate(&mut b, "a"));
    let delete = event(
        "d",
        "t-x-d-d",
        "<detail><link uid=\"m\" type=\"b-m-p\" relation=\"p-p\"/></detail>",
    );
    a.receive_xml(alice, delete.as_bytes(), NOW);
    let message = messages(&mut a, to_b).remove(0);
    let contact = crate::wire::fig::parse(&message, b"")
        .unwrap()
        .contact
        .unwrap();
    assert_eq!((contact.uid, contact.callsign), (&b"m"[..], &b"b-m-p"[..]));
    b.receive_federated(to_a, &message, NOW);
    assert_eq!(text(&mut b, far), delete);
}

#[test]
fn pings_are_answered_and_go_nowhere() {
    let mut a = router(ID_A);
    let (alice, bob) = (client(&mut a), client(&mut a));
    let ping = event("p", "t-x-c-t", "");
    assert_eq!(
        a.receive_xml(alice, ping.as_bytes(), NOW),
        Verdict::Consumed
    );
    assert!(text(&mut a, alice).contains("uid=\"takPong\" type=\"t-x-c-t-r\""));
    assert_eq!(text(&mut a, bob), "");
}

#[test]
fn directions_are_kept_and_counted() {
    let mut a = router(ID_A);
    let alice = client(&mut a);
    let spec = |incoming, outgoing| {
        vec![PeerSpec {
            name: "b".to_owned(),
            incoming,
            outgoing,
            correct_clock: true,
        }]
    };
    a.set_peers(&spec(true, true));
    a.receive_xml(alice, event("1", "a-f-G", "").as_bytes(), NOW);
    assert_eq!(a.peer_counters("b").unwrap().dropped(Reason::LinkDown), 1);
    let to_b = federate(&mut a, "b");
    take(&mut a, to_b);
    a.set_peers(&spec(false, false));
    a.receive_xml(alice, event("2", "a-f-G", "").as_bytes(), NOW);
    assert_eq!(
        a.peer_counters("b").unwrap().dropped(Reason::OutgoingOff),
        1
    );
    assert_eq!(
        a.receive_federated(to_b, b"", NOW),
        Verdict::Dropped(Reason::IncomingOff)
    );
}

#[test]
fn an_evil_detail_goes_nowhere() {
    let mut b = router(ID_B);
    let (from, to, near) = (federate(&mut b, "a"), federate(&mut b, "c"), client(&mut b));
    for (other, reason) in [
        (
            "<detail></detail></event><event uid='x'>",
            Reason::Malformed,
        ),
        ("<detail><![CDATA[</event>]]></detail>", Reason::Ambiguous),
    ] {
        let mut message = Vec::new();
        let track = event("t", "a-f-G", "<detail><remarks/></detail>");
        let parsed = crate::wire::xml::parse(track.as_bytes()).unwrap();
        crate::cot::encode::put_event(&mut message, 1, &parsed, b"").unwrap();
        // A later field 12 replaces the earlier: the message is edited the way a relay would.
        let mut geo = Vec::new();
        crate::wire::proto::put_bytes(&mut geo, 12, other.as_bytes());
        crate::wire::proto::put_bytes(&mut message, 1, &geo);
        assert_eq!(
            b.receive_federated(from, &message, NOW),
            Verdict::Dropped(reason)
        );
        // Another content hash for the next round.
        b = router(ID_B);
        federate(&mut b, "a");
        federate(&mut b, "c");
        client(&mut b);
    }
    assert_eq!((take(&mut b, to), take(&mut b, near)), Default::default());
}
