//! The five-byte prefix: one flag byte (compressed or not), then the length, big-endian.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

use crate::wire::pack::{self, Unpacker};

/// Length of the prefix, bytes.
pub const PREFIX: usize = 5;

/// Longest control message taken (subscription, group list, health), bytes.
pub const CONTROL_LIMIT: usize = 32 * 1024;

/// A larger buffer than this is given back once it is empty, bytes.
const KEPT_BUFFER: usize = 16 * 1024;

/// A message in its gRPC frame.
pub fn framed<M: Message>(message: &M) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX + length);
    bytes.put_u8(0);
    // Our own control messages are far below 4 GiB.
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // A BytesMut grows, so encoding into it cannot run out of room.
    let _ = message.encode(&mut bytes);
    bytes.freeze()
}

/// A frame that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// The flag byte is not zero: 1 = compressed, which we never offer; anything else has no meaning.
    Flag(u8),
    /// Longer than allowed here, bytes.
    TooLong {
        /// What the prefix says.
        length: u32,
        /// What is allowed.
        limit: usize,
    },
    /// The stream ended inside a message.
    Truncated,
    /// A packed piece that no packer made, or plain bytes inside what is packed.
    Unpacking,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(1) => f.write_str("compressed messages are not taken, send identity"),
            Self::Flag(flag) => write!(
                f,
                "a message begins with flag {flag}, which gRPC does not know"
            ),
            Self::TooLong { length, limit } => {
                write!(f, "a message of {length} bytes, {limit} are allowed")
            }
            Self::Truncated => f.write_str("the stream ended inside a message"),
            Self::Unpacking => f.write_str("a packed piece cannot be unpacked"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Cuts a byte stream into messages.
///
/// Holds at most one incomplete message; memory grows with the bytes that came, never with what a prefix promises.
#[derive(Debug)]
pub struct Decoder {
    held: BytesMut,
    limit: usize,
    /// What packed pieces hold; none where they are not taken.
    packed: Option<Box<Packed>>,
}

/// A stream within the stream: pieces of it, packed, are messages with flag 1.
#[derive(Debug)]
struct Packed {
    /// Made when the first piece comes.
    unpacker: Option<Box<Unpacker>>,
    piece: Vec<u8>,
    inner: Decoder,
}

impl Decoder {
    /// Takes messages up to `limit` bytes, prefix not counted.
    pub fn new(limit: usize) -> Self {
        Self {
            held: BytesMut::new(),
            limit,
            packed: None,
        }
    }

    /// From now on takes packed pieces of messages too.
    pub fn unpack(&mut self) {
        if self.packed.is_none() {
            self.packed = Some(Box::new(Packed {
                unpacker: None,
                piece: Vec::new(),
                inner: Self::new(self.limit),
            }));
        }
    }

    /// Hands every message that is whole with these bytes to `sink`, in order.
    ///
    /// # Errors
    /// A flag or length that is not acceptable; the stream is unusable afterwards.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), FrameError> {
        let mut rest = bytes;
        while !self.held.is_empty() && !rest.is_empty() {
            let wanted = self.whole(&self.held)?.unwrap_or(PREFIX);
            let taken = rest.len().min(wanted - self.held.len());
            self.held.extend_from_slice(&rest[..taken]);
            rest = &rest[taken..];
            if self.whole(&self.held)? == Some(self.held.len()) {
                match &mut self.packed {
                    None => sink(&self.held[PREFIX..]),
                    Some(packed) => packed.take(&self.held, sink)?,
                }
                self.empty();
            }
        }
        while let Some(length) = self.whole(rest)? {
            let Some(message) = rest.get(PREFIX..length) else {
                break;
            };
            match &mut self.packed {
                None => sink(message),
                Some(packed) => packed.take(&rest[..length], sink)?,
            }
            rest = &rest[length..];
        }
        self.held.extend_from_slice(rest);
        Ok(())
    }

    /// Bytes kept of a message that is not whole yet.
    pub fn held(&self) -> usize {
        let within = self.packed.as_ref().map_or(0, |packed| packed.inner.held());
        self.held.len() + within
    }

    /// The stream ended.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] when it ended inside a message.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.held() == 0 {
            Ok(())
        } else {
            Err(FrameError::Truncated)
        }
    }

    /// Length of the frame that begins here, prefix included; none while the prefix is incomplete.
    fn whole(&self, bytes: &[u8]) -> Result<Option<usize>, FrameError> {
        match bytes.first() {
            Some(1) if self.packed.is_some() => whole(bytes, pack::LONGEST_PACKED),
            Some(&flag) if flag != 0 => Err(FrameError::Flag(flag)),
            _ => whole(bytes, self.limit),
        }
    }

    fn empty(&mut self) {
        if self.held.capacity() > KEPT_BUFFER {
            self.held = BytesMut::new();
        } else {
            self.held.clear();
        }
    }
}

impl Packed {
    /// Takes a whole message of the outer stream, with its prefix.
    fn take(&mut self, message: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), FrameError> {
        let (prefix, body) = message.split_at(PREFIX);
        if prefix[0] == 0 {
            // Plain messages come before the first packed piece, and between such as end with a message.
            return match self.inner.held() {
                0 => {
                    sink(body);
                    Ok(())
                }
                _ => Err(FrameError::Unpacking),
            };
        }
        let unpacker = self.unpacker.get_or_insert_default();
        self.piece.clear();
        unpacker
            .unpack(body, &mut self.piece)
            .map_err(|_| FrameError::Unpacking)?;
        self.inner.feed(&self.piece, sink)
    }
}

fn whole(bytes: &[u8], limit: usize) -> Result<Option<usize>, FrameError> {
    let Some(&[_, a, b, c, d]) = bytes.first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([a, b, c, d]);
    match usize::try_from(length) {
        Ok(bytes) if bytes <= limit => Ok(Some(PREFIX + bytes)),
        _ => Err(FrameError::TooLong { length, limit }),
    }
}

/// Counts messages without keeping a byte of them, however long they are: for the blobs that everybody accepts and
/// drops (protocol reference 3.5).
#[derive(Debug, Default)]
pub struct Skipper {
    prefix: [u8; PREFIX],
    have: usize,
    left: usize,
}

impl Skipper {
    /// Returns how many messages ended with these bytes.
    ///
    /// # Errors
    /// A flag that is not zero or one (what is not read may well be compressed).
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize, FrameError> {
        let mut rest = bytes;
        let mut ended = 0;
        loop {
            let skipped = rest.len().min(self.left);
            self.left -= skipped;
            rest = &rest[skipped..];
            if self.have == PREFIX && self.left == 0 {
                ended += 1;
                self.have = 0;
            }
            let Some((&first, others)) = rest.split_first() else {
                return Ok(ended);
            };
            if self.have == PREFIX {
                // Unreachable while bytes are left over; the next round skips them.
                continue;
            }
            if self.have == 0 && first > 1 {
                return Err(FrameError::Flag(first));
            }
            self.prefix[self.have] = first;
            self.have += 1;
            rest = others;
            if self.have == PREFIX {
                let [_, a, b, c, d] = self.prefix;
                self.left = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raw(message: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(message);
        bytes
    }

    fn collect(decoder: &mut Decoder, bytes: &[u8]) -> Result<Vec<Vec<u8>>, FrameError> {
        let mut messages = Vec::new();
        decoder.feed(bytes, &mut |message| messages.push(message.to_vec()))?;
        Ok(messages)
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_messages(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12),
            cuts in prop::collection::vec(1_usize..17, 1..8),
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(|message| raw(message)).collect();
            let mut decoder = Decoder::new(64);
            let mut skipper = Skipper::default();
            let (mut seen, mut skipped, mut at) = (Vec::new(), 0, 0);
            for cut in cuts.iter().cycle() {
                if at == stream.len() {
                    break;
                }
                let end = stream.len().min(at + cut);
                seen.extend(collect(&mut decoder, &stream[at..end]).unwrap());
                skipped += skipper.feed(&stream[at..end]).unwrap();
                at = end;
            }
            prop_assert_eq!(&seen, &messages);
            prop_assert_eq!(skipped, messages.len());
            prop_assert_eq!(decoder.finish(), Ok(()));
        }
    }

    #[test]
    fn a_length_that_lies_is_refused_before_any_byte_is_kept() {
        let mut decoder = Decoder::new(100);
        let prefix = [0, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(
            collect(&mut decoder, &prefix),
            Err(FrameError::TooLong {
                length: u32::MAX,
                limit: 100
            })
        );
        assert_eq!(decoder.held.capacity(), 0);

        let mut decoder = Decoder::new(100);
        assert_eq!(collect(&mut decoder, &prefix[..3]), Ok(vec![]));
        assert!(collect(&mut decoder, &prefix[3..]).is_err());
    }

    #[test]
    fn flags_and_torn_ends_are_told_apart() {
        assert_eq!(
            collect(&mut Decoder::new(9), &[1]),
            Err(FrameError::Flag(1))
        );
        assert_eq!(Skipper::default().feed(&[7]), Err(FrameError::Flag(7)));
        let mut decoder = Decoder::new(9);
        collect(&mut decoder, &raw(b"abc")[..6]).unwrap();
        assert_eq!(decoder.finish(), Err(FrameError::Truncated));
    }

    #[test]
    fn a_large_buffer_is_given_back() {
        let mut decoder = Decoder::new(1 << 20);
        let large = raw(&vec![7; 200_000]);
        for piece in large.chunks(16_384) {
            collect(&mut decoder, piece).unwrap();
        }
        assert_eq!(decoder.held.capacity(), 0);
    }

    #[test]
    fn packed_pieces_are_taken_where_that_was_agreed() {
        let messages: Vec<Vec<u8>> = (0..60).map(|n| vec![n; 3 * usize::from(n)]).collect();
        let inner: Vec<u8> = messages.iter().flat_map(|message| raw(message)).collect();
        let mut packer = pack::Packer::new();
        // Plain first, then pieces that are cut anywhere.
        let (mut stream, mut expected) = (raw(b"before"), vec![b"before".to_vec()]);
        for piece in inner.chunks(700) {
            let mut packed = Vec::new();
            packer.pack(piece, &mut packed);
            let mut frame = raw(&packed);
            frame[0] = 1;
            stream.extend(frame);
        }
        expected.extend(messages);
        assert_eq!(
            collect(&mut Decoder::new(1000), &stream),
            Err(FrameError::Flag(1)),
            "not agreed"
        );
        let mut decoder = Decoder::new(1000);
        decoder.unpack();
        let mut seen = Vec::new();
        for cut in stream.chunks(13) {
            seen.extend(collect(&mut decoder, cut).unwrap());
        }
        assert_eq!(seen, expected);
        assert_eq!(decoder.finish(), Ok(()));
        let bomb = [1, 0, 0, 0, 4, 0x10, 0, 0, 0];
        assert_eq!(collect(&mut decoder, &bomb), Err(FrameError::Unpacking));
    }
}
