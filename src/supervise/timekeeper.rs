//! The box's clock at work: looked at once a second, kept over a power cut, fed by gpsd, and asked when certificates
//! are judged.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls_pki_types::UnixTime;
use tokio::task::JoinHandle;

use crate::api::ClockStatus;
use crate::api::clock::span;
use crate::api::status::Counts;
use crate::clock::judge::Follows;
use crate::clock::keeper::{News, Report};
use crate::clock::peers::MOST_PEERS;
use crate::clock::{BoxClock, Clock, PeerOffset, Quality};
use crate::config::ClockSources;
use crate::link::gpsd;
use crate::link::hub::Hub;
use crate::link::tls::{Judgement, Moments, Observer};
use crate::pki::{Doubt, Moment};

/// The box's clock and what feeds it. Clones share it.
#[derive(Clone)]
pub(super) struct Timekeeper {
    clock: Arc<BoxClock>,
    gpsd: Arc<Mutex<Option<JoinHandle<()>>>>,
    doubts: Arc<[AtomicU64; 2]>,
}

impl Timekeeper {
    /// The clock by what is known at once: kernel, battery-backed clock, and what is kept in the state directory.
    pub(super) fn start(state: &Path, root: &Path) -> Self {
        let (clock, fault) = BoxClock::start(state, root);
        if let Some(fault) = fault {
            tracing::warn!("last known time: {fault}");
        }
        let keeper = Self {
            clock: Arc::new(clock),
            gpsd: Arc::default(),
            doubts: Arc::default(),
        };
        let words = keeper.status().in_words();
        match keeper.report().is_lost() {
            true => tracing::warn!(
                "clock: {words}; the system clock says {}, which cannot be. Registered peers are admitted by their \
                 fingerprints, whatever the dates of their certificates",
                keeper.status().system_utc
            ),
            false => tracing::info!("clock: {words}"),
        }
        keeper
    }

    /// The clock, for whoever reads it.
    pub(super) fn clock(&self) -> Arc<BoxClock> {
        Arc::clone(&self.clock)
    }

    /// Uses these sources from now on.
    pub(super) fn apply(&self, sources: &ClockSources) {
        let follow = sources.gpsd.clone().map(|address| {
            let clock = self.clock();
            tokio::spawn(gpsd::follow(address, clock))
        });
        let old = {
            let mut task = self.gpsd.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *task, follow)
        };
        if let Some(old) = old {
            old.abort();
        }
        self.clock
            .use_sources(sources.gpsd.is_some(), sources.peers);
    }

    /// The second's look: asks the sources, logs what is new, and writes the last known time when it is due.
    pub(super) fn look(&self, hub: &Hub) {
        // While the clock stands in 1970 and nobody says what time it is, events go by the devices' clocks.
        let is_known = !self.report().is_lost();
        let offsets: Vec<PeerOffset> = hub.with(|router, now| {
            router.trust_clock(is_known);
            // What is guessed from events may be a delay that was always there.
            let told = router.peer_offsets(now).filter(|offset| offset.exchanged);
            let known = told.map(|offset| PeerOffset {
                offset_ms: offset.offset_ms,
                error_ms: offset.error_ms,
                quality: Quality::of_word(&offset.quality),
            });
            known.take(MOST_PEERS).collect()
        });
        self.clock.note_peers(&offsets);
        let news = self.clock.look();
        tell(&news, &self.clock.report());
        if let Some(floor) = news.due {
            let clock = self.clock();
            // Written beside the event loop: a card may take its time.
            drop(tokio::task::spawn_blocking(move || {
                if let Err(error) = clock.save(floor) {
                    tracing::warn!("the last known time is not kept: {error}");
                }
            }));
        }
    }

    /// How it stands.
    pub(super) fn report(&self) -> Report {
        self.clock.report()
    }

    /// How it stands, for `status`.
    pub(super) fn status(&self) -> ClockStatus {
        let doubts = [Doubt::Behind, Doubt::Unproven];
        let counts: Counts = doubts
            .into_iter()
            .zip(self.doubts.iter())
            .map(|(doubt, count)| (doubt.word().to_owned(), count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .collect();
        ClockStatus::of(&self.report(), counts)
    }

    /// When certificates of neighbours are judged.
    pub(super) fn moments(&self) -> Moments {
        let keeper = self.clone();
        Arc::new(move || keeper.moment())
    }

    /// The moment at which dates are judged now.
    pub(super) fn moment(&self) -> Moment {
        let wall = self.clock.wall();
        let floor = (!wall.quality.is_trusted()).then(|| self.clock.lowest_ms());
        Moment {
            now: unix(wall.ms),
            floor: floor.map(unix),
        }
    }

    /// Says of whoever is admitted in spite of a doubtful date that it is, and counts it; then hears `next`.
    pub(super) fn telling(&self, next: Observer) -> Observer {
        let doubts = Arc::clone(&self.doubts);
        Arc::new(move |judgement: Judgement| {
            if let (Ok(name), Some(doubt)) = (&judgement.outcome, judgement.doubt) {
                doubts[usize::from(doubt == Doubt::Unproven)].fetch_add(1, Ordering::Relaxed);
                tracing::warn!(peer = name.as_str(), "{name}: {doubt}");
            }
            next(judgement);
        })
    }
}

impl fmt::Debug for Timekeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timekeeper").finish_non_exhaustive()
    }
}

/// A moment for certificates; before 1970 there were none.
fn unix(millis: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
}

/// Writes down what changed.
fn tell(news: &News, report: &Report) {
    let side = |by_ms: i64| if by_ms < 0 { "back" } else { "forward" };
    if let Some(step) = news.step {
        let by = span(step.by_ms.unsigned_abs());
        tracing::warn!("clock: the system clock was set {by} {}", side(step.by_ms));
    }
    if let Some(jump) = news.jump {
        let by = span(jump.by_ms.unsigned_abs());
        tracing::warn!("clock: the box's time goes {by} {}", side(jump.by_ms));
    }
    let (old, new) = (&news.before, &news.verdict);
    let follows = |follows: Follows| matches!(follows, Follows::Anchor(_));
    if (old.quality, follows(old.follows)) != (new.quality, follows(new.follows)) {
        let words = ClockStatus::of(report, Counts::new()).in_words();
        match new.quality.is_trusted() {
            true => tracing::info!("clock: {words}"),
            false => tracing::warn!("clock: {words}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::tls::unobserved;
    use crate::pki::{Fingerprint, Refusal};

    #[test]
    fn who_is_admitted_with_a_doubt_is_counted_and_who_is_refused_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let keeper = Timekeeper::start(directory.path(), directory.path());
        let observer = keeper.telling(unobserved());
        let judged = |outcome, doubt| Judgement {
            fingerprint: Fingerprint::of(b""),
            outcome,
            doubt,
            suspect: None,
        };
        observer(judged(Ok("bravo".into()), None));
        observer(judged(Err(Refusal::Expired), None));
        assert!(keeper.status().doubtful_certificates.is_empty());
        observer(judged(Ok("bravo".into()), Some(Doubt::Unproven)));
        observer(judged(Ok("bravo".into()), Some(Doubt::Unproven)));
        observer(judged(Ok("bravo".into()), Some(Doubt::Behind)));
        let counts = keeper.status().doubtful_certificates;
        assert_eq!(counts[Doubt::Unproven.word()], 2);
        assert_eq!(counts[Doubt::Behind.word()], 1);
    }

    #[test]
    fn the_floor_counts_as_long_as_nobody_vouches_for_the_clock() {
        let directory = tempfile::tempdir().unwrap();
        let keeper = Timekeeper::start(directory.path(), directory.path());
        let moment = keeper.moment();
        assert_eq!(
            moment.floor.is_none(),
            keeper.report().verdict.quality.is_trusted()
        );
        assert!(moment.floor.is_none_or(|floor| floor <= moment.now));
    }
}
