//! Where one message ends and the next begins: in a stream `0xBF`, a varint length and the message; in a datagram
//! `0xBF`, a varint version, `0xBF` and the message (protocol reference 6.2).

use crate::wire::proto;

/// Before each message of a stream, and twice before that of a datagram.
pub const MAGIC: u8 = 0xbf;

/// The version of the protocol that is spoken here.
pub const VERSION: u64 = 1;

/// What stands before the message of a datagram.
pub const DATAGRAM_HEADER: [u8; 3] = [MAGIC, VERSION as u8, MAGIC];

/// Longest [`StreamHeader`]: the magic byte, and a length below 2^32.
pub const HEADER_MAX: usize = 6;

/// Most bytes of a varint.
const VARINT_MAX: usize = 10;

/// What stands before a message of a stream.
#[derive(Debug, Clone, Copy)]
pub struct StreamHeader {
    bytes: [u8; HEADER_MAX],
    length: u8,
}

impl StreamHeader {
    /// Before a message of so many bytes.
    pub const fn of(length: u32) -> Self {
        let mut header = Self {
            bytes: [MAGIC; HEADER_MAX],
            length: 1 + proto::varint_length(length as u64) as u8,
        };
        let (mut rest, mut at) = (length, 1);
        while rest >= 0x80 {
            header.bytes[at] = rest as u8 | 0x80;
            rest >>= 7;
            at += 1;
        }
        header.bytes[at] = rest as u8;
        header
    }

    /// Its bytes, two to [`HEADER_MAX`].
    pub fn bytes(&self) -> &[u8] {
        self.bytes
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }
}

/// What a stream begins with. Positions count from the buffer's first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A whole message from `start` up to `end`; take `end` bytes from the buffer.
    Message {
        /// Just behind its length.
        start: usize,
        /// Just behind its last byte.
        end: usize,
    },
    /// Nothing whole yet; `begun` tells whether a message has started.
    More {
        /// Its first byte is there.
        begun: bool,
    },
    /// No message begins here.
    Garbage,
    /// The message is longer than allowed, or its length is none; nothing behind it can be trusted to be framed.
    TooLong,
}

/// Looks what a buffer begins with: a message of at most `max` bytes. Its length is judged before a byte of it is there.
pub fn next(buffer: &[u8], max: usize) -> Found {
    match buffer {
        [] => Found::More { begun: false },
        [MAGIC, rest @ ..] => match varint(rest) {
            Varint::Is(length, taken) => {
                let start = 1 + taken;
                let length = usize::try_from(length).ok().filter(|&length| length <= max);
                match length.and_then(|length| start.checked_add(length)) {
                    Some(end) if end <= buffer.len() => Found::Message { start, end },
                    Some(_) => Found::More { begun: true },
                    None => Found::TooLong,
                }
            }
            Varint::Begun => Found::More { begun: true },
            Varint::None => Found::TooLong,
        },
        _ => Found::Garbage,
    }
}

/// What a datagram of a mesh holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datagram<'a> {
    /// A `TakMessage` of [`VERSION`].
    Tak(&'a [u8]),
    /// CoT XML, from `<` on.
    Xml(&'a [u8]),
    /// A message of another version of the protocol, which can be anything.
    Version(u64),
    /// Neither.
    Garbage,
}

/// Looks what a datagram holds. What follows the header is not read yet; blanks and a byte order mark before XML are forgiven.
pub fn datagram(bytes: &[u8]) -> Datagram<'_> {
    if let Some(message) = bytes.strip_prefix(&DATAGRAM_HEADER) {
        return Datagram::Tak(message);
    }
    if let [MAGIC, rest @ ..] = bytes {
        return match varint(rest) {
            Varint::Is(version, taken) if rest.get(taken) == Some(&MAGIC) => match version {
                // A varint may be written longer than it need be.
                VERSION => Datagram::Tak(&rest[taken + 1..]),
                version => Datagram::Version(version),
            },
            _ => Datagram::Garbage,
        };
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match text.trim_ascii_start() {
        xml @ [b'<', ..] => Datagram::Xml(xml),
        _ => Datagram::Garbage,
    }
}

/// Appends a datagram that holds a `TakMessage`.
pub fn put_datagram(out: &mut Vec<u8>, message: &[u8]) {
    out.extend_from_slice(&DATAGRAM_HEADER);
    out.extend_from_slice(message);
}

enum Varint {
    /// Its value, and how many bytes it takes.
    Is(u64, usize),
    /// Not all of it is there.
    Begun,
    /// Longer than any varint.
    None,
}

fn varint(bytes: &[u8]) -> Varint {
    let mut value = 0u64;
    for (at, &byte) in bytes.iter().enumerate().take(VARINT_MAX) {
        let bits = u64::from(byte & 0x7f);
        if at + 1 == VARINT_MAX && bits > 1 {
            return Varint::None;
        }
        value |= bits << (7 * at);
        if byte < 0x80 {
            return Varint::Is(value, at + 1);
        }
    }
    match bytes.len() {
        VARINT_MAX.. => Varint::None,
        _ => Varint::Begun,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_length_is_judged_before_its_message_is_there() {
        assert_eq!(
            next(&[MAGIC, 5, 1, 2], 5),
            Found::More { begun: true },
            "not whole yet"
        );
        assert_eq!(next(&[MAGIC, 6], 5), Found::TooLong);
        assert_eq!(
            next(&[MAGIC, 0xff, 0xff, 0xff, 0xff, 0x0f], 1 << 20),
            Found::TooLong
        );
        let huge = [MAGIC, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
        assert_eq!(next(&huge, usize::MAX), Found::TooLong);
        let endless = [[MAGIC].as_slice(), &[0x80; 10]].concat();
        assert_eq!(next(&endless, 100), Found::TooLong);
        assert_eq!(next(&endless[..10], 100), Found::More { begun: true });
        assert_eq!(next(&[MAGIC], 100), Found::More { begun: true });
        assert_eq!(next(&[], 100), Found::More { begun: false });
    }

    #[test]
    fn what_is_no_message_is_garbage() {
        assert_eq!(next(b"<event", 100), Found::Garbage);
        assert_eq!(next(&[0], 100), Found::Garbage);
        assert_eq!(
            next(&[MAGIC, 0], 100),
            Found::Message { start: 2, end: 2 },
            "an empty message is one"
        );
    }

    #[test]
    fn datagrams_are_told_apart() {
        let mut tak = Vec::new();
        put_datagram(&mut tak, b"message");
        assert_eq!(tak, b"\xbf\x01\xbfmessage");
        assert_eq!(datagram(&tak), Datagram::Tak(b"message"));
        assert_eq!(datagram(b"\xbf\x81\x00\xbfm"), Datagram::Tak(b"m"));
        assert_eq!(datagram(b"\xbf\x02\xbfm"), Datagram::Version(2));
        assert_eq!(datagram(b"<event/>"), Datagram::Xml(b"<event/>"));
        assert_eq!(datagram(b"\xef\xbb\xbf\r\n<?xml"), Datagram::Xml(b"<?xml"));
        for garbage in [
            &b""[..],
            b"\xbf",
            b"\xbf\x01",
            b"\xbf\x01m",
            b"\xbf\x80",
            b"hello",
            b"\x08\x01",
        ] {
            assert_eq!(datagram(garbage), Datagram::Garbage, "{garbage:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_framed_is_found(length in 0usize..70_000, rest in proptest::collection::vec(any::<u8>(), 0..9)) {
            let header = StreamHeader::of(length as u32);
            let start = header.bytes().len();
            let mut stream = header.bytes().to_vec();
            stream.resize(start + length, 7);
            for cut in [1, start, stream.len() - 1] {
                if cut < stream.len() {
                    prop_assert_eq!(next(&stream[..cut], length), Found::More { begun: true });
                }
            }
            stream.extend_from_slice(&rest);
            prop_assert_eq!(next(&stream, length), Found::Message { start, end: start + length });
            prop_assert_eq!(next(&stream, length.wrapping_sub(1).min(length)), match length {
                0 => Found::Message { start, end: start },
                _ => Found::TooLong,
            });
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..24), max: usize) {
            for buffer in [bytes.clone(), [&[MAGIC][..], &bytes].concat()] {
                if let Found::Message { start, end } = next(&buffer, max) {
                    prop_assert!(start <= end && end <= buffer.len() && end - start <= max);
                }
                let _ = datagram(&buffer);
            }
        }
    }
}
