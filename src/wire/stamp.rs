//! RFC 3339 times, as CoT writes them, to and from milliseconds since 1970.

/// Length of what [`write`] makes: `2026-11-20T12:34:56.789Z`.
pub const WIDTH: usize = 24;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// First and last millisecond that a four-digit year can name.
const RANGE: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// Reads a time: date, `T`, time, 0 to 9 fraction digits, `Z` or an offset. Digits below the millisecond are cut off.
///
/// `None` for anything else; times without a zone are not times (protocol reference 1.7).
pub fn read(text: &[u8]) -> Option<i64> {
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
    if year == 0
        || !(1..=12).contains(&month)
        || day == 0
        || day > days_in(year, month)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let (millis, zone) = fraction(tail)?;
    let minutes = offset_minutes(zone)?;
    let days = days_from_civil(year, month, day);
    let of_day = ((hour * 60 + minute - minutes) * 60 + second) * 1000 + millis;
    Some(days * MILLIS_PER_DAY + of_day)
}

/// Writes a time with millisecond precision in UTC, or `None` outside the years 1 to 9999.
pub fn write(millis: i64) -> Option<[u8; WIDTH]> {
    if !RANGE.contains(&millis) {
        return None;
    }
    let (year, month, day) = civil_from_days(millis.div_euclid(MILLIS_PER_DAY));
    let of_day = millis.rem_euclid(MILLIS_PER_DAY);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    put_pair(&mut text, 0, year / 100);
    put_pair(&mut text, 2, year % 100);
    put_pair(&mut text, 5, month);
    put_pair(&mut text, 8, day);
    put_pair(&mut text, 11, of_day / 3_600_000);
    put_pair(&mut text, 14, of_day / 60_000 % 60);
    put_pair(&mut text, 17, of_day / 1000 % 60);
    let fraction = of_day % 1000;
    put_pair(&mut text, 20, fraction / 10);
    text[22] = digit(fraction % 10);
    Some(text)
}

fn pair(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
}

fn put_pair(text: &mut [u8; WIDTH], at: usize, value: i64) {
    text[at] = digit(value / 10);
    text[at + 1] = digit(value % 10);
}

fn digit(value: i64) -> u8 {
    b'0' + value.rem_euclid(10) as u8
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

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
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
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
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
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = read(&bytes);
        }
    }
}
