//! What keeps a link alive, and when: the schedule. Pure; whoever asks says what is known, and performs the answer.
//!
//! Three things cross an idle link, each for a reason of its own:
//!
//! | what | why | how often |
//! |---|---|---|
//! | `HealthCheck` | a TAK Server cuts who is silent for 15 s | 3 s, whatever else is set |
//! | HTTP/2 PING, between our own boxes | end to end, also through a satellite's TCP accelerator, and a third of the bytes | the interval |
//! | TCP keepalive, `TCP_USER_TIMEOUT` | the kernel notices a dead line even if nobody else looks | the interval |
//!
//! Health checks every 3 s keep any NAT's entry anyway. On an uplink where bytes are dear they are most of what an idle
//! link sends (some 9 MB a day), so two boxes stretch them there to the *interval*: 70 % of the idle timeout that was
//! learned for the uplink, or `keepalive_seconds`. The accepting side is told ([`Announcement`]), and waits two
//! intervals instead of 15 s. With PINGs running, the interval is theirs and health checks come four times rarer.
//!
//! A dead line is noticed within two intervals on either side (dialling side: an answer is overdue; accepting side: two
//! checks are missing, or three kernel probes stay unanswered), where an interval is five seconds or longer.

use std::time::Duration;

/// Seconds between TCP keepalive probes when nothing is configured and nothing was learned.
pub const DEFAULT_SECONDS: u32 = 60;

/// Of an idle timeout, what is used, per cent: the rest is for late timers and lost packets.
const SHARE_PERCENT: u32 = 70;
/// Shortest and longest interval that is ever used by itself.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// An answer may take this long at least, and on a stretched link this long at most.
const LEAST_DEADLINE: Duration = Duration::from_secs(5);
const MOST_DEADLINE: Duration = Duration::from_secs(15);
/// Health checks are so many times rarer than PINGs where those run.
const CHECKS_PER_PINGS: u32 = 4;
/// Unanswered probes before the kernel gives a connection up, a quarter of an interval apart.
const PROBES: u32 = 3;
/// Unacknowledged bytes have at least two intervals up to this, and never less than the shortest deadline: short
/// outages are ridden out.
const LEAST_UNACKNOWLEDGED: Duration = Duration::from_secs(15);
/// What Linux takes for its keepalive timers, seconds.
const MOST_KERNEL_SECONDS: u64 = 32_767;
/// Longest stretch that is believed when a peer announces it.
const MOST_ANNOUNCED: Duration = Duration::from_secs(3600);

/// What is known of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// The peer is a box of ours.
    pub is_box: bool,
    /// Bytes are dear here: a metered uplink, or a peer or uplink with a `rate`.
    pub is_thin: bool,
    /// `keepalive_seconds` of the peer or else of the uplink, 1 to 32,767.
    pub configured: Option<u32>,
    /// Idle time that the uplink's NAT was seen to bear.
    pub idle_timeout: Option<Duration>,
    /// HTTP/2 PINGs run on this connection.
    pub has_pings: bool,
}

/// Where an interval comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// `keepalive_seconds`.
    Configured,
    /// 70 % of what was learned.
    Learned,
    /// Neither.
    Default,
}

impl Origin {
    /// The word that `status` shows.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Learned => "learned",
            Self::Default => "default",
        }
    }
}

/// What to do on a connection that we dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// An idle line carries something at least so often.
    pub interval: Duration,
    /// Why that often.
    pub origin: Origin,
    /// Between two health checks.
    pub health_every: Duration,
    /// Each of them must be answered within this.
    pub health_deadline: Duration,
    /// What the accepting side is to know; none = health checks come as every federate's do.
    pub announcement: Option<Announcement>,
    /// The kernel's part.
    pub probes: Probes,
}

impl Plan {
    /// The schedule of a connection that we dialled. `usual` is the pause between health checks that every federate
    /// understands, milliseconds to seconds.
    pub fn of(facts: &Facts, usual: Duration) -> Self {
        let (interval, origin) = interval(facts);
        let stretched = stretches(facts, origin);
        let health_every = match (stretched, facts.has_pings) {
            (false, _) => usual,
            (true, false) => interval,
            (true, true) => (interval * CHECKS_PER_PINGS).min(LONGEST.max(interval)),
        };
        Self {
            interval,
            origin,
            health_every,
            health_deadline: deadline(health_every),
            announcement: stretched.then_some(Announcement {
                interval,
                health_every,
            }),
            probes: Probes::of(interval),
        }
    }

    /// Whether health checks are stretched beyond what a TAK Server would bear.
    pub fn is_stretched(&self) -> bool {
        self.announcement.is_some()
    }
}

/// How often to send HTTP/2 PINGs, and how long to wait for their answers; none = not at all, as towards anything that
/// is no box (a gRPC server ends the connection of a client that pings it).
pub fn pings(facts: &Facts) -> Option<(Duration, Duration)> {
    let (interval, origin) = interval(facts);
    stretches(facts, origin).then(|| (interval, deadline(interval)))
}

/// An operator who names seconds for a box means them; otherwise only where bytes are dear.
fn stretches(facts: &Facts, origin: Origin) -> bool {
    facts.is_box
        && match origin {
            Origin::Configured => true,
            Origin::Learned => facts.is_thin,
            Origin::Default => false,
        }
}

fn interval(facts: &Facts) -> (Duration, Origin) {
    match (facts.configured, facts.idle_timeout) {
        (Some(seconds), _) => (seconds_of(seconds), Origin::Configured),
        (None, Some(timeout)) => (share_of(timeout), Origin::Learned),
        (None, None) => (seconds_of(DEFAULT_SECONDS), Origin::Default),
    }
}

/// Seconds as configured, within what the kernel takes.
pub fn seconds_of(seconds: u32) -> Duration {
    Duration::from_secs(u64::from(seconds).clamp(1, MOST_KERNEL_SECONDS))
}

/// What is used of an idle timeout.
pub fn share_of(timeout: Duration) -> Duration {
    (timeout * SHARE_PERCENT / 100).clamp(SHORTEST, LONGEST)
}

fn deadline(every: Duration) -> Duration {
    every.clamp(LEAST_DEADLINE, MOST_DEADLINE)
}

/// What a box that dials tells the one that accepts, as a header of its health checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// Something crosses at least so often.
    pub interval: Duration,
    /// A health check comes so often.
    pub health_every: Duration,
}

impl Announcement {
    /// As it stands in the header: both in milliseconds.
    pub fn text(&self) -> String {
        let (interval, health) = (self.interval.as_millis(), self.health_every.as_millis());
        format!("{interval} {health}")
    }

    /// Reads the header; none for anything that is not two times of up to an hour, the second not below the first.
    pub fn parse(text: &str) -> Option<Self> {
        let (interval, health) = text.split_once(' ')?;
        let time = |text: &str| {
            let digits = text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
            let time = Duration::from_millis(digits.then(|| text.parse().ok())??);
            (Duration::from_millis(1)..=MOST_ANNOUNCED)
                .contains(&time)
                .then_some(time)
        };
        let (interval, health_every) = (time(interval)?, time(health)?);
        (interval <= health_every).then_some(Self {
            interval,
            health_every,
        })
    }

    /// How long the accepting side waits for the next health check before it cuts the connection.
    pub fn patience(&self) -> Duration {
        (self.health_every * 2).max(self.health_every + LEAST_DEADLINE)
    }

    /// The accepting side's part of the kernel: it probes only if the dialling side has not been heard on time.
    pub fn probes(&self) -> Probes {
        Probes::after(self.interval * 5 / 4, self.interval)
    }
}

/// The kernel's part, as it takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probes {
    /// Idle time before the first probe.
    pub after: Duration,
    /// Between two probes.
    pub every: Duration,
    /// Unanswered ones before the connection is given up.
    pub count: u32,
    /// Bytes unacknowledged, or probes unanswered, for so long end the connection.
    pub user_timeout: Duration,
}

impl Probes {
    /// For an interval: a dead line is given up in seven quarters of it, or in two where that is 15 s at most.
    pub fn of(interval: Duration) -> Self {
        Self::after(interval, interval)
    }

    fn after(after: Duration, interval: Duration) -> Self {
        let (after, every) = (whole(after), whole(interval / 4));
        Self {
            after,
            every,
            count: PROBES,
            user_timeout: (after + every * PROBES)
                .max((interval * 2).min(LEAST_UNACKNOWLEDGED))
                .max(LEAST_DEADLINE),
        }
    }
}

/// The kernel counts in whole seconds.
fn whole(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs().clamp(1, MOST_KERNEL_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const USUAL: Duration = Duration::from_secs(3);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn facts(is_box: bool, is_thin: bool, learned: Option<u64>) -> Facts {
        Facts {
            is_box,
            is_thin,
            idle_timeout: learned.map(seconds),
            ..Facts::default()
        }
    }

    #[test]
    fn a_tak_server_is_asked_every_three_seconds_whatever_is_set() {
        for is_thin in [false, true] {
            for configured in [None, Some(1), Some(600)] {
                let facts = Facts {
                    configured,
                    ..facts(false, is_thin, Some(300))
                };
                let plan = Plan::of(&facts, USUAL);
                assert_eq!(plan.health_every, USUAL);
                assert_eq!(plan.announcement, None);
                assert_eq!(pings(&facts), None, "a gRPC server ends such a connection");
            }
        }
    }

    #[test]
    fn between_boxes_only_dear_bytes_are_saved() {
        let plan = |facts| Plan::of(&facts, USUAL);
        assert_eq!(plan(facts(true, false, Some(300))).health_every, USUAL);
        assert_eq!(plan(facts(true, true, None)).health_every, USUAL);
        let thin = plan(facts(true, true, Some(300)));
        assert_eq!(thin.health_every, seconds(210));
        assert_eq!(thin.origin, Origin::Learned);
        assert_eq!(thin.health_deadline, seconds(15));
    }

    #[test]
    fn what_is_configured_goes_before_what_was_learned() {
        let named = Facts {
            configured: Some(40),
            ..facts(true, false, Some(300))
        };
        let plan = Plan::of(&named, USUAL);
        assert_eq!(
            (plan.interval, plan.health_every),
            (seconds(40), seconds(40))
        );
        assert_eq!(plan.origin, Origin::Configured);
    }

    #[test]
    fn pings_carry_the_interval_and_health_checks_come_rarer() {
        let facts = Facts {
            has_pings: true,
            ..facts(true, true, Some(100))
        };
        assert_eq!(pings(&facts), Some((seconds(70), seconds(15))));
        let plan = Plan::of(&facts, USUAL);
        assert_eq!(plan.health_every, seconds(280));
        assert_eq!(plan.interval, seconds(70));
        let announced = plan.announcement.unwrap();
        assert_eq!(announced.patience(), seconds(560));
        assert_eq!(announced.probes().user_timeout, seconds(87 + 3 * 17));
    }

    #[test]
    fn announcements_are_read_as_written_and_nothing_else() {
        let announced = Announcement {
            interval: Duration::from_millis(4_200),
            health_every: seconds(17),
        };
        assert_eq!(announced.text(), "4200 17000");
        assert_eq!(Announcement::parse(&announced.text()), Some(announced));
        for wrong in [
            "",
            "4200",
            "17000 4200",
            "0 5",
            "-1 5",
            "+1 5",
            "1 3600001",
            "1 2 3",
            "1 99999999999",
            "a b",
        ] {
            assert_eq!(Announcement::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn odd_settings_stay_in_what_the_system_takes() {
        for (configured, interval) in [(0, 1), (40, 40), (u32::MAX, 32_767)] {
            let facts = Facts {
                configured: Some(configured),
                ..Facts::default()
            };
            assert_eq!(Plan::of(&facts, USUAL).probes.after, seconds(interval));
        }
    }

    proptest! {
        /// A dead line is noticed within two intervals (of five seconds and more), on either side, and an idle line
        /// carries something well before its NAT forgets it.
        #[test]
        fn two_intervals_are_enough(
            timeout in 10u64..1300, is_thin in any::<bool>(), has_pings in any::<bool>(),
        ) {
            let facts = Facts { has_pings, ..facts(true, is_thin, Some(timeout)) };
            let plan = Plan::of(&facts, USUAL);
            let two = plan.interval * 2;
            prop_assert!(plan.interval * 100 <= seconds(timeout) * 71);
            // Dialling side: the next PING or check, and its answer overdue.
            let noticed = match (pings(&facts), has_pings) {
                (Some((every, wait)), true) => every + wait,
                _ => plan.health_every + plan.health_deadline,
            };
            prop_assert!(noticed <= two.max(USUAL + LEAST_DEADLINE), "{noticed:?} {plan:?}");
            // Accepting side: checks that are missing, or the kernel.
            if let Some(announced) = plan.announcement {
                let kernel = announced.probes().user_timeout;
                let noticed = announced.patience().min(kernel);
                prop_assert!(noticed <= two, "{noticed:?} {plan:?}");
            }
        }

        #[test]
        fn any_header_at_all_is_no_panic(text in ".{0,40}") {
            let _ = Announcement::parse(&text);
        }
    }
}
