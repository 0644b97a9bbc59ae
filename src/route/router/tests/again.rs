//! What is told again after a link was down.

use super::*;

#[test]
fn an_alarm_that_a_federate_tells_again_much_later_is_known() {
    let (mut a, mut b) = (router(ID_A), router(ID_B));
    let (sender, near) = (client(&mut a), client(&mut b));
    let (to_b, to_a) = (federate(&mut a, "b"), federate(&mut b, "a"));
    let alarm = event("t-9-1-1", "b-a-o-tbl", "<detail/>");
    a.receive_xml(sender, alarm.as_bytes(), NOW);
    let first = messages(&mut a, to_b).remove(0);
    assert_eq!(b.receive_federated(to_a, &first, NOW), Verdict::Routed(1));
    take(&mut b, near);
    // Longer than contents are remembered, and the alarm still holds.
    let later = Now {
        mono_ms: NOW.mono_ms + 3_600_000,
        ..NOW
    };
    a.detach(to_b, later);
    let to_b = federate(&mut a, "b");
    let again = messages(&mut a, to_b);
    assert!(again.contains(&first), "late joiners are told of alarms");
    for message in again {
        let verdict = b.receive_federated(to_a, &message, later);
        assert!(!matches!(verdict, Verdict::Routed(_)), "{verdict:?}");
    }
    assert_eq!(text(&mut b, near), "");
    let cancelled = alarm.replace("tbl", "can");
    a.receive_xml(sender, cancelled.as_bytes(), later);
    let message = messages(&mut a, to_b).remove(0);
    assert_eq!(
        b.receive_federated(to_a, &message, later),
        Verdict::Routed(1)
    );
}

#[test]
fn a_position_that_a_federate_tells_again_much_later_is_known() {
    let (mut a, mut b) = (router(ID_A), router(ID_B));
    let (sender, near) = (client(&mut a), client(&mut b));
    let (to_b, to_a) = (federate(&mut a, "b"), federate(&mut b, "a"));
    a.receive_xml(sender, event("t", "a-f-G", "<detail/>").as_bytes(), NOW);
    let first = messages(&mut a, to_b).remove(0);
    assert_eq!(b.receive_federated(to_a, &first, NOW), Verdict::Routed(1));
    assert!(text(&mut b, near).contains("uid=\"t\""));
    let later = Now {
        mono_ms: NOW.mono_ms + 60_000,
        wall_ms: NOW.wall_ms + 60_000,
    };
    a.detach(to_b, later);
    let to_b = federate(&mut a, "b");
    let again = messages(&mut a, to_b);
    assert!(again.contains(&first), "late joiners are told where it is");
    assert_eq!(
        b.receive_federated(to_a, &first, later),
        Verdict::Dropped(Reason::Duplicate)
    );
    assert_eq!(text(&mut b, near), "");
}

#[test]
fn an_emergency_goes_aside_too_and_is_passed_on_once() {
    let (mut a, mut b) = (router(ID_A), router(ID_B));
    let (sender, near) = (client(&mut a), client(&mut b));
    let (to_b, to_a) = (federate(&mut a, "b"), federate(&mut b, "a"));
    let context = Context::from_waker(Waker::noop());
    let older = a.open_aside("b");
    let standby = a.open_aside("b");
    assert_eq!(a.poll_aside("b", older, &context), Poll::Ready(None));
    a.receive_xml(sender, event("t", "a-f-G", "<detail/>").as_bytes(), NOW);
    assert_eq!(
        a.poll_aside("b", standby, &context),
        Poll::Pending,
        "a track"
    );
    let alarm = event("t-9-1-1", "b-a-o-tbl", "<detail/>");
    a.receive_xml(sender, alarm.as_bytes(), NOW);
    let Poll::Ready(Some(aside)) = a.poll_aside("b", standby, &context) else {
        panic!("the alarm goes aside");
    };
    assert_eq!(b.receive_aside("a", &aside, NOW), Verdict::Routed(1));
    assert_eq!(b.received("a"), Some(0), "it is not acknowledged");
    take(&mut b, near);
    let verdicts = carry(&mut a, to_b, &mut b, to_a);
    assert!(
        verdicts.contains(&Verdict::Dropped(Reason::Duplicate)),
        "{verdicts:?}"
    );
    assert_eq!(b.received("a"), Some(verdicts.len() as u64));
    assert!(!text(&mut b, near).contains("b-a-o-tbl"), "heard once");
    a.close_aside("b", standby);
    a.receive_xml(sender, alarm.replace("t-9", "u-9").as_bytes(), NOW);
    assert!(
        a.poll_aside("b", standby, &context).is_ready(),
        "it is gone"
    );
}
