use prost::Message;

use super::*;
use crate::cot::federated::{ContactOperation, Envelope};
use crate::wire::cold::{ContactListEntry, FederatedEvent, GeoEvent};
use crate::wire::{fed1, xml};

const NOW: i64 = 1_900_000_000_000;

/// What the router hands over for an event of a client of ours.
fn ours(uid: &str, kind: &str, detail: &str) -> Vec<u8> {
    let text = format!(
        "<event version='2.0' uid='{uid}' type='{kind}' how='m-g' time='2030-03-17T17:46:40.250Z' \
         start='2030-03-17T17:46:40.250Z' stale='2030-03-17T17:47:40.250Z'><point lat='1.5' lon='-2.25' hae='3' ce='4' \
         le='9999999'/><detail>{detail}</detail></event>"
    );
    let event = xml::parse(text.as_bytes()).unwrap();
    let mut out = Vec::new();
    Envelope::new(b"0123456789abcdef0123456789abcdef")
        .put_event(&mut out, &event)
        .unwrap();
    out
}

fn contact(operation: ContactOperation, uid: &str, second: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let envelope = Envelope::new(b"0123456789abcdef0123456789abcdef");
    envelope.put_contact(&mut out, operation, uid.as_bytes(), second.as_bytes());
    envelope.finish(&mut out);
    out
}

/// What FreeTAKServer is sent, read by prost; none = nothing.
fn sent(desk: &mut Desk, message: &[u8]) -> Result<Option<FederatedEvent>, Reason> {
    let mut out = b"left over".to_vec();
    desk.outgoing(message, &mut out, NOW)?;
    assert!(out.len() <= LONGEST_FRAME);
    let mut frames = fed1::frames(&out);
    let read = frames
        .next()
        .map(|frame| FederatedEvent::decode(&frame[PREFIX..]).expect("prost reads it"));
    assert!(frames.next().is_none());
    assert_eq!(read.is_none(), out.is_empty());
    Ok(read)
}

const POSITION: &str = "<contact callsign='HAWK &amp; CO' endpoint='*:-1:stcp'/><track speed='1.5' course='90.25'/>\
                        <status battery='87'/><precisionlocation geopointsrc='GPS' altsrc='DTED0'/>";

#[test]
fn all_of_the_detail_goes_as_text_and_the_contact_with_its_event() {
    let mut desk = Desk::new(1);
    let first = sent(&mut desk, &ours("hawk", "a-f-G-U-C", POSITION))
        .unwrap()
        .unwrap();
    let event = first.event.unwrap();
    assert_eq!(
        (event.uid.as_str(), event.r#type.as_str()),
        ("hawk", "a-f-G-U-C")
    );
    assert_eq!(event.send_time, NOW + 250);
    assert_eq!(event.stale_time, NOW + 60_250);
    for part in [
        "<track speed=\"1.5\" course=\"90.25\"/>",
        "battery=\"87\"",
        "altsrc=\"DTED0\"",
        "HAWK &amp; CO",
    ] {
        assert!(event.other.contains(part), "{part}: {}", event.other);
    }
    assert!(event.other.starts_with("<detail>") && event.other.ends_with("</detail>"));
    // Typed fields are dropped there, so they are not written; groups, provenance and hops neither.
    assert_eq!(
        (event.battery, event.speed, event.ploc.as_str()),
        (0, 0.0, "")
    );
    assert!(first.federate_provenance.is_empty() && first.federate_groups.is_empty());
    let created = first.contact.unwrap();
    assert_eq!(
        (
            created.operation,
            created.uid.as_str(),
            created.callsign.as_str()
        ),
        (1, "hawk", "HAWK & CO")
    );

    let moved = POSITION.replace("1.5", "2.5");
    let mut again = ours("hawk", "a-f-G-U-C", &moved);
    // A second later.
    let mut later = FederatedEvent::decode(&*again).unwrap();
    later.event.as_mut().unwrap().send_time += 1000;
    again = later.encode_to_vec();
    assert_eq!(
        sent(&mut desk, &again).unwrap().unwrap().contact,
        None,
        "once"
    );
}

#[test]
fn a_lone_contact_is_not_sent_and_a_delete_only_for_whom_it_knows() {
    let mut desk = Desk::new(1);
    assert_eq!(
        sent(
            &mut desk,
            &contact(ContactOperation::Create, "hawk", "HAWK")
        ),
        Ok(None)
    );
    assert_eq!(
        sent(
            &mut desk,
            &contact(ContactOperation::Delete, "hawk", "a-f-G")
        ),
        Ok(None)
    );
    let delete = "<link uid='hawk' type='a-f-G' relation='p-p'/>";
    let mut told = contact(ContactOperation::Delete, "hawk", "a-f-G");
    told.extend(ours("gone", class_of_delete(), delete));
    assert_eq!(sent(&mut desk, &told), Err(Reason::NoDestination));

    sent(&mut desk, &ours("hawk", "a-f-G-U-C", POSITION)).unwrap();
    let deleted = sent(&mut desk, &told).unwrap().unwrap();
    assert_eq!(deleted.event.unwrap().r#type, "t-x-d-d");
    let entry = ContactListEntry {
        operation: 4,
        uid: "hawk".into(),
        callsign: "a-f-G".into(),
        ..ContactListEntry::default()
    };
    assert_eq!(deleted.contact, Some(entry.clone()));
    assert_eq!(
        sent(&mut desk, &told),
        Err(Reason::NoDestination),
        "it knows it no more"
    );

    sent(&mut desk, &ours("kite", "a-f-G-U-C", POSITION)).unwrap();
    let left = sent(
        &mut desk,
        &contact(ContactOperation::Delete, "kite", "a-f-G"),
    )
    .unwrap()
    .unwrap();
    assert_eq!(left.contact.unwrap().uid, "kite");
    assert!(
        left.event.unwrap().other.contains("uid=\"kite\""),
        "not alone either"
    );
}

fn class_of_delete() -> &'static str {
    std::str::from_utf8(class::DELETE).unwrap()
}

#[test]
fn what_crossed_once_does_not_cross_again_either_way() {
    let mut desk = Desk::new(1);
    let message = ours("hawk", "a-f-G-U-C", POSITION);
    let out = sent(&mut desk, &message).unwrap().unwrap();
    let mut back = out.clone();
    back.event.as_mut().unwrap().other = "<detail><marti><dest /></marti></detail>".into();
    let mut edits = Vec::new();
    assert_eq!(
        desk.incoming(&back.encode_to_vec(), &mut edits, NOW),
        Err(Reason::Duplicate)
    );
    // Theirs, which another federate brings round to us.
    let mut theirs = out;
    theirs.event.as_mut().unwrap().uid = "fox".into();
    let theirs = theirs.encode_to_vec();
    assert_eq!(desk.incoming(&theirs, &mut edits, NOW), Ok(()));
    assert!(edits.is_empty());
    assert_eq!(sent(&mut desk, &theirs), Err(Reason::Duplicate));
    // It forgets in time: memory is bounded.
    for number in 0..CROSSED {
        sent(
            &mut desk,
            &ours(
                &format!("u{number}"),
                "a-h-G",
                "<track speed='1' course='1'/>",
            ),
        )
        .unwrap();
    }
    assert_eq!(desk.incoming(&theirs, &mut edits, NOW), Ok(()));
}

#[test]
fn times_that_it_lost_are_made_up() {
    let mut desk = Desk::new(1);
    let event = GeoEvent {
        uid: "fox".into(),
        r#type: "a-f-G".into(),
        coord_source: "m-g".into(),
        start_time: 5,
        ..GeoEvent::default()
    };
    let message = FederatedEvent {
        event: Some(event),
        ..FederatedEvent::default()
    }
    .encode_to_vec();
    let mut edits = Vec::new();
    desk.incoming(&message, &mut edits, NOW).unwrap();
    let whole = [&*message, &edits].concat();
    let read = fig::parse(&whole, b"").unwrap().event.unwrap();
    assert_eq!((read.time, read.start, read.stale), (NOW, 5, NOW + LIFE_MS));
    assert_eq!(read.uid, b"fox");
    // Two without any times are two: nothing tells them apart from one that came back.
    let none = FederatedEvent {
        event: Some(GeoEvent {
            uid: "x".into(),
            r#type: "a-f-G".into(),
            ..GeoEvent::default()
        }),
        ..FederatedEvent::default()
    }
    .encode_to_vec();
    assert_eq!(desk.incoming(&none, &mut edits, NOW), Ok(()));
    assert_eq!(desk.incoming(&none, &mut edits, NOW), Ok(()));
}

#[test]
fn what_does_not_fit_into_a_record_is_not_sent() {
    let mut desk = Desk::new(1);
    let of = |length: usize| {
        ours(
            "big",
            "b-m-r",
            &format!("<remarks>{}</remarks>", "x".repeat(length)),
        )
    };
    assert!(sent(&mut desk, &of(16_000)).unwrap().is_some());
    let mut longer = FederatedEvent::decode(&*of(16_400)).unwrap();
    longer.event.as_mut().unwrap().send_time += 1;
    assert_eq!(
        sent(&mut desk, &longer.encode_to_vec()),
        Err(Reason::Oversize)
    );
}

#[test]
fn the_memory_of_contacts_is_bounded() {
    let mut desk = Desk::new(1);
    for number in 0..TOLD + 10 {
        let created = sent(
            &mut desk,
            &ours(&format!("u{number}"), "a-f-G-U-C", POSITION),
        )
        .unwrap()
        .unwrap();
        assert!(created.contact.is_some());
    }
    assert_eq!(desk.told.len(), TOLD);
    assert!(desk.told.is_sorted());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let mut desk = Desk::new(1);
        let mut out = Vec::new();
        let _ = desk.outgoing(&bytes, &mut out, NOW);
        let _ = desk.incoming(&bytes, &mut out, NOW);
    }
}
