//! A real FreeTAKServer (2.2.1, from PyPI) as a federate, dialled and dialling. It shares no line with the stand-in of
//! `federates_of_version_one`.

use serde_json::json;

use crate::support::{
    Authority, Cables, Device, Event, FreeTakServer, QUIET, Registration, Setup, TomboloBox, chat,
    eventually, position, track,
};

const KEYS: &str =
    "protocol = \"v1\"\nflavour = \"freetakserver\"\nlegacy_no_client_certificate = true";

fn known_as(server: &FreeTakServer) -> Registration {
    let authority = Authority::new("unused");
    let mut leaf = authority.issue("unused");
    leaf.fingerprint.clone_from(&server.fingerprint);
    Registration::by_fingerprint("fts", &leaf).key(KEYS)
}

fn a_box(cables: &Cables, name: &str, port: u16, peer: Registration) -> TomboloBox {
    Setup::new(name)
        .identity(&Authority::new(&format!("{name}-ca")).issue(name))
        .within(&cables.near(), &format!("10.77.0.1:{port}"))
        .peer(peer)
        .start()
}

/// What crosses between a user of the box and a user of FreeTAKServer.
fn both_ways(
    alpha: &TomboloBox,
    name: &str,
    server: &mut FreeTakServer,
    user: &Device,
    cables: &Cables,
) {
    let (uid, callsign) = (format!("{name}-uid"), name.to_uppercase());
    let hawk = Cables::device(&cables.near(), alpha.clients_tcp());
    alpha.wait_clients(1);
    // Ours to its users: position, tracks in a burst, chat to one of them.
    hawk.send(position(&uid, &callsign));
    let came = user.expect("our position", |event| event.uid() == uid);
    for part in [
        "speed=\"1.5\"",
        "course=\"90.25\"",
        "battery=\"87\"",
        &format!("callsign=\"{callsign}\""),
    ] {
        assert!(came.xml.contains(part), "{part}: {}", came.xml);
    }
    for number in 0..30 {
        hawk.send(track(&format!("{name}-{number}"), number));
    }
    eventually("each track arrives at its user", || {
        (0..30)
            .all(|number| {
                user.find(|event| event.uid() == format!("{name}-{number}"))
                    .is_some()
            })
            .then_some(())
    });
    let text = format!("from {name} to the wolf");
    hawk.send(chat(&uid, &text, &[("callsign", "WOLF")]));
    user.expect("our chat", |event| {
        event.kind() == "b-t-f" && event.xml.contains(&text)
    });
    // Theirs to our users: whoever is put on its map by REST, and its chat.
    let theirs = format!("rest-{name}");
    server.rest(
        "/ManagePresence/postPresence",
        &json!({"name": "RESTMAN", "uid": theirs, "longitude": 11.5, "latitude": 48.1, "role": "Team Member",
            "team": "Cyan", "how": "nonCoT"}),
    );
    let shown = hawk.expect("its position", |event| event.uid() == theirs);
    assert!(
        shown.xml.contains("lat=\"48.1\"") && shown.xml.contains("RESTMAN"),
        "{}",
        shown.xml
    );
    assert!(
        !shown.xml.contains("<track"),
        "nothing is invented: {}",
        shown.xml
    );
    let hello = format!("hello {name}");
    server.rest(
        "/ManageChat/postChatToAll",
        &json!({"message": hello, "sender": "RESTMAN"}),
    );
    hawk.expect("its chat", |event| {
        event.kind() == "b-t-f" && event.xml.contains(&hello)
    });
    // It sends back all that it gets; nobody sees it.
    std::thread::sleep(QUIET * 2);
    let ours = |event: &&Event| event.uid() == uid || event.uid().starts_with(&format!("{name}-"));
    assert_eq!(hawk.events().iter().filter(ours).count(), 0, "no echo");
    let status = alpha.status();
    assert!(
        status.dropped_peer("fts", "duplicate") >= 30,
        "{}",
        status.0
    );
    assert!(status.peer("fts").expect("the peer is shown")["state"] == "flowing");
}

#[test]
fn events_both_ways_whoever_dials() {
    let Some(cables) = Cables::new(1) else { return };
    let Some(mut server) = FreeTakServer::start(&cables.far()) else {
        return;
    };
    let wolf = Cables::device(&cables.far(), "127.0.0.1:8087".parse().expect("an address"));
    wolf.send(position("wolf-uid", "WOLF"));
    // It greets each user by a chat of its own; from then on it knows this one.
    wolf.expect("a greeting", |event| event.kind() == "b-t-f");

    server.serve();
    let dialled = known_as(&server).dial("10.77.0.2:9000".parse().expect("an address"));
    let alpha = a_box(&cables, "alpha", 9101, dialled);
    alpha.wait_peer("fts");
    both_ways(&alpha, "alpha", &mut server, &wolf, &cables);
    drop(alpha);

    let bravo = a_box(&cables, "bravo", 9102, known_as(&server));
    server.federate("10.77.0.1", 9102);
    bravo.wait_peer("fts");
    both_ways(&bravo, "bravo", &mut server, &wolf, &cables);
    assert!(
        !server.log().contains("KeyError"),
        "it trips over nothing: {}",
        server.log()
    );
}
