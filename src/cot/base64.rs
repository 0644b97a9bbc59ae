//! Base64 straight into an event that is being written: the text of an `<image>`.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

use crate::wire::room::Room;

/// Puts the padded standard encoding.
pub fn put(room: &mut Room<'_>, data: &[u8]) {
    for chunk in data.chunks(3) {
        let bits = chunk
            .iter()
            .chain(std::iter::repeat(&0))
            .take(3)
            .fold(0u32, |bits, &byte| bits << 8 | u32::from(byte));
        let mut four = [b'='; 4];
        for (place, letter) in four.iter_mut().enumerate().take(chunk.len() + 1) {
            *letter = ALPHABET[(bits >> (18 - 6 * place)) as usize & 63];
        }
        room.put_array(&four);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn rfc_4648_section_10() {
        for (data, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            let mut out = Vec::new();
            crate::wire::room::append(&mut out, 8, |mut room| {
                super::put(&mut room, data.as_bytes());
                room
            });
            assert_eq!(out, text.as_bytes());
        }
    }
}
