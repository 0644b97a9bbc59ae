//! The tags and texts of XML that was checked before, one after the other. What is not well-formed ends the reading.

use memchr::{memchr, memmem};

/// How text is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelled {
    /// As raw attribute text, references unresolved.
    Raw,
    /// As it is meant.
    Meant,
}

/// What comes next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Token<'a> {
    /// `<name …>` or `<name …/>`; the latter is followed by a [`Token::Close`] all the same.
    Open {
        name: &'a [u8],
        attributes: Attributes<'a>,
    },
    Close,
    Text {
        bytes: &'a [u8],
        spelled: Spelled,
    },
}

/// One attribute, its value raw.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
}

/// What a tag says behind its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let equals = memchr(b'=', self.rest)?;
        let name = self.rest[..equals].trim_ascii();
        let behind = self.rest[equals + 1..].trim_ascii_start();
        let (&quote, behind) = behind.split_first()?;
        let end = memchr(quote, behind)?;
        self.rest = &behind[end + 1..];
        let value = &behind[..end];
        Some(Attribute { name, value })
    }
}

/// The tokens of some XML.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tokens<'a> {
    rest: &'a [u8],
    /// The element just opened is empty, and not closed yet.
    empty: bool,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            empty: false,
        }
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether the element just opened is written `<name …/>`.
    pub(super) fn is_empty_element(&self) -> bool {
        self.empty
    }

    /// Skips to behind the end of the element just opened; gives what was skipped.
    pub(super) fn skip_element(&mut self) -> &'a [u8] {
        let begin = self.rest;
        let mut depth = 1;
        while depth > 0 {
            match self.next() {
                Some(Token::Open { .. }) => depth += 1,
                Some(Token::Close) => depth -= 1,
                Some(Token::Text { .. }) => {}
                None => break,
            }
        }
        &begin[..begin.len() - self.rest.len()]
    }

    fn tag(&mut self, tag: &'a [u8]) -> Option<Token<'a>> {
        let end = end_of_tag(tag)?;
        self.rest = &tag[end + 1..];
        let inside = &tag[1..end];
        self.empty = inside.ends_with(b"/");
        let inside = inside.strip_suffix(b"/").unwrap_or(inside);
        let name = (inside.iter())
            .position(u8::is_ascii_whitespace)
            .unwrap_or(inside.len());
        let (name, rest) = inside.split_at(name);
        let attributes = Attributes { rest };
        Some(Token::Open { name, attributes })
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if std::mem::take(&mut self.empty) {
            return Some(Token::Close);
        }
        loop {
            let rest = self.rest;
            let text = |bytes, spelled| Some(Token::Text { bytes, spelled });
            match rest {
                [] => return None,
                [b'<', b'/', ..] => {
                    self.rest = &rest[memchr(b'>', rest)? + 1..];
                    return Some(Token::Close);
                }
                [b'<', b'!', b'-', ..] => {
                    self.rest = &rest[memmem::find(rest, b"-->")? + 3..];
                }
                [b'<', b'!', ..] => {
                    let body = rest.strip_prefix(b"<![CDATA[")?;
                    let end = memmem::find(body, b"]]>")?;
                    self.rest = &body[end + 3..];
                    return text(&body[..end], Spelled::Meant);
                }
                [b'<', ..] => return self.tag(rest),
                _ => {
                    let end = memchr(b'<', rest).unwrap_or(rest.len());
                    self.rest = &rest[end..];
                    return text(&rest[..end], Spelled::Raw);
                }
            }
        }
    }
}

/// Where the tag's `>` is; values may hold one too.
fn end_of_tag(tag: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        let (step, &byte) = (tag.get(at..)?.iter().enumerate())
            .find(|(_, byte)| matches!(byte, b'>' | b'"' | b'\''))?;
        at += step;
        if byte == b'>' {
            return Some(at);
        }
        at += 2 + memchr(byte, &tag[at + 1..])?;
    }
}
