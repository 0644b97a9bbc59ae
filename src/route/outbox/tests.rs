//! An outbox and whoever fills and empties it.

use super::*;
use crate::route::queue::PLACE;
use proptest::prelude::*;

const BOUNDS: Bounds = Bounds {
    events: 8,
    bytes: 200 + 8 * PLACE,
    batch: 64,
};

struct Rig {
    outbox: Outbox,
    pool: Pool,
    counters: Counters,
}

impl Rig {
    fn new() -> Self {
        Self {
            outbox: Outbox::new(BOUNDS, Framing::None),
            pool: Pool {
                used: 0,
                limit: 300 + 16 * PLACE,
                ..Pool::default()
            },
            counters: Counters::default(),
        }
    }

    fn offer(&mut self, bytes: &[u8], class: Class, key: Option<u64>, time_ms: i64) {
        let parcel = Parcel {
            bytes,
            class,
            key,
            time_ms,
            delete: false,
            deadline_ms: None,
            event: true,
            mark: Mark::default(),
        };
        self.offer_parcel(parcel, 0);
    }

    fn offer_parcel(&mut self, parcel: Parcel<'_>, now_ms: u64) {
        self.outbox.offer(
            parcel,
            &mut None,
            &mut self.pool,
            &mut self.counters,
            now_ms,
        );
    }

    fn poll(&mut self, now_ms: u64) -> Option<Vec<u8>> {
        let mut context = Context::from_waker(Waker::noop());
        match self
            .outbox
            .poll_batch(&mut context, &mut self.pool, &mut self.counters, now_ms)
        {
            Poll::Ready(batch) => Some(batch.to_vec()),
            Poll::Pending => None,
        }
    }

    fn everything(&mut self) -> Vec<u8> {
        std::iter::from_fn(|| self.poll(0)).flatten().collect()
    }

    fn balance(&self) -> u64 {
        let dropped: u64 = self.counters.reasons().map(|(_, count)| count).sum();
        self.outbox.sent() + self.outbox.queued() as u64 + dropped
    }
}

#[test]
fn an_idle_link_gets_it_straight_away() {
    let mut rig = Rig::new();
    assert_eq!(rig.poll(0), None);
    rig.offer(b"one", Class::Bulk, None, 0);
    rig.offer(b"two", Class::Control, None, 0);
    assert_eq!(rig.outbox.queued(), 0);
    assert_eq!(rig.poll(0).unwrap(), b"onetwo");
}

#[test]
fn a_busy_link_gets_the_important_first() {
    let mut rig = Rig::new();
    rig.offer(b"bulk", Class::Bulk, None, 0);
    rig.offer(b"track", Class::Track, Some(1), 0);
    rig.offer(b"chat", Class::Chat, None, 0);
    rig.offer(b"alarm", Class::Control, None, 0);
    assert_eq!(rig.poll(0).unwrap(), b"alarmchattrackbulk");
}

#[test]
fn a_newer_track_takes_the_place_of_the_older() {
    let mut rig = Rig::new();
    rig.offer(b"a1", Class::Track, Some(1), 10);
    rig.offer(b"b1", Class::Track, Some(2), 10);
    rig.offer(b"a2", Class::Track, Some(1), 20);
    rig.offer(b"a0", Class::Track, Some(1), 5);
    assert_eq!(rig.poll(0).unwrap(), b"a2b1");
    assert_eq!(rig.counters.dropped(Reason::Conflated), 2);
}

#[test]
fn a_delete_removes_the_track_and_stays_final() {
    let mut rig = Rig::new();
    rig.offer(b"a1", Class::Track, Some(1), 10);
    let delete = Parcel {
        bytes: b"x",
        class: Class::Control,
        key: Some(1),
        time_ms: 20,
        delete: true,
        deadline_ms: None,
        event: true,
        mark: Mark::default(),
    };
    rig.offer_parcel(delete, 0);
    rig.offer(b"a1", Class::Track, Some(1), 15);
    assert_eq!(rig.poll(0).unwrap(), b"x");
}

#[test]
fn what_went_stale_while_waiting_is_not_sent() {
    let mut rig = Rig::new();
    let parcel = Parcel {
        bytes: b"old",
        class: Class::Chat,
        key: None,
        time_ms: 0,
        delete: false,
        deadline_ms: Some(50),
        event: true,
        mark: Mark::default(),
    };
    rig.offer_parcel(parcel, 0);
    assert_eq!(rig.poll(50), None);
    assert_eq!(rig.counters.dropped(Reason::Expired), 1);
}

#[test]
fn a_full_outbox_gives_up_the_least() {
    let mut rig = Rig::new();
    for _ in 0..8 {
        rig.offer(b"bulk", Class::Bulk, None, 0);
    }
    rig.offer(b"bulk", Class::Bulk, None, 0);
    assert_eq!(rig.counters.dropped(Reason::Refused), 1);
    rig.offer(b"alarm", Class::Control, None, 0);
    assert_eq!(rig.counters.dropped(Reason::Evicted), 1);
    assert!(rig.everything().starts_with(b"alarm"));
    assert_eq!(rig.pool.used, 0);
}

#[test]
fn an_event_larger_than_a_batch_is_shared_and_charged_until_it_is_written() {
    let mut rig = Rig::new();
    rig.outbox.framing = Framing::Grpc;
    assert_eq!(rig.poll(0), None);
    let (large, mut copy) = ([b'x'; 100], None);
    let parcel = |bytes| Parcel {
        bytes,
        class: Class::Chat,
        key: None,
        time_ms: 0,
        delete: false,
        deadline_ms: None,
        event: true,
        mark: Mark::default(),
    };
    let Rig {
        outbox,
        pool,
        counters,
    } = &mut rig;
    outbox.offer(parcel(&large), &mut copy, pool, counters, 0);
    outbox.offer(parcel(b"small"), &mut None, pool, counters, 0);
    let mut context = Context::from_waker(Waker::noop());
    let mut poll = || outbox.poll_batch(&mut context, pool, counters, 0);
    assert_eq!(poll(), Poll::Ready(Bytes::from_static(&[0, 0, 0, 0, 100])));
    let Poll::Ready(sent) = poll() else {
        panic!("the event itself comes second");
    };
    assert_eq!(sent.as_ptr(), copy.unwrap().as_ptr());
    assert_eq!(rig.pool.used, charge(100) + charge(5));
    assert_eq!(rig.poll(0).unwrap(), b"\0\0\0\0\x05small");
    assert_eq!((rig.poll(0), rig.pool.used), (None, 0));
    assert_eq!(rig.outbox.sent(), 2);
}

#[test]
fn the_lowest_class_is_not_starved() {
    let mut rig = Rig::new();
    rig.outbox.bounds.events = 100;
    rig.outbox.bounds.bytes = 100 * charge(1);
    rig.pool.limit = 200 * charge(1);
    rig.offer(b".", Class::Bulk, None, 0);
    for _ in 0..30 {
        rig.offer(b"c", Class::Chat, None, 0);
    }
    let sent = rig.everything();
    assert_eq!(sent.iter().position(|&byte| byte == b'.'), Some(15));
}

proptest! {
    #[test]
    fn nothing_is_lost_without_a_reason(steps in proptest::collection::vec(
        (0u8..5, 1usize..90, 0u8..4, proptest::option::of(0u64..4), 0i64..50, any::<bool>(), proptest::option::of(0u64..100)),
        0..120,
    )) {
        let mut rig = Rig::new();
        for (now, (step, length, class, key, time_ms, delete, deadline_ms)) in steps.into_iter().enumerate() {
            let now = now as u64;
            if step == 0 {
                rig.poll(now);
            } else {
                let class = CLASSES[class as usize];
                let bytes = vec![b'x'; length];
                let delete = delete && class == Class::Control;
                rig.offer_parcel(Parcel { bytes: &bytes, class, key, time_ms, delete, deadline_ms, event: true, mark: Mark::default() }, now);
            }
            prop_assert_eq!(rig.outbox.offered(), rig.balance());
            prop_assert!(rig.outbox.queue.len() <= BOUNDS.events);
            prop_assert!(rig.outbox.queue.bytes() <= BOUNDS.bytes);
            prop_assert_eq!(rig.pool.used, rig.outbox.queue.bytes() + rig.outbox.charged);
        }
        rig.outbox.clear(&mut rig.pool, &mut rig.counters);
        prop_assert_eq!(rig.outbox.offered(), rig.balance());
        prop_assert_eq!(rig.pool.used, 0);
    }
}
