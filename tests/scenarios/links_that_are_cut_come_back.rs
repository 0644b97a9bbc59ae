//! Links between real boxes over cables that are cut and mended: what is said meanwhile arrives, once; the newest
//! positions arrive; the link is back as soon as its route is; nothing grows.
//!
//! `TOMBOLO_CUTS=1000 TOMBOLO_PAIRS=8 scripts/test --test scenarios links_that_are_cut` cuts so often, on so many pairs
//! of boxes at once.

use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{
    Authority, Cables, Cut, Device, Registration, Setup, TomboloBox, chat, eventually, position,
    stamp_of_now, track,
};

const FAR: &str = "10.78.0.2:9001";
/// Tracks on each side that move all the time.
const TRACKS: u64 = 10;
/// Everything that was said must have arrived within this after the route is back, on a busy machine too.
const ARRIVES: Duration = Duration::from_secs(60);

/// A client and what it was sent, counted by uid.
struct Ear {
    device: Device,
    read: usize,
    heard: HashMap<String, u32>,
    newest: HashMap<String, u64>,
}

impl Ear {
    fn new(device: Device) -> Self {
        Self {
            device,
            read: 0,
            heard: HashMap::new(),
            newest: HashMap::new(),
        }
    }

    fn listen(&mut self) {
        for event in self.device.events_behind(self.read) {
            self.read += 1;
            *self.heard.entry(event.uid().to_owned()).or_default() += 1;
            if let Some((_, rest)) = event.xml.split_once("<remarks>report ")
                && let Some(number) = rest.split('<').next().and_then(|text| text.parse().ok())
            {
                self.newest.insert(event.uid().to_owned(), number);
            }
        }
    }

    fn has(&self, uid: &str) -> bool {
        self.heard.contains_key(uid)
    }
}

/// Two boxes, a client at each, and what each side has said.
struct Pair {
    cables: Cables,
    near: TomboloBox,
    far: TomboloBox,
    ears: [Ear; 2],
    said: [Vec<String>; 2],
    reports: u64,
}

impl Pair {
    fn new(cables: u32, near_table: &str, far_table: &str) -> Option<Self> {
        let cables = Cables::new(cables)?;
        let (one, two) = (Authority::new("near-ca"), Authority::new("far-ca"));
        let near = Setup::new("near")
            .identity(&one.issue("near"))
            .within(&cables.near(), "127.0.0.1:0");
        let far = Setup::new("far")
            .identity(&two.issue("far"))
            .within(&cables.far(), "0.0.0.0:9001");
        let (to_far, to_near) = (far.registration(), near.registration());
        let address: SocketAddr = FAR.parse().expect("an address");
        let far = far.peer(to_near).table(far_table).start();
        let near = near.peer(to_far.dial(address)).table(near_table).start();
        let ears = [
            Ear::new(Cables::device(&cables.near(), near.clients_tcp())),
            Ear::new(Cables::device(&cables.far(), far.clients_tcp())),
        ];
        near.wait_peer("far");
        far.wait_peer("near");
        for (ear, name) in ears.iter().zip(["NEAR", "FAR"]) {
            ear.device.send(position(&format!("uid-{name}"), name));
        }
        Some(Self {
            cables,
            near,
            far,
            ears,
            said: Default::default(),
            reports: 0,
        })
    }

    /// Both sides say something, and one thing more when it is urgent.
    fn say(&mut self, tag: &str, urgent: bool) {
        for (side, name) in ["NEAR", "FAR"].iter().enumerate() {
            let words = chat(name, tag, &[]);
            let uid = words.split('"').nth(3).expect("a uid").to_owned();
            self.ears[side].device.send(words);
            self.said[side].push(uid);
            if urgent {
                let uid = format!("alarm-{name}-{tag}");
                self.ears[side].device.send(alarm(&uid));
                self.said[side].push(uid);
            }
        }
    }

    /// Every track moves.
    fn report(&mut self) {
        self.reports += 1;
        for (side, ear) in self.ears.iter().enumerate() {
            for number in 0..TRACKS {
                let uid = format!("track-{side}-{number}");
                ear.device.send(track(&uid, self.reports));
            }
        }
    }

    /// Whether each side has heard all that the other has said since `from`, and the newest of all tracks.
    fn all_arrived(&mut self, from: [usize; 2]) -> bool {
        self.ears.iter_mut().for_each(Ear::listen);
        (0..2).all(|side| {
            let ear = &self.ears[1 - side];
            let newest = |number: u64| ear.newest.get(&format!("track-{side}-{number}"));
            self.said[side][from[side]..].iter().all(|uid| ear.has(uid))
                && (0..TRACKS).all(|number| newest(number) == Some(&self.reports))
        })
    }

    #[track_caller]
    fn wait_arrived(&mut self, from: [usize; 2], what: &str) {
        let deadline = Instant::now() + ARRIVES;
        while !self.all_arrived(from) {
            if Instant::now() > deadline {
                for (side, from) in from.into_iter().enumerate() {
                    let ear = &self.ears[1 - side];
                    let missing: Vec<&String> = self.said[side][from..]
                        .iter()
                        .filter(|uid| !ear.has(uid))
                        .collect();
                    eprintln!(
                        "{what}: side {side} was not heard: {missing:?} {:?}",
                        ear.newest
                    );
                }
                panic!(
                    "{what}: not all arrived\n{}\n{}",
                    self.near.status().0,
                    self.far.status().0
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Cuts a cable for a while, with much said before, meanwhile and after; gives the time from the restored route to
    /// the first words through it, both ways.
    fn cycle(&mut self, tag: &str, how: Cut, hold: Duration) -> Duration {
        let from = [self.said[0].len(), self.said[1].len()];
        self.say(&format!("{tag}-before"), true);
        self.report();
        self.cables.cut(0, how);
        self.say(&format!("{tag}-just-cut"), false);
        let cut = Instant::now();
        while cut.elapsed() < hold {
            self.report();
            std::thread::sleep(Duration::from_millis(50));
        }
        self.say(&format!("{tag}-while-cut"), true);
        self.cables.mend(0, how);
        let mended = Instant::now();
        let first = [self.said[0].len(), self.said[1].len()];
        self.say(&format!("{tag}-mended"), false);
        let words: Vec<String> = (0..2)
            .map(|side| self.said[side][first[side]].clone())
            .collect();
        let both = |pair: &mut Self| {
            pair.ears.iter_mut().for_each(Ear::listen);
            (0..2).all(|side| pair.ears[1 - side].has(&words[side]))
        };
        while !both(self) && mended.elapsed() < ARRIVES {
            std::thread::sleep(Duration::from_millis(2));
        }
        let took = mended.elapsed();
        self.report();
        self.wait_arrived(from, tag);
        took
    }

    /// Everything that was said was heard once.
    #[track_caller]
    fn assert_once(&mut self) {
        self.ears.iter_mut().for_each(Ear::listen);
        for side in 0..2 {
            let ear = &self.ears[1 - side];
            let often: Vec<_> = self.said[side]
                .iter()
                .filter(|uid| ear.heard.get(*uid) != Some(&1))
                .map(|uid| (uid, ear.heard.get(uid)))
                .collect();
            assert!(often.is_empty(), "not once: {often:?}");
        }
    }

    fn size(&self) -> [(u64, usize, usize); 2] {
        [&self.near, &self.far].map(|one| {
            (
                one.resident_kib(),
                one.descriptors(),
                files_below(&one.state()),
            )
        })
    }
}

fn files_below(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).expect("a folder");
    entries
        .filter_map(Result::ok)
        .map(|entry| match entry.path().is_dir() {
            true => files_below(&entry.path()),
            false => 1,
        })
        .sum()
}

fn alarm(uid: &str) -> String {
    let (time, stale) = stamp_of_now(120_000);
    format!(
        "<event version=\"2.0\" uid=\"{uid}\" type=\"b-a-o-tbl\" how=\"m-g\" time=\"{time}\" start=\"{time}\" \
         stale=\"{stale}\"><point lat=\"47.0707\" lon=\"12.6938\" hae=\"1204.6\" ce=\"4.7\" le=\"9999999.0\"/>\
         <detail><emergency type=\"911 Alert\">{uid}</emergency></detail></event>"
    )
}

fn number_of(variable: &str, default: usize) -> usize {
    let set = std::env::var(variable).ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Cuts of one pair; the time each took to be mended.
fn cut_often(pair: usize, cuts: usize) -> Option<Vec<(Cut, Duration)>> {
    let mut both = Pair::new(1, "", "")?;
    both.report();
    let mut took = Vec::new();
    let mut settled = both.size();
    for number in 0..cuts {
        let how = Cut::ALL[(number + pair) % Cut::ALL.len()];
        let hold = match number {
            // Longer than a health check may take.
            number if number % 50 == 29 => 9000,
            number if number % 10 == 7 => 2000,
            number => 200 + 50 * (number as u64 % 7),
        };
        let tag = format!("p{pair}c{number}");
        took.push((how, both.cycle(&tag, how, Duration::from_millis(hold))));
        if number == cuts / 5 {
            settled = both.size();
        }
    }
    std::thread::sleep(Duration::from_secs(1));
    both.assert_once();
    let ended = both.size();
    println!(
        "pair {pair}: {cuts} cuts; KiB, descriptors, files of both: {settled:?} then {ended:?}"
    );
    for (before, after) in settled.iter().zip(ended) {
        assert!(after.0 < before.0 + 2048, "memory: {before:?} {after:?}");
        assert!(after.1 <= before.1 + 4, "descriptors: {before:?} {after:?}");
        assert!(after.2 <= before.2 + 4, "files: {before:?} {after:?}");
    }
    Some(took)
}

#[test]
fn links_that_are_cut_come_back_and_nothing_is_lost() {
    let (cuts, pairs) = (number_of("TOMBOLO_CUTS", 20), number_of("TOMBOLO_PAIRS", 2));
    let workers: Vec<_> = (0..pairs)
        .map(|pair| std::thread::spawn(move || cut_often(pair, cuts / pairs)))
        .collect();
    // All of them end before one that failed is told: their networks are to be taken down.
    let ended: Vec<_> = workers
        .into_iter()
        .map(std::thread::JoinHandle::join)
        .collect();
    let mut took = Vec::new();
    for of_pair in ended {
        match of_pair.expect("no cut failed") {
            Some(of_pair) => took.extend(of_pair),
            None => return,
        }
    }
    for how in Cut::ALL {
        let times: Vec<Duration> = took
            .iter()
            .filter(|one| one.0 == how)
            .map(|one| one.1)
            .collect();
        println!("{how:?}: {}", distribution(times));
    }
    let all: Vec<Duration> = took.iter().map(|one| one.1).collect();
    println!("{} cuts: {}", all.len(), distribution(all.clone()));
    let patience = number_of("TOMBOLO_PATIENCE", 1) as u32;
    assert!(median(all) < Duration::from_secs(1) * patience.max(1));
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn distribution(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_millis();
    format!(
        "route back to flowing: median {} ms, 90 % {} ms, most {} ms",
        at(50),
        at(90),
        at(100)
    )
}

/// Two uplinks; the first is the better one.
const UPLINKS: &str = "[[uplink]]\nname = \"sat\"\ninterface = \"net0\"\nhold_seconds = 3\n\n\
                       [[uplink]]\nname = \"lte\"\ninterface = \"net1\"\n";

/// How an uplink of the near box stands.
fn standing(near: &TomboloBox, uplink: &str) -> String {
    let status = near.status();
    let uplinks = status
        .peer("far")
        .and_then(|peer| peer["uplinks"].as_array().cloned());
    let found = uplinks
        .unwrap_or_default()
        .into_iter()
        .find(|one| one["name"] == uplink);
    found
        .and_then(|one| Some(one["state"].as_str()?.to_owned()))
        .unwrap_or_default()
}

#[test]
fn another_uplink_takes_over_and_the_better_one_is_returned_to() {
    let Some(mut pair) = Pair::new(2, UPLINKS, "") else {
        return;
    };
    let wait = |pair: &Pair, uplink: &str, state: &str| {
        eventually(&format!("{uplink} {state}"), || {
            (standing(&pair.near, uplink) == state).then_some(())
        });
    };
    wait(&pair, "sat", "carries");
    wait(&pair, "lte", "standby");
    let mut gaps = Vec::new();
    for (number, how) in [Cut::NearDown, Cut::Swallow].into_iter().enumerate() {
        // An emergency goes both ways at once, and is heard once.
        pair.report();
        pair.say(&format!("u{number}-both"), true);
        pair.wait_arrived([0, 0], "over both uplinks");
        pair.cables.cut(0, how);
        let cut = Instant::now();
        pair.say(&format!("u{number}-cut"), true);
        pair.report();
        pair.wait_arrived([0, 0], "over the other uplink");
        gaps.push((how, cut.elapsed()));
        wait(&pair, "lte", "carries");
        pair.say(&format!("u{number}-worse"), true);
        pair.cables.mend(0, how);
        wait(&pair, "sat", "carries");
        pair.report();
        pair.say(&format!("u{number}-back"), true);
        pair.wait_arrived([0, 0], "over the better uplink again");
        wait(&pair, "lte", "standby");
    }
    pair.assert_once();
    println!("from the cut to everything heard over the other uplink: {gaps:?}");
    let far = pair.far.status();
    let doubled = far
        .peer("near")
        .map_or(0, |peer| peer["dropped"]["duplicate"].as_u64().unwrap_or(0));
    assert!(
        doubled > 0,
        "emergencies come twice and are passed on once: {}",
        far.0
    );
    // The router sees one federate, however many connections it has.
    assert_eq!(far.0["peers"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_fallback_is_dialled_only_while_the_other_is_down() {
    let Some(cables) = Cables::new(2) else {
        return;
    };
    let authority = Authority::new("some-ca");
    let leaf = |name: &str| authority.issue(name);
    let near = Setup::new("near")
        .identity(&leaf("near"))
        .within(&cables.near(), "127.0.0.1:0");
    let main = Setup::new("main")
        .identity(&leaf("main"))
        .within(&cables.far(), "10.77.0.2:9001");
    let spare = Setup::new("spare")
        .identity(&leaf("spare"))
        .within(&cables.far(), "10.77.1.2:9001");
    let (to_main, to_spare) = (main.registration(), spare.registration());
    let to_near = near.registration();
    let _main = main.peer(to_near.clone()).start();
    let spare = spare.peer(to_near).start();
    let dial = |registration: Registration, address: &str| {
        registration.dial(address.parse().expect("an address"))
    };
    let near = near
        .peer(dial(to_main, "10.77.0.2:9001"))
        .peer(
            dial(to_spare, "10.77.1.2:9001")
                .key("fallback_of = \"main\"")
                .key("fallback_seconds = 2"),
        )
        .start();
    near.wait_peer("main");
    std::thread::sleep(Duration::from_secs(3));
    assert!(!near.status().is_up("spare"), "the other one is up");
    let status = near.status();
    let reason = status
        .peer("spare")
        .and_then(|peer| peer["reason"].as_str())
        .unwrap_or_default();
    assert!(reason.contains("stands in for main"), "{reason}");
    cables.cut(0, Cut::FarDown);
    near.wait_peer("spare");
    spare.wait_peer("near");
    cables.mend(0, Cut::FarDown);
    near.wait_peer("main");
    near.wait_peer_gone("spare");
    assert!(near.status().is_up("main"));
}
