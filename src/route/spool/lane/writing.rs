//! How a lane's events come to the disk: batch by batch, at the end of the newest segment.

use bytes::Bytes;

use super::{Lane, Segment, Shape, Writing, mono};
use crate::clock::Now;
use crate::route::spool::job::Job;
use crate::route::spool::pending::Pending;
use crate::route::spool::record::{self, Content, Record};

impl Lane {
    /// What the disk is to write now, if anything. `note` adds how far everything has arrived.
    pub fn write(&mut self, shape: &Shape, note: bool, now: Now) -> Option<Job> {
        if self.writing.is_some() {
            return None;
        }
        if note {
            self.note_arrived(now);
        }
        if self.pending.bytes.is_empty() {
            return None;
        }
        let tail = self.segments.back().filter(|tail| {
            tail.bytes < shape.segment_bytes && mono(now) - tail.oldest_ms < shape.segment_age_ms()
        });
        let (file, at, bytes, head) = match tail.map(|tail| (tail.first, tail.bytes)) {
            Some((first, at)) => (first, at, std::mem::take(&mut self.pending.bytes), 0),
            // A note alone makes no file.
            None if self.pending.events == 0 => {
                self.pending = Pending::default();
                return None;
            }
            None => {
                let mut bytes = record::MAGIC.to_vec();
                record::put(&mut bytes, &arrived(self.arrived, now));
                self.noted = self.arrived;
                let head = bytes.len();
                bytes.append(&mut self.pending.bytes);
                (self.pending.first, 0, bytes, head)
            }
        };
        let bytes = Bytes::from(bytes);
        self.writing = Some(Writing {
            file,
            bytes: bytes.clone(),
            head,
            pending: std::mem::take(&mut self.pending),
        });
        Some(Job::Append {
            file: self.file(file),
            at,
            bytes,
        })
    }

    /// What was to be written is on the disk.
    pub fn written(&mut self, file: u64) {
        let Some(writing) = self.writing.take_if(|writing| writing.file == file) else {
            return;
        };
        let length = writing.bytes.len() as u32;
        match self.segments.back_mut().filter(|tail| tail.first == file) {
            Some(tail) => {
                tail.bytes = tail.bytes.saturating_add(length);
                if writing.pending.events > 0 {
                    tail.newest_ms = writing.pending.newest_ms;
                }
            }
            None => self.segments.push_back(Segment {
                first: file,
                bytes: length,
                oldest_ms: writing.pending.oldest_ms,
                newest_ms: writing.pending.newest_ms,
            }),
        }
    }

    /// It is not: it waits in memory again.
    pub fn not_written(&mut self, file: u64) {
        let Some(writing) = self.writing.take_if(|writing| writing.file == file) else {
            return;
        };
        let mut older = writing.pending;
        older.bytes = writing
            .bytes
            .get(writing.head..)
            .unwrap_or_default()
            .to_vec();
        older.append(std::mem::take(&mut self.pending));
        self.pending = older;
    }

    /// Notes on the disk how far everything has arrived, where that saves sending something twice after a power cut.
    fn note_arrived(&mut self, now: Now) {
        if self.arrived > self.noted && !self.segments.is_empty() {
            self.noted = self.arrived;
            let note = arrived(self.arrived, now);
            self.pending.put(&note);
        }
    }
}

fn arrived(number: u64, now: Now) -> Record<'static> {
    Record {
        number,
        wall_ms: now.wall_ms,
        content: Content::Arrived,
    }
}
