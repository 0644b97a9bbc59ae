//! One lane of one peer: what waits in it, where that is (disk or memory), how far it was sent, and how far it is known
//! to have arrived.
//!
//! Numbers: `arrived <= next <= end`. Below `arrived` is done with, from `next` on is to be sent, between the two is on
//! its way. When the link breaks, `next` goes back to `arrived`.

mod reading;
mod writing;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::job::{FileId, Found, Job, Which};
use super::pending::Pending;
use super::record::{Content, Record};
use crate::clock::Now;

/// Sizes and ages of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// A segment that long takes no more, bytes.
    pub segment_bytes: u32,
    /// What is older is not worth delivering, milliseconds.
    pub age_ms: i64,
    /// What is read at once, bytes.
    pub read_bytes: u32,
}

impl Shape {
    /// A segment begun longer ago takes no more: so what is old can be removed as a whole. An event may stay by this
    /// much longer than its age allows.
    pub const fn segment_age_ms(&self) -> i64 {
        self.age_ms / 8
    }
}

/// A time before this is that of a clock that was never set: 2020.
const SET_CLOCK_MS: i64 = 1_577_836_800_000;
/// Marks of what is on its way, and parcels that share one.
const MARKS: usize = 6;
const MARK_SPAN: u64 = 32;
/// Bytes of what was read that have their own row in the memory sum; more is charged to the pool of what waits.
pub const READ_AHEAD: usize = 1536;

/// Why an event in the lane is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// It is of no worth any more.
    Expired,
    /// Something newer made it worthless.
    Conflated,
    /// The disk did not give it back.
    Damaged,
}

/// Events that left the lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// They have arrived.
    pub arrived: u64,
    /// They were not sent, by [`Skip`].
    pub skipped: [u64; 3],
}

/// Times here are monotonic, and may lie before the start of the program.
#[derive(Debug, Clone, Copy)]
struct Segment {
    first: u64,
    bytes: u32,
    oldest_ms: i64,
    newest_ms: i64,
}

/// What a segment takes in memory, bytes: its place in a ring that has just grown.
pub const SEGMENT_PLACE: usize = 2 * size_of::<Segment>();

/// With the disk at this moment.
#[derive(Debug)]
struct Writing {
    file: u64,
    bytes: Bytes,
    /// Where the first record is that came out of [`Pending`].
    head: usize,
    pending: Pending,
}

#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    /// The record that stands next: where its event is, and where the record ends.
    event: (usize, usize),
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    upto: u64,
    /// The connection's parcels that it stands for, first and last.
    first_sent: u64,
    sent: u64,
    skipped: [u64; 3],
}

/// How the next event of a lane stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Everything was sent.
    Drained,
    /// The disk was asked for it.
    Awaited,
    /// [`Lane::current`] has it.
    Ready,
}

/// A lane.
#[derive(Debug)]
pub struct Lane {
    peer: Arc<str>,
    which: Which,
    segments: VecDeque<Segment>,
    writing: Option<Writing>,
    pending: Pending,
    end: u64,
    next: u64,
    arrived: u64,
    /// What the disk was told of `arrived`.
    noted: u64,
    marks: heapless::Deque<Mark, MARKS>,
    chunk: Option<Chunk>,
    /// Number from which on the disk was asked to read.
    reading: Option<u64>,
    /// File and byte where reading goes on; no byte: nothing more can be read of it.
    place: Option<(u64, Option<u32>)>,
}

impl Lane {
    /// An empty lane.
    pub fn new(peer: Arc<str>, which: Which) -> Self {
        Self {
            peer,
            which,
            segments: VecDeque::new(),
            writing: None,
            pending: Pending::default(),
            end: 1,
            next: 1,
            arrived: 1,
            noted: 1,
            marks: heapless::Deque::new(),
            chunk: None,
            reading: None,
            place: None,
        }
    }

    /// Takes over what the disk holds. Only for a lane that is empty.
    pub fn found(&mut self, found: &Found, now: Now) {
        // An age that a clock which was never set would give is not believed.
        let age = |wall_ms: i64| match wall_ms >= SET_CLOCK_MS && wall_ms <= now.wall_ms {
            true => now.wall_ms - wall_ms,
            false => 0,
        };
        for segment in &found.segments {
            self.segments.push_back(Segment {
                first: segment.first,
                bytes: segment.bytes,
                oldest_ms: mono(now) - age(segment.oldest_ms),
                newest_ms: mono(now) - age(segment.newest_ms),
            });
        }
        let first = found.segments.first().map_or(1, |segment| segment.first);
        self.end = found.end.max(first);
        self.arrived = found.arrived.clamp(first, self.end);
        (self.next, self.noted) = (self.arrived, self.arrived);
    }

    /// Events that wait, those on their way included.
    pub fn waiting(&self) -> u64 {
        self.end - self.arrived
    }

    /// Some of them are not on their way yet.
    pub fn is_behind(&self) -> bool {
        self.next < self.end
    }

    /// Bytes on the disk.
    pub fn disk_bytes(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| u64::from(segment.bytes))
            .sum()
    }

    /// Bytes in memory.
    pub fn memory_bytes(&self) -> usize {
        let chunk = self.chunk.as_ref().map_or(0, |chunk| chunk.bytes.len());
        self.unwritten_bytes() + chunk.saturating_sub(READ_AHEAD)
    }

    /// Bytes that are not on the disk yet.
    pub fn unwritten_bytes(&self) -> usize {
        let writing = self
            .writing
            .as_ref()
            .map_or(0, |writing| writing.bytes.len());
        writing + self.pending.bytes.capacity()
    }

    /// When the oldest event that waits was spooled, monotonic milliseconds; it may have arrived, and a younger one of its segment waits.
    pub fn oldest_ms(&self) -> Option<i64> {
        if self.waiting() == 0 {
            return None;
        }
        let parts = [
            self.segments.front().map(|segment| segment.oldest_ms),
            self.writing
                .as_ref()
                .map(|writing| writing.pending.oldest_ms),
            Some(self.pending.oldest_ms),
        ];
        parts.into_iter().flatten().next()
    }

    /// Segments on the disk.
    pub fn segments(&self) -> usize {
        self.segments.len()
    }

    /// Takes an event, as `FederatedEvent`.
    pub fn push(&mut self, event: &[u8], now: Now) {
        let pending = &mut self.pending;
        if pending.events == 0 {
            (pending.first, pending.oldest_ms) = (self.end, mono(now));
        }
        pending.newest_ms = mono(now);
        pending.events += 1;
        let record = Record {
            number: self.end,
            wall_ms: now.wall_ms,
            content: Content::Event(event),
        };
        pending.put(&record);
        self.end += 1;
    }

    /// The current event was handed over as the connection's parcel number `sent`, or is not worth it.
    pub fn passed(&mut self, sent: u64, skip: Option<Skip>) {
        let upto = self.next + 1;
        self.next = upto;
        let mut skipped = [0; 3];
        if let Some(skip) = skip {
            skipped[skip as usize] = 1;
        }
        self.mark(Mark {
            upto,
            first_sent: sent,
            sent,
            skipped,
        });
        if let Some(chunk) = &mut self.chunk {
            chunk.event.0 = chunk.event.1; // Done with; the next record begins here.
        }
    }

    /// Of the connection's parcels so many have arrived. Gives what left the lane by that.
    pub fn settle(&mut self, sent: u64) -> Left {
        let mut left = Left::default();
        let has_arrived = |mark: &&Mark| mark.sent <= sent;
        while let Some(mark) = self.marks.front().filter(has_arrived).copied() {
            self.marks.pop_front();
            let mut span = mark.upto.saturating_sub(self.arrived);
            for (total, skipped) in left.skipped.iter_mut().zip(mark.skipped) {
                let skipped = skipped.min(span);
                *total += skipped;
                span -= skipped;
            }
            left.arrived += span;
            self.arrived = self.arrived.max(mark.upto);
        }
        left
    }

    /// The connection is gone: what is not known to have arrived is to be sent again.
    pub fn rewind(&mut self) {
        self.next = self.arrived;
        self.marks.clear();
        self.chunk = None;
        self.place = None;
    }

    /// Removes the segments of which everything has arrived.
    pub fn release(&mut self, jobs: &mut VecDeque<Job>) {
        while let Some(first) = self.segments.front().map(|segment| segment.first) {
            let is_written_to = self.segments.len() == 1 && self.writing.is_some();
            if self.end_of(0) > self.arrived || is_written_to {
                break;
            }
            self.segments.pop_front();
            jobs.push_back(Job::Remove {
                file: self.file(first),
            });
        }
        if self.arrived == self.end {
            // It never needs to be written.
            self.pending = Pending::default();
        }
    }

    /// Gives up the oldest: a whole segment, or of what is in memory about so many bytes. Gives how many waiting events
    /// went with it; none: there is nothing that can be given up now.
    pub fn evict(&mut self, bytes: usize, jobs: &mut VecDeque<Job>) -> Option<u64> {
        let is_written_to = self.segments.len() == 1 && self.writing.is_some();
        let upto = match self.segments.front().filter(|_| !is_written_to) {
            Some(&Segment { first, .. }) => {
                let upto = self.end_of(0);
                self.segments.pop_front();
                jobs.push_back(Job::Remove {
                    file: self.file(first),
                });
                upto
            }
            None => self.pending.drop_first(bytes, self.end)?,
        };
        Some(self.skip_to(upto))
    }

    /// Nothing of it is on the disk.
    pub fn is_in_memory_only(&self) -> bool {
        self.segments.is_empty() && self.writing.is_none()
    }

    /// Gives up what is older than it may be. Gives how many waiting events that were.
    pub fn expire(&mut self, shape: &Shape, now: Now, jobs: &mut VecDeque<Job>) -> u64 {
        let mut gone = 0;
        while let Some(oldest) = self.segments.front() {
            if mono(now) - oldest.newest_ms <= shape.age_ms {
                return gone;
            }
            match self.evict(0, jobs) {
                Some(more) => gone += more,
                None => return gone,
            }
        }
        if self.writing.is_none()
            && self.pending.events > 0
            && mono(now) - self.pending.newest_ms > shape.age_ms
        {
            self.pending = Pending::default();
            gone += self.skip_to(self.end);
        }
        gone
    }

    /// Forgets everything; the files are somebody else's business. Gives how many events waited.
    pub fn clear(&mut self) -> u64 {
        let waited = self.waiting();
        *self = Self::new(Arc::clone(&self.peer), self.which);
        waited
    }

    fn file(&self, first: u64) -> FileId {
        FileId {
            peer: Arc::clone(&self.peer),
            which: self.which,
            first,
        }
    }
    /// One more than the last number that a segment holds.
    fn end_of(&self, place: usize) -> u64 {
        let behind = self.segments.get(place + 1).map(|segment| segment.first);
        behind.unwrap_or_else(|| self.unwritten_from())
    }

    /// The first number that is not on the disk.
    fn unwritten_from(&self) -> u64 {
        let writing = self.writing.as_ref().map(|writing| &writing.pending);
        let parts = [writing, Some(&self.pending)];
        let mut parts = parts.into_iter().flatten();
        let first = parts.find(|part| part.events > 0).map(|part| part.first);
        first.unwrap_or(self.end)
    }

    fn skip_to(&mut self, upto: u64) -> u64 {
        let gone = upto.saturating_sub(self.arrived);
        self.arrived = self.arrived.max(upto);
        self.next = self.next.max(self.arrived);
        while self.marks.front().is_some_and(|mark| mark.upto <= upto) {
            self.marks.pop_front();
        }
        gone
    }

    fn mark(&mut self, new: Mark) {
        let is_full = self.marks.is_full();
        match self.marks.back_mut() {
            Some(last) if is_full || new.sent < last.first_sent + MARK_SPAN => {
                (last.upto, last.sent) = (new.upto, new.sent);
                for (total, more) in last.skipped.iter_mut().zip(new.skipped) {
                    *total += more;
                }
            }
            _ => drop(self.marks.push_back(new)),
        }
    }
}

fn mono(now: Now) -> i64 {
    i64::try_from(now.mono_ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
