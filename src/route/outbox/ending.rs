//! What becomes of an outbox when its connection ends, and what it remembers for that.

use bytes::BytesMut;

use super::{Framing, Outbox, Pool};
use crate::cot::Class;
use crate::counters::{Counters, Reason};
use crate::route::in_flight::InFlight;
use crate::route::queue::Waiting;
use crate::route::trace::{Fate, Mark};

impl Outbox {
    /// The connection ended: what its peer has not acknowledged goes back to the head of what waits.
    pub fn recall(&mut self, pool: &mut Pool, counters: &mut Counters) {
        // What was handed over is noted as sent, and will be so again.
        let recalled = self.flight.recall(&mut pool.used);
        let mut again: Vec<(Mark, Waiting)> =
            recalled.map(|waiting| (Mark::default(), waiting)).collect();
        self.sent -= again.len() as u64;
        self.before = self.sent;
        for class in [Class::Emergency, Class::Control, Class::Chat] {
            while let Some(at) = self.queue.oldest(class) {
                let mark = self.queue.mark(at);
                let Some(waiting) = self.take(at, pool) else {
                    break;
                };
                again.push((mark, waiting));
            }
        }
        for (mark, waiting) in again {
            let full = self.queue.len() >= self.bounds.events
                || self.queue.bytes() + waiting.charge() > self.bounds.bytes
                || pool.used + waiting.charge() > pool.limit;
            if full {
                counters.drop_one(Reason::LinkDown);
                let fate = Fate::Dropped(Reason::LinkDown);
                pool.traces.settle(mark, self.column, fate, 0);
            } else {
                pool.used += waiting.charge();
                let at = self.queue.push(waiting, self.bounds.events);
                self.queue.set_mark(at, mark);
            }
        }
    }

    /// How many of those [`Self::sent`] are known to have arrived.
    pub fn arrived(&self) -> u64 {
        self.before + self.flight.taken()
    }

    /// The link is gone: everything that waits is dropped for that reason. With `keep`, emergencies and chat stay for
    /// its return.
    pub fn clear(&mut self, keep: bool, pool: &mut Pool, counters: &mut Counters) {
        let mut kept = Vec::new();
        for class in Class::ALL {
            while let Some(at) = self.queue.oldest(class) {
                let mark = self.queue.mark(at);
                let Some(waiting) = self.take(at, pool) else {
                    break;
                };
                if keep && InFlight::concerns(class, waiting.event) {
                    kept.push((mark, waiting));
                } else {
                    counters.drop_one(Reason::LinkDown);
                    let fate = Fate::Dropped(Reason::LinkDown);
                    pool.traces.settle(mark, self.column, fate, 0);
                }
            }
        }
        for (mark, waiting) in kept {
            pool.used += waiting.charge();
            let at = self.queue.push(waiting, self.bounds.events);
            self.queue.set_mark(at, mark);
        }
        self.batch = BytesMut::new();
        self.large = None;
        pool.used -= std::mem::take(&mut self.charged);
        (self.idle, self.held) = (false, false);
        self.wake();
    }

    /// What the peer has not acknowledged yet.
    pub fn flight(&mut self) -> &mut InFlight {
        &mut self.flight
    }

    /// Clients have no acknowledgements; a connection of a federate may break with much on its way.
    pub(super) fn remembers(&self, class: Class, event: bool) -> bool {
        matches!(self.framing, Framing::Grpc | Framing::Length) && InFlight::concerns(class, event)
    }

    pub(super) fn remember(&mut self, waiting: Waiting, pool: &mut Pool) {
        let most = self.bounds.bytes / 4;
        self.flight.keep(waiting, most, &mut pool.used, pool.limit);
    }
}
