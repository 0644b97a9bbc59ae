//! When to dial again, and where: the pure half of the dialler.
//!
//! One attempt at a time. A first failure is repeated almost at once if the link had been well, else after a second;
//! then the pauses double, with jitter, up to a cap. A route that changed starts them anew. With several addresses each
//! is tried once before the pause grows, beginning with the one that worked last.

use std::time::Duration;

/// The pauses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    /// After a link that was well went away.
    pub at_once: Duration,
    /// After the first attempt that failed; doubles each time.
    pub first: Duration,
    /// The longest.
    pub most: Duration,
    /// At least so long after one side refused the other's certificate: somebody must act first.
    pub certificate: Duration,
    /// A connection that held this long starts the pauses from the beginning.
    pub settled: Duration,
    /// A shorter one must have held this long to count at all: a peer that accepts and hangs up earns nothing.
    pub counts: Duration,
}

/// The step up to which pauses grow while the link comes up each time: four times the first pause.
const MOST_WHEN_CUT: u32 = 3;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// How long the link was up, from its first good health check; zero if it never was.
    pub held: Duration,
    /// One side refused the other's certificate.
    pub certificate: bool,
}

/// The plan of one peer.
#[derive(Debug, Clone)]
pub struct Plan {
    pauses: Pauses,
    /// Steps up the ladder; 0 = at once, 1 = [`Pauses::first`], then doubled.
    step: u32,
    /// The pause before the attempt that ended last.
    pause: Duration,
    /// That pause was for a certificate: no change of routes cures it.
    certificate: bool,
    addresses: usize,
    /// The address to try now, and the one that worked last.
    turn: usize,
    favourite: usize,
}

impl Plan {
    /// For a peer with so many addresses, at least one.
    pub fn new(pauses: Pauses, addresses: usize) -> Self {
        Self {
            pauses,
            step: 1,
            pause: Duration::ZERO,
            certificate: false,
            addresses: addresses.max(1),
            turn: 0,
            favourite: 0,
        }
    }

    /// Which address the next attempt goes to.
    pub fn address(&self) -> usize {
        self.turn
    }

    /// The link over the address in turn is up.
    pub fn well(&mut self) {
        self.favourite = self.turn;
    }

    /// The pause after an attempt. `chance` (any number) spreads boxes that lost the same server.
    pub fn ended(&mut self, outcome: Outcome, chance: u32) -> Duration {
        let earned = self.pauses.counts.max(self.pause * 2);
        if outcome.held >= self.pauses.settled {
            self.step = 0;
        } else if outcome.held >= earned {
            self.step = self.step.saturating_sub(2);
        } else if outcome.held >= self.pauses.counts / 4 {
            // It does come up, and is cut again and again: seconds, not half minutes.
            self.step = self.step.min(MOST_WHEN_CUT);
        } else if outcome.held.is_zero() {
            self.step = self.step.max(1);
        }
        self.certificate = outcome.certificate;
        // One round over all addresses counts as one failure: the next one may be another way to the same peer.
        let round_over = if outcome.held.is_zero() {
            self.turn = (self.turn + 1) % self.addresses;
            self.turn == self.favourite
        } else {
            self.turn = self.favourite;
            true
        };
        let mut pause = self.ladder(if round_over { self.step } else { 0 });
        if round_over {
            self.step = self.step.saturating_add(1);
        }
        if outcome.certificate {
            pause = pause.max(self.pauses.certificate);
        }
        // Up to a quarter more, never less: "at least 60 s" stays true.
        self.pause = pause + (pause / 4).mul_f64(f64::from(chance) / f64::from(u32::MAX));
        self.pause
    }

    /// A route, an address or a link came: whether the pause is over now. It begins from the shortest again, unless
    /// somebody must act on a certificate first.
    pub fn route_came(&mut self) -> bool {
        if self.certificate {
            return false;
        }
        self.step = 1;
        self.pause = Duration::ZERO;
        self.turn = self.favourite;
        true
    }

    fn ladder(&self, step: u32) -> Duration {
        match step {
            0 => self.pauses.at_once,
            step => self
                .pauses
                .first
                .saturating_mul(1 << (step - 1).min(16))
                .min(self.pauses.most),
        }
    }
}

/// How long a peer may take to answer a health check when the network has just changed: four times what it took last,
/// half a second to five seconds. Until then a new connection is made beside the old one already.
pub fn proof_within(round_trip: Option<Duration>) -> Duration {
    let usual = round_trip.unwrap_or(Duration::from_millis(250));
    (usual * 4).clamp(Duration::from_millis(500), Duration::from_secs(5))
}

/// How long to wait for that answer before the new connection is begun.
pub fn patience(round_trip: Option<Duration>) -> Duration {
    let usual = round_trip.unwrap_or(Duration::from_millis(50));
    (usual * 2).clamp(Duration::from_millis(100), Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAUSES: Pauses = Pauses {
        at_once: Duration::from_millis(100),
        first: Duration::from_secs(1),
        most: Duration::from_secs(30),
        certificate: Duration::from_secs(60),
        settled: Duration::from_secs(20),
        counts: Duration::from_secs(2),
    };

    fn after(held: u64) -> Outcome {
        Outcome {
            held: Duration::from_millis(held),
            certificate: false,
        }
    }

    fn seconds(plan: &mut Plan, held: u64) -> f64 {
        plan.ended(after(held), 0).as_secs_f64()
    }

    #[test]
    fn pauses_double_up_to_the_cap_and_begin_again_after_a_link_that_held() {
        let mut plan = Plan::new(PAUSES, 1);
        let pauses: Vec<f64> = (0..8).map(|_| seconds(&mut plan, 0)).collect();
        assert_eq!(pauses, [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]);
        assert_eq!(seconds(&mut plan, 20_000), 0.1, "it held: at once");
        assert_eq!(seconds(&mut plan, 0), 1.0);
        assert_eq!(
            plan.ended(after(0), u32::MAX),
            Duration::from_millis(2500),
            "a quarter more at most"
        );
    }

    #[test]
    fn a_link_that_is_cut_every_few_seconds_comes_back_at_once_each_time() {
        let mut plan = Plan::new(PAUSES, 1);
        for _ in 0..100 {
            assert!(seconds(&mut plan, 3_000) <= 0.1);
        }
    }

    #[test]
    fn a_link_that_is_cut_every_second_waits_seconds_at_most() {
        let mut plan = Plan::new(PAUSES, 1);
        for _ in 0..100 {
            assert!(seconds(&mut plan, 1_000) <= 4.0);
        }
    }

    #[test]
    fn a_peer_that_accepts_and_hangs_up_is_not_hammered() {
        let mut plan = Plan::new(PAUSES, 1);
        let total: f64 = (0..20).map(|_| seconds(&mut plan, 300)).sum();
        assert!(total > 300.0, "{total}");
    }

    #[test]
    fn certificates_wait_a_minute_whatever_the_routes_do() {
        let mut plan = Plan::new(PAUSES, 1);
        let refused = Outcome {
            certificate: true,
            ..after(0)
        };
        assert_eq!(plan.ended(refused, 0), Duration::from_secs(60));
        assert!(!plan.route_came());
        assert_eq!(plan.ended(refused, u32::MAX), Duration::from_secs(75));
        plan.ended(after(0), 0);
        assert!(plan.route_came());
        assert_eq!(seconds(&mut plan, 0), 1.0, "and the pauses begin anew");
    }

    #[test]
    fn every_address_has_its_turn_and_the_one_that_worked_comes_first() {
        let mut plan = Plan::new(PAUSES, 3);
        let mut tried = Vec::new();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            tried.push(plan.address());
            pauses.push(seconds(&mut plan, 0));
        }
        assert_eq!(tried, [0, 1, 2, 0, 1, 2]);
        assert_eq!(pauses, [0.1, 0.1, 1.0, 0.1, 0.1, 2.0]);
        seconds(&mut plan, 0);
        assert_eq!(plan.address(), 1);
        plan.well();
        seconds(&mut plan, 5_000);
        assert_eq!(plan.address(), 1, "it worked last");
        seconds(&mut plan, 0);
        seconds(&mut plan, 0);
        assert_eq!(plan.address(), 0);
        plan.route_came();
        assert_eq!(plan.address(), 1);
    }

    #[test]
    fn proofs_are_asked_for_in_proportion() {
        let ms = Duration::from_millis;
        assert_eq!(proof_within(Some(ms(10))), ms(500));
        assert_eq!(proof_within(Some(ms(800))), ms(3200), "a satellite");
        assert_eq!(proof_within(Some(ms(9000))), ms(5000));
        assert!(patience(None) < proof_within(None));
    }

    proptest! {
        /// Whatever happens: the pause is within its bounds, and hammering has an end.
        #[test]
        fn pauses_stay_within_bounds(
            ends in proptest::collection::vec((0_u64..40_000, any::<bool>(), any::<bool>(), any::<u32>()), 1..200),
            addresses in 1_usize..6,
        ) {
            let mut plan = Plan::new(PAUSES, addresses);
            for (held, certificate, route, chance) in ends {
                let held = held.saturating_sub(20_000);
                let pause = plan.ended(Outcome { certificate, ..after(held) }, chance);
                prop_assert!(plan.address() < addresses);
                prop_assert!(pause >= PAUSES.at_once && pause <= Duration::from_secs(75));
                prop_assert!(!certificate || pause >= PAUSES.certificate);
                if route {
                    prop_assert_eq!(plan.route_came(), !certificate);
                }
            }
        }
    }
}
