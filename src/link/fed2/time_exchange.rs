//! Boxes tell each other the time, so that each can express the other's events in its own clock.
//!
//! Either side asks the other now and then; one question and its answer tell both of them
//! (see [`Exchange`]). A box whose own clock jumps says so within a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep};

use crate::clock::Now;
use crate::clock::skew::{Exchange, STAMP_MAX};
use crate::link::grpc::status::Status;
use crate::link::hub::Hub;
use crate::link::nat::Keeper;

use super::companion::{Companion, Feature};
use super::companion_desk::Companions;

/// The private method.
const METHOD: &str = "Time";
/// Between two questions of one side, on a link that is not thin.
const EVERY: Duration = Duration::from_secs(16);
/// The first questions of a connection come sooner: the best of several says more than one.
const FIRST: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(3),
];
/// How often we look whether our own clock has jumped.
const LOOK: Duration = Duration::from_secs(1);
/// A jump of our own clock by less, milliseconds, can wait for its turn.
const JUMP_MS: i64 = 100;

/// The conversations, one per connected box.
#[derive(Clone)]
struct Talks {
    hub: Hub,
    keeper: Keeper,
    /// Never more than there are peers: by name.
    open: Arc<Mutex<HashMap<String, Exchange>>>,
}

/// From now on this box tells other boxes the time, and hears theirs.
pub fn register(companions: &Companions, hub: Hub, keeper: Keeper) {
    let talks = Talks {
        hub,
        keeper,
        open: Arc::default(),
    };
    let answering = talks.clone();
    companions.serve(Feature::Time, METHOD, move |question| {
        let answer = answering.answer(&question.companion, &question.payload);
        async move { Ok::<Bytes, Status>(answer) }
    });
    companions.attend(Feature::Time, move |companion| {
        let talks = talks.clone();
        async move { talks.attend(&companion).await }
    });
}

impl Talks {
    async fn attend(&self, companion: &Companion) {
        let name = companion.peer();
        self.lock().insert(name.to_owned(), Exchange::default());
        let _until_the_connection_ends = Ending(self, name);
        let mut first = FIRST.iter();
        loop {
            let told = self.ask(companion).await;
            // Where bytes are dear, no more often than health checks.
            let usual = || EVERY.max(self.keeper.slowest(name).unwrap_or_default());
            let due = Instant::now() + first.next().copied().unwrap_or_else(usual);
            while Instant::now() < due && (self.told() - told).abs() < JUMP_MS {
                sleep(LOOK.min(due - Instant::now())).await;
            }
        }
    }

    /// Asks once; gives what our clock said.
    async fn ask(&self, companion: &Companion) -> i64 {
        let told = self.told();
        let question = self.message(companion);
        // A line that is down ends this task; a question that was lost is asked again in its turn.
        if let Ok(answer) = companion.call(METHOD, question).await {
            self.hear(companion, &answer, self.hub.now());
        }
        told
    }

    /// What we tell of our clock.
    fn told(&self) -> i64 {
        self.hub.with(|router, now| base(router.told_time(now).0))
    }

    fn answer(&self, companion: &Companion, question: &[u8]) -> Bytes {
        let now = self.hub.now();
        self.hear(companion, question, now);
        self.message(companion)
    }

    fn message(&self, companion: &Companion) -> Bytes {
        let mut message = Vec::with_capacity(STAMP_MAX);
        let (now, known) = self.hub.with(|router, now| router.told_time(now));
        let mut open = self.lock();
        let talk = open.entry(companion.peer().to_owned()).or_default();
        talk.set_quality(self.hub.quality().word());
        talk.put_message(&mut message, now, !known);
        message.into()
    }

    fn hear(&self, companion: &Companion, message: &[u8], now: Now) {
        let peer = companion.peer();
        let sample = {
            let mut open = self.lock();
            open.entry(peer.to_owned()).or_default().hear(message, now)
        };
        let Some(sample) = sample else { return };
        let stepped = self
            .hub
            .with(|router, _| router.hear_time(peer, &sample, now));
        if stepped {
            tracing::info!(peer, "{peer}: its clock was set");
        }
        companion.set_timed();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Exchange>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets a conversation; one that has begun anew meanwhile only has to begin once more.
struct Ending<'a>(&'a Talks, &'a str);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.lock().remove(self.1);
    }
}

/// Our wall clock minus our monotonic one, milliseconds: changes when the wall clock is set.
fn base(now: Now) -> i64 {
    now.wall_ms - now.mono_ms.cast_signed()
}
