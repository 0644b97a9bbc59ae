//! RFC 3339 times, as CoT writes them, to and from milliseconds since 1970.
//!
//! An event holds three of them, mostly of the same day and two of them equal, so [`Reader`] and [`Writer`] remember
//! the one before.

/// Length of what [`write`] makes: `2026-11-20T12:34:56.789Z`.
pub const WIDTH: usize = 24;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// First and last millisecond that a four-digit year can name.
const RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// Reads a time: date, `T`, time, 0 to 9 fraction digits, `Z` or an offset. Digits below the millisecond are cut off.
///
/// `None` for anything else; times without a zone are not times (protocol reference 1.7).
pub fn read(text: &[u8]) -> Option<i64> {
    Reader::default().read(text)
}

/// Reads the times of events, one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    /// The last time in three words, and what it is: mostly two of an event are equal.
    last: [u64; 3],
    millis: i64,
    /// When its minute begins, in milliseconds: mostly the next one is of the same.
    minute: i64,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            last: words(b"1970-01-01T00:00:00.000Z"),
            millis: 0,
            minute: 0,
        }
    }
}

impl Reader {
    /// Reads one time; see [`read`].
    #[inline]
    pub fn read(&mut self, text: &[u8]) -> Option<i64> {
        match text.first_chunk() {
            Some(common) if text.len() == WIDTH => self.read_common(common),
            _ => read_any(text),
        }
    }

    /// The form that nearly every time has: milliseconds and `Z`. Digits are taken eight bytes at a time.
    #[inline(always)]
    fn read_common(&mut self, text: &[u8; WIDTH]) -> Option<i64> {
        let words = words(text);
        if words[0] != self.last[0] || words[1] != self.last[1] {
            return self.read_minute(text);
        }
        if words[2] == self.last[2] {
            return Some(self.millis);
        }
        let Some(of_minute) = of_minute(words[2]) else {
            return read_any(text);
        };
        self.last[2] = words[2];
        self.millis = self.minute + of_minute;
        Some(self.millis)
    }

    /// A time of another minute.
    #[inline(never)]
    fn read_minute(&mut self, text: &[u8; WIDTH]) -> Option<i64> {
        /// The bytes of the second word that belong to the date, and the `T`.
        const OF_DATE: u64 = 0xff_ffff;
        let words = words(text);
        let (Some(middle), Some(of_minute)) = (digits::<MIDDLE>(words[1]), of_minute(words[2]))
        else {
            return read_any(text);
        };
        let pairs = pairs(middle);
        let (hour, minute) = (byte(pairs, 3), byte(pairs, 6));
        if hour > 23 || minute > 59 {
            return None;
        }
        let same_day = words[0] == self.last[0] && (words[1] ^ self.last[1]) & OF_DATE == 0;
        let day = match same_day {
            true => self.minute - self.minute.rem_euclid(MILLIS_PER_DAY),
            false => read_day(words[0], byte(pairs, 0))?,
        };
        self.last = words;
        self.minute = day + (hour * 60 + minute) * 60_000;
        self.millis = self.minute + of_minute;
        Some(self.millis)
    }
}

/// The milliseconds of a minute, as its last eight bytes tell them: `:56.789Z`.
#[inline(always)]
fn of_minute(word: u64) -> Option<i64> {
    let values = digits::<END>(word)?;
    let pairs = pairs(values);
    let (second, hundredths, thousandths) = (byte(pairs, 1), byte(pairs, 4), byte(values, 6));
    // 60 is a leap second.
    (second <= 60).then_some(second * 1000 + hundredths * 10 + thousandths)
}

/// The milliseconds of a day: its first eight bytes, `2026-11-`, and its number in the month.
#[inline(never)]
fn read_day(word: u64, day: i64) -> Option<i64> {
    let pairs = pairs(digits::<DATE>(word)?);
    let year = byte(pairs, 0) * 100 + byte(pairs, 2);
    let month = byte(pairs, 5);
    is_date(year, month, day).then(|| days_from_civil(year, month, day) * MILLIS_PER_DAY)
}

#[inline]
fn words(text: &[u8; WIDTH]) -> [u64; 3] {
    let word = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&text[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    [word(0), word(8), word(16)]
}

/// Separators of the three words, zero digits between them.
const DATE: u64 = u64::from_le_bytes(*b"0000-00-");
const MIDDLE: u64 = u64::from_le_bytes(*b"00T00:00");
const END: u64 = u64::from_le_bytes(*b":00.000Z");

/// The values of the digits, if there are digits where the form has zeros and its separators elsewhere.
#[inline]
fn digits<const FORM: u64>(word: u64) -> Option<u64> {
    let values = word ^ FORM;
    // A byte's high bit comes up when a digit exceeds 9, or a separator differs at all.
    let too_much = (values & !HIGH) + const { limits(FORM) };
    ((too_much | values) & HIGH == 0).then_some(values)
}

const HIGH: u64 = 0x8080_8080_8080_8080;

/// For each byte what must be added to reach 0x80 when it is too large.
const fn limits(form: u64) -> u64 {
    let mut limits = 0;
    let mut at = 0;
    while at < 8 {
        let limit = if (form >> (8 * at)) as u8 == b'0' {
            0x7f - 9
        } else {
            0x7f
        };
        limits |= limit << (8 * at);
        at += 1;
    }
    limits
}

/// In each byte, ten times its digit and the next one.
#[inline]
fn pairs(values: u64) -> u64 {
    values * 10 + (values >> 8)
}

#[inline]
fn byte(word: u64, at: usize) -> i64 {
    i64::from((word >> (8 * at)) as u8)
}

/// Any form that RFC 3339 allows.
#[inline(never)]
fn read_any(text: &[u8]) -> Option<i64> {
    let (head, tail) = text.split_at_checked(19)?;
    if head[4] != b'-'
        || head[7] != b'-'
        || !matches!(head[10], b'T' | b't')
        || head[13] != b':'
        || head[16] != b':'
    {
        return None;
    }
    let year = pair(head[0], head[1])? * 100 + pair(head[2], head[3])?;
    let month = pair(head[5], head[6])?;
    let day = pair(head[8], head[9])?;
    let hour = pair(head[11], head[12])?;
    let minute = pair(head[14], head[15])?;
    // 60 is a leap second; it counts as the next minute's first.
    let second = pair(head[17], head[18])?;
    if !is_date(year, month, day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (millis, zone) = fraction(tail)?;
    let minutes = offset_minutes(zone)?;
    let days = days_from_civil(year, month, day);
    let of_day = ((hour * 60 + minute - minutes) * 60 + second) * 1000 + millis;
    Some(days * MILLIS_PER_DAY + of_day)
}

/// Whether a year of four digits can name the time, so that [`write()`] can write it.
#[inline]
pub fn is_in_calendar(millis: i64) -> bool {
    RANGE.contains(&millis)
}

/// Writes a time with millisecond precision in UTC, or `None` outside the years 1 to 9999.
pub fn write(millis: i64) -> Option<[u8; WIDTH]> {
    Writer::default().write(millis).copied()
}

/// Writes the times of one event.
#[derive(Debug, Clone, Copy)]
pub struct Writer {
    text: [u8; WIDTH],
    /// The day whose date stands in `text`, counted from 1970.
    day: i64,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            text: *b"1970-01-01T00:00:00.000Z",
            day: 0,
        }
    }
}

impl Writer {
    /// Writes one time; see [`write`].
    #[inline]
    pub fn write(&mut self, millis: i64) -> Option<&[u8; WIDTH]> {
        let mut of_day = millis.wrapping_sub(self.day * MILLIS_PER_DAY);
        if !(0..MILLIS_PER_DAY).contains(&of_day) {
            if !RANGE.contains(&millis) {
                return None;
            }
            self.day = millis.div_euclid(MILLIS_PER_DAY);
            of_day = millis - self.day * MILLIS_PER_DAY;
            self.write_date();
        }
        // Less than a day in milliseconds: 32 bits hold it.
        let of_day = of_day as u32;
        let (seconds, fraction) = (of_day / 1000, of_day % 1000);
        let (minutes, second) = (seconds / 60, seconds % 60);
        self.put(11, minutes / 60);
        self.put(14, minutes % 60);
        self.put(17, second);
        self.put(20, fraction / 10);
        self.text[22] = b'0' + (fraction % 10) as u8;
        Some(&self.text)
    }

    #[inline(never)]
    fn write_date(&mut self) {
        let (year, month, day) = civil_from_days(self.day);
        self.put(0, year / 100);
        self.put(2, year % 100);
        self.put(5, month);
        self.put(8, day);
    }

    #[inline]
    fn put(&mut self, at: usize, value: u32) {
        let pair = PAIRS[value as usize % PAIRS.len()];
        self.text[at..at + 2].copy_from_slice(&pair);
    }
}

/// `00`, `01`, ... `99`, and what makes their number a power of two.
static PAIRS: [[u8; 2]; 128] = {
    let mut table = [[0; 2]; 128];
    let mut value = 0;
    while value < 100 {
        table[value] = [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
        value += 1;
    }
    table
};

fn pair(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
}

/// Milliseconds of the fraction, and what follows it.
fn fraction(tail: &[u8]) -> Option<(i64, &[u8])> {
    if tail.first() != Some(&b'.') {
        return Some((0, tail));
    }
    let mut millis = 0;
    let mut weight = 100;
    let mut at = 1;
    while let Some(digit) = tail.get(at).filter(|byte| byte.is_ascii_digit()) {
        millis += i64::from(digit - b'0') * weight;
        weight /= 10;
        at += 1;
    }
    (at <= 10).then(|| (millis, &tail[at..]))
}

fn offset_minutes(zone: &[u8]) -> Option<i64> {
    match *zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (pair(h1, h2)?, pair(m1, m2)?);
            let total = hours * 60 + minutes;
            (hours < 24 && minutes < 60).then_some(if sign == b'+' { total } else { -total })
        }
        _ => None,
    }
}

fn is_date(year: i64, month: i64, day: i64) -> bool {
    year > 0 && (1..=12).contains(&month) && day > 0 && day <= days_in(year, month)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date; the year is counted from March so that leap days come last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Year, month and day of a day counted from 1970, for the years 1 to 9999.
fn civil_from_days(days: i64) -> (u32, u32, u32) {
    // Counted from 0000-03-01: never negative within the range.
    let days = (days + 719_468) as u32;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    (year_of_era + era * 400 + u32::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_precision_and_zone_in_use_is_read() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2016-02-05T17:26:36.000Z", 1_454_693_196_000),
            ("2015-10-15T20:23:51.1Z", 1_444_940_631_100),
            ("2015-10-15T20:23:51.123456Z", 1_444_940_631_123),
            ("2015-10-15T22:23:51.1+02:00", 1_444_940_631_100),
            ("2015-10-15T15:53:51-04:30", 1_444_940_631_000),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000),
            ("1969-12-31T23:59:59.999Z", -1),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
        ] {
            assert_eq!(read(text.as_bytes()), Some(millis), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_time() {
        for text in [
            "",
            "now",
            "2016-02-05",
            "2016-02-05T17:26:36",
            "2016-02-30T17:26:36Z",
            "2023-02-29T17:26:36Z",
            "2016-13-05T17:26:36Z",
            "2016-02-05T24:26:36Z",
            "2016-02-05 17:26:36Z",
            "2016-02-05T17:26:36+0200",
            "2016-02-05T17:26:36Zx",
            "2016-02-05T17:26:36.0123456789Z",
            "+016-02-05T17:26:36Z",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        assert_eq!(write(i64::MAX), None);
        assert_eq!(write(i64::MIN), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in RANGE) {
            prop_assert_eq!(read(&write(millis).unwrap()), Some(millis));
        }

        #[test]
        fn the_fast_way_and_the_plain_way_agree(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z", at in 0usize..24, byte: u8) {
            let mut text = text.into_bytes();
            prop_assert_eq!(read(&text), read_any(&text));
            text[at] = byte;
            prop_assert_eq!(read(&text), read_any(&text));
        }

        #[test]
        fn what_was_read_before_does_not_matter(one in RANGE, other in RANGE) {
            let (mut reader, mut writer) = (Reader::default(), Writer::default());
            for millis in [one, one, other, one] {
                prop_assert_eq!(reader.read(&write(millis).unwrap()), Some(millis));
                prop_assert_eq!(writer.write(millis).copied(), write(millis));
            }
        }

        #[test]
        fn one_after_the_other_is_as_each_alone(stamps in proptest::collection::vec("20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]\\.[0-9]{3}Z", 1..5), edits in proptest::collection::vec((0usize..5, 0usize..24, any::<u8>()), 0..4)) {
            let mut stamps: Vec<_> = stamps.into_iter().map(String::into_bytes).collect();
            stamps.extend(stamps.clone());
            for (which, at, byte) in edits {
                let one = which % stamps.len();
                stamps[one][at] = byte;
            }
            let mut reader = Reader::default();
            for stamp in &stamps {
                prop_assert_eq!(reader.read(stamp), read_any(stamp));
            }
        }

        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = read(&bytes);
        }
    }
}
