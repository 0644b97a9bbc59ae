//! Links that speak TAK protocol v1 beside the others.

use super::*;
use crate::cot::tak;
use crate::wire::tak::framing::{self, Found};
use crate::wire::{proto, tak as wire};

fn tak_client(router: &mut Router) -> LinkId {
    let id = client(router);
    router.set_wire(id, Wire::Tak);
    id
}

fn message(xml: &str) -> Vec<u8> {
    let mut out = Vec::new();
    tak::encode::put_event(&mut out, &crate::wire::xml::parse(xml.as_bytes()).unwrap()).unwrap();
    out
}

/// What a link on TAK protocol v1 is sent, without framing.
fn said(router: &mut Router, id: LinkId) -> Vec<Vec<u8>> {
    let bytes = take(router, id);
    let (mut rest, mut messages) = (bytes.as_slice(), Vec::new());
    while let Found::Message { start, end } = framing::next(rest, 1 << 20) {
        messages.push(rest[start..end].to_vec());
        rest = &rest[end..];
    }
    assert!(rest.is_empty());
    messages
}

const POSITION: &str = "<detail><contact callsign=\"HAWK\" endpoint=\"*:-1:stcp\"/><__group name=\"Cyan\" role=\"HQ\"/></detail>";

#[test]
fn a_user_on_protobuf_is_a_contact_like_any_other() {
    let mut router = router(ID_A);
    let (hawk, kite, ibex) = (
        tak_client(&mut router),
        client(&mut router),
        tak_client(&mut router),
    );
    let far = federate(&mut router, "far");
    take(&mut router, far);
    let position = message(&event("hawk", "a-f-G", POSITION));
    assert_eq!(router.receive_tak(hawk, &position, NOW), Verdict::Routed(3));
    // The federate is told of the contact, and then the event.
    let told = messages(&mut router, far);
    let contact = crate::wire::fig::parse(&told[0], b"")
        .unwrap()
        .contact
        .unwrap();
    assert_eq!(
        (contact.uid, contact.callsign),
        (&b"hawk"[..], &b"HAWK"[..])
    );
    assert_eq!(
        said(&mut router, ibex),
        std::slice::from_ref(&position),
        "as it came"
    );
    text(&mut router, kite);
    // By callsign, by uid, and to nobody who is not meant.
    for dest in ["callsign='HAWK'", "uid='hawk'"] {
        let chat = event(
            dest,
            "b-t-f",
            &format!("<detail><marti><dest {dest}/></marti></detail>"),
        );
        let chat = chat.replace(
            &format!("uid=\"{dest}\""),
            &format!("uid=\"to-{}\"", dest.len()),
        );
        assert_eq!(
            router.receive_xml(kite, chat.as_bytes(), NOW),
            Verdict::Routed(1)
        );
        assert_eq!(said(&mut router, hawk).len(), 1);
        assert_eq!(
            (
                take(&mut router, ibex).len(),
                messages(&mut router, far).len()
            ),
            (0, 0)
        );
    }
    let same = router.receive_tak(hawk, &position, NOW);
    assert_eq!(same, Verdict::Dropped(Reason::Duplicate));
    // It leaves: everybody is told, each in its own form.
    router.detach(hawk, NOW);
    let gone = said(&mut router, ibex);
    let gone = wire::parse(&gone[0]).unwrap().event.unwrap();
    assert_eq!(gone.kind, b"t-x-d-d");
    let link = String::from_utf8(gone.detail.unwrap().xml.to_vec()).unwrap();
    assert!(link.contains("uid=\"hawk\""), "{link}");
    assert!(text(&mut router, kite).contains("t-x-d-d"));
}

#[test]
fn a_delete_in_protobuf_is_one_for_federates() {
    let mut router = router(ID_A);
    let (hawk, far) = (tak_client(&mut router), federate(&mut router, "far"));
    take(&mut router, far);
    let gone = "<detail><link relation=\"p-p\" uid=\"item &amp; more\" type=\"b-m-p\"/></detail>";
    router.receive_tak(hawk, &message(&event("x", "t-x-d-d", gone)), NOW);
    let told = messages(&mut router, far);
    let read = crate::wire::fig::parse(&told[0], b"").unwrap();
    let contact = read.contact.unwrap();
    assert_eq!(contact.operation, crate::wire::fig::Operation::Delete);
    assert_eq!(
        (contact.uid, contact.callsign),
        (&b"item & more"[..], &b"b-m-p"[..])
    );
    assert_eq!(read.event.unwrap().kind, b"t-x-d-d");
}

#[test]
fn what_is_kept_is_told_in_every_form() {
    let mut router = router(ID_A);
    let hawk = tak_client(&mut router);
    let mut position = message(&event("hawk", "a-f-G", POSITION));
    // A field of a version yet to come.
    proto::put_bytes(&mut position, 77, b"unknown");
    router.receive_tak(hawk, &position, NOW);
    let kite = router.attach(
        LinkSpec::Client {
            address: String::new(),
            network: Network::LOCAL,
        },
        NOW,
    );
    assert!(text(&mut router, kite).contains("callsign=\"HAWK\""));
    let ibex = router.attach(
        LinkSpec::Client {
            address: String::new(),
            network: Network::LOCAL,
        },
        NOW,
    );
    router.set_wire(ibex, Wire::Tak);
    assert_eq!(said(&mut router, ibex), [position]);
    let far = federate(&mut router, "far");
    let told = messages(&mut router, far);
    let event = crate::wire::fig::parse(told.last().unwrap(), b"")
        .unwrap()
        .event
        .unwrap();
    assert_eq!(event.uid, b"hawk");
    // And what came in another form is told in this one.
    router.receive_xml(kite, self::event("kite", "a-f-G", POSITION).as_bytes(), NOW);
    let late = router.attach(
        LinkSpec::Client {
            address: String::new(),
            network: Network::LOCAL,
        },
        NOW,
    );
    router.set_wire(late, Wire::Tak);
    let uids: Vec<Vec<u8>> = said(&mut router, late)
        .iter()
        .map(|message| wire::parse(message).unwrap().event.unwrap().uid.to_vec())
        .collect();
    assert_eq!(uids, [b"hawk", b"kite"]);
}

#[test]
fn messages_of_a_wrong_clock_are_corrected_and_keep_their_bytes() {
    let mut router = router(ID_A);
    let (hawk, kite, ibex) = (
        tak_client(&mut router),
        client(&mut router),
        tak_client(&mut router),
    );
    let mut last = None;
    for number in 0..60u64 {
        let now = Now {
            mono_ms: 1000 * number,
            wall_ms: NOW.wall_ms + 1000 * number.cast_signed(),
        };
        let made = crate::wire::stamp::write(now.wall_ms + 600_000).unwrap();
        let made = String::from_utf8(made.to_vec()).unwrap();
        let xml = event("hawk", "a-f-G", POSITION).replace("2026-09-21T14:13:20.123Z", &made);
        let came = message(&xml);
        router.receive_tak(hawk, &came, now);
        let (plain, same) = (text(&mut router, kite), said(&mut router, ibex));
        last = Some((now, came, plain, same));
    }
    let (now, came, plain, same) = last.unwrap();
    assert!(router.local_counters().corrected > 0);
    assert!(
        same[0].starts_with(&came) && same[0].len() > came.len(),
        "appended to"
    );
    let shown = crate::wire::xml::parse(plain.as_bytes())
        .unwrap()
        .time
        .unwrap();
    let corrected = wire::parse(&same[0]).unwrap().event.unwrap();
    assert_eq!(corrected.time, Some(shown));
    assert!(
        (shown - now.wall_ms).abs() < 5_000,
        "{}",
        shown - now.wall_ms
    );
}

#[test]
fn a_client_that_switches_gets_what_waited_in_the_new_form() {
    let mut router = router(ID_A);
    let (hawk, kite) = (client(&mut router), client(&mut router));
    for number in 0..5 {
        let track = event(&format!("t{number}"), "a-h-G", "<detail/>");
        router.receive_xml(kite, track.as_bytes(), NOW);
    }
    router.switch_to_tak(hawk, b"<answer/>", NOW);
    let track = event("t5", "a-h-G", "<detail/>");
    router.receive_xml(kite, track.as_bytes(), NOW);
    let stream = take(&mut router, hawk);
    let at = memchr::memmem::find(&stream, b"<answer/>").unwrap();
    let mut uids = Vec::new();
    let mut rest = &stream[at + b"<answer/>".len()..];
    while let Found::Message { start, end } = framing::next(rest, 1 << 20) {
        uids.push(
            wire::parse(&rest[start..end])
                .unwrap()
                .event
                .unwrap()
                .uid
                .to_vec(),
        );
        rest = &rest[end..];
    }
    let before = String::from_utf8(stream[..at].to_vec()).unwrap();
    let whole = before.matches("<event").count() + uids.len();
    assert_eq!((rest.len(), whole), (0, 6), "{before} {uids:?}");
    assert!(uids.contains(&b"t5".to_vec()));
    // Once is enough.
    router.switch_to_tak(hawk, b"<answer/>", NOW);
    assert_eq!(take(&mut router, hawk), b"");
}
