//! Which uplink is tried first: the pure half of several uplinks.

/// An uplink over which the peer was not reached is tried last for this long, milliseconds.
const SHUNNED_MS: u64 = 30_000;

/// What is known of the uplinks of one peer, which are numbered best first.
#[derive(Debug, Clone)]
pub struct Choice {
    failed_ms: Vec<Option<u64>>,
}

impl Choice {
    /// For so many uplinks; without any, the kernel's routes count as one.
    pub fn new(uplinks: usize) -> Self {
        Self {
            failed_ms: vec![None; uplinks.max(1)],
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.failed_ms.len()
    }

    /// All of them in the order in which they are tried: the best first, those that just failed last.
    pub fn order(&self, now_ms: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.failed_ms.len()).collect();
        order.sort_by_key(|&uplink| self.is_shunned(uplink, now_ms));
        order
    }

    /// Which uplink is to have the second connection beside the one that carries the peer: the best other one. A worse
    /// one only if `standby`, and only if `may_stand_by` allows it.
    pub fn second(
        &self,
        carrier: usize,
        standby: bool,
        may_stand_by: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        (0..self.failed_ms.len())
            .filter(|&uplink| uplink != carrier)
            .find(|&uplink| uplink < carrier || (standby && may_stand_by(uplink)))
    }

    /// The peer was not reached over it.
    pub fn failed(&mut self, uplink: usize, now_ms: u64) {
        if let Some(failed) = self.failed_ms.get_mut(uplink) {
            *failed = Some(now_ms);
        }
    }

    /// The peer was reached over it.
    pub fn well(&mut self, uplink: usize) {
        if let Some(failed) = self.failed_ms.get_mut(uplink) {
            *failed = None;
        }
    }

    /// The network changed: what failed may work now.
    pub fn forget(&mut self) {
        self.failed_ms.fill(None);
    }

    /// Whether it failed within the last half minute.
    pub fn is_shunned(&self, uplink: usize, now_ms: u64) -> bool {
        let failed = self.failed_ms.get(uplink).copied().flatten();
        failed.is_some_and(|failed| now_ms.saturating_sub(failed) < SHUNNED_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_comes_first_and_what_failed_comes_last_for_a_while() {
        let mut choice = Choice::new(3);
        assert_eq!(choice.order(0), [0, 1, 2]);
        choice.failed(0, 1000);
        choice.failed(1, 2000);
        assert_eq!(choice.order(3000), [2, 0, 1]);
        assert_eq!(choice.order(31_000), [0, 2, 1]);
        choice.well(1);
        assert_eq!(choice.order(31_000), [0, 1, 2]);
        choice.failed(0, 40_000);
        choice.forget();
        assert_eq!(choice.order(40_000), [0, 1, 2]);
        assert_eq!(Choice::new(0).order(0), [0]);
    }

    #[test]
    fn the_second_connection_is_on_the_best_other_uplink() {
        let choice = Choice::new(3);
        let all = |_| true;
        assert_eq!(choice.second(0, true, all), Some(1));
        assert_eq!(choice.second(0, true, |uplink| uplink == 2), Some(2));
        assert_eq!(choice.second(0, false, all), None, "no standby with others");
        assert_eq!(choice.second(2, false, all), Some(0), "back to the better");
        assert_eq!(choice.second(1, true, all), Some(0));
        assert_eq!(Choice::new(1).second(0, true, all), None);
    }
}
