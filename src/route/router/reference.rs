//! The clock in which this box expresses events.
//!
//! Mostly that is our own. But a box without GPS, network and battery may stand in 1970 between telephones and servers
//! whose clocks are right; moving their events into *its* clock would make every one of them look expired. So while our
//! own clock is only guessed, events are expressed in the clock that most sources have (those of local devices, or where
//! there are none, all), and where they agree on none, nothing is moved. Our wall clock itself is not touched by this.

use super::Router;
use crate::clock::Now;
use crate::clock::skew::source::{CORRECTED_FROM_MS, CORRECTED_UNTIL_MS};

/// Looked at so often, milliseconds, while our own clock is guessed.
const LOOK_EVERY_MS: u64 = 1000;

/// Which clock events are expressed in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reference {
    /// Our own clock is known, and so it is the one.
    trusted: bool,
    /// There is one; if not, nothing is moved.
    known: bool,
    /// That clock minus our own, milliseconds.
    ahead_ms: i64,
    look_at_ms: u64,
}

impl Reference {
    pub(super) fn new() -> Self {
        Self {
            trusted: true,
            known: true,
            ahead_ms: 0,
            look_at_ms: 0,
        }
    }

    /// There is a clock to move events into.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }
}

impl Router {
    /// Says whether our own clock is known (GPS, NTP, peers, a clock with a battery) or only guessed.
    pub fn trust_clock(&mut self, trusted: bool) {
        if self.reference.trusted != trusted {
            self.reference = Reference {
                trusted,
                known: trusted,
                ..Reference::new()
            };
        }
    }

    /// Now, by the clock in which events are expressed.
    #[inline]
    pub(super) fn event_now(&self, now: Now) -> Now {
        Now {
            wall_ms: now.wall_ms.saturating_add(self.reference.ahead_ms),
            ..now
        }
    }

    /// Our own wall clock, from now by the clock of the events.
    #[inline]
    pub(super) fn own_wall(&self, event_now: Now) -> i64 {
        event_now.wall_ms.saturating_sub(self.reference.ahead_ms)
    }

    /// Now, by the clock in which the events are that this box passes on, and whether they are in one.
    pub fn told_time(&self, now: Now) -> (Now, bool) {
        (self.event_now(now), self.reference.known)
    }

    /// Looks which clock it is while ours is guessed; `event_now` is now by the clock that it was so far. Tells whether
    /// it is another one now.
    pub(super) fn look_for_reference(&mut self, event_now: Now) -> bool {
        if self.reference.trusted || event_now.mono_ms < self.reference.look_at_ms {
            return false;
        }
        let before = self.reference.ahead_ms;
        self.reference.look_at_ms = event_now.mono_ms.saturating_add(LOOK_EVERY_MS);
        let is_client = |link: u16| {
            let link = self.links.get(usize::from(link));
            link.is_some_and(|link| link.kind.is_local())
        };
        let found = self
            .skew
            .most(is_client)
            .or_else(|| self.skew.most(|link| link != u16::MAX));
        let own = event_now.wall_ms - self.reference.ahead_ms - event_now.mono_ms.cast_signed();
        let reference = &mut self.reference;
        reference.known = found.is_some_and(|most| most.is_some());
        let ahead = found.flatten().map_or(0, |level| level - own);
        if ahead.abs() <= CORRECTED_FROM_MS {
            reference.ahead_ms = 0;
        } else if (ahead - reference.ahead_ms).abs() > CORRECTED_UNTIL_MS {
            reference.ahead_ms = ahead;
        }
        reference.ahead_ms != before
    }
}
