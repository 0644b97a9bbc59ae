//! Two boxes over 9600 bit/s: every track gets its turn, memory stays where it is, and an emergency is there at once.
//!
//! The link is a relay that lets exactly 9600 bits per second through each way, headers of TCP/IP counted, with small
//! buffers of its own. `TOMBOLO_LONG=1` runs the whole of it: 500 tracks for four minutes, instead of 60 for half a one.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::support::{Authority, Device, Registration, Setup, TomboloBox, now_ms, stamp};

/// What the relay lets through, bytes per second.
const BYTES_PER_SECOND: u64 = 1200;
/// What a segment costs beside its payload.
const HEADERS: u64 = 52;

/// As late as a thread may be woken on a busy machine.
const LATE: Duration = Duration::from_millis(250);

/// A relay to `far` with the rate of a radio; gives the address to dial, and the bytes of payload that went there.
fn radio(far: SocketAddr) -> (SocketAddr, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    // Small before it listens, or the window is agreed on without it.
    SockRef::from(&listener)
        .set_recv_buffer_size(2048)
        .expect("a small buffer");
    let address = listener.local_addr().expect("an address");
    let carried = Arc::new(AtomicU64::new(0));
    let there = Arc::clone(&carried);
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let Ok(far) = TcpStream::connect(far) else {
                continue;
            };
            let _ = SockRef::from(&far).set_recv_buffer_size(2048);
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            let (from_near, from_far) = (near.try_clone(), far.try_clone());
            let (Ok(from_near), Ok(from_far)) = (from_near, from_far) else {
                continue;
            };
            let there = Arc::clone(&there);
            std::thread::spawn(move || carry(from_near, far, &there));
            std::thread::spawn(move || carry(from_far, near, &AtomicU64::new(0)));
        }
    });
    (address, carried)
}

fn carry(mut from: TcpStream, mut to: TcpStream, carried: &AtomicU64) {
    let mut buffer = [0; 1448];
    let mut free_at = Instant::now();
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        carried.fetch_add(count as u64, Ordering::Relaxed);
        let mut cost = HEADERS;
        // What is in the air arrives bit by bit.
        for piece in buffer[..count].chunks(128) {
            cost += piece.len() as u64;
            let takes = Duration::from_micros(cost * 1_000_000 / BYTES_PER_SECOND);
            // A thread that was woken late makes up for it, or the link would be slower than its name.
            free_at = free_at.max(Instant::now() - LATE) + takes;
            cost = 0;
            std::thread::sleep(free_at.saturating_duration_since(Instant::now()));
            if to.write_all(piece).is_err() {
                return;
            }
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}

/// Two boxes with the radio between them; alpha dials.
fn over_radio(packed: bool) -> (TomboloBox, TomboloBox, Arc<AtomicU64>) {
    let authorities = [Authority::new("alpha-ca"), Authority::new("bravo-ca")];
    let rate = "rate = \"9600 bit/s\"";
    let compress = format!("compress = {packed}");
    let alpha = Setup::new("alpha").identity(&authorities[0].issue("alpha"));
    let bravo = Setup::new("bravo").identity(&authorities[1].issue("bravo"));
    let known = |setup: &Setup| -> Registration { setup.registration().key(rate).key(&compress) };
    let bravo_known = known(&bravo);
    let bravo = bravo.peer(known(&alpha)).start();
    let (address, carried) = radio(bravo.federation());
    let alpha = alpha.peer(bravo_known.dial(address)).start();
    alpha.wait_peer("bravo");
    bravo.wait_peer("alpha");
    (alpha, bravo, carried)
}

/// A track as a device sends it, on its way.
fn track(number: u64, round: u64) -> String {
    let now = now_ms();
    let (lat, lon) = (
        47.0 + (number * 7919 % 3000) as f64 / 1e4 + round as f64 / 1.3e5,
        12.7 + (number * 104_729 % 4000) as f64 / 1e4 + round as f64 / 1.7e5,
    );
    format!(
        "<event version=\"2.0\" uid=\"{}\" type=\"a-f-G-U-C\" how=\"m-g\" time=\"{2}\" start=\"{2}\" stale=\"{3}\">\
         <point lat=\"{lat:.7}\" lon=\"{lon:.7}\" hae=\"{4:.3}\" ce=\"4.7\" le=\"9999999.0\"/><detail>\
         <takv os=\"34\" version=\"5.4.0.16 (a1b2c3d4).1733000000-CIV\" device=\"SAMSUNG SM-S911B\" \
         platform=\"ATAK-CIV\"/><contact endpoint=\"*:-1:stcp\" callsign=\"HAWK-{1}\"/><uid Droid=\"HAWK-{1}\"/>\
         <precisionlocation altsrc=\"GPS\" geopointsrc=\"GPS\"/><__group role=\"Team Member\" name=\"Cyan\"/>\
         <status battery=\"{5}\"/><track course=\"{6:.6}\" speed=\"{7:.6}\"/></detail></event>",
        uid(number),
        number,
        stamp(now),
        stamp(now + 600_000),
        1200.0 + (number * 31 + round) as f64 / 7.0,
        20 + (number + round / 60) % 80,
        (number * 37 + round * 3) as f64 * 1.013 % 360.0,
        (number % 17) as f64 + round as f64 / 97.0,
    )
}

fn uid(number: u64) -> String {
    format!(
        "ANDROID-{:016x}",
        (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    )
}

fn alarm(uid: &str) -> String {
    let now = now_ms();
    format!(
        "<event version=\"2.0\" uid=\"{uid}\" type=\"b-a-o-tbl\" how=\"m-g\" time=\"{0}\" start=\"{0}\" stale=\"{1}\">\
         <point lat=\"47.07\" lon=\"12.69\" hae=\"1204.6\" ce=\"4.7\" le=\"9999999.0\"/><detail>\
         <link uid=\"ANDROID-1\" type=\"a-f-G-U-C\" relation=\"p-p\"/><contact callsign=\"HAWK-1-Alert\"/>\
         <emergency type=\"911 Alert\">HAWK-1</emergency></detail></event>",
        stamp(now),
        stamp(now + 60_000)
    )
}

/// What the far device knows of each track, and how old that ever became.
#[derive(Default)]
struct Picture {
    read: usize,
    /// When each track was seen last, and the longest pause before that.
    seen: BTreeMap<String, (Instant, Duration)>,
}

impl Picture {
    fn look(&mut self, device: &Device) {
        let events = device.events();
        for event in events[self.read..]
            .iter()
            .filter(|event| event.kind() == "a-f-G-U-C")
        {
            let now = Instant::now();
            let (last, longest) = self
                .seen
                .entry(event.uid().to_owned())
                .or_insert((now, Duration::ZERO));
            *longest = (*longest).max(now - *last);
            *last = now;
        }
        self.read = events.len();
    }

    /// The oldest that any track ever was, those counted that are waited for now.
    fn oldest(&self) -> Duration {
        let ages = self
            .seen
            .values()
            .map(|(last, longest)| last.elapsed().max(*longest));
        ages.max().unwrap_or_default()
    }
}

/// An emergency is there within two seconds; where more wants to run than there are processors, within six.
fn in_time() -> Duration {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load
        .split(' ')
        .next()
        .and_then(|load| load.parse().ok())
        .unwrap_or(0.0);
    let processors = std::thread::available_parallelism().map_or(1.0, |count| count.get() as f64);
    Duration::from_secs(if load > 2.0 * processors { 6 } else { 2 })
}

/// How long an emergency takes while a device floods its box with 10,000 tracks.
fn alarm_in_a_flood(alpha: &TomboloBox, otter: &Device) -> Duration {
    let (flood, hawk) = (
        Device::plain(alpha.clients_tcp()),
        Device::plain(alpha.clients_tcp()),
    );
    let before = alpha.status().number("/local/events_in");
    for number in 0..10_000 {
        flood.send(track(1_000_000 + number, 0));
    }
    // Half of them are there, the others are on their way.
    crate::support::eventually("half of the flood", || {
        (alpha.status().number("/local/events_in") >= before + 5_000).then_some(())
    });
    let begun = Instant::now();
    hawk.send(alarm("alarm-in-a-flood"));
    otter.expect_uid("alarm-in-a-flood");
    begun.elapsed()
}

#[test]
fn every_track_gets_its_turn_and_an_emergency_is_there_at_once() {
    let long = std::env::var_os("TOMBOLO_LONG").is_some();
    let (tracks, seconds) = if long { (500, 240) } else { (60, 24) };
    let (alpha, bravo, carried) = over_radio(true);
    let (hawk, otter) = (
        Device::plain(alpha.clients_tcp()),
        Device::plain(bravo.clients_tcp()),
    );
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    let mut picture = Picture::default();
    let begun = Instant::now();
    let mut settled = None;
    for round in 0..seconds {
        for number in 0..tracks {
            hawk.send(track(number, round));
        }
        while begun.elapsed() < Duration::from_secs(round + 1) {
            std::thread::sleep(Duration::from_millis(100));
            picture.look(&otter);
        }
        if round == seconds / 2 {
            settled = Some((alpha.resident_kib(), bravo.resident_kib()));
        }
    }
    let status = alpha.status();
    let sending = &status.peer("bravo").expect("bravo")["sending"];
    let oldest = picture.oldest();
    println!(
        "{tracks} tracks at 1 Hz over 9600 bit/s for {seconds} s: the oldest was {oldest:.1?} old; {sending}"
    );
    assert_eq!(picture.seen.len() as u64, tracks, "everybody is on the map");
    // Packed, some ten tracks cross each second, so a round of all takes a tenth of a second for each.
    let bound = Duration::from_millis(tracks * 200) + Duration::from_secs(8);
    assert!(
        oldest < bound,
        "a track was {oldest:?} old, {bound:?} are allowed"
    );
    let sent = sending["bytes_out"].as_u64().expect("bytes");
    let allowed = BYTES_PER_SECOND * (begun.elapsed().as_secs() + 20) * 11 / 10;
    assert!(sent < allowed, "{sent} bytes were sent, {allowed} allowed");
    // What the box says it sent is what the radio carried, TCP/IP headers added.
    let carried = carried.load(Ordering::Relaxed);
    println!("the radio carried {carried} bytes of payload, the box counted {sent} with headers");
    assert!(
        (carried..carried * 3 / 2).contains(&(sent + 500)),
        "{carried}, {sent}"
    );
    for saved in ["thinned_bytes", "packed_bytes"] {
        assert!(sending[saved].as_u64() > Some(10_000), "{saved}: {sending}");
    }
    let took = alarm_in_a_flood(&alpha, &otter);
    println!("the emergency took {took:.1?}");
    assert!(took < in_time(), "the emergency took {took:?}");
    let (before_alpha, before_bravo) = settled.expect("half of the time passed");
    for (node, before) in [(&alpha, before_alpha), (&bravo, before_bravo)] {
        let after = node.resident_kib();
        assert!(
            after < before + 3 * 1024,
            "memory grew from {before} to {after} KiB"
        );
    }
}

#[test]
fn without_packing_an_emergency_is_there_at_once_too() {
    let (alpha, bravo, _) = over_radio(false);
    let otter = Device::plain(bravo.clients_tcp());
    bravo.wait_clients(1);
    let took = alarm_in_a_flood(&alpha, &otter);
    println!("the emergency took {took:.1?}, unpacked");
    assert!(took < in_time(), "the emergency took {took:?}");
    let status = alpha.status();
    let sending = &status.peer("bravo").expect("bravo")["sending"];
    assert_eq!(sending["packed_bytes"], 0);
    assert_eq!(sending["rate"], "9600 bit/s");
}
