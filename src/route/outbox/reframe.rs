//! A link that begins to write its events in another way, in the middle of its stream.

use bytes::Bytes;

use super::{Framing, Outbox, Pool};
use crate::cot::Class;
use crate::counters::{Counters, Reason};
use crate::route::queue::{Waiting, charge};
use crate::route::trace::{Fate, Mark};

impl Outbox {
    /// Puts `last` behind what was handed over; what comes after it stands in that framing. What waits is made `anew`,
    /// and dropped where that cannot be done.
    pub fn reframe(
        &mut self,
        framing: Framing,
        last: &[u8],
        (pool, counters): (&mut Pool, &mut Counters),
        now_ms: u64,
        mut anew: impl FnMut(&[u8]) -> Result<Bytes, Reason>,
    ) {
        self.put_first(last, false, counters);
        self.framing = framing;
        if let Some(large) = self.large.take() {
            // It stands behind the batch, and so behind `last`.
            pool.used -= std::mem::take(&mut self.charged);
            self.sent -= 1;
            match anew(&large) {
                Ok(bytes) => self.put_large(bytes, pool),
                Err(reason) => {
                    counters.events_out -= 1;
                    counters.drop_one(reason);
                }
            }
        }
        let mut again: Vec<(Mark, Waiting)> = Vec::with_capacity(self.queue.len());
        for class in Class::ALL {
            while let Some(at) = self.queue.oldest(class) {
                let mark = self.queue.mark(at);
                let Some(waiting) = self.take(at, pool) else {
                    break;
                };
                again.push((mark, waiting));
            }
        }
        for (mark, mut waiting) in again {
            let made = anew(&waiting.bytes).and_then(|bytes| {
                let grown = charge(bytes.len()) > waiting.charge();
                // What grew must still fit.
                let fits = self.queue.bytes() + charge(bytes.len()) <= self.bounds.bytes
                    && pool.used + charge(bytes.len()) <= pool.limit;
                (fits || !grown).then_some(bytes).ok_or(Reason::Refused)
            });
            match made {
                Ok(bytes) => {
                    waiting.bytes = bytes;
                    pool.used += waiting.charge();
                    let at = self.queue.push(waiting, self.bounds.events);
                    self.queue.set_mark(at, mark);
                }
                Err(reason) => {
                    self.spared += waiting.bytes.len() as u64;
                    counters.drop_one(reason);
                    let fate = Fate::Dropped(reason);
                    pool.traces.settle(mark, self.column, fate, now_ms);
                }
            }
        }
        self.wake();
    }
}
