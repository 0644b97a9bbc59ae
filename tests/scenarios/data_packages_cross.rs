//! Data packages between real boxes: the bytes first, then the word of them, piece by piece and beside the tracks.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use tombolo::packages::{Bounds, Details, Hash, Store};

use crate::support::{
    Authority, Device, Registration, Relay, Setup, TomboloBox, eventually, joined, stamp_of_now,
    track,
};

pub const MIB: u64 = 1024 * 1024;

/// A store's bounds as the box has them by default.
fn bounds() -> Bounds {
    Bounds {
        bytes: 512 * MIB,
        largest: 150 * MIB,
        count: 256,
        age_ms: 30 * 24 * 3_600_000,
        free_space: MIB,
    }
}

/// Bytes that no compression makes less.
pub fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut out = Vec::with_capacity(bytes + 8);
    while out.len() < bytes {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        out.extend_from_slice(&(state >> 16).to_le_bytes()[..6]);
    }
    out.truncate(bytes);
    out
}

/// Puts a package into the store of a box that does not run yet: what an upload does.
pub fn stored(setup: &Setup, filename: &str, bytes: &[u8]) -> Hash {
    fs::create_dir_all(setup.state()).expect("its state directory");
    let store = Store::open(&setup.state().join("packages"), bounds()).expect("a store");
    let hash = Hash::of(bytes);
    let mut receiving = store
        .receive(Some(hash), Some(bytes.len() as u64))
        .expect("room");
    receiving.write(bytes).expect("room");
    let details = Details {
        filename: filename.to_owned(),
        name: filename.to_owned(),
        mime_type: "application/zip".to_owned(),
        creator_uid: "HAWK-UID".to_owned(),
        submitter: "HAWK".to_owned(),
        ..Details::of(hash)
    };
    receiving.finish(details).expect("it is kept");
    hash
}

/// What a device says when it sends a package.
pub fn request(uid: &str, filename: &str, hash: &Hash, size: usize, to: &[&str]) -> String {
    let (now, stale) = stamp_of_now(20_000);
    let dests: String = to
        .iter()
        .map(|name| format!("<dest callsign='{name}'/>"))
        .collect();
    let marti = match dests.as_str() {
        "" => String::new(),
        dests => format!("<marti>{dests}</marti>"),
    };
    format!(
        "<event version='2.0' uid='{uid}' type='b-f-t-r' how='h-e' time='{now}' start='{now}' stale='{stale}'>\
         <point lat='0' lon='0' hae='9999999' ce='9999999' le='9999999'/><detail><fileshare filename='{filename}' \
         senderUrl='https://192.0.2.1:8443/Marti/sync/content?hash={hash}' sizeInBytes='{size}' sha256='{hash}' \
         senderUid='HAWK-UID' senderCallsign='HAWK' name='{filename}'/><ackrequest uid='{uid}' ackrequested='true' \
         tag='{filename}' endpoint=''/>{marti}</detail></event>"
    )
}

/// The package in the box's store.
pub fn kept(at: &TomboloBox, hash: &Hash) -> Option<Vec<u8>> {
    fs::read(at.state().join("packages").join(hash.to_string())).ok()
}

fn carriage(at: &TomboloBox) -> Value {
    at.status().value("/carriage")
}

/// How the carriage of a package ended there.
#[track_caller]
pub fn ended(at: &TomboloBox, hash: &Hash) -> Value {
    let hash = hash.to_string();
    eventually("the package's end is told", || {
        let carriage = carriage(at);
        let ended = carriage["ended"].as_array()?;
        ended
            .iter()
            .find(|one| one["hash"] == hash.as_str())
            .cloned()
    })
}

fn done(at: &TomboloBox, hash: &Hash) -> u64 {
    let carriage = carriage(at);
    let hash = hash.to_string();
    let transfers = carriage["transfers"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let found = transfers.iter().find(|one| one["hash"] == hash.as_str());
    found.and_then(|one| one["done"].as_u64()).unwrap_or(0)
}

pub fn setup(name: &str, authority: &Authority) -> Setup {
    Setup::new(name)
        .identity(&authority.issue(name))
        .api()
        .table("[packages]\nfederation_port = 0\nfree_space_mib = 1")
}

pub fn boxes() -> (Setup, Setup) {
    let (alpha, bravo) = (Authority::new("alpha-ca"), Authority::new("bravo-ca"));
    (setup("alpha", &alpha), setup("bravo", &bravo))
}

/// Sends a track every few milliseconds for as long as `more` says so; gives how long each took, sorted, milliseconds.
pub fn latencies(from: &Device, to: &Device, pause: Duration, more: impl Fn() -> bool) -> Vec<u64> {
    let mut times = Vec::new();
    let mut number = 0;
    while more() {
        number += 1;
        let uid = format!("timed-{number}");
        let sent = Instant::now();
        from.send(track(&uid, number));
        to.expect_uid(&uid);
        times.push(sent.elapsed().as_micros() as u64);
        std::thread::sleep(pause);
    }
    times.sort_unstable();
    times
}

pub fn p99(times: &[u64]) -> f64 {
    let place = (times.len() * 99 / 100).min(times.len().saturating_sub(1));
    times.get(place).copied().unwrap_or(0) as f64 / 1000.0
}

#[test]
fn twenty_mebibytes_cross_while_tracks_flow() {
    let (alpha, bravo) = boxes();
    let bytes = noise(20 * MIB as usize, 1);
    let hash = stored(&alpha, "mission.zip", &bytes);
    let (alpha, bravo) = joined(alpha, bravo);
    let hawk = Device::plain(alpha.clients_tcp());
    let local = Device::plain(alpha.clients_tcp());
    let otter = Device::plain(bravo.clients_tcp());
    alpha.wait_clients(2);
    bravo.wait_clients(1);
    hawk.send(request(
        "transfer-1",
        "mission.zip",
        &hash,
        bytes.len(),
        &[],
    ));
    local.expect_uid("transfer-1");
    assert_eq!(
        otter.count("transfer-1"),
        0,
        "told before the bytes are there"
    );
    let begun = Instant::now();
    let times = latencies(&hawk, &otter, Duration::from_millis(20), || {
        otter.count("transfer-1") == 0 && begun.elapsed() < Duration::from_secs(120)
    });
    let told = otter.expect_uid("transfer-1");
    assert_eq!(kept(&bravo, &hash).as_deref(), Some(bytes.as_slice()));
    let url = format!("/Marti/sync/content?hash={hash}");
    let here = format!(":{}{url}", bravo.api().port());
    assert!(told.xml.contains(&here), "{}", told.xml);
    assert!(told.xml.contains("ackrequested"), "{}", told.xml);
    println!(
        "20 MiB in {:.1} s; {} tracks meanwhile, p99 {:.1} ms; resident now {} and {} KiB, at most {} and {} KiB",
        begun.elapsed().as_secs_f64(),
        times.len(),
        p99(&times),
        alpha.resident_kib(),
        bravo.resident_kib(),
        alpha.peak_kib(),
        bravo.peak_kib()
    );
    assert_eq!(ended(&alpha, &hash)["reason"], Value::Null);
    assert_eq!(ended(&bravo, &hash)["reason"], Value::Null);
}

#[test]
fn a_cut_link_and_a_killed_box_cost_no_more_than_a_piece() {
    let (alpha, bravo) = boxes();
    let bytes = noise(MIB as usize, 2);
    let hash = stored(&alpha, "cut.zip", &bytes);
    let (to_alpha, to_bravo) = (alpha.registration(), bravo.registration());
    // What goes to bravo is slow enough to be cut in the middle.
    let mut bravo = bravo.peer(to_alpha).start();
    let relay = Relay::to(bravo.federation());
    let to_bravo = to_bravo.dial(relay.address()).key("rate = \"2 Mbit/s\"");
    let mut alpha = alpha.peer(to_bravo).start();
    alpha.wait_peer("bravo");
    let hawk = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(1);
    hawk.send(request("transfer-2", "cut.zip", &hash, bytes.len(), &[]));
    let part = |least: u64| {
        eventually("some of it is there", || {
            Some(done(&bravo, &hash)).filter(|&done| done > least)
        })
    };
    let before = part(100_000);
    assert!(relay.cut() > 0);
    part(before + 50_000);
    alpha.start_again(&[]);
    alpha.wait_peer("bravo");
    let before = part(before + 50_000);
    assert!(
        kept(&bravo, &hash).is_none(),
        "it ended before bravo was killed"
    );
    bravo.start_again(&[]);
    // Its port is another one now.
    drop(relay);
    let text = fs::read_to_string(alpha.config()).expect("alpha's configuration");
    let old = text
        .lines()
        .find(|line| line.starts_with("address = "))
        .expect("an address");
    let new = format!("address = \"{}\"", bravo.federation());
    fs::write(alpha.config(), text.replace(old, &new)).expect("written");
    alpha.call(["reload"], "").success();
    alpha.wait_peer("bravo");
    eventually("all of it is there", || kept(&bravo, &hash));
    assert_eq!(kept(&bravo, &hash).as_deref(), Some(bytes.as_slice()));
    let log = bravo.log();
    let goes_on: Vec<u64> = log
        .lines()
        .filter_map(|line| {
            line.split_once("goes on at ")?
                .1
                .split(' ')
                .next()?
                .parse()
                .ok()
        })
        .collect();
    println!(
        "went on at {goes_on:?} of {} bytes, killed at {before}",
        bytes.len()
    );
    assert!(
        goes_on.len() >= 2 && goes_on.iter().all(|&at| at > 50_000),
        "{log}"
    );
    assert!(
        *goes_on.last().expect("the last") + 300_000 > before,
        "{goes_on:?} {before}"
    );
}

#[test]
fn on_a_thin_link_tracks_go_before_pieces() {
    let (alpha, bravo) = boxes();
    let bytes = noise(300 * 1024, 3);
    let hash = stored(&alpha, "thin.zip", &bytes);
    let (to_alpha, to_bravo) = (alpha.registration(), bravo.registration());
    let bravo = bravo.peer(to_alpha.key("compress = false")).start();
    let to_bravo = to_bravo
        .dial(bravo.federation())
        .key("rate = \"256 kbit/s\"");
    let alpha = alpha.peer(to_bravo).start();
    alpha.wait_peer("bravo");
    let hawk = Device::plain(alpha.clients_tcp());
    let otter = Device::plain(bravo.clients_tcp());
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    let begun = Instant::now();
    let first = alpha.status().number("/peers/0/sending/bytes_out");
    hawk.send(request("transfer-3", "thin.zip", &hash, bytes.len(), &[]));
    let times = latencies(&hawk, &otter, Duration::from_millis(100), || {
        otter.count("transfer-3") == 0 && begun.elapsed() < Duration::from_secs(60)
    });
    otter.expect_uid("transfer-3");
    let seconds = begun.elapsed().as_secs_f64();
    let sent = alpha
        .status()
        .number("/peers/0/sending/bytes_out")
        .saturating_sub(first);
    println!(
        "300 KiB at 256 kbit/s in {seconds:.1} s, {sent} bytes on the wire; {} tracks meanwhile, median {:.0} ms, p99 {:.0} ms",
        times.len(),
        times.get(times.len() / 2).copied().unwrap_or(0) as f64 / 1000.0,
        p99(&times)
    );
    assert_eq!(kept(&bravo, &hash).as_deref(), Some(bytes.as_slice()));
    assert!(seconds > 7.0, "faster than its rate: {seconds} s");
}

#[test]
fn the_switches_mean_it_in_all_combinations() {
    let (alpha, bravo) = boxes();
    let hashes: Vec<Hash> = (0..16)
        .map(|number| stored(&alpha, &format!("{number}.zip"), &noise(5000, 100 + number)))
        .collect();
    let (alpha, bravo) = joined(alpha, bravo);
    let hawk = Device::plain(alpha.clients_tcp());
    let otter = Device::plain(bravo.clients_tcp());
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    let word = |on: bool| if on { "true" } else { "false" };
    for (number, hash) in hashes.iter().enumerate() {
        let on = |bit: usize| number >> bit & 1 == 1;
        let set = |at: &TomboloBox, peer: &str, options: &[&str]| {
            at.call([&["peer", "set", peer], options].concat(), "")
                .success();
        };
        set(
            &alpha,
            "bravo",
            &[
                if on(0) { "--outgoing" } else { "--no-outgoing" },
                "--data-packages-out",
                word(on(1)),
            ],
        );
        set(
            &bravo,
            "alpha",
            &[
                if on(2) { "--incoming" } else { "--no-incoming" },
                "--data-packages-in",
                word(on(3)),
            ],
        );
        let (uid, name) = (format!("package-{number}"), format!("{number}.zip"));
        hawk.send(request(&uid, &name, hash, 5000, &[]));
        let track_uid = format!("track-{number}");
        hawk.send(track(&track_uid, 1));
        let crosses = number == 15;
        if on(0) && on(2) {
            otter.expect_uid(&track_uid);
        }
        match crosses {
            true => drop(otter.expect_uid(&uid)),
            false if on(0) && on(1) => {
                let sender = ended(&alpha, hash);
                assert_eq!(sender["reason"], "package_refused", "{number}: {sender}");
                let receiver = ended(&bravo, hash);
                let reason = if on(2) {
                    "data_packages_off"
                } else {
                    "incoming_off"
                };
                assert_eq!(receiver["reason"], reason, "{number}: {receiver}");
            }
            false => {
                let why = eventually("why", || {
                    let why = alpha.call(["why", &uid, "--json"], "").stdout;
                    serde_json::from_str::<Value>(&why)
                        .ok()
                        .filter(|why| why["unknown"] == false)
                });
                let fates = why["fates"].as_array().expect("fates");
                let fate = fates
                    .iter()
                    .find(|fate| fate["link"] == "bravo")
                    .expect("bravo's");
                let reason = if on(0) {
                    "data_packages_off"
                } else {
                    "outgoing_off"
                };
                assert_eq!(fate["reason"], reason, "{number}: {why}");
            }
        }
        assert_eq!(otter.count(&uid), usize::from(crosses), "{number}");
        assert_eq!(
            otter.count(&track_uid),
            usize::from(on(0) && on(2)),
            "{number}"
        );
    }
}

#[test]
fn a_hub_hands_a_package_on_and_it_goes_in_no_circle() {
    let authorities: Vec<_> = ["alpha", "bravo", "charlie"]
        .map(|name| (name, Authority::new(name)))
        .into();
    let setups: Vec<Setup> = authorities
        .iter()
        .map(|(name, authority)| setup(name, authority))
        .collect();
    let registrations: Vec<Registration> = setups.iter().map(Setup::registration).collect();
    let bytes = noise(50_000, 6);
    let hash = stored(&setups[0], "hub.zip", &bytes);
    let mut running: Vec<TomboloBox> = Vec::new();
    for (place, setup) in setups.into_iter().enumerate() {
        let mut setup = setup;
        for (other, registration) in registrations
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != place)
        {
            let registration = registration.clone();
            setup = setup.peer(match running.get(other) {
                Some(there) => registration.dial(there.federation()),
                None => registration,
            });
        }
        running.push(setup.start());
    }
    for one in &running[..2] {
        one.wait_peer("charlie");
    }
    running[0].wait_peer("bravo");
    let devices: Vec<Device> = running
        .iter()
        .map(|one| Device::plain(one.clients_tcp()))
        .collect();
    running.iter().for_each(|one| one.wait_clients(1));
    devices[0].send(request("circle", "hub.zip", &hash, bytes.len(), &[]));
    for (device, at) in devices.iter().zip(&running).skip(1) {
        device.expect_uid("circle");
        assert_eq!(kept(at, &hash).as_deref(), Some(bytes.as_slice()));
    }
    std::thread::sleep(Duration::from_secs(1));
    for (place, device) in devices.iter().enumerate() {
        assert_eq!(device.count("circle"), usize::from(place > 0), "at {place}");
    }
}
