//! One link's outbox: what passes goes straight into the batch that is being filled, what must wait is kept in classes.
//!
//! `offered = sent + queued + dropped by reason`, always. A link that does not read costs nobody else anything: offers
//! never block, and what does not fit gives way by class, with its reason counted.

mod park;
mod reframe;
mod salvage;

use std::task::{Context, Poll, Waker};

use bytes::{BufMut, Bytes, BytesMut};

use super::in_flight::InFlight;
pub use super::parcel::{Bounds, Framing, Parcel, Pool, Thin, Want};
use super::queue::{Queue, Waiting, charge};
use super::trace::{Column, Fate};
use crate::cot::Class;
use crate::counters::{Counters, Reason};

/// The longest prefix of any framing, bytes: 0xBF and a length as varint.
const PREFIX: usize = 6;

/// One in so many parcels is taken from the lowest class that waits, so that none starves.
const FLOOR: u8 = 16;

/// An outbox.
#[derive(Debug)]
pub struct Outbox {
    bounds: Bounds,
    framing: Framing,
    batch: BytesMut,
    queue: Queue,
    /// The connection waits for us; without it, it is busy with the last batch.
    waker: Option<Waker>,
    idle: bool,
    turn: u8,
    /// Where a batch is closed, bytes.
    close: usize,
    /// Longest event of each class.
    longest: [usize; Class::COUNT],
    /// The connection has room for emergencies only.
    scarce: bool,
    /// Bytes that were offered and never sent.
    spared: u64,
    /// An event larger than a batch, behind the batch: the copy that all links share.
    large: Option<Bytes>,
    /// Its bytes stay charged to the pool until the connection asks for more, and so is done with them.
    charged: usize,
    /// What this connection was handed and its peer has not acknowledged.
    flight: InFlight,
    /// Nothing goes past what is put first.
    held: bool,
    /// Sent on earlier connections.
    before: u64,
    offered: u64,
    sent: u64,
    /// The link's column in the traces.
    column: Column,
    /// An event, and not only contact entries, was handed over since this was asked last.
    carried: bool,
    spooled: u64,
}

impl Outbox {
    /// An empty outbox.
    pub fn new(bounds: Bounds, framing: Framing) -> Self {
        Self {
            bounds,
            framing,
            batch: BytesMut::new(),
            queue: Queue::default(),
            waker: None,
            idle: false,
            turn: 0,
            close: bounds.batch,
            longest: [usize::MAX; Class::COUNT],
            scarce: false,
            spared: 0,
            large: None,
            charged: 0,
            flight: InFlight::default(),
            held: false,
            before: 0,
            offered: 0,
            sent: 0,
            column: Column::NONE,
            carried: false,
            spooled: 0,
        }
    }

    /// What becomes of its parcels is noted in that column.
    pub fn set_column(&mut self, column: Column) {
        self.column = column;
    }

    /// How events stand from now on; what was handed over stays as it is.
    pub fn set_framing(&mut self, framing: Framing) {
        self.framing = framing;
    }

    /// One event is one batch, as datagrams want it.
    pub fn set_single(&mut self) {
        self.bounds.batch = 1;
        self.close = 1;
    }

    /// Whether an event was handed over since this was asked last.
    pub fn take_carried(&mut self) -> bool {
        std::mem::take(&mut self.carried)
    }

    /// The link's column in the traces.
    pub fn column(&self) -> Column {
        self.column
    }

    /// Parcels that wait.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Parcels ever offered.
    pub fn offered(&self) -> u64 {
        self.offered
    }

    /// Parcels ever put into a batch.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes of events that were offered and gave way to others: what thinning saved.
    pub fn spared_bytes(&self) -> u64 {
        self.spared
    }

    /// For how long the uid that waits longest has waited for its position to be sent, milliseconds.
    pub fn oldest_track_ms(&self, now_ms: u64) -> Option<u64> {
        let oldest = self.queue.peek(self.queue.oldest(Class::Track)?)?;
        Some(u64::from((now_ms as u32).wrapping_sub(oldest.since_ms)))
    }

    /// What the link takes at once; none = as much as its bounds allow.
    pub fn set_thin(&mut self, thin: Option<Thin>) {
        let most = self.bounds.batch;
        self.close = thin.map_or(most, |thin| thin.batch.min(most));
        self.longest = thin.map_or([usize::MAX; Class::COUNT], |thin| thin.longest);
        self.scarce = false;
    }

    /// Offers one. `copy` remembers the exact copy of these bytes, so that all links that must wait share it. `false`:
    /// there was no room for it.
    pub fn offer(
        &mut self,
        parcel: Parcel<'_>,
        copy: &mut Option<Bytes>,
        pool: &mut Pool,
        counters: &mut Counters,
        now_ms: u64,
    ) -> bool {
        self.offered += 1;
        let length = parcel.bytes.len();
        if length > self.longest[parcel.class as usize] {
            self.turn_away(&parcel, Reason::Thinned, pool, counters);
            return true;
        }
        if self.idle
            && !self.held
            && self.queue.is_empty()
            && self.fits(length)
            && !self.is_large(length)
        {
            self.put(parcel.bytes);
            counters.events_out += u64::from(parcel.event);
            self.carried |= parcel.event;
            pool.traces.offered(parcel.mark, self.column, Fate::Sent);
            if self.remembers(parcel.class, parcel.event) {
                self.remember(parcel.waiting(copy, now_ms as u32), pool);
            }
        } else if !self.park(parcel, copy, pool, counters, now_ms) {
            self.turn_away(&parcel, Reason::Refused, pool, counters);
            return false;
        }
        if !self.scarce || parcel.class == Class::Emergency {
            self.wake();
        }
        true
    }

    /// The connection can take more: hands over the next batch, or remembers whom to wake.
    pub fn poll_batch(
        &mut self,
        want: Want,
        context: &mut Context<'_>,
        pool: &mut Pool,
        counters: &mut Counters,
        now_ms: u64,
    ) -> Poll<Bytes> {
        if self.large.is_none() {
            pool.used -= std::mem::take(&mut self.charged);
        }
        self.scarce = want == Want::Emergencies;
        match want {
            Want::All => self.fill(pool, counters, now_ms),
            Want::Emergencies => self.fill_emergencies(pool, counters, now_ms),
        }
        if self.batch.is_empty() {
            if let Some(large) = self.large.take() {
                self.idle = false;
                return Poll::Ready(large);
            }
            self.idle = want == Want::All;
            match &mut self.waker {
                Some(waker) => waker.clone_from(context.waker()),
                none => *none = Some(context.waker().clone()),
            }
            return Poll::Pending;
        }
        self.idle = false;
        Poll::Ready(self.batch.split().freeze())
    }

    /// Moves what waits into the batch, most important first, as far as it fits.
    pub fn fill(&mut self, pool: &mut Pool, counters: &mut Counters, now_ms: u64) {
        while let Some(at) = self.next().filter(|_| !self.held) {
            if !self.fill_one(at, pool, counters, now_ms) {
                break;
            }
        }
    }

    /// The same for emergencies alone.
    pub fn fill_emergencies(&mut self, pool: &mut Pool, counters: &mut Counters, now_ms: u64) {
        while let Some(at) = self.queue.oldest(Class::Emergency) {
            if !self.fill_one(at, pool, counters, now_ms) {
                break;
            }
        }
    }

    /// `false`: the batch is full.
    fn fill_one(&mut self, at: u16, pool: &mut Pool, counters: &mut Counters, now_ms: u64) -> bool {
        if self.large.is_some() {
            return false;
        }
        let Some(next) = self.queue.peek(at) else {
            return false;
        };
        let expired = next.deadline_ms <= now_ms;
        if !expired && !self.fits(next.bytes.len()) {
            return false;
        }
        let fate = match expired {
            true => Fate::Dropped(Reason::Expired),
            false => Fate::Sent,
        };
        let Some(waiting) = self.end(at, fate, pool, now_ms) else {
            return false;
        };
        if expired {
            self.spared += waiting.bytes.len() as u64;
            counters.drop_one(Reason::Expired);
            return true;
        }
        self.turn = (self.turn + 1) % FLOOR;
        counters.events_out += u64::from(waiting.event);
        self.carried |= waiting.event;
        if self.is_large(waiting.bytes.len()) {
            self.put_large(waiting.bytes.clone(), pool);
        } else {
            self.put(&waiting.bytes);
        }
        if self.remembers(waiting.class, waiting.event) {
            self.remember(waiting, pool);
        }
        true
    }

    /// Whether that many bytes may still go into the batch, or alone behind an empty one.
    pub fn fits(&self, length: usize) -> bool {
        let room = self.batch.is_empty() || self.batch.len() + length + PREFIX <= self.close;
        room && self.large.is_none()
    }

    /// Puts an event into the batch past every queue; for what a link is told when it comes up.
    pub fn put_first(&mut self, bytes: &[u8], event: bool, counters: &mut Counters) {
        self.offered += 1;
        counters.events_out += u64::from(event);
        self.carried |= event;
        self.put(bytes);
    }

    /// Lets the connection look again.
    pub fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.sent += 1;
        self.flight.count();
        if self.batch.capacity() - self.batch.len() < bytes.len() + PREFIX {
            // One piece for a whole batch; taken back when the last one is written out.
            self.batch
                .reserve(self.bounds.batch.max(bytes.len() + PREFIX));
        }
        self.put_prefix(bytes.len());
        self.batch.extend_from_slice(bytes);
    }

    fn put_prefix(&mut self, length: usize) {
        match self.framing {
            Framing::None => {}
            Framing::Grpc => {
                self.batch.put_u8(0);
                self.batch.put_u32(length as u32);
            }
            Framing::Length => self.batch.put_u32(length as u32),
            Framing::Tak => {
                self.batch.put_u8(0xbf);
                let mut rest = length as u32;
                while rest >= 0x80 {
                    self.batch.put_u8(rest as u8 | 0x80);
                    rest >>= 7;
                }
                self.batch.put_u8(rest as u8);
            }
        }
    }

    /// An event larger than a batch is not copied for each link: all hand over the one copy.
    fn put_large(&mut self, bytes: Bytes, pool: &mut Pool) {
        self.sent += 1;
        self.flight.count();
        self.put_prefix(bytes.len());
        self.charged = charge(bytes.len());
        pool.used += self.charged;
        self.large = Some(bytes);
    }

    fn is_large(&self, length: usize) -> bool {
        length + PREFIX > self.bounds.batch
    }

    /// Whose turn it is: strict order, with a floor for the lowest, which no emergency waits for.
    fn next(&self) -> Option<u16> {
        let oldest = |class: &Class| self.queue.oldest(*class);
        if let Some(at) = oldest(&Class::Emergency) {
            return Some(at);
        }
        if self.turn == FLOOR - 1 {
            Class::ALL.iter().rev().find_map(oldest)
        } else {
            Class::ALL.iter().find_map(oldest)
        }
    }

    /// Takes out what does not wait any more, and notes what became of it.
    pub(in crate::route) fn end(
        &mut self,
        at: u16,
        fate: Fate,
        pool: &mut Pool,
        now_ms: u64,
    ) -> Option<Waiting> {
        let mark = self.queue.mark(at);
        pool.traces.settle(mark, self.column, fate, now_ms);
        self.take(at, pool)
    }

    fn take(&mut self, at: u16, pool: &mut Pool) -> Option<Waiting> {
        let waiting = self.queue.remove(at)?;
        pool.used -= waiting.charge();
        Some(waiting)
    }
}

mod ending;

#[cfg(test)]
mod tests;
