//! All that waits for one peer: its two lanes.

use std::collections::VecDeque;
use std::sync::Arc;

use super::job::{FileId, Found, Job, Piece, Which};
use super::lane::{Lane, Left, Next, Shape, Skip};
use crate::clock::Now;

/// One in so many events out of the spool lets one live parcel pass, so that tracks move while a long backlog is sent.
const FLOOR: u8 = 16;
/// How long live traffic is held up for the disk, milliseconds.
const PATIENCE_MS: u64 = 1000;

/// A peer's spool.
#[derive(Debug)]
pub struct PeerSpool {
    /// It is used: `spool = true`.
    pub enabled: bool,
    lanes: [Lane; 2],
    turn: u8,
    asked_since: Option<u64>,
}

impl PeerSpool {
    /// An empty one, not in use.
    pub fn new(peer: &str) -> Self {
        let peer: Arc<str> = peer.into();
        Self {
            enabled: false,
            lanes: Which::ALL.map(|which| Lane::new(Arc::clone(&peer), which)),
            turn: 0,
            asked_since: None,
        }
    }

    /// A lane.
    pub fn lane(&mut self, which: Which) -> &mut Lane {
        &mut self.lanes[which as usize]
    }

    /// Both lanes.
    pub fn lanes(&self) -> &[Lane; 2] {
        &self.lanes
    }

    /// Whether a new event of that lane would overtake one that waits: chat waits for chat and control.
    pub fn is_behind(&self, which: Which) -> bool {
        self.lanes[..=which as usize].iter().any(Lane::is_behind)
    }

    /// Takes over what the disk holds.
    pub fn found(&mut self, which: Which, found: &Found, now: Now) -> u64 {
        let lane = self.lane(which);
        lane.found(found, now);
        lane.waiting()
    }

    /// Events that wait.
    pub fn waiting(&self) -> u64 {
        self.lanes.iter().map(Lane::waiting).sum()
    }

    /// Bytes on the disk, and about to be there.
    pub fn bytes(&self) -> u64 {
        let bytes = |lane: &Lane| lane.disk_bytes() + lane.unwritten_bytes() as u64;
        self.lanes.iter().map(bytes).sum()
    }

    /// Bytes in memory that are charged to the pool of what waits.
    pub fn memory_bytes(&self) -> usize {
        self.lanes.iter().map(Lane::memory_bytes).sum()
    }

    /// When the oldest event that waits was spooled, monotonic milliseconds.
    pub fn oldest_ms(&self) -> Option<i64> {
        self.lanes.iter().filter_map(Lane::oldest_ms).min()
    }

    /// Sees to it that the next event is at hand, control first.
    pub fn prepare(&mut self, shape: &Shape, jobs: &mut VecDeque<Job>, now: Now) -> Prepared {
        for which in Which::ALL {
            match self.lane(which).prepare(shape, jobs) {
                Next::Drained => {}
                Next::Ready => {
                    self.asked_since = None;
                    return Prepared::Ready(which);
                }
                Next::Awaited => {
                    let since = *self.asked_since.get_or_insert(now.mono_ms);
                    let patient = now.mono_ms.saturating_sub(since) < PATIENCE_MS;
                    return Prepared::Awaited { patient };
                }
            }
        }
        self.asked_since = None;
        Prepared::Drained
    }

    /// The current event of a lane was handed over as the connection's message number `sent`, or skipped. Tells whether
    /// it is a live parcel's turn.
    pub fn passed(&mut self, which: Which, sent: u64, skip: Option<Skip>) -> bool {
        self.lane(which).passed(sent, skip);
        self.turn = (self.turn + 1) % FLOOR;
        self.turn == 0
    }

    /// So many messages of the connection have arrived.
    pub fn settle(&mut self, sent: u64, jobs: &mut VecDeque<Job>) -> Left {
        let mut sum = Left::default();
        for lane in &mut self.lanes {
            let left = lane.settle(sent);
            lane.release(jobs);
            sum.arrived += left.arrived;
            for (total, more) in sum.skipped.iter_mut().zip(left.skipped) {
                *total += more;
            }
        }
        sum
    }

    /// The connection is gone.
    pub fn rewind(&mut self) {
        self.lanes.iter_mut().for_each(Lane::rewind);
        self.asked_since = None;
    }

    /// Gives up what is too old; gives how many events.
    pub fn expire(&mut self, shape: &Shape, now: Now, jobs: &mut VecDeque<Job>) -> u64 {
        let expire = |lane: &mut Lane| lane.expire(shape, now, jobs);
        self.lanes.iter_mut().map(expire).sum()
    }

    /// What the disk is to write now.
    pub fn write(&mut self, shape: &Shape, note: bool, now: Now, jobs: &mut VecDeque<Job>) {
        for lane in &mut self.lanes {
            jobs.extend(lane.write(shape, note, now));
        }
    }

    /// What was to be written is on the disk, or is not.
    pub fn written(&mut self, file: &FileId, is_written: bool) {
        let lane = self.lane(file.which);
        match is_written {
            true => lane.written(file.first),
            false => lane.not_written(file.first),
        }
    }

    /// What the disk gave.
    pub fn have_read(&mut self, file: &FileId, piece: Piece) {
        self.lane(file.which).have_read(file.first, piece);
    }

    /// Forgets everything; gives how many events waited.
    pub fn clear(&mut self) -> u64 {
        self.asked_since = None;
        self.lanes.iter_mut().map(Lane::clear).sum()
    }
}

/// How the next event of a peer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prepared {
    /// Everything was sent.
    Drained,
    /// The disk was asked for it; `patient`: for less than a second.
    Awaited {
        /// Live traffic may wait for it still.
        patient: bool,
    },
    /// It is the current one of this lane.
    Ready(Which),
}
