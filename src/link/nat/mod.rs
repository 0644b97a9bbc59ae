//! How long the network between us and a peer remembers an idle connection, and what keeps each link alive.
//!
//! | file | holds |
//! |---|---|
//! | [`search`] | which idle times to try next (pure) |
//! | [`table`] | what is known of which uplink (pure) |
//! | [`quiet`] | the side connection, both ends |
//! | [`measure`] | the task beside a link that we dialled |

pub mod measure;
pub mod quiet;
pub mod search;
pub mod table;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::budget::QUIET_CONNECTIONS;
use crate::state::{Found, StateError, TwoGenerations};

use super::gauge::{Gauge, Line};
use super::keepalive::Plan;
use search::Bounds;
use table::{Place, Table};

/// A link that is back within this after it was lost at idle was lost to the NAT, not to an outage.
const BACK_AT_ONCE: Duration = Duration::from_secs(20);

/// What all links share about staying alive. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Keeper {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    discovers: AtomicBool,
    memory: Mutex<Memory>,
    peers: Mutex<BTreeMap<String, Known>>,
    /// One search at a time.
    measuring: Semaphore,
    /// Side connections of others that we are quiet on.
    answering: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Memory {
    table: Table,
    store: Option<TwoGenerations<Table>>,
}

#[derive(Debug, Default)]
struct Known {
    link: Weak<Link>,
    /// It was a box when it was last connected.
    is_box: bool,
    /// When its link was lost at idle, and after how long an idle.
    lost: Option<(Instant, Duration)>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            discovers: AtomicBool::new(false),
            memory: Mutex::default(),
            peers: Mutex::default(),
            measuring: Semaphore::new(1),
            answering: Arc::new(Semaphore::new(QUIET_CONNECTIONS as usize)),
        }
    }
}

/// A connection as `status` shows it. It holds the socket open: it ends with the connection.
#[derive(Debug)]
pub struct Link {
    /// Its socket.
    pub gauge: Gauge,
    /// How it goes out; none on loopback, and where the peer dialled.
    pub place: Option<Place>,
    shown: Mutex<Shown>,
}

/// What `status` shows of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// What the kernel says.
    pub line: Option<Line>,
    /// How it is kept alive; none where the peer dialled and did not say.
    pub interval: Option<Duration>,
    /// Where the interval comes from; `announced` where the peer chose it.
    pub origin: &'static str,
    /// Between health checks.
    pub health_every: Option<Duration>,
    /// The uplink's name, where we dialled.
    pub uplink: Option<String>,
    /// Idle time that the uplink is known to bear.
    pub idle_timeout: Option<Duration>,
    /// A search for it is under way.
    pub is_measuring: bool,
    /// Bytes are dear: nothing periodic crosses more often than this.
    slowest: Option<Duration>,
}

impl Link {
    /// For a connection that will be given away.
    pub fn new(gauge: Gauge, place: Option<Place>) -> Arc<Self> {
        Arc::new(Self {
            gauge,
            place,
            shown: Mutex::default(),
        })
    }

    /// The round trip as the kernel has it now, milliseconds, rounded up.
    pub fn round_trip_ms(&self) -> Option<u32> {
        let line = self.gauge.read()?;
        Some(line.round_trip_us.div_ceil(1000))
    }

    /// Notes a schedule and gives the kernel its part, when it changed.
    pub fn follow(&self, plan: &Plan) {
        let (interval, every) = (Some(plan.interval), Some(plan.health_every));
        let changed = self.change(|shown| {
            shown.origin = plan.origin.word();
            shown.health_every = every;
            shown.slowest = every.filter(|_| plan.is_stretched());
            std::mem::replace(&mut shown.interval, interval) != interval
        });
        if changed {
            self.probe(&plan.probes);
        }
    }

    /// Notes a schedule of which only the kernel's part is performed, and gives it to the kernel.
    pub fn follow_probes(&self, plan: &Plan) {
        self.change(|shown| {
            shown.origin = plan.origin.word();
            shown.interval = Some(plan.interval);
        });
        self.probe(&plan.probes);
    }

    /// Notes what the side that dialled announced, and gives the kernel its part, when it changed.
    pub fn follow_peer(&self, announced: &super::keepalive::Announcement) {
        let interval = Some(announced.interval);
        let changed = self.change(|shown| {
            shown.origin = "announced";
            shown.health_every = Some(announced.health_every);
            shown.slowest = shown.health_every;
            std::mem::replace(&mut shown.interval, interval) != interval
        });
        if changed {
            self.probe(&announced.probes());
        }
    }

    fn probe(&self, probes: &super::keepalive::Probes) {
        if let Err(error) = self.gauge.set_probes(probes) {
            tracing::warn!(%error, "TCP keepalive refused by the system");
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Shown) -> T) -> T {
        change(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Keeper {
    /// Reads what was learned before. The state directory must exist.
    ///
    /// # Errors
    /// If the files are there and cannot be read.
    pub fn open(state: &Path) -> Result<Self, StateError> {
        let (store, found) = TwoGenerations::open(state, "uplinks")?;
        let table = match found {
            Found::Value(table) => Table::checked(table),
            Found::Nothing => Table::default(),
            Found::Damaged => {
                tracing::warn!("what was learned of the uplinks was damaged: it is learned again");
                Table::default()
            }
        };
        let keeper = Self::default();
        *keeper.memory() = Memory {
            table,
            store: Some(store),
        };
        Ok(keeper)
    }

    /// Whether side connections may be opened and answered.
    pub fn set_discovers(&self, discovers: bool) {
        self.inner.discovers.store(discovers, Ordering::Relaxed);
    }

    /// Whether side connections may be opened and answered.
    pub fn discovers(&self) -> bool {
        self.inner.discovers.load(Ordering::Relaxed)
    }

    /// A place for one more side connection of a peer; none when all are taken or discovery is off.
    pub fn answer_place(&self) -> Option<tokio::sync::OwnedSemaphorePermit> {
        let places = Arc::clone(&self.inner.answering);
        self.discovers()
            .then(|| places.try_acquire_owned().ok())
            .flatten()
    }

    /// The idle time that a place is known to bear.
    pub fn idle_timeout(&self, place: &Place) -> Option<Duration> {
        self.memory().table.idle_timeout(place)
    }

    /// A connection is up: from now on `status` shows it. Whether the peer was a box when it was last connected.
    pub fn begin(&self, peer: &str, link: &Arc<Link>) -> bool {
        let mut peers = self.peers();
        peers.retain(|name, known| {
            name == peer || known.is_box || known.lost.is_some() || known.link.strong_count() > 0
        });
        let known = peers.entry(peer.to_owned()).or_default();
        known.link = Arc::downgrade(link);
        let lost = known.lost.take();
        let is_box = known.is_box;
        drop(peers);
        if let (Some((at, idle)), Some(place)) = (lost, &link.place)
            && at.elapsed() < BACK_AT_ONCE
        {
            let idle_ms = u32::try_from(idle.as_millis()).unwrap_or(u32::MAX);
            if self.memory().table.doubt(place, idle_ms) {
                tracing::warn!(
                    peer,
                    "{peer}: the link was lost after {} s of silence and is back at once: uplink {} forgets idle \
                     connections sooner than was learned, and is measured again",
                    idle.as_secs(),
                    place.uplink
                );
                self.save();
            }
        }
        is_box
    }

    /// Notes whether the peer is a box.
    pub fn note_box(&self, peer: &str, is_box: bool) {
        self.peers().entry(peer.to_owned()).or_default().is_box = is_box;
    }

    /// A stretched link was lost, after so long an idle.
    pub fn lost_at_idle(&self, peer: &str, idle: Duration) {
        let lost = Some((Instant::now(), idle));
        self.peers().entry(peer.to_owned()).or_default().lost = lost;
    }

    /// Forgets a removed peer.
    pub fn forget(&self, peer: &str) {
        self.peers().remove(peer);
    }

    /// A peer's connection as it is now.
    pub fn shown(&self, peer: &str) -> Option<Shown> {
        let link = self.peers().get(peer)?.link.upgrade()?;
        let mut shown = link.change(|shown| shown.clone());
        shown.line = link.gauge.read();
        if let Some(place) = &link.place {
            shown.uplink = Some(place.uplink.clone());
            shown.idle_timeout = self.idle_timeout(place);
        }
        Some(shown)
    }

    /// Where bytes are dear, whatever crosses a link by itself may do so no more often than this; none = elsewhere.
    pub fn slowest(&self, peer: &str) -> Option<Duration> {
        let link = self.peers().get(peer)?.link.upgrade()?;
        link.change(|shown| shown.slowest)
    }

    fn learn(&self, place: &Place, bounds: Bounds, now_s: i64) {
        self.memory().table.learn(place, bounds, now_s);
        self.save();
    }

    /// Written beside the event loop: a card may take its time. A few writes a day.
    fn save(&self) {
        let keeper = self.clone();
        drop(tokio::task::spawn_blocking(move || {
            let mut memory = keeper.memory();
            let table = memory.table.clone();
            if let Some(store) = &mut memory.store
                && let Err(error) = store.save(&table)
            {
                tracing::warn!("what was learned of the uplinks is not kept: {error}");
            }
        }));
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.inner
            .memory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn peers(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.inner
            .peers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use tokio::net::{TcpListener, TcpStream};

    fn place() -> Place {
        Place::of("lte", "10.7.3.4".parse().unwrap()).unwrap()
    }

    const KNOWN: Bounds = Bounds {
        lived: 40_000,
        died: Some(42_000),
    };

    #[tokio::test]
    async fn what_was_learned_is_there_after_a_restart_and_damage_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let keeper = Keeper::open(directory.path()).unwrap();
        assert_eq!(keeper.idle_timeout(&place()), None);
        keeper.learn(&place(), KNOWN, 1_000);
        let file = directory.path().join("uplinks.a");
        let again = loop {
            let again = Keeper::open(directory.path()).unwrap();
            if file.exists() {
                break again;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let seconds = Duration::from_secs(40);
        let again = match again.idle_timeout(&place()) {
            // It appeared between the look and the question.
            None => Keeper::open(directory.path()).unwrap(),
            Some(_) => again,
        };
        assert_eq!(again.idle_timeout(&place()), Some(seconds));
        fs::write(&file, "junk").unwrap();
        let damaged = Keeper::open(directory.path()).unwrap();
        assert_eq!(damaged.idle_timeout(&place()), None);
    }

    #[tokio::test]
    async fn a_link_that_is_back_at_once_after_a_silence_casts_doubt_and_a_later_one_does_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let link = Link::new(Gauge::of(&stream).unwrap(), Some(place()));
        let keeper = Keeper::default();
        keeper.learn(&place(), KNOWN, 1_000);
        keeper.begin("bravo", &link);
        keeper.begin("bravo", &link);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(keeper.idle_timeout(&place()), seconds(40));
        keeper.lost_at_idle("bravo", Duration::from_secs(28));
        keeper.begin("bravo", &link);
        assert_eq!(keeper.idle_timeout(&place()), seconds(14));
        let shown = keeper.shown("bravo").unwrap();
        assert_eq!(shown.idle_timeout, seconds(14));
        assert!(shown.line.is_some());
        keeper.forget("bravo");
        assert_eq!(keeper.shown("bravo"), None);
    }
}
