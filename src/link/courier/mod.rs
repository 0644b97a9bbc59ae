//! Who carries data packages: the bytes first, then the word of them.
//!
//! | file | holds |
//! |---|---|
//! | [`table`] | what is under way, and what is to be done next; pure |
//! | [`rules`] [`listing`] | what may cross, by size and by names; the names in an archive; pure |
//! | [`boxes`] [`fetch`] | another box is offered a package, and fetches it piece by piece |
//! | [`resources`] | federation v2: bytes and announcement as resource messages |
//! | [`upload`] | federation v1: by HTTPS to the peer's own server |
//! | [`told`] | what is shown to people |
//!
//! The router decides who may have a package, as with every event (`route/router/package.rs`), and hands the request to
//! this. A federate's request goes back to the router when its bytes are in our store, with our own address in it; so
//! local clients get it, and other federates by the same way again. What is under way is kept over a restart.

pub mod boxes;
mod ending;
pub mod fetch;
mod hand;
pub mod listing;
mod resources;
pub mod rules;
pub mod table;
pub mod told;
pub mod upload;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::path::Path as FilePath;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use crate::cot::fileshare::{self, Fileshare};
use crate::counters::Reason;
use crate::link::clerk::Clerk;
use crate::link::fed2::companion::Feature;
use crate::link::federate::Node;
use crate::packages::{Hash, Origin, Reading, Store};
use crate::route::{Package, Verdict};
use crate::state::{Found, StateError, TwoGenerations};
use crate::wire::fig;

use rules::Rules;
use table::{Begun, Errand, Path, Saved, Step, Table, Target};
use told::{Ended, RECENT};
use upload::Uploads;

/// While something waits, it is looked at this often.
const LOOK: Duration = Duration::from_secs(1);
/// Refusals that are remembered, so that who asks again hears the same.
const REFUSALS: usize = 16;

/// The courier. Clones share it.
#[derive(Clone)]
pub struct Courier(Arc<Inner>);

struct Inner {
    node: Arc<Node>,
    store: Store,
    clerk: Clerk,
    /// `https://host:port` of our own service for clients.
    base: String,
    uploads: Uploads,
    rules: Mutex<BTreeMap<String, Rules>>,
    table: Mutex<Table>,
    refused: Mutex<VecDeque<(u64, Reason, String)>>,
    recent: Mutex<VecDeque<Ended>>,
    /// The federates that take resources.
    carriers: Mutex<Vec<resources::Attached>>,
    /// The package that a box fetches just now.
    reading: Mutex<Option<Arc<Reading>>>,
    saved: Arc<Mutex<TwoGenerations<Saved>>>,
    changed: AtomicBool,
    wake: Arc<Notify>,
}

impl Courier {
    /// Takes up what was under way. `base` is `https://host:port` of our own service for clients.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn open(
        state: &FilePath,
        node: Arc<Node>,
        (store, clerk): (Store, Clerk),
        base: String,
        uploads: Uploads,
    ) -> Result<Self, StateError> {
        let (saved, found) = TwoGenerations::open(state, "courier")?;
        let table = match found {
            Found::Value(saved) => Table::of(saved, node.hub.now().mono_ms),
            Found::Nothing => Table::default(),
            Found::Damaged => {
                tracing::warn!("what was known of data packages on their way is damaged, and lost");
                Table::default()
            }
        };
        let wake = Arc::new(Notify::new());
        let hear = Arc::clone(&wake);
        store.on_arrival(Box::new(move |_| hear.notify_one()));
        let courier = Self(Arc::new(Inner {
            node,
            store,
            clerk,
            base,
            uploads,
            rules: Mutex::default(),
            table: Mutex::new(table),
            refused: Mutex::default(),
            recent: Mutex::default(),
            carriers: Mutex::default(),
            reading: Mutex::default(),
            saved: Arc::new(Mutex::new(saved)),
            changed: AtomicBool::new(false),
            wake,
        }));
        courier.0.node.hub.with(|router, _| router.carry_packages());
        boxes::register(&courier);
        Ok(courier)
    }

    /// Sets what may cross, by peer.
    pub fn set_rules(&self, rules: BTreeMap<String, Rules>) {
        *lock(&self.0.rules) = rules;
        self.0.wake.notify_one();
    }

    /// Where peers of federation v1 are uploaded to.
    pub fn uploads(&self) -> &Uploads {
        &self.0.uploads
    }

    /// Carries packages, for as long as the box runs.
    pub async fn run(self) {
        loop {
            let idle = self.table().all().is_empty();
            let hub = &self.0.node.hub;
            tokio::select! {
                package = poll_fn(|context| hub.with(|router, _| router.poll_package(context))) => self.take(&package),
                () = self.0.wake.notified() => {}
                () = sleep(LOOK), if !idle => {}
            }
            while let Some(step) = self.next() {
                self.begin(step);
            }
            self.save().await;
        }
    }

    fn next(&self) -> Option<Step> {
        let now = self.0.node.hub.now();
        let here = |hash: &Hash| self.0.store.size(hash).is_some();
        self.table()
            .step((now.mono_ms, now.wall_ms), here, |peer| self.path(peer))
    }

    fn begin(&self, step: Step) {
        let this = self.clone();
        match step {
            Step::Tell(key) => drop(tokio::spawn(async move { this.tell(key).await })),
            Step::Fetch(key) => drop(tokio::spawn(async move { this.fetch(key).await })),
            Step::Hand(key, peer, path) => {
                drop(tokio::spawn(
                    async move { this.hand(key, &peer, path).await },
                ));
            }
            Step::GiveUp(key, peer, path) => {
                let (reason, words) = match path {
                    Path::None => (Reason::PackageRefused, "this box keeps no packages"),
                    Path::Away => (Reason::LinkDown, "not connected for too long"),
                    _ => (Reason::PackageRefused, "tried too often"),
                };
                self.ended(key, &peer, Err((reason, words.to_owned())));
            }
            Step::Missing(key) => self.missing(key),
        }
    }

    /// How a peer can be handed a package now.
    fn path(&self, peer: &str) -> Path {
        let node = &self.0.node;
        match node.companions.of(peer) {
            Some(companion) if companion.has(Feature::Package) => Path::Box,
            Some(_) => Path::None,
            None if self.takes_resources(peer) => Path::Resource,
            None if !self.0.uploads.knows(peer) => Path::Away,
            None if node.registry.is_live(peer) => Path::Upload,
            None => Path::Away,
        }
    }

    /// The router has a request for us.
    fn take(&self, package: &Package) {
        let now = self.0.node.hub.now();
        let read = Read::of(&package.message);
        let mut errand = match &read {
            Ok(read) => read.errand(package.message.to_vec(), now.wall_ms),
            Err(words) => {
                for onward in &package.to {
                    let end = (Reason::Incomplete, (*words).to_owned());
                    let target = Target::new(onward.peer.clone(), None, package.mark);
                    self.note_end(&target, ("", ""), Err(end));
                }
                if let (Some(peer), true) = (&package.from, package.to.is_empty()) {
                    self.refuse_message(peer, &package.message, Reason::Incomplete, words);
                }
                return;
            }
        };
        errand.groups = package.groups;
        errand.from.clone_from(&package.from);
        errand.told = package.from.is_none() || !package.to.is_empty();
        for onward in &package.to {
            let own = (onward.message != package.message).then(|| onward.message.to_vec());
            errand
                .targets
                .push(Target::new(onward.peer.clone(), own, package.mark));
        }
        let begun = self.table().begin(errand.clone());
        if begun == Begun::Full {
            let words = "too many packages are under way";
            for target in &errand.targets {
                let end = (Reason::PackageQueue, words.to_owned());
                self.note_end(target, (&errand.filename, &hash_words(&errand)), Err(end));
            }
            if let (Some(peer), true) = (&errand.from, errand.targets.is_empty()) {
                self.refuse_message(peer, &errand.message, Reason::PackageQueue, words);
            }
        }
        self.change();
    }

    /// The bytes are here: looks at them, and tells those here.
    async fn tell(&self, key: u64) {
        let Some(errand) = self.table().find(key).cloned() else {
            return;
        };
        let Some(peer) = errand.from.clone() else {
            return self.table().told(key, self.0.node.hub.now().mono_ms);
        };
        match self.look(&errand, &peer).await {
            Ok(()) => {}
            Err(None) => {
                let now = self.0.node.hub.now().mono_ms;
                return self.table().put_off(key, true, now);
            }
            Err(Some((reason, words))) => {
                self.throw_away(&errand.hash(), &peer).await;
                return self.refuse(key, reason, &words);
            }
        }
        let mut message = errand.message.clone();
        let url = self.url(&errand.hash());
        let now = self.0.node.hub.now();
        let parsed = fig::parse(&errand.message, b"").ok();
        let other = parsed.and_then(|read| read.event).map(|event| event.other);
        if let Some(edit) = other.and_then(|other| fileshare::moved(other, &url, Some(now.wall_ms)))
        {
            message.extend_from_slice(&edit);
        }
        let verdict =
            (self.0.node.hub).with(|router, now| router.receive_package(&peer, &message, now));
        let mono = now.mono_ms;
        match verdict {
            Verdict::Dropped(reason) if reason != Reason::Duplicate => {
                let words = format!("the announcement was not passed on: {reason}");
                self.table().remember(key, mono);
                self.note_arrival(&errand, Err((reason, words)));
                self.table().remove(key);
            }
            _ => {
                self.note_arrival(&errand, Ok(()));
                self.table().told(key, mono);
            }
        }
        self.change();
    }

    /// Judges a package by its size and the names in it, with the rules of that peer. None: it cannot be read now.
    async fn look(&self, errand: &Errand, peer: &str) -> Result<(), Option<(Reason, String)>> {
        let rules = lock(&self.0.rules).get(peer).cloned().unwrap_or_default();
        let (store, hash, filename) =
            (self.0.store.clone(), errand.hash(), errand.filename.clone());
        let judged = self.0.clerk.run(move || {
            let reading = store.read(&hash).ok()?;
            let size = reading.size();
            if let Err(stop) = rules.judge(&filename, size) {
                return Some(Err(stop));
            }
            let contents = rules.judge_contents(size, |at, into| reading.read_at(at, into));
            contents.ok()
        });
        match judged.await.ok().flatten() {
            None => Err(None),
            Some(Ok(())) => Ok(()),
            Some(Err(stop)) => Err(Some((stop.reason(), stop.to_string()))),
        }
    }

    /// What a peer sent and may not send does not stay, unless somebody else has brought it.
    async fn throw_away(&self, hash: &Hash, peer: &str) {
        let (store, hash, peer) = (self.0.store.clone(), *hash, peer.to_owned());
        let gone = self.0.clerk.run(move || match store.peek(&hash) {
            Some(details) if details.from == Origin::Peer(peer) => store.remove(&hash).is_ok(),
            _ => false,
        });
        let _ = gone.await;
    }

    /// Where local clients find a package.
    pub fn url(&self, hash: &Hash) -> String {
        format!("{}/Marti/sync/content?hash={hash}", self.0.base)
    }

    /// Writes down what is under way, if that changed.
    async fn save(&self) {
        if !self.0.changed.swap(false, Ordering::Relaxed) {
            return;
        }
        let state = self.table().saved();
        let saved = Arc::clone(&self.0.saved);
        let done = self.0.clerk.run(move || lock(&saved).save(&state)).await;
        if let Ok(Err(error)) = done {
            tracing::warn!(%error, "data packages on their way are not remembered over a restart");
        }
    }

    fn change(&self) {
        self.0.changed.store(true, Ordering::Relaxed);
        self.0.wake.notify_one();
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.0.table)
    }
}

/// What a request says.
struct Read {
    key: u64,
    hash: Hash,
    share: Fileshare,
}

impl Read {
    fn of(message: &[u8]) -> Result<Self, &'static str> {
        let read = fig::parse(message, b"").ok().and_then(|read| read.event);
        let event = read.ok_or("the request cannot be read")?;
        let share = Fileshare::read(event.other).ok_or("the request has no <fileshare>")?;
        let hash = share
            .sha256
            .parse()
            .map_err(|_| "the request has no SHA-256")?;
        if share.filename.is_empty() {
            return Err("the request names no file");
        }
        Ok(Self {
            key: key_of(event.bytes),
            hash,
            share,
        })
    }

    fn errand(&self, message: Vec<u8>, wall_ms: i64) -> Errand {
        let groups = crate::cot::groups::GroupSet::ALL;
        let mut errand = Errand::new(self.key, &self.hash, message, groups, wall_ms);
        errand.size = self.share.size;
        errand.filename.clone_from(&self.share.filename);
        errand
    }
}

/// The same announcement is the same number on every way.
fn key_of(event: &[u8]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *Hash::of(event).bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

fn hash_words(errand: &Errand) -> String {
    errand.hash().to_string()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Courier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier").finish_non_exhaustive()
    }
}
