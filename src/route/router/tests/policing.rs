//! Filters at work: what goes out, what comes in, what is told late, and what `why` knows of it.

use super::*;
use crate::config::filter::{Filter, Filters};
use crate::route::policy::Policy;
use crate::route::trace::Fate;

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

fn filters(incoming: Option<Filter>, outgoing: Option<Filter>) -> Option<Policy> {
    Policy::of(&Filters { incoming, outgoing }, true, true)
}

fn types(allow: &[&str], block: &[&str]) -> Filter {
    Filter {
        allow_types: texts(allow),
        block_types: texts(block),
        ..Filter::default()
    }
}

fn peer(router: &mut Router, name: &str, policy: Option<Policy>) -> LinkId {
    let id = federate(router, name);
    router.set_policies([(name, policy)].into_iter(), NOW);
    id
}

fn send(router: &mut Router, from: LinkId, uid: &str, kind: &str) -> Verdict {
    router.receive_xml(from, event(uid, kind, "").as_bytes(), NOW)
}

fn filtered(router: &Router, name: &str) -> u64 {
    let counters = router.peer_counters(name).unwrap();
    counters.dropped(Reason::Filtered)
}

/// What `why` says of a uid at a peer.
fn why(router: &Router, uid: &str, name: &str) -> Option<String> {
    let trace = router.trace(uid.as_bytes())?;
    let column = router.column_of(name)?;
    match trace.at(column)?.fate {
        Fate::Filtered(ruling) => {
            router.rule_words(router.number_of(name)?, false, ruling, NOW.mono_ms)
        }
        _ => None,
    }
}

#[test]
fn what_is_not_allowed_stays_here_is_counted_and_explained() {
    let mut a = router(ID_A);
    let (alice, bob) = (client(&mut a), client(&mut a));
    let b = peer(
        &mut a,
        "b",
        filters(None, Some(types(&["a-f-"], &["a-f-A"]))),
    );
    let c = peer(&mut a, "c", None);
    assert_eq!(send(&mut a, alice, "friend", "a-f-G"), Verdict::Routed(3));
    assert_eq!(send(&mut a, alice, "hostile", "a-h-G"), Verdict::Routed(2));
    assert_eq!(send(&mut a, alice, "plane", "a-f-A-M"), Verdict::Routed(2));
    assert_eq!(send(&mut a, alice, "help", "b-a-o-tbl"), Verdict::Routed(3));
    assert_eq!(messages(&mut a, b).len(), 2);
    assert_eq!(messages(&mut a, c).len(), 4);
    assert!(text(&mut a, bob).contains("hostile"));
    assert_eq!((filtered(&a, "b"), filtered(&a, "c")), (2, 0));
    assert_eq!(
        why(&a, "hostile", "b").unwrap(),
        "not among allow_types = [\"a-f-\"]"
    );
    assert_eq!(why(&a, "plane", "b").unwrap(), "\"a-f-A\" in block_types");
    assert_eq!(why(&a, "friend", "b"), None);
    // Another filter does not explain what an earlier one did.
    let later = Now {
        mono_ms: NOW.mono_ms + 1,
        ..NOW
    };
    a.set_policies(
        [("b", filters(None, Some(types(&[], &["b-m"]))))].into_iter(),
        later,
    );
    assert_eq!(why(&a, "plane", "b"), None);
    assert_eq!(send(&mut a, alice, "hostile", "a-h-A"), Verdict::Routed(3));
}

#[test]
fn what_a_peer_sends_is_refused_by_name_and_may_come_another_way() {
    let (mut a, mut b) = (router(ID_A), router(ID_B));
    let (alice, bob) = (client(&mut a), client(&mut b));
    let (b_a, b_c) = (federate(&mut b, "a"), federate(&mut b, "c"));
    let a_b = peer(&mut a, "b", filters(Some(types(&["a-f"], &[])), None));
    let a_c = federate(&mut a, "c");
    send(&mut b, bob, "hostile", "a-h-G");
    let verdicts = carry(&mut b, b_a, &mut a, a_b);
    assert_eq!(verdicts, [Verdict::Dropped(Reason::Filtered)]);
    assert_eq!(filtered(&a, "b"), 1);
    let refused = a.trace(b"hostile").unwrap().refused.unwrap();
    let words = a.rule_words(refused.from, true, refused.ruling.unwrap(), refused.at_ms);
    assert_eq!(words.unwrap(), "not among allow_types = [\"a-f\"]");
    assert_eq!(text(&mut a, alice), "");
    // The same event from a peer without a filter is no repeat.
    let same = messages(&mut b, b_c);
    assert_eq!(a.receive_federated(a_c, &same[0], NOW), Verdict::Routed(2));
    assert!(text(&mut a, alice).contains("hostile"));
}

#[test]
fn callsigns_are_known_by_the_event_by_the_book_and_by_the_link() {
    let mut a = router(ID_A);
    let (alice, bob) = (client(&mut a), client(&mut a));
    let alphas = Filter {
        allow_callsigns: texts(&["alpha*"]),
        ..Filter::default()
    };
    let b = peer(&mut a, "b", filters(None, Some(alphas)));
    a.receive_xml(alice, presence("u-alice", "ALPHA &amp; 1").as_bytes(), NOW);
    a.receive_xml(bob, presence("u-bob", "BRAVO-1").as_bytes(), NOW);
    // A contact entry and a position of hers, nothing of his.
    let told = messages(&mut a, b);
    assert_eq!(told.len(), 2);
    assert!(
        told.iter()
            .all(|message| !message.windows(5).any(|part| part == b"BRAVO"))
    );
    assert_eq!(filtered(&a, "b"), 1);
    let by = |uid: &str| {
        format!("<detail><link uid=\"{uid}\" type=\"a-f-G\" relation=\"p-p\"/></detail>")
    };
    for (number, (author, sent)) in [("u-alice", 1), ("u-bob", 0), ("u-nobody", 0)]
        .iter()
        .enumerate()
    {
        let chat = event(&format!("GeoChat.{number}"), "b-t-f", &by(author));
        a.receive_xml(alice, chat.as_bytes(), NOW);
        assert_eq!(messages(&mut a, b).len(), *sent, "{author}");
    }
    let words = why(&a, "GeoChat.1", "b").unwrap();
    assert_eq!(
        words,
        "its callsign is not among allow_callsigns = [\"alpha*\"]"
    );
}

#[test]
fn who_comes_later_is_told_what_the_filter_leaves() {
    let mut a = router(ID_A);
    let alice = client(&mut a);
    a.receive_xml(alice, presence("u1", "ALPHA").as_bytes(), NOW);
    a.receive_xml(alice, presence("u2", "SPY-1").as_bytes(), NOW);
    send(&mut a, alice, "hostile", "a-h-G");
    send(&mut a, alice, "neutral", "a-n-G");
    let filter = Filter {
        block_callsigns: texts(&["spy*"]),
        ..types(&[], &["a-h"])
    };
    let b = peer(&mut a, "b", filters(None, Some(filter)));
    let told = messages(&mut a, b);
    let has = |what: &[u8]| {
        told.iter()
            .any(|message| message.windows(what.len()).any(|part| part == what))
    };
    assert!(has(b"ALPHA") && has(b"neutral") && !has(b"SPY") && !has(b"hostile"));
    assert_eq!(told.len(), 3, "one contact, two events");
}

#[test]
fn a_hidden_contact_is_not_announced_and_an_announced_one_may_leave() {
    let (mut a, mut b) = (router(ID_A), router(ID_B));
    let bob = client(&mut b);
    let b_a = federate(&mut b, "a");
    let filter = Filter {
        block_callsigns: texts(&["SPY*"]),
        ..Filter::default()
    };
    let a_b = peer(&mut a, "b", filters(Some(filter), None));
    b.receive_xml(bob, presence("u1", "SPY-1").as_bytes(), NOW);
    let verdicts = carry(&mut b, b_a, &mut a, a_b);
    assert_eq!(verdicts, [Verdict::Dropped(Reason::Filtered); 2]);
    assert_eq!(a.contacts(), 0);
    b.receive_xml(bob, presence("u2", "BRAVO").as_bytes(), NOW);
    assert_eq!(carry(&mut b, b_a, &mut a, a_b).len(), 2);
    assert_eq!(a.contacts(), 1);
    b.detach(bob, NOW);
    carry(&mut b, b_a, &mut a, a_b);
    assert_eq!(a.contacts(), 0);
}

#[test]
fn a_chat_that_the_filter_keeps_from_its_addressee_is_not_without_destination() {
    let mut a = router(ID_A);
    let alice = client(&mut a);
    let b = peer(&mut a, "b", filters(None, Some(types(&["a-f"], &[]))));
    let mut far = router(ID_B);
    let (bob, far_a) = (client(&mut far), federate(&mut far, "a"));
    far.receive_xml(bob, presence("u-bob", "BOB").as_bytes(), NOW);
    carry(&mut far, far_a, &mut a, b);
    let chat = event(
        "c",
        "b-t-f",
        "<detail><marti><dest callsign=\"BOB\"/></marti></detail>",
    );
    assert_eq!(
        a.receive_xml(alice, chat.as_bytes(), NOW),
        Verdict::Routed(0)
    );
    assert_eq!(filtered(&a, "b"), 1);
    assert_eq!(messages(&mut a, b).len(), 0);
}

#[test]
fn the_switch_for_data_packages_stops_their_announcement_only() {
    let mut a = router(ID_A);
    let alice = client(&mut a);
    let b = peer(&mut a, "b", Policy::of(&Filters::default(), true, false));
    send(&mut a, alice, "file", "b-f-t-r");
    send(&mut a, alice, "friend", "a-f-G");
    assert_eq!(messages(&mut a, b).len(), 1);
    let counters = a.peer_counters("b").unwrap();
    assert_eq!(counters.dropped(Reason::DataPackagesOff), 1);
    assert_eq!(counters.dropped(Reason::Filtered), 0);
}

#[test]
fn a_mesh_has_a_filter_too() {
    let mut a = router(ID_A);
    let alice = client(&mut a);
    let spec = LinkSpec::Neighbour {
        name: "hill".to_owned(),
        role: crate::route::link::Role::Mesh,
        network: Network::LOCAL,
        incoming: true,
        outgoing: true,
    };
    let mesh = a.attach(spec, NOW);
    let block = types(&[], &["a-h"]);
    a.set_policy(mesh, filters(Some(block.clone()), Some(block)), NOW);
    assert_eq!(send(&mut a, alice, "h1", "a-h-G"), Verdict::Routed(0));
    assert_eq!(send(&mut a, alice, "f1", "a-f-G"), Verdict::Routed(1));
    assert_eq!(
        send(&mut a, mesh, "h2", "a-h-G"),
        Verdict::Dropped(Reason::Filtered)
    );
    assert_eq!(send(&mut a, mesh, "f2", "a-f-G"), Verdict::Routed(1));
    assert!(text(&mut a, mesh).contains("f1"));
}

#[test]
fn an_emergency_waits_for_a_peer_that_is_away_only_where_it_may_go() {
    let mut a = router(ID_A);
    let alice = client(&mut a);
    let spec = |name: &str| PeerSpec {
        name: name.to_owned(),
        incoming: true,
        outgoing: true,
        correct_clock: true,
    };
    a.set_peers(&[spec("b"), spec("c")]);
    a.set_spools(&["b", "c"]);
    let named = filters(None, Some(types(&[], &["b-a"])));
    a.set_policies([("b", named), ("c", None)].into_iter(), NOW);
    send(&mut a, alice, "help", "b-a-o-tbl");
    assert_eq!(filtered(&a, "b"), 1);
    assert_eq!(a.peer_counters("b").unwrap().spooled, 0);
    assert_eq!(a.peer_counters("c").unwrap().spooled, 1);
}
