//! Emergencies, deletes and chat for a federate that is away: they survive a kill, arrive once and in order, and a disk
//! that takes nothing is told.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::support::{
    Authority, Device, Event, QUIET, Setup, TomboloBox, chat, eventually, position, track,
};

/// Everything passes.
const OPEN: u8 = 0;
/// Nobody gets in, and who was in is thrown out.
const CUT: u8 = 1;
/// Connections stay, and what goes in does not come out.
const BLACK: u8 = 2;
/// What goes back to the side that dialled does not come out.
const DEAF: u8 = 3;

/// A wire that the test holds in its hands, between who dials it and a box.
struct Wire {
    address: SocketAddr,
    mode: Arc<AtomicU8>,
    target: Arc<Mutex<Option<SocketAddr>>>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Wire {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let wire = Self {
            address: listener.local_addr().expect("an address"),
            mode: Arc::new(AtomicU8::new(CUT)),
            target: Arc::default(),
            open: Arc::default(),
        };
        let (mode, target, open) = (wire.mode.clone(), wire.target.clone(), wire.open.clone());
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let to = *target.lock().expect("no panic");
                let Some(far) = to
                    .filter(|_| mode.load(Ordering::SeqCst) != CUT)
                    .and_then(|to| TcpStream::connect(to).ok())
                else {
                    continue;
                };
                let both = |stream: &TcpStream| stream.try_clone().expect("a second handle");
                open.lock()
                    .expect("no panic")
                    .extend([both(&near), both(&far)]);
                carry(both(&near), both(&far), mode.clone(), &[BLACK]);
                carry(far, near, mode.clone(), &[BLACK, DEAF]);
            }
        });
        wire
    }

    fn lead_to(&self, target: SocketAddr) {
        *self.target.lock().expect("no panic") = Some(target);
        self.set(OPEN);
    }

    fn set(&self, mode: u8) {
        self.mode.store(mode, Ordering::SeqCst);
        if mode == CUT {
            for stream in self.open.lock().expect("no panic").drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, mode: Arc<AtomicU8>, swallows: &'static [u8]) {
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            // What was swallowed once is missing for ever: nothing may follow it.
            if swallows.contains(&mode.load(Ordering::SeqCst)) {
                while let Ok(1..) = from.read(&mut buffer) {}
                break;
            }
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}

fn alarm(kind: &str, number: u32) -> String {
    let cancel = if kind == "b-a-o-can" {
        " cancel=\"true\""
    } else {
        ""
    };
    track("hawk-9-1-1", number.into())
        .replace("a-h-G-U-C", kind)
        .replace(
            "</detail>",
            &format!("<emergency type=\"911 Alert\"{cancel}>HAWK</emergency></detail>"),
        )
}

/// The lines of chat with that word in them, as they came.
fn lines(device: &Device, word: &str) -> Vec<String> {
    let of = |event: &Event| {
        let rest = event.xml.split(&format!(">{word} ")).nth(1)?;
        Some(rest.split('<').next()?.to_owned())
    };
    let events = device.events();
    events
        .iter()
        .filter(|event| event.kind() == "b-t-f")
        .filter_map(of)
        .collect()
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

fn waiting(alpha: &TomboloBox) -> u64 {
    let status = alpha.status();
    let peer = status.peer("bravo").expect("bravo");
    peer["spool"]["events"].as_u64().expect("a number")
}

/// How often a text stands in the spool's files whose names begin so.
fn on_disk(state: &Path, lane: &str, text: &str) -> usize {
    let folders = fs::read_dir(state.join("spool"))
        .into_iter()
        .flatten()
        .flatten();
    let files =
        folders.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten().flatten());
    files
        .filter(|file| file.file_name().to_string_lossy().starts_with(lane))
        .filter_map(|file| fs::read(file.path()).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).matches(text).count())
        .sum()
}

/// Alpha dials bravo through the wire; bravo is not started yet.
fn pair(wire: &Wire) -> (TomboloBox, Setup) {
    let (ours, theirs) = (Authority::new("alpha-ca"), Authority::new("bravo-ca"));
    let alpha = Setup::new("alpha").identity(&ours.issue("alpha"));
    let bravo = Setup::new("bravo").identity(&theirs.issue("bravo"));
    let (to_alpha, to_bravo) = (alpha.registration(), bravo.registration());
    let alpha = alpha.peer(to_bravo.dial(wire.address)).start();
    (alpha, bravo.peer(to_alpha))
}

#[test]
fn a_kill_takes_no_word_that_was_on_the_disk() {
    let wire = Wire::new();
    let (mut alpha, bravo) = pair(&wire);
    let hawk = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(1);
    for number in 0..5 {
        hawk.send(chat("hawk", &format!("before {number}"), &[]));
    }
    eventually("chat is on the disk", || {
        (on_disk(&alpha.state(), "chat", ">before ") == 5).then_some(())
    });
    hawk.send(alarm("b-a-o-tbl", 1));
    eventually("the emergency is on the disk", || {
        (on_disk(&alpha.state(), "control", "911 Alert") == 1).then_some(())
    });
    drop(hawk);
    alpha.start_again(&[]);
    assert_eq!(waiting(&alpha), 6);
    let hawk = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(1);
    hawk.send(chat("hawk", "before 5", &[]));
    eventually("it goes on where it was", || {
        (waiting(&alpha) == 7).then_some(())
    });
    let table = alpha.call(["status"], "").success();
    assert!(table.contains("waiting for it: 7 events"), "{table}");

    let bravo = bravo.start();
    let otter = Device::plain(bravo.clients_tcp());
    bravo.wait_clients(1);
    wire.lead_to(bravo.federation());
    eventually("the last word", || {
        lines(&otter, "before")
            .contains(&"5".to_owned())
            .then_some(())
    });
    assert_eq!(lines(&otter, "before"), numbers(0..6));
    let kinds: Vec<String> = otter
        .events()
        .iter()
        .map(|event| event.kind().to_owned())
        .collect();
    let first = |kind: &str| kinds.iter().position(|other| other == kind);
    assert!(
        first("b-a-o-tbl").expect("the emergency") < first("b-t-f").expect("chat"),
        "{kinds:?}"
    );
    eventually("everything has arrived, and nothing is kept", || {
        (waiting(&alpha) == 0 && on_disk(&alpha.state(), "c", "") == 0).then_some(())
    });
    assert_eq!(otter.count("hawk-9-1-1"), 1);

    // Who is removed leaves nothing behind.
    wire.set(CUT);
    alpha.wait_peer_gone("bravo");
    hawk.send(chat("hawk", "after 0", &[]));
    eventually("it is kept", || {
        (on_disk(&alpha.state(), "chat", ">after ") == 1).then_some(())
    });
    alpha.call(["peer", "remove", "bravo"], "").success();
    let folders = || fs::read_dir(alpha.state().join("spool")).map_or(0, Iterator::count);
    eventually("nothing is kept", || (folders() == 0).then_some(()));
}

#[test]
fn an_outage_loses_no_word_and_ends_what_was_ended() {
    let wire = Wire::new();
    let (alpha, bravo) = pair(&wire);
    let bravo = bravo.start();
    wire.lead_to(bravo.federation());
    alpha.wait_peer("bravo");
    let (hawk, otter) = (
        Device::plain(alpha.clients_tcp()),
        Device::plain(bravo.clients_tcp()),
    );
    alpha.wait_clients(1);
    bravo.wait_clients(1);
    otter.send(position("otter-uid", "OTTER"));
    hawk.expect_uid("otter-uid");
    hawk.send(track("moving", 0));
    otter.expect_uid("moving");

    wire.set(CUT);
    alpha.wait_peer_gone("bravo");
    for number in 0..20 {
        hawk.send(chat("hawk", &format!("line {number}"), &[]));
        hawk.send(track("moving", number + 1));
    }
    hawk.send(alarm("b-a-o-tbl", 1));
    hawk.send(chat("hawk", "to 0", &[("callsign", "OTTER")]));
    hawk.send(alarm("b-a-o-can", 2));
    eventually("all of it waits", || (waiting(&alpha) == 23).then_some(()));
    wire.set(OPEN);
    otter.expect("the newest position", |event| {
        event.xml.contains("report 20<")
    });
    assert_eq!(lines(&otter, "line"), numbers(0..20));
    assert_eq!(lines(&otter, "to"), ["0"]);
    let events = otter.events();
    let alarms: Vec<&str> = events
        .iter()
        .filter(|event| event.uid() == "hawk-9-1-1")
        .map(Event::kind)
        .collect();
    assert_eq!(alarms, ["b-a-o-tbl", "b-a-o-can"]);
    assert_eq!(
        otter.count("moving"),
        2,
        "the first and the newest position"
    );
    eventually("everything has arrived", || {
        (waiting(&alpha) == 0).then_some(())
    });
    hawk.send(chat("hawk", "line 20", &[]));
    eventually("talk goes on", || {
        (lines(&otter, "line") == numbers(0..21)).then_some(())
    });
}

/// A link that is dead and does not look it, twice: once it swallows words, once only the answers to them.
#[test]
fn words_into_a_link_that_only_looks_alive_arrive_once() {
    for swallows in [BLACK, DEAF] {
        let wire = Wire::new();
        let (alpha, bravo) = pair(&wire);
        let bravo = bravo.start();
        wire.lead_to(bravo.federation());
        alpha.wait_peer("bravo");
        let (hawk, otter) = (
            Device::plain(alpha.clients_tcp()),
            Device::plain(bravo.clients_tcp()),
        );
        alpha.wait_clients(1);
        bravo.wait_clients(1);
        hawk.send(chat("hawk", "half 0", &[]));
        eventually("the first", || {
            (lines(&otter, "half").len() == 1).then_some(())
        });
        wire.set(swallows);
        for number in 1..6 {
            hawk.send(chat("hawk", &format!("half {number}"), &[]));
            thread::sleep(Duration::from_millis(200));
        }
        if swallows == DEAF {
            eventually("they arrive", || {
                (lines(&otter, "half").len() == 6).then_some(())
            });
        }
        alpha.wait_peer_gone("bravo");
        wire.set(CUT);
        hawk.send(chat("hawk", "half 6", &[]));
        eventually("what is not known to have arrived waits", || {
            (waiting(&alpha) >= 6).then_some(())
        });
        wire.set(OPEN);
        eventually("the last", || {
            (lines(&otter, "half").len() >= 7).then_some(())
        });
        eventually("everything has arrived", || {
            (waiting(&alpha) == 0).then_some(())
        });
        thread::sleep(QUIET);
        assert_eq!(lines(&otter, "half"), numbers(0..7), "mode {swallows}");
    }
}

#[test]
fn a_disk_that_takes_nothing_is_told_and_words_wait_in_memory() {
    let wire = Wire::new();
    let (alpha, bravo) = pair(&wire);
    // A file where the directory should be: not even root can write below it.
    fs::write(alpha.state().join("spool"), "in the way").expect("a file");
    let hawk = Device::plain(alpha.clients_tcp());
    alpha.wait_clients(1);
    for number in 0..3 {
        hawk.send(chat("hawk", &format!("kept {number}"), &[]));
    }
    let spool = eventually("it is told", || {
        let status = alpha.status();
        let spool = status.peer("bravo")?["spool"].clone();
        (spool["place"] == "memory" && spool["events"] == 3).then_some(spool)
    });
    assert!(
        spool["fault"]
            .as_str()
            .is_some_and(|words| !words.is_empty()),
        "{spool}"
    );
    eventually("the storage is at fault", || {
        (!alpha.status().text("/storage/fault").is_empty()).then_some(())
    });
    let bravo = bravo.start();
    let otter = Device::plain(bravo.clients_tcp());
    bravo.wait_clients(1);
    wire.lead_to(bravo.federation());
    eventually("they arrive", || {
        (lines(&otter, "kept") == numbers(0..3)).then_some(())
    });
}
