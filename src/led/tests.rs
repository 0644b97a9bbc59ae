//! Patterns over time, exactly; and what no sequence of signals may do.

use std::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin};
use proptest::prelude::*;

use super::lease::{LEASE_MS, RENEW_MS, endless, goodbye};
use super::machine::LEAST_MS;
use super::*;

#[path = "../../tests/support/led.rs"]
mod seen;

use seen::{Stretch, decode, played, stretches};

/// A pin that notes what it is told.
#[derive(Debug, Default)]
struct Noted {
    now_ms: u64,
    edges: Vec<(u64, bool)>,
}

impl ErrorType for Noted {
    type Error = Infallible;
}

impl OutputPin for Noted {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.edges.push((self.now_ms, false));
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.edges.push((self.now_ms, true));
        Ok(())
    }
}

/// Plays a signal on a pin from one moment to another, asking exactly when told to.
fn play(lamp: &mut Lamp<Noted>, signal: Signal, from_ms: u64, to_ms: u64) {
    let mut now_ms = from_ms;
    while now_ms < to_ms {
        lamp.pin().now_ms = now_ms;
        let Ok(again) = lamp.drive(signal, now_ms);
        now_ms = again.unwrap_or(to_ms);
    }
}

fn edges_of(signal: Signal, from_ms: u64, to_ms: u64) -> Vec<(u64, bool)> {
    let mut lamp = Lamp::new(Noted::default());
    play(&mut lamp, signal, from_ms, to_ms);
    std::mem::take(&mut lamp.pin().edges)
}

#[test]
fn the_edges_are_where_the_table_says() {
    let table: &[(Signal, &[u64])] = &[
        (Signal::Flowing, &[0]),
        (Signal::Connected, &[0, 3800, 4000, 7800, 8000]),
        (Signal::SomeDown, &[0, 1000, 2000, 3000, 4000]),
        (Signal::Retrying, &[0, 300, 600, 900, 1200]),
        (Signal::Connecting, &[0, 100, 200, 300, 400]),
        (Signal::Booting, &[0, 100, 200, 300, 400]),
        (Signal::SafeMode, &[0, 50, 100, 150, 200]),
        (Signal::Provisioning, &[0, 150, 300, 450, 1500, 1650]),
        (Signal::Pairing, &[0, 150, 300, 450, 1500, 1650]),
        (
            Signal::Fault(Fault::NoNetwork),
            &[0, 300, 600, 900, 2400, 2700, 3000, 3300, 4800],
        ),
        (
            Signal::Fault(Fault::NameLookup),
            &[0, 300, 600, 900, 1200, 1500, 3000],
        ),
    ];
    for &(signal, expected) in table {
        let edges = edges_of(signal, 1000, 1000 + expected[expected.len() - 1] + 1);
        let expected: Vec<(u64, bool)> = expected
            .iter()
            .enumerate()
            .map(|(number, at)| (1000 + at, number % 2 == 0))
            .collect();
        assert_eq!(edges, expected, "{signal:?}");
    }
    for dark in [Signal::Dark, Signal::Paused] {
        assert_eq!(edges_of(dark, 1000, 60_000), [(1000, false)], "{dark:?}");
    }
}

#[test]
fn every_pattern_is_told_from_outside() {
    for signal in Signal::ALL {
        let edges = edges_of(signal, 5, 30_005);
        assert_eq!(
            decode(&stretches(&edges, 30_005)),
            signal.pattern().word(),
            "{signal:?}"
        );
    }
    for pattern in Pattern::ALL {
        // The kernel repeats the text.
        let once = played(&endless(pattern, 1), 1);
        let mut seen: Vec<Stretch> = Vec::new();
        for stretch in once.iter().cycle().take(once.len() * 300) {
            match seen.last_mut() {
                Some(last) if last.lit == stretch.lit => last.ms += stretch.ms,
                _ => seen.push(*stretch),
            }
        }
        assert_eq!(decode(&seen), pattern.word());
    }
}

#[test]
fn different_meanings_look_different() {
    for one in Signal::ALL {
        for other in Signal::ALL {
            let same = one.pattern() == other.pattern();
            let alike = matches!(
                (one, other),
                (Signal::Dark | Signal::Paused, Signal::Dark | Signal::Paused)
                    | (
                        Signal::Booting | Signal::Connecting,
                        Signal::Booting | Signal::Connecting
                    )
                    | (
                        Signal::Provisioning | Signal::Pairing,
                        Signal::Provisioning | Signal::Pairing
                    )
            );
            assert_eq!(same, one == other || alike, "{one:?} {other:?}");
            assert_eq!(one.word() == other.word(), one == other);
        }
        assert_ne!(one.pattern(), Pattern::ABANDONED);
    }
}

/// How a text splits: what it shows while the lease lasts, and after.
fn split(text: &str, lease_ms: u64) -> (Vec<Stretch>, Vec<Stretch>) {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut at = 0;
    for stretch in played(text, 255) {
        let first = stretch.ms.min(lease_ms.saturating_sub(at));
        for (part, ms) in [(&mut before, first), (&mut after, stretch.ms - first)] {
            if ms > 0 {
                part.push(Stretch { ms, ..stretch });
            }
        }
        at += stretch.ms;
    }
    (before, after)
}

#[test]
fn a_lease_shows_what_is_wanted_and_then_the_fault() {
    for pattern in Pattern::ALL {
        for phase in (0..pattern.cycle_ms()).step_by(130) {
            let mut lease = Lease::new(255);
            lease.show(pattern, 1000);
            let text = lease.write(1000 + phase, None);
            let (wanted, then) = split(&text, LEASE_MS);
            let at: u64 = wanted.iter().map(|stretch| stretch.ms).sum();
            assert_eq!(at, LEASE_MS);
            let mut since = phase;
            for stretch in &wanted {
                for ms in [0, stretch.ms / 2, stretch.ms - 1] {
                    assert_eq!(pattern.at(since + ms).step.lit, stretch.lit, "{pattern:?}");
                }
                since += stretch.ms;
            }
            assert_eq!(decode(&then), Pattern::ABANDONED.word(), "{pattern:?}");
            let lasts: u64 = then.iter().map(|stretch| stretch.ms).sum();
            assert!(lasts > 60_000, "{pattern:?}: {lasts} ms of fault");
        }
    }
    let (stopped, then) = split(&goodbye(255), 20_000);
    assert_eq!(decode(&stopped), "fast");
    assert!(then.iter().filter(|stretch| stretch.lit).count() >= 10);
}

/// The pieces of a text, each of which is a timer of the kernel.
fn pieces(text: &str) -> Vec<(bool, u64)> {
    let numbers: Vec<u64> = text
        .split_whitespace()
        .map(|word| word.parse().unwrap())
        .collect();
    let pairs = numbers.chunks(2).map(|pair| (pair[0] > 0, pair[1]));
    pairs.filter(|&(_, ms)| ms > 0).collect()
}

/// Renewals by the lease's own schedule, on a kernel whose timers are late by so much at every piece: what is seen.
fn renewed(pattern: Pattern, lag_ms: u64, until_ms: u64) -> Vec<Stretch> {
    let mut lease = Lease::new(1);
    lease.show(pattern, 0);
    let mut seen: Vec<(u64, bool)> = Vec::new();
    let (mut now, mut visible) = (0, None);
    while now < until_ms {
        let text = lease.write(now, visible);
        let next = lease.due_ms(now + 1).max(now + 1);
        assert!(next - now >= RENEW_MS, "{pattern:?}: after {}", next - now);
        assert!(next - now <= LEASE_MS - 1000, "{pattern:?}: {}", next - now);
        let mut at = now;
        for (lit, ms) in pieces(&text) {
            if at < next {
                seen.push((at, lit));
                visible = Some(lit);
            }
            at += ms + lag_ms;
        }
        now = next;
    }
    stretches(&seen, now)
}

#[test]
fn renewing_disturbs_nothing_that_can_be_seen() {
    for pattern in Pattern::ALL {
        for lag in [0, 2, 4, 8] {
            let seen = renewed(pattern, lag, 60_000);
            if pattern.still().is_some() {
                assert_eq!(seen.len(), 1, "{pattern:?}");
                continue;
            }
            let inner = &seen[1..seen.len() - 1];
            let shortest = inner.iter().map(|stretch| stretch.ms).min().unwrap_or(0);
            assert!(shortest >= LEAST_MS, "{pattern:?} lag {lag}: {shortest}");
            if let Pattern::Blinks(count) = pattern {
                let groups: Vec<usize> = inner
                    .split(|stretch| !stretch.lit && stretch.ms > 900)
                    .map(|group| group.iter().filter(|stretch| stretch.lit).count())
                    .collect();
                let whole = &groups[1..groups.len() - 1];
                assert!(
                    whole.iter().all(|&seen| seen == usize::from(count)),
                    "{pattern:?} lag {lag}: {groups:?}"
                );
            }
            if lag == 0 && pattern.steps().any(|step| step.ms >= 300) {
                assert_eq!(decode(&seen), pattern.word(), "{pattern:?}");
            }
        }
    }
}

#[test]
fn a_change_is_written_at_once_and_a_late_program_still_in_time() {
    let mut lease = Lease::new(1);
    lease.show(Pattern::Slow, 10);
    assert_eq!(lease.due_ms(10), 10);
    lease.write(10, None);
    assert!(lease.due_ms(11) >= 10 + RENEW_MS);
    assert_eq!(lease.due_ms(9000), 9000, "overdue");
    lease.show(Pattern::Slow, 500);
    assert!(lease.due_ms(500) >= 10 + RENEW_MS, "nothing changed");
    lease.show(Pattern::Fast, 600);
    assert_eq!(lease.due_ms(600), 600);
    lease.write(600, None);
    lease.lost();
    assert_eq!(lease.due_ms(700), 700);
}

proptest! {
    #[test]
    fn edges_keep_their_distance_and_dark_is_dark(
        moves in proptest::collection::vec((0_usize..Signal::ALL.len(), 0_u64..700), 1..200),
    ) {
        let mut machine = Machine::default();
        let (mut now, mut lit, mut edge) = (0_u64, false, None::<u64>);
        for (signal, wait) in moves {
            let signal = Signal::ALL[signal];
            machine.show(signal, now);
            let beat = machine.beat(now);
            if signal == Signal::Dark {
                prop_assert!(!beat.lit && beat.again_ms.is_none());
            }
            if beat.lit != lit {
                if signal != Signal::Dark && let Some(edge) = edge {
                    prop_assert!(now - edge >= LEAST_MS, "{} ms", now - edge);
                }
                (lit, edge) = (beat.lit, Some(now));
            }
            if let Some(again) = beat.again_ms {
                prop_assert!(again > now);
            }
            now += wait;
        }
    }

    #[test]
    fn no_clock_makes_it_panic(moments in proptest::collection::vec(any::<u64>(), 1..20), which in 0_usize..17) {
        let (mut machine, mut lease) = (Machine::default(), Lease::new(u32::MAX));
        for (number, now) in moments.into_iter().enumerate() {
            machine.show(Signal::ALL[(which + number) % Signal::ALL.len()], now);
            machine.beat(now);
            lease.show(Pattern::ALL[which], now / 2);
            lease.due_ms(now / 2);
            prop_assert!(lease.write(now / 2, Some(number % 2 == 0)).len() < 4096);
        }
    }
}
