//! How far the time of day can be trusted.

use std::fmt;

/// Where the time of day comes from, best first: a smaller one is a better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Quality {
    /// Satellites, by gpsd.
    Gps,
    /// The kernel's clock is synchronised, by NTP or whatever else sets it.
    Ntp,
    /// The median of the peers' clocks.
    Peers,
    /// The battery-backed clock of the machine.
    Rtc,
    /// No source; not before the last known time.
    Floor,
    /// No source and nothing known; not before this release was built.
    Build,
    /// Nobody was asked.
    #[default]
    None,
}

impl Quality {
    /// Every quality, best first.
    pub const ALL: [Self; 7] = [
        Self::Gps,
        Self::Ntp,
        Self::Peers,
        Self::Rtc,
        Self::Floor,
        Self::Build,
        Self::None,
    ];

    /// One word that scripts may rely on.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gps => "gps",
            Self::Ntp => "ntp",
            Self::Peers => "peers",
            Self::Rtc => "rtc",
            Self::Floor => "last_known",
            Self::Build => "build",
            Self::None => "unknown",
        }
    }

    /// The quality of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|quality| quality.word() == word)
    }

    /// The same in words for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Gps => "from GPS",
            Self::Ntp => "synchronised (NTP)",
            Self::Peers => "from the peers' clocks",
            Self::Rtc => "from the battery-backed clock, not checked against anything",
            Self::Floor => "not synchronised; not before the last known time",
            Self::Build => "not synchronised; not before this release was built",
            Self::None => "unknown",
        }
    }

    /// Somebody outside the machine vouches for the time. Only then does a certificate's date prove anything.
    pub const fn is_trusted(self) -> bool {
        matches!(self, Self::Gps | Self::Ntp | Self::Peers)
    }

    /// The quality of a number that [`Quality::number`] gave; unknown for any other.
    pub const fn of_number(number: u8) -> Self {
        match number {
            0 => Self::Gps,
            1 => Self::Ntp,
            2 => Self::Peers,
            3 => Self::Rtc,
            4 => Self::Floor,
            5 => Self::Build,
            _ => Self::None,
        }
    }

    /// Its place in the order, 0 to 6.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_best_first_and_words_and_numbers_are_its_own() {
        let mut sorted = Quality::ALL;
        sorted.sort();
        assert_eq!(sorted, Quality::ALL);
        for (index, quality) in Quality::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(quality.number()), index);
            assert_eq!(Quality::of_number(quality.number()), quality);
            assert_eq!(Quality::of_word(quality.word()), Some(quality));
        }
        assert_eq!(Quality::of_word("GPS"), None);
        assert!(Quality::Peers.is_trusted() && !Quality::Rtc.is_trusted());
    }
}
