//! RFC 6455, the server's side of it, as far as a stream of events needs it: text out, pings and goodbyes both ways.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// What is appended to the visitor's key (RFC 6455, 1.3).
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Longest payload of a ping, pong or close.
pub const CONTROL: usize = 125;

/// What kinds of frames there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A message of text.
    Text,
    /// Goodbye.
    Close,
    /// Are you there?
    Ping,
    /// I am.
    Pong,
}

impl Kind {
    const fn opcode(self) -> u8 {
        match self {
            Self::Text => 1,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }
}

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCode {
    /// The box stops.
    GoingAway = 1001,
    /// The visitor does not keep to the protocol.
    Protocol = 1002,
    /// The visitor sends what is not taken here.
    Unsupported = 1003,
    /// The visitor may not be here any more, or is too slow.
    Policy = 1008,
}

/// The value of `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`.
pub fn accept(key: &str) -> String {
    let text = format!("{key}{MAGIC}");
    base64(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref())
}

/// Whether it is a key as visitors send it: 16 bytes in base64.
pub fn is_key(key: &str) -> bool {
    let digits = key.strip_suffix("==").unwrap_or_default();
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    digits.len() == 22 && digits.bytes().all(is_digit)
}

/// The head of a frame of ours: whole, not masked.
pub fn put_head(out: &mut Vec<u8>, kind: Kind, length: usize) {
    out.push(0x80 | kind.opcode());
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => out.push(short),
        (_, Ok(middle)) => {
            out.push(126);
            out.extend_from_slice(&middle.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// A whole frame.
pub fn put(out: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    put_head(out, kind, payload.len());
    out.extend_from_slice(payload);
}

/// A close frame.
pub fn put_close(out: &mut Vec<u8>, code: CloseCode, reason: &str) {
    let mut payload = (code as u16).to_be_bytes().to_vec();
    payload.extend(reason.bytes().take(CONTROL - 2));
    put(out, Kind::Close, &payload);
}

/// What a visitor sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A whole frame of [`Kind::Ping`], [`Kind::Pong`] or [`Kind::Close`].
    Control(Kind, Vec<u8>),
    /// Text or bytes, which nobody here reads.
    Data,
    /// No WebSocket frame.
    Broken,
}

/// Puts together what a visitor sends; at most one control frame is kept.
#[derive(Debug, Default)]
pub struct Decoder {
    begun: Vec<u8>,
}

impl Decoder {
    /// Takes bytes; gives what they complete, and how many of them that took.
    pub fn take(&mut self, bytes: &[u8]) -> (Option<Heard>, usize) {
        for (index, &byte) in bytes.iter().enumerate() {
            self.begun.push(byte);
            if let Some(heard) = self.look() {
                self.begun.clear();
                return (Some(heard), index + 1);
            }
        }
        (None, bytes.len())
    }

    fn look(&self) -> Option<Heard> {
        let &[first, ref rest @ ..] = self.begun.as_slice() else {
            return None;
        };
        let kind = match first {
            0x88 => Kind::Close,
            0x89 => Kind::Ping,
            0x8A => Kind::Pong,
            // Any first or further piece of text or bytes.
            0x00..=0x02 | 0x80..=0x82 => return Some(Heard::Data),
            // Reserved bits and kinds, or a control frame in pieces.
            _ => return Some(Heard::Broken),
        };
        let &[length, ref rest @ ..] = rest else {
            return None;
        };
        // Visitors must mask, and a control frame is short.
        if length & 0x80 == 0 || usize::from(length & 0x7F) > CONTROL {
            return Some(Heard::Broken);
        }
        let length = usize::from(length & 0x7F);
        if rest.len() < 4 + length {
            return None;
        }
        let (mask, payload) = rest.split_at(4);
        let unmasked = payload.iter().zip(mask.iter().cycle());
        let payload = unmasked.map(|(byte, mask)| byte ^ mask).collect();
        Some(Heard::Control(kind, payload))
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let padded = group.iter().chain(&[0; 3]).take(3);
        let value = padded.fold(0usize, |value, &byte| value << 8 | usize::from(byte));
        for place in 0..4 {
            text.push(match place <= group.len() {
                true => char::from(DIGITS[value >> (18 - 6 * place) & 63]),
                false => '=',
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_handshake_of_the_standard() {
        assert!(is_key("dGhlIHNhbXBsZSBub25jZQ=="));
        assert_eq!(
            accept("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        for bad in [
            "",
            "==",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25j!Q==",
        ] {
            assert!(!is_key(bad), "{bad}");
        }
    }

    #[test]
    fn heads_have_the_three_lengths_of_the_standard() {
        let head = |length| {
            let mut out = Vec::new();
            put_head(&mut out, Kind::Text, length);
            out
        };
        assert_eq!(head(5), [0x81, 5]);
        assert_eq!(head(126), [0x81, 126, 0, 126]);
        assert_eq!(head(65_536), [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        let mut close = Vec::new();
        put_close(&mut close, CloseCode::Policy, &"x".repeat(200));
        assert_eq!(close.len(), 2 + CONTROL);
        assert_eq!(close[2..4], [0x03, 0xF0]);
    }

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first, 0x80 | payload.len() as u8, 1, 2, 3, 4];
        let mask = [1, 2, 3, 4].iter().cycle();
        frame.extend(payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        frame
    }

    #[test]
    fn frames_of_visitors_are_read_in_pieces_of_any_size() {
        let mut bytes = masked(0x89, b"hello");
        bytes.extend(masked(0x8A, b""));
        bytes.extend(masked(0x88, &[0x03, 0xE8]));
        for size in 1..bytes.len() {
            let mut decoder = Decoder::default();
            let mut heard = Vec::new();
            for mut piece in bytes.chunks(size) {
                while !piece.is_empty() {
                    let (one, used) = decoder.take(piece);
                    heard.extend(one);
                    piece = &piece[used..];
                }
            }
            let expected = [
                Heard::Control(Kind::Ping, b"hello".to_vec()),
                Heard::Control(Kind::Pong, Vec::new()),
                Heard::Control(Kind::Close, vec![0x03, 0xE8]),
            ];
            assert_eq!(heard, expected);
        }
    }

    #[test]
    fn what_is_not_allowed_is_told_apart() {
        let first = |bytes: &[u8]| Decoder::default().take(bytes).0;
        assert_eq!(first(&masked(0x81, b"x")), Some(Heard::Data));
        assert_eq!(first(&[0x89, 0x05]), Some(Heard::Broken), "not masked");
        assert_eq!(first(&[0x09, 0x80]), Some(Heard::Broken), "in pieces");
        assert_eq!(first(&[0xC9, 0x80]), Some(Heard::Broken), "reserved bit");
        assert_eq!(first(&[0x89, 0xFE]), Some(Heard::Broken), "too long");
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_panic_and_little_memory(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let mut decoder = Decoder::default();
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let (_, used) = decoder.take(rest);
                prop_assert!(used > 0);
                prop_assert!(decoder.begun.len() <= 6 + CONTROL);
                rest = &rest[used..];
            }
        }
    }
}
