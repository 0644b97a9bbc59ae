//! A TAK server that knows no federation (taky) gains it by a box that logs in there.

use serde_json::Value;

use crate::support::peer_programs::Taky;
use crate::support::{
    Authority, Device, QUIET, Setup, TomboloBox, eventually, joined, now_ms, position,
    stamp_of_now, track,
};

fn server(of: &TomboloBox) -> Value {
    of.status().0["servers"][0].clone()
}

#[track_caller]
fn wait_state(of: &TomboloBox, state: &str) {
    eventually(&format!("the login is {state}"), || {
        (server(of)["state"] == state).then_some(())
    });
}

/// alpha, which logs in at the server, and bravo, federated.
fn island(lines: &str) -> (TomboloBox, TomboloBox) {
    let identity = |name: &str| Authority::new(&format!("{name}-ca")).issue(name);
    joined(
        Setup::new("alpha")
            .identity(&identity("alpha"))
            .table(lines),
        Setup::new("bravo").identity(&identity("bravo")),
    )
}

/// A private word as ATAK writes it, or its receipt.
fn private(kind: &str, from: [&str; 2], to: [&str; 2], text: &str) -> String {
    let ([from_uid, from_callsign], [to_uid, to_callsign]) = (from, to);
    let (time, stale) = stamp_of_now(120_000);
    let message = format!("{text}-{}", now_ms());
    format!(
        "<event version=\"2.0\" uid=\"GeoChat.{from_uid}.{to_uid}.{message}\" type=\"{kind}\" how=\"h-g-i-g-o\" \
         time=\"{time}\" start=\"{time}\" stale=\"{stale}\"><point lat=\"1.0\" lon=\"2.0\" hae=\"9999999.0\" \
         ce=\"9999999.0\" le=\"9999999.0\"/><detail><__chat parent=\"RootContactGroup\" groupOwner=\"false\" \
         messageId=\"{message}\" chatroom=\"{to_callsign}\" id=\"{to_uid}\" senderCallsign=\"{from_callsign}\">\
         <chatgrp uid0=\"{from_uid}\" uid1=\"{to_uid}\" id=\"{to_uid}\"/></__chat>\
         <link uid=\"{from_uid}\" type=\"a-f-G-U-C\" relation=\"p-p\"/>\
         <remarks source=\"BAO.F.ATAK.{from_uid}\" to=\"{to_uid}\" time=\"{time}\">{text}</remarks>\
         <marti><dest callsign=\"{to_callsign}\"/></marti></detail></event>"
    )
}

#[test]
fn a_server_without_federation_gains_it() {
    let Some(mut taky) = Taky::start(false) else {
        return;
    };
    let login = format!(
        "[[server]]\nname = \"taky\"\naddress = \"{}\"\nkeepalive_seconds = 2\n",
        taky.address()
    );
    let (alpha, bravo) = island(&login);
    wait_state(&alpha, "flowing");
    assert!(
        server(&alpha)["proven"]["count"].as_u64() >= Some(1),
        "{}",
        server(&alpha)
    );
    let swan = Device::plain(taky.address());
    let [otter, lynx] = [(); 2].map(|()| Device::plain(bravo.clients_tcp()));
    bravo.wait_clients(2);

    // Presence: the box itself, those whom it carries, and the server's own users far away.
    let itself = swan.expect("the box's own contact", |event| {
        event.xml.contains("callsign=\"alpha\"")
    });
    assert!(itself.uid().starts_with("tombolo-"), "{}", itself.xml);
    swan.send(position("swan-uid", "SWAN"));
    otter.expect_uid("swan-uid");
    otter.send(position("otter-uid", "OTTER"));
    let seen = swan.expect_uid("otter-uid");
    assert!(
        seen.xml.contains("battery=\"87\"") && seen.xml.contains("Tombolo-"),
        "{}",
        seen.xml
    );

    // Directed chat from the server's user to a user behind federation, and its receipt.
    let (swan_is, otter_is) = (["swan-uid", "SWAN"], ["otter-uid", "OTTER"]);
    swan.send(private("b-t-f", swan_is, otter_is, "for otter alone"));
    otter.expect("the chat", |event| event.xml.contains("for otter alone"));
    otter.send(private("b-t-f-d", otter_is, swan_is, "received"));
    swan.expect("the receipt", |event| {
        event.kind() == "b-t-f-d" && event.xml.contains("received")
    });
    lynx.send(track("fence", 1));
    swan.expect_uid("fence");
    let is_chat = |event: &crate::support::Event| event.kind().starts_with("b-t-f");
    assert!(lynx.find(is_chat).is_none(), "not for LYNX");

    // A new login is told everything again, our own included, and makes nothing of that.
    let (otters, swans) = (otter.count("otter-uid"), otter.count("swan-uid"));
    let text = std::fs::read_to_string(alpha.config()).expect("its configuration");
    std::fs::write(
        alpha.config(),
        text.replace("keepalive_seconds = 2", "keepalive_seconds = 3"),
    )
    .expect("written");
    alpha.call(["reload"], "").success();
    eventually("what came back is counted", || {
        (server(&alpha)["dropped"]["loop"].as_u64() >= Some(1)).then_some(())
    });
    wait_state(&alpha, "flowing");
    std::thread::sleep(QUIET);
    assert_eq!(otter.count("otter-uid"), otters, "no echo of himself");
    assert!(
        otter.count("swan-uid") <= swans + 2,
        "SWAN left with the login and came again"
    );
    assert_eq!(server(&alpha)["users"], 1);
    otter.send(private("b-t-f", otter_is, swan_is, "are you still there"));
    swan.expect("chat after a new login", |event| {
        event.xml.contains("are you still there")
    });

    // The server dies: its users leave. It comes back: so does the login, by itself.
    let deletes =
        |event: &crate::support::Event| event.kind() == "t-x-d-d" && event.xml.contains("swan-uid");
    let left = otter.events().iter().filter(|event| deletes(event)).count();
    taky.kill();
    eventually("SWAN is gone far away", || {
        let now = otter.events().iter().filter(|event| deletes(event)).count();
        (now > left).then_some(())
    });
    wait_state(&alpha, "waiting");
    assert_eq!(server(&alpha)["stopped_by"], "tcp", "{}", server(&alpha));
    taky.run();
    let swan = Device::plain(taky.address());
    wait_state(&alpha, "flowing");
    swan.expect_uid("otter-uid");
}

#[test]
fn a_box_is_a_server_for_another_box_in_tak_protocol_v1() {
    let bravo = Setup::new("bravo").start();
    let leaf = bravo.issue("ALPHA-BOX");
    let folder = tempfile::tempdir().expect("a directory");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let login = format!(
        "[[server]]\nname = \"bravo\"\naddress = \"{}\"\ncertificate = \"{}\"\nkey = \"{}\"\nca_cert = \"{}\"\n",
        bravo.clients_tls(),
        file("alpha.pem", &leaf.chain_pem),
        file("alpha.key", &leaf.key_pem),
        file("ca.pem", &leaf.authority_pem),
    );
    let alpha = Setup::new("alpha").table(&login).start();
    wait_state(&alpha, "flowing");
    eventually("TAK protocol v1 is agreed", || {
        (server(&alpha)["protocol"] == "tak").then_some(())
    });
    let hawk = Device::plain(alpha.clients_tcp());
    let swan = Device::plain(bravo.clients_tcp());
    swan.expect("the box's own contact", |event| {
        event.xml.contains("callsign=\"alpha\"")
    });
    hawk.send(position("hawk-uid", "HAWK"));
    swan.expect_uid("hawk-uid");
    swan.send(position("swan-uid", "SWAN"));
    let seen = hawk.expect_uid("swan-uid");
    assert!(seen.xml.contains("battery=\"87\""), "{}", seen.xml);
    let (swan_is, hawk_is) = (["swan-uid", "SWAN"], ["hawk-uid", "HAWK"]);
    swan.send(private("b-t-f", swan_is, hawk_is, "for hawk"));
    hawk.expect("the chat", |event| event.xml.contains("for hawk"));
    hawk.send(private("b-t-f-d", hawk_is, swan_is, "received"));
    swan.expect("the receipt", |event| event.kind() == "b-t-f-d");
    assert_eq!(server(&alpha)["users"], 1);
}

#[test]
fn a_login_with_a_users_package() {
    let Some(taky) = Taky::start(true) else {
        return;
    };
    let (user, trust) = taky.user("BOX");
    let login = format!(
        "[[server]]\nname = \"taky\"\naddress = \"{}\"\np12 = \"{}\"\nca_cert = \"{}\"\n",
        taky.address(),
        user.display(),
        trust.display(),
    );
    let alpha = Setup::new("alpha").table(&login).start();
    wait_state(&alpha, "flowing");
    assert_eq!(server(&alpha)["tls"], true);
    let hawk = Device::plain(alpha.clients_tcp());
    hawk.send(position("hawk-uid", "HAWK"));
    let told = eventually("taky takes the login for a user", || {
        let log = taky.log();
        log.contains("HAWK").then_some(log)
    });
    assert!(told.contains("New ssl cot client"), "{told}");

    // Each mistake has its words.
    let text = std::fs::read_to_string(alpha.config()).expect("its configuration");
    let foreign = Authority::new("foreign-ca").issue("foreign");
    let folder = tempfile::tempdir().expect("a directory");
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &foreign.authority_pem).expect("written");
    let (user, trust) = (user.display().to_string(), trust.display().to_string());
    for (from, to, step, words) in [
        (user.as_str(), trust.as_str(), "tls", "it is the truststore"),
        (
            trust.as_str(),
            ca.to_str().expect("a path"),
            "tls",
            "we do not know the CA of the server",
        ),
        (user.as_str(), "nowhere.p12", "tls", "see `p12`"),
        ("p12 = ", "password = \"wrong\"\np12 = ", "", ""),
        (
            &format!("p12 = \"{user}\"\n"),
            "",
            "",
            "does not take our certificate",
        ),
    ] {
        std::fs::write(alpha.config(), text.replacen(from, to, 1)).expect("written");
        alpha.call(["reload"], "").success();
        match words {
            // A wrong password does no harm where a usual one opens the file.
            "" => wait_state(&alpha, "flowing"),
            words => {
                let stopped = eventually(words, || {
                    let server = server(&alpha);
                    let reason = server["reason"].as_str().unwrap_or_default().to_owned();
                    reason.contains(words).then_some(server)
                });
                assert!(
                    step.is_empty() || stopped["stopped_by"] == step,
                    "{stopped}"
                );
            }
        }
    }
}
