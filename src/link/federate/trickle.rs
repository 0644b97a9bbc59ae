//! Pieces of something large to a peer whose link has a byte budget, beside its events.
//!
//! Such a piece goes only when nothing is on its way and the bucket is not only out of debt but has something in it:
//! then no event waits for it. Where events take all of the rate, a piece goes now and then all the same. Whatever goes,
//! an event behind it waits no longer than for this one piece.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::pace;
use crate::config::Rate;
use crate::link::meter::Meter;
use crate::route::rate::Account;

/// So much of the rate must be unused before a piece goes, milliseconds.
const SPARE_MS: u64 = 40;
/// A piece that waited for so long goes as soon as there is no debt.
const HUNGRY: Duration = Duration::from_secs(3);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);
const LONGEST_LOOK: Duration = Duration::from_millis(200);

/// The way of large things over one connection.
pub struct Trickle {
    meter: Meter,
    begun: Instant,
    account: Mutex<Account>,
    piece: usize,
}

impl Trickle {
    /// Over the connection that `meter` watches.
    pub fn new(rate: Rate, meter: Meter) -> Self {
        Self {
            account: Mutex::new(Account::new(pace::share(rate), meter.bytes_out(), 0)),
            begun: Instant::now(),
            piece: pace::record(rate),
            meter,
        }
    }

    /// Longest piece, bytes.
    pub fn piece(&self) -> usize {
        self.piece
    }

    /// Waits until that many bytes may go, and takes them as gone; false if that takes too long.
    pub async fn turn(&self, bytes: usize, patience: Duration) -> bool {
        let asked = Instant::now();
        while asked.elapsed() < patience {
            let wait = {
                let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
                let now_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                let clear = self.meter.is_clear();
                account.settle(self.meter.bytes_out(), clear, now_ms);
                let bucket = account.bucket();
                let wait_ms = bucket.wait_ms();
                let spare = bucket.credit_ms() >= SPARE_MS || asked.elapsed() >= HUNGRY;
                if clear && wait_ms == 0 && spare {
                    account.hand_over(bytes as u64);
                    return true;
                }
                Duration::from_millis(wait_ms)
            };
            sleep(wait.clamp(LOOK, LONGEST_LOOK)).await;
        }
        false
    }
}

impl fmt::Debug for Trickle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trickle").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::meter::Meters;

    #[tokio::test]
    async fn pieces_keep_to_the_rate() {
        let rate = Rate::of_bits(256_000).unwrap();
        let meter = Meters::default().connection("bravo");
        let trickle = Trickle::new(rate, meter.clone());
        let begun = Instant::now();
        let mut sent = 0;
        while begun.elapsed() < Duration::from_millis(1500) {
            assert!(trickle.turn(4096, Duration::from_secs(30)).await);
            meter.wrote(4096);
            sent += 4096;
        }
        let most = rate.bytes() * begun.elapsed().as_millis() as u64 / 1000 + rate.bytes();
        assert!(sent < most, "{sent} of {most}");
        let meter = Meters::default().connection("b");
        let slow = Trickle::new(Rate::of_bits(1200).unwrap(), meter.clone());
        assert!(
            slow.turn(4096, Duration::from_secs(30)).await,
            "a full bucket"
        );
        meter.wrote(4096);
        let late = slow.turn(4096, Duration::from_millis(100)).await;
        assert!(!late, "in debt for half a minute");
    }
}
