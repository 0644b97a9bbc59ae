//! Resident memory of a box with everything in use: two federates, traffic from all sides, four watchers, the status page
//! open and the API asked. `scripts/bench memory` prints it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use super::support::{Api, Authority, Device, Setup, TomboloBox, Watcher};
use super::tracks::Tracks;

/// Events per second from each side.
const RATE: u64 = 40;
/// Different tracks from each side: together more than the box remembers the newest events of.
const TRACKS: usize = 500;
/// Where the page and the API are asked, once in this time each; a browser asks for the first every three seconds.
const ASKED: [(&str, u64); 5] = [
    ("/live", 3_000),
    ("/", 10_000),
    ("/api/status", 1_000),
    ("/api/federation", 1_000),
    ("/metrics", 5_000),
];

/// Measures for so many seconds.
pub fn run(seconds: u64) {
    let authority = Authority::new("ca");
    let setup = |name: &str| Setup::new(name).identity(&authority.issue(name));
    let hub = setup("alpha").api();
    let [bravo, charlie] = ["bravo", "charlie"].map(|name| setup(name).peer(hub.registration()));
    let [to_bravo, to_charlie] = [bravo.registration(), charlie.registration()];
    let (bravo, charlie) = (bravo.start(), charlie.start());
    let hub = hub
        .peer(to_bravo.dial(bravo.federation()))
        .peer(to_charlie.dial(charlie.federation()))
        .start();
    for peer in ["bravo", "charlie"] {
        hub.wait_peer(peer);
    }
    let idle = hub.resident_kib();
    let viewer = Api::with_scopes(&hub, "viewer", "viewer");
    let (stop, heard, asked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut threads: Vec<JoinHandle<()>> = [&hub, &bravo, &charlie]
        .into_iter()
        .map(|node| traffic(node, &stop))
        .collect();
    let most = 4;
    for _ in 0..most {
        let mut watcher = Watcher::open(&hub, viewer.token()).expect("a watcher");
        let heard = Arc::clone(&heard);
        // Ends with the program: it waits for the next event.
        std::thread::spawn(move || {
            loop {
                watcher.frame();
                heard.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for (path, every) in ASKED {
        let (stop, asked, viewer) = (Arc::clone(&stop), Arc::clone(&asked), viewer.clone());
        threads.push(std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(viewer.read(path).status, 200, "{path}");
                asked.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(every));
            }
        }));
    }
    println!(
        "2 federates, {RATE} events/s from each of three sides, {most} watchers, page and API in use"
    );
    println!("\n| after s | RSS MiB | peak MiB |\n|---:|---:|---:|");
    let mib = |kib: u64| kib as f64 / 1024.0;
    println!("| 0 (links up) | {:.1} | |", mib(idle));
    let begun = Instant::now();
    let step = (seconds / 6).max(1);
    while begun.elapsed().as_secs() < seconds {
        sleep(Duration::from_secs(step));
        let (now, peak) = (mib(hub.resident_kib()), mib(hub.peak_kib()));
        println!("| {} | {now:.1} | {peak:.1} |", begun.elapsed().as_secs());
    }
    let status = hub.status();
    println!(
        "\n{} frames to watchers, {} answers; {} of local clients in, {} out; the limits add up to {} KiB of {}",
        heard.load(Ordering::Relaxed),
        asked.load(Ordering::Relaxed),
        status.0["local"]["events_in"],
        status.0["local"]["events_out"],
        status.0["memory"]["budget_kib"],
        status.0["memory"]["ceiling_kib"],
    );
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread
            .join()
            .expect("a part of the measurement ended early");
    }
}

/// A client that sends, and hears what all others send.
fn traffic(node: &TomboloBox, stop: &Arc<AtomicBool>) -> JoinHandle<()> {
    let (device, stop) = (Device::plain(node.clients_tcp()), Arc::clone(stop));
    let name = node.status().0["node"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let tracks = Tracks::new(TRACKS);
    std::thread::spawn(move || {
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) {
            // Another track at another place each time round, so that nothing is taken for a repeat.
            let event = String::from_utf8_lossy(tracks.slice(number % TRACKS..number % TRACKS + 1));
            let event = event
                .replace("bench-", &format!("{name}-"))
                .replace("1204.6", &format!("{number}.5"));
            device.send(event);
            number += 1;
            sleep(Duration::from_micros(1_000_000 / RATE));
        }
    })
}
