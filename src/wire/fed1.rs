//! Federation v1 frames: a 4-byte big-endian length, then that many bytes of `FederatedEvent` (protocol reference 2).

use std::fmt;

use bytes::BytesMut;

/// Length of the prefix, bytes.
pub const PREFIX: usize = 4;

/// A larger buffer than this is given back once it is empty, bytes.
const KEPT_BUFFER: usize = 8 * 1024;

/// A stream of frames that cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Longer than allowed here, bytes. TAK writes the length with a sign; below zero is too long as well.
    TooLong {
        /// What the prefix says.
        length: u32,
        /// What is allowed.
        limit: usize,
    },
    /// The stream ended inside a frame.
    Truncated,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length, limit } => write!(
                f,
                "the peer sent a frame of {length} bytes, and {limit} are allowed: does it speak federation v1?"
            ),
            Self::Truncated => f.write_str("the peer hung up in the middle of a frame"),
        }
    }
}

impl std::error::Error for Broken {}

/// Cuts a byte stream into messages. Holds at most one that is not whole; memory grows with the bytes that came, never
/// with what a prefix promises.
#[derive(Debug)]
pub struct Decoder {
    held: BytesMut,
    limit: usize,
}

impl Decoder {
    /// Takes messages up to `limit` bytes, prefix not counted.
    pub fn new(limit: usize) -> Self {
        Self {
            held: BytesMut::new(),
            limit,
        }
    }

    /// Hands every message that is whole with these bytes to `sink`, in order. One of no bytes says nothing and is
    /// passed over.
    ///
    /// # Errors
    /// A length that is not allowed; the stream is unusable afterwards.
    pub fn feed(&mut self, bytes: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), Broken> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.held.is_empty() {
                if let Some(length) = self.length(rest)?
                    && let Some((frame, behind)) = rest.split_at_checked(PREFIX + length)
                {
                    hand_over(frame, sink);
                    rest = behind;
                    continue;
                }
                self.held.extend_from_slice(rest);
                break;
            }
            let whole = self
                .length(&self.held)?
                .map_or(PREFIX, |length| PREFIX + length);
            let (more, behind) = rest.split_at(rest.len().min(whole - self.held.len()));
            self.held.extend_from_slice(more);
            rest = behind;
            // With its fourth byte the prefix is known, and may be the whole frame.
            if self.length(&self.held)?.map(|length| PREFIX + length) == Some(self.held.len()) {
                hand_over(&self.held, sink);
                match self.held.capacity() > KEPT_BUFFER {
                    true => self.held = BytesMut::new(),
                    false => self.held.clear(),
                }
            }
        }
        Ok(())
    }

    /// Bytes kept of a frame that is not whole yet.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// The stream ended.
    ///
    /// # Errors
    /// [`Broken::Truncated`] when it ended inside a frame.
    pub fn finish(&self) -> Result<(), Broken> {
        match self.held.is_empty() {
            true => Ok(()),
            false => Err(Broken::Truncated),
        }
    }

    /// Length of the message that begins here; none while the prefix is incomplete.
    fn length(&self, bytes: &[u8]) -> Result<Option<usize>, Broken> {
        let limit = self.limit;
        match prefix(bytes) {
            None => Ok(None),
            Some(length) => match usize::try_from(length) {
                Ok(bytes) if bytes <= limit => Ok(Some(bytes)),
                _ => Err(Broken::TooLong { length, limit }),
            },
        }
    }
}

fn hand_over(frame: &[u8], sink: &mut dyn FnMut(&[u8])) {
    if frame.len() > PREFIX {
        sink(&frame[PREFIX..]);
    }
}

fn prefix(bytes: &[u8]) -> Option<u32> {
    bytes
        .first_chunk::<PREFIX>()
        .copied()
        .map(u32::from_be_bytes)
}

/// The frames of a batch of whole ones, with their prefixes. What is left of a torn last one is not given.
pub fn frames(batch: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = batch;
    std::iter::from_fn(move || {
        let length = usize::try_from(prefix(rest)?).ok()?;
        let (frame, behind) = rest.split_at_checked(PREFIX.checked_add(length)?)?;
        rest = behind;
        Some(frame)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap();
        [&length.to_be_bytes(), message].concat()
    }

    fn collect(decoder: &mut Decoder, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Broken> {
        let mut seen = Vec::new();
        decoder.feed(bytes, &mut |message| seen.push(message.to_vec()))?;
        Ok(seen)
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_messages(
            sent in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..12),
            cuts in prop::collection::vec(1_usize..17, 1..8),
        ) {
            let stream: Vec<u8> = sent.iter().flat_map(|message| frame(message)).collect();
            let mut decoder = Decoder::new(64);
            let (mut seen, mut at) = (Vec::new(), 0);
            for cut in cuts.iter().cycle() {
                if at == stream.len() {
                    break;
                }
                let end = stream.len().min(at + cut);
                seen.extend(collect(&mut decoder, &stream[at..end]).unwrap());
                prop_assert!(decoder.held() < 68);
                at = end;
            }
            let told: Vec<_> = sent.iter().filter(|message| !message.is_empty()).cloned().collect();
            prop_assert_eq!(&seen, &told);
            prop_assert_eq!(decoder.finish(), Ok(()));
            let read: Vec<&[u8]> = frames(&stream).map(|frame| &frame[PREFIX..]).collect();
            prop_assert_eq!(read, sent.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }

        #[test]
        fn no_bytes_make_it_panic_or_keep_more_than_came(
            bytes in prop::collection::vec(any::<u8>(), 0..200), limit in 0_usize..100,
        ) {
            let mut decoder = Decoder::new(limit);
            let _ = decoder.feed(&bytes, &mut |message| assert!(message.len() <= limit));
            prop_assert!(decoder.held() <= bytes.len());
            prop_assert!(frames(&bytes).map(<[u8]>::len).sum::<usize>() <= bytes.len());
        }
    }

    #[test]
    fn a_length_that_lies_is_refused_before_any_byte_is_kept() {
        for (prefix, length) in [
            ([0xff; 4], u32::MAX),
            ([0x80, 0, 0, 0], 1 << 31),
            ([0, 0, 0, 101], 101),
        ] {
            let mut decoder = Decoder::new(100);
            let refused = Err(Broken::TooLong { length, limit: 100 });
            assert_eq!(collect(&mut decoder, &prefix), refused);
            assert_eq!(decoder.held.capacity(), 0);
            let mut decoder = Decoder::new(100);
            assert_eq!(collect(&mut decoder, &prefix[..3]), Ok(vec![]));
            assert_eq!(collect(&mut decoder, &prefix[3..]), refused);
        }
        let mut decoder = Decoder::new(100);
        assert_eq!(collect(&mut decoder, &[0, 0, 0, 100, 1]), Ok(vec![]));
        assert!(decoder.held.capacity() < 100, "not what was promised");
    }

    #[test]
    fn a_torn_end_is_told_and_a_large_buffer_given_back() {
        let mut decoder = Decoder::new(1 << 20);
        collect(&mut decoder, &frame(b"abc")[..6]).unwrap();
        assert_eq!(decoder.finish(), Err(Broken::Truncated));
        let mut decoder = Decoder::new(1 << 20);
        for piece in frame(&vec![7; 200_000]).chunks(8192) {
            collect(&mut decoder, piece).unwrap();
        }
        assert_eq!(decoder.held.capacity(), 0);
    }
}
