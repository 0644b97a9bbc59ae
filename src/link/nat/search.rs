//! Finding a NAT's idle timeout: which idle times to try next, and when it is known. Pure.
//!
//! A connection that was idle for longer than the timeout is dead, one that was idle for less lives. Up to
//! [`AT_ONCE`] idle connections are tried side by side: they cost nothing while they idle, and each round leaves a fifth
//! of the range (as a ratio) instead of the half that one alone would.

use heapless::Vec;

/// Idle connections side by side.
pub const AT_ONCE: usize = 4;
/// Shortest idle time tried, milliseconds. Below it not even the health checks of every federate would help.
pub const LEAST_MS: u32 = 4_000;
/// Longest idle time tried, milliseconds: keeping alive more rarely than every quarter of an hour saves nothing.
pub const MOST_MS: u32 = 20 * 60_000;
/// Known well enough: the shortest that died is at most so much above the longest that lived, per cent.
const NEAR_PERCENT: u64 = 6;

/// What is known of a timeout, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// Longest idle time that a connection lived through; 0 = none did.
    pub lived: u32,
    /// Shortest idle time that killed one; none = none did.
    pub died: Option<u32>,
}

/// One search.
#[derive(Debug, Clone, Default)]
pub struct Search {
    bounds: Bounds,
    /// What was known before and must be seen again first.
    claimed: Option<Bounds>,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Let connections idle so long, milliseconds, ascending. Whatever is above one that died need not be waited for.
    Try(Vec<u32, AT_ONCE>),
    /// The timeout lies between these.
    Found(Bounds),
}

impl Search {
    /// Nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Something was known once: it is tried first, and if it still holds the search is over.
    pub fn verifying(known: Bounds) -> Self {
        Self {
            bounds: Bounds::default(),
            claimed: Some(known),
        }
    }

    /// A connection was idle for so long and lived.
    pub fn lived(&mut self, idle_ms: u32) {
        self.bounds.lived = self.bounds.lived.max(idle_ms);
        // The newer observation counts: networks change.
        self.bounds.died = self.bounds.died.filter(|&died| died > idle_ms);
    }

    /// A connection was idle for so long and died of it.
    pub fn died(&mut self, idle_ms: u32) {
        let before = self.bounds.died.unwrap_or(idle_ms);
        self.bounds.died = Some(before.min(idle_ms));
        if self.bounds.lived >= idle_ms {
            self.bounds.lived = 0;
        }
    }

    /// What to try next. A claim is tried once; what came of it are bounds like any others.
    pub fn step(&mut self) -> Step {
        if let Some(claimed) = self.claimed.take() {
            let points: Vec<u32, AT_ONCE> = [Some(claimed.lived), claimed.died]
                .into_iter()
                .flatten()
                .filter(|idle| (LEAST_MS..=MOST_MS).contains(idle))
                .collect();
            if !points.is_empty() {
                return Step::Try(points);
            }
        }
        let Bounds { lived, died } = self.bounds;
        let near =
            |low: u32, high: u32| u64::from(high) * 100 <= u64::from(low) * (100 + NEAR_PERCENT);
        if lived >= MOST_MS || died.is_some_and(|died| died <= LEAST_MS || near(lived, died)) {
            return Step::Found(self.bounds);
        }
        let (low, high) = (lived.max(LEAST_MS), died.unwrap_or(MOST_MS));
        let mut points = Vec::new();
        if near(low, high) {
            // Only an end of the range is left: the longest of all, or the shortest.
            let end = if died.is_none() { MOST_MS } else { LEAST_MS };
            let _ = points.push(end);
            return Step::Try(points);
        }
        let ratio = f64::from(high) / f64::from(low);
        for place in 1..=AT_ONCE {
            let share = place as f64 / (AT_ONCE + 1) as f64;
            let idle = (f64::from(low) * ratio.powf(share)).round() as u32;
            // Room for all of them.
            let _ = points.push(idle);
        }
        Step::Try(points)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Runs a search against a NAT; gives what was found, and how long it took, seconds.
    fn run(mut search: Search, timeout_ms: u32) -> (Bounds, u32) {
        let mut taken = 0;
        for _ in 0..20 {
            match search.step() {
                Step::Found(bounds) => return (bounds, taken / 1000),
                Step::Try(points) => {
                    assert!(!points.is_empty() && points.is_sorted(), "{points:?}");
                    for &idle in &points {
                        if idle < timeout_ms {
                            search.lived(idle);
                        } else {
                            search.died(idle);
                        }
                        if idle >= timeout_ms || Some(&idle) == points.last() {
                            taken += idle;
                            break;
                        }
                    }
                }
            }
        }
        panic!("no end: {search:?}");
    }

    #[test]
    fn the_four_of_the_field_are_found_in_minutes() {
        for (timeout, at_most) in [(30, 110), (60, 260), (120, 350), (300, 1000)] {
            let (bounds, seconds) = run(Search::new(), timeout * 1000);
            assert!(
                bounds.lived >= timeout * 900 && bounds.lived < timeout * 1000,
                "{bounds:?}"
            );
            assert!(seconds <= at_most, "{timeout} s took {seconds} s");
        }
    }

    #[test]
    fn what_is_known_still_takes_one_look() {
        let known = Bounds {
            lived: 29_000,
            died: Some(30_500),
        };
        assert_eq!(run(Search::verifying(known), 30_000), (known, 30));
        // The network changed, either way.
        for timeout in [10_000, 200_000] {
            let (bounds, _) = run(Search::verifying(known), timeout);
            assert!(
                bounds.lived * 100 >= timeout * 94 && bounds.lived < timeout,
                "{bounds:?}"
            );
        }
    }

    #[test]
    fn the_ends_of_the_range_are_found_too() {
        assert_eq!(
            run(Search::new(), 100).0,
            Bounds {
                lived: 0,
                died: Some(LEAST_MS)
            }
        );
        let (bounds, _) = run(Search::new(), u32::MAX);
        assert_eq!(
            bounds,
            Bounds {
                lived: MOST_MS,
                died: None
            }
        );
        let known = Bounds {
            lived: MOST_MS,
            died: None,
        };
        assert_eq!(run(Search::verifying(known), u32::MAX).0, known);
    }

    #[test]
    fn a_newer_observation_wins() {
        let mut search = Search::new();
        search.died(50_000);
        search.lived(60_000);
        assert_eq!(
            search.bounds,
            Bounds {
                lived: 60_000,
                died: None
            }
        );
        search.died(30_000);
        assert_eq!(
            search.bounds,
            Bounds {
                lived: 0,
                died: Some(30_000)
            }
        );
    }

    proptest! {
        #[test]
        fn any_timeout_is_found_within_six_per_cent(
            timeout in LEAST_MS + 1..MOST_MS, lived in any::<u32>(), died in proptest::option::of(any::<u32>()),
        ) {
            for search in [Search::new(), Search::verifying(Bounds { lived, died })] {
                let (bounds, _) = run(search, timeout);
                prop_assert!(bounds.lived < timeout);
                prop_assert!(u64::from(bounds.lived) * 1062 / 1000 >= u64::from(timeout) - 1, "{bounds:?}");
            }
        }
    }
}
