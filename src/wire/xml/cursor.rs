//! Reading tags and text, character by character where it must be and by vector search where it can.

use heapless::Vec as Fixed;
use memchr::{memchr_iter, memchr3, memmem};

use crate::counters::Reason;
use crate::wire::text;

/// An element may carry this many attributes.
pub const MAX_ATTRIBUTES: usize = 64;

/// A place in the bytes of one element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

/// How an opening tag ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Open,
    Empty,
}

impl<'a> Cursor<'a> {
    pub(super) fn peek(&self, ahead: usize) -> Result<u8, Reason> {
        self.bytes
            .get(self.at + ahead)
            .copied()
            .ok_or(Reason::Malformed)
    }

    /// Character data up to the next `<`.
    pub(super) fn characters(&mut self) -> Result<(), Reason> {
        loop {
            let rest = &self.bytes[self.at..];
            if rest.first() == Some(&b'<') {
                return Ok(());
            }
            let found = memchr3(b'<', b'&', b']', rest).ok_or(Reason::Malformed)?;
            self.at += found;
            match rest[found] {
                b'<' => return Ok(()),
                b'&' => self.at += text::reference(&rest[found..])?.1,
                _ if rest[found..].starts_with(b"]]>") => return Err(Reason::Malformed),
                _ => self.at += 1,
            }
        }
    }

    /// Reads a name that begins `ahead` bytes from here, and moves behind it.
    #[inline]
    pub(super) fn name(&mut self, ahead: usize) -> Result<&'a [u8], Reason> {
        let start = self.at + ahead;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|&byte| NAME[byte as usize] == 0)
            .ok_or(Reason::Malformed)?;
        let name = &rest[..length];
        if name.first().is_none_or(|&first| NAME[first as usize] != 2) {
            return Err(Reason::Malformed);
        }
        self.at = start + length;
        Ok(name)
    }

    /// Reads the attributes of a tag and its `>` or `/>`.
    #[inline]
    pub(super) fn attributes(
        &mut self,
        mut note: impl FnMut(&'a [u8], &'a [u8]),
    ) -> Result<Ending, Reason> {
        let mut names: Fixed<&[u8], MAX_ATTRIBUTES> = Fixed::new();
        loop {
            let gap = self.blanks();
            match self.peek(0)? {
                b'>' => {
                    self.at += 1;
                    return Ok(Ending::Open);
                }
                b'/' if self.peek(1)? == b'>' => {
                    self.at += 2;
                    return Ok(Ending::Empty);
                }
                _ if gap == 0 => return Err(Reason::Malformed),
                _ => {}
            }
            let name = self.name(0)?;
            self.blanks();
            if self.peek(0)? != b'=' {
                return Err(Reason::Malformed);
            }
            self.at += 1;
            self.blanks();
            let value = self.value()?;
            if names.iter().any(|&seen| seen == name) {
                return Err(Reason::Malformed);
            }
            names.push(name).map_err(|_| Reason::Malformed)?;
            note(name, value);
        }
    }

    /// Skips white space and tells how much.
    #[inline]
    pub(super) fn blanks(&mut self) -> usize {
        let start = self.at;
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
        self.at - start
    }

    /// Reads a quoted value.
    #[inline]
    fn value(&mut self) -> Result<&'a [u8], Reason> {
        let quote = self.peek(0)?;
        if quote != b'"' && quote != b'\'' {
            return Err(Reason::Malformed);
        }
        let start = self.at + 1;
        let mut at = start;
        loop {
            let rest = &self.bytes[at..];
            let found = memchr3(quote, b'<', b'&', rest).ok_or(Reason::Malformed)?;
            match rest[found] {
                b'<' => return Err(Reason::Malformed),
                b'&' => at += found + text::reference(&rest[found..])?.1,
                _ => {
                    let end = at + found;
                    self.at = end + 1;
                    return Ok(&self.bytes[start..end]);
                }
            }
        }
    }

    /// `<!…`: a comment or CDATA; anything else is a document type.
    pub(super) fn declaration(&mut self) -> Result<(), Reason> {
        let rest = &self.bytes[self.at..];
        let (open, end): (usize, &[u8]) = if rest.starts_with(b"<!--") {
            (4, b"-->")
        } else if rest.starts_with(b"<![CDATA[") {
            (9, b"]]>")
        } else if rest.starts_with(b"<!DOCTYPE") || rest.starts_with(b"<!ENTITY") {
            return Err(Reason::Doctype);
        } else {
            return Err(Reason::Malformed);
        };
        // A piece ends at the first raw `</event>`; when that was inside here, the end is missing.
        let length = memmem::find(&rest[open..], end).ok_or(Reason::Ambiguous)?;
        let body = &rest[open..open + length];
        if hides_event(body) {
            return Err(Reason::Ambiguous);
        }
        if open == 4 && (memmem::find(body, b"--").is_some() || body.ends_with(b"-")) {
            return Err(Reason::Malformed);
        }
        self.at += open + length + end.len();
        Ok(())
    }
}

/// Whether a receiver that searches for tags without parsing would find an event in here.
fn hides_event(body: &[u8]) -> bool {
    memchr_iter(b'<', body).any(|at| {
        let tag = &body[at + 1..];
        tag.strip_prefix(b"/").unwrap_or(tag).starts_with(b"event")
    })
}

/// 2: may begin a name; 1: may only continue one; 0: neither. Beyond ASCII nearly every letter may do both.
static NAME: [u8; 256] = {
    let mut table = [0u8; 256];
    let mut byte = 0;
    while byte < 256 {
        let value = byte as u8;
        table[byte] = match value {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | b':' | 0x80.. => 2,
            b'0'..=b'9' | b'-' | b'.' => 1,
            _ => 0,
        };
        byte += 1;
    }
    table
};
