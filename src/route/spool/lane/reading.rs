//! How a lane's events come back: from memory, or piece by piece from the disk.

use std::collections::VecDeque;

use super::{Chunk, Lane, Mark, Next, Shape, Skip};
use crate::route::spool::job::{Job, Piece};
use crate::route::spool::pending;
use crate::route::spool::record::{self, Content, Read, Record};

impl Lane {
    /// Sees to it that the next event is at hand.
    pub fn prepare(&mut self, shape: &Shape, jobs: &mut VecDeque<Job>) -> Next {
        loop {
            if self.next == self.end {
                self.chunk = None;
                return Next::Drained;
            }
            if self.step_in_chunk() {
                return Next::Ready;
            }
            if self.reading.is_some() {
                return Next::Awaited;
            }
            if self.fetch_from_memory(shape) {
                continue;
            }
            if let Some(job) = self.fetch_from_disk(shape) {
                jobs.push_back(job);
                return Next::Awaited;
            }
        }
    }

    /// The event that [`Self::prepare`] found ready.
    pub fn current(&self) -> Option<&[u8]> {
        let chunk = self.chunk.as_ref()?;
        chunk.bytes.get(chunk.event.0..chunk.event.1)
    }

    /// What the disk gave.
    pub fn have_read(&mut self, file: u64, piece: Piece) {
        let asked = self.reading.take();
        // Asked for before the link broke, or before the file was removed.
        if asked != Some(self.next) {
            return;
        }
        if piece.bytes.is_empty() {
            self.place = Some((file, None));
            return;
        }
        self.place = Some((file, piece.next_at));
        self.chunk = Some(Chunk {
            bytes: piece.bytes,
            event: (0, 0),
        });
    }

    /// Moves on to the next event in the chunk; what lies before `next` in it is passed over.
    fn step_in_chunk(&mut self) -> bool {
        let Some(chunk) = &mut self.chunk else {
            return false;
        };
        if chunk.event.0 < chunk.event.1 {
            return true;
        }
        let mut at = chunk.event.1;
        while let Some(rest) = chunk.bytes.get(at..) {
            let (record, length) = match record::read(rest) {
                Read::Sound(record, length) => (Some(record), length),
                Read::Damaged(length) => (None, length),
                Read::Torn => break,
            };
            if let Some(Record {
                number,
                content: Content::Event(event),
                ..
            }) = record
                && number >= self.next
                && !event.is_empty()
            {
                let end = at + length;
                chunk.event = (end - event.len(), end);
                let missing = number - self.next;
                self.lose(missing, number);
                return true;
            }
            at += length;
        }
        self.chunk = None;
        false
    }

    /// Events up to that number are not to be had.
    fn lose(&mut self, missing: u64, upto: u64) {
        if missing == 0 {
            return;
        }
        self.next = upto;
        let sent = self.marks.back().map_or(0, |mark| mark.sent);
        let mut skipped = [0; 3];
        skipped[Skip::Damaged as usize] = missing;
        self.mark(Mark {
            upto,
            first_sent: sent,
            sent,
            skipped,
        });
    }

    fn fetch_from_memory(&mut self, shape: &Shape) -> bool {
        let most = shape.read_bytes as usize;
        let writing = self.writing.as_ref().map(|writing| {
            let records = writing.bytes.get(writing.head..).unwrap_or_default();
            (writing.pending.first, writing.pending.events, records)
        });
        let pending = Some((
            self.pending.first,
            self.pending.events,
            self.pending.bytes.as_slice(),
        ));
        let held = [pending, writing]
            .into_iter()
            .flatten()
            .find(|&(first, events, _)| events > 0 && self.next >= first);
        let Some((_, _, records)) = held else {
            return false;
        };
        let bytes = pending::piece(records, self.next, most).to_vec();
        if bytes.is_empty() {
            // Cannot be: what is in memory is whole. Nothing is worth an endless loop.
            self.lose(self.end - self.next, self.end);
            return true;
        }
        let event = (0, 0);
        self.chunk = Some(Chunk { bytes, event });
        true
    }

    /// What the disk is to be asked; none: what was next is not to be had, and something else is.
    fn fetch_from_disk(&mut self, shape: &Shape) -> Option<Job> {
        let behind = self
            .segments
            .partition_point(|segment| segment.first <= self.next);
        let Some((place, segment)) = behind
            .checked_sub(1)
            .and_then(|place| Some((place, *self.segments.get(place)?)))
        else {
            let upto = self.segments.front().map_or_else(
                || self.unwritten_from().max(self.next + 1),
                |segment| segment.first,
            );
            self.lose(upto - self.next, upto);
            return None;
        };
        let at = match self.place.filter(|(file, _)| *file == segment.first) {
            Some((_, Some(at))) => at,
            None => record::MAGIC.len() as u32,
            Some((_, None)) => {
                let upto = self.end_of(place).max(self.next + 1);
                self.lose(upto - self.next, upto);
                return None;
            }
        };
        self.reading = Some(self.next);
        Some(Job::Read {
            file: self.file(segment.first),
            at,
            from: self.next,
            most: shape.read_bytes,
        })
    }
}
