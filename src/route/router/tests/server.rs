//! Links to TAK servers: users come and go, nothing comes back, private words stay private.

use super::*;
use crate::route::link::Role;

const MINUTE: u64 = 60_000;

fn server(router: &mut Router, name: &str) -> LinkId {
    router.attach(
        LinkSpec::Neighbour {
            name: name.to_owned(),
            role: Role::Server,
            network: Network::LOCAL,
            incoming: true,
            outgoing: true,
        },
        NOW,
    )
}

fn at(mono_ms: u64) -> Now {
    Now {
        mono_ms,
        wall_ms: NOW.wall_ms + mono_ms as i64 - NOW.mono_ms as i64,
    }
}

/// A position as of `now`, good for a minute.
fn position(uid: &str, callsign: &str, now: Now) -> String {
    let time = |ms| String::from_utf8(stamp::write(ms).unwrap().to_vec()).unwrap();
    presence(uid, callsign)
        .replace("2026-09-21T14:13:20.123Z", &time(now.wall_ms))
        .replace(
            "2036-09-21T14:13:20.123Z",
            &time(now.wall_ms + MINUTE as i64),
        )
}

fn chat(inner: &str) -> String {
    event("GeoChat.x", "b-t-f", &format!("<detail>{inner}</detail>"))
}

/// Contact entries and deletes that a federate was told.
fn told(a: &mut Router, to_b: LinkId) -> Vec<String> {
    let contacts = messages(a, to_b);
    let contacts = contacts.iter().filter_map(|message| {
        let read = crate::wire::fig::parse(message, b"x").ok()?;
        let contact = read.contact?;
        let uid = String::from_utf8_lossy(contact.uid);
        Some(format!("{:?} {uid}", contact.operation))
    });
    contacts.collect()
}

#[test]
fn users_of_a_server_come_and_go_as_contacts() {
    let mut a = router(ID_A);
    let (near, to_b, ots) = (client(&mut a), federate(&mut a, "b"), server(&mut a, "ots"));
    take(&mut a, to_b);
    let said = position("u", "HAWK", NOW);
    assert_eq!(a.receive_xml(ots, said.as_bytes(), NOW), Verdict::Routed(2));
    assert_eq!(told(&mut a, to_b), ["Create u"]);
    assert_eq!(
        (a.users_of(Role::Server, "ots"), text(&mut a, near)),
        (1, said)
    );
    a.expire_contacts(ots, at(NOW.mono_ms + MINUTE - 1000));
    assert_eq!(told(&mut a, to_b), [""; 0], "not stale yet");
    a.expire_contacts(ots, at(NOW.mono_ms + 2 * MINUTE));
    assert_eq!(told(&mut a, to_b), ["Delete u"]);
    assert!(text(&mut a, near).contains("t-x-d-d"));

    // A goodbye, and a login that breaks.
    let later = at(NOW.mono_ms + 3 * MINUTE);
    for uid in ["v", "w"] {
        a.receive_xml(ots, position(uid, uid, later).as_bytes(), later);
    }
    let goodbye = event(
        "g",
        "t-x-d-d",
        "<detail><link relation=\"p-p\" uid=\"v\" type=\"a-f-G\"/></detail>",
    );
    a.receive_xml(ots, goodbye.as_bytes(), later);
    assert_eq!(told(&mut a, to_b), ["Create v", "Create w", "Delete v"]);
    a.detach(ots, later);
    assert_eq!(told(&mut a, to_b), ["Delete w"]);
    assert_eq!(a.contacts(), 0);
}

#[test]
fn what_comes_back_from_a_server_goes_nowhere() {
    let mut a = router(ID_A);
    let (hawk, ots) = (client(&mut a), server(&mut a, "ots"));
    let to_b = federate(&mut a, "b");
    take(&mut a, to_b);
    a.receive_xml(hawk, position("u", "HAWK", NOW).as_bytes(), NOW);
    let given = text(&mut a, ots);
    assert!(
        given.contains("<_flow-tags_ Tombolo-aaaaaaaaaaaaaaaa="),
        "{given}"
    );
    take(&mut a, to_b);
    // Written anew by the server, with whole seconds, another order, its own mark beside ours.
    let second = &given[given.find("time=\"").unwrap() + 6..][..20];
    let anew = given
        .replace(&format!("{second}000Z"), &format!("{}Z", &second[..19]))
        .replace(
            "<_flow-tags_",
            "<_flow-tags_ TAK-Server-1=\"2026-01-01T00:00:00Z\"",
        )
        .replace("lat=\"1.5\"", "lat=\"1.500000\"");
    // Without any mark: some servers lose what they do not know.
    let from = given.find("<_flow-tags_").unwrap();
    let unmarked = format!(
        "{}{}",
        &given[..from],
        &given[given.find("</detail>").unwrap()..]
    )
    .replace("lat=\"1.5\"", "lat=\"1.50\"");
    let ourselves = position(&flow_tag::own_uid(ID_A), "ALPHA", NOW);
    let gone = event(
        "g",
        "t-x-d-d",
        "<detail><link relation=\"p-p\" uid=\"u\" type=\"a-f-G\"/></detail>",
    );
    for echo in [&anew, &unmarked, &ourselves, &gone] {
        let verdict = a.receive_xml(ots, echo.as_bytes(), NOW);
        assert_eq!(verdict, Verdict::Dropped(Reason::Loop), "{echo}");
    }
    assert_eq!(
        (text(&mut a, hawk), told(&mut a, to_b)),
        (String::new(), vec![])
    );
    assert_eq!(a.users_of(Role::Server, "ots"), 0);
    let counters = a.neighbour_counters(Role::Server, "ots").unwrap();
    assert_eq!((counters.events_in, counters.dropped(Reason::Loop)), (0, 4));
    // He goes over to the server: that is news.
    let moved = position("u", "HAWK", at(NOW.mono_ms + 5000));
    assert_eq!(
        a.receive_xml(ots, moved.as_bytes(), at(NOW.mono_ms + 5000)),
        Verdict::Routed(2)
    );
    assert_eq!(a.users_of(Role::Server, "ots"), 1);
}

#[test]
fn a_mark_that_comes_by_federation_is_known_too() {
    let (mut a, mut b) = (router(ID_A), router(ID_B));
    let (hawk, ots) = (client(&mut a), server(&mut a, "ots"));
    let (other, to_b, to_a) = (
        server(&mut b, "ots"),
        federate(&mut a, "b"),
        federate(&mut b, "a"),
    );
    a.receive_xml(hawk, event("m", "b-m-p-s-m", "<detail/>").as_bytes(), NOW);
    // Both boxes are logged in at the same server.
    let given = text(&mut a, ots);
    b.receive_xml(other, given.as_bytes(), NOW);
    assert!(carry(&mut b, to_a, &mut a, to_b).contains(&Verdict::Dropped(Reason::Loop)));
    assert_eq!(text(&mut a, hawk), "");
    // Somebody moves the marker; his device keeps what it does not know.
    let moved = given.replacen("14:13:20.123", "14:14:20.123", 1);
    b.receive_xml(other, moved.as_bytes(), NOW);
    assert!(carry(&mut b, to_a, &mut a, to_b).contains(&Verdict::Routed(2)));
    let again = text(&mut a, ots);
    assert_eq!(
        again
            .matches("Tombolo-aaaaaaaaaaaaaaaa=\"2026-09-21T14:14:20.123Z\"")
            .count(),
        1
    );
}

#[test]
fn a_private_word_stays_private_when_the_server_took_its_address_out() {
    let mut a = router(ID_A);
    let (hawk, otter, ots) = (client(&mut a), client(&mut a), server(&mut a, "ots"));
    let to_b = federate(&mut a, "b");
    for (link, uid, callsign) in [
        (hawk, "h", "HAWK"),
        (otter, "o", "OTTER"),
        (ots, "s", "SWAN"),
    ] {
        a.receive_xml(link, position(uid, callsign, NOW).as_bytes(), NOW);
    }
    for link in [hawk, otter, ots, to_b] {
        take(&mut a, link);
    }
    let group = |to: &str| {
        format!(
            "<__chat parent=\"RootContactGroup\" chatroom=\"{to}\" id=\"{to}\" senderCallsign=\"SWAN\">\
             <chatgrp uid0=\"s\" uid1=\"{to}\" id=\"{to}\"/></__chat>"
        )
    };
    assert_eq!(
        a.receive_xml(ots, chat(&group("h")).as_bytes(), NOW),
        Verdict::Routed(1)
    );
    assert!(text(&mut a, hawk).contains("<marti><dest uid=\"h\"/></marti>"));
    assert_eq!(text(&mut a, otter), "");
    let nobody = a.receive_xml(
        ots,
        chat(&group("gone"))
            .replace("GeoChat.x", "GeoChat.y")
            .as_bytes(),
        NOW,
    );
    assert_eq!(nobody, Verdict::Dropped(Reason::NoDestination));
    let all = group("All Chat Rooms");
    assert_eq!(
        a.receive_xml(
            ots,
            chat(&all).replace("GeoChat.x", "GeoChat.z").as_bytes(),
            NOW
        ),
        Verdict::Routed(3)
    );
    take(&mut a, otter);
    // And the other way: the server gets what is for its user, and for nobody else.
    let answer = chat("<marti><dest callsign=\"SWAN\"/></marti>");
    assert_eq!(
        a.receive_xml(hawk, answer.as_bytes(), NOW),
        Verdict::Routed(1)
    );
    assert!(text(&mut a, ots).contains("<dest callsign=\"SWAN\"/>"));
    assert_eq!(text(&mut a, otter), "");
}

#[test]
fn a_word_that_a_server_hands_back_changed_is_known_by_its_uid() {
    let mut a = router(ID_A);
    let (hawk, otter, ots) = (client(&mut a), client(&mut a), server(&mut a, "ots"));
    let said = chat("<remarks>hello</remarks>");
    assert_eq!(
        a.receive_xml(hawk, said.as_bytes(), NOW),
        Verdict::Routed(2)
    );
    take(&mut a, otter);
    let back = said.replace("<detail>", "<detail remarks=\"hello\">");
    assert_eq!(
        a.receive_xml(ots, back.as_bytes(), NOW),
        Verdict::Dropped(Reason::Loop)
    );
    let receipt = back.replace("b-t-f", "b-t-f-d");
    assert_eq!(
        a.receive_xml(ots, receipt.as_bytes(), NOW),
        Verdict::Routed(2)
    );
    let next = back.replace("GeoChat.x", "GeoChat.y");
    assert_eq!(a.receive_xml(ots, next.as_bytes(), NOW), Verdict::Routed(2));
}

#[test]
fn what_a_server_says_to_its_clients_stays_there() {
    let mut a = router(ID_A);
    let (near, ots) = (client(&mut a), server(&mut a, "ots"));
    for (kind, reason) in [
        ("t-x-m-c", Reason::MissionChange),
        ("t-x-g-c", Reason::ControlMessage),
    ] {
        let said = event("x", kind, "<detail/>");
        assert_eq!(
            a.receive_xml(ots, said.as_bytes(), NOW),
            Verdict::Dropped(reason)
        );
    }
    assert_eq!(text(&mut a, near), "");
    // A client's own word about a mission goes to no server either, and one addressed to a mission does.
    a.receive_xml(near, event("y", "t-x-m-c", "<detail/>").as_bytes(), NOW);
    assert_eq!(text(&mut a, ots), "");
    let addressed = event(
        "z",
        "a-f-G",
        "<detail><marti><dest mission=\"m\"/></marti></detail>",
    );
    a.receive_xml(near, addressed.as_bytes(), NOW);
    assert!(text(&mut a, ots).contains("mission=\"m\""));
}

#[test]
fn a_server_that_speaks_tak_protocol_v1_is_no_other() {
    let mut a = router(ID_A);
    let (near, to_b, ots) = (client(&mut a), federate(&mut a, "b"), server(&mut a, "ots"));
    a.switch_to_tak(ots, b"", NOW);
    take(&mut a, ots);
    a.receive_xml(near, position("u", "HAWK", NOW).as_bytes(), NOW);
    let given = take(&mut a, ots);
    let mark = b"<_flow-tags_ Tombolo-aaaaaaaaaaaaaaaa=";
    assert_eq!(given[0], 0xbf);
    assert!(memchr::memmem::find(&given, mark).is_some());
    take(&mut a, to_b);
    // The header has two bytes of length.
    let echo = a.receive_tak(ots, &given[3..], NOW);
    assert_eq!(echo, Verdict::Dropped(Reason::Loop));
    // Its own user comes, goes without a word, and writes to one of ours: TAK Server takes the address out.
    let said = a.in_tak(position("s", "SWAN", NOW).as_bytes()).unwrap();
    assert_eq!(a.receive_tak(ots, &said, NOW), Verdict::Routed(2));
    assert_eq!(a.users_of(Role::Server, "ots"), 1);
    let chat = chat(
        "<__chat parent=\"RootContactGroup\" chatroom=\"HAWK\" id=\"u\" senderCallsign=\"SWAN\">\
         <chatgrp uid0=\"s\" uid1=\"u\" id=\"u\"/></__chat>",
    );
    let chat = a.in_tak(chat.as_bytes()).unwrap();
    assert_eq!(a.receive_tak(ots, &chat, NOW), Verdict::Routed(1));
    assert!(text(&mut a, near).contains("<marti><dest uid=\"u\"/></marti>"));
    a.expire_contacts(ots, at(NOW.mono_ms + 3 * MINUTE));
    assert_eq!(told(&mut a, to_b), ["Create s", "Delete s"]);
}

#[test]
fn who_logs_in_late_is_given_the_latest_with_our_mark() {
    let mut a = router(ID_A);
    let near = client(&mut a);
    a.receive_xml(near, position("u", "HAWK", NOW).as_bytes(), NOW);
    let ots = server(&mut a, "ots");
    let given = text(&mut a, ots);
    assert!(
        given.contains("uid=\"u\"") && given.contains("Tombolo-aaaaaaaaaaaaaaaa"),
        "{given}"
    );
    assert_eq!(
        a.receive_xml(ots, given.as_bytes(), NOW),
        Verdict::Dropped(Reason::Loop)
    );
    // A second login is given it again, and nothing of its own.
    let theirs = position("s", "SWAN", NOW);
    a.receive_xml(ots, theirs.as_bytes(), NOW);
    a.detach(ots, NOW);
    assert_eq!(server(&mut a, "ots"), ots);
    let again = text(&mut a, ots);
    assert!(
        again.contains("uid=\"u\"") && !again.contains("SWAN"),
        "{again}"
    );
}
