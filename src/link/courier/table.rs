//! What is known of every package on its way, and what is to be done next. Pure.
//!
//! An *errand* is one announcement: a package, who is to have it, and how far that is. Bytes and announcement come in
//! either order. Nobody is told of a package before its bytes are here, and none is handed on before that; then the
//! smallest goes first. An errand ends when everybody has it, or for a reason that is counted; so nothing ends silently.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::packages::Hash;
use crate::route::groups::GroupSet;
use crate::route::trace::Mark;

/// Errands under way at once.
pub const MOST_ERRANDS: usize = 12;
/// All their requests together, bytes.
pub const MOST_BYTES: usize = 12 * 1024;
/// Announcements that are remembered against coming again.
pub const REMEMBERED: usize = 64;
/// Federates that a package is handed to at once.
const HANDS: usize = 2;
/// A peer that cannot be handed a package that it would take is tried so often.
const TRIES: u32 = 10;
/// A local user's bytes must come within this of their announcement, milliseconds: the upload goes first.
const UPLOAD_MS: i64 = 2 * 60_000;
/// A federate's bytes must come within this.
const ARRIVAL_MS: i64 = 6 * 3_600_000;
/// Whoever cannot be reached for so long does not get it any more.
const AGE_MS: i64 = 24 * 3_600_000;
/// First and longest pause after a try that failed, milliseconds.
const PAUSES: [u64; 2] = [2_000, 60_000];
/// Where another end says how far it is, it is asked again after this.
const ASK_AGAIN_MS: u64 = 15_000;

/// One announcement.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Errand {
    /// Which announcement: the same on every way it can come.
    pub key: u64,
    /// SHA-256 of the package.
    pub hash: [u8; 32],
    /// Bytes, as announced; 0 = not said.
    pub size: u64,
    /// The file's name.
    pub filename: String,
    /// The peer that announced it; none: a local user.
    pub from: Option<String>,
    /// The bytes are to be fetched from that peer, which is a box.
    pub fetch: bool,
    /// What the box says of them beside: kind of file, device, who sent it, words.
    pub about: [String; 4],
    /// The request as a `FederatedEvent`.
    pub message: Vec<u8>,
    /// Its groups here.
    pub groups: GroupSet,
    /// Local users know of it, and the router named the federates that may.
    pub told: bool,
    /// The federates that are to have it.
    pub targets: Vec<Target>,
    /// When it began, wall clock, milliseconds.
    pub born_ms: i64,
    /// Bytes fetched so far.
    #[serde(skip)]
    pub done: u64,
    #[serde(skip)]
    busy: bool,
    #[serde(skip)]
    next_ms: u64,
    #[serde(skip)]
    tries: u32,
}

/// A federate that is to have a package.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target {
    /// Its name in the configuration.
    pub peer: String,
    /// The request as it goes there, where that differs from the errand's.
    pub message: Option<Vec<u8>>,
    /// Bytes handed over so far.
    #[serde(skip)]
    pub done: u64,
    /// Where what becomes of it is noted.
    #[serde(skip)]
    pub mark: Mark,
    #[serde(skip)]
    busy: bool,
    #[serde(skip)]
    next_ms: u64,
    #[serde(skip)]
    tries: u32,
}

impl Target {
    /// Nothing went there yet.
    pub fn new(peer: String, message: Option<Vec<u8>>, mark: Mark) -> Self {
        Self {
            peer,
            message,
            done: 0,
            mark,
            busy: false,
            next_ms: 0,
            tries: 0,
        }
    }
}

impl Errand {
    /// One that begins.
    pub fn new(key: u64, hash: &Hash, message: Vec<u8>, groups: GroupSet, born_ms: i64) -> Self {
        Self {
            key,
            hash: *hash.bytes(),
            size: 0,
            filename: String::new(),
            from: None,
            fetch: false,
            about: Default::default(),
            message,
            groups,
            told: false,
            targets: Vec::new(),
            born_ms,
            done: 0,
            busy: false,
            next_ms: 0,
            tries: 0,
        }
    }

    /// Its package.
    pub const fn hash(&self) -> Hash {
        Hash::new(self.hash)
    }

    fn bytes(&self) -> usize {
        let others = self
            .targets
            .iter()
            .filter_map(|target| target.message.as_ref());
        self.message.len() + others.map(Vec::len).sum::<usize>()
    }
}

/// How a peer can be handed a package now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// It is a box: offered, and fetched by it.
    Box,
    /// By resource messages of federation v2.
    Resource,
    /// By upload to its HTTPS service: federation v1.
    Upload,
    /// Its link is down, or it is not known yet what it is.
    Away,
    /// It takes no packages.
    None,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The bytes are here: look at them, and tell those here.
    Tell(u64),
    /// Fetch the bytes from the box that announced them.
    Fetch(u64),
    /// Hand the package to a federate.
    Hand(u64, String, Path),
    /// A federate is not to have it any more, because it takes none or was away for too long.
    GiveUp(u64, String, Path),
    /// Its bytes did not come.
    Missing(u64),
}

/// What is kept over a restart.
pub type Saved = (Vec<Errand>, Vec<u64>);

/// All errands.
#[derive(Debug, Default)]
pub struct Table {
    errands: Vec<Errand>,
    /// What was told here, and when, monotonic milliseconds.
    told: VecDeque<(u64, u64)>,
}

/// What became of an errand that was to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It is new.
    New,
    /// The same is under way; it has these targets too now.
    Joined,
    /// There is no room.
    Full,
}

impl Table {
    /// As it was saved: errands, and what was told here.
    pub fn of((errands, told): Saved, now_ms: u64) -> Self {
        Self {
            errands,
            told: told.into_iter().map(|key| (key, now_ms)).collect(),
        }
    }

    /// What is to be saved.
    pub fn saved(&self) -> Saved {
        let told = self.told.iter().map(|&(key, _)| key);
        (self.errands.clone(), told.collect())
    }

    /// Every errand.
    pub fn all(&self) -> &[Errand] {
        &self.errands
    }

    /// One errand.
    pub fn find(&mut self, key: u64) -> Option<&mut Errand> {
        self.errands.iter_mut().find(|errand| errand.key == key)
    }

    /// A target of an errand.
    pub fn target(&mut self, key: u64, peer: &str) -> Option<&mut Target> {
        let errand = self.find(key)?;
        errand.targets.iter_mut().find(|target| target.peer == peer)
    }

    /// A peer may fetch a package: it was offered one.
    pub fn offered(&mut self, hash: &Hash, peer: &str) -> Option<&mut Target> {
        let of_hash = self
            .errands
            .iter_mut()
            .filter(|errand| errand.hash() == *hash && errand.told);
        of_hash
            .flat_map(|errand| &mut errand.targets)
            .find(|target| target.peer == peer)
    }

    /// Begins an errand, or adds its targets to the one that it is.
    pub fn begin(&mut self, errand: Errand) -> Begun {
        let bytes: usize = self.errands.iter().map(Errand::bytes).sum();
        let fits = bytes + errand.bytes() <= MOST_BYTES;
        if let Some(known) = self
            .errands
            .iter_mut()
            .find(|known| known.key == errand.key)
        {
            known.told |= errand.told;
            for target in errand.targets {
                if fits && known.targets.iter().all(|one| one.peer != target.peer) {
                    known.targets.push(target);
                }
            }
            return Begun::Joined;
        }
        if !fits || self.errands.len() >= MOST_ERRANDS {
            return Begun::Full;
        }
        self.errands.push(errand);
        Begun::New
    }

    /// Remembers that those here were told.
    pub fn remember(&mut self, key: u64, now_ms: u64) {
        if self.told.len() >= REMEMBERED {
            self.told.pop_front();
        }
        self.told.push_back((key, now_ms));
    }

    /// Those here were told of it, within the last so many milliseconds.
    pub fn was_told(&self, key: u64, within_ms: u64, now_ms: u64) -> bool {
        let fresh = |at: u64| now_ms.saturating_sub(at) <= within_ms;
        self.told
            .iter()
            .any(|&(known, at)| known == key && fresh(at))
    }

    /// The next step, which is then under way until it [ends](Self::settle) or is [put off](Self::put_off). `is_here`
    /// tells whether the bytes are in the store, `path` how a peer can be handed a package.
    pub fn step(
        &mut self,
        (now_ms, wall_ms): (u64, i64),
        is_here: impl Fn(&Hash) -> bool,
        path: impl Fn(&str) -> Path,
    ) -> Option<Step> {
        let fetching = self
            .errands
            .iter()
            .any(|errand| errand.fetch && errand.busy);
        let targets = self.errands.iter().flat_map(|errand| &errand.targets);
        let hands = targets.filter(|target| target.busy).count();
        self.errands.sort_by_key(|errand| errand.size);
        for errand in &mut self.errands {
            if errand.busy {
                continue;
            }
            let age_ms = wall_ms.saturating_sub(errand.born_ms);
            if !is_here(&errand.hash()) {
                let patience = match (&errand.from, errand.fetch) {
                    (None, _) => UPLOAD_MS,
                    (Some(_), false) => ARRIVAL_MS,
                    (Some(_), true) => AGE_MS,
                };
                if age_ms > patience || errand.tries > TRIES {
                    return Some(Step::Missing(errand.key));
                }
                let from = errand.from.as_deref();
                let near = from.is_some_and(|from| path(from) == Path::Box);
                if errand.fetch && !fetching && now_ms >= errand.next_ms && near {
                    errand.busy = true;
                    return Some(Step::Fetch(errand.key));
                }
                continue;
            }
            if !errand.told {
                if now_ms >= errand.next_ms {
                    errand.busy = true;
                    return Some(Step::Tell(errand.key));
                }
                continue;
            }
            for target in errand.targets.iter_mut().filter(|target| !target.busy) {
                let way = path(&target.peer);
                if way == Path::None || age_ms > AGE_MS || target.tries > TRIES {
                    target.busy = true;
                    return Some(Step::GiveUp(errand.key, target.peer.clone(), way));
                }
                if way != Path::Away && now_ms >= target.next_ms && hands < HANDS {
                    target.busy = true;
                    return Some(Step::Hand(errand.key, target.peer.clone(), way));
                }
            }
        }
        None
    }

    /// A step of an errand is over, and it goes on at once; or, where it `failed`, after a pause that grows.
    pub fn put_off(&mut self, key: u64, failed: bool, now_ms: u64) {
        if let Some(errand) = self.find(key) {
            errand.busy = false;
            if failed {
                errand.tries += 1;
                errand.next_ms = now_ms + pause(errand.tries);
            }
        }
    }

    /// What was done for a federate is over, and when it is looked at again is set.
    pub fn release(&mut self, key: u64, peer: &str) {
        if let Some(target) = self.target(key, peer) {
            target.busy = false;
        }
    }

    /// The same for one federate.
    pub fn put_off_target(&mut self, key: u64, peer: &str, failed: bool, now_ms: u64) {
        if let Some(target) = self.target(key, peer) {
            target.busy = false;
            target.next_ms = now_ms + ASK_AGAIN_MS;
            if failed {
                target.tries += 1;
                target.next_ms = now_ms + pause(target.tries);
            }
        }
    }

    /// A federate is near its end with a package: it is asked soon.
    pub fn ask_soon(&mut self, hash: &Hash, peer: &str, at_ms: u64) {
        if let Some(target) = self.offered(hash, peer) {
            target.next_ms = at_ms;
        }
    }

    /// All that is on its way to a federate is to be tried again.
    pub fn ask_all_soon(&mut self, peer: &str, at_ms: u64) {
        let targets = self
            .errands
            .iter_mut()
            .flat_map(|errand| &mut errand.targets);
        for target in targets.filter(|target| target.peer == peer) {
            target.next_ms = target.next_ms.min(at_ms);
        }
    }

    /// The errand by which a federate gets a package.
    pub fn key_of(&self, hash: &Hash, peer: &str) -> Option<u64> {
        let gets = |errand: &&Errand| {
            errand.hash() == *hash && errand.targets.iter().any(|target| target.peer == peer)
        };
        self.errands.iter().find(gets).map(|errand| errand.key)
    }

    /// Nothing more is to be done for a federate. Gives its target.
    pub fn settle(&mut self, key: u64, peer: &str) -> Option<Target> {
        let errand = self.find(key)?;
        let place = errand
            .targets
            .iter()
            .position(|target| target.peer == peer)?;
        let target = errand.targets.swap_remove(place);
        self.sweep();
        Some(target)
    }

    /// Those here were told.
    pub fn told(&mut self, key: u64, now_ms: u64) {
        self.remember(key, now_ms);
        if let Some(errand) = self.find(key) {
            (errand.told, errand.busy) = (true, false);
        }
        self.sweep();
    }

    /// Takes an errand away.
    pub fn remove(&mut self, key: u64) -> Option<Errand> {
        let place = self.errands.iter().position(|errand| errand.key == key)?;
        Some(self.errands.remove(place))
    }

    fn sweep(&mut self) {
        self.errands
            .retain(|errand| !errand.told || !errand.targets.is_empty() || errand.busy);
    }
}

fn pause(tries: u32) -> u64 {
    let [first, most] = PAUSES;
    (first << tries.min(6).saturating_sub(1)).min(most)
}

#[cfg(test)]
mod tests;
