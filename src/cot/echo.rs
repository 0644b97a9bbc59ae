//! The probe that boxes send each other through the ordinary event stream, to prove that events cross: a small event
//! of a type of its own, signed by the box that made it. It is consumed by the box it is for, never shown and never
//! relayed.

use std::fmt::Write as _;

use crate::wire::fig::Geo;
use crate::wire::stamp;

/// The type of a probe.
pub const KIND: &[u8] = b"t-x-tombolo-echo";
/// Where the detail of a probe begins.
const ELEMENT: &str = "<__tombolo ";
/// Longest detail of a probe that is looked at, bytes. A signature by RSA with 4,096 bits is the longest.
pub const LONGEST: usize = 1536;

/// A probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Echo {
    /// It asks; `false`: it answers.
    pub asks: bool,
    /// Made anew for each question; the answer repeats it.
    pub nonce: [u8; 16],
    /// Federate id of the box that signed it.
    pub from: String,
    /// Federate id of the box it is for.
    pub to: String,
    /// Wall clock of the box that signed it, milliseconds since 1970.
    pub wall_ms: i64,
    /// The signing box takes events of the other.
    pub incoming: bool,
    /// The signing box sends events to the other.
    pub outgoing: bool,
    /// Over [`Echo::signed`].
    pub signature: Vec<u8>,
}

impl Echo {
    /// What is signed.
    pub fn signed(&self) -> Vec<u8> {
        // The name in front keeps the signature from meaning anything elsewhere.
        format!(
            "tombolo echo 1\n{}\n{}\n{}\n{}\n{}\n{}\n{}",
            kind(self.asks),
            hex(&self.nonce),
            self.from,
            self.to,
            self.wall_ms,
            self.incoming,
            self.outgoing
        )
        .into_bytes()
    }

    /// As CoT XML; times by the wall clock of now.
    pub fn to_xml(&self, now_ms: i64) -> Vec<u8> {
        let time = |ms: i64| {
            let text = stamp::write(ms).unwrap_or(*b"1970-01-01T00:00:00.000Z");
            String::from_utf8_lossy(&text).into_owned()
        };
        let (now, stale) = (time(now_ms), time(now_ms.saturating_add(LIFE_MS)));
        let mut xml = String::new();
        // Writing to a string cannot fail.
        let _ = write!(
            xml,
            "<event version='2.0' uid='tombolo-echo-{nonce}' type='{KIND}' time='{now}' start='{now}' stale='{stale}' \
             how='m-g'><point lat='0' lon='0' hae='9999999.0' ce='9999999.0' le='9999999.0'/><detail>{ELEMENT}\
             kind='{kind}' nonce='{nonce}' from='{from}' to='{to}' wall='{wall}' incoming='{incoming}' \
             outgoing='{outgoing}' signature='{signature}'/></detail></event>",
            nonce = hex(&self.nonce),
            KIND = String::from_utf8_lossy(KIND),
            kind = kind(self.asks),
            from = self.from,
            to = self.to,
            wall = self.wall_ms,
            incoming = self.incoming,
            outgoing = self.outgoing,
            signature = hex(&self.signature),
        );
        xml.into_bytes()
    }

    /// Reads the detail of a probe, as it came in a `GeoEvent`; none when it is no probe.
    pub fn of_event(event: &Geo<'_>) -> Option<Self> {
        Self::of_detail(event.other)
    }

    fn of_detail(detail: &[u8]) -> Option<Self> {
        if detail.len() > LONGEST {
            return None;
        }
        let text = std::str::from_utf8(detail).ok()?;
        let (_, attributes) = text.split_once(ELEMENT)?;
        let (attributes, _) = attributes.split_once("/>")?;
        let value = |name: &str| {
            let mut found = None;
            for part in attributes.split_whitespace() {
                let (key, value) = part.split_once('=')?;
                let quote = value
                    .chars()
                    .next()
                    .filter(|&quote| quote == '\'' || quote == '"')?;
                let value = value.strip_prefix(quote)?.strip_suffix(quote)?;
                if key == name {
                    found = Some(value);
                }
            }
            found
        };
        let flag = |name: &str| match value(name)? {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        let id = |name: &str| {
            let id = value(name)?;
            (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
                .then(|| id.to_owned())
        };
        Some(Self {
            asks: match value("kind")? {
                "question" => true,
                "answer" => false,
                _ => return None,
            },
            nonce: unhex(value("nonce")?)?.try_into().ok()?,
            from: id("from")?,
            to: id("to")?,
            wall_ms: value("wall")?.parse().ok()?,
            incoming: flag("incoming")?,
            outgoing: flag("outgoing")?,
            signature: unhex(value("signature")?)?,
        })
    }
}

/// A probe that waits longer than this is not sent, milliseconds.
const LIFE_MS: i64 = 30_000;

const fn kind(asks: bool) -> &'static str {
    if asks { "question" } else { "answer" }
}

/// As hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Bytes from their hex digits.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let byte = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Echo {
        Echo {
            asks: true,
            nonce: *b"0123456789abcdef",
            from: "a".repeat(32),
            to: "b".repeat(32),
            wall_ms: 1_790_000_000_123,
            incoming: true,
            outgoing: false,
            signature: (0..=255).collect(),
        }
    }

    #[test]
    fn a_probe_crosses_as_an_event() {
        let xml = example().to_xml(1_790_000_000_000);
        let event = crate::wire::xml::parse(&xml).unwrap();
        assert_eq!(event.kind, KIND);
        assert_eq!(
            Echo::of_detail(event.detail.unwrap().bytes),
            Some(example())
        );
        let mut message = Vec::new();
        let envelope = crate::cot::federated::Envelope::new(&[b'a'; 32]);
        envelope.put_event(&mut message, &event).unwrap();
        let read = crate::wire::fig::parse(&message, &[b'b'; 32]).unwrap();
        assert_eq!(Echo::of_event(&read.event.unwrap()), Some(example()));
    }

    #[test]
    fn everything_that_it_says_is_signed() {
        let one = example();
        let others = [
            Echo {
                asks: false,
                ..one.clone()
            },
            Echo {
                nonce: [7; 16],
                ..one.clone()
            },
            Echo {
                from: "c".repeat(32),
                ..one.clone()
            },
            Echo {
                to: "c".repeat(32),
                ..one.clone()
            },
            Echo {
                wall_ms: 1,
                ..one.clone()
            },
            Echo {
                incoming: false,
                ..one.clone()
            },
            Echo {
                outgoing: true,
                ..one.clone()
            },
        ];
        for other in others {
            assert_ne!(one.signed(), other.signed());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), text in "[a-z<>='/ _\"é]{0,200}") {
            let _ = Echo::of_detail(&bytes);
            let _ = Echo::of_detail(format!("{ELEMENT}{text}/>").as_bytes());
            let _ = unhex(&text);
        }

        #[test]
        fn signatures_of_any_length_come_back(signature in proptest::collection::vec(any::<u8>(), 0..520)) {
            let echo = Echo { signature, ..example() };
            let xml = echo.to_xml(0);
            prop_assert_eq!(Echo::of_detail(crate::wire::xml::parse(&xml).unwrap().detail.unwrap().bytes), Some(echo));
        }
    }
}
