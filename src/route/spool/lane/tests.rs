//! A lane with a disk in memory.

use std::collections::BTreeMap;

use super::*;
use crate::route::spool::job::{FoundSegment, Piece};
use crate::route::spool::record;
use proptest::prelude::*;

const SHAPE: Shape = Shape {
    segment_bytes: 200,
    age_ms: 8000,
    read_bytes: 120,
};

fn now(mono_ms: u64) -> Now {
    Now {
        mono_ms,
        wall_ms: 1_790_000_000_000 + mono_ms as i64,
    }
}

struct Rig {
    lane: Lane,
    jobs: VecDeque<Job>,
    files: BTreeMap<u64, Vec<u8>>,
    broken: bool,
    sent: u64,
}

impl Rig {
    fn new() -> Self {
        Self {
            lane: Lane::new("bravo".into(), Which::Chat),
            jobs: VecDeque::new(),
            files: BTreeMap::new(),
            broken: false,
            sent: 0,
        }
    }

    /// As after a power cut: only the files are left.
    fn again(self, at: Now) -> Self {
        let mut found = Found::default();
        for (&first, bytes) in &self.files {
            let survey = record::survey(bytes);
            found.segments.push(FoundSegment {
                first,
                bytes: survey.sound_bytes as u32,
                oldest_ms: survey.oldest_ms,
                newest_ms: survey.newest_ms,
            });
            found.end = found.end.max(survey.end);
            found.arrived = found.arrived.max(survey.arrived);
        }
        let mut rig = Self::new();
        rig.files = self.files;
        rig.lane.found(&found, at);
        rig
    }

    fn push(&mut self, text: &str, at: u64) {
        self.lane.push(text.as_bytes(), now(at));
    }

    fn work(&mut self) {
        while let Some(job) = self.jobs.pop_front() {
            match job {
                Job::Append { file, at, bytes } if !self.broken => {
                    let held = self.files.entry(file.first).or_default();
                    assert!(held.len() >= at as usize);
                    held.truncate(at as usize);
                    held.extend_from_slice(&bytes);
                    self.lane.written(file.first);
                }
                Job::Append { file, .. } => self.lane.not_written(file.first),
                Job::Read {
                    file,
                    at,
                    from,
                    most,
                } => {
                    let held = self.files.get(&file.first).map_or(&[][..], |held| held);
                    let rest = held.get(at as usize..).unwrap_or_default();
                    let bytes = crate::route::spool::pending::piece(rest, from, most as usize);
                    let next_at = match bytes.is_empty() {
                        true => None,
                        false => Some(
                            (bytes.as_ptr() as usize - held.as_ptr() as usize + bytes.len()) as u32,
                        ),
                    };
                    let bytes = bytes.to_vec();
                    self.lane.have_read(file.first, Piece { bytes, next_at });
                }
                Job::Remove { file } => drop(self.files.remove(&file.first)),
                Job::Forget { .. } => self.files.clear(),
            }
        }
    }

    fn write(&mut self, at: u64) {
        self.jobs.extend(self.lane.write(&SHAPE, true, now(at)));
        self.work();
    }

    /// Sends up to `most`.
    fn send(&mut self, most: usize) -> Vec<String> {
        let mut sent = Vec::new();
        while sent.len() < most {
            match self.lane.prepare(&SHAPE, &mut self.jobs) {
                Next::Drained => break,
                Next::Awaited => self.work(),
                Next::Ready => {
                    sent.push(String::from_utf8(self.lane.current().unwrap().to_vec()).unwrap());
                    self.sent += 1;
                    self.lane.passed(self.sent, None);
                }
            }
        }
        sent
    }

    fn settle(&mut self) -> Left {
        let left = self.lane.settle(self.sent);
        self.lane.release(&mut self.jobs);
        self.work();
        left
    }
}

fn texts(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("event {number}")).collect()
}

#[test]
fn what_was_written_and_what_was_not_is_sent_in_order() {
    let mut rig = Rig::new();
    for number in 0..20_u32 {
        rig.push(&format!("event {number}"), u64::from(number));
        if number % 3 == 0 {
            rig.write(u64::from(number));
        }
    }
    assert!(rig.files.len() > 2, "several segments: {}", rig.files.len());
    assert_eq!(rig.send(100), texts(0..20));
    assert_eq!(rig.lane.waiting(), 20);
    assert_eq!(rig.settle().arrived, 20);
    assert_eq!((rig.lane.waiting(), rig.files.len()), (0, 0));
    assert_eq!(rig.lane.memory_bytes(), 0);
}

#[test]
fn a_broken_link_sends_again_what_had_not_arrived() {
    let mut rig = Rig::new();
    for number in 0..300 {
        rig.push(&format!("event {number}"), 0);
        rig.write(0);
    }
    assert_eq!(rig.send(100), texts(0..100));
    let half = rig.sent / 2;
    let arrived = rig.lane.settle(half).arrived;
    assert!(arrived <= 50, "{arrived}");
    rig.lane.rewind();
    assert_eq!(rig.send(1000), texts(arrived as u32..300));
    assert_eq!(rig.settle().arrived, 300 - arrived);
}

#[test]
fn a_disk_that_takes_nothing_leaves_it_in_memory_until_it_does() {
    let mut rig = Rig::new();
    rig.broken = true;
    for number in 0..10 {
        rig.push(&format!("event {number}"), 0);
        rig.write(0);
    }
    assert!(rig.files.is_empty() && rig.lane.is_in_memory_only());
    assert_eq!(rig.send(3), texts(0..3));
    rig.broken = false;
    rig.write(0);
    assert_eq!(rig.files.len(), 1);
    rig.lane.rewind();
    assert_eq!(rig.send(100), texts(0..10));
}

#[test]
fn the_oldest_segment_gives_way_and_the_old_expires() {
    let mut rig = Rig::new();
    for number in 0..20_u32 {
        rig.push(&format!("event {number}"), u64::from(number) * 500);
        rig.write(u64::from(number) * 500);
    }
    let gone = rig.lane.evict(0, &mut rig.jobs).unwrap();
    assert!(gone > 0);
    let old = rig.lane.expire(&SHAPE, now(12_000), &mut rig.jobs);
    assert!(old > 0);
    rig.work();
    assert_eq!(rig.send(100), texts((gone + old) as u32..20));
    // Events came every 500 ms; those above the age are gone, those below 7/8 of it are there.
    assert!((6..=9).contains(&(gone + old)), "{gone} {old}");
}

#[test]
fn a_segment_that_cannot_be_read_costs_only_itself() {
    let mut rig = Rig::new();
    for number in 0..20 {
        rig.push(&format!("event {number}"), 0);
        rig.write(0);
    }
    let second = *rig.files.keys().nth(1).unwrap();
    let third = *rig.files.keys().nth(2).unwrap();
    rig.files.insert(second, Vec::new());
    let sent = rig.send(100);
    assert_eq!(sent.len() as u64, 20 - (third - second));
    let left = rig.settle();
    assert_eq!(left.skipped[Skip::Damaged as usize], third - second);
    assert_eq!(left.arrived as usize, sent.len());
    assert!(rig.files.is_empty());
}

proptest! {
    /// Whatever happens in whatever order: each event is sent once or more, in order, and every one is accounted for.
    #[test]
    fn nothing_is_lost_and_nothing_is_invented(steps in proptest::collection::vec(0..9_u8, 1..120)) {
        let mut rig = Rig::new();
        let (mut pushed, mut arrived, mut high) = (0_u32, 0_u64, 0_u64);
        for step in steps {
            match step {
                0..=2 => {
                    rig.push(&format!("event {pushed}"), 0);
                    pushed += 1;
                }
                3 => rig.write(0),
                4 => {
                    rig.broken = !rig.broken;
                    rig.write(0);
                }
                5 => {
                    let next = rig.lane.next as u32 - 1;
                    let sent = rig.send(3);
                    prop_assert_eq!(&sent, &texts(next..next + sent.len() as u32));
                    high = high.max(rig.lane.next);
                }
                6 => arrived += rig.settle().arrived,
                7 => rig.lane.rewind(),
                // A power cut, of a box whose disk works and has written everything.
                _ => {
                    rig.broken = false;
                    rig.write(0);
                    if rig.lane.pending.events == 0 && !rig.files.is_empty() {
                        // What had arrived and was not noted is sent again.
                        let waited = rig.lane.waiting();
                        let before = rig.lane.arrived;
                        rig = rig.again(now(1));
                        prop_assert!(rig.lane.waiting() >= waited);
                        arrived -= before - rig.lane.arrived;
                    }
                }
            }
            prop_assert_eq!(rig.lane.waiting() + arrived, u64::from(pushed));
        }
        rig.lane.rewind();
        let rest = rig.send(1000);
        prop_assert_eq!(rest, texts(arrived as u32..pushed));
    }
}
