//! Patterns of callsigns: `*` for any letters, `?` for one.

/// The callsigns of an event: its own and its author's, as they are meant; empty = none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Callsigns<'a> {
    /// Of the event itself.
    pub own: &'a [u8],
    /// Of whoever made it.
    pub author: &'a [u8],
}

/// Whether the pattern is that of the callsign. ASCII letters are the same in either case; `?` is one character, however
/// many bytes it takes. Time is bounded by the product of both lengths.
pub(super) fn fits(pattern: &[u8], callsign: &[u8]) -> bool {
    let (mut at, mut there) = (0, 0);
    // Where to go on when the last star has to take one byte more.
    let mut again: Option<(usize, usize)> = None;
    while there < callsign.len() {
        match pattern.get(at) {
            Some(b'*') => {
                at += 1;
                again = Some((at, there));
            }
            Some(b'?') => {
                at += 1;
                there += character(&callsign[there..]);
            }
            Some(byte) if byte.eq_ignore_ascii_case(&callsign[there]) => {
                at += 1;
                there += 1;
            }
            _ => match &mut again {
                Some((behind, taken)) => {
                    *taken += character(&callsign[*taken..]);
                    (at, there) = (*behind, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// Bytes of the first character of a text that is not empty.
fn character(text: &[u8]) -> usize {
    let continues = |byte: &&u8| **byte & 0xC0 == 0x80;
    1 + text[1..].iter().take_while(continues).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_mean_what_people_expect() {
        for (pattern, callsign, expected) in [
            ("ALPHA*", "ALPHA-1", true),
            ("ALPHA*", "alpha", true),
            ("ALPHA*", "X-ALPHA-1", false),
            ("*medevac*", "DUSTOFF MEDEVAC 6", true),
            ("ALPHA-?", "ALPHA-7", true),
            ("ALPHA-?", "ALPHA-77", false),
            ("ALPHA-?", "ALPHA-é", true),
            ("B?R", "BÄR", true),
            ("", "", true),
            ("", "A", false),
            ("*", "", true),
            ("**", "anything", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("ALPHA", "ALPHA", true),
            ("ALPHA", "ALPHA ", false),
        ] {
            let fits = fits(pattern.as_bytes(), callsign.as_bytes());
            assert_eq!(fits, expected, "{pattern} on {callsign}");
        }
    }

    /// The same by trying everything.
    fn slowly(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|taken| slowly(rest, &text[taken..])),
            Some((letter, rest)) => text.split_first().is_some_and(|(first, after)| {
                (*letter == '?' || letter.eq_ignore_ascii_case(first)) && slowly(rest, after)
            }),
        }
    }

    proptest! {
        #[test]
        fn a_slow_matcher_agrees(pattern in "[abAé*?]{0,7}", text in "[abBé]{0,9}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = slowly(&chars(&pattern), &chars(&text));
            prop_assert_eq!(fits(pattern.as_bytes(), text.as_bytes()), expected);
        }

        #[test]
        fn no_bytes_make_it_panic(pattern: Vec<u8>, text: Vec<u8>) {
            let _ = fits(&pattern, &text);
        }
    }
}
