//! Clients that others wrote, at the listeners of a box: pytak (plain and TLS) and @tak-ps/node-tak (TLS).

use crate::support::peer_programs::{node_tak, pytak, pytak_tls};
use crate::support::{Device, Setup, chat, eventually, position, track};

/// Says its position until it is heard: these programs tell nobody when they are connected.
#[track_caller]
fn introduced(device: &Device, uid: &str, callsign: &str, heard_by: &Device) {
    let mut said = 0;
    eventually(&format!("{uid} is heard"), || {
        if said % 40 == 0 {
            device.send(position(uid, callsign));
        }
        said += 1;
        std::thread::sleep(std::time::Duration::from_millis(20));
        heard_by.find(|event| event.uid() == uid)
    });
}

/// What every client must be able to do: be seen, see, be addressed, and find who was there before.
fn takes_part(theirs: &Device, callsign: &str, ours: &Device, bystander: &Device) {
    let uid = format!("{callsign}-uid");
    introduced(theirs, &uid, callsign, ours);
    theirs.expect_uid("earlier");
    ours.send(track(&format!("for-{callsign}"), 7));
    let seen = theirs.expect_uid(&format!("for-{callsign}"));
    assert!(seen.xml.contains("report 7"), "{}", seen.xml);
    let said = chat(
        "ours",
        &format!("only for {callsign}"),
        &[("callsign", callsign)],
    );
    ours.send(said);
    theirs.expect("the chat", |event| event.xml.contains("only for"));
    theirs.send(track(&format!("from-{callsign}"), 8));
    for who in [ours, bystander] {
        let seen = who.expect_uid(&format!("from-{callsign}"));
        assert!(seen.xml.contains("report 8"), "{}", seen.xml);
    }
    assert!(
        bystander
            .find(|event| event.xml.contains("only for"))
            .is_none()
    );
}

#[test]
fn pytak_takes_part_plain_and_over_tls() {
    let alpha = Setup::new("alpha").start();
    let [ours, bystander] = [(); 2].map(|()| Device::plain(alpha.clients_tcp()));
    alpha.wait_clients(2);
    ours.send(position("earlier", "EARLY"));
    bystander.expect_uid("earlier");
    let Some(plain) = pytak(alpha.clients_tcp()) else {
        return;
    };
    takes_part(&plain, "PLAIN", &ours, &bystander);
    drop(plain);
    ours.expect("a delete of the one who left", |event| {
        event.kind() == "t-x-d-d" && event.xml.contains("PLAIN-uid")
    });
    let folder = tempfile::tempdir().expect("a directory");
    let tls = pytak_tls(alpha.clients_tls(), &alpha.issue("TLS"), folder.path());
    takes_part(&tls.expect("it is installed"), "TLS", &ours, &bystander);
}

#[test]
fn node_tak_takes_part_over_tls() {
    let alpha = Setup::new("alpha").start();
    let [ours, bystander] = [(); 2].map(|()| Device::plain(alpha.clients_tcp()));
    alpha.wait_clients(2);
    ours.send(position("earlier", "EARLY"));
    bystander.expect_uid("earlier");
    let folder = tempfile::tempdir().expect("a directory");
    let node = node_tak(alpha.clients_tls(), &alpha.issue("NODE"), folder.path());
    let Some(node) = node else { return };
    takes_part(&node, "NODE", &ours, &bystander);
}
