//! Requests to fetch data packages: who may have one is decided as always, and nobody is told before the bytes are there.

use super::*;
use crate::config::filter::Filters;
use crate::route::policy::Policy;
use crate::route::router::package::{MOST_PACKAGES, PACKAGES_BYTES, Package};
use crate::route::trace::Fate;

const REQUEST: &str =
    "<detail><fileshare sha256=\"ab\" filename=\"f\" senderUrl=\"https://a/\"/></detail>";

fn carrying(id: &str) -> Router {
    let mut router = router(id);
    router.carry_packages();
    router
}

fn next(router: &mut Router) -> Option<Package> {
    let mut context = Context::from_waker(Waker::noop());
    match router.poll_package(&mut context) {
        Poll::Ready(package) => Some(package),
        Poll::Pending => None,
    }
}

fn names(package: &Package) -> Vec<&str> {
    package
        .to
        .iter()
        .map(|onward| onward.peer.as_str())
        .collect()
}

fn send(router: &mut Router, from: LinkId, uid: &str) -> Verdict {
    router.receive_xml(from, event(uid, "b-f-t-r", REQUEST).as_bytes(), NOW)
}

fn fate(router: &Router, uid: &str, peer: &str) -> Option<Fate> {
    let cell = router.trace(uid.as_bytes())?.at(router.column_of(peer)?)?;
    Some(cell.fate)
}

#[test]
fn local_clients_are_told_at_once_and_federates_by_the_carrier() {
    let mut a = carrying(ID_A);
    let (alice, bob) = (client(&mut a), client(&mut a));
    let (b, c, d) = (
        federate(&mut a, "b"),
        federate(&mut a, "c"),
        federate(&mut a, "d"),
    );
    let off = Policy::of(&Filters::default(), true, false);
    a.set_policies([("c", off)].into_iter(), NOW);
    a.set_peers(&[PeerSpec {
        name: "d".to_owned(),
        incoming: true,
        outgoing: false,
        correct_clock: true,
    }]);
    assert_eq!(send(&mut a, alice, "one"), Verdict::Routed(2));
    assert!(text(&mut a, bob).contains("uid=\"one\""));
    for link in [b, c, d] {
        assert!(messages(&mut a, link).is_empty());
    }
    let package = next(&mut a).unwrap();
    assert_eq!((names(&package), &package.from), (vec!["b"], &None));
    assert_eq!(package.to[0].message, package.message);
    assert!(next(&mut a).is_none());
    assert_eq!(fate(&a, "one", "b"), Some(Fate::Carried));
    assert_eq!(
        fate(&a, "one", "c"),
        Some(Fate::Dropped(Reason::DataPackagesOff))
    );
    assert_eq!(
        fate(&a, "one", "d"),
        Some(Fate::Dropped(Reason::OutgoingOff))
    );
    a.package_ended("b", package.mark, Err(Reason::PackageRefused));
    assert_eq!(
        fate(&a, "one", "b"),
        Some(Fate::Dropped(Reason::PackageRefused))
    );
    let counters = a.peer_counters("b").unwrap();
    assert_eq!(counters.dropped(Reason::PackageRefused), 1);
    assert_eq!(a.may_send_package("b"), Ok(()));
    assert_eq!(a.may_send_package("c"), Err(Reason::DataPackagesOff));
    assert_eq!(a.may_send_package("d"), Err(Reason::OutgoingOff));
}

#[test]
fn a_federates_request_waits_for_its_bytes_and_then_goes_on() {
    let mut a = carrying(ID_A);
    let alice = client(&mut a);
    federate(&mut a, "b");
    send(&mut a, alice, "one");
    let sent = next(&mut a).unwrap();
    let mut far = carrying(ID_B);
    let bob = client(&mut far);
    let from_a = federate(&mut far, "a");
    federate(&mut far, "c");
    let verdict = far.receive_federated(from_a, &sent.message, NOW);
    assert_eq!(
        (verdict, text(&mut far, bob)),
        (Verdict::Consumed, String::new())
    );
    let waits = next(&mut far).unwrap();
    assert_eq!((waits.from.as_deref(), waits.to.len()), (Some("a"), 0));
    assert_eq!(far.admits_package("a", &waits.message, NOW), Ok(()));
    assert_eq!(
        far.receive_package("a", &waits.message, NOW),
        Verdict::Routed(2)
    );
    assert!(text(&mut far, bob).contains("uid=\"one\""));
    let onward = next(&mut far).unwrap();
    assert_eq!(
        (names(&onward), onward.from.as_deref()),
        (vec!["c"], Some("a"))
    );
    // It says where it has been: at home it is known.
    let loops = a.admits_package("b", &onward.to[0].message, NOW);
    assert_eq!(loops, Err(Reason::Loop));
    let again = far.receive_package("a", &waits.message, NOW);
    assert_eq!(again, Verdict::Dropped(Reason::Duplicate));
    let off = Policy::of(&Filters::default(), false, true);
    far.set_policies([("a", off)].into_iter(), NOW);
    let refused = far.admits_package("a", &waits.message, NOW);
    assert_eq!(refused, Err(Reason::DataPackagesOff));
}

#[test]
fn what_finds_no_room_is_counted_and_nothing_grows() {
    let mut a = carrying(ID_A);
    let alice = client(&mut a);
    federate(&mut a, "b");
    for number in 0..10_000 {
        send(&mut a, alice, &format!("uid-{number}"));
    }
    let (mut count, mut bytes) = (0, 0);
    while let Some(package) = next(&mut a) {
        count += 1;
        bytes += package.message.len();
    }
    assert!((1..=MOST_PACKAGES).contains(&count) && bytes <= PACKAGES_BYTES);
    let dropped = a.peer_counters("b").unwrap().dropped(Reason::PackageQueue);
    assert_eq!(dropped, 10_000 - count as u64);
    assert_eq!(
        fate(&a, "uid-9999", "b"),
        Some(Fate::Dropped(Reason::PackageQueue))
    );
}

#[test]
fn without_a_carrier_it_is_an_event_like_others() {
    let mut a = router(ID_A);
    let alice = client(&mut a);
    let b = federate(&mut a, "b");
    send(&mut a, alice, "one");
    assert_eq!(messages(&mut a, b).len(), 1);
    assert!(next(&mut a).is_none());
}
