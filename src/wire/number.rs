//! Decimal numbers of the `point` and `track` attributes.

use super::text;

/// What CoT writes for an altitude or error that nobody knows (protocol reference 1.7, rule 2).
pub const UNKNOWN: f64 = 9_999_999.0;

/// Reads a finite decimal number; surrounding blanks are forgiven, as Java's parser does.
pub fn read(raw: &[u8]) -> Option<f64> {
    let trimmed = raw.trim_ascii();
    // "inf", "nan" and their kin parse in Rust but name no place on Earth.
    if !trimmed.last()?.is_ascii_digit() && trimmed.last() != Some(&b'.') {
        return None;
    }
    let number: f64 = text::as_str(trimmed)?.parse().ok()?;
    number.is_finite().then_some(number)
}

/// Appends a finite number in the shortest form that reads back equal, always with a point or an exponent
/// (`9999999.0`), which is how TAK writes it (protocol reference 1.8, rule 2).
pub fn write(out: &mut Vec<u8>, number: f64) {
    let mut buffer = ryu::Buffer::new();
    out.extend_from_slice(buffer.format_finite(number).as_bytes());
}

/// Whether [`write`] makes exactly this text of the number it stands for.
pub fn is_canonical(raw: &[u8], number: f64) -> bool {
    ryu::Buffer::new().format_finite(number).as_bytes() == raw
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_of_the_field_are_read() {
        for (text, number) in [
            ("38.56228271836961", 38.562_282_718_369_61),
            ("-83.89", -83.89),
            ("9999999", UNKNOWN),
            ("0", 0.0),
            (" 1.5 ", 1.5),
            ("1.0E-5", 0.000_01),
            ("+3", 3.0),
        ] {
            assert_eq!(read(text.as_bytes()), Some(number), "{text}");
        }
        for text in ["", "NaN", "inf", "-infinity", "1,5", "0x10", "1e999", "12m"] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(number in proptest::num::f64::NORMAL | proptest::num::f64::ZERO) {
            let mut out = Vec::new();
            write(&mut out, number);
            prop_assert_eq!(read(&out), Some(number));
            prop_assert!(is_canonical(&out, number));
        }
    }
}
