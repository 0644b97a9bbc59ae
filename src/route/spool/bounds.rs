//! How much the spool may hold, and which repetitions it does not take.

use super::lane::{READ_AHEAD, Shape};
use crate::config::Limits;

/// Parts into which the disk's bound is divided: what gives way at once.
const SEGMENTS: u32 = 128;

/// Bounds of the whole spool, all peers together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes on the disk.
    pub bytes: u64,
    /// Events that wait.
    pub events: u64,
    /// Sizes and ages of a lane.
    pub shape: Shape,
}

impl Bounds {
    /// The bounds that a configuration sets.
    pub fn of(limits: &Limits) -> Self {
        let bytes = u64::from(limits.spool_kib) * 1024;
        let segment = (bytes / u64::from(SEGMENTS)).clamp(4 * 1024, 1024 * 1024);
        Self {
            bytes,
            events: u64::from(limits.spool_events),
            shape: Shape {
                segment_bytes: u32::try_from(segment).unwrap_or(u32::MAX),
                age_ms: i64::from(limits.spool_hours) * 3_600_000,
                read_bytes: READ_AHEAD as u32,
            },
        }
    }
}

/// Alarms remembered, all peers together.
const ALARMS: usize = 64;
/// An alarm that repeats itself is spooled once in so long, milliseconds.
const REPEAT_MS: u64 = 600_000;

/// A device repeats its alarm every few seconds. While the link is down the first one goes to the disk, and one in ten
/// minutes; the newest is kept with the latest events and is told when the link comes back.
#[derive(Debug, Default)]
pub struct Alarms(heapless::Vec<Alarm, ALARMS>);

#[derive(Debug, Clone, Copy)]
struct Alarm {
    peer: u16,
    key: u64,
    kind: u64,
    since_ms: u64,
}

impl Alarms {
    /// Whether a peer's alarm with the uid of hash `key` was of that kind already, not long ago. Raising, cancelling and
    /// raising again are three different things.
    pub fn is_repeat(&mut self, peer: u16, key: u64, kind: u64, now_ms: u64) -> bool {
        let new = Alarm {
            peer,
            key,
            kind,
            since_ms: now_ms,
        };
        let known = self
            .0
            .iter_mut()
            .find(|alarm| (alarm.peer, alarm.key) == (peer, key));
        match known {
            Some(known) if known.kind == kind && now_ms < known.since_ms + REPEAT_MS => {
                return true;
            }
            Some(known) => *known = new,
            None => {
                if self.0.is_full() {
                    let oldest = self
                        .0
                        .iter()
                        .enumerate()
                        .min_by_key(|(_, alarm)| alarm.since_ms);
                    let at = oldest.map_or(0, |(at, _)| at);
                    self.0.swap_remove(at);
                }
                let _ = self.0.push(new);
            }
        }
        false
    }

    /// A peer's link came back: what it is told from now on, it is told directly.
    pub fn forget(&mut self, peer: u16) {
        self.0.retain(|alarm| alarm.peer != peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_taken_once_and_again_when_it_changes() {
        let mut alarms = Alarms::default();
        assert!(!alarms.is_repeat(7, 1, 10, 0));
        assert!(alarms.is_repeat(7, 1, 10, 5000));
        assert!(!alarms.is_repeat(7, 2, 10, 5000), "another uid");
        assert!(!alarms.is_repeat(7, 1, 11, 6000), "cancelled");
        assert!(!alarms.is_repeat(7, 1, 10, 7000), "raised again");
        assert!(!alarms.is_repeat(7, 1, 10, 7000 + REPEAT_MS));
        assert!(!alarms.is_repeat(8, 1, 10, 7000), "another peer");
        alarms.forget(7);
        assert!(!alarms.is_repeat(7, 1, 10, 7000), "told anew");
        assert!(alarms.is_repeat(8, 1, 10, 7000));
        for key in 100..1000 {
            assert!(!alarms.is_repeat(7, key, 1, key));
        }
    }

    #[test]
    fn segments_are_a_small_part_of_the_whole() {
        for kib in [64, 1024, 32 * 1024, 1024 * 1024] {
            let limits = Limits {
                spool_kib: kib,
                ..Limits::default()
            };
            let bounds = Bounds::of(&limits);
            assert!(
                u64::from(bounds.shape.segment_bytes) <= bounds.bytes / 16,
                "{kib}"
            );
        }
    }
}
