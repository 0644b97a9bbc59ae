//! How well a dialled connection is, as its health checks show, and a way to ask for one at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

/// The pulse of one connection. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    ask: Arc<Notify>,
    seen: watch::Sender<Seen>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    answers: u64,
    well_since: Option<Instant>,
    /// A check that is not answered yet.
    asked: Option<Instant>,
    round_trip: Option<Duration>,
}

impl Pulse {
    /// Asks for a health check now rather than in its time.
    pub fn ask(&self) {
        self.0.ask.notify_one();
    }

    /// What [`Self::ask`] notifies; the registry challenges a connection with it.
    pub fn challenge(&self) -> Arc<Notify> {
        Arc::clone(&self.0.ask)
    }

    /// Waits until somebody asks.
    pub async fn asked(&self) {
        self.0.ask.notified().await;
    }

    /// A health check is on its way.
    pub fn begin(&self) {
        self.0
            .seen
            .send_modify(|seen| seen.asked = Some(Instant::now()));
    }

    /// It was answered well.
    pub fn answered(&self) {
        self.0.seen.send_modify(|seen| {
            seen.answers += 1;
            seen.well_since.get_or_insert_with(Instant::now);
            seen.round_trip = seen.asked.take().map(|asked| asked.elapsed());
        });
    }

    /// How long the connection has been well; none if it never was.
    pub fn held(&self) -> Option<Duration> {
        let since = self.0.seen.borrow().well_since;
        since.map(|since| since.elapsed())
    }

    /// Whether no health check waits for its answer for longer than that.
    pub fn is_prompt(&self, long: Duration) -> bool {
        let asked = self.0.seen.borrow().asked;
        asked.is_none_or(|asked| asked.elapsed() < long)
    }

    /// How long the last answer took.
    pub fn round_trip(&self) -> Option<Duration> {
        self.0.seen.borrow().round_trip
    }

    /// Waits for the next answer.
    pub async fn answer(&self) {
        let mut seen = self.0.seen.subscribe();
        let known = seen.borrow().answers;
        // We hold a sender ourselves.
        let _ = seen.wait_for(|seen| seen.answers != known).await;
    }

    /// Waits until a health check has gone unanswered for so long.
    pub async fn overdue(&self, long: Duration) {
        let mut seen = self.0.seen.subscribe();
        loop {
            let asked = seen.borrow_and_update().asked;
            match asked {
                Some(asked) => tokio::select! {
                    () = sleep_until(asked + long) => return,
                    _ = seen.changed() => {}
                },
                None => drop(seen.changed().await),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unanswered_check_is_overdue_and_an_answered_one_is_not() {
        let (pulse, long) = (Pulse::default(), Duration::from_millis(100));
        assert_eq!((pulse.held(), pulse.round_trip()), (None, None));
        let watched = pulse.clone();
        let overdue = tokio::spawn(async move { watched.overdue(long).await });
        for _ in 0..3 {
            pulse.begin();
            tokio::task::yield_now().await;
            pulse.answered();
            tokio::time::sleep(long * 2).await;
        }
        assert!(pulse.round_trip().is_some());
        assert!(!overdue.is_finished());
        let begun = Instant::now();
        pulse.begin();
        overdue.await.unwrap();
        assert!(begun.elapsed() >= long);
        assert!(pulse.held() >= Some(long * 7));
    }
}
