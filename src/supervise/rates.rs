//! Events per second, over the last few seconds. Pure: fed once a second.

use std::collections::{BTreeMap, VecDeque};

/// Seconds that a rate is taken over.
const SECONDS: usize = 10;

/// Totals of the last seconds, per peer.
#[derive(Debug, Default)]
pub(super) struct Rates {
    peers: BTreeMap<String, VecDeque<Sample>>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at_ms: u64,
    events_in: u64,
    events_out: u64,
}

impl Rates {
    /// Notes a peer's totals.
    pub(super) fn note(&mut self, peer: &str, at_ms: u64, events_in: u64, events_out: u64) {
        let samples = match self.peers.get_mut(peer) {
            Some(samples) => samples,
            None => self.peers.entry(peer.to_owned()).or_default(),
        };
        samples.push_back(Sample {
            at_ms,
            events_in,
            events_out,
        });
        while samples.len() > SECONDS + 1 {
            samples.pop_front();
        }
    }

    /// Forgets peers that are not named.
    pub(super) fn keep_only(&mut self, wanted: impl Fn(&str) -> bool) {
        self.peers.retain(|peer, _| wanted(peer));
    }

    /// Events per second from and to a peer, to a tenth.
    pub(super) fn of(&self, peer: &str) -> (f64, f64) {
        let samples = self.peers.get(peer);
        let (Some(first), Some(last)) = (
            samples.and_then(VecDeque::front),
            samples.and_then(VecDeque::back),
        ) else {
            return (0.0, 0.0);
        };
        let seconds = last.at_ms.saturating_sub(first.at_ms) as f64 / 1000.0;
        let rate = |first: u64, last: u64| match seconds > 0.0 {
            true => (last.saturating_sub(first) as f64 / seconds * 10.0).round() / 10.0,
            false => 0.0,
        };
        (
            rate(first.events_in, last.events_in),
            rate(first.events_out, last.events_out),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_over_the_last_ten_seconds() {
        let mut rates = Rates::default();
        assert_eq!(rates.of("a"), (0.0, 0.0));
        for second in 0..30 {
            let burst = if second < 15 { 1000 } else { 0 };
            rates.note("a", second * 1000, burst + second * 5, second);
        }
        assert_eq!(rates.of("a"), (5.0, 1.0));
        rates.keep_only(|peer| peer == "b");
        assert_eq!(rates.of("a"), (0.0, 0.0));
    }
}
