//! Peers that answer health checks and do nothing else: the connection is well, and events stand still in one
//! direction. Pure.
//!
//! Seen with TAK Servers (protocol reference 1.3, 1.4): a stream that the server gave up inside while its health check
//! goes on saying SERVING; a second connection of the same certificate, which is accepted and belongs to nobody. A new
//! connection cures both. A peer may also have nothing to say, so the cure is rare where that cannot be told apart.

use std::fmt;
use std::time::Duration;

/// A peer that used to send and is silent for this long at least, milliseconds.
const SILENT_MS: u64 = 5 * 60_000;
/// What comes so soon after the beginning is a greeting, milliseconds.
const GREETING_MS: u64 = 60_000;
/// Times its usual pause that a silence must last to mean something.
const USUAL_TIMES: u64 = 20;
/// Between the first two cures; doubles each time, milliseconds.
const FIRST_PAUSE_MS: u64 = 60_000;
/// The longest time between two cures, milliseconds.
const LONGEST_PAUSE_MS: u64 = 6 * 3_600_000;

/// What a connection has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Messages handed to it.
    pub handed: u64,
    /// Parcels that wait for it.
    pub waiting: usize,
    /// Messages that came on it.
    pub received: u64,
}

/// What stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latched {
    /// It does not take our events, for so many seconds.
    NotTaking(u64),
    /// It has sent nothing for so many seconds, and used to.
    Silent(u64),
}

impl fmt::Display for Latched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTaking(seconds) => write!(
                f,
                "the peer answers health checks and has taken no event for {seconds} s: it has let go of our event \
                 stream; connecting anew"
            ),
            Self::Silent(seconds) => write!(
                f,
                "the peer answers health checks and has sent no event for {seconds} s, though it used to: it may have \
                 let go of its event stream; connecting anew"
            ),
        }
    }
}

/// Watches one peer over all its connections.
#[derive(Debug)]
pub struct Latch {
    /// Events that wait and are not taken for this long are told, milliseconds.
    not_taking_ms: u64,
    last: Progress,
    began_ms: u64,
    taken_ms: u64,
    received_ms: u64,
    /// The usual pause between two looks at which something had come, milliseconds; 0 = it never sent.
    usual_ms: u64,
    cures: u32,
    cured_ms: u64,
}

impl Latch {
    /// Events that wait for so long, and are not taken though the peer answers, mean that it has let go of them.
    pub fn new(not_taking: Duration) -> Self {
        Self {
            not_taking_ms: u64::try_from(not_taking.as_millis()).unwrap_or(u64::MAX),
            last: Progress::default(),
            began_ms: 0,
            taken_ms: 0,
            received_ms: 0,
            usual_ms: 0,
            cures: 0,
            cured_ms: 0,
        }
    }

    /// A new connection carries from now on.
    pub fn began(&mut self, now_ms: u64) {
        self.last = Progress::default();
        self.began_ms = now_ms;
        self.taken_ms = now_ms;
        self.received_ms = now_ms;
    }

    /// Looks every few seconds, while health checks are answered. `boxes` do not latch: of them only the first kind is
    /// asked for.
    pub fn look(&mut self, progress: Progress, is_box: bool, now_ms: u64) -> Option<Latched> {
        if progress.handed != self.last.handed || progress.waiting == 0 {
            self.taken_ms = now_ms;
        }
        if progress.received != self.last.received {
            // A server tells what it knows to whoever connects; that says nothing about what comes later.
            if now_ms.saturating_sub(self.began_ms) >= GREETING_MS {
                let pause = now_ms.saturating_sub(self.received_ms).max(1);
                self.usual_ms = match self.usual_ms {
                    0 => pause,
                    usual => (usual * 7 + pause) / 8,
                };
                self.cures = 0;
            }
            self.received_ms = now_ms;
        }
        self.last = progress;
        let silent_ms = now_ms.saturating_sub(self.received_ms);
        let stuck_ms = now_ms.saturating_sub(self.taken_ms);
        let quiet = self.usual_ms > 0 && silent_ms >= SILENT_MS.max(self.usual_ms * USUAL_TIMES);
        let latched = if stuck_ms >= self.not_taking_ms {
            Latched::NotTaking(stuck_ms / 1000)
        } else if quiet && !is_box {
            Latched::Silent(silent_ms / 1000)
        } else {
            return None;
        };
        let pause_ms = FIRST_PAUSE_MS
            .saturating_mul(1 << self.cures.min(16))
            .min(LONGEST_PAUSE_MS);
        if self.cures > 0 && now_ms.saturating_sub(self.cured_ms) < pause_ms {
            return None;
        }
        self.cures += 1;
        self.cured_ms = now_ms;
        Some(latched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new() -> Latch {
        Latch::new(Duration::from_secs(30))
    }

    /// Looks every 3 s for so many seconds; what it said, with the second.
    fn watch(
        latch: &mut Latch,
        from: u64,
        seconds: u64,
        is_box: bool,
        mut progress: impl FnMut(u64) -> Progress,
    ) -> Vec<(u64, Latched)> {
        let looks = (from..from + seconds).step_by(3);
        looks
            .filter_map(|second| {
                let said = latch.look(progress(second), is_box, second * 1000)?;
                latch.began(second * 1000);
                Some((second, said))
            })
            .collect()
    }

    #[test]
    fn events_that_wait_and_are_not_taken_are_told_within_a_minute() {
        let mut latch = new();
        let stuck = |second: u64| Progress {
            handed: second.min(60),
            waiting: usize::from(second > 60),
            received: second,
        };
        let said = watch(&mut latch, 0, 120, true, stuck);
        assert_eq!(said, [(90, Latched::NotTaking(30))]);
        assert!(said[0].1.to_string().contains("let go of our event stream"));
        let busy = |second: u64| Progress {
            handed: second,
            waiting: 50,
            received: 0,
        };
        assert_eq!(watch(&mut new(), 0, 600, false, busy), []);
    }

    #[test]
    fn a_peer_that_fell_silent_is_asked_anew_ever_more_seldom() {
        let mut latch = new();
        let falls_silent = |second: u64| Progress {
            received: second.min(600),
            ..Progress::default()
        };
        assert_eq!(watch(&mut latch, 0, 600, false, falls_silent), []);
        let silent = |_| Progress {
            received: 600,
            ..Progress::default()
        };
        let said = watch(&mut latch, 600, 24 * 3600, false, silent);
        assert!(matches!(said[0].1, Latched::Silent(300..)), "{said:?}");
        assert!((5..14).contains(&said.len()), "seldom: {said:?}");
    }

    #[test]
    fn who_never_sent_or_is_a_box_may_be_silent() {
        let nothing = |_| Progress::default();
        assert_eq!(watch(&mut new(), 0, 7200, false, nothing), []);
        let silent_box = |second: u64| Progress {
            received: second.min(100),
            ..Progress::default()
        };
        assert_eq!(watch(&mut new(), 0, 7200, true, silent_box), []);
    }
}
