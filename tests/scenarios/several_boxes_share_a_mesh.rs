//! ATAK's multicast: three boxes on two networks, federated with each other besides, say everything once and start no storm; an
//! interface comes and goes; who was heard is written to directly; a box that is to be silent is.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::support::lan::{CHAT, Datagram, Handset, Lan, SA};
use crate::support::{
    Authority, Device, QUIET, Registration, Setup, Status, TomboloBox, chat, eventually, position,
    tak_datagram, track,
};

/// The machine on which there is no box.
const PEOPLE: u32 = 4;

const BEACON: &[u8] = &[0xc2, 0xb5, 0x03];

fn is_beacon(datagram: &Datagram) -> bool {
    datagram.bytes.starts_with(&[0xbf, 1, 0xbf])
        && memchr::memmem::find(&datagram.bytes, BEACON).is_some()
}

fn mesh(name: &str, interface: &str, more: &str) -> String {
    format!("[[mesh]]\nname = \"{name}\"\ninterface = \"{interface}\"\n{more}")
}

fn mesh_of<'a>(status: &'a Status, name: &str) -> &'a serde_json::Value {
    let meshes = status.0["meshes"].as_array().expect("meshes");
    meshes
        .iter()
        .find(|mesh| mesh["name"] == name)
        .expect("that mesh")
}

#[track_caller]
fn wait_mesh(box_: &TomboloBox, name: &str, joined: bool) {
    eventually(&format!("mesh {name}: joined = {joined}"), || {
        let status = box_.status();
        let state = mesh_of(&status, name)["state"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        (matches!(state.as_str(), "connected" | "flowing") == joined).then_some(())
    });
}

/// Boxes on machines 1 to 3, each with a client, each on both meshes, each federated with the others.
struct Company {
    lan: Lan,
    boxes: Vec<TomboloBox>,
    clients: Vec<Device>,
    handsets: [Handset; 2],
}

impl Company {
    fn new(forms: [&str; 3]) -> Option<Self> {
        let lan = Lan::new(PEOPLE)?;
        let handsets = [lan.handset(PEOPLE, 0), lan.handset(PEOPLE, 1)];
        let names = ["alpha", "bravo", "charlie"];
        let leaves: Vec<_> = (names.iter())
            .map(|name| Authority::new(&format!("{name}-ca")).issue(name))
            .collect();
        let boxes: Vec<TomboloBox> = (0..3)
            .map(|own| {
                let form = format!("form = \"{}\"\n", forms[own]);
                let mut setup = Setup::new(names[own])
                    .identity(&leaves[own])
                    .within(&lan.machine(own as u32 + 1), "0.0.0.0:9001")
                    .table(&(mesh("lan", "lan0", &form) + &mesh("radio", "lan1", &form)));
                for other in (0..3).filter(|other| *other != own) {
                    let registration = Registration::of(names[other], &leaves[other]);
                    let address = SocketAddr::new(Lan::address(other as u32 + 1, 0).into(), 9001);
                    setup = setup.peer(match own < other {
                        true => registration.dial(address),
                        false => registration,
                    });
                }
                setup.start()
            })
            .collect();
        let clients: Vec<Device> = (boxes.iter().zip(1..))
            .map(|(one, machine)| lan.client(machine, one.clients_tcp()))
            .collect();
        for (own, one) in boxes.iter().enumerate() {
            for other in (0..3).filter(|other| *other != own) {
                one.wait_peer(names[other]);
            }
            wait_mesh(one, "lan", true);
            wait_mesh(one, "radio", true);
        }
        // Each box has heard of the others, and has settled.
        for handset in &handsets {
            eventually("three boxes say that they are there", || {
                let heard = handset.heard();
                let mut from: Vec<_> = heard
                    .iter()
                    .filter(|one| is_beacon(one))
                    .map(|one| one.from)
                    .collect();
                from.sort_unstable();
                from.dedup();
                (from.len() >= 3).then_some(())
            });
        }
        std::thread::sleep(Duration::from_secs(2));
        Some(Self {
            lan,
            boxes,
            clients,
            handsets,
        })
    }

    /// Waits until every client but `except` has each of these events, and both networks have carried it.
    #[track_caller]
    fn wait_all(&self, uids: &[String], except: usize) {
        for uid in uids {
            for (_, client) in self
                .clients
                .iter()
                .enumerate()
                .filter(|(at, _)| *at != except)
            {
                client.expect_uid(uid);
            }
            for handset in &self.handsets {
                eventually(&format!("{uid} on the network"), || {
                    (!handset.heard_of(uid).is_empty()).then_some(())
                });
            }
        }
    }

    /// How often each of these was heard on each network, where that is not once.
    fn too_often(&self, uids: &[String]) -> BTreeMap<String, Vec<usize>> {
        let counts = |uid: &String| -> Vec<usize> {
            self.handsets
                .iter()
                .map(|handset| handset.heard_of(uid).len())
                .collect()
        };
        uids.iter()
            .map(|uid| (uid.clone(), counts(uid)))
            .filter(|(_, counts)| counts != &[1, 1])
            .collect()
    }
}

fn uids(prefix: &str, count: u64) -> Vec<String> {
    (0..count)
        .map(|number| format!("{prefix}-{number}."))
        .collect()
}

#[test]
fn three_boxes_on_two_networks_say_everything_once_and_start_no_storm() {
    let Some(company) = Company::new(["xml", "protobuf", "xml"]) else {
        return;
    };
    let began = Instant::now();
    let count = 25;
    let mut all = Vec::new();
    // Devices on either network, in either form; then a client of each box.
    for (net, prefix) in [(0, "on-lan"), (1, "on-radio")] {
        let said = uids(prefix, count);
        for (number, uid) in said.iter().enumerate() {
            let event = track(uid, number as u64);
            match number % 2 {
                0 => company.handsets[net].say(SA, event),
                _ => company.handsets[net].say(SA, tak_datagram(&event)),
            }
            std::thread::sleep(Duration::from_millis(4));
        }
        company.wait_all(&said, usize::MAX);
        all.extend(said);
    }
    for sender in 0..3 {
        let said = uids(&format!("of-client{sender}"), count);
        for (number, uid) in said.iter().enumerate() {
            company.clients[sender].send(track(uid, number as u64));
            std::thread::sleep(Duration::from_millis(4));
        }
        company.wait_all(&said, sender);
        all.extend(said);
    }
    let words = chat("OTTER", "hello", &[]);
    let uid = words.split('"').nth(3).expect("a uid").to_owned();
    company.clients[1].send(words);
    company.wait_all(std::slice::from_ref(&uid), 1);
    all.push(uid.clone());
    // What would come twice would come soon.
    std::thread::sleep(QUIET * 2);

    for (at, client) in company.clients.iter().enumerate() {
        let own = format!("of-client{at}-");
        for event in all.iter().filter(|uid| !uid.starts_with(&own)) {
            let expected = usize::from(*event != uid || at != 1);
            assert_eq!(client.count(event), expected, "{event} at client {at}");
        }
    }
    for handset in &company.handsets {
        let places: Vec<_> = handset.heard_of(&uid).iter().map(|chat| chat.to).collect();
        assert!(
            !places.is_empty() && places.iter().all(|place| *place == CHAT),
            "{places:?}"
        );
    }
    let seconds = began.elapsed().as_secs();
    for handset in &company.handsets {
        let heard = handset.heard();
        let beacons = heard.iter().filter(|one| is_beacon(one)).count() as u64;
        let others = heard.len() as u64 - beacons;
        println!(
            "{others} datagrams of {} events, {beacons} beacons, in {seconds} s",
            all.len()
        );
        assert!(
            beacons <= 3 * (seconds / 10 + 6),
            "{beacons} beacons in {seconds} s"
        );
    }
    for one in &company.boxes {
        let status = one.status();
        println!("{} {}", mesh_of(&status, "lan"), mesh_of(&status, "radio"));
    }
    let twice = company.too_often(&all);
    // A machine so busy that a box sleeps through its turn of 100 ms may hear something said twice; nobody sees that.
    assert!(
        twice.len() * 50 <= all.len(),
        "{} of {} not once: {twice:?}",
        twice.len(),
        all.len()
    );
    drop(company.lan);
}

#[test]
fn an_interface_is_taken_away_and_comes_back() {
    let Some(lan) = Lan::new(2) else { return };
    lan.unplug(1, 1);
    let people = [lan.handset(2, 0), lan.handset(2, 1)];
    let alpha = Setup::new("alpha")
        .within(&lan.machine(1), "127.0.0.1:0")
        .table(&(mesh("lan", "lan0", "outgoing = false\n") + &mesh("radio", "lan1", "")))
        .start();
    let client = lan.client(1, alpha.clients_tcp());
    wait_mesh(&alpha, "lan", true);
    let status = alpha.status();
    let radio = mesh_of(&status, "radio");
    assert_eq!(radio["state"], "waiting");
    let reason = radio["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("lan1: there is no such interface"),
        "{reason}"
    );
    let table = alpha.call(["status"], "").success();
    assert!(
        table.contains("radio") && table.contains("no such interface"),
        "{table}"
    );

    let both_ways = |tag: &str| {
        eventually(&format!("{tag} comes in"), || {
            people[1].say(SA, track(&format!("in-{tag}"), 1));
            std::thread::sleep(Duration::from_millis(100));
            client.find(|event| event.uid() == format!("in-{tag}"))
        });
        eventually(&format!("{tag} goes out"), || {
            client.send(track(&format!("out-{tag}"), 1));
            std::thread::sleep(Duration::from_millis(100));
            people[1].heard_of(&format!("out-{tag}")).pop()
        });
    };
    lan.plug(1, 1);
    wait_mesh(&alpha, "radio", true);
    both_ways("new");
    lan.unplug(1, 1);
    wait_mesh(&alpha, "radio", false);
    lan.plug(1, 1);
    wait_mesh(&alpha, "radio", true);
    both_ways("again");
    lan.carrier(1, 1, false);
    wait_mesh(&alpha, "radio", false);
    lan.carrier(1, 1, true);
    wait_mesh(&alpha, "radio", true);
    both_ways("carrier");
    // Ten times a second: the box does not shout.
    let joins = || alpha.log().matches("mesh radio: joined").count();
    let before = joins();
    for _ in 0..10 {
        lan.carrier(1, 1, false);
        std::thread::sleep(Duration::from_millis(50));
        lan.carrier(1, 1, true);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(
        joins() - before <= 2,
        "{} joins in a second",
        joins() - before
    );
    wait_mesh(&alpha, "radio", true);
    both_ways("flapped");

    // What is heard on one network is not taken for the other's, and where it is to be silent the box is.
    people[0].say(SA, track("only-on-lan", 1));
    client.expect_uid("only-on-lan");
    eventually("it goes on to the other network", || {
        people[1].heard_of("only-on-lan").pop()
    });
    let lan_status = alpha.status();
    assert_eq!(mesh_of(&lan_status, "lan")["events_in"], 1);
    assert_eq!(mesh_of(&lan_status, "lan")["events_out"], 0);
    let from_box = SocketAddr::new(Lan::address(1, 0).into(), 0).ip();
    assert!(
        people[0]
            .heard()
            .iter()
            .all(|one| one.from.ip() != from_box)
    );
    let garbage: [&[u8]; 5] = [
        b"",
        b"hello",
        b"<event",
        &[0xbf, 9, 0xbf, 1],
        &[0xbf, 1, 0xbf, 0xff],
    ];
    for bytes in garbage {
        people[0].say(SA, bytes);
    }
    people[0].say(SA, vec![b'<'; 60_000]);
    eventually("garbage is counted", || {
        let status = alpha.status();
        let dropped = &mesh_of(&status, "lan")["dropped"];
        (dropped["garbage"].as_u64()? >= 3 && dropped["datagram_too_long"] == 1).then_some(())
    });
}

#[test]
fn who_was_heard_is_written_to_where_he_listens() {
    let Some(lan) = Lan::new(2) else { return };
    let hawk = lan.handset(2, 0);
    // Another program on the box's own machine, which had the ports before.
    let beside = lan.handset(1, 0);
    let alpha = Setup::new("alpha")
        .within(&lan.machine(1), "127.0.0.1:0")
        .table(&mesh("lan", "lan0", ""))
        .start();
    let client = lan.client(1, alpha.clients_tcp());
    wait_mesh(&alpha, "lan", true);
    client.send(position("uid-OTTER", "OTTER"));
    for person in [&hawk, &beside] {
        eventually("OTTER is heard on the mesh", || {
            person.heard_of("uid-OTTER").pop()
        });
    }
    beside.say(SA, track("from-beside", 1));
    client.expect_uid("from-beside");
    let place = format!("endpoint=\"{}:4242:udp\"", Lan::address(2, 0));
    hawk.say(
        SA,
        position("uid-HAWK", "HAWK").replace("endpoint=\"*:-1:stcp\"", &place),
    );
    client.expect_uid("uid-HAWK");
    client.send(chat("OTTER", "for-hawk-alone", &[("callsign", "HAWK")]));
    let heard = eventually("HAWK hears it", || hawk.heard_of("for-hawk-alone").pop());
    assert_eq!(heard.to.to_string(), format!("{}:4242", Lan::address(2, 0)));
    std::thread::sleep(QUIET);
    assert_eq!(
        hawk.heard_of("for-hawk-alone").len(),
        1,
        "nobody else is told"
    );
    // Without an endpoint that can be believed it is said to all.
    hawk.say(SA, position("uid-HAWK", "HAWK"));
    hawk.say(
        SA,
        position("uid-KITE", "KITE").replace("*:-1:stcp", "10.91.0.99:4242:udp"),
    );
    client.expect_uid("uid-KITE");
    client.send(chat("OTTER", "for-kite", &[("uid", "uid-KITE")]));
    let heard = eventually("KITE hears it", || hawk.heard_of("for-kite").pop());
    assert_eq!(heard.to, CHAT);
    // Another form takes no restart.
    let file = std::fs::read_to_string(alpha.config()).expect("the configuration");
    let file = file.replace(
        "interface = \"lan0\"",
        "interface = \"lan0\"\nform = \"protobuf\"",
    );
    std::fs::write(alpha.config(), file).expect("the configuration");
    let words = alpha.call(["reload"], "").success();
    assert!(words.contains("mesh lan changed"), "{words}");
    wait_mesh(&alpha, "lan", true);
    let heard = eventually("it is said in protobuf", || {
        client.send(track("in-protobuf", 1));
        std::thread::sleep(Duration::from_millis(200));
        hawk.heard_of("in-protobuf").pop()
    });
    assert!(heard.bytes.starts_with(&[0xbf, 1, 0xbf]));
    hawk.say(SA, track("after-reload", 1));
    client.expect_uid("after-reload");
}
