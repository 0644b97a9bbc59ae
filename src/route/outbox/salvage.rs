//! What leaves an outbox for the spool, and how what comes from there goes first.

use super::{Outbox, Pool};
use crate::cot::Class;
use crate::counters::{Counters, Reason};
use crate::route::queue::Waiting;
use crate::route::trace::Fate;

impl Outbox {
    /// Parcels that were taken out into the spool.
    pub fn spooled(&self) -> u64 {
        self.spooled
    }

    /// While held, only what is put first goes out; what is offered waits.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Puts an event out of the spool into the batch. Gives its number on this connection, by which it is acknowledged.
    pub fn put_spooled(&mut self, bytes: &[u8], counters: &mut Counters) -> u64 {
        self.put_first(bytes, true, counters);
        self.flight.expect_receipt();
        self.flight.handed()
    }

    /// Moves one parcel into the batch, held or not.
    pub fn let_one_pass(&mut self, pool: &mut Pool, counters: &mut Counters, now_ms: u64) {
        if let Some(at) = self.next() {
            self.fill_one(at, pool, counters, now_ms);
        }
    }

    /// Messages handed over on this connection.
    pub fn handed(&self) -> u64 {
        self.flight.handed()
    }

    /// Takes out what must not be lost when the link goes away, oldest first: what its peer has not acknowledged, then
    /// what waits. Contact entries are told anew anyhow, but for deletes.
    pub fn salvage(&mut self, pool: &mut Pool, counters: &mut Counters) -> Vec<Waiting> {
        let mut salvaged: Vec<Waiting> = self.flight.recall(&mut pool.used).collect();
        self.sent -= salvaged.len() as u64;
        for class in Class::ALL.into_iter().filter(|class| *class <= Class::Chat) {
            while let Some(at) = self.queue.oldest(class) {
                match self.end(at, Fate::Spooled, pool, 0) {
                    Some(waiting) if waiting.event || waiting.delete => salvaged.push(waiting),
                    _ => counters.drop_one(Reason::LinkDown),
                }
            }
        }
        self.spooled += salvaged.len() as u64;
        salvaged
    }
}
