//! `rate = "9600 bit/s"`: what a link may send.

use std::fmt;

/// What may be sent over a link, bits per second, 300 to 100,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

/// Smallest and largest rate, bits per second.
const RANGE: std::ops::RangeInclusive<u64> = 300..=100_000_000;

/// Units with what they stand for, bits per second; the largest first.
const UNITS: [(&str, u64); 3] = [("Mbit/s", 1_000_000), ("kbit/s", 1_000), ("bit/s", 1)];

/// How to write one.
pub const CURE: &str =
    "write a number and bit/s, kbit/s or Mbit/s, such as \"9600 bit/s\"; 300 bit/s to 100 Mbit/s";

impl Rate {
    /// A rate in bits per second; none when out of range.
    pub fn of_bits(bits: u64) -> Option<Self> {
        RANGE.contains(&bits).then_some(Self(bits))
    }

    /// Reads a number and its unit: `9600 bit/s`, `64kbit/s`, `1.5 Mbit/s`. Units are told from each other by their
    /// first letter as people write it: capitals do not matter.
    ///
    /// # Errors
    /// What is wrong, in words that follow the text itself.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let split = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or("names no unit")?;
        let (number, unit) = text.split_at(split);
        let unit = unit.trim();
        let (_, factor) = UNITS
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(unit))
            .ok_or("has a unit that is not known")?;
        let number: f64 = number.parse().map_err(|_| "does not begin with a number")?;
        let bits = (number * *factor as f64).round();
        Self::of_bits(bits as u64).ok_or("is out of range")
    }

    /// Bits per second.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whole bytes per second.
    pub fn bytes(self) -> u64 {
        self.0 / 8
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, factor): &&(&str, u64)| self.0.is_multiple_of(*factor);
        // 9600 bit/s and 64 kbit/s as people say it: a unit that leaves a handful of thousands is no gain.
        let readable = |unit: &&(&str, u64)| whole(unit) && (self.0 / unit.1 >= 10 || unit.1 == 1);
        let (unit, factor) = UNITS.iter().find(readable).unwrap_or(&UNITS[2]);
        write!(f, "{} {unit}", self.0 / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, bits) in [
            ("9600 bit/s", 9_600),
            ("9600bit/s", 9_600),
            (" 64 kbit/s ", 64_000),
            ("1.5 Mbit/s", 1_500_000),
            ("2.4 KBIT/S", 2_400),
            ("300 bit/s", 300),
        ] {
            assert_eq!(Rate::parse(text).map(Rate::bits), Ok(bits), "{text}");
        }
        for text in [
            "",
            "9600",
            "bit/s",
            "fast",
            "9600 baud",
            "1.2.3 kbit/s",
            "299 bit/s",
            "1000 Mbit/s",
            "-5 bit/s",
            "NaN bit/s",
        ] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_rate_shows_as_it_is_read() {
        for (text, shown) in [
            ("9600 bit/s", "9600 bit/s"),
            ("64 kbit/s", "64 kbit/s"),
            ("1.5 Mbit/s", "1500 kbit/s"),
            ("20 Mbit/s", "20 Mbit/s"),
            ("300 bit/s", "300 bit/s"),
        ] {
            let rate = Rate::parse(text).unwrap();
            assert_eq!(rate.to_string(), shown);
            assert_eq!(Rate::parse(&rate.to_string()), Ok(rate));
        }
    }
}
