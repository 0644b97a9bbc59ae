//! Records that are not on the disk yet, one behind the other.

use super::record::{self, Record};

/// Steps in which it grows, bytes; it grows by a quarter where that is more.
const STEP: usize = 1024;

/// Records in memory. Times are monotonic milliseconds.
#[derive(Debug, Default)]
pub struct Pending {
    /// Number of the first event.
    pub first: u64,
    /// Events among the records.
    pub events: u32,
    /// The records.
    pub bytes: Vec<u8>,
    /// When the first event came.
    pub oldest_ms: i64,
    /// When the last one came.
    pub newest_ms: i64,
}

impl Pending {
    /// Appends a record; an event is counted by the caller.
    pub fn put(&mut self, record: &Record<'_>) {
        let length = record::OVERHEAD
            + match record.content {
                record::Content::Event(event) => event.len(),
                record::Content::Arrived => 0,
            };
        if self.bytes.capacity() - self.bytes.len() < length {
            // Doubling would charge the pool for what nobody uses.
            let more = length.max(STEP).max(self.bytes.len() / 4);
            self.bytes.reserve_exact(more);
        }
        record::put(&mut self.bytes, record);
    }

    /// Puts younger records behind these.
    pub fn append(&mut self, younger: Self) {
        if younger.events > 0 {
            if self.events == 0 {
                (self.first, self.oldest_ms) = (younger.first, younger.oldest_ms);
            }
            self.newest_ms = younger.newest_ms;
        }
        self.events += younger.events;
        self.bytes.reserve_exact(younger.bytes.len());
        self.bytes.extend_from_slice(&younger.bytes);
    }

    /// Drops the first records, about so many bytes and one event at least. Gives the number of the first event that is
    /// left, `end` when none is; none: there is no event.
    pub fn drop_first(&mut self, bytes: usize, end: u64) -> Option<u64> {
        if self.events == 0 {
            return None;
        }
        let (mut at, mut dropped) = (0, 0);
        while let Some(rest) = self.bytes.get(at..)
            && (dropped == 0 || at < bytes)
        {
            let Some(length) = record::announced(rest) else {
                break;
            };
            dropped += u32::from(record::is_event(rest));
            at += length;
        }
        self.events = self.events.saturating_sub(dropped);
        if self.events == 0 {
            *self = Self::default();
            return Some(end);
        }
        self.bytes.drain(..at.min(self.bytes.len()));
        self.bytes.shrink_to_fit();
        self.first += u64::from(dropped);
        Some(self.first)
    }
}

/// The part of these records that begins with event `from`: whole records of `most` bytes together, or a longer one
/// alone.
pub fn piece(records: &[u8], from: u64, most: usize) -> &[u8] {
    let mut at = 0;
    let mut begin = None;
    while let Some(rest) = records.get(at..)
        && let Some(length) = record::announced(rest)
    {
        let wanted =
            record::is_event(rest) && record::number(rest).is_some_and(|number| number >= from);
        match begin {
            None if wanted => begin = Some(at),
            Some(begin) if at + length - begin > most => return &records[begin..at],
            _ => {}
        }
        at += length;
    }
    begin
        .and_then(|begin| records.get(begin..at.min(records.len())))
        .unwrap_or_default()
}
