//! When this box says an event on a mesh, and when it leaves that to another box on the same network. Pure.
//!
//! Boxes on one network that are federated with each other all have an event from outside, and one of them is enough to say
//! it. So they tell each other by beacons ([`super::beacon`]) who is there, and take their turns by their ids: the lowest
//! waits [`FIRST_MS`], each further one [`STEP_MS`] longer. Whoever hears on the mesh what it is about to say keeps silent.
//! So an event is said by the first box in the order that has it, and when that box falls silent the next one
//! says it without being asked. A box that hears no other one waits for nobody; one that has just come waits longest, until
//! it knows the others.
//!
//! Nobody is believed: a beacon only delays, and only the very content that was heard is not said.

use std::collections::VecDeque;

/// A box: its federate id.
pub type BoxId = [u8; 16];

/// The first in the order waits so long: what it is about to say may be under way to it.
pub const FIRST_MS: u64 = 30;
/// Each further one waits so much longer.
pub const STEP_MS: u64 = 100;
/// Those further behind wait no longer than this many steps.
const MOST_STEPS: u64 = 6;
/// A box says that it is there so often.
pub const BEACON_EVERY_MS: u64 = 10_000;
/// One that was not heard so long is gone.
const GONE_AFTER_MS: u64 = 35_000;
/// So long after it came a box does not know the others yet.
const SETTLING_MS: u64 = 1500;
/// What was heard or said is remembered so long.
const REMEMBERED_MS: u64 = 10_000;
/// As many.
const REMEMBERED: usize = 256;
/// Boxes that are known at once.
pub const BOXES: usize = 12;
/// Events held back at once, and their bytes.
pub const HELD: usize = 48;
/// Bytes of events held back at once; one that is longer is held alone.
pub const HELD_BYTES: usize = 8 * 1024;

/// Bytes that a speaker takes at most, without the events themselves.
pub const BYTES: usize = REMEMBERED * 16 + BOXES * (24 + 48) + HELD * 64;

/// What is to be done with an event.
#[derive(Debug, PartialEq, Eq)]
pub enum Say<T> {
    /// Say it now.
    Now(T),
    /// It is held back; see [`Speaker::next_due`].
    Later,
    /// It was said on the mesh already.
    Never,
}

/// The turn-taking on one mesh. Times are monotonic milliseconds.
#[derive(Debug)]
pub struct Speaker<T> {
    id: BoxId,
    came_ms: u64,
    beacon_ms: u64,
    others: Vec<(BoxId, u64)>,
    /// Content, and when it was heard or said; oldest first.
    known: VecDeque<(u64, u64)>,
    held: Vec<Held<T>>,
    held_bytes: usize,
}

#[derive(Debug)]
struct Held<T> {
    content: u64,
    due_ms: u64,
    bytes: usize,
    event: T,
}

impl<T> Speaker<T> {
    /// A box that has just joined the mesh.
    pub fn new(id: BoxId, now_ms: u64) -> Self {
        Self {
            id,
            came_ms: now_ms,
            beacon_ms: now_ms,
            others: Vec::new(),
            known: VecDeque::new(),
            held: Vec::new(),
            held_bytes: 0,
        }
    }

    /// Another event can be taken; without room it waits in its queue.
    pub fn has_room(&self) -> bool {
        self.held.len() < HELD && self.held_bytes < HELD_BYTES
    }

    /// An event of so many bytes is to be said, which says `content`.
    pub fn offer(&mut self, content: u64, event: T, bytes: usize, now_ms: u64) -> Say<T> {
        if self.is_known(content, now_ms) {
            return Say::Never;
        }
        match self.wait_ms(now_ms) {
            0 => {
                self.remember(content, now_ms);
                Say::Now(event)
            }
            wait => {
                self.held_bytes += bytes;
                self.held.push(Held {
                    content,
                    due_ms: now_ms + wait,
                    bytes,
                    event,
                });
                Say::Later
            }
        }
    }

    /// Somebody else said this on the mesh. Tells how many events need not be said any more.
    pub fn heard(&mut self, content: u64, now_ms: u64) -> usize {
        self.remember(content, now_ms);
        let before = self.held.len();
        let bytes = &mut self.held_bytes;
        self.held.retain(|held| {
            let stays = held.content != content;
            *bytes -= if stays { 0 } else { held.bytes };
            stays
        });
        before - self.held.len()
    }

    /// When the next event that is held back is to be said.
    pub fn next_due(&self) -> Option<u64> {
        self.held.iter().map(|held| held.due_ms).min()
    }

    /// The next event whose turn has come, in the order in which they were offered.
    pub fn take_due(&mut self, now_ms: u64) -> Option<T> {
        let due = |held: &Held<T>| held.due_ms <= now_ms;
        let at = self.held.iter().position(due)?;
        let held = self.held.remove(at);
        self.held_bytes -= held.bytes;
        self.remember(held.content, now_ms);
        Some(held.event)
    }

    /// Another box says that it is there, or that it leaves.
    pub fn beacon(&mut self, id: BoxId, leaving: bool, now_ms: u64) {
        if id == self.id {
            return;
        }
        self.forget_gone(now_ms);
        let known = self.others.iter().position(|(other, _)| *other == id);
        match known {
            Some(at) if leaving => {
                self.others.swap_remove(at);
            }
            Some(at) => self.others[at].1 = now_ms,
            None if leaving || self.others.len() == BOXES => {}
            None => {
                self.others.push((id, now_ms));
                // It should know of us soon, and not hear all at once.
                let soon = now_ms + 50 + u64::from(self.id[0]) % 8 * 40;
                self.beacon_ms = self.beacon_ms.min(soon);
            }
        }
    }

    /// When we are to say that we are there.
    pub fn beacon_due(&self) -> u64 {
        self.beacon_ms
    }

    /// We said it.
    pub fn beacon_said(&mut self, now_ms: u64) {
        self.beacon_ms = now_ms + BEACON_EVERY_MS;
        self.forget_gone(now_ms);
    }

    /// Boxes on this mesh beside us.
    pub fn others(&self, now_ms: u64) -> usize {
        let here = |(_, heard): &&(BoxId, u64)| now_ms < heard + GONE_AFTER_MS;
        self.others.iter().filter(here).count()
    }

    /// How long an event is held back now.
    fn wait_ms(&self, now_ms: u64) -> u64 {
        if now_ms < self.came_ms + SETTLING_MS {
            return FIRST_MS + (MOST_STEPS + 1) * STEP_MS + u64::from(self.id[0]) % 16 * 25;
        }
        let here = |(_, heard): &&(BoxId, u64)| now_ms < heard + GONE_AFTER_MS;
        let before = |(other, _): &&(BoxId, u64)| *other < self.id;
        let others = self.others.iter().filter(here);
        match (others.clone().count(), others.filter(before).count() as u64) {
            (0, _) => 0,
            (_, before) => FIRST_MS + before.min(MOST_STEPS) * STEP_MS,
        }
    }

    fn is_known(&self, content: u64, now_ms: u64) -> bool {
        let same = |&(known, at): &(u64, u64)| known == content && now_ms < at + REMEMBERED_MS;
        self.known.iter().any(same)
    }

    fn remember(&mut self, content: u64, now_ms: u64) {
        let old = |&(_, at): &(u64, u64)| now_ms >= at + REMEMBERED_MS;
        while self.known.len() == REMEMBERED || self.known.front().is_some_and(old) {
            self.known.pop_front();
        }
        self.known.push_back((content, now_ms));
    }

    fn forget_gone(&mut self, now_ms: u64) {
        (self.others).retain(|(_, heard)| now_ms < heard + GONE_AFTER_MS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: u64 = 100_000;
    const SETTLED: u64 = START + SETTLING_MS;

    fn id(first: u8) -> BoxId {
        [first; 16]
    }

    /// A box that has settled among others.
    fn among(own: u8, others: &[u8]) -> Speaker<u32> {
        let mut speaker = Speaker::new(id(own), START);
        for &other in others {
            speaker.beacon(id(other), false, SETTLED);
        }
        speaker
    }

    #[test]
    fn a_box_alone_waits_for_nobody_once_it_knows_that_it_is_alone() {
        let mut alone = Speaker::new(id(1), START);
        assert_eq!(alone.offer(7, 70, 10, START + 1), Say::Later);
        assert!(alone.next_due().unwrap() > START + MOST_STEPS * STEP_MS);
        assert_eq!(alone.offer(8, 80, 10, SETTLED), Say::Now(80));
        assert_eq!(alone.offer(8, 80, 10, SETTLED + 5000), Say::Never);
        assert_eq!(alone.offer(8, 80, 10, SETTLED + 10_000), Say::Now(80));
    }

    #[test]
    fn the_lowest_id_speaks_first_and_who_hears_it_keeps_silent() {
        let mut first = among(1, &[2, 3]);
        let mut second = among(2, &[1, 3]);
        let mut third = among(3, &[1, 2]);
        for speaker in [&mut first, &mut second, &mut third] {
            assert_eq!(speaker.offer(7, 70, 10, SETTLED), Say::Later);
        }
        let due = |speaker: &Speaker<u32>| speaker.next_due().unwrap() - SETTLED;
        assert_eq!([due(&first), due(&second), due(&third)], [30, 130, 230]);
        assert_eq!(first.take_due(SETTLED + 29), None);
        assert_eq!(first.take_due(SETTLED + 30), Some(70));
        assert_eq!(second.heard(7, SETTLED + 31), 1);
        assert_eq!(second.take_due(SETTLED + 1000), None);
        // The third did not hear it, and says it; the second had it already.
        assert_eq!(third.take_due(SETTLED + 230), Some(70));
        assert_eq!(second.heard(7, SETTLED + 231), 0);
        assert_eq!(second.offer(7, 70, 10, SETTLED + 300), Say::Never);
    }

    #[test]
    fn what_was_heard_before_it_was_offered_is_not_said() {
        let mut speaker = among(1, &[2]);
        assert_eq!(speaker.heard(7, SETTLED), 0);
        assert_eq!(speaker.offer(7, 70, 10, SETTLED + 1), Say::Never);
        assert_eq!(speaker.offer(8, 80, 10, SETTLED + 1), Say::Later);
    }

    #[test]
    fn boxes_come_and_go() {
        let mut speaker = among(5, &[1, 9]);
        assert_eq!(speaker.others(SETTLED), 2);
        speaker.beacon(id(1), true, SETTLED + 1);
        assert_eq!(speaker.wait_ms(SETTLED + 1), FIRST_MS);
        speaker.beacon(id(5), false, SETTLED + 1);
        assert_eq!(speaker.others(SETTLED + 1), 1, "itself does not count");
        assert_eq!(speaker.wait_ms(SETTLED + GONE_AFTER_MS), 0);
        for other in 10..200 {
            speaker.beacon(id(other), false, SETTLED + 2);
        }
        assert_eq!(speaker.others.len(), BOXES);
    }

    #[test]
    fn a_newcomer_is_answered_soon() {
        let mut speaker = among(5, &[1]);
        speaker.beacon_said(SETTLED);
        assert_eq!(speaker.beacon_due(), SETTLED + BEACON_EVERY_MS);
        speaker.beacon(id(1), false, SETTLED + 10);
        assert_eq!(speaker.beacon_due(), SETTLED + BEACON_EVERY_MS);
        speaker.beacon(id(2), false, SETTLED + 10);
        assert!(speaker.beacon_due() < SETTLED + 500);
    }

    #[test]
    fn room_is_bounded_by_number_and_bytes() {
        let mut speaker = among(5, &[1]);
        for content in 0..HELD as u64 {
            assert!(speaker.has_room());
            assert_eq!(speaker.offer(content, 0, 1, SETTLED), Say::Later);
        }
        assert!(!speaker.has_room());
        assert_eq!(speaker.heard(3, SETTLED), 1);
        assert!(speaker.has_room());
        assert_eq!(speaker.offer(1000, 0, HELD_BYTES, SETTLED), Say::Later);
        assert!(!speaker.has_room());
        while speaker.take_due(SETTLED + 1000).is_some() {}
        assert_eq!((speaker.held_bytes, speaker.next_due()), (0, None));
    }

    /// Boxes on a network on which everything that is said is heard by all within `delay` milliseconds: each event that
    /// any of them has is said once, as long as that is quicker than a step.
    fn said(boxes: u8, has: &[(u64, u8, u64)], delay: u64) -> Vec<u64> {
        let all: Vec<u8> = (0..boxes).collect();
        let mut speakers: Vec<_> = all.iter().map(|&own| among(own, &all)).collect();
        let mut air: Vec<(u64, u64, usize)> = Vec::new();
        let mut said = Vec::new();
        for now in SETTLED..SETTLED + 3000 {
            for (own, speaker) in speakers.iter_mut().enumerate() {
                for &(_, content, by) in air.iter().filter(|(at, ..)| *at == now) {
                    if by != own {
                        speaker.heard(content, now);
                    }
                }
                for &(content, _, at) in has
                    .iter()
                    .filter(|(_, who, at)| usize::from(*who) == own && SETTLED + at == now)
                {
                    let _ = at;
                    match speaker.offer(content, content as u32, 1, now) {
                        Say::Now(_) => {
                            said.push(content);
                            air.push((now + delay, content, own));
                        }
                        Say::Later | Say::Never => {}
                    }
                }
                while let Some(content) = speaker.take_due(now) {
                    said.push(content.into());
                    air.push((now + delay, content.into(), own));
                }
            }
        }
        said.sort_unstable();
        said
    }

    proptest! {
        #[test]
        fn each_event_is_said_exactly_once(
            boxes in 1u8..5,
            has in proptest::collection::vec((0u64..20, 0u8..5, 0u64..60), 1..60),
            delay in 1u64..35,
        ) {
            let mut has = has;
            has.retain(|(_, who, _)| *who < boxes);
            // A box has each event once: its router sees to that.
            has.sort_unstable();
            has.dedup_by_key(|(content, who, _)| (*content, *who));
            let mut expected: Vec<u64> = has.iter().map(|(content, ..)| *content).collect();
            expected.dedup();
            prop_assert_eq!(said(boxes, &has, delay), expected);
        }
    }
}
