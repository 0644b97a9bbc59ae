//! Who is reached: contacts and how they come and go, directions, lifetimes, and links by number.

use super::*;

/// A chat event addressed by these `<dest>` elements.
fn chat(uid: &str, dests: &str) -> String {
    event(
        uid,
        "b-t-f",
        &format!("<detail><marti>{dests}</marti></detail>"),
    )
}

#[test]
fn every_link_that_the_configuration_allows_can_be_named() {
    let most = |key| {
        let limit = Limits::TABLE.iter().find(|limit| limit.key == key);
        limit.unwrap().most as usize
    };
    let commands = 1;
    assert!(most("max_clients") + most("max_federates") + commands <= deliver::LINKS_MAX);
    // Places are numbered with 16 bits, of which one number ends the lists.
    for key in ["max_contacts", "latest_events", "outbox_events"] {
        assert!(most(key) < usize::from(u16::MAX), "{key}");
    }
    let mut a = router(ID_A);
    let address = String::new;
    let last = (0..most("max_clients"))
        .map(|_| {
            a.attach(
                LinkSpec::Client {
                    address: address(),
                    network: Network::LOCAL,
                },
                NOW,
            )
        })
        .last()
        .unwrap();
    a.receive_xml(last, presence("u", "LAST").as_bytes(), NOW);
    let chat = event(
        "c",
        "b-t-f",
        "<detail><marti><dest uid=\"u\"/></marti></detail>",
    );
    assert_eq!(
        a.receive_xml(LinkId(0), chat.as_bytes(), NOW),
        Verdict::Routed(1)
    );
    assert!(text(&mut a, last).ends_with(&chat));
}

#[test]
fn names_of_peers_that_come_and_go_do_not_add_up() {
    let mut a = router(ID_A);
    let alice = client(&mut a);
    for round in 0..10 {
        let name = format!("peer{round}");
        let spec = PeerSpec {
            name: name.clone(),
            incoming: true,
            outgoing: true,
            correct_clock: true,
        };
        a.set_peers(&[spec]);
        assert_eq!(a.peer_counters(&name).map(|tally| tally.events_in), Some(0));
        let peer = federate(&mut a, &name);
        assert_eq!(peer, LinkId(1));
        // A position that an earlier peer left here is told to the next one: it is not the next one's own.
        let told = messages(&mut a, peer).len();
        assert_eq!(told, usize::from(round > 0));
        let mut b = router(ID_B);
        let (sender, to_a) = (client(&mut b), federate(&mut b, "a"));
        b.receive_xml(
            sender,
            event("t", "a-f-G", &format!("<detail>{round}</detail>")).as_bytes(),
            NOW,
        );
        assert_eq!(carry(&mut b, to_a, &mut a, peer), [Verdict::Routed(1)]);
        a.set_peers(&[]);
        a.detach(peer, NOW);
    }
    assert_eq!(a.links.len(), 2);
    take(&mut a, alice);
}

#[test]
fn in_a_triangle_directed_traffic_takes_the_short_way() {
    let (mut a, mut b, mut c) = (router(ID_A), router(ID_B), router(&"c".repeat(32)));
    let (alice, bob) = (client(&mut a), client(&mut b));
    let (a_b, b_a) = (federate(&mut a, "b"), federate(&mut b, "a"));
    let (a_c, c_a) = (federate(&mut a, "c"), federate(&mut c, "a"));
    let (b_c, c_b) = (federate(&mut b, "c"), federate(&mut c, "b"));
    for position in ["1.5", "1.6"] {
        let sa = presence("u", "ALICE").replace("1.5", position);
        a.receive_xml(alice, sa.as_bytes(), NOW);
        carry(&mut a, a_b, &mut b, b_a);
        carry(&mut a, a_c, &mut c, c_a);
        // Until nobody has anything more to say.
        let mut rounds = 0;
        while [
            carry(&mut b, b_c, &mut c, c_b),
            carry(&mut c, c_b, &mut b, b_c),
            carry(&mut b, b_a, &mut a, a_b),
            carry(&mut c, c_a, &mut a, a_c),
        ]
        .iter()
        .any(|verdicts| !verdicts.is_empty())
        {
            rounds += 1;
            assert!(rounds < 5, "contacts go round in circles");
        }
    }
    let chat = event(
        "c",
        "b-t-f",
        "<detail><marti><dest uid=\"u\"/></marti></detail>",
    );
    take(&mut b, bob);
    assert_eq!(b.receive_xml(bob, chat.as_bytes(), NOW), Verdict::Routed(1));
    take(&mut a, alice);
    assert_eq!(carry(&mut b, b_a, &mut a, a_b), [Verdict::Routed(1)]);
    assert_eq!(text(&mut a, alice), chat);
}

#[test]
fn a_group_makes_a_contact_without_an_endpoint_and_a_bare_callsign_does_not() {
    let mut a = router(ID_A);
    let (alice, bob) = (client(&mut a), client(&mut a));
    let says = |inside: &str| {
        format!(
            "<detail><contact callsign='{0}'/>{1}</detail>",
            "ALICE", inside
        )
    };
    a.receive_xml(alice, event("m", "a-f-G", &says("")).as_bytes(), NOW);
    assert_eq!(a.contacts(), 0, "a marker with a name is nobody");
    let group = says("<__group name='Cyan' role='HQ'/>");
    a.receive_xml(alice, event("g", "b-m-p", &group).as_bytes(), NOW);
    assert_eq!(a.contacts(), 0, "only positions are somebody's own");
    a.receive_xml(alice, event("u", "a-f-G", &group).as_bytes(), NOW);
    assert_eq!(a.contacts(), 1);
    take(&mut a, alice);
    let to_alice = chat("c", "<dest callsign='ALICE'/>");
    assert_eq!(
        a.receive_xml(bob, to_alice.as_bytes(), NOW),
        Verdict::Routed(1)
    );
    assert_eq!(text(&mut a, alice), to_alice);
}

#[test]
fn another_callsign_is_announced_again_and_the_old_one_is_nobodys() {
    let (mut a, mut b) = (router(ID_A), router(ID_B));
    let (alice, carol) = (client(&mut a), client(&mut b));
    let (to_b, to_a) = (federate(&mut a, "b"), federate(&mut b, "a"));
    let announced = |router: &mut Router| -> Vec<String> {
        let told = messages(router, to_b);
        let contact = |message: &Vec<u8>| {
            let read = crate::wire::fig::parse(message, b"").unwrap();
            Some(String::from_utf8(read.contact?.callsign.to_vec()).unwrap())
        };
        let names = told.iter().filter_map(contact).collect();
        for message in told {
            b.receive_federated(to_a, &message, NOW);
        }
        names
    };
    let mut announced = announced;
    a.receive_xml(alice, presence("u", "ALICE").as_bytes(), NOW);
    assert_eq!(announced(&mut a), ["ALICE"]);
    let moved = presence("u", "ALICE").replace("1.5", "1.6");
    a.receive_xml(alice, moved.as_bytes(), NOW);
    assert_eq!(announced(&mut a), [""; 0], "known already");
    a.receive_xml(alice, presence("u", "ANNA").as_bytes(), NOW);
    assert_eq!(announced(&mut a), ["ANNA"]);
    for (dest, verdict) in [
        ("ALICE", Verdict::Dropped(Reason::NoDestination)),
        ("ANNA", Verdict::Routed(1)),
    ] {
        let chat = chat(dest, &format!("<dest callsign='{dest}'/>"));
        assert_eq!(
            b.receive_xml(carol, chat.as_bytes(), NOW),
            verdict,
            "{dest}"
        );
    }
}

#[test]
fn a_callsign_that_two_have_reaches_both() {
    let mut a = router(ID_A);
    let (alice, other, bob) = (client(&mut a), client(&mut a), client(&mut a));
    a.receive_xml(alice, presence("u1", "ALICE").as_bytes(), NOW);
    a.receive_xml(other, presence("u2", "ALICE").as_bytes(), NOW);
    for id in [alice, other, bob] {
        take(&mut a, id);
    }
    let to_both = chat("c", "<dest callsign='ALICE'/>");
    assert_eq!(
        a.receive_xml(bob, to_both.as_bytes(), NOW),
        Verdict::Routed(2)
    );
    assert_eq!(
        (text(&mut a, alice), text(&mut a, other)),
        (to_both.clone(), to_both)
    );
    let to_one = chat("d", "<dest uid='u2'/>");
    assert_eq!(
        a.receive_xml(bob, to_one.as_bytes(), NOW),
        Verdict::Routed(1)
    );
    assert_eq!(
        (text(&mut a, alice), text(&mut a, other)),
        (String::new(), to_one)
    );
}

#[test]
fn a_federate_that_goes_takes_its_contacts_along() {
    let (mut a, mut b) = (router(ID_A), router(ID_B));
    let (alice, carol) = (client(&mut a), client(&mut b));
    let (to_b, to_a) = (federate(&mut a, "b"), federate(&mut b, "a"));
    a.receive_xml(alice, presence("u", "ALICE").as_bytes(), NOW);
    carry(&mut a, to_b, &mut b, to_a);
    assert_eq!(b.contacts(), 1);
    b.detach(to_a, NOW);
    assert_eq!(b.contacts(), 0);
    let to_alice = chat("c", "<dest uid='u'/>");
    assert_eq!(
        b.receive_xml(carol, to_alice.as_bytes(), NOW),
        Verdict::Dropped(Reason::NoDestination)
    );
    // Its positions stay for late joiners until they go stale: the people are still there.
    let address = String::new();
    let late = b.attach(
        LinkSpec::Client {
            address,
            network: Network::LOCAL,
        },
        NOW,
    );
    assert!(text(&mut b, late).contains("uid=\"u\""));
}

#[test]
fn mission_changes_stay_at_home_and_are_not_taken_from_federates() {
    let (mut a, mut b) = (router(ID_A), router(ID_B));
    let (alice, bob, far) = (client(&mut a), client(&mut a), client(&mut b));
    let (to_b, to_a) = (federate(&mut a, "b"), federate(&mut b, "a"));
    let change = event("x", "t-x-m-c-l", "<detail><mission name='m'/></detail>");
    assert_eq!(
        a.receive_xml(alice, change.as_bytes(), NOW),
        Verdict::Routed(1)
    );
    assert_eq!(text(&mut a, bob), change);
    assert_eq!(take(&mut a, to_b), b"");
    let mut message = Vec::new();
    let parsed = crate::wire::xml::parse(change.as_bytes()).unwrap();
    crate::cot::encode::put_event(&mut message, 1, &parsed, b"").unwrap();
    assert_eq!(
        b.receive_federated(to_a, &message, NOW),
        Verdict::Dropped(Reason::MissionChange)
    );
    assert_eq!(text(&mut b, far), "");
}

#[test]
fn incoming_off_takes_neither_events_nor_contacts() {
    let (mut a, mut b) = (router(ID_A), router(ID_B));
    let (alice, far) = (client(&mut a), client(&mut b));
    let (to_b, to_a) = (federate(&mut a, "b"), federate(&mut b, "a"));
    b.set_peers(&[PeerSpec {
        name: "a".to_owned(),
        incoming: false,
        outgoing: true,
        correct_clock: true,
    }]);
    a.receive_xml(alice, presence("u", "ALICE").as_bytes(), NOW);
    let refused = Verdict::Dropped(Reason::IncomingOff);
    assert_eq!(carry(&mut a, to_b, &mut b, to_a), [refused, refused]);
    assert_eq!((b.contacts(), text(&mut b, far)), (0, String::new()));
    let tally = b.peer_counters("a").unwrap();
    assert_eq!(
        (tally.events_in, tally.dropped(Reason::IncomingOff)),
        (0, 2)
    );
    b.receive_xml(far, event("t", "a-f-G", "").as_bytes(), NOW);
    assert_eq!(messages(&mut b, to_a).len(), 1, "the other way is open");
}

#[test]
fn only_what_lived_on_arrival_can_expire() {
    let mut a = router(ID_A);
    let sender = client(&mut a);
    let address = || String::new();
    // It never asks for anything until the end, so everything waits.
    let busy = a.attach(
        LinkSpec::Client {
            address: address(),
            network: Network::LOCAL,
        },
        NOW,
    );
    let stale =
        |uid: &str, stale: &str| event(uid, "b-m-p", "").replace("2036-09-21T14:13:20.123Z", stale);
    let (dead, short) = (
        stale("dead", "2020-01-01T00:00:00Z"),
        // One second after now.
        stale("short", "2026-09-21T14:13:21.000Z"),
    );
    a.receive_xml(sender, dead.as_bytes(), NOW);
    a.receive_xml(sender, short.as_bytes(), NOW);
    let later = Now {
        mono_ms: NOW.mono_ms + 60_000,
        wall_ms: NOW.wall_ms + 60_000,
    };
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Some(batch)) = a.poll_batch(busy, &mut context, later) else {
        panic!("something waits");
    };
    assert_eq!(String::from_utf8(batch.to_vec()).unwrap(), dead);
    assert!(a.poll_batch(busy, &mut context, later).is_pending());
    assert_eq!(a.local_counters().dropped(Reason::Expired), 1);
}

#[test]
fn a_contact_that_found_no_room_is_told_when_there_is() {
    let mut a = Router::new(Settings {
        waiting_bytes: 1,
        ..router(ID_A).settings.clone()
    });
    let (alice, to_b) = (client(&mut a), federate(&mut a, "b"));
    // Nobody polls for b yet, so whatever comes must wait, and there is no room to wait.
    a.receive_xml(alice, presence("u", "ALICE").as_bytes(), NOW);
    assert_eq!(a.peer_counters("b").unwrap().dropped(Reason::Refused), 2);
    let told = messages(&mut a, to_b);
    let contacts: Vec<_> = told
        .iter()
        .filter_map(|message| crate::wire::fig::parse(message, b"").unwrap().contact)
        .map(|contact| contact.uid)
        .collect();
    assert_eq!(contacts, [b"u"]);
}
