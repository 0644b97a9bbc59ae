//! What is written around events, read by prost.

use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::wire::cold::{
    FederateGroupHopLimit, FederateGroupHopLimits, FederateHops, FederatedEvent,
};
use crate::wire::{fig, xml};

const ID: &str = "0123456789abcdef0123456789abcdef";
const EVENT: &str = "<event version=\"2.0\" uid=\"u\" type=\"a-f-G\" time=\"2026-09-21T14:13:20Z\" \
    start=\"2026-09-21T14:13:20Z\" stale=\"2026-09-21T14:23:20Z\" how=\"m-g\">\
    <point lat=\"1\" lon=\"2\" hae=\"3\" ce=\"4\" le=\"5\"/></event>";

fn envelope(names: &[&str]) -> (Envelope, GroupTable) {
    let mut table = GroupTable::default();
    table.add_all(names.iter().copied());
    let mut envelope = Envelope::new(ID.as_bytes());
    envelope.set_table(table.clone());
    (envelope, table)
}

fn labelled(envelope: &Envelope, label: LabelId, groups: GroupSet) -> FederatedEvent {
    let mut out = Vec::new();
    let event = xml::parse(EVENT.as_bytes()).unwrap();
    envelope.put_event(&mut out, &event).unwrap();
    out.truncate(envelope.begin_of_tail(&out));
    envelope.put_tail(&mut out, label, groups, None);
    FederatedEvent::decode(&*out).unwrap()
}

fn limit(name: &str, max: i64, current: i64) -> FederateGroupHopLimit {
    FederateGroupHopLimit {
        group_name: name.into(),
        max_hops: max,
        current_hops: current,
    }
}

#[test]
fn without_a_label_one_default_group_is_told_and_no_limit() {
    let (envelope, table) = envelope(&["Blue"]);
    let event = labelled(&envelope, LabelId::PLAIN, table.find(b"Blue"));
    assert_eq!(event.federate_groups, ["__ANON__"]);
    let hops = event.federate_hops.unwrap();
    assert_eq!((hops.max_hops, hops.current_hops), (-1, 1));
    assert_eq!(event.federate_group_hop_limits, None);
    assert_eq!(event.federate_provenance[0].federation_server_id, ID);
}

#[test]
fn a_label_tells_the_groups_that_event_and_peer_have_in_common() {
    let (mut envelope, table) = envelope(&["Blue", "Red", "Green"]);
    let set = |names: &[&str]| {
        let sets = names.iter().map(|name| table.find(name.as_bytes()));
        sets.fold(GroupSet::NONE, |sum, one| sum | one)
    };
    let label = Label {
        names: Some(set(&["Blue", "Green"])),
        max_hops: 3,
        group_hops: vec![(1, 2)],
    };
    let id = envelope.label(&label);
    assert_ne!(id, LabelId::PLAIN);
    assert_eq!(envelope.label(&label), id, "equal labels share a number");
    assert_eq!(envelope.label(&Label::PLAIN), LabelId::PLAIN);
    let event = labelled(&envelope, id, set(&["Red", "Blue"]));
    assert_eq!(event.federate_groups, ["Blue"]);
    assert_eq!(event.federate_hops.unwrap().max_hops, 3);
    let limits = event.federate_group_hop_limits.unwrap();
    assert!(limits.use_federate_group_hop_limits);
    // Every group of the event has one, or it would have no hops left there.
    assert_eq!(limits.limits, [limit("Blue", 2, 1), limit("Red", -1, 1)]);
}

#[test]
fn a_contact_that_may_go_no_further_than_its_message_says_so() {
    let (mut envelope, _) = envelope(&[]);
    let three = envelope.label(&Label {
        max_hops: 3,
        ..Label::PLAIN
    });
    let max = |label, left| {
        let mut out = Vec::new();
        envelope.put_contact(&mut out, ContactOperation::Create, b"u", b"HAWK");
        envelope.put_tail(&mut out, label, GroupSet::ALL, left);
        FederatedEvent::decode(&*out)
            .unwrap()
            .federate_hops
            .unwrap()
            .max_hops
    };
    assert_eq!(max(LabelId::PLAIN, None), -1);
    assert_eq!(max(LabelId::PLAIN, Some(2)), 2);
    assert_eq!(max(three, Some(2)), 2);
    assert_eq!(max(three, Some(200)), 3);
}

fn relayed(
    envelope: &Envelope,
    message: &FederatedEvent,
    label: LabelId,
    groups: GroupSet,
) -> Result<FederatedEvent, Reason> {
    let bytes = message.encode_to_vec();
    let read = fig::parse(&bytes, b"").unwrap();
    let mut out = Vec::new();
    envelope.put_relayed_as(&mut out, &read, label, groups)?;
    Ok(FederatedEvent::decode(&*out).unwrap())
}

#[test]
fn hops_by_group_are_counted_and_go_before_the_others() {
    let (envelope, _) = envelope(&[]);
    let message = |in_use, limits: &[FederateGroupHopLimit]| FederatedEvent {
        federate_hops: Some(FederateHops {
            max_hops: 1,
            current_hops: 1,
        }),
        federate_group_hop_limits: Some(FederateGroupHopLimits {
            limits: limits.to_vec(),
            use_federate_group_hop_limits: in_use,
        }),
        ..FederatedEvent::default()
    };
    let pass = |message: &FederatedEvent| {
        relayed(&envelope, message, LabelId::PLAIN, GroupSet::ALL)
            .map(|message| message.federate_group_hop_limits.unwrap().limits)
    };
    let some = message(true, &[limit("Blue", 2, 1), limit("Red", 1, 1)]);
    assert_eq!(
        pass(&some),
        Ok(vec![limit("Blue", 2, 2), limit("Red", 1, 2)])
    );
    let endless = message(true, &[limit("Blue", -1, 7)]);
    assert_eq!(pass(&endless), Ok(vec![limit("Blue", -1, 8)]));
    for used_up in [message(true, &[limit("Blue", 2, 2)]), message(true, &[])] {
        assert_eq!(pass(&used_up), Err(Reason::HopLimit));
    }
    // Not in use: then the message's own hops count, and these are one of one.
    let unused = message(false, &[limit("Blue", 9, 1)]);
    assert_eq!(pass(&unused), Err(Reason::HopLimit));
}

#[test]
fn the_last_hop_and_the_hops_left_follow_the_same_rule() {
    let read = |hops: Option<(i64, i64)>, limits: Option<(bool, i64, i64)>| {
        let message = FederatedEvent {
            federate_hops: hops.map(|(max_hops, current_hops)| FederateHops {
                max_hops,
                current_hops,
            }),
            federate_group_hop_limits: limits.map(|(in_use, max, current)| {
                FederateGroupHopLimits {
                    limits: vec![limit("Blue", max, current)],
                    use_federate_group_hop_limits: in_use,
                }
            }),
            ..FederatedEvent::default()
        };
        let bytes = message.encode_to_vec();
        let message = fig::parse(&bytes, b"").unwrap();
        (is_last_hop(&message), hops_left(&message))
    };
    assert_eq!(read(None, None), (false, None));
    assert_eq!(read(Some((-1, 9)), None), (false, None));
    assert_eq!(read(Some((3, 1)), None), (false, Some(2)));
    assert_eq!(read(Some((3, 2)), None), (true, Some(1)));
    assert_eq!(read(Some((3, 3)), None), (false, Some(0)));
    assert_eq!(read(Some((3, 2)), Some((true, -1, 5))), (false, None));
    assert_eq!(read(Some((-1, 2)), Some((true, 4, 1))), (false, Some(3)));
    assert_eq!(read(Some((-1, 2)), Some((false, 4, 1))), (false, None));
    assert_eq!(read(Some((i64::MAX, i64::MIN)), None).1, None);
}

proptest! {
    #[test]
    fn a_message_with_other_names_keeps_all_else_and_what_we_do_not_know(
        names in proptest::collection::vec("[a-z]{1,5}", 0..4),
        limits in proptest::collection::vec(("[a-z]{0,4}", -1i64..5, 0i64..5), 0..3),
        in_use: bool,
        unknown in proptest::collection::vec((100u32..2000, proptest::collection::vec(any::<u8>(), 0..20)), 0..3),
        inner in proptest::collection::vec(any::<u8>(), 0..9),
    ) {
        let (mut envelope, table) = envelope(&["Blue", "Red"]);
        let told = table.find(b"Blue");
        let id = envelope.label(&Label { names: Some(told), ..Label::PLAIN });
        let before = FederatedEvent {
            federate_groups: names,
            federate_hops: Some(FederateHops { max_hops: -1, current_hops: 4 }),
            federate_group_hop_limits: Some(FederateGroupHopLimits {
                limits: limits.iter().map(|(name, max, current)| limit(name, *max, *current)).collect(),
                use_federate_group_hop_limits: in_use,
            }),
            ..FederatedEvent::default()
        };
        let mut message = before.encode_to_vec();
        // A limit with a field that nobody knows.
        let mut strange = Vec::new();
        prost::encoding::bytes::encode(77, &inner, &mut strange);
        put_header(&mut message, federated::GROUP_HOPS, bytes_length(group_hops::LIMIT, strange.len()));
        put_bytes(&mut message, group_hops::LIMIT, &strange);
        for (number, bytes) in &unknown {
            prost::encoding::bytes::encode(*number, bytes, &mut message);
        }
        let read = fig::parse(&message, ID.as_bytes()).unwrap();
        let mut out = Vec::new();
        let put = envelope.put_relayed_as(&mut out, &read, id, told | table.find(b"Red"));
        let left = limits.iter().any(|(_, max, current)| *max == -1 || current < max);
        if in_use && !left {
            prop_assert_eq!((put, out.len()), (Err(Reason::HopLimit), 0));
            return Ok(());
        }
        prop_assert_eq!(put, Ok(()));
        let after = FederatedEvent::decode(&*out).unwrap();
        prop_assert_eq!(&after.federate_groups, &["Blue"]);
        let counted = after.federate_group_hop_limits.unwrap();
        prop_assert_eq!(counted.use_federate_group_hop_limits, in_use);
        let mut expected: Vec<_> = limits.iter().map(|(name, max, current)| limit(name, *max, current + 1)).collect();
        expected.push(limit("", 0, 1));
        prop_assert_eq!(counted.limits, expected);
        for (number, bytes) in &unknown {
            let mut field = Vec::new();
            prost::encoding::bytes::encode(*number, bytes, &mut field);
            prop_assert!(memchr::memmem::find(&out, &field).is_some());
        }
        let mut field = Vec::new();
        prost::encoding::bytes::encode(77, &inner, &mut field);
        prop_assert!(memchr::memmem::find(&out, &field).is_some());
    }
}
