//! Whether typed fields can say all that a `<marti>` says.

/// Whether a checked `<marti>` element holds destinations and blanks, and nothing else: whatever stands beside them
/// would be lost when the typed fields take its place.
pub(super) fn holds_only_destinations(marti: &[u8]) -> bool {
    let Some((_, mut rest)) = after_tag(marti) else {
        return false;
    };
    loop {
        rest = rest.trim_ascii_start();
        if rest.starts_with(b"</marti") {
            return true;
        }
        let named = rest.strip_prefix(b"<dest").and_then(<[u8]>::first);
        if !named.is_some_and(|byte| byte.is_ascii_whitespace() || *byte == b'/') {
            return false;
        }
        let Some((empty, after)) = after_tag(rest) else {
            return false;
        };
        rest = match (empty, after.strip_prefix(b"</dest")) {
            (true, _) => after,
            (false, Some(end)) => match after_tag(end) {
                Some((_, after)) => after,
                None => return false,
            },
            (false, None) => return false,
        };
    }
}

/// What follows the tag at the start, and whether that tag ends with `/>`. A `>` between quotes ends nothing.
pub(super) fn after_tag(tag: &[u8]) -> Option<(bool, &[u8])> {
    let mut quote = None;
    for (at, &byte) in tag.iter().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return Some((tag[..at].ends_with(b"/"), &tag[at + 1..])),
            (Some(open), byte) if byte == open => quote = None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_beside_destinations_is_noticed() {
        for (marti, only) in [
            ("<marti><dest uid='a'/></marti>", true),
            (
                "<marti > <dest uid='>'></dest >\n<dest uid=\"'/>\"/> </marti >",
                true,
            ),
            ("<marti></marti>", true),
            ("<marti/>", false),
            ("<marti><dest uid='a'/>text</marti>", false),
            ("<marti><dest uid='a'/><note/></marti>", false),
            ("<marti><dest uid='a'>text</dest></marti>", false),
            ("<marti><dest uid='a'><b/></dest></marti>", false),
            ("<marti><destiny uid='a'/></marti>", false),
        ] {
            assert_eq!(holds_only_destinations(marti.as_bytes()), only, "{marti}");
        }
    }
}
