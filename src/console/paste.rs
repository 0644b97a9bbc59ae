//! PEM that is pasted line by line, ended by its END line.

use super::ca::Authority;
use crate::config::authority::MOST_PEM_BYTES;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// What has come so far.
#[derive(Debug, Default)]
pub(super) struct Paste {
    text: String,
}

/// What a line came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pasted {
    /// More is to come.
    More,
    /// It is whole and good.
    Whole(Authority),
    /// It is no good, in words; what still comes of it is to be swallowed.
    Fault(String),
}

/// Whether a line begins a PEM text of any kind.
pub(super) fn begins(line: &str) -> bool {
    line.trim().starts_with(BEGIN)
}

/// Whether a line ends one.
pub(super) fn ends(line: &str) -> bool {
    line.trim().starts_with(END)
}

impl Paste {
    /// Whether its BEGIN line was seen.
    pub(super) fn has_begun(&self) -> bool {
        !self.text.is_empty()
    }

    /// Takes one more line.
    pub(super) fn add(&mut self, line: &str) -> Pasted {
        let line = line.trim();
        if !self.has_begun() {
            match line {
                // Remarks such as openssl's bag attributes stand before it.
                _ if !begins(line) => return Pasted::More,
                CERTIFICATE => {}
                _ if line.contains("PRIVATE KEY") => {
                    return Pasted::Fault(
                        "that is a private key: it must stay with its owner; paste the CA's certificate"
                            .to_owned(),
                    );
                }
                _ => {
                    return Pasted::Fault(
                        "that is no certificate; paste what begins with -----BEGIN CERTIFICATE-----"
                            .to_owned(),
                    );
                }
            }
        } else if begins(line) {
            return Pasted::Fault(
                "a second BEGIN line came before the END line; paste the whole certificate again"
                    .to_owned(),
            );
        }
        self.text.push_str(line);
        self.text.push('\n');
        if self.text.len() as u64 > MOST_PEM_BYTES {
            return Pasted::Fault("that is longer than any certificate".to_owned());
        }
        if !ends(line) {
            return Pasted::More;
        }
        match Authority::read(&self.text) {
            Ok(authority) => Pasted::Whole(authority),
            Err(words) => Pasted::Fault(words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::authority::tests::certificate;

    fn paste(text: &str) -> Pasted {
        let mut paste = Paste::default();
        let mut last = Pasted::More;
        for line in text.lines() {
            last = paste.add(line);
            if last != Pasted::More {
                break;
            }
        }
        last
    }

    #[test]
    fn a_certificate_is_whole_at_its_end() {
        let pem = certificate("bravo CA 0011aabb", true);
        let Pasted::Whole(authority) =
            paste(&format!("Bag Attributes\n\n{}", pem.replace('\n', " \r\n")))
        else {
            panic!("not whole");
        };
        assert_eq!(authority.suggested_name.as_deref(), Some("bravo"));
        let cut: Vec<&str> = pem.lines().collect();
        assert_eq!(paste(&cut[..cut.len() - 1].join("\n")), Pasted::More);
    }

    #[test]
    fn what_is_no_authority_is_refused_in_words() {
        let leaf = certificate("unit-7", false);
        let pem = certificate("bravo", true);
        let mut lines: Vec<&str> = pem.lines().collect();
        lines.remove(2);
        for (text, words) in [
            (leaf, "is a leaf, not a CA"),
            (lines.join("\n"), "cannot be read"),
            ("-----BEGIN PRIVATE KEY-----\n".into(), "private key"),
            (
                "-----BEGIN CERTIFICATE REQUEST-----\n".into(),
                "no certificate",
            ),
            (format!("{}\n{pem}", lines[..3].join("\n")), "second BEGIN"),
            (format!("{}\n{}", lines[0], "A".repeat(200_000)), "longer"),
            (
                "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n".into(),
                "CA",
            ),
        ] {
            let Pasted::Fault(fault) = paste(&text) else {
                panic!("accepted: {text}");
            };
            assert!(fault.contains(words), "{fault}");
        }
    }
}
