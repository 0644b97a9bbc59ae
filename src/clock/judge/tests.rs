use super::*;
use proptest::prelude::*;

const BUILD: i64 = 1_790_000_000_000;
const DAY: i64 = 86_400_000;
/// The truth when the monotonic clock reads zero.
const TRUTH: i64 = BUILD + 100 * DAY;

/// A machine whose sources can be switched.
struct World {
    judge: Judge,
    mono: u64,
    /// The system clock less the truth.
    system_off: i64,
    was_set: bool,
    ntp: bool,
    gps: Option<i64>,
    last_gps: Option<Sighting>,
    peers: Option<i64>,
    rtc_off: Option<i64>,
}

impl World {
    fn new(floor: Floor) -> Self {
        Self {
            judge: Judge::new(BUILD, floor),
            mono: 0,
            system_off: 0,
            was_set: false,
            ntp: false,
            gps: None,
            last_gps: None,
            peers: None,
            rtc_off: None,
        }
    }

    fn truth(&self) -> i64 {
        TRUTH + signed(self.mono)
    }

    fn set(&mut self, off: i64) {
        self.was_set = true;
        self.system_off = off;
    }

    /// The verdict now; a second passes after it.
    fn look(&mut self) -> Verdict {
        let mono_ms = self.mono;
        let sighting = |off: i64, error_ms: u64| Sighting {
            anchor_ms: TRUTH + off,
            error_ms,
            at_ms: mono_ms,
        };
        if let Some(off) = self.gps {
            self.last_gps = Some(sighting(off, 500));
        }
        let seen = Seen {
            mono_ms,
            system_ms: self.truth() + self.system_off,
            was_set: std::mem::take(&mut self.was_set),
            kernel: Some(KernelClock {
                is_synchronised: self.ntp,
                largest_error_us: 50_000,
                ..KernelClock::default()
            }),
            gps: self.last_gps,
            peers: self.peers.map(|off| sighting(off, 200)),
            rtc_ms: self.rtc_off.map(|off| self.truth() + off),
        };
        let verdict = self.judge.judge(&seen);
        self.mono += 1_000;
        verdict
    }

    fn after(&mut self, seconds: u32) -> Verdict {
        for _ in 1..seconds {
            self.look();
        }
        self.look()
    }

    /// How far the box's time is from the truth.
    fn error(&self, verdict: &Verdict) -> i64 {
        verdict.wall_ms - (self.truth() - 1_000)
    }
}

fn floor(certain_ms: i64, known_ms: i64) -> Floor {
    Floor {
        certain_ms,
        known_ms,
    }
}

#[test]
fn each_source_has_its_quality_and_the_best_one_counts() {
    let mut world = World::new(Floor::default());
    assert_eq!(world.look().quality, Quality::Build);
    world.rtc_off = Some(2_000);
    assert_eq!(world.after(5).quality, Quality::Rtc);
    world.peers = Some(100);
    assert_eq!(world.after(5).quality, Quality::Peers);
    world.ntp = true;
    let verdict = world.after(5);
    assert_eq!(
        (verdict.quality, verdict.error_ms),
        (Quality::Ntp, Some(50))
    );
    world.gps = Some(-200);
    let verdict = world.after(5);
    assert_eq!(
        (verdict.quality, verdict.error_ms),
        (Quality::Gps, Some(500))
    );
    assert_eq!(
        verdict.follows,
        Follows::System,
        "they agree: nothing moves"
    );
    assert_eq!(world.error(&verdict), 0);
    world.gps = None;
    assert_eq!(world.after(20).quality, Quality::Gps, "fresh for 30 s");
    assert_eq!(world.after(20).quality, Quality::Ntp);
}

#[test]
fn a_box_that_boots_in_1970_goes_by_the_last_known_time_and_says_so() {
    let known = TRUTH - 3 * DAY;
    let mut world = World::new(floor(known - DAY, known));
    world.system_off = -TRUTH;
    let verdict = world.look();
    assert_eq!(verdict.quality, Quality::Floor);
    assert!(verdict.system_is_implausible);
    assert_eq!(verdict.wall_ms, known);
    assert_eq!(world.after(60).wall_ms, known + 60_000, "it is counted on");
    // Nothing was ever kept: the release was built some day.
    let mut new = World::new(Floor::default());
    new.system_off = -TRUTH;
    let verdict = new.look();
    assert_eq!((verdict.quality, verdict.wall_ms), (Quality::Build, BUILD));
    assert_eq!(new.after(60).quality, Quality::Build);
    // A battery-backed clock knows better; one with a flat battery does not.
    new = World::new(floor(known, known));
    (new.system_off, new.rtc_off) = (-TRUTH, Some(1_500));
    let verdict = new.look();
    assert_eq!(
        (verdict.quality, new.error(&verdict)),
        (Quality::Rtc, 1_500)
    );
    new = World::new(floor(known, known));
    (new.system_off, new.rtc_off) = (-TRUTH, Some(946_684_800_000 - TRUTH));
    assert_eq!(new.look().quality, Quality::Floor);
}

#[test]
fn gps_corrects_a_clock_in_1970_at_once_and_ntp_takes_over_later() {
    let mut world = World::new(Floor::default());
    world.system_off = -TRUTH;
    world.after(10);
    world.gps = Some(0);
    let verdict = world.look();
    assert_eq!(world.error(&verdict), 0);
    assert_eq!(world.after(4).quality, Quality::Gps);
    // The sky is hidden: what GPS said is counted on, and its error grows.
    world.gps = None;
    let verdict = world.after(3_600);
    assert_eq!((verdict.quality, world.error(&verdict)), (Quality::Gps, 0));
    assert!(verdict.error_ms > Some(800) && verdict.age_ms > Some(3_590_000));
    // chrony comes up and sets the system clock.
    world.set(30);
    world.ntp = true;
    let verdict = world.after(10);
    assert_eq!(verdict.quality, Quality::Ntp);
    assert_eq!(
        (verdict.follows, world.error(&verdict)),
        (Follows::System, 30)
    );
}

#[test]
fn a_plainly_wrong_clock_gives_way_after_three_seconds_a_synchronised_one_after_ten() {
    for (ntp, patience) in [(false, 3), (true, 10)] {
        let mut world = World::new(Floor::default());
        world.ntp = ntp;
        world.system_off = 60_000;
        world.after(5);
        world.gps = Some(0);
        let verdict = world.after(patience);
        assert_eq!(verdict.follows, Follows::System, "{patience}");
        let verdict = world.after(2);
        assert_eq!(verdict.follows, Follows::Anchor(TRUTH));
        assert_eq!(world.after(5).quality, Quality::Gps);
        // Hidden again: the clock that was shown to be wrong is not right again.
        world.gps = None;
        let verdict = world.after(120);
        assert_eq!(world.error(&verdict), 0);
        // Put right.
        world.set(0);
        assert_eq!(world.after(10).follows, Follows::System);
    }
}

#[test]
fn a_difference_below_a_second_moves_nothing() {
    let mut world = World::new(Floor::default());
    for off in [-900, 900] {
        world.system_off = off;
        world.gps = Some(0);
        assert_eq!(world.after(60).follows, Follows::System);
    }
}

#[test]
fn a_clock_that_is_set_wrong_after_it_was_synchronised_is_not_followed() {
    let mut world = World::new(Floor::default());
    world.ntp = true;
    world.after(10);
    // The kernel calls it unsynchronised as soon as somebody sets it.
    world.ntp = false;
    world.set(-DAY);
    let verdict = world.look();
    assert_eq!(world.error(&verdict), 0, "not for a moment");
    assert_eq!(world.after(600).quality, Quality::Ntp, "counted on");
    world.set(0);
    assert_eq!(world.after(5).follows, Follows::System);
    // Without any source a person is believed.
    let mut world = World::new(floor(BUILD, TRUTH - DAY));
    world.system_off = 400 * DAY;
    world.after(10);
    world.set(0);
    let verdict = world.look();
    assert_eq!(world.error(&verdict), 0);
    assert!(world.judge.floor().known_ms < TRUTH + DAY, "and remembered");
    // But not back before what is certain.
    world.set(-200 * DAY);
    let verdict = world.look();
    assert_eq!(world.error(&verdict), 0);
    assert!(verdict.system_is_implausible);
}

#[test]
fn the_time_of_the_last_shutdown_is_no_better_than_what_the_box_knew() {
    // A clock file or a restored image: plausible, and older than what the box went by.
    let mut world = World::new(floor(BUILD, TRUTH - 60_000));
    world.system_off = -10 * DAY;
    let verdict = world.look();
    assert_eq!(world.error(&verdict), -60_000);
    // Unless a clock that ran on says the same.
    let mut world = World::new(floor(BUILD, TRUTH + 500 * DAY));
    world.rtc_off = Some(0);
    let verdict = world.look();
    assert_eq!((world.error(&verdict), verdict.quality), (0, Quality::Rtc));
}

#[test]
fn a_source_that_cannot_be_right_is_not_believed() {
    let mut world = World::new(Floor::default());
    world.gps = Some(-1024 * 7 * DAY);
    assert_eq!(world.after(30).quality, Quality::Build);
    world.gps = None;
    world.ntp = true;
    world.set(-TRUTH);
    let verdict = world.after(10);
    assert_ne!(verdict.quality, Quality::Ntp, "synchronised to 1970");
    assert!(verdict.wall_ms >= BUILD);
}

#[test]
fn a_source_that_comes_and_goes_does_not_make_the_quality_flap() {
    let mut world = World::new(Floor::default());
    world.ntp = true;
    world.after(10);
    let mut changes = 0;
    let mut last = Quality::Ntp;
    for second in 0..600 {
        world.gps = (second % 7 < 2).then_some(0);
        let quality = world.look().quality;
        changes += u32::from(quality != last);
        last = quality;
    }
    assert_eq!((changes, last), (1, Quality::Gps));
}

#[test]
fn only_gps_and_ntp_raise_what_is_certain_and_it_never_goes_back() {
    let mut world = World::new(Floor::default());
    world.after(10);
    assert_eq!(world.judge.floor().certain_ms, 0);
    world.peers = Some(0);
    world.after(10);
    assert_eq!(world.judge.floor().certain_ms, 0);
    world.ntp = true;
    world.after(10);
    let certain = world.judge.floor().certain_ms;
    assert!(certain > TRUTH);
    world.system_off = -4_000;
    world.after(10);
    assert!(world.judge.floor().certain_ms >= certain);
}

#[test]
fn a_known_time_from_a_wrong_clock_yields_to_gps() {
    let mut world = World::new(floor(BUILD, TRUTH + 900 * DAY));
    let verdict = world.look();
    assert_eq!(world.error(&verdict), 900 * DAY, "nobody knows better");
    world.gps = Some(0);
    let verdict = world.after(10);
    assert_eq!((world.error(&verdict), verdict.quality), (0, Quality::Gps));
    assert!(world.judge.floor().known_ms < TRUTH + DAY);
}

#[derive(Debug, Clone)]
enum Happening {
    Set(i64),
    Ntp(bool),
    Gps(Option<i64>),
    Peers(Option<i64>),
    Rtc(Option<i64>),
    Pass(u32),
}

fn happening() -> impl Strategy<Value = Happening> {
    let off = prop_oneof![-2_000..2_000_i64, -400 * DAY..400 * DAY, Just(-TRUTH)];
    let maybe = proptest::option::of(off.clone());
    prop_oneof![
        off.prop_map(Happening::Set),
        any::<bool>().prop_map(Happening::Ntp),
        maybe.clone().prop_map(Happening::Gps),
        maybe.clone().prop_map(Happening::Peers),
        maybe.prop_map(Happening::Rtc),
        (1_u32..40).prop_map(Happening::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens: the time is never before the floor or decades after the build, what is certain never goes
    /// back, and a GPS that has been right and steady for half a minute wins.
    #[test]
    fn the_laws_hold(happenings in proptest::collection::vec(happening(), 1..40)) {
        let mut world = World::new(Floor::default());
        let mut certain = 0;
        for happening in happenings {
            let mut pass = 1;
            match happening {
                Happening::Set(off) => world.set(off),
                Happening::Ntp(on) => world.ntp = on,
                Happening::Gps(off) => world.gps = off,
                Happening::Peers(off) => world.peers = off,
                Happening::Rtc(off) => world.rtc_off = off,
                Happening::Pass(seconds) => pass = seconds,
            }
            for _ in 0..pass {
                let lowest = BUILD.max(certain.min(BUILD + LONGEST_MS));
                let verdict = world.look();
                let from_gps = matches!(verdict.quality, Quality::Gps | Quality::Peers);
                if !from_gps {
                    prop_assert!(verdict.wall_ms >= BUILD.min(lowest) - FLOOR_SLACK_MS, "{verdict:?}");
                }
                prop_assert!(verdict.wall_ms <= BUILD + LONGEST_MS + 3_600_000);
                prop_assert!(world.judge.floor().certain_ms >= certain);
                certain = world.judge.floor().certain_ms;
            }
        }
        world.gps = Some(0);
        let verdict = world.after(40);
        prop_assert_eq!(verdict.quality, Quality::Gps);
        prop_assert!(world.error(&verdict).abs() <= 3_000, "{:?}", verdict);
    }
}
