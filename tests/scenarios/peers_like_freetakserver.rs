//! Federation v1 with a peer that behaves as FreeTAKServer was seen to: it sends one certificate, asks for none, and is
//! easily upset.

use serde_json::{Value, json};

use crate::federates_of_version_one::{V1, reported};
use crate::support::{
    Authority, Device, Event, Foreign, Leaf, Profile, QUIET, Registration, Setup, TomboloBox,
    eventually, position, track,
};

const FREE: &str = "protocol = \"v1\"\nflavour = \"freetakserver\"";
const LEGACY: &str = "legacy_no_client_certificate = true";

/// A leaf as FreeTAKServer sends it: without its issuer, and good for nothing in particular.
fn lone_leaf() -> Leaf {
    let odd = Profile {
        issuer_sent: false,
        ..Profile::default()
    };
    Authority::new("fts-ca").issue_as("server", &odd)
}

/// What the stand-in complains of.
fn complaints(foreign: &Foreign) -> Vec<Value> {
    let mut said = foreign.said();
    said.retain(|said| {
        ["torn", "stalled", "tripped", "empty"]
            .iter()
            .any(|what| said["report"] == *what)
    });
    said
}

#[test]
fn a_peer_that_asks_for_no_certificate_needs_the_key_that_says_so() {
    let (ours, theirs) = (Authority::new("alpha-ca").issue("alpha"), lone_leaf());
    let (foreign, address) =
        Foreign::listen_v1(&theirs, &ours, &["--freetakserver", "--no-client-cert"]);
    let whole = Authority::new("fts-ca").issue("server");
    let (asks_nobody, other) = Foreign::listen_v1(&whole, &ours, &["--no-client-cert"]);
    let strict = Setup::new("strict")
        .identity(&ours)
        .peer(
            Registration::by_fingerprint("fts", &theirs)
                .dial(address)
                .key(FREE),
        )
        .peer(Registration::of("open", &whole).dial(other).key(V1))
        .start();
    eventually("one certificate is not enough", || {
        strict
            .status()
            .reason("fts")
            .contains("one certificate only")
            .then_some(())
    });
    eventually("nor is a peer that asks for none", || {
        strict
            .status()
            .reason("open")
            .contains("does not ask for our certificate")
            .then_some(())
    });
    assert_eq!(
        strict.status().peer("open").expect("the peer is shown")["stopped_by"],
        "tls"
    );
    drop((strict, asks_nobody));

    let registration = |leaf: &Leaf| {
        Registration::by_fingerprint("fts", leaf)
            .dial(address)
            .key(FREE)
            .key(LEGACY)
    };
    let alpha = Setup::new("alpha")
        .identity(&ours)
        .peer(registration(&theirs))
        .start();
    alpha.wait_peer("fts");
    let peer = alpha.status();
    let relaxed = peer.peer("fts").expect("the peer is shown")["relaxed"]
        .as_str()
        .expect("loud")
        .to_owned();
    assert!(relaxed.contains("anybody can take our place"), "{relaxed}");
    assert!(
        alpha
            .call(["status"], "")
            .success()
            .contains("RELAXED: legacy_no_client_certificate")
    );
    assert!(
        alpha.log().contains("anybody can take our place"),
        "{}",
        alpha.log()
    );
    let checked = alpha.call(["config", "check"], "").success();
    assert!(
        checked.contains("warning: peer \"fts\": legacy_no_client_certificate"),
        "{checked}"
    );
    drop((alpha, foreign));

    // And still nobody else gets in: the fingerprint is what counts.
    let impostor = lone_leaf();
    let (_impostor, address) =
        Foreign::listen_v1(&impostor, &ours, &["--freetakserver", "--no-client-cert"]);
    let alpha = Setup::new("alpha")
        .identity(&ours)
        .peer(
            Registration::by_fingerprint("fts", &theirs)
                .dial(address)
                .key(FREE)
                .key(LEGACY),
        )
        .start();
    eventually("another leaf is refused", || {
        alpha
            .status()
            .reason("fts")
            .contains("not the registered one")
            .then_some(())
    });
}

fn free_tak_server(dials: bool) -> (TomboloBox, Foreign) {
    let (ours, theirs) = (Authority::new("alpha-ca").issue("alpha"), lone_leaf());
    let registration = Registration::by_fingerprint("fts", &theirs)
        .key(FREE)
        .key(LEGACY);
    let (alpha, foreign) = if dials {
        let alpha = Setup::new("alpha")
            .identity(&ours)
            .peer(registration)
            .start();
        let foreign = Foreign::dial_v1(alpha.federation(), &theirs, &ours, &["--freetakserver"]);
        (alpha, foreign)
    } else {
        let options = ["--freetakserver", "--no-client-cert"];
        let (foreign, address) = Foreign::listen_v1(&theirs, &ours, &options);
        let alpha = Setup::new("alpha")
            .identity(&ours)
            .peer(registration.dial(address))
            .start();
        (alpha, foreign)
    };
    alpha.wait_peer("fts");
    (alpha, foreign)
}

#[test]
fn a_server_like_freetakserver_is_spared_what_it_cannot_bear() {
    for dials in [true, false] {
        let (alpha, mut foreign) = free_tak_server(dials);
        let hawk = Device::plain(alpha.clients_tcp());
        let otter = Device::plain(alpha.clients_tcp());
        alpha.wait_clients(2);
        hawk.send(position("hawk-uid", "HAWK"));
        let came =
            foreign.expect_event("the position", |event| event["event"]["uid"] == "hawk-uid");
        assert_eq!(
            came["contact"]["callsign"], "HAWK",
            "the contact goes along"
        );
        let other = came["event"]["other"].as_str().expect("a detail");
        for part in [
            "<track speed=\"1.5\" course=\"90.25\"/>",
            "<status battery=\"87\"/>",
            "geopointsrc=\"GPS\"",
        ] {
            assert!(other.contains(part), "{part}: {other}");
        }
        // Many at once, one of the longest, one too long, and one that leaves.
        for number in 0..60 {
            hawk.send(track(&format!("track-{number}"), number));
        }
        let long =
            |uid: &str, length: usize| track(uid, 1).replace("report 1", &"x".repeat(length));
        hawk.send(long("long-uid", 14_500));
        hawk.send(long("too-long-uid", 20_000));
        foreign.expect_event("the last track", |event| {
            event["event"]["uid"] == "track-59"
        });
        foreign.expect_event("the long one", |event| event["event"]["uid"] == "long-uid");
        eventually("the too long one is counted", || {
            let status = alpha.status();
            let dropped = ["thinned", "oversize"].map(|reason| status.dropped_peer("fts", reason));
            (dropped.iter().sum::<u64>() >= 1).then_some(())
        });
        drop(hawk);
        foreign.expect_event("that the hawk left", |event| {
            event["contact"]["uid"] == "hawk-uid" && event["contact"]["operation"] == 4
        });
        // What it sends back is not shown to anybody; what is its own is.
        foreign.tell(&json!({"do": "send_event", "event": {
            "uid": "fox-uid", "type": "a-f-G-U-C-I", "coordSource": "h-e", "lat": 1.0, "lon": 2.0,
            "other": "<detail><contact callsign=\"FOX\"/><remarks>From federation </remarks></detail>"}}));
        let fox = otter.expect_uid("fox-uid");
        assert!(!fox.attribute("time").starts_with("1970"), "{}", fox.xml);
        assert!(
            !fox.xml.contains("<track") && !fox.xml.contains("<status"),
            "{}",
            fox.xml
        );
        std::thread::sleep(QUIET);
        assert!(
            alpha.status().dropped_peer("fts", "duplicate") >= 60,
            "{}",
            alpha.status().0
        );
        let hawks = otter.events();
        let positions =
            |event: &&Event| event.uid() == "hawk-uid" && event.kind().starts_with("a-f");
        assert_eq!(hawks.iter().filter(positions).count(), 1);
        let deletes = hawks
            .iter()
            .filter(|event| event.kind() == "t-x-d-d")
            .count();
        assert_eq!(deletes, 1, "our own, and not what the server made of it");
        let ways = otter
            .events()
            .iter()
            .filter(|event| event.uid().starts_with("track-"))
            .count();
        assert_eq!(ways, 60, "each once");
        assert_eq!(complaints(&foreign), [] as [Value; 0]);
        assert!(
            foreign
                .events()
                .iter()
                .all(|event| event["event"]["uid"] != "too-long-uid")
        );
        assert!(reported(&foreign, "closed") == 0);
    }
}
