//! What a connection was handed and its peer has not acknowledged yet: emergencies, chat and what else must not be
//! lost. When the connection ends these go back to the head of the queue; the receiver knows by content what it had.
//!
//! Acknowledged is by number: how many messages of this connection the peer has taken. Another box says so itself. Of
//! any other peer only signs of life are known: what was handed over before the question to one of its answers.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use super::queue::Waiting;
use crate::cot::Class;

/// Parcels that are remembered for one connection; the oldest is forgotten for a newer one.
pub const MOST: usize = 64;

/// The memory of one connection.
#[derive(Debug, Default)]
pub struct InFlight {
    /// Messages handed over on this connection, of every kind.
    handed: u64,
    /// How many of them the peer has.
    taken: u64,
    /// Up to this number something went out that is kept elsewhere until it is acknowledged.
    expected: u64,
    entries: VecDeque<Entry>,
    /// What the entries are charged to the pool.
    charged: usize,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Entry {
    /// The message's number on this connection, from 1.
    number: u64,
    waiting: Waiting,
}

impl InFlight {
    /// Whether a parcel is one that must not be lost. Tracks are sent anew anyhow, and contacts are told anew.
    pub fn concerns(class: Class, event: bool) -> bool {
        event && class <= Class::Chat
    }

    /// One message more was handed over.
    pub fn count(&mut self) {
        self.handed += 1;
    }

    /// Remembers the message that was handed over last. Its bytes are shared with whoever else keeps them; what is
    /// remembered counts among the `used` bytes of the pool of all that waits. Beyond its `limit` nothing is
    /// remembered.
    pub fn keep(&mut self, waiting: Waiting, most_bytes: usize, used: &mut usize, limit: usize) {
        let charge = waiting.charge();
        while !self.entries.is_empty()
            && (self.entries.len() >= MOST || self.charged + charge > most_bytes)
        {
            self.forget_first(used);
        }
        if charge > most_bytes || *used + charge > limit {
            return;
        }
        *used += charge;
        self.charged += charge;
        self.entries.push_back(Entry {
            number: self.handed,
            waiting,
        });
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// The message that was handed over last is kept elsewhere, and its acknowledgement is waited for.
    pub fn expect_receipt(&mut self) {
        self.expected = self.handed;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// The peer has taken the first `count` messages of this connection.
    pub fn take(&mut self, count: u64, used: &mut usize) {
        // What a peer says of itself is not believed beyond what it was handed.
        let count = count.min(self.handed);
        self.taken = self.taken.max(count);
        let older = |entry: &Entry| entry.number <= count;
        while self.entries.front().is_some_and(older) {
            self.forget_first(used);
        }
    }

    /// How many messages of this connection the peer has.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Ready while something is not acknowledged; else remembers whom to wake.
    pub fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        if !self.entries.is_empty() || self.taken < self.expected {
            return Poll::Ready(());
        }
        self.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// The connection ended: gives back what was not acknowledged, oldest first, and begins to count anew.
    pub fn recall(&mut self, used: &mut usize) -> impl Iterator<Item = Waiting> + use<> {
        *used -= std::mem::take(&mut self.charged);
        (self.handed, self.taken, self.expected) = (0, 0, 0);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
        std::mem::take(&mut self.entries)
            .into_iter()
            .map(|entry| entry.waiting)
    }

    /// Messages handed over on this connection.
    pub fn handed(&self) -> u64 {
        self.handed
    }

    /// Messages that are remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn forget_first(&mut self, used: &mut usize) {
        if let Some(entry) = self.entries.pop_front() {
            let charge = entry.waiting.charge();
            self.charged -= charge;
            *used -= charge;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn chat(number: u8) -> Waiting {
        Waiting {
            bytes: Bytes::copy_from_slice(&[number; 10]),
            class: Class::Chat,
            key: None,
            time_ms: 0,
            delete: false,
            deadline_ms: u64::MAX,
            since_ms: 0,
            event: true,
        }
    }

    #[test]
    fn what_is_taken_is_forgotten_and_the_rest_comes_back_in_order() {
        let (mut flight, mut used) = (InFlight::default(), 0);
        for number in 1..=6 {
            flight.count();
            flight.count();
            flight.keep(chat(number), 50_000, &mut used, 100_000);
        }
        assert_eq!((flight.len(), flight.handed()), (6, 12));
        flight.take(3, &mut used);
        assert_eq!(flight.len(), 5, "the second was number 4");
        flight.take(7, &mut used);
        flight.take(2, &mut used);
        assert_eq!((flight.len(), flight.taken()), (3, 7));
        let back: Vec<u8> = flight
            .recall(&mut used)
            .map(|waiting| waiting.bytes[0])
            .collect();
        assert_eq!(back, [4, 5, 6]);
        assert_eq!((used, flight.handed(), flight.len()), (0, 0, 0));
    }

    proptest! {
        /// Bounded, and the pool is charged for exactly what is kept.
        #[test]
        fn the_pool_is_charged_for_what_is_kept(
            steps in proptest::collection::vec((0_u8..4, 0_u64..300), 0..400),
            limit in 0_usize..20_000,
        ) {
            let mut flight = InFlight::default();
            let mut used = 0;
            for (step, value) in steps {
                match step {
                    0 | 1 => {
                        flight.count();
                        flight.keep(chat(0), 5_000, &mut used, limit);
                    }
                    2 => flight.take(value, &mut used),
                    _ => drop(flight.recall(&mut used)),
                }
                prop_assert!(flight.len() <= MOST && used <= limit.max(5_000));
                prop_assert_eq!(used, flight.len() * chat(0).charge());
            }
        }
    }
}
