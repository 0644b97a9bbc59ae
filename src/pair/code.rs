//! The code: eight characters that can be told over a bad radio.

use std::fmt;

/// Digits and capitals without I, L, O and U, so that none is taken for another; five bits each.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a code.
const LENGTH: usize = 8;

/// Forty random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct Code([u8; LENGTH]);

impl Code {
    /// A code of random bytes.
    pub fn new(entropy: [u8; 5]) -> Self {
        let bits = entropy
            .iter()
            .fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
        let mut letters = [0; LENGTH];
        for (place, letter) in letters.iter_mut().rev().enumerate() {
            *letter = ALPHABET[(bits >> (5 * place)) as usize & 31];
        }
        Self(letters)
    }

    /// Reads what somebody typed: case, spaces and hyphens do not matter, O is taken for 0, I and L for 1.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &str) -> Result<Self, NotACode> {
        let is_gap = |letter: char| {
            letter.is_whitespace() || matches!(letter, '-' | '_' | '\u{2010}'..='\u{2015}')
        };
        let mut letters = [0; LENGTH];
        let mut count = 0;
        for letter in text.chars().filter(|&letter| !is_gap(letter)) {
            let meant = match letter.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let known = u8::try_from(meant)
                .ok()
                .filter(|byte| ALPHABET.contains(byte));
            let byte = known.ok_or(NotACode::Letter(letter))?;
            *letters.get_mut(count).ok_or(NotACode::Long)? = byte;
            count += 1;
        }
        match count {
            LENGTH => Ok(Self(letters)),
            _ => Err(NotACode::Short(count)),
        }
    }

    /// What the secret is made of.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Code {
    /// `ABCD-EFGH`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, &letter) in self.0.iter().enumerate() {
            if place == LENGTH / 2 {
                f.write_str("-")?;
            }
            write!(f, "{}", char::from(letter))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It must never reach a log.
        f.write_str("Code")
    }
}

/// The text is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotACode {
    /// A character that no code has.
    Letter(char),
    /// Fewer characters than eight.
    Short(usize),
    /// More characters than eight.
    Long,
}

impl fmt::Display for NotACode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Letter(letter) => {
                write!(f, "{letter:?} is in no code")?;
            }
            Self::Short(count) => write!(f, "it has {count} characters")?,
            Self::Long => f.write_str("it has more than 8 characters")?,
        }
        f.write_str("; a code is 8 letters and digits, such as K7QM-2XWD")
    }
}

impl std::error::Error for NotACode {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_is_forgiving_about_how_it_is_typed() {
        let code = Code::new([0x08, 0x42, 0x1F, 0xFF, 0xFF]);
        assert_eq!(code.to_string(), "1111-ZZZZ");
        for text in [
            "1111ZZZZ",
            "1111-zzzz",
            " iIlL zz-zz ",
            "1111\u{2013}ZZZZ",
            "1-1-1-1-Z-Z-Z-Z",
        ] {
            assert_eq!(Code::read(text), Ok(code.clone()), "{text}");
        }
        assert_eq!(Code::read("oO00-0000").unwrap().to_string(), "0000-0000");
        assert_eq!(Code::read("1111-ZZZ"), Err(NotACode::Short(7)));
        assert_eq!(Code::read(""), Err(NotACode::Short(0)));
        assert_eq!(Code::read("1111-ZZZZ1"), Err(NotACode::Long));
        assert_eq!(Code::read("U111-ZZZZ"), Err(NotACode::Letter('U')));
        assert_eq!(
            Code::read("\u{e9}111-ZZZZ"),
            Err(NotACode::Letter('\u{e9}'))
        );
        assert_eq!(format!("{code:?}"), "Code");
    }

    proptest! {
        #[test]
        fn every_code_is_read_as_it_is_written(entropy: [u8; 5]) {
            let code = Code::new(entropy);
            prop_assert_eq!(Code::read(&code.to_string()), Ok(code.clone()));
            prop_assert_eq!(Code::read(&code.to_string().to_lowercase()), Ok(code));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = Code::read(&text);
        }
    }
}
