//! SHA-256 over the DER of a certificate: how TAK knows a federate.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};

/// SHA-256 of a certificate's DER.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// The fingerprint of a DER certificate.
    pub fn of(certificate: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, certificate).as_ref());
        Self(bytes)
    }

    /// `AA:BB:…`, the spelling of TAK Server's `federate@id` (protocol reference 1.3).
    pub fn colons(&self) -> String {
        let parts: Vec<String> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        parts.join(":")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHA256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no SHA-256 fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAFingerprint;

impl fmt::Display for NotAFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not a SHA-256 fingerprint: 64 hex digits, with or without colons and the prefix SHA256:",
        )
    }
}

impl std::error::Error for NotAFingerprint {}

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    /// Accepts every spelling in use: upper or lower case, colons or none, `SHA256:` or `sha256=` or no prefix, and the
    /// whole line of `openssl x509 -fingerprint -sha256`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let text = match without(text, "sha256") {
            Some(rest) => without(rest.trim_start(), "fingerprint")
                .unwrap_or(rest)
                .trim_start_matches([':', '=']),
            None => text,
        };
        let mut digits = text.bytes().filter(|&byte| byte != b':' && byte != b' ');
        let mut bytes = [0; 32];
        for byte in &mut bytes {
            let high = hex(digits.next())?;
            *byte = high << 4 | hex(digits.next())?;
        }
        match digits.next() {
            None => Ok(Self(bytes)),
            Some(_) => Err(NotAFingerprint),
        }
    }
}

/// The text behind a prefix, in any case.
fn without<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (begin, rest) = text.split_at_checked(prefix.len())?;
    begin.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn hex(digit: Option<u8>) -> Result<u8, NotAFingerprint> {
    digit
        .and_then(|digit| char::from(digit).to_digit(16))
        .and_then(|value| u8::try_from(value).ok())
        .ok_or(NotAFingerprint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read() {
        let fingerprint = Fingerprint::of(b"x");
        let plain = fingerprint.to_string();
        for text in [
            plain.clone(),
            plain.to_lowercase(),
            fingerprint.colons(),
            format!("SHA256:{}", fingerprint.colons()),
            format!("sha256={}", plain.trim_start_matches("SHA256:")),
            plain.trim_start_matches("SHA256:").to_owned(),
            format!("sha256 Fingerprint={}", fingerprint.colons()),
            format!(
                "SHA256 Fingerprint={}\n",
                fingerprint.colons().to_lowercase()
            ),
        ] {
            assert_eq!(text.parse(), Ok(fingerprint), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "SHA256:",
            "AB",
            "SHA256 Fingerprint=",
            &format!("SHA1 Fingerprint={}", "AB:".repeat(32)),
            "ä",
            &"0".repeat(63),
            &"0".repeat(65),
            &"g".repeat(64),
        ] {
            assert_eq!(text.parse::<Fingerprint>(), Err(NotAFingerprint), "{text}");
        }
    }
}
