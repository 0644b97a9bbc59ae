use super::*;
use proptest::prelude::*;

/// A moment of ours: mono as given, wall right.
const WALL: i64 = 1_780_000_000_000;

fn at(mono_ms: u64) -> Now {
    Now {
        mono_ms,
        wall_ms: WALL + mono_ms.cast_signed(),
    }
}

struct Way {
    skew: Skew,
    frame: Frame,
}

impl Way {
    fn new() -> Self {
        Self {
            skew: Skew::new(64),
            frame: Frame::default(),
        }
    }

    /// Hears an event of a uid made at `made` (our mono) by a clock that is `ahead`; as the router does.
    fn hear(&mut self, uid: u64, made: u64, came: u64, ahead: i64) -> Judgement {
        self.hear_at(uid, at(made).wall_ms + ahead, at(came))
    }

    fn hear_at(&mut self, uid: u64, time: i64, now: Now) -> Judgement {
        let key = uid.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        match self.frame.passes(time, now) {
            true => Judgement::default(),
            false => (self.skew).judge(&mut self.frame, (1, key, true), time, now),
        }
    }

    /// One event a second of one uid from `from` on; gives the last shift.
    fn stream(&mut self, uid: u64, from: u64, events: u64, delay: u64, ahead: i64) -> i64 {
        let heard = (0..events).map(|event| {
            let made = from + event * 1000;
            self.hear(uid, made, made + delay, ahead).shift_ms
        });
        heard.last().unwrap_or(0)
    }
}

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

#[test]
fn clocks_that_agree_are_left_alone() {
    let mut way = Way::new();
    for ahead in [0, 400, -400] {
        for event in 0..500u64 {
            let made = event * 700;
            let delay = 20 + event * 7919 % 300;
            let judged = way.hear(event % 5, made, made + delay, ahead);
            assert_eq!(judged.shift_ms, 0, "{ahead}");
        }
    }
}

#[test]
fn a_clock_that_is_off_is_found_and_its_events_are_made_now() {
    for ahead in [10 * MINUTE, -10 * MINUTE, DAY, -DAY, -WALL + 5000, 30_000] {
        let mut way = Way::new();
        let shift = way.stream(1, 0, 15, 50, ahead);
        assert!((shift + ahead).abs() <= 100, "{ahead}: {shift}");
        // The other uid of the same neighbour is known by its first event; one with the right time is not touched.
        assert!((way.hear(2, 20_000, 20_050, ahead).shift_ms + ahead).abs() <= 100);
        assert_eq!(way.hear(3, 20_000, 20_050, 0).shift_ms, 0);
        let offset = way.frame.offset(at(20_050));
        assert!(
            (offset.offset_ms - ahead).abs() <= 100 && offset.confidence > 0.4,
            "{offset:?}"
        );
    }
}

#[test]
fn a_clock_ahead_is_found_by_three_events() {
    let mut way = Way::new();
    assert_eq!(
        way.hear(1, 0, 50, 10 * MINUTE),
        Judgement {
            shift_ms: 0,
            doubtful: true
        }
    );
    assert_eq!(way.stream(1, 1000, 1, 50, 10 * MINUTE), 0);
    assert!((way.stream(1, 2000, 1, 50, 10 * MINUTE) + 10 * MINUTE).abs() <= 100);
}

#[test]
fn a_time_in_the_future_that_stands_still_is_a_plan_and_no_clock() {
    let mut way = Way::new();
    let planned = at(0).wall_ms + 10 * MINUTE;
    for event in 0..50 {
        let judged = way.hear_at(1, planned, at(event * 200));
        assert_eq!(judged.shift_ms, 0, "{event}");
    }
}

#[test]
fn a_clock_ahead_is_found_although_its_events_come_irregularly() {
    let mut way = Way::new();
    for (event, delay) in [20, 800, 300].into_iter().enumerate() {
        let made = event as u64 * 1000;
        let shift = way.hear(1, made, made + delay, DAY).shift_ms;
        assert_eq!(shift != 0, event == 2);
    }
}

#[test]
fn a_step_while_connected_is_found_within_four_events() {
    for (before, after) in [
        (0, 10 * MINUTE),
        (0, -10 * MINUTE),
        (10 * MINUTE, 0),
        (-10 * MINUTE, 0),
        (10 * MINUTE, -DAY),
        (0, 20_000),
        (0, -20_000),
    ] {
        let mut way = Way::new();
        let shift = way.stream(1, 0, 60, 50, before);
        assert!((shift + before).abs() <= 100, "{before}: {shift}");
        let shift = way.stream(1, 60_000, 4, 50, after);
        assert!((shift + after).abs() <= 100, "{before} {after}: {shift}");
    }
}

#[test]
fn a_satellite_is_not_a_clock() {
    let mut way = Way::new();
    for event in 0..20_000u64 {
        let made = event * 1000;
        // Delay changes between 2 s and 2.6 s, mostly quick.
        let delay = 2000 + (event * 7919 % 600) * (event % 2);
        assert_eq!(
            way.hear(event % 3, made, made + delay, 0).shift_ms,
            0,
            "{event}"
        );
    }
    // Then the same peer by a cable, and by satellite again.
    assert_eq!(way.stream(1, 20_000_000, 600, 30, 0), 0);
    assert_eq!(way.stream(1, 20_600_000, 6_000, 2_500, 0), 0);
}

#[test]
fn a_backlog_is_not_a_clock() {
    for (seconds, pace) in [
        (60u64, 0u64),
        (60, 100),
        (60, 900),
        (3600, 1),
        (3600 * 20, 2),
        (3600, 900),
    ] {
        let mut way = Way::new();
        way.stream(1, 0, 30, 50, 0);
        let begin = 30_000 + seconds * 1000;
        // What was made during the outage comes at once, or in its turn every `pace` ms, and live events behind it.
        let mut came = begin;
        for second in 0..seconds {
            let made = 30_000 + second * 1000;
            for uid in [1, 2] {
                assert_eq!(
                    way.hear(uid, made, came, 0).shift_ms,
                    0,
                    "{seconds} {pace} {second}"
                );
            }
            came += pace;
        }
        assert_eq!(way.stream(1, came, 30, 50, 0), 0);
        assert_eq!(way.stream(2, came, 30, 50, 0), 0);
    }
}

#[test]
fn a_standing_queue_of_a_minute_is_not_a_clock() {
    let mut way = Way::new();
    assert_eq!(way.stream(1, 0, 1000, 60_000, 0), 0);
    assert_eq!(way.stream(1, 1_060_000, 300, 50, 0), 0);
    assert_eq!(way.stream(1, 1_360_000, 1000, 60_000, 0), 0);
}

#[test]
fn what_expired_while_its_clock_was_off_stays_expired() {
    let mut way = Way::new();
    way.stream(1, 0, 30, 50, -10 * MINUTE);
    // Made 60 s before it comes, good for 20 s: moved by ten minutes it is still 40 s too old.
    let shift = way.hear(1, 30_000, 90_000, -10 * MINUTE).shift_ms;
    let stale = at(30_000).wall_ms - 10 * MINUTE + 20_000 + shift;
    assert!(stale < at(90_000).wall_ms - 39_000);
}

#[test]
fn drift_is_followed_either_way() {
    for ppm in [100i64, -100] {
        for begin in [0i64, 10 * MINUTE, -10 * MINUTE] {
            let mut way = Way::new();
            // Two days, an event every 2 s.
            let mut worst = 0;
            for event in 0..86_400u64 {
                let made = event * 2000;
                let ahead = begin + made.cast_signed() * ppm / 1_000_000;
                let delay = 30 + event * 7919 % 40;
                let shift = way.hear(1, made, made + delay, ahead).shift_ms;
                if made > 20_000 {
                    worst = worst.max((shift + ahead).abs());
                }
            }
            assert!(worst <= 800, "{ppm} {begin}: {worst}");
        }
    }
}

#[test]
fn when_our_clock_is_set_right_everything_is_known_at_once() {
    let mut way = Way::new();
    // We are in 1970, they are right.
    let early = |mono_ms| Now {
        mono_ms,
        wall_ms: mono_ms.cast_signed(),
    };
    for event in 0..20u64 {
        let shift = way
            .hear_at(
                1,
                WALL + event.cast_signed() * 1000,
                early(event * 1000 + 50),
            )
            .shift_ms;
        assert_eq!(
            shift < -WALL + 200 && shift > -WALL - 200,
            event >= 2,
            "{event}: {shift}"
        );
    }
    assert_eq!(way.hear(1, 20_000, 20_050, 0).shift_ms, 0);
    assert_eq!(way.hear(2, 20_000, 20_050, 0).shift_ms, 0);
}

#[test]
fn a_box_that_tells_its_time_is_believed_and_its_events_are_not_judged() {
    let mut way = Way::new();
    let tell = |way: &mut Way, ahead: i64, mono: u64| {
        let least = WALL + ahead - 20;
        let sample = Sample {
            least,
            most: least + 40,
            round_trip_ms: 40,
            ..Sample::default()
        };
        way.frame.hear(&sample, at(mono))
    };
    tell(&mut way, -10 * MINUTE, 0);
    // The first event, and an old one.
    for made in [1000, 0] {
        let shift = way.hear(1, made, 1050, -10 * MINUTE).shift_ms;
        assert!((shift - 10 * MINUTE).abs() <= 20);
    }
    // One of a device whose clock the box does not know yet.
    assert_eq!(way.hear(1, 1000, 1050, 0).shift_ms, 0);
    assert!(tell(&mut way, 0, 8000), "a step");
    assert_eq!(way.hear(1, 9000, 9050, 0).shift_ms, 0);
    assert!(way.frame.offset(at(9050)).exchanged);
    // Another program with the same name comes: it does not tell, and is judged by its events.
    way.frame.begin(at(100_000));
    assert_eq!(way.stream(1, 140_000, 20, 50, 0), 0);
    assert!((way.stream(1, 160_000, 20, 50, 10 * MINUTE) + 10 * MINUTE).abs() <= 100);
    assert!(!way.frame.offset(at(180_000)).exchanged);
}

#[test]
fn a_slow_way_there_and_a_quick_way_back_are_no_clock() {
    let mut frame = Frame::default();
    let mut skew = Skew::new(4);
    // 2 s there, 10 ms back: the middle is a second off, and the truth still in the range.
    let sample = Sample {
        least: WALL - 2005,
        most: WALL + 5,
        round_trip_ms: 2010,
        ..Sample::default()
    };
    frame.hear(&sample, at(0));
    let judged = skew.judge(&mut frame, (1, 1, true), at(0).wall_ms, at(2010));
    assert_eq!(judged.shift_ms, 0);
    assert!(frame.offset(at(2010)).confidence < 0.5);
}

#[test]
fn the_table_is_bounded_and_those_that_are_off_keep_their_places() {
    let mut way = Way::new();
    for second in 0..20u64 {
        for uid in 1..=3 {
            way.hear(uid, second * 1000, second * 1000 + 50, -10 * MINUTE);
        }
        for uid in 100..110 {
            way.hear(uid, second * 1000, second * 1000 + 50, 0);
        }
    }
    for uid in 1000..20_000 {
        way.hear(uid, 20_000, 20_050, 0);
        way.hear(uid, 20_000, 20_050, 77_777_000 + uid.cast_signed() * 5000);
    }
    for uid in 1..=3 {
        let shift = way.hear(uid, 21_000, 21_050, -10 * MINUTE).shift_ms;
        assert!((shift - 10 * MINUTE).abs() <= 100);
    }
    assert_eq!(way.skew.sources.len(), 64);
    assert_eq!(Skew::bytes(64), 64 * 72);
}

#[test]
fn a_device_that_goes_to_another_link_is_still_known() {
    let mut way = Way::new();
    way.stream(1, 0, 20, 50, DAY);
    way.skew.disown(1);
    way.frame = Frame::default();
    assert!((way.stream(1, 30_000, 1, 50, DAY) + DAY).abs() <= 100);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Clocks agree: whatever the delays up to two minutes, outages and bursts, nothing is touched.
    #[test]
    fn no_delay_is_taken_for_a_clock(
        steps in proptest::collection::vec((0u64..5, 1u64..20_000, 0u64..100_000), 1..300),
    ) {
        let mut way = Way::new();
        let (mut made, mut came) = (0, 0);
        for (uid, pause, delay) in steps {
            made += pause;
            // First in, first out.
            came = (made + delay).max(came);
            prop_assert_eq!(way.hear(uid, made, came, 0).shift_ms, 0);
        }
    }

    /// A clock is off by anything: once a shift is given it is right to a second, however late single events are.
    #[test]
    fn a_shift_is_right_or_none(
        ahead in prop_oneof![-DAY * 40..-3 * MINUTE, 1000..DAY * 40],
        jitter in proptest::collection::vec(0u64..200, 60),
        late in 0u64..30,
    ) {
        let mut way = Way::new();
        let mut last = 0;
        for (event, jitter) in (0u64..).zip(&jitter) {
            let made = event * 1000;
            let held = if event == late { 9_000 } else { 0 };
            last = way.hear(1, made, made + 20 + jitter + held, ahead).shift_ms;
            prop_assert!(last == 0 || (last + ahead).abs() <= 1000, "{}: {last}", event);
        }
        prop_assert!(last != 0);
    }

    /// Steps anywhere: within a few events the shift is right again.
    #[test]
    fn any_step_is_found(
        first in prop_oneof![Just(0i64), -DAY..-3 * MINUTE, 5000..DAY],
        second in prop_oneof![Just(0i64), -DAY..-3 * MINUTE, 5000..DAY],
    ) {
        prop_assume!((first - second).abs() > 20_000);
        let mut way = Way::new();
        way.stream(1, 0, 40, 50, first);
        let shift = way.stream(1, 40_000, 4, 50, second);
        prop_assert!((shift + second).abs() <= 200, "{first} {second}: {shift}");
    }

    #[test]
    fn no_times_make_it_panic(events in proptest::collection::vec((0u64..9, -62_135_596_800_000i64..253_402_300_799_999, 0u64..100_000, -1000i64..1000), 1..200)) {
        let mut way = Way::new();
        let (mut mono, mut wall) = (0, 0);
        for (uid, time, passed, jump) in events {
            mono += passed;
            wall += passed.cast_signed() + jump * 1_000_000;
            way.hear_at(uid, time, Now { mono_ms: mono, wall_ms: wall });
            way.frame.offset(Now { mono_ms: mono, wall_ms: wall });
        }
    }
}
