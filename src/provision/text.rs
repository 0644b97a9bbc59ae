//! Text as people's editors write it: with or without a byte order mark, UTF-8 or UTF-16, any line ends.

/// The text of a file with plain line ends; the error says what is wrong, and the cure.
///
/// # Errors
/// If it is no text.
pub fn read(bytes: &[u8]) -> Result<String, &'static str> {
    const CURE: &str = "is no text in UTF-8 or UTF-16; save it as UTF-8";
    let wide = |rest: &[u8], read: fn([u8; 2]) -> u16| {
        let (pairs, left) = rest.as_chunks::<2>();
        if !left.is_empty() {
            return Err(CURE);
        }
        let units = pairs.iter().map(|&pair| read(pair));
        char::decode_utf16(units)
            .collect::<Result<String, _>>()
            .map_err(|_| CURE)
    };
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes)?,
        _ => {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            std::str::from_utf8(bytes).map_err(|_| CURE)?.to_owned()
        }
    };
    if text.contains('\0') {
        return Err(CURE);
    }
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_way_to_save_gives_the_same_text() {
        let wanted = "name = \"Élan\"\nx = 1\n";
        let crlf = wanted.replace('\n', "\r\n");
        let wide = |swap: bool| -> Vec<u8> {
            let units = std::iter::once(0xfeff).chain(crlf.encode_utf16());
            units
                .flat_map(|unit| {
                    if swap {
                        unit.to_be_bytes()
                    } else {
                        unit.to_le_bytes()
                    }
                })
                .collect()
        };
        let marked = [b"\xef\xbb\xbf", crlf.as_bytes()].concat();
        for bytes in [
            wanted.as_bytes(),
            crlf.as_bytes(),
            &marked,
            &wide(false),
            &wide(true),
        ] {
            assert_eq!(read(bytes).as_deref(), Ok(wanted));
        }
        for bad in [&b"\xff\xfea"[..], b"caf\xe9", b"a\0b", b"\xff\xfe\x00\xd8"] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(text) = read(&bytes) {
                prop_assert!(!text.contains('\r'));
            }
        }
    }
}
