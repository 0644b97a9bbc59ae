//! What must wait, and who gives way to it.

use bytes::Bytes;

use super::{Outbox, Parcel, Pool};
use crate::cot::Class;
use crate::counters::{Counters, Reason};
use crate::route::queue::charge;
use crate::route::trace::Fate;

impl Outbox {
    /// An offered parcel does not even wait.
    pub(super) fn turn_away(
        &mut self,
        parcel: &Parcel<'_>,
        reason: Reason,
        pool: &mut Pool,
        counters: &mut Counters,
    ) {
        self.spared += parcel.bytes.len() as u64;
        counters.drop_one(reason);
        let fate = Fate::Dropped(reason);
        pool.traces.offered(parcel.mark, self.column, fate);
    }

    /// Lets a parcel wait; a newer one takes the place of an older one of its uid. `false`: there is no room for it.
    pub(super) fn park(
        &mut self,
        parcel: Parcel<'_>,
        copy: &mut Option<Bytes>,
        pool: &mut Pool,
        counters: &mut Counters,
        now_ms: u64,
    ) -> bool {
        let same = parcel.key.and_then(|key| self.queue.find(key));
        if let Some(older) = same.and_then(|at| self.queue.peek(at)) {
            // One uid's times leave in order, and a delete is final for what is older. The delete itself always counts:
            // its time may come from another clock.
            let late =
                older.time_ms > parcel.time_ms || (older.delete && older.time_ms == parcel.time_ms);
            if late && !parcel.delete {
                self.turn_away(&parcel, Reason::Conflated, pool, counters);
                return true;
            }
        }
        let in_place = same
            .and_then(|at| Some((at, self.queue.peek(at)?)))
            .filter(|(_, older)| older.class == parcel.class)
            .map(|(at, older)| (at, older.charge()));
        let mut since_ms = now_ms as u32;
        if let Some(older) = same.and_then(|at| self.queue.peek(at)) {
            since_ms = older.since_ms;
            self.spared += older.bytes.len() as u64;
        }
        if let (None, Some(at)) = (in_place, same) {
            self.take(at, pool);
            counters.drop_one(Reason::Conflated);
        }
        let freed = in_place.map_or(0, |(_, length)| length);
        if !self.make_room(
            &parcel,
            freed,
            in_place.map(|(at, _)| at),
            pool,
            counters,
            now_ms,
        ) {
            return false;
        }
        let waiting = parcel.waiting(copy, since_ms);
        pool.traces.offered(parcel.mark, self.column, Fate::Waiting);
        pool.used = pool.used + waiting.charge() - freed;
        match in_place {
            Some((at, _)) => {
                self.queue.replace(at, waiting);
                self.queue.set_mark(at, parcel.mark);
                counters.drop_one(Reason::Conflated);
            }
            None => {
                let at = self.queue.push(waiting, self.bounds.events);
                self.queue.set_mark(at, parcel.mark);
            }
        }
        true
    }

    /// Evicts the expired, then the oldest of lower classes, until the newcomer fits. `false`: it does not.
    fn make_room(
        &mut self,
        parcel: &Parcel<'_>,
        freed: usize,
        keep: Option<u16>,
        pool: &mut Pool,
        counters: &mut Counters,
        now_ms: u64,
    ) -> bool {
        loop {
            let events = self.queue.len() + usize::from(keep.is_none());
            let bytes = self.queue.bytes() + charge(parcel.bytes.len()) - freed;
            let pooled = pool.used + charge(parcel.bytes.len()) - freed;
            // One link may take no more than it leaves for the others; only control traffic may use the rest up.
            let share = match parcel.class {
                Class::Emergency | Class::Control => pooled <= pool.limit,
                _ => pooled + bytes <= pool.limit,
            };
            if events <= self.bounds.events && bytes <= self.bounds.bytes && share {
                return true;
            }
            let heads = Class::ALL.iter().rev().filter_map(|&class| {
                let at = self.queue.oldest(class).filter(|&at| Some(at) != keep)?;
                Some((at, self.queue.peek(at)?))
            });
            let mut lower = None;
            let mut expired = None;
            for (at, waiting) in heads {
                if waiting.deadline_ms <= now_ms {
                    expired.get_or_insert(at);
                }
                if waiting.class > parcel.class {
                    lower.get_or_insert(at);
                }
            }
            let Some(at) = expired.or(lower) else {
                return false;
            };
            let reason = match expired {
                Some(_) => Reason::Expired,
                None => Reason::Evicted,
            };
            let given = self.end(at, Fate::Dropped(reason), pool, now_ms);
            self.spared += given.map_or(0, |given| given.bytes.len() as u64);
            counters.drop_one(reason);
        }
    }
}
