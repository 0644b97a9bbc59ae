//! The children of `<detail>`: which there are, and what is left when some are taken out.

use crate::cot::marti::after_tag;

/// Six kinds of children can become typed fields.
const MOST: usize = 6;

/// Children to be taken out, in the order in which they stand.
#[derive(Debug, Default)]
pub(super) struct Cuts<'a> {
    parts: [&'a [u8]; MOST],
    count: usize,
}

impl<'a> Cuts<'a> {
    /// Takes a child out as well.
    pub(super) fn add(&mut self, child: &'a [u8]) {
        let mut at = self.count.min(MOST - 1);
        while at > 0 && self.parts[at - 1].as_ptr() > child.as_ptr() {
            self.parts[at] = self.parts[at - 1];
            at -= 1;
        }
        self.parts[at] = child;
        self.count += 1;
    }

    /// Appends the children without those that are taken out.
    pub(super) fn put_rest(&self, out: &mut Vec<u8>, children: &[u8]) {
        let mut rest = children;
        for part in self.parts.get(..self.count).unwrap_or_default() {
            let at = part.as_ptr().addr().saturating_sub(rest.as_ptr().addr());
            let Some((before, behind)) = rest.split_at_checked(at) else {
                break;
            };
            out.extend_from_slice(before);
            rest = behind.get(part.len()..).unwrap_or_default();
        }
        out.extend_from_slice(rest);
    }
}

/// What stands between the tags of a checked `<detail>`.
pub(super) fn inside(detail: &[u8]) -> &[u8] {
    let behind = match detail.strip_prefix(b"<detail>") {
        Some(behind) => behind,
        None => match after_tag(detail) {
            Some((false, behind)) => behind,
            _ => return b"",
        },
    };
    match behind.strip_suffix(b"</detail>") {
        Some(inside) => inside,
        // The end tag may hold blanks.
        None => &behind[..memchr::memrchr(b'<', behind).unwrap_or(0)],
    }
}

/// Whether a tag is of an element of that name.
pub(super) fn is_named(tag: &[u8], name: &[u8]) -> bool {
    let rest = tag
        .strip_prefix(b"<")
        .and_then(|tag| tag.strip_prefix(name));
    let next = rest.and_then(<[u8]>::first);
    next.is_some_and(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>'))
}

/// The elements that stand side by side in some text: the bytes from each one's `<` to the end of the text. Of bytes that
/// are not well formed it tells anything.
pub(super) struct Children<'a> {
    rest: &'a [u8],
    depth: usize,
}

impl<'a> Children<'a> {
    pub(super) fn of(text: &'a [u8]) -> Self {
        Self {
            rest: text,
            depth: 0,
        }
    }
}

impl<'a> Iterator for Children<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let tag = &self.rest[memchr::memchr(b'<', self.rest)?..];
            let end: Option<&[u8]> = match tag {
                [b'<', b'!', b'-', ..] => Some(b"-->"),
                [b'<', b'!', ..] => Some(b"]]>"),
                _ => None,
            };
            if let Some(end) = end {
                let at = memchr::memmem::find(tag, end)?;
                self.rest = &tag[at + end.len()..];
                continue;
            }
            let (empty, behind) = after_tag(tag)?;
            self.rest = behind;
            if tag.get(1) == Some(&b'/') {
                self.depth = self.depth.saturating_sub(1);
                continue;
            }
            let depth = self.depth;
            self.depth += usize::from(!empty);
            if depth == 0 {
                return Some(tag);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_stands_side_by_side_is_a_child() {
        let text = b" <a x='>'><b/></a>t > <!-- <c/> --><d /><![CDATA[<e>]]><f></f >";
        let children: Vec<_> = Children::of(text).map(|tag| tag[1]).collect();
        assert_eq!(children, b"adf");
        for (tag, is) in [
            ("<takv/>", true),
            ("<takv a='1'>", true),
            ("<takvx/>", false),
            ("<tak/>", false),
            ("takv", false),
        ] {
            assert_eq!(is_named(tag.as_bytes(), b"takv"), is, "{tag}");
        }
    }

    #[test]
    fn the_inside_is_what_the_tags_enclose() {
        for (detail, inner) in [
            ("<detail></detail>", ""),
            ("<detail/>", ""),
            ("<detail  a='>'><b/></detail >", "<b/>"),
            ("<detail>t<b></b></detail>", "t<b></b>"),
        ] {
            assert_eq!(inside(detail.as_bytes()), inner.as_bytes(), "{detail}");
        }
    }

    proptest! {
        #[test]
        fn what_is_left_is_what_was_not_taken(pieces in proptest::collection::vec(("[a-z<>/]{1,6}", any::<bool>()), 0..12), backwards: bool) {
            let text: String = pieces.iter().map(|(piece, _)| piece.as_str()).collect();
            let (mut parts, mut at, mut left) = (Vec::new(), 0, String::new());
            for (piece, cut) in &pieces {
                match *cut && parts.len() < MOST {
                    true => parts.push(&text.as_bytes()[at..at + piece.len()]),
                    false => left += piece,
                }
                at += piece.len();
            }
            if backwards {
                parts.reverse();
            }
            let mut cuts = Cuts::default();
            parts.into_iter().for_each(|part| cuts.add(part));
            let mut out = Vec::new();
            cuts.put_rest(&mut out, text.as_bytes());
            prop_assert_eq!(String::from_utf8(out).unwrap(), left);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[<>/!\\[\\]'\"a -]{0,40}") {
            Children::of(text.as_bytes()).for_each(drop);
            let _ = inside(text.as_bytes());
        }
    }
}
