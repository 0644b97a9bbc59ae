//! What is addressed to a federate that is away goes into its spool, and out of it when it comes back.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::task::{Context, Poll, Waker};

use foldhash::quality::FixedState;

use super::forms::Source;
use super::replay::Replay;
use super::{Federate, Kind, Link, Router};
use crate::clock::Now;
use crate::cot::{Class, class};
use crate::counters::Reason;
use crate::route::contacts::Contacts;
use crate::route::latest::Latest;
use crate::route::outbox::Pool;
use crate::route::spool::{Alarms, Bounds, Done, Found, Job, Prepared, Skip, Which, record};
use crate::wire::fig::{self, Operation};

/// A write that failed is tried again after so long, milliseconds.
const RETRY_MS: u64 = 10_000;
/// How far everything has arrived is noted on the disk every so many ticks.
const NOTE_EVERY: u32 = 5;
/// More than this in memory does not wait for the tick, bytes.
const HURRY: usize = 64 * 1024;

/// What all peers' spools share.
#[derive(Debug)]
pub(super) struct Spooling {
    pub(super) bounds: Bounds,
    /// Bytes that one peer's spool may have in memory while the disk takes nothing.
    memory: usize,
    jobs: VecDeque<Job>,
    waker: Option<Waker>,
    /// Something is not to wait for the tick.
    hurry: bool,
    ticks: u32,
    retry_ms: u64,
    fault: Option<String>,
    alarms: Alarms,
}

/// What waits for one peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpoolState {
    /// It is used.
    pub enabled: bool,
    /// Events that wait, those handed over and not yet known to have arrived included.
    pub events: u64,
    /// Bytes that they take, on the disk and in memory.
    pub bytes: u64,
    /// Of these, in memory.
    pub memory_bytes: u64,
    /// How long the oldest has waited, milliseconds.
    pub oldest_ms: u64,
}

impl Spooling {
    pub(super) fn new(bounds: Bounds, memory: usize) -> Self {
        Self {
            bounds,
            memory,
            jobs: VecDeque::new(),
            waker: None,
            hurry: false,
            ticks: 0,
            retry_ms: 0,
            fault: None,
            alarms: Alarms::default(),
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Puts an event, as `FederatedEvent`, into a federate's spool. `false`: there was no room for it.
    pub(super) fn take(
        &mut self,
        federate: &mut Federate,
        (which, bytes): (Which, &[u8]),
        pool: &mut Pool,
        now: Now,
    ) -> bool {
        federate.counters.spooled += 1;
        let cost = bytes.len() + record::OVERHEAD;
        let before = federate.spool.memory_bytes();
        let mut held = before;
        let others = pool.used - before;
        let limit = self.memory.min(pool.limit.saturating_sub(others));
        while held + cost > limit {
            // Only what has no older part on the disk may lose its oldest here: what is left must stay in one piece.
            let victim = [Which::Chat, which]
                .into_iter()
                .find(|&lane| {
                    let lane = federate.spool.lane(lane);
                    lane.is_in_memory_only() && lane.waiting() > 0
                })
                .and_then(|lane| federate.spool.lane(lane).evict(cost, &mut self.jobs));
            let Some(gone) = victim else {
                federate.counters.drop_one(Reason::SpoolFull);
                pool.used = others + held;
                return false;
            };
            federate.counters.drop_many(Reason::SpoolFull, gone);
            held = federate.spool.memory_bytes();
        }
        federate.spool.lane(which).push(bytes, now);
        held = federate.spool.memory_bytes();
        pool.used = others + held;
        if held > HURRY {
            self.hurry = true;
            self.wake();
        }
        true
    }

    /// An event for a federate that is away. `false`: it was not taken.
    pub(super) fn offer(
        &mut self,
        (place, federate): (usize, &mut Federate),
        (class, source): (Class, &Source<'_>),
        bytes: &[u8],
        (pool, hasher): (&mut Pool, &FixedState),
        now: Now,
    ) -> bool {
        let (uid, kind) = source.uid_and_kind();
        if class::is_emergency(kind) {
            let key = hasher.hash_one(uid);
            let is_alarm = kind.starts_with(b"b-a");
            let kind = hasher.hash_one(kind);
            if is_alarm && (self.alarms).is_repeat(place as u16, key, kind, now.mono_ms) {
                federate.counters.drop_one(Reason::Conflated);
                return true;
            }
            self.hurry = true;
        }
        let taken = self.take(federate, (lane_of(class), bytes), pool, now);
        if self.hurry {
            self.wake();
        }
        taken
    }
}

pub(super) fn lane_of(class: Class) -> Which {
    match class {
        Class::Emergency | Class::Control => Which::Control,
        Class::Chat | Class::Track | Class::Bulk => Which::Chat,
    }
}

impl Router {
    /// Sets which peers have a spool: all that are configured and not told otherwise, enabled or not. What waits for
    /// others is forgotten, on the disk too.
    pub fn set_spools(&mut self, peers: &[&str]) {
        for link in &mut self.links {
            let Kind::Federate(federate) = &mut link.kind else {
                continue;
            };
            federate.spool.enabled = peers.contains(&federate.name.as_str());
            if federate.spool.enabled {
                continue;
            }
            let held = federate.spool.memory_bytes();
            let waited = federate.spool.clear();
            self.pool.used = self.pool.used - held + federate.spool.memory_bytes();
            federate.counters.drop_many(Reason::LinkDown, waited);
            self.spooling.jobs.push_back(Job::Forget {
                peer: federate.name.as_str().into(),
            });
        }
        self.spooling.wake();
    }

    /// What was found on the disk at the start for a peer's lane; before its link comes up.
    pub fn spool_found(&mut self, peer: &str, which: Which, found: &Found, now: Now) {
        let place = self.federate_place(peer);
        if let Kind::Federate(federate) = &mut self.links[place].kind {
            federate.counters.spooled += federate.spool.found(which, found, now);
            federate.spool.enabled = true;
        }
        self.trim();
    }

    /// Once a second: what waits is written, what is too old is given up.
    pub fn spool_tick(&mut self, now: Now) {
        let spooling = &mut self.spooling;
        spooling.ticks = spooling.ticks.wrapping_add(1);
        spooling.hurry = true;
        for federate in federates(&mut self.links) {
            let held = federate.spool.memory_bytes();
            let gone = federate
                .spool
                .expire(&spooling.bounds.shape, now, &mut spooling.jobs);
            federate.counters.drop_many(Reason::SpoolExpired, gone);
            self.pool.used = self.pool.used - held + federate.spool.memory_bytes();
        }
        for place in 0..self.links.len() {
            self.spool_resumes(place);
        }
    }

    /// A link that is up and told nothing more, while something waits for it: the direction was switched on again.
    fn spool_resumes(&mut self, place: usize) {
        let changes = self.changes;
        let link = &mut self.links[place];
        if let Kind::Federate(federate) = &link.kind
            && link.up
            && federate.outgoing
            && link.replay.is_done()
            && federate.spool.is_behind(Which::Chat)
        {
            link.replay = Replay::with_contacts(changes);
            link.outbox.hold(true);
            link.outbox.wake();
        }
    }

    /// What the disk is to do, in this order; pending while there is nothing (the waker is kept).
    pub fn poll_spool(&mut self, context: &Context<'_>, now: Now) -> Poll<Vec<Job>> {
        let spooling = &mut self.spooling;
        if std::mem::take(&mut spooling.hurry) && now.mono_ms >= spooling.retry_ms {
            let note = spooling.ticks.is_multiple_of(NOTE_EVERY);
            for federate in federates(&mut self.links) {
                let held = federate.spool.memory_bytes();
                let shape = &spooling.bounds.shape;
                (federate.spool).write(shape, note, now, &mut spooling.jobs);
                self.pool.used = self.pool.used - held + federate.spool.memory_bytes();
            }
        }
        if spooling.jobs.is_empty() {
            spooling.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(std::mem::take(&mut spooling.jobs).into())
    }

    /// What came of a job.
    pub fn spool_done(&mut self, done: Done, now: Now) {
        let file = match &done {
            Done::Appended { file } | Done::NotAppended { file, .. } | Done::Read { file, .. } => {
                file.clone()
            }
        };
        let spooling = &mut self.spooling;
        let named = |link: &&mut Link| matches!(&link.kind, Kind::Federate(federate) if *federate.name == *file.peer);
        let Some(link) = self.links.iter_mut().find(named) else {
            return;
        };
        let Kind::Federate(federate) = &mut link.kind else {
            return;
        };
        let held = federate.spool.memory_bytes();
        match done {
            Done::Appended { .. } => {
                federate.spool.written(&file, true);
                spooling.fault = None;
            }
            Done::NotAppended { why, .. } => {
                federate.spool.written(&file, false);
                spooling.fault = Some(why);
                spooling.retry_ms = now.mono_ms + RETRY_MS;
            }
            Done::Read { piece, .. } => {
                federate.spool.have_read(&file, piece);
                link.outbox.wake();
            }
        }
        self.pool.used = self.pool.used - held + federate.spool.memory_bytes();
    }

    /// What waits for a peer.
    pub fn spool_state(&self, peer: &str, now: Now) -> SpoolState {
        let spool = self.links.iter().find_map(|link| match &link.kind {
            Kind::Federate(federate) if federate.name == peer => Some(&federate.spool),
            _ => None,
        });
        let Some(spool) = spool else {
            return SpoolState::default();
        };
        let age = |born: i64| i64::try_from(now.mono_ms).unwrap_or(i64::MAX) - born;
        SpoolState {
            enabled: spool.enabled,
            events: spool.waiting(),
            bytes: spool.bytes(),
            memory_bytes: spool.memory_bytes() as u64,
            oldest_ms: spool
                .oldest_ms()
                .map_or(0, |born| u64::try_from(age(born)).unwrap_or(0)),
        }
    }

    /// Why the disk does not take what is spooled; none: it does, as far as was tried.
    pub fn spool_fault(&self) -> Option<&str> {
        self.spooling.fault.as_deref()
    }

    /// The link of a federate ended: what its connection has not proved to have, and what waits, goes into its spool.
    pub(super) fn spool_rest(&mut self, place: usize, now: Now) {
        let Link { kind, outbox, .. } = &mut self.links[place];
        let Kind::Federate(federate) = kind else {
            return;
        };
        let held = federate.spool.memory_bytes();
        federate.spool.rewind();
        self.pool.used = self.pool.used - held + federate.spool.memory_bytes();
        if !(federate.spool.enabled && federate.registered && federate.outgoing) {
            return;
        }
        for waiting in outbox.salvage(&mut self.pool, &mut federate.counters) {
            let lane = lane_of(waiting.class);
            let pool = &mut self.pool;
            (self.spooling).take(federate, (lane, &waiting.bytes), pool, now);
        }
        self.spooling.hurry = true;
        self.spooling.wake();
        self.trim();
    }

    /// The link is up: nothing goes past what is in the spool.
    pub(super) fn spool_begins(&mut self, place: usize) {
        let Link { kind, outbox, .. } = &mut self.links[place];
        if let Kind::Federate(federate) = kind {
            let held = federate.spool.memory_bytes();
            federate.spool.rewind();
            self.pool.used = self.pool.used - held + federate.spool.memory_bytes();
            outbox.hold(federate.outgoing && federate.spool.is_behind(Which::Chat));
            self.spooling.alarms.forget(place as u16);
        }
    }

    /// Sends the next event of the spool. `true`: go on; `false`: the batch is full, or the disk is awaited.
    pub(super) fn replay_spooled(&mut self, place: usize, now: Now) -> bool {
        let Link {
            kind, outbox, thin, ..
        } = &mut self.links[place];
        let Kind::Federate(federate) = kind else {
            self.links[place].replay.spool_is_through();
            return true;
        };
        let holds = !*thin;
        let held = federate.spool.memory_bytes();
        let (shape, jobs) = (&self.spooling.bounds.shape, &mut self.spooling.jobs);
        let prepared = federate.spool.prepare(shape, jobs, now);
        self.pool.used = self.pool.used - held + federate.spool.memory_bytes();
        let which = match prepared {
            Prepared::Drained => {
                outbox.hold(false);
                self.links[place].replay.spool_is_through();
                return true;
            }
            Prepared::Awaited { patient } => {
                outbox.hold(holds && patient);
                self.spooling.wake();
                return false;
            }
            Prepared::Ready(which) => which,
        };
        outbox.hold(holds);
        let Some(bytes) = federate.spool.lanes()[which as usize].current() else {
            return false;
        };
        if !outbox.fits(bytes.len()) {
            return false;
        }
        let known = Known {
            contacts: &self.contacts,
            latest: &self.latest,
            hasher: &self.hasher,
        };
        let skip = known.judge(bytes, self.envelope.id(), now);
        if skip.is_none() {
            outbox.put_spooled(bytes, &mut federate.counters);
            federate.counters.replayed += 1;
        }
        if (federate.spool).passed(which, outbox.handed(), skip) {
            outbox.let_one_pass(&mut self.pool, &mut federate.counters, now.mono_ms);
        }
        true
    }

    /// So many messages of the link's connection have arrived.
    pub(super) fn settle_spool(&mut self, place: usize, count: u64) {
        let Some(Kind::Federate(federate)) = self.links.get_mut(place).map(|link| &mut link.kind)
        else {
            return;
        };
        let held = federate.spool.memory_bytes();
        let left = federate.spool.settle(count, &mut self.spooling.jobs);
        for (reason, count) in REASONS.into_iter().zip(left.skipped) {
            federate.counters.drop_many(reason, count);
        }
        federate.counters.delivered += left.arrived;
        self.pool.used = self.pool.used - held + federate.spool.memory_bytes();
        if !self.spooling.jobs.is_empty() {
            self.spooling.wake();
        }
    }

    /// Gives up the oldest of whoever takes most until the spool is within its bounds, chat before control.
    pub(super) fn trim(&mut self) {
        loop {
            let mut sums = (0, 0);
            for federate in federates(&mut self.links) {
                sums.0 += federate.spool.bytes();
                sums.1 += federate.spool.waiting();
            }
            let bounds = self.spooling.bounds;
            if sums.0 <= bounds.bytes && sums.1 <= bounds.events {
                return;
            }
            if !Which::ALL
                .into_iter()
                .rev()
                .any(|which| self.give_up(which, sums.0 > bounds.bytes))
            {
                return;
            }
        }
    }

    fn give_up(&mut self, which: Which, by_bytes: bool) -> bool {
        let size = |federate: &Federate| {
            let lane = &federate.spool.lanes()[which as usize];
            match by_bytes {
                true => lane.disk_bytes() + lane.unwritten_bytes() as u64,
                false => lane.waiting(),
            }
        };
        let largest = federates(&mut self.links).max_by_key(|federate| size(federate));
        let Some(federate) = largest.filter(|federate| size(federate) > 0) else {
            return false;
        };
        let held = federate.spool.memory_bytes();
        let evicted = federate
            .spool
            .lane(which)
            .evict(HURRY, &mut self.spooling.jobs);
        let Some(gone) = evicted else { return false };
        federate.counters.drop_many(Reason::SpoolFull, gone);
        self.pool.used = self.pool.used - held + federate.spool.memory_bytes();
        self.spooling.wake();
        true
    }
}

/// The reason of each [`Skip`].
const REASONS: [Reason; 3] = [
    Reason::SpoolExpired,
    Reason::SpoolExpired,
    Reason::SpoolDamaged,
];

/// What is known now, when an old event is about to be sent.
struct Known<'a> {
    contacts: &'a Contacts,
    latest: &'a Latest,
    hasher: &'a FixedState,
}

impl Known<'_> {
    /// Whether a spooled event is not worth sending. Emergencies, deletes and words between people are, however old
    /// they are; a position that was addressed to somebody is not once it is stale; and who came back is not deleted.
    fn judge(&self, message: &[u8], own_id: &[u8], now: Now) -> Option<Skip> {
        let Ok(message) = fig::parse(message, own_id) else {
            return Some(Skip::Damaged);
        };
        if let Some(contact) = message.contact
            && contact.operation == Operation::Delete
        {
            let key = self.hasher.hash_one(contact.uid);
            let is_back = self.contacts.is_present(key) || self.latest.is_fresh(key, now.wall_ms);
            return is_back.then_some(Skip::Conflated);
        }
        let event = message.event?;
        let is_stale = class::is_replaceable(event.kind) && event.stale <= now.wall_ms;
        is_stale.then_some(Skip::Expired)
    }
}

fn federates(links: &mut [Link]) -> impl Iterator<Item = &mut Federate> {
    links.iter_mut().filter_map(|link| match &mut link.kind {
        Kind::Federate(federate) => Some(&mut **federate),
        _ => None,
    })
}
