//! Whether a new system does what the old one did: its daemon stays up, and a peer that flowed before flows again.

use std::time::Duration;

/// How long the daemon must answer without a break.
pub const STABLE: Duration = Duration::from_secs(20);

/// What the daemon said when it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// It runs in safe mode.
    pub is_safe_mode: bool,
    /// Seconds since it was started.
    pub uptime_seconds: u64,
    /// Every registered peer that is switched on.
    pub peers: Vec<String>,
    /// Those of them that flow.
    pub flowing: Vec<String>,
}

/// The judge. Times are since the judging began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    wanted: Vec<String>,
    answering_since: Option<Duration>,
    uptime_seconds: u64,
    flowed: bool,
    trouble: &'static str,
}

const SILENT: &str = "the daemon does not answer";
const SAFE_MODE: &str = "the daemon runs in safe mode";
const RESTARTED: &str = "the daemon does not stay up";
const NO_FLOW: &str = "no peer flows that flowed before the update";
const TOO_SHORT: &str = "the daemon has not been up for long enough";

impl Health {
    /// Judges by the peers that flowed before the update.
    pub fn of(wanted: Vec<String>) -> Self {
        Self {
            wanted,
            answering_since: None,
            uptime_seconds: 0,
            flowed: false,
            trouble: SILENT,
        }
    }

    /// Takes an answer of the daemon, none if it gave none. True: healthy.
    pub fn observe(&mut self, now: Duration, answer: Option<&Answer>) -> bool {
        let Some(answer) = answer else {
            return self.restart(SILENT);
        };
        if answer.is_safe_mode {
            return self.restart(SAFE_MODE);
        }
        if self.answering_since.is_some() && answer.uptime_seconds < self.uptime_seconds {
            self.restart(RESTARTED);
        }
        self.uptime_seconds = answer.uptime_seconds;
        let since = *self.answering_since.get_or_insert(now);
        // Peers that were taken out of the configuration meanwhile can flow no more.
        let mut wanted = self
            .wanted
            .iter()
            .filter(|&peer| answer.peers.contains(peer))
            .peekable();
        if wanted.peek().is_none() || wanted.any(|peer| answer.flowing.contains(peer)) {
            self.flowed = true;
        }
        let is_stable = now.saturating_sub(since) >= STABLE;
        if !self.flowed {
            self.trouble = NO_FLOW;
        } else if self.trouble != RESTARTED {
            self.trouble = TOO_SHORT;
        }
        is_stable && self.flowed
    }

    /// Why it is not healthy yet, in words.
    pub fn trouble(&self) -> String {
        match self.trouble {
            NO_FLOW => format!("{NO_FLOW} ({})", self.wanted.join(", ")),
            other => other.to_owned(),
        }
    }

    fn restart(&mut self, trouble: &'static str) -> bool {
        self.answering_since = None;
        self.flowed = false;
        self.trouble = trouble;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(uptime_seconds: u64, flowing: &[&str]) -> Answer {
        Answer {
            is_safe_mode: false,
            uptime_seconds,
            peers: vec!["bravo".into(), "charlie".into()],
            flowing: flowing.iter().map(|&name| name.into()).collect(),
        }
    }

    /// The second at which it is found healthy, if within so many.
    fn healthy_at(
        wanted: &[&str],
        seconds: u64,
        answer: impl Fn(u64) -> Option<Answer>,
    ) -> Option<u64> {
        let mut health = Health::of(wanted.iter().map(|&name| name.into()).collect());
        (0..seconds)
            .find(|&second| health.observe(Duration::from_secs(second), answer(second).as_ref()))
    }

    #[test]
    fn health_needs_a_steady_daemon_and_the_flow_of_before() {
        // Nothing flowed before: the daemon is enough.
        assert_eq!(
            healthy_at(&[], 60, |second| Some(answer(second, &[]))),
            Some(20)
        );
        assert_eq!(
            healthy_at(&[], 60, |second| (second > 4).then(|| answer(second, &[]))),
            Some(25)
        );
        // One of those that flowed is enough, and it need not flow to the end.
        let flowing = |second| Some(answer(second, if second == 7 { &["bravo"] } else { &[] }));
        assert_eq!(healthy_at(&["bravo", "charlie"], 60, flowing), Some(20));
        let late = |second| Some(answer(second, if second > 30 { &["bravo"] } else { &[] }));
        assert_eq!(healthy_at(&["bravo"], 60, late), Some(31));
        // Another peer does not count.
        assert_eq!(
            healthy_at(&["bravo"], 60, |second| Some(answer(second, &["charlie"]))),
            None
        );
        // A peer that is registered no more cannot be waited for.
        assert_eq!(
            healthy_at(&["delta"], 60, |second| Some(answer(second, &[]))),
            Some(20)
        );
    }

    #[test]
    fn a_daemon_that_crashes_or_is_in_safe_mode_is_not_healthy() {
        let crashing = |second| Some(answer(second % 15, &["bravo"]));
        assert_eq!(healthy_at(&["bravo"], 300, crashing), None);
        let silent = |second| (second % 15 > 0).then(|| answer(second, &["bravo"]));
        assert_eq!(healthy_at(&["bravo"], 300, silent), None);
        let safe = |second| {
            Some(Answer {
                is_safe_mode: true,
                ..answer(second, &["bravo"])
            })
        };
        assert_eq!(healthy_at(&[], 300, safe), None);
        let mut health = Health::of(vec!["bravo".into()]);
        health.observe(Duration::ZERO, Some(&answer(1, &[])));
        assert_eq!(
            health.trouble(),
            "no peer flows that flowed before the update (bravo)"
        );
        health.observe(Duration::from_secs(1), Some(&answer(0, &["bravo"])));
        assert_eq!(health.trouble(), RESTARTED);
        health.observe(Duration::from_secs(2), None);
        assert_eq!(health.trouble(), SILENT);
    }
}
