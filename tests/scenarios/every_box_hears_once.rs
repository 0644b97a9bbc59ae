//! Boxes joined in circles: every event comes to every box once, whatever links are cut meanwhile. A chat and its receipt
//! find their one addressee each, by way of a hub.
//!
//! `TOMBOLO_EVENTS=10000 scripts/test --test scenarios every_box_hears_once` says more.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::support::{
    Authority, Device, QUIET, Registration, Relay, Setup, TomboloBox, chat, eventually, position,
    track,
};

/// Between two events of one box.
const PAUSE: Duration = Duration::from_millis(4);
/// Everything must have come within this after the last event, on a busy machine too.
const ARRIVES: Duration = Duration::from_secs(60);

/// Boxes with a client each, joined by links that can be cut.
struct Net {
    boxes: Vec<TomboloBox>,
    names: Vec<&'static str>,
    relays: Vec<Relay>,
    links: Vec<(usize, usize)>,
    devices: Vec<Device>,
}

impl Net {
    /// The first of each pair dials the second, which must stand behind it in the list.
    fn new(names: &[&'static str], links: &[(usize, usize)]) -> Self {
        let mut setups: Vec<Option<Setup>> = names
            .iter()
            .map(|&name| {
                let leaf = Authority::new(&format!("{name}-ca")).issue(name);
                // What a link tells again when it comes back is known for as long as the test runs.
                Some(Setup::new(name).identity(&leaf).limit("dedup_seconds", 600))
            })
            .collect();
        let known: Vec<Registration> = setups
            .iter()
            .map(|setup| setup.as_ref().expect("not started").registration())
            .collect();
        let mut boxes: Vec<Option<TomboloBox>> = names.iter().map(|_| None).collect();
        let mut relays: Vec<Option<Relay>> = links.iter().map(|_| None).collect();
        for place in (0..names.len()).rev() {
            let mut setup = setups[place].take().expect("started once");
            for (at, &(from, to)) in links.iter().enumerate() {
                if to == place {
                    setup = setup.peer(known[from].clone());
                } else if from == place {
                    let target: &TomboloBox = boxes[to].as_ref().expect("started before");
                    let relay = Relay::to(target.federation());
                    setup = setup.peer(known[to].clone().dial(relay.address()));
                    relays[at] = Some(relay);
                }
            }
            boxes[place] = Some(setup.start());
        }
        let boxes: Vec<TomboloBox> = boxes.into_iter().flatten().collect();
        let devices = boxes
            .iter()
            .map(|one| Device::plain(one.clients_tcp()))
            .collect();
        let net = Self {
            boxes,
            names: names.to_vec(),
            relays: relays.into_iter().flatten().collect(),
            links: links.to_vec(),
            devices,
        };
        for &(from, to) in links {
            net.boxes[from].wait_peer(names[to]);
            net.boxes[to].wait_peer(names[from]);
        }
        for one in &net.boxes {
            one.wait_clients(1);
        }
        net
    }

    /// Every box says its share of so many events, and now and then a link is cut: one at a time, and not before the one
    /// before is back. Half of it is chat, half are positions.
    fn say(&self, events: usize) -> (Vec<Vec<String>>, usize) {
        let mut said = vec![Vec::new(); self.boxes.len()];
        let (mut cuts, mut down, mut looked) = (0, None, Instant::now());
        for number in 0..events {
            let place = number % self.boxes.len();
            let name = self.names[place];
            let event = match number / self.boxes.len() % 2 {
                0 => chat(name, &format!("word-{number}"), &[]),
                _ => track(&format!("track-{name}-{number}"), number as u64),
            };
            let uid = event.split('"').nth(3).expect("a uid").to_owned();
            self.devices[place].send(event);
            said[place].push(uid);
            std::thread::sleep(PAUSE);
            if looked.elapsed() > Duration::from_millis(300) {
                looked = Instant::now();
                let is_back = down.is_none_or(|at: usize| {
                    let (from, to) = self.links[at];
                    self.boxes[from].status().is_up(self.names[to])
                });
                if is_back {
                    let at = cuts % self.relays.len();
                    assert!(self.relays[at].cut() > 0, "nothing to cut");
                    down = Some(at);
                    cuts += 1;
                }
            }
        }
        (said, cuts)
    }

    /// Waits until everybody has heard everything, and counts.
    #[track_caller]
    fn check(&self, said: &[Vec<String>]) {
        let deadline = Instant::now() + ARRIVES;
        let heard = |place: usize| {
            let mut heard: HashMap<String, usize> = HashMap::new();
            for event in self.devices[place].events() {
                *heard.entry(event.uid().to_owned()).or_default() += 1;
            }
            heard
        };
        for (place, name) in self.names.iter().enumerate() {
            let wanted = || {
                let others = said.iter().enumerate().filter(|(from, _)| *from != place);
                others.flat_map(|(_, uids)| uids)
            };
            loop {
                let heard = heard(place);
                let missing: Vec<&String> =
                    wanted().filter(|uid| !heard.contains_key(*uid)).collect();
                if missing.is_empty() {
                    break;
                }
                assert!(
                    Instant::now() < deadline,
                    "{name} misses {} of {}: {:?}",
                    missing.len(),
                    wanted().count(),
                    &missing[..missing.len().min(5)]
                );
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        // A second copy may be on its way yet.
        std::thread::sleep(QUIET);
        for (place, name) in self.names.iter().enumerate() {
            let twice: Vec<(String, usize)> = heard(place)
                .into_iter()
                .filter(|(_, count)| *count > 1)
                .collect();
            assert!(twice.is_empty(), "{name} hears twice: {twice:?}");
            let own = |uid: &String| heard(place).contains_key(uid);
            assert!(!said[place].iter().any(own), "{name} hears itself");
        }
    }

    /// How often a copy was stopped: the circles are real.
    fn stopped(&self) -> u64 {
        let peers = |one: &TomboloBox| {
            let status = one.status();
            let dropped = |name: &&str| {
                status.dropped_peer(name, "duplicate") + status.dropped_peer(name, "loop")
            };
            self.names.iter().map(dropped).sum::<u64>()
        };
        self.boxes.iter().map(peers).sum()
    }
}

fn events() -> usize {
    let asked = std::env::var("TOMBOLO_EVENTS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(1000)
}

fn run(net: &Net) {
    let begun = Instant::now();
    let (said, cuts) = net.say(events());
    net.check(&said);
    let stopped = net.stopped();
    println!(
        "{} boxes, {} links: {} events, {cuts} cuts, {stopped} copies stopped, {:.1} s",
        net.boxes.len(),
        net.links.len(),
        said.iter().map(Vec::len).sum::<usize>(),
        begun.elapsed().as_secs_f64(),
    );
    assert!(cuts > 0 && stopped > 0);
}

#[test]
fn in_a_diamond() {
    // S82: A-B, A-C, B-D, C-D, and A-D across.
    run(&Net::new(
        &["alpha", "bravo", "charlie", "delta"],
        &[(0, 1), (0, 2), (1, 3), (2, 3), (0, 3)],
    ));
}

#[test]
fn with_two_hubs_and_five_spokes() {
    let names = ["s1", "s2", "s3", "s4", "s5", "hub-a", "hub-b"];
    let links = [
        (0, 5),
        (0, 6),
        (1, 5),
        (1, 6),
        (2, 5),
        (2, 6),
        (3, 5),
        (3, 6),
        (4, 5),
        (4, 6),
        (5, 6),
    ];
    run(&Net::new(&names, &links));
}

#[test]
fn a_chat_and_its_receipt_find_one_client_each_by_way_of_a_hub() {
    let net = Net::new(&["alpha", "hub", "charlie"], &[(0, 1), (1, 2)]);
    let [hawk, at_hub, otter] = &net.devices[..] else {
        unreachable!("three boxes");
    };
    let lynx = Device::plain(net.boxes[2].clients_tcp());
    let ibex = Device::plain(net.boxes[0].clients_tcp());
    net.boxes[0].wait_clients(2);
    net.boxes[2].wait_clients(2);
    for (device, uid, callsign) in [
        (hawk, "hawk-uid", "HAWK"),
        (otter, "otter-uid", "OTTER"),
        (&lynx, "lynx-uid", "LYNX"),
        (&ibex, "ibex-uid", "IBEX"),
        (at_hub, "owl-uid", "OWL"),
    ] {
        device.send(position(uid, callsign));
    }
    for uid in ["otter-uid", "lynx-uid", "owl-uid"] {
        hawk.expect_uid(uid);
    }
    for uid in ["hawk-uid", "ibex-uid", "owl-uid"] {
        otter.expect_uid(uid);
    }
    let said = chat("hawk-uid", "for otter alone", &[("callsign", "OTTER")]);
    hawk.send(&said);
    let came = otter.expect("the chat", |event| event.kind() == "b-t-f");
    assert!(came.xml.contains("for otter alone"));
    let uid = came.uid().to_owned();
    // As ATAK says that it has shown a message.
    let receipt = chat("otter-uid", "receipt", &[("callsign", "HAWK")])
        .replace("type=\"b-t-f\"", "type=\"b-t-f-d\"")
        .replace(
            "</detail>",
            &format!("<link uid=\"{uid}\" relation=\"p-p\"/></detail>"),
        );
    otter.send(&receipt);
    let back = hawk.expect("the receipt", |event| event.kind() == "b-t-f-d");
    assert!(back.xml.contains(&uid), "{}", back.xml);
    for (device, number) in [(hawk, 1), (otter, 2)] {
        device.send(track("fence", number));
    }
    for bystander in [at_hub, &lynx, &ibex] {
        bystander.expect_uid("fence");
    }
    eventually("both fences everywhere", || {
        let both = |device: &Device| device.count("fence") >= 2;
        [at_hub, &lynx, &ibex].into_iter().all(both).then_some(())
    });
    for bystander in [at_hub, &lynx, &ibex] {
        let words = bystander.events();
        assert!(words.iter().all(|event| !event.kind().starts_with("b-t-f")));
    }
}
