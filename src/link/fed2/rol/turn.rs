//! When the next piece of a package may go: events come first, and none of them ever waits for more than one piece.
//!
//! A piece is handed to HTTP/2 only when nothing handed over before waits on its way to the kernel, when no event waits
//! in the link's outbox, and, where the link has a byte budget, when that is not in debt. A link that always has events
//! to send still sends a piece now and then, so that a package arrives some day.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use crate::budget::parcels;
use crate::config::Rate;
use crate::link::fed2::flow::Flow;
use crate::link::federate::pace::{share, thin};
use crate::link::meter::Meter;
use crate::route::rate::Account;

/// Longest piece, bytes. One of all federates together is in memory beside those that are on their way.
pub const PIECE: usize = parcels::RESOURCE_PIECE as usize;

/// Least piece on a link with a byte budget, bytes.
const LEAST_PIECE: usize = 256;

/// So long a piece waits for events at most.
const FLOOR: Duration = Duration::from_secs(5);

/// Between two looks whether events wait.
const LOOK: Duration = Duration::from_millis(20);

/// The turns of one stream.
pub struct Turn {
    flow: Arc<Flow>,
    meter: Meter,
    begun: Instant,
    budget: Option<Account>,
    piece: usize,
    wake: Pin<Box<Sleep>>,
    /// Since when events have gone first.
    since: Option<Instant>,
}

impl Turn {
    /// Of a stream that begins on that connection.
    pub fn new(flow: &Arc<Flow>) -> Self {
        let (rate, meter) = (flow.rate(), flow.meter().clone());
        Self {
            flow: Arc::clone(flow),
            begun: Instant::now(),
            budget: rate.map(|rate| Account::new(share(rate), meter.bytes_out(), 0)),
            meter,
            piece: rate.map_or(PIECE, piece),
            wake: Box::pin(sleep(Duration::ZERO)),
            since: None,
        }
    }

    /// How many bytes may go, as soon as any may.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<usize> {
        loop {
            let clear = self.meter.is_clear();
            let now_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            if let Some(budget) = &mut self.budget {
                budget.settle(self.meter.bytes_out(), clear, now_ms);
            }
            if !clear {
                self.meter.wake_when_clear(context);
                return Poll::Pending;
            }
            let debt = self.budget.as_ref();
            let debt = debt.map_or(0, |budget| budget.bucket().wait_ms());
            let wait = match debt {
                0 if self.events_first() => LOOK,
                0 => return Poll::Ready(self.piece),
                debt => Duration::from_millis(debt),
            };
            self.wake.as_mut().reset(Instant::now() + wait);
            if self.wake.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// A piece of so many bytes is handed over.
    pub fn took(&mut self, bytes: usize) {
        self.since = None;
        if let Some(budget) = &mut self.budget {
            budget.hand_over(bytes as u64);
        }
        self.meter.handed_over();
    }

    fn events_first(&mut self) -> bool {
        let waiting = self
            .flow
            .ask(|port| port.ask(crate::route::router::Router::has_waiting));
        if waiting != Some(true) {
            self.since = None;
            return false;
        }
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        now.duration_since(since) < FLOOR
    }
}

/// A quarter of a second of a link, so that a track that comes just behind waits no longer.
fn piece(rate: Rate) -> usize {
    (thin(rate, false).batch / 2).clamp(LEAST_PIECE, PIECE)
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;
    use crate::link::federate::packing::Packing;

    #[test]
    fn a_piece_is_a_quarter_of_a_second() {
        for (bits, expected) in [
            (9_600, 300),
            (1_200, 256),
            (256_000, 8_000),
            (10_000_000, PIECE),
        ] {
            assert_eq!(piece(Rate::of_bits(bits).unwrap()), expected, "{bits}");
        }
    }

    #[tokio::test]
    async fn one_piece_at_a_time_and_no_more_than_the_rate() {
        let meter = Meter::default();
        meter.handed_over();
        meter.wrote(1);
        meter.flushed();
        let flow = Flow::limited(Rate::of_bits(800_000), meter.clone(), Packing::default());
        let mut turn = Turn::new(&flow);
        let begun = Instant::now();
        let mut sent = 0;
        for _ in 0..16 {
            let piece = poll_fn(|context| turn.poll(context)).await;
            turn.took(piece);
            let waits = poll_fn(|context| Poll::Ready(turn.poll(context).is_pending())).await;
            assert!(waits, "the one before is not on its way yet");
            meter.wrote(piece);
            meter.flushed();
            sent += piece;
        }
        let seconds = begun.elapsed().as_secs_f64();
        // Nine tenths of the rate, half a second of it at once, and one piece.
        let most = 90_000.0 * (seconds + 0.5) + PIECE as f64;
        assert!(sent as f64 <= most, "{sent} in {seconds} s");
    }
}
