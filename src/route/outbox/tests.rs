//! An outbox and whoever fills and empties it.

mod reframe;

use super::*;
use crate::route::queue::PLACE;
use crate::route::trace::Mark;
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
        match self.outbox.poll_batch(
            Want::All,
            &mut context,
            &mut self.pool,
            &mut self.counters,
            now_ms,
        ) {
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
        class: Class::Track,
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
    let mut poll = || outbox.poll_batch(Want::All, &mut context, pool, counters, 0);
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
                let class = Class::ALL[class as usize];
                let bytes = vec![b'x'; length];
                let delete = delete && class == Class::Control;
                rig.offer_parcel(Parcel { bytes: &bytes, class, key, time_ms, delete, deadline_ms, event: true, mark: Mark::default() }, now);
            }
            prop_assert_eq!(rig.outbox.offered(), rig.balance());
            prop_assert!(rig.outbox.queue.len() <= BOUNDS.events);
            prop_assert!(rig.outbox.queue.bytes() <= BOUNDS.bytes);
            prop_assert_eq!(rig.pool.used, rig.outbox.queue.bytes() + rig.outbox.charged);
        }
        rig.outbox.clear(false, &mut rig.pool, &mut rig.counters);
        prop_assert_eq!(rig.outbox.offered(), rig.balance());
        prop_assert_eq!(rig.pool.used, 0);
    }
}

#[test]
fn what_was_not_acknowledged_goes_again_and_before_what_waits() {
    let mut rig = Rig::new();
    rig.outbox.framing = Framing::Grpc;
    assert_eq!(rig.poll(0), None);
    rig.offer(b"track", Class::Track, Some(1), 0);
    rig.offer(b"taken", Class::Chat, None, 0);
    rig.offer(b"alarm", Class::Control, None, 0);
    assert!(rig.poll(0).is_some());
    rig.offer(b"chat", Class::Chat, None, 0);
    rig.offer(b"later", Class::Track, Some(2), 0);
    rig.outbox.flight().take(2, &mut rig.pool.used);
    assert_eq!((rig.outbox.sent(), rig.outbox.arrived()), (3, 2));
    rig.outbox.recall(&mut rig.pool, &mut rig.counters);
    rig.outbox.clear(true, &mut rig.pool, &mut rig.counters);
    assert_eq!(rig.counters.dropped(Reason::LinkDown), 1, "the track");
    assert_eq!(rig.balance(), rig.outbox.offered());
    let again = rig.everything();
    assert_eq!(again, b"\0\0\0\0\x05alarm\0\0\0\0\x04chat");
    rig.outbox.recall(&mut rig.pool, &mut rig.counters);
    rig.outbox.clear(false, &mut rig.pool, &mut rig.counters);
    assert_eq!((rig.pool.used, rig.outbox.queued()), (0, 0));
    assert_eq!(rig.everything(), b"");
}

/// A link that sends `bytes` per second, one batch after the other, for so many tracks at 1 Hz: the longest pause that
/// each of them saw, in milliseconds.
fn pauses(tracks: u64, bytes: u64, seconds: u64, noise: impl Fn(u64) -> u64) -> Vec<u64> {
    let bounds = Bounds {
        events: 2048,
        bytes: 768 * 1024,
        batch: 16 * 1024,
    };
    let mut rig = Rig {
        outbox: Outbox::new(bounds, Framing::None),
        pool: Pool {
            used: 0,
            limit: 1024 * 1024,
            ..Pool::default()
        },
        counters: Counters::default(),
    };
    rig.outbox.set_thin(Some(Thin {
        batch: 600,
        longest: [usize::MAX; Class::COUNT],
    }));
    let mut last = vec![0; tracks as usize];
    let mut pauses = vec![0; tracks as usize];
    let mut debt_ms = 0;
    for now in 0..seconds * 1000 {
        for uid in 0..tracks {
            if (now + noise(uid)) % 1000 == uid * 1000 / tracks {
                let mut event = [b' '; 120];
                event[..8].copy_from_slice(&uid.to_be_bytes());
                rig.offer(&event, Class::Track, Some(uid), now as i64);
            }
        }
        while debt_ms <= now {
            let Some(batch) = rig.poll(now) else { break };
            debt_ms = debt_ms.max(now) + batch.len() as u64 * 1000 / bytes;
            for event in batch.chunks_exact(120) {
                let uid = u64::from_be_bytes(*event.first_chunk().unwrap()) as usize;
                pauses[uid] = pauses[uid].max(now - last[uid]);
                last[uid] = now;
            }
        }
    }
    for (pause, last) in pauses.iter_mut().zip(last) {
        *pause = (*pause).max(seconds * 1000 - last);
    }
    pauses
}

#[test]
fn on_a_thin_link_every_track_gets_its_turn() {
    // 100 tracks of 120 bytes at 1200 bytes per second: a round takes ten seconds, and nobody waits for two.
    let pauses = pauses(100, 1200, 60, |_| 0);
    let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
    assert!(*most <= 12_000 && *least >= 8_000, "{least} to {most} ms");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn nobody_starves_however_the_tracks_come(tracks in 20_u64..120, seed in any::<u64>()) {
        let noise = |uid: u64| (uid.wrapping_mul(seed | 1) >> 7) % 1000;
        let round_ms = tracks * 120 * 1000 / 1200;
        let longest = pauses(tracks, 1200, 40, noise).into_iter().max().unwrap();
        prop_assert!(longest <= round_ms * 5 / 4 + 2_000, "{longest} ms, a round takes {round_ms}");
    }
}

#[test]
fn when_the_budget_is_used_up_emergencies_go_and_nothing_else() {
    let mut rig = Rig::new();
    let mut context = Context::from_waker(Waker::noop());
    let mut poll = |rig: &mut Rig, want| {
        let Rig {
            outbox,
            pool,
            counters,
        } = rig;
        match outbox.poll_batch(want, &mut context, pool, counters, 0) {
            Poll::Ready(batch) => Some(batch.to_vec()),
            Poll::Pending => None,
        }
    };
    rig.offer(b"track", Class::Track, Some(1), 0);
    rig.offer(b"delete", Class::Control, None, 0);
    assert_eq!(poll(&mut rig, Want::Emergencies), None);
    rig.offer(b"help", Class::Emergency, None, 0);
    rig.offer(b"chat", Class::Chat, None, 0);
    assert_eq!(poll(&mut rig, Want::Emergencies).unwrap(), b"help");
    assert_eq!(poll(&mut rig, Want::Emergencies), None);
    assert_eq!(poll(&mut rig, Want::All).unwrap(), b"deletechattrack");
}

#[test]
fn what_is_too_long_for_a_thin_link_is_not_taken_and_all_that_was_spared_is_counted() {
    let mut rig = Rig::new();
    let mut longest = [usize::MAX; Class::COUNT];
    longest[Class::Bulk as usize] = 10;
    rig.outbox.set_thin(Some(Thin { batch: 8, longest }));
    rig.offer(b"eleven bytes"[..11].as_ref(), Class::Bulk, None, 0);
    assert_eq!(rig.counters.dropped(Reason::Thinned), 1);
    rig.offer(b"track", Class::Track, Some(1), 0);
    rig.offer(b"newer", Class::Track, Some(1), 1);
    assert_eq!(rig.outbox.spared_bytes(), 11 + 5);
    rig.offer(b"chat", Class::Chat, None, 0);
    assert_eq!(
        rig.poll(0).unwrap(),
        b"chat",
        "a batch is closed at its length"
    );
    assert_eq!(rig.outbox.oldest_track_ms(70), Some(70));
    assert_eq!(rig.balance(), rig.outbox.offered());
    rig.outbox.set_thin(None);
    rig.offer(b"long enough", Class::Bulk, None, 0);
    assert_eq!(rig.poll(0).unwrap(), b"newerlong enough");
}
