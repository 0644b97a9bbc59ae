//! Pairing by a code, as it is asked for and answered.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::pair::Terms;

/// What is asked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PairRequest {
    /// Make a code; one that waits counts no more.
    Code {
        /// What may cross, and what to call the other box.
        #[serde(default)]
        terms: Terms,
    },
    /// Which code waits?
    Show,
    /// Take the code back. What was paired before stays.
    Clear,
    /// Pair with the box that made this code.
    Join {
        /// The code, as it was typed.
        code: String,
        /// Where its HTTPS API is: `host` or `host:port`.
        host: String,
        /// What may cross, and what to call the other box.
        #[serde(default)]
        terms: Terms,
        /// The other box may dial us, too.
        #[serde(default)]
        reachable: bool,
    },
    /// First step of another box.
    Begin {
        /// Where it asks from.
        from: IpAddr,
        /// Its share, hexadecimal.
        share: String,
    },
    /// Second step of another box.
    Finish {
        /// Where it asks from.
        from: IpAddr,
        /// SHA-256 of the certificate that it shows to our TLS.
        #[serde(default)]
        certificate: Option<String>,
        /// The number of the exchange, hexadecimal.
        session: String,
        /// Its confirmation, hexadecimal.
        confirmation: String,
        /// Its introduction, sealed, hexadecimal.
        introduction: String,
    },
}

impl PairRequest {
    /// It reckons for long, waits for another box or writes files: not for the event loop.
    pub fn takes_long(&self) -> bool {
        !matches!(self, Self::Code { .. } | Self::Show | Self::Clear)
    }
}

impl fmt::Debug for PairRequest {
    /// Without what is in it: no code reaches a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Code { .. } => "Code",
            Self::Show => "Show",
            Self::Clear => "Clear",
            Self::Join { .. } => "Join",
            Self::Begin { .. } => "Begin",
            Self::Finish { .. } => "Finish",
        })
    }
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairResponse {
    /// To [`PairRequest::Code`] and [`PairRequest::Show`].
    Code(Option<WaitingCode>),
    /// To [`PairRequest::Clear`]: whether one waited.
    Cleared(bool),
    /// To [`PairRequest::Join`].
    Paired(Paired),
    /// To [`PairRequest::Begin`].
    Begun {
        /// The number of the exchange, hexadecimal.
        session: String,
        /// Our share, hexadecimal.
        share: String,
    },
    /// To [`PairRequest::Finish`].
    Finished {
        /// Our confirmation, hexadecimal.
        confirmation: String,
        /// Our introduction, sealed, hexadecimal.
        introduction: String,
    },
}

impl PairResponse {
    /// For people, line by line; none where only a program wants to know.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Code(None) => {
                vec!["no code waits; `pair code` makes one".to_owned()]
            }
            Self::Code(Some(waiting)) => waiting.lines(),
            Self::Cleared(true) => {
                vec!["the code counts no more; what was paired before stays".to_owned()]
            }
            Self::Cleared(false) => vec!["no code waited".to_owned()],
            Self::Paired(paired) => paired.lines(),
            Self::Begun { .. } | Self::Finished { .. } => Vec::new(),
        }
    }
}

impl fmt::Debug for PairResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Code(None) => "no code",
            Self::Code(Some(_)) => "a code",
            Self::Cleared(_) => "Cleared",
            Self::Paired(_) => "Paired",
            Self::Begun { .. } => "Begun",
            Self::Finished { .. } => "Finished",
        })
    }
}

/// A code that waits, for those who may see it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingCode {
    /// The code.
    pub code: String,
    /// Seconds that it still counts.
    pub expires_seconds: u32,
    /// Wrong guesses that it still bears.
    pub tries_left: u8,
    /// Where the other box finds us: what to type behind the code.
    pub host: String,
}

impl WaitingCode {
    fn lines(&self) -> Vec<String> {
        vec![
            self.code.clone(),
            format!(
                "it counts once, for {} min {:02} s more, and bears {} wrong guesses",
                self.expires_seconds / 60,
                self.expires_seconds % 60,
                self.tries_left
            ),
            format!(
                "on the other box: tombolo pair join {} {}",
                self.code, self.host
            ),
        ]
    }
}

/// Two boxes that know each other now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paired {
    /// What the other box is called here.
    pub name: String,
    /// SHA-256 of its certificate.
    pub fingerprint: String,
    /// Where it is dialled; none: it dials us.
    pub address: Option<String>,
    /// It was registered before, and is now as the pairing says.
    pub known_before: bool,
    /// What there is to know beside that; empty when nothing is.
    pub remark: String,
}

impl Paired {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("paired with {}", self.name),
            format!("its certificate: {}", self.fingerprint),
            match &self.address {
                Some(address) => format!("we dial it at {address}"),
                None => "it dials us".to_owned(),
            },
        ];
        if self.known_before {
            lines.push("it was registered before: that entry was brought up to date".to_owned());
        }
        if !self.remark.is_empty() {
            lines.push(self.remark.clone());
        }
        lines
    }
}

/// A code that waits, for everybody who may see the status: not which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairingStatus {
    /// Seconds that it still counts.
    pub remaining_seconds: u32,
    /// Wrong guesses that it still bears.
    pub tries_left: u8,
}

impl PairingStatus {
    /// For people; empty when no code waits.
    pub fn in_words(of: Option<Self>) -> String {
        of.map_or_else(String::new, |waiting| {
            format!(
                "a code waits, for {} min {:02} s more, and bears {} wrong guesses",
                waiting.remaining_seconds / 60,
                waiting.remaining_seconds % 60,
                waiting.tries_left
            )
        })
    }
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Hexadecimal digits as bytes; none when they are anything else, or too many.
pub fn unhex(text: &str, most: usize) -> Option<Vec<u8>> {
    if text.len() > 2 * most || !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks_exact(2);
    pairs
        .map(|pair| u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Request, Response};
    use proptest::prelude::*;

    #[test]
    fn no_code_is_in_a_debug_text() {
        let join = Request::Pair(PairRequest::Join {
            code: "K7QM-2XWD".into(),
            host: "bravo".into(),
            terms: Terms::default(),
            reachable: false,
        });
        let code = Response::Pair(PairResponse::Code(Some(WaitingCode {
            code: "K7QM-2XWD".into(),
            expires_seconds: 599,
            tries_left: 5,
            host: "bravo".into(),
        })));
        assert!(!format!("{join:?}{code:?}").contains("K7QM"));
        let text = serde_json::to_string(&code).unwrap();
        assert_eq!(serde_json::from_str::<Response>(&text).unwrap(), code);
        let text = serde_json::to_string(&join).unwrap();
        assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), join);
        let Response::Pair(code) = code else { return };
        assert_eq!(
            code.lines()[1],
            "it counts once, for 9 min 59 s more, and bears 5 wrong guesses"
        );
    }

    #[test]
    fn short_requests_say_the_usual() {
        let code: PairRequest = serde_json::from_str(r#"{"code":{}}"#).unwrap();
        let usual = Terms::default();
        assert_eq!(code, PairRequest::Code { terms: usual });
        assert!(serde_json::from_str::<PairRequest>(r#"{"join":{"code":"x"}}"#).is_err());
    }

    proptest! {
        #[test]
        fn hexadecimal_comes_back_and_nothing_else_does(bytes: Vec<u8>, text in ".{0,20}") {
            prop_assert_eq!(unhex(&hex(&bytes), bytes.len()), Some(bytes.clone()));
            if !bytes.is_empty() {
                prop_assert_eq!(unhex(&hex(&bytes), bytes.len() - 1), None);
            }
            if let Some(read) = unhex(&text, 20) {
                prop_assert_eq!(hex(&read), text.to_lowercase());
            }
        }
    }
}
