//! TAK protocol v1 on TLS clients: offered, asked for, and spoken beside clients on XML and federates.

use crate::support::{
    Authority, Detail, Device, QUIET, Setup, TakDevice, TakMessage, TomboloBox, chat, eventually,
    joined_pair, position, request, track,
};

fn alone() -> TomboloBox {
    let authority = Authority::new("alpha-ca");
    Setup::new("alpha")
        .identity(&authority.issue("alpha"))
        .start()
}

fn with_xml(uid: &str, xml: &str) -> TakMessage {
    let detail = Detail {
        xml: xml.to_owned(),
        ..Detail::default()
    };
    TakMessage::of(uid, "a-h-G-U-C", detail)
}

#[test]
fn offered_to_tls_clients_and_to_nobody_else() {
    let alpha = alone();
    let mut hawk = TakDevice::connect(alpha.clients_tls(), &alpha.issue("hawk"));
    let kite = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(2);
    let offer = hawk.expect_xml("the offer", |_| true);
    assert!(
        offer.contains("type=\"t-x-takp-v\""),
        "the offer comes first: {offer}"
    );
    assert!(
        offer.contains("<TakProtocolSupport version=\"1\"/>"),
        "{offer}"
    );
    // A version that nobody speaks here: the answer is no, and XML goes on both ways.
    hawk.send(request(7));
    hawk.expect_answer(false);
    hawk.send(track("still-in-xml", 1));
    kite.expect_uid("still-in-xml");
    // A plain client is offered nothing, and asking changes nothing.
    kite.send(request(1));
    kite.send(track("from-plain", 1));
    hawk.expect_xml("XML", |xml| xml.contains("from-plain"));
    assert!(
        kite.events()
            .iter()
            .all(|event| !event.kind().starts_with("t-x-takp"))
    );
    // And now the right one.
    hawk.send(request(1));
    hawk.expect_xml("yes", |xml| xml.contains("<TakResponse status=\"true\"/>"));
    hawk.say(&TakMessage::position("hawk-uid", "HAWK"));
    kite.expect_uid("hawk-uid");
}

#[test]
fn beside_xml_clients_and_federates_both_ways() {
    let (alpha, bravo) = joined_pair();
    let mut hawk = TakDevice::switched(alpha.clients_tls(), &alpha.issue("hawk"));
    let mut falcon = TakDevice::switched(alpha.clients_tls(), &alpha.issue("falcon"));
    let kite = Device::plain(alpha.clients_tcp());
    let otter = Device::plain(bravo.clients_tcp());
    alpha.wait_clients(3);
    bravo.wait_clients(1);

    // Out: to a client on XML, to one on protobuf, and over federation.
    let mut position_of_hawk = TakMessage::position("hawk-uid", "HAWK & Co");
    position_of_hawk.future = "from a version yet to come".to_owned();
    hawk.say(&position_of_hawk);
    for client in [&kite, &otter] {
        let came = client.expect_uid("hawk-uid");
        for part in [
            "callsign=\"HAWK &amp; Co\"",
            "<__group name=\"Cyan\" role=\"Team Member\"/>",
            "le=\"9999999.0\"",
            "lat=\"47.0707\"",
            "course=\"90.25\"",
        ] {
            assert!(came.xml.contains(part), "{part} in {}", came.xml);
        }
    }
    assert_eq!(
        falcon.expect_uid("hawk-uid"),
        position_of_hawk,
        "as it came, unknown field and all"
    );

    // In: from a client on XML and from the federate.
    kite.send(position("kite-uid", "KITE"));
    otter.send(position("otter-uid", "OTTER"));
    for (uid, callsign) in [("kite-uid", "KITE"), ("otter-uid", "OTTER")] {
        let came = hawk.expect_uid(uid);
        let detail = came.detail();
        let contact = detail.contact.expect("a contact");
        assert_eq!((&*contact.two, &*contact.one), (callsign, "*:-1:stcp"));
        assert!(detail.group.is_some() && detail.track.is_some());
        assert_eq!(detail.xml, "", "all of it is typed");
        assert_eq!(came.event.expect("an event").le, 999_999.0);
    }

    // Addressed to somebody, both ways and over federation.
    otter.send(chat("otter-uid", "for hawk alone", &[("uid", "hawk-uid")]));
    let said = hawk.expect("the chat", |message| message.kind() == "b-t-f");
    assert!(said.detail().xml.contains("for hawk alone"), "{said:?}");
    let detail = Detail {
        xml: "<__chat/><remarks>for otter alone</remarks><marti><dest callsign=\"OTTER\"/></marti>"
            .to_owned(),
        ..Detail::default()
    };
    hawk.say(&TakMessage::of("chat-of-hawk", "b-t-f", detail));
    assert!(
        otter
            .expect_uid("chat-of-hawk")
            .xml
            .contains("for otter alone")
    );
    hawk.say(&with_xml("fence", "<remarks>for all</remarks>"));
    kite.expect_uid("fence");
    falcon.expect_uid("fence");
    assert_eq!(kite.count("chat-of-hawk"), 0, "not for KITE");
    assert!(
        falcon.all().iter().all(|message| message.kind() != "b-t-f"),
        "not for falcon"
    );

    // A ping is answered in kind.
    hawk.say(&TakMessage::of(
        "ping-of-hawk",
        "t-x-c-t",
        Detail::default(),
    ));
    assert_eq!(hawk.expect_uid("takPong").kind(), "t-x-c-t-r");

    // Somebody leaves: a delete, in kind too.
    drop(kite);
    hawk.expect("the delete", |message| {
        message.kind() == "t-x-d-d" && message.detail().xml.contains("kite-uid")
    });
    // What was kept is told to whoever comes later, once, in the form that it then speaks.
    let mut late = TakDevice::switched(alpha.clients_tls(), &alpha.issue("late"));
    let later = Device::plain(alpha.clients_tcp());
    later.expect_uid("hawk-uid");
    let in_both = |late: &mut TakDevice, uid: &str| {
        late.read();
        let in_xml = late
            .xml
            .iter()
            .filter(|xml| xml.contains(&format!("uid=\"{uid}\"")))
            .count();
        in_xml
            + late
                .all()
                .iter()
                .filter(|message| message.uid() == uid)
                .count()
    };
    for uid in ["hawk-uid", "otter-uid", "fence"] {
        eventually(uid, || (in_both(&mut late, uid) == 1).then_some(()));
    }
}

#[test]
fn nothing_is_lost_or_doubled_while_a_client_switches() {
    const EVENTS: u64 = 400;
    let alpha = alone();
    let kite = Device::plain(alpha.clients_tcp());
    let mut hawk = TakDevice::connect(alpha.clients_tls(), &alpha.issue("hawk"));
    alpha.wait_clients(2);
    for number in 0..EVENTS {
        kite.send(track(&format!("flood-{number}"), number));
        if number == EVENTS / 4 {
            // What comes behind the question in the same write is protobuf already.
            let mut bytes = request(1).into_bytes();
            bytes.push(b'\n');
            bytes.extend(with_xml("behind-the-question", "<remarks/>").framed());
            hawk.send(bytes);
        }
    }
    kite.send(track("fence", EVENTS));
    hawk.expect("the fence", |message| message.uid() == "fence");
    kite.expect_uid("behind-the-question");
    let mut uids: Vec<String> = hawk
        .all()
        .iter()
        .map(|message| message.uid().to_owned())
        .collect();
    uids.extend(hawk.xml.iter().filter_map(|xml| {
        let (_, rest) = xml.split_once("uid=\"flood-")?;
        Some(format!("flood-{}", rest.split('"').next()?))
    }));
    uids.retain(|uid| uid.starts_with("flood-"));
    assert_eq!(uids.len() as u64, EVENTS);
    uids.sort();
    uids.dedup();
    assert_eq!(uids.len() as u64, EVENTS, "each once");
}

#[test]
fn what_is_too_long_for_a_message_goes_to_xml_clients_only() {
    let alpha = alone();
    let mut hawk = TakDevice::switched(alpha.clients_tls(), &alpha.issue("hawk"));
    let [kite, ibex] = [(); 2].map(|()| Device::plain(alpha.clients_tcp()));
    alpha.wait_clients(3);
    let long =
        track("long", 1).replace("<remarks>", &format!("<remarks>{}", "x".repeat(65 * 1024)));
    kite.send(long);
    kite.send(track("fence", 2));
    ibex.expect_uid("long");
    hawk.expect_uid("fence");
    assert!(hawk.all().iter().all(|message| message.uid() != "long"));
    assert_eq!(alpha.status().dropped_local("not_in_tak"), 1);
}

#[test]
fn bad_messages_are_counted_and_hurt_nobody() {
    let alpha = alone();
    let kite = Device::plain(alpha.clients_tcp());
    let leaf = alpha.issue("villain");
    let mut villain = TakDevice::switched(alpha.clients_tls(), &leaf);
    alpha.wait_clients(2);
    let mut number = 0;
    let mut still_passes = |villain: &mut TakDevice| {
        number += 1;
        let uid = format!("good-{number}");
        villain.say(&with_xml(&uid, "<remarks/>"));
        kite.expect_uid(&uid);
    };
    let counted = |reason: &str, least: u64| {
        eventually(reason, || {
            (alpha.status().dropped_local(reason) >= least).then_some(())
        });
    };
    still_passes(&mut villain);
    for (reason, message) in [
        // A length inside the message that lies, a wire type that does not exist, a varint that does not end.
        ("bad_message", b"\x12\x7f\x0a".to_vec()),
        ("bad_message", b"\x17".to_vec()),
        (
            "bad_message",
            [b"\x12\x0c\x30".as_slice(), &[0xff; 11]].concat(),
        ),
        ("not_text", b"\x12\x05\x0a\x03a-\xff".to_vec()),
        ("incomplete", b"\x12\x03\x0a\x01a".to_vec()),
    ] {
        let before = alpha.status().dropped_local(reason);
        villain.send([&[0xbf, message.len() as u8][..], &message].concat());
        counted(reason, before + 1);
        still_passes(&mut villain);
    }
    for (reason, xml) in [
        ("ambiguous", "<event uid='hidden' type='a-f-G'></event>"),
        ("malformed", "</detail><detail>"),
        ("malformed", "<a></b>"),
        ("entity", "<a>&lol;</a>"),
    ] {
        let before = alpha.status().dropped_local(reason);
        villain.say(&with_xml("evil", xml));
        counted(reason, before + 1);
        still_passes(&mut villain);
    }
    assert_eq!(kite.count("evil"), 0);

    // XML where a message should begin: that read is thrown away, and the next one may be good.
    villain.send(track("in-xml-too-late", 1));
    counted("garbage", 1);
    std::thread::sleep(QUIET);
    still_passes(&mut villain);
    assert_eq!(kite.count("in-xml-too-late"), 0);
    // Whoever goes on with it is turned away, and may ask again.
    for times in 2..=17 {
        villain.send(track("in-xml-too-late", times));
        counted("garbage", times);
    }
    villain.expect_closed("it sends XML only");

    // A length that is never meant to come is refused at once, and costs no memory.
    let before = alpha.resident_kib();
    for length in [
        &b"\xff\xff\xff\xff\x07"[..],
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        &[0xff; 11],
    ] {
        let mut villain = TakDevice::switched(alpha.clients_tls(), &leaf);
        let counts = alpha.status().dropped_local("oversize");
        villain.send([&[0xbf][..], length].concat());
        villain.expect_closed("its length cannot be");
        counted("oversize", counts + 1);
    }
    let grown = alpha.resident_kib().saturating_sub(before);
    assert!(grown < 1024, "memory grew by {grown} KiB");
}
