//! Whether a server is still there: when to ping it, and what a missing answer means. Pure; all times are monotonic.
//!
//! Not every TAK server answers pings, so their absence says something only of one that has answered before. A server
//! that sends events and answers no pings has stopped to read what we say, which is as bad as silence and takes longer
//! to tell from a slow line.

use std::time::Duration;

/// Between two pings, where nothing else is configured: as often as ATAK does, about.
pub const USUAL: Duration = Duration::from_secs(20);

/// An answer may take this long.
const LEAST_DEADLINE: Duration = Duration::from_secs(5);
const MOST_DEADLINE: Duration = Duration::from_secs(15);
/// Pings without an answer, events coming all the while, before the server counts as deaf.
const DEAF_AFTER: u32 = 4;

/// What a missing answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing comes any more.
    Silent,
    /// Events come, answers do not.
    Deaf,
}

/// One connection's pings.
#[derive(Debug, Clone, Copy)]
pub struct Liveness {
    every: Duration,
    /// It answered a ping, on this connection or an earlier one.
    answers: bool,
    /// When the last ping went.
    pinged: Option<Duration>,
    /// When the first ping without an answer went.
    unanswered: Option<Duration>,
    /// When anything came last.
    heard: Option<Duration>,
    /// Something must come until then: the network changed.
    proof_until: Option<Duration>,
}

impl Liveness {
    /// For a new connection. `answers`: this server is known to answer pings.
    pub fn new(every: Duration, answers: bool) -> Self {
        Self {
            every,
            answers,
            pinged: None,
            unanswered: None,
            heard: None,
            proof_until: None,
        }
    }

    /// When the next ping is due; none: now.
    pub fn due(&self) -> Option<Duration> {
        self.pinged.map(|pinged| pinged + self.every)
    }

    /// A ping goes.
    pub fn ping(&mut self, now: Duration) {
        self.pinged = Some(now);
        self.unanswered.get_or_insert(now);
    }

    /// Something came.
    pub fn hear(&mut self, now: Duration) {
        self.heard = Some(now);
        self.proof_until = None;
    }

    /// The network changed: a ping is due at once, and something must come within that time.
    pub fn hurry(&mut self, now: Duration, within: Duration) {
        if self.answers {
            self.pinged = None;
            self.proof_until = Some(now + within);
        }
    }

    /// The answer came; gives how long it took when it is the last ping's.
    pub fn pong(&mut self, now: Duration) -> Option<Duration> {
        self.answers = true;
        let asked = self.unanswered.take()?;
        (Some(asked) == self.pinged).then(|| now.saturating_sub(asked))
    }

    /// The server is known to answer pings.
    pub fn answers(&self) -> bool {
        self.answers
    }

    /// Anything came on this connection.
    pub fn is_heard(&self) -> bool {
        self.heard.is_some()
    }

    /// Whether the connection is of no use any more.
    pub fn verdict(&self, now: Duration) -> Option<Verdict> {
        if self.proof_until.is_some_and(|until| now >= until) {
            return Some(Verdict::Silent);
        }
        let asked = self.unanswered.filter(|_| self.answers)?;
        let deadline = self.every.clamp(LEAST_DEADLINE, MOST_DEADLINE);
        let heard = self.heard.unwrap_or(asked).max(asked);
        if now >= heard + deadline && now >= asked + deadline {
            return Some(Verdict::Silent);
        }
        (now >= asked + self.every * DEAF_AFTER + deadline).then_some(Verdict::Deaf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_server_that_answered_once_must_go_on_answering() {
        let mut pings = Liveness::new(at(10), false);
        assert_eq!(pings.due(), None, "at once");
        pings.ping(at(0));
        assert_eq!(pings.due(), Some(at(10)));
        assert_eq!(
            pings.verdict(at(1000)),
            None,
            "it may be one that never answers"
        );
        pings.hear(at(1));
        assert_eq!(pings.pong(at(1)), Some(at(1)));
        assert_eq!(pings.verdict(at(1000)), None, "nothing was asked");
        pings.ping(at(10));
        assert_eq!(pings.verdict(at(19)), None);
        assert_eq!(pings.verdict(at(20)), Some(Verdict::Silent));
        assert_eq!(Liveness::new(at(10), pings.answers()).verdict(at(99)), None);
    }

    #[test]
    fn a_changed_network_asks_for_a_proof_at_once() {
        let mut pings = Liveness::new(at(60), true);
        pings.ping(at(0));
        pings.pong(at(0));
        pings.hurry(at(5), at(2));
        assert_eq!((pings.due(), pings.verdict(at(6))), (None, None));
        assert_eq!(pings.verdict(at(7)), Some(Verdict::Silent));
        pings.hear(at(7));
        assert_eq!(pings.verdict(at(8)), None);
        let mut mute = Liveness::new(at(60), false);
        mute.hurry(at(5), at(2));
        assert_eq!(
            mute.verdict(at(100)),
            None,
            "it never answered, so it proves nothing"
        );
    }

    #[test]
    fn events_without_answers_are_a_server_that_does_not_read() {
        let mut pings = Liveness::new(at(10), true);
        for second in 0..49 {
            if second % 10 == 0 {
                pings.ping(at(second));
            }
            pings.hear(at(second));
            assert_eq!(pings.verdict(at(second)), None, "{second}");
        }
        assert_eq!(pings.verdict(at(50)), Some(Verdict::Deaf));
        assert_eq!(pings.pong(at(50)), None, "of which ping is not known");
        assert_eq!(pings.verdict(at(51)), None);
    }
}
