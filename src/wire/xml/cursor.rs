//! Reading tags and text. Names and values are read eight bytes at a time, because nearly every byte of an event
//! belongs to one of them.

use heapless::Vec as Fixed;
use memchr::{memchr, memchr_iter, memchr2, memmem};

use super::name::{self, Key};
use crate::counters::Reason;
use crate::wire::text;

/// An element may carry this many attributes.
pub const MAX_ATTRIBUTES: usize = 64;

/// A place in the bytes of one element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    /// There are references somewhere, so values and text must be looked through for them.
    pub(super) references: bool,
    /// `<` seen so far that begin or end something. If the bytes hold more, one hides in a value.
    pub(super) openings: usize,
}

/// How an opening tag ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Open,
    Empty,
}

impl<'a> Cursor<'a> {
    /// At the start of `bytes`; `references` tells whether there may be any.
    pub(super) fn new(bytes: &'a [u8], references: bool) -> Self {
        Self {
            bytes,
            at: 0,
            references,
            openings: 0,
        }
    }

    #[inline]
    pub(super) fn peek(&self, ahead: usize) -> Result<u8, Reason> {
        self.bytes
            .get(self.at + ahead)
            .copied()
            .ok_or(Reason::Malformed)
    }

    /// Character data up to the next `<`.
    #[inline]
    pub(super) fn characters(&mut self) -> Result<(), Reason> {
        if self.bytes.get(self.at) == Some(&b'<') {
            return Ok(());
        }
        self.some_characters()
    }

    fn some_characters(&mut self) -> Result<(), Reason> {
        let rest = &self.bytes[self.at..];
        let end = memchr(b'<', rest).ok_or(Reason::Malformed)?;
        let characters = &rest[..end];
        let mut looked = 0;
        while let Some(found) = memchr2(b'&', b']', &characters[looked..]) {
            let here = &characters[looked + found..];
            if here[0] == b'&' {
                looked += found + text::reference(here)?.1;
            } else if here.starts_with(b"]]>") {
                return Err(Reason::Malformed);
            } else {
                looked += found + 1;
            }
        }
        self.at += end;
        Ok(())
    }

    /// Reads the name behind a `<`, and moves behind it.
    #[inline]
    pub(super) fn tag_name(&mut self) -> Result<(Key, &'a [u8]), Reason> {
        self.at += 1;
        self.openings += 1;
        self.name()
    }

    #[inline]
    fn name(&mut self) -> Result<(Key, &'a [u8]), Reason> {
        let rest = &self.bytes[self.at..];
        let (key, length) = name::read(rest).ok_or(Reason::Malformed)?;
        self.at += length;
        Ok((key, &rest[..length]))
    }

    /// Reads the attributes of a tag and its `>` or `/>`.
    #[inline]
    pub(super) fn attributes(
        &mut self,
        mut note: impl FnMut(Key, &'a [u8]),
    ) -> Result<Ending, Reason> {
        let mut names: Fixed<(Key, &'a [u8]), MAX_ATTRIBUTES> = Fixed::new();
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
            let (key, name) = self.name()?;
            if self.peek(0)? != b'=' {
                self.blanks();
                if self.peek(0)? != b'=' {
                    return Err(Reason::Malformed);
                }
            }
            self.at += 1;
            let value = self.value()?;
            // Equal keys of long names may still be different names.
            let twice = |&(seen, other): &(Key, &[u8])| {
                seen == key && (!seen.is_partial() || other == name)
            };
            if names.iter().any(twice) {
                return Err(Reason::Malformed);
            }
            names.push((key, name)).map_err(|_| Reason::Malformed)?;
            note(key, value);
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
        let mut quote = self.peek(0)?;
        if quote != b'"' && quote != b'\'' {
            self.blanks();
            quote = self.peek(0)?;
            if quote != b'"' && quote != b'\'' {
                return Err(Reason::Malformed);
            }
        }
        self.at += 1;
        let rest = &self.bytes[self.at..];
        let end = find_quote(rest, quote).ok_or(Reason::Malformed)?;
        let value = &rest[..end];
        if self.references {
            check_references(value)?;
        }
        self.at += end + 1;
        Ok(value)
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
        let whole = open + length + end.len();
        self.openings += memchr_iter(b'<', &rest[..whole]).count();
        self.at += whole;
        Ok(())
    }
}

/// Where the closing quote is. Values are short, so the first few words are looked at here.
#[inline]
fn find_quote(rest: &[u8], quote: u8) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let wanted = u64::from(quote) * ONES;
    let mut at = 0;
    while at < 32 {
        let Some(word) = rest.get(at..).and_then(<[u8]>::first_chunk) else {
            break;
        };
        // The lowest byte that becomes zero has its high bit set in `hit`.
        let word = u64::from_le_bytes(*word) ^ wanted;
        let hit = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if hit != 0 {
            return Some(at + hit.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr(quote, &rest[at..]).map(|found| at + found)
}

fn check_references(value: &[u8]) -> Result<(), Reason> {
    let mut rest = value;
    while let Some(found) = memchr(b'&', rest) {
        let length = text::reference(&rest[found..])?.1;
        rest = &rest[found + length..];
    }
    Ok(())
}

/// Whether a receiver that searches for tags without parsing would find an event in here.
fn hides_event(body: &[u8]) -> bool {
    memchr_iter(b'<', body).any(|at| {
        let tag = &body[at + 1..];
        tag.strip_prefix(b"/").unwrap_or(tag).starts_with(b"event")
    })
}
