use super::*;
use crate::counters::Reason;
use crate::route::{Network, Verdict, Wire};

fn settings() -> Settings {
    let limits = crate::config::Limits::default();
    Settings::of(&limits, "a".repeat(32), 7)
}

fn at(ms: u64) -> Now {
    Now {
        mono_ms: ms,
        wall_ms: 1_790_000_000_000 + ms as i64,
    }
}

fn event(uid: &str, kind: &str, detail: &str, ms: u64) -> Vec<u8> {
    let time = |ms| String::from_utf8_lossy(&stamp::write(ms).unwrap()).into_owned();
    let (now, stale) = (time(at(ms).wall_ms), time(at(ms + 60_000).wall_ms));
    format!(
        "<event version='2.0' uid='{uid}' type='{kind}' time='{now}' start='{now}' stale='{stale}' how='m-g'>\
         <point lat='1' lon='2' hae='3' ce='4' le='5'/><detail>{detail}</detail></event>"
    )
    .into_bytes()
}

fn contact(callsign: &str) -> String {
    format!("<contact callsign='{callsign}' endpoint='*:-1:stcp'/><__group name='Cyan' role='HQ'/>")
}

fn federate(name: &str, incoming: bool) -> LinkSpec {
    LinkSpec::Federate {
        name: name.to_owned(),
        incoming,
        outgoing: true,
        wire: Wire::Federated,
    }
}

/// A box's day: every kind of verdict that a router gives.
fn a_day() -> (Router, Vec<Verdict>) {
    let mut router = Router::new(settings());
    let peers = ["bravo", "charlie"].map(|name| PeerSpec {
        name: name.to_owned(),
        incoming: name == "bravo",
        outgoing: true,
        correct_clock: false,
    });
    router.set_peers(&peers);
    let address = "test".to_owned();
    let hawk = router.attach(
        LinkSpec::Client {
            address: address.clone(),
            network: Network::LOCAL,
        },
        at(1),
    );
    let otter = router.attach(
        LinkSpec::Client {
            address,
            network: Network::LOCAL,
        },
        at(2),
    );
    let bravo = router.attach(federate("bravo", true), at(3));
    let charlie = router.attach(federate("charlie", false), at(4));
    let mut verdicts = Vec::new();
    let mut xml = |router: &mut Router, link, bytes: &[u8], ms| {
        verdicts.push(router.receive_xml(link, bytes, at(ms)));
    };
    xml(
        &mut router,
        hawk,
        &event("hawk-uid", "a-f-G-U-C", &contact("HAWK"), 10),
        10,
    );
    xml(
        &mut router,
        otter,
        &event("otter-uid", "a-f-G-U-C", &contact("OTTER"), 11),
        11,
    );
    for ms in 12..40 {
        xml(&mut router, hawk, &event("a-track", "a-h-G", "", ms), ms);
    }
    let same = event("same", "a-h-G", "", 50);
    xml(&mut router, hawk, &same, 50);
    xml(&mut router, otter, &same, 51);
    let to = |callsign: &str| format!("<marti><dest callsign='{callsign}'/></marti>");
    xml(
        &mut router,
        hawk,
        &event("chat-1", "b-t-f", &to("OTTER"), 60),
        60,
    );
    xml(
        &mut router,
        hawk,
        &event("chat-2", "b-t-f", &to("GHOST"), 61),
        61,
    );
    xml(&mut router, hawk, b"<event uid='broken'</event>", 62);
    xml(
        &mut router,
        hawk,
        &event(
            "a-track",
            "t-x-d-d",
            "<link uid='a-track' type='a-h-G' relation='none'/>",
            63,
        ),
        63,
    );
    let envelope = |id: &str| Envelope::new(id.repeat(32).as_bytes());
    let message = |id: &str, bytes: &[u8]| {
        let mut out = Vec::new();
        envelope(id)
            .put_event(&mut out, &xml::parse(bytes).unwrap())
            .unwrap();
        out
    };
    let mut federated = |router: &mut Router, link, bytes: &[u8], ms| {
        verdicts.push(router.receive_federated(link, bytes, at(ms)));
    };
    federated(
        &mut router,
        bravo,
        &message("b", &event("far", "a-f-A", "", 70)),
        70,
    );
    federated(
        &mut router,
        bravo,
        &message("b", &event("far", "a-f-A", "", 70)),
        71,
    );
    federated(
        &mut router,
        bravo,
        &message("a", &event("came-back", "a-f-A", "", 72)),
        72,
    );
    federated(
        &mut router,
        charlie,
        &message("c", &event("unwanted", "a-f-A", "", 73)),
        73,
    );
    federated(
        &mut router,
        bravo,
        &message("b", &event("m", "t-x-m-c", "", 74)),
        74,
    );
    let tak = |bytes: &[u8]| {
        let mut out = Vec::new();
        crate::cot::tak::encode::put_event(&mut out, &xml::parse(bytes).unwrap()).unwrap();
        out
    };
    let to = |uid: &str| format!("<marti><dest uid='{uid}'/></marti>");
    for message in [
        tak(&event(
            "of-protobuf",
            "a-h-G",
            "<track speed='1' course='2'/>",
            75,
        )),
        tak(&event(
            "of-protobuf",
            "a-h-G",
            "<track speed='1' course='2'/>",
            75,
        )),
        tak(&event("chat-3", "b-t-f", &to("GHOST"), 76)),
        b"\x12\x7f".to_vec(),
    ] {
        verdicts.push(router.receive_tak(hawk, &message, at(77)));
    }
    router.detach(bravo, at(80));
    let late = router.receive_xml(hawk, &event("a-track", "a-h-G", "", 81), at(81));
    verdicts.push(late);
    (router, verdicts)
}

fn recording(router: &Router) -> Recording {
    Recording {
        federate_id: "a".repeat(32),
        repeat_ms: 30_000,
        contacts: router.book(),
        ..router.recorder().recording().unwrap()
    }
}

#[test]
fn a_day_gone_through_again_is_decided_the_same() {
    let (router, verdicts) = a_day();
    for dropped in [
        Reason::Duplicate,
        Reason::NoDestination,
        Reason::Malformed,
        Reason::Loop,
        Reason::IncomingOff,
        Reason::MissionChange,
    ] {
        assert!(
            verdicts.contains(&Verdict::Dropped(dropped)),
            "{dropped}: {verdicts:?}"
        );
    }
    let recording = recording(&router);
    let recording = Recording::from_bytes(&recording.to_bytes()).unwrap();
    let mut told = Vec::new();
    let summary = replay(&recording, |note, replayed| {
        told.push((note.clone(), replayed.cloned()));
    });
    let all = Summary {
        same: verdicts.len(),
        different: 0,
        skipped: 0,
    };
    assert_eq!(summary, all, "{told:#?}");
}

#[test]
fn another_decision_is_told_as_one() {
    let (router, _) = a_day();
    let mut recording = recording(&router);
    for note in &mut recording.notes {
        if let What::Up {
            kind: LinkKind::Federate { incoming, .. },
            ..
        } = &mut note.what
        {
            *incoming = true;
        }
    }
    let mut others = Vec::new();
    let summary = replay(&recording, |note, replayed| {
        if let (What::Event { uid, .. }, Some(Replayed::Different(decided))) =
            (&note.what, replayed)
        {
            others.push((uid.clone(), decided.clone()));
        }
    });
    assert_eq!((summary.different, summary.skipped), (1, 0));
    assert_eq!(others, [("unwanted".to_owned(), Decided::Routed(3))]);
}

#[test]
fn what_began_before_the_recording_is_skipped_with_a_word_or_known() {
    let (router, verdicts) = a_day();
    let mut cut = recording(&router);
    // As if the ring had gone round: the first chat is answered by the phone book alone, the first of the two that
    // are the same is gone.
    let first = cut
        .notes
        .iter()
        .position(|note| note.mono_ms == 51)
        .unwrap();
    cut.links = vec![
        (0, LinkKind::Client, "test".to_owned()),
        (1, LinkKind::Client, "test".to_owned()),
        (
            2,
            LinkKind::Federate {
                incoming: true,
                outgoing: true,
            },
            "bravo".to_owned(),
        ),
        (
            3,
            LinkKind::Federate {
                incoming: false,
                outgoing: true,
            },
            "charlie".to_owned(),
        ),
    ];
    let numbers: Vec<u16> = cut
        .notes
        .iter()
        .filter_map(|note| match &note.what {
            What::Up { link, .. } => Some(*link),
            _ => None,
        })
        .collect();
    for (link, number) in cut.links.iter_mut().zip(numbers) {
        link.0 = number;
    }
    let notes = cut.notes.split_off(first);
    let summary = replay(&Recording { notes, ..cut }, |_, _| {});
    assert_eq!((summary.different, summary.skipped), (0, 1));
    assert!(
        summary.same < verdicts.len() && summary.same >= 9,
        "{summary:?}"
    );
}

#[test]
fn what_a_filter_kept_back_is_kept_back_again() {
    use crate::config::filter::{Filter, Filters};
    use crate::route::policy::Policy;
    let mut router = Router::new(settings());
    let hawk = LinkSpec::Client {
        address: "test".to_owned(),
        network: Network::LOCAL,
    };
    let hawk = router.attach(hawk, at(1));
    let bravo = router.attach(federate("bravo", true), at(2));
    let filter = Filter {
        block_types: vec!["a-h".to_owned()],
        ..Filter::default()
    };
    let filters = Filters {
        incoming: Some(filter.clone()),
        outgoing: Some(filter),
    };
    let policy = Policy::of(&filters, true, true);
    router.set_policies([("bravo", policy)].into_iter(), at(3));
    let mut verdicts = Vec::new();
    for (number, kind) in [(4, "a-h-G"), (5, "a-f-G"), (6, "b-a-o-tbl")] {
        let xml = event("x", kind, "", number);
        verdicts.push(router.receive_xml(hawk, &xml, at(number)));
    }
    let mut message = Vec::new();
    let xml = event("y", "a-h-A", "", 7);
    let theirs = Envelope::new("b".repeat(32).as_bytes());
    theirs
        .put_event(&mut message, &xml::parse(&xml).unwrap())
        .unwrap();
    verdicts.push(router.receive_federated(bravo, &message, at(7)));
    assert_eq!(
        verdicts,
        [
            Verdict::Routed(0),
            Verdict::Routed(1),
            Verdict::Routed(1),
            Verdict::Dropped(Reason::Filtered)
        ]
    );
    let recording = recording(&router);
    let recording = Recording::from_bytes(&recording.to_bytes()).unwrap();
    let summary = replay(&recording, |_, _| {});
    assert_eq!((summary.same, summary.different), (4, 0), "{recording:#?}");
}
