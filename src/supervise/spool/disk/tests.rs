//! The real files, and a power cut between any two writes and in the middle of one.

use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;
use crate::clock::Now;
use crate::config::Limits;
use crate::route::{LinkId, LinkSpec, Network, PeerSpec, Router, Settings, Wire};

fn now(mono_ms: u64) -> Now {
    Now {
        mono_ms,
        wall_ms: 1_790_000_000_000 + i64::try_from(mono_ms).unwrap(),
    }
}

/// A box with one peer called bravo, and its card.
struct Rig {
    router: Router,
    disk: Disk,
    hawk: LinkId,
}

impl Rig {
    fn start(state: &Path, at: Now) -> Self {
        let limits = Limits {
            spool_kib: 256,
            ..Limits::default()
        };
        let mut router = Router::new(Settings::of(&limits, "a".repeat(32), 1));
        let disk = Disk::new(state);
        for (peer, which, found) in disk.find(&["bravo".to_owned()]).unwrap() {
            router.spool_found(&peer, which, &found, at);
        }
        router.set_peers(&[PeerSpec {
            name: "bravo".into(),
            incoming: true,
            outgoing: true,
            correct_clock: true,
        }]);
        router.set_spools(&["bravo"]);
        let address = String::new();
        let hawk = router.attach(
            LinkSpec::Client {
                address,
                network: Network::LOCAL,
            },
            at,
        );
        Self { router, disk, hawk }
    }

    fn say(&mut self, kind: &str, number: u32, at: Now) {
        let xml = format!(
            "<event version=\"2.0\" uid=\"{kind}.{number}\" type=\"{kind}\" how=\"h-e\" \
             time=\"2026-09-21T14:13:20.000Z\" start=\"2026-09-21T14:13:20.000Z\" stale=\"2026-09-21T14:13:30.000Z\">\
             <point lat=\"1\" lon=\"2\" hae=\"3\" ce=\"4\" le=\"5\"/><detail><remarks>line {number}.</remarks></detail></event>"
        );
        self.router.receive_xml(self.hawk, xml.as_bytes(), at);
    }

    fn jobs(&mut self, at: Now) -> Vec<Job> {
        let context = Context::from_waker(Waker::noop());
        match self.router.poll_spool(&context, at) {
            Poll::Ready(jobs) => jobs,
            Poll::Pending => Vec::new(),
        }
    }

    fn work(&mut self, at: Now) {
        loop {
            let jobs = self.jobs(at);
            if jobs.is_empty() {
                return;
            }
            for job in jobs {
                if let Some(done) = self.disk.perform(job) {
                    self.router.spool_done(done, at);
                }
            }
        }
    }

    fn flush(&mut self, at: Now) {
        self.router.spool_tick(at);
        self.work(at);
    }

    /// Everything that bravo gets when its link comes up, as the numbers of the lines, control first.
    fn deliver(&mut self, at: Now) -> (LinkId, Vec<u32>) {
        let link = self.router.attach(
            LinkSpec::Federate {
                name: "bravo".into(),
                incoming: true,
                outgoing: true,
                wire: Wire::Federated,
            },
            at,
        );
        let mut bytes = Vec::new();
        for _ in 0..10_000 {
            let mut context = Context::from_waker(Waker::noop());
            match self.router.poll_batch(link, &mut context, at) {
                Poll::Ready(batch) => bytes.extend_from_slice(&batch.unwrap_or_default()),
                Poll::Pending => {
                    let jobs = self.jobs(at);
                    if jobs.is_empty() {
                        break;
                    }
                    for job in jobs {
                        if let Some(done) = self.disk.perform(job) {
                            self.router.spool_done(done, at);
                        }
                    }
                }
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let numbers = text
            .split("<remarks>line ")
            .skip(1)
            .filter_map(|rest| rest.split('.').next()?.parse().ok());
        (link, numbers.collect())
    }
}

#[test]
fn control_goes_before_chat_and_arrived_is_gone_from_the_disk() {
    let state = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(state.path(), now(0));
    for number in 0..5 {
        rig.say("b-t-f", number, now(0));
    }
    rig.say("b-a-o-tbl", 100, now(0));
    rig.say("b-a-o-tbl", 100, now(10));
    rig.say("a-f-G", 200, now(0));
    rig.flush(now(1000));
    assert_eq!(rig.router.spool_state("bravo", now(1000)).events, 6);
    // Another start, later: the events are stale by now, and still worth delivering.
    let mut rig = Rig::start(state.path(), now(3_600_000));
    let kept = rig.router.spool_state("bravo", now(3_600_000));
    assert_eq!((kept.events, kept.oldest_ms / 1000), (6, 3600));
    let (link, got) = rig.deliver(now(3_600_000));
    assert_eq!(got, [100, 0, 1, 2, 3, 4]);
    assert_eq!(
        rig.router.spool_state("bravo", now(3_600_000)).events,
        6,
        "not proved"
    );
    rig.router.link_took(link, u64::MAX);
    rig.work(now(3_600_002));
    assert_eq!(rig.router.spool_state("bravo", now(3_600_002)).events, 0);
    let folder = state.path().join("spool").join(folder_name("bravo"));
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
}

#[test]
fn a_removed_peer_leaves_nothing() {
    let state = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(state.path(), now(0));
    rig.say("b-t-f", 1, now(0));
    rig.flush(now(1000));
    let folder = state.path().join("spool").join(folder_name("bravo"));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    rig.router.set_peers(&[]);
    rig.router.set_spools(&[]);
    rig.work(now(1001));
    assert!(!folder.exists());
    // And one that was removed while the box was off.
    let mut rig = Rig::start(state.path(), now(0));
    rig.say("b-t-f", 1, now(0));
    rig.flush(now(1000));
    assert!(folder.exists());
    assert_eq!(rig.disk.find(&["other".to_owned()]).unwrap(), []);
    assert!(!folder.exists());
}

#[test]
fn a_disk_that_takes_nothing_is_told_and_what_waits_stays_in_memory() {
    let state = tempfile::tempdir().unwrap();
    let mut rig = Rig::start(state.path(), now(0));
    // A file where the directory should be: nobody, not even root, can write below it.
    fs::write(state.path().join("spool"), "in the way").unwrap();
    rig.say("b-t-f", 1, now(0));
    rig.flush(now(1000));
    assert!(rig.router.spool_fault().is_some());
    for number in 2..4000 {
        rig.say("b-t-f", number, now(1000 + u64::from(number)));
    }
    rig.flush(now(6000));
    let state_then = rig.router.spool_state("bravo", now(6000));
    assert!(state_then.memory_bytes <= 768 * 1024, "{state_then:?}");
    let counters = rig.router.peer_counters("bravo").unwrap();
    let full = counters.dropped(crate::counters::Reason::SpoolFull);
    assert_eq!(counters.spooled, full + state_then.events);
    assert!(full > 0);
    // The disk is well again: everything that is left goes there.
    fs::remove_file(state.path().join("spool")).unwrap();
    rig.flush(now(20_000));
    assert!(rig.router.spool_fault().is_none());
    assert_eq!(rig.router.spool_state("bravo", now(20_000)).memory_bytes, 0);
    let (_, got) = rig.deliver(now(20_000));
    let expected: Vec<u32> = (4000 - u32::try_from(state_then.events).unwrap()..4000).collect();
    assert_eq!(got, expected);
}

#[test]
fn names_of_peers_are_safe_as_names_of_folders() {
    assert!(folder_name("bravo").starts_with("bravo-"));
    for bad in ["..", "a/b", "../../etc", "Élan 7", "."] {
        let name = folder_name(bad);
        assert!(
            !name.contains('/') && !name.starts_with('.') && name.is_ascii(),
            "{name}"
        );
    }
    assert_ne!(folder_name("a/b"), folder_name("a_b"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever was synced before the cut is delivered after it, in order, once or more; nothing that was never said.
    #[test]
    fn a_power_cut_between_any_two_writes_or_in_one(
        steps in proptest::collection::vec(0..6_u8, 1..60), cut in any::<prop::sample::Index>(), torn in 0..2000_usize,
    ) {
        let state = tempfile::tempdir().unwrap();
        let mut rig = Rig::start(state.path(), now(0));
        let cut = cut.index(30);
        let (mut said, mut synced, mut writes, mut at) = (0, 0, 0, 0);
        'box_runs: for step in steps {
            at += 100;
            if step < 4 {
                said += 1;
                rig.say("b-t-f", said, now(at));
            } else {
                rig.router.spool_tick(now(at));
            }
            for job in rig.jobs(now(at)) {
                let is_cut = writes == cut;
                writes += 1;
                match job {
                    Job::Append { file, at: from, bytes } if is_cut => {
                        let part = bytes.slice(..torn.min(bytes.len()));
                        rig.disk.perform(Job::Append { file, at: from, bytes: part });
                    }
                    job => if let Some(done) = rig.disk.perform(job) {
                        rig.router.spool_done(done, now(at));
                        synced = said;
                    }
                }
                if is_cut {
                    break 'box_runs;
                }
            }
        }
        let mut rig = Rig::start(state.path(), now(at + 1000));
        let (_, got) = rig.deliver(now(at + 1000));
        let whole: Vec<u32> = (1..=u32::try_from(got.len()).unwrap()).collect();
        prop_assert_eq!(&got, &whole);
        prop_assert!(got.len() as u32 >= synced && got.len() as u32 <= said, "{} of {synced}..{said}", got.len());
        // And it goes on from there.
        rig.say("b-t-f", said + 1, now(at + 2000));
        rig.flush(now(at + 3000));
    }
}
