//! What the eye sees: each pattern as steps of lit and dark.

/// One step of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Lit or dark.
    pub lit: bool,
    /// How long, milliseconds.
    pub ms: u64,
}

/// Where a pattern is at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Which step of the cycle it is, from 0.
    pub index: usize,
    /// The step.
    pub step: Step,
    /// How much of it is over, milliseconds; less than its length.
    pub into_ms: u64,
}

/// A pattern. `tests/image/led_decode.py` knows the same ones by the same words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pattern {
    /// Dark.
    Off,
    /// Lit.
    Steady,
    /// Lit, dark for an instant every 4 s.
    Wink,
    /// 1 s lit, 1 s dark.
    Slow,
    /// 0.3 s, 0.3 s.
    Medium,
    /// 0.1 s, 0.1 s.
    Fast,
    /// 0.05 s, 0.05 s.
    Flicker,
    /// Two short pulses, every 1.5 s.
    Double,
    /// So many blinks (2 to 10) of 0.3 s, then a pause of 1.5 s.
    Blinks(u8),
}

/// Length of a blink and of the dark between two of one group, milliseconds.
const BLINK_MS: u64 = 300;
/// The dark between two groups of blinks, milliseconds.
const PAUSE_MS: u64 = 1500;

impl Pattern {
    /// What the kernel shows when nobody drives the LED any more.
    pub const ABANDONED: Self = Self::Blinks(10);

    /// Every pattern.
    pub const ALL: [Self; 17] = [
        Self::Off,
        Self::Steady,
        Self::Wink,
        Self::Slow,
        Self::Medium,
        Self::Fast,
        Self::Flicker,
        Self::Double,
        Self::Blinks(2),
        Self::Blinks(3),
        Self::Blinks(4),
        Self::Blinks(5),
        Self::Blinks(6),
        Self::Blinks(7),
        Self::Blinks(8),
        Self::Blinks(9),
        Self::Blinks(10),
    ];

    /// One word that scripts may rely on.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Steady => "steady",
            Self::Wink => "wink",
            Self::Slow => "slow",
            Self::Medium => "medium",
            Self::Fast => "fast",
            Self::Flicker => "flicker",
            Self::Double => "double",
            Self::Blinks(0..=2) => "blinks_2",
            Self::Blinks(3) => "blinks_3",
            Self::Blinks(4) => "blinks_4",
            Self::Blinks(5) => "blinks_5",
            Self::Blinks(6) => "blinks_6",
            Self::Blinks(7) => "blinks_7",
            Self::Blinks(8) => "blinks_8",
            Self::Blinks(9) => "blinks_9",
            Self::Blinks(10..) => "blinks_10",
        }
    }

    /// How it looks, in words for people.
    pub fn in_words(self) -> String {
        match self {
            Self::Off => "off".into(),
            Self::Steady => "steady".into(),
            Self::Wink => "steady with a wink every 4 s".into(),
            Self::Slow => "1 s on, 1 s off".into(),
            Self::Medium => "0.3 s on, 0.3 s off".into(),
            Self::Fast => "0.1 s on, 0.1 s off".into(),
            Self::Flicker => "0.05 s on, 0.05 s off".into(),
            Self::Double => "double pulse".into(),
            Self::Blinks(count) => format!("{} blinks and a pause", count.clamp(2, 10)),
        }
    }

    /// Whether it never changes, and if so whether it is lit.
    pub const fn still(self) -> Option<bool> {
        match self {
            Self::Off => Some(false),
            Self::Steady => Some(true),
            _ => None,
        }
    }

    /// One cycle, from its beginning. A pattern that never changes is one step of a second.
    pub fn steps(self) -> impl Iterator<Item = Step> + Clone {
        let steps: &[(bool, u64)] = match self {
            Self::Off => &[(false, 1000)],
            Self::Steady => &[(true, 1000)],
            Self::Wink => &[(true, 3800), (false, 200)],
            Self::Slow => &[(true, 1000), (false, 1000)],
            Self::Medium => &[(true, 300), (false, 300)],
            Self::Fast => &[(true, 100), (false, 100)],
            Self::Flicker => &[(true, 50), (false, 50)],
            Self::Double => &[(true, 150), (false, 150), (true, 150), (false, 1050)],
            Self::Blinks(_) => &[],
        };
        let blinks = match self {
            Self::Blinks(count) => count.clamp(2, 10),
            _ => 0,
        };
        let group = (1..=blinks).flat_map(move |blink| {
            let after = if blink == blinks { PAUSE_MS } else { BLINK_MS };
            [(true, BLINK_MS), (false, after)]
        });
        let steps = steps.iter().copied().chain(group);
        steps.map(|(lit, ms)| Step { lit, ms })
    }

    /// Length of one cycle, milliseconds.
    pub fn cycle_ms(self) -> u64 {
        self.steps().map(|step| step.ms).sum()
    }

    /// Where the pattern is so long after its beginning.
    pub fn at(self, phase_ms: u64) -> Moment {
        let mut left = phase_ms % self.cycle_ms();
        for (index, step) in self.steps().enumerate() {
            if left < step.ms {
                return Moment {
                    index,
                    step,
                    into_ms: left,
                };
            }
            left -= step.ms;
        }
        // Not reached: `left` is less than the sum of the steps.
        Moment {
            index: 0,
            step: Step {
                lit: false,
                ms: 1000,
            },
            into_ms: 0,
        }
    }

    /// How long after the beginning of a cycle its step of that number begins, milliseconds.
    pub fn begin_of(self, index: usize) -> u64 {
        self.steps().take(index).map(|step| step.ms).sum()
    }
}
