//! Decimal numbers of the `point` and `track` attributes.

use super::room::Room;
use super::text;

/// What CoT writes for an altitude or error that nobody knows (protocol reference 1.7, rule 2).
pub const UNKNOWN: f64 = 9_999_999.0;

/// As it is written: two of three numbers that say how far off a position may be.
const UNKNOWN_TEXT: &[u8; 9] = b"9999999.0";

/// Reads a finite decimal number; surrounding blanks are forgiven, as Java's parser does.
#[inline(never)]
pub fn read(raw: &[u8]) -> Option<f64> {
    match Decimal::read(raw) {
        Some(decimal) => Some(decimal.value()),
        None => read_any(raw),
    }
}

/// The same, for a number that says how far off a position may be: often [`UNKNOWN`] or written to a tenth.
#[inline]
pub fn read_error(raw: &[u8]) -> Option<f64> {
    let tenths = |digits: [u8; 3]| {
        let [ten, one, tenth] = digits.map(|digit| u32::from(digit - b'0'));
        Some(f64::from(100 * ten + 10 * one + tenth) / 10.0)
    };
    match *raw {
        [one @ b'0'..=b'9', b'.', tenth @ b'0'..=b'9'] => tenths([b'0', one, tenth]),
        [
            ten @ b'0'..=b'9',
            one @ b'0'..=b'9',
            b'.',
            tenth @ b'0'..=b'9',
        ] => tenths([ten, one, tenth]),
        _ if raw == UNKNOWN_TEXT => Some(UNKNOWN),
        _ => read(raw),
    }
}

/// Reads a number, and tells whether it is written as [`put`] would: in the shortest form, with a point.
///
/// Of numbers with 17 digits some have a shorter form that means the same; those count as canonical too.
#[inline(never)]
pub fn read_canonical(raw: &[u8]) -> Option<(f64, bool)> {
    match Decimal::read(raw) {
        Some(decimal) => Some((decimal.value(), decimal.is_canonical(raw))),
        None => read_any(raw).map(|number| (number, false)),
    }
}

/// Puts a finite number in the shortest form that reads back equal, always with a point or an exponent
/// (`9999999.0`), which is how TAK writes it (protocol reference 1.8, rule 2).
#[inline(always)]
pub fn put(room: &mut Room<'_>, number: f64) {
    if number == UNKNOWN {
        return room.put_array(UNKNOWN_TEXT);
    }
    let mut buffer = zmij::Buffer::new();
    room.put(buffer.format_finite(number).as_bytes());
}

/// Puts a number that says how far off a position may be, which many write to a tenth; the same as [`put`].
#[inline(always)]
pub fn put_error(room: &mut Room<'_>, number: f64) {
    let tenths = number * 10.0;
    if (0.0..1000.0).contains(&tenths) {
        let whole = tenths as u16;
        // Ten times a double is rounded, so what it would be read as decides.
        if f64::from(whole) / 10.0 == number && (whole > 0 || number.is_sign_positive()) {
            return put_tenths(room, whole);
        }
    }
    put(room, number);
}

/// Puts tenths below 1000: a number with one digit behind the point.
#[inline(always)]
fn put_tenths(room: &mut Room<'_>, tenths: u16) {
    let (whole, tenth) = (u32::from(tenths / 10), u32::from(tenths % 10));
    let digits = (whole / 10) | ((whole % 10) << 8) | (tenth << 24);
    let text = digits | u32::from_le_bytes(*b"00.0");
    let leading = usize::from(whole < 10);
    room.put_word(u64::from(text >> (8 * leading)), 4 - leading);
}

/// Puts a whole number.
#[inline]
pub fn put_integer(room: &mut Room<'_>, number: i32) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        room.put_array(b"-");
    }
    room.put(&digits[at..]);
}

/// A number as nearly all are written: an optional minus, digits, and a point with digits behind it.
#[derive(Debug, Clone, Copy)]
struct Decimal {
    negative: bool,
    /// All digits as one integer; at most 19 of them, so it fits.
    digits: u64,
    /// How many of them stand behind the point.
    places: u32,
}

impl Decimal {
    /// `None` for any other form, however good.
    #[inline(always)]
    fn read(raw: &[u8]) -> Option<Self> {
        let (negative, rest) = match raw.split_first()? {
            (b'-', rest) => (true, rest),
            _ => (false, raw),
        };
        let (digits, places) = match rest.first_chunk() {
            Some(word) => Self::long(rest, u64::from_le_bytes(*word))?,
            None => Self::short(rest)?,
        };
        Some(Self {
            negative,
            digits,
            places,
        })
    }

    /// Eight bytes and more, taken eight at a time: digits, and how many of them stand behind the point.
    #[inline(always)]
    fn long(rest: &[u8], first: u64) -> Option<(u64, u32)> {
        let points = first ^ (ONES * u64::from(b'.'));
        let hit = points.wrapping_sub(ONES) & !points & HIGH;
        // In these forms the point is among the first eight, and not the very first.
        let whole = hit.trailing_zeros() / 8;
        let length = rest.len() as u32;
        if whole == 0 || whole == 8 || length > 20 {
            return None;
        }
        // What stands behind the point moves up to what stands before it: seven digits, and room for an eighth.
        let before = u64::MAX >> (64 - 8 * whole);
        let values = first ^ ZEROS;
        let seven = values & before | values >> 8 & !before;
        let places = length - whole - 1;
        let Some(&eighth) = rest.get(8) else {
            let digits = number(seven << 8);
            return (places > 0 && excess(seven << 8) & HIGH == 0).then_some((digits, places));
        };
        let first = seven | u64::from(eighth ^ b'0') << 56;
        let mut spoiled = excess(first);
        let mut digits = number(first);
        let mut left = length - 9;
        if left > 8 {
            let values = u64::from_le_bytes(*rest[9..].first_chunk()?) ^ ZEROS;
            spoiled |= excess(values);
            digits = digits * 100_000_000 + number(values);
            left -= 8;
        }
        if left == 1 {
            // Three digits before the point and fourteen behind it.
            let last = u64::from(rest.last()? ^ b'0');
            spoiled |= excess(last);
            digits = digits.wrapping_mul(10).wrapping_add(last);
        } else if left > 0 {
            // The last eight bytes, of which those count that are new.
            let values = last_of(u64::from_le_bytes(*rest.last_chunk()?), left);
            spoiled |= excess(values);
            let power = POWERS[left as usize & 15];
            digits = digits.wrapping_mul(power).wrapping_add(number(values));
        }
        (spoiled & HIGH == 0).then_some((digits, places))
    }

    /// Less than eight bytes.
    #[inline]
    fn short(rest: &[u8]) -> Option<(u64, u32)> {
        let mut digits = 0;
        let mut point = None;
        for (at, &byte) in rest.iter().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit <= 9 {
                digits = digits * 10 + u64::from(digit);
            } else if byte == b'.' && point.is_none() {
                point = Some(at);
            } else {
                return None;
            }
        }
        let whole = point?;
        let places = rest.len() - whole - 1;
        (whole > 0 && places > 0).then_some((digits, places as u32))
    }

    /// The nearest double, ties to even.
    #[inline(always)]
    fn value(self) -> f64 {
        let power = POWERS[self.places as usize & 31];
        let value = if self.digits < 1 << 53 && self.places <= 22 {
            // Both are exact as doubles, so one division rounds once.
            self.digits.cast_signed() as f64 / power.cast_signed() as f64
        } else {
            nearly(self.digits, self.places).unwrap_or_else(|| divide(self.digits, power))
        };
        if self.negative { -value } else { value }
    }

    #[inline(always)]
    fn is_canonical(self, raw: &[u8]) -> bool {
        let unsigned = &raw[usize::from(self.negative)..];
        let trails = raw.ends_with(b"0") && self.places > 1;
        let short = unsigned.len() <= 18;
        match unsigned {
            [b'0', second, ..] => {
                // Below this the shortest form has an exponent; so large that it has one is nothing that gets here.
                let plain = self.digits >= POWERS[self.places.saturating_sub(3) as usize & 31]
                    || self.digits == 0 && !self.negative;
                *second == b'.' && plain && !trails && short
            }
            _ => !trails && short,
        }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES << 7;
const ZEROS: u64 = ONES * b'0' as u64;

/// The values of the last `count` bytes of a word, 1 to 8, and zeros before them.
#[inline]
fn last_of(word: u64, count: u32) -> u64 {
    (word ^ ZEROS) & u64::MAX << (64 - 8 * count)
}

/// High bits where a byte is more than 9; what one carries to the next does not matter then.
#[inline]
fn excess(values: u64) -> u64 {
    values.wrapping_add(ONES * (0x7f - 9)) | values
}

/// The number that eight digit values make.
#[inline]
fn number(values: u64) -> u64 {
    let pairs = values.wrapping_mul(1 + (10 << 8)) >> 8;
    let fours = (pairs & 0x00ff_00ff_00ff_00ff).wrapping_mul(1 + (100 << 16)) >> 16;
    (fours & 0x0000_ffff_0000_ffff).wrapping_mul(1 + (10_000 << 32)) >> 32
}

/// Powers of ten as far as a u64 goes.
static POWERS: [u64; 32] = {
    let mut table = [u64::MAX; 32];
    let (mut power, mut at) = (1u64, 0);
    while at < 20 {
        table[at] = power;
        power = power.saturating_mul(10);
        at += 1;
    }
    table
};

/// `1 / 10^places` as a fraction of 64 bits, the highest of them set, cut off; and the bits of `10^places`.
static RECIPROCALS: [(u64, u32); 20] = {
    let mut table = [(0, 0); 20];
    let mut places = 1;
    while places < 20 {
        let bits = 64 - POWERS[places].leading_zeros();
        table[places] = (((1 << (63 + bits)) / POWERS[places] as u128) as u64, bits);
        places += 1;
    }
    table
};

/// `digits / 10^places`, rounded once, for digits of 53 bits and more. `None` when it lies so near to the middle between
/// two doubles that the reciprocal does not tell which is nearer.
#[inline(always)]
fn nearly(digits: u64, places: u32) -> Option<f64> {
    /// Of the bits below a double's 53.
    const HALF: u64 = 1 << 10;
    let &(reciprocal, bits) = RECIPROCALS.get(places as usize)?;
    let zeros = digits.leading_zeros();
    // What is cut off here, and off the reciprocal, is less than two units of the last place together.
    let product = u128::from(digits << zeros) * u128::from(reciprocal);
    let high = (product >> 64) as u64;
    // Its highest bit is set, or the next one; then the units count twice.
    let lacking = 1 - (high >> 63) as u32;
    let high = high << lacking;
    let rest = high & (2 * HALF - 1);
    if rest.wrapping_sub(HALF - 3) < 4 {
        return None;
    }
    let mantissa = ((high >> 10) + 1) >> 1;
    // The mantissa's highest bit, which a double does not write down, adds one to the exponent.
    let exponent = 1023 + 63 - lacking - bits - zeros;
    Some(f64::from_bits((u64::from(exponent) << 52) + mantissa))
}

/// `digits / power`, rounded once: the quotient is made with more bits than a double has, and its last bit tells of
/// everything behind it.
#[cold]
#[inline(never)]
fn divide(digits: u64, power: u64) -> f64 {
    let shift = 63 + (64 - power.leading_zeros()) - (64 - digits.leading_zeros());
    let numerator = u128::from(digits) << shift;
    let quotient = numerator / u128::from(power);
    let inexact = quotient * u128::from(power) != numerator;
    let jammed = quotient as u64 | u64::from(inexact);
    jammed as f64 * f64::from_bits(u64::from(1023 - shift) << 52)
}

#[inline(never)]
fn read_any(raw: &[u8]) -> Option<f64> {
    let trimmed = raw.trim_ascii();
    // "inf", "nan" and their kin parse in Rust but name no place on Earth.
    if !trimmed.last()?.is_ascii_digit() && trimmed.last() != Some(&b'.') {
        return None;
    }
    let number: f64 = text::as_str(trimmed)?.parse().ok()?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::room;
    use proptest::prelude::*;

    fn written(put: impl Fn(&mut Room<'_>)) -> Vec<u8> {
        let mut out = Vec::new();
        room::append(&mut out, 24, |mut room| {
            put(&mut room);
            room
        });
        out
    }

    #[test]
    fn numbers_of_the_field_are_read() {
        for (text, number) in [
            ("38.56228271836961", 38.562_282_718_369_61),
            ("-83.89", -83.89),
            ("9999999", UNKNOWN),
            ("9999999.0", UNKNOWN),
            ("0", 0.0),
            (" 1.5 ", 1.5),
            ("1.0E-5", 0.000_01),
            ("+3", 3.0),
            ("127.00476702242095", 127.004_767_022_420_95),
        ] {
            assert_eq!(read(text.as_bytes()), Some(number), "{text}");
        }
        for text in [
            "",
            "-",
            ".",
            "-.",
            "NaN",
            "inf",
            "-infinity",
            "1,5",
            "0x10",
            "1e999",
            "12m",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn only_the_written_form_is_canonical() {
        for (text, canonical) in [
            ("0.0", true),
            ("1.5", true),
            ("-2.25", true),
            ("90.0", true),
            ("0.001", true),
            ("228.70356179340502", true),
            ("0", false),
            ("-0.0", false),
            ("1.50", false),
            ("01.5", false),
            ("+1.5", false),
            (" 1.5", false),
            ("1e3", false),
            ("0.0000001", false),
        ] {
            assert_eq!(
                read_canonical(text.as_bytes()).unwrap().1,
                canonical,
                "{text}"
            );
        }
    }

    #[test]
    fn a_byte_that_is_no_digit_spoils_every_place() {
        // Bytes with the high bit once carried into their neighbours.
        for byte in [b'/', b':', 0x80, 0xb0, 0xff] {
            for at in 0..11 {
                let mut text = *b"0.000000000";
                text[at] = byte;
                assert_eq!(read(&text), None, "{byte:#x} at {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(number in proptest::num::f64::NORMAL | proptest::num::f64::ZERO) {
            let out = written(|room| put(room, number));
            prop_assert_eq!(read(&out), Some(number));
        }

        #[test]
        fn tenths_are_written_as_all_numbers_are(tenths in 0u16..1100, nudge in -2i64..3, negative: bool) {
            let number = f64::from(tenths) / 10.0;
            let number = f64::from_bits(number.to_bits().saturating_add_signed(nudge));
            let number = if negative { -number } else { number };
            let out = written(|room| put_error(room, number));
            let plain = zmij::Buffer::new().format_finite(number).to_owned();
            prop_assert_eq!(String::from_utf8(out).unwrap(), plain);
        }

        #[test]
        fn errors_are_read_as_all_numbers_are(text in "[0-9]{0,3}[.,:/]?[0-9]{0,2}") {
            let text = text.as_bytes();
            prop_assert_eq!(read_error(text).map(f64::to_bits), read(text).map(f64::to_bits));
        }

        #[test]
        fn integers_are_written(number in any::<i32>().prop_flat_map(|number| (0..32).prop_map(move |bits| number >> bits))) {
            let out = written(|room| put_integer(room, number));
            prop_assert_eq!(out, number.to_string().into_bytes());
        }

        #[test]
        fn any_text_is_read_as_the_plain_way_reads_it(text in "-?[0-9]{0,9}\\.[0-9]{0,19}", at in any::<prop::sample::Index>(), byte in proptest::sample::select(b"0123456789.-/: e\x80\xff".to_vec())) {
            let mut text = text.into_bytes();
            prop_assert_eq!(read(&text).map(f64::to_bits), read_any(&text).map(f64::to_bits));
            let at = at.index(text.len());
            text[at] = byte;
            prop_assert_eq!(read(&text).map(f64::to_bits), read_any(&text).map(f64::to_bits));
        }

        #[test]
        fn the_fast_way_is_exact(text in "-?[0-9]{1,10}\\.[0-9]{1,12}") {
            let exact: f64 = text.parse().unwrap();
            prop_assert_eq!(read(text.as_bytes()).map(f64::to_bits), Some(exact.to_bits()));
        }

        #[test]
        fn seventeen_digits_are_exact_too(text in "-?[0-9]{1,3}\\.[0-9]{12,18}", bits: u64, places in 1u32..20) {
            let exact: f64 = text.parse().unwrap();
            prop_assert_eq!(read(text.as_bytes()).map(f64::to_bits), Some(exact.to_bits()));
            // Halves between two doubles, and their neighbours, are where a reciprocal could err.
            let near = (bits >> 11 | 1 << 53) << 10;
            for digits in [bits | 1 << 53, near.wrapping_sub(1), near, near + 1] {
                if let Some(value) = nearly(digits | 1 << 53, places) {
                    let plain = divide(digits | 1 << 53, POWERS[places as usize]);
                    prop_assert_eq!(value.to_bits(), plain.to_bits());
                }
            }
        }

        #[test]
        fn canonical_text_is_what_would_be_written(text in "-?[0-9]{1,6}\\.[0-9]{1,9}") {
            let (number, canonical) = read_canonical(text.as_bytes()).unwrap();
            let out = written(|room| put(room, number));
            prop_assert!(!canonical || out == text.as_bytes(), "{}", text);
        }

        #[test]
        fn canonical_text_means_the_same_when_written(number in proptest::num::f64::NORMAL) {
            let out = written(|room| put(room, number));
            if let Some((read, true)) = read_canonical(&out) {
                prop_assert_eq!(read, number);
            }
        }
    }
}
