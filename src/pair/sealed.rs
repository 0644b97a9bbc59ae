//! What is told under the key that came out of an exchange: one message each way, each under a key of its own.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};

/// Longest sealed message, bytes: in hexadecimal it fits into the longest request of somebody who is not known yet.
pub const MOST_SEALED: usize = 1920;
/// What sealing adds, bytes.
const TAG: usize = 16;
/// Longest message, bytes.
pub(super) const MOST_PLAIN: usize = MOST_SEALED - TAG;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Joiner,
    Holder,
}

fn key(agreed: &[u8; 16], from: From) -> Option<LessSafeKey> {
    let info: &[u8] = match from {
        From::Joiner => b"tombolo pairing: the joiner's introduction",
        From::Holder => b"tombolo pairing: the holder's introduction",
    };
    let derived = Salt::new(HKDF_SHA256, &[]).extract(agreed);
    let derived = derived.expand(&[info], HKDF_SHA256).ok().map(|derived| {
        let mut bytes = [0; 32];
        derived.fill(&mut bytes).map(|()| bytes)
    });
    let bytes = derived?.ok()?;
    let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).ok()?;
    Some(LessSafeKey::new(key))
}

/// A key seals one message, so the nonce is always the same.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// Seals a message; none when it is too long.
pub(super) fn seal(agreed: &[u8; 16], from: From, message: &[u8]) -> Option<Vec<u8>> {
    if message.len() > MOST_PLAIN {
        return None;
    }
    let mut sealed = Vec::with_capacity(message.len() + TAG);
    sealed.extend_from_slice(message);
    key(agreed, from)?
        .seal_in_place_append_tag(nonce(), Aad::empty(), &mut sealed)
        .ok()?;
    Some(sealed)
}

/// Opens a message; none when it is another's, was changed, or is too long.
pub(super) fn open(agreed: &[u8; 16], from: From, sealed: &[u8]) -> Option<Vec<u8>> {
    if sealed.len() > MOST_SEALED {
        return None;
    }
    let mut bytes = sealed.to_vec();
    let length = key(agreed, from)?
        .open_in_place(nonce(), Aad::empty(), &mut bytes)
        .ok()?
        .len();
    bytes.truncate(length);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_sealed_is_opened_by_the_same_key_and_direction_only() {
        let sealed = seal(&[1; 16], From::Joiner, b"hello").unwrap();
        assert_eq!(
            open(&[1; 16], From::Joiner, &sealed),
            Some(b"hello".to_vec())
        );
        assert_eq!(open(&[2; 16], From::Joiner, &sealed), None);
        assert_eq!(open(&[1; 16], From::Holder, &sealed), None);
        for place in 0..sealed.len() {
            let mut other = sealed.clone();
            other[place] ^= 1;
            assert_eq!(open(&[1; 16], From::Joiner, &other), None);
        }
        assert_eq!(open(&[1; 16], From::Joiner, b""), None);
        assert!(seal(&[1; 16], From::Joiner, &[0; MOST_PLAIN]).is_some());
        assert!(seal(&[1; 16], From::Joiner, &[0; MOST_PLAIN + 1]).is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            prop_assert_eq!(open(&[1; 16], From::Holder, &bytes), None);
        }
    }
}
