//! Cutting a CoT XML stream into pieces, exactly where ATAK and TAK Server cut it.
//!
//! They look for `</event>` and take everything from the first `<event` before it (protocol reference 6.1). Cutting anywhere
//! else would let a sender show us one event and the receivers behind us two. Whether a piece is one well-formed
//! event is for [`super::xml`] to say.

use memchr::memchr;
use memchr::memmem::Finder;

use crate::counters::Reason;

const BEGIN: &[u8] = b"<event";
const END: &[u8] = b"</event>";

/// The rarest letter of the end stands so far behind its beginning.
const LETTER: usize = 3;

/// Most bytes kept while waiting for `<event`: enough for an XML declaration and an `<auth>` element
/// (at most 1024 bytes, protocol reference 6.4).
pub const PRELUDE_MAX: usize = 4096;

/// Finds pieces in a growing buffer; looks at no byte twice.
#[derive(Debug)]
pub struct Scanner {
    begin: Finder<'static>,
    end: Finder<'static>,
    max_event: usize,
    start: Option<usize>,
    searched: usize,
}

/// What [`Scanner::next`] found in the buffer. Positions count from the buffer's first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A piece from `start` up to `end`; take `end` bytes from the buffer. What lies before `start` is the prelude.
    Piece {
        /// Where `<event` begins.
        start: usize,
        /// Just behind `</event>`.
        end: usize,
    },
    /// Nothing whole yet; `begun` tells whether an event has started.
    More {
        /// An `<event` was seen.
        begun: bool,
    },
    /// So many bytes lead nowhere: take them from the buffer.
    Skip(usize),
    /// The event is longer than allowed; nothing behind it can be trusted to be framed.
    TooLong,
}

impl Scanner {
    /// A scanner for events of at most `max_event` bytes.
    pub fn new(max_event: usize) -> Self {
        Self {
            begin: Finder::new(BEGIN),
            end: Finder::new(END),
            max_event,
            start: None,
            searched: 0,
        }
    }

    /// Looks for the next piece. After [`Found::Piece`] and [`Found::Skip`] the caller must take those bytes away.
    #[inline]
    pub fn next(&mut self, buffer: &[u8]) -> Found {
        match self.next_here(buffer) {
            Some(end) => Found::Piece { start: 0, end },
            None => self.search(buffer),
        }
    }

    /// Where the piece ends that begins right here, if it is whole and the letter stands nowhere else in it, as in most.
    #[inline(always)]
    fn next_here(&mut self, buffer: &[u8]) -> Option<usize> {
        if self.searched > 0 || !buffer.starts_with(BEGIN) {
            return None;
        }
        let piece = buffer.get(..self.max_event).unwrap_or(buffer);
        let begin = BEGIN.len() + memchr(END[LETTER], piece.get(BEGIN.len() + LETTER..)?)?;
        let end = begin + END.len();
        if piece.get(begin..end) == Some(END) {
            return Some(end);
        }
        (self.start, self.searched) = (Some(0), begin);
        None
    }

    fn search(&mut self, buffer: &[u8]) -> Found {
        let Some(start) = self.start.or_else(|| self.find_start(buffer)) else {
            if buffer.len() > PRELUDE_MAX {
                let keep = BEGIN.len() - 1;
                self.searched = 0;
                return Found::Skip(buffer.len() - keep);
            }
            return Found::More { begun: false };
        };
        self.start = Some(start);
        let from = self.searched.max(start + BEGIN.len());
        // An end far beyond the limit is not looked for: the limit bounds the work too.
        let horizon = buffer.len().min(start + self.max_event);
        let haystack = buffer.get(from..horizon).unwrap_or_default();
        match self.find_end(haystack) {
            Some(at) => {
                self.start = None;
                self.searched = 0;
                Found::Piece {
                    start,
                    end: from + at + END.len(),
                }
            }
            None if buffer.len() - start >= self.max_event => Found::TooLong,
            None => {
                self.searched = horizon.saturating_sub(END.len() - 1).max(from);
                Found::More { begun: true }
            }
        }
    }

    /// Where the next `</event>` begins.
    ///
    /// Its rarest letter is looked for, which is faster than looking for all of it, unless it turns out not to be rare.
    fn find_end(&self, haystack: &[u8]) -> Option<usize> {
        let mut from = LETTER;
        for _ in 0..4 {
            let letter = from + memchr(END[LETTER], haystack.get(from..)?)?;
            let begin = letter - LETTER;
            if haystack.get(begin..begin + END.len()) == Some(END) {
                return Some(begin);
            }
            from = letter + 1;
        }
        let begin = from - LETTER;
        self.end
            .find(haystack.get(begin..)?)
            .map(|found| begin + found)
    }

    fn find_start(&mut self, buffer: &[u8]) -> Option<usize> {
        let from = self.searched;
        let rest = &buffer[from..];
        // Back to back, as most streams are, the next event begins right here.
        let found = match rest.starts_with(BEGIN) {
            true => Some(from),
            false => self.begin.find(rest).map(|at| from + at),
        };
        self.searched = match found {
            Some(start) => start,
            None => buffer.len().saturating_sub(BEGIN.len() - 1).max(from),
        };
        found
    }
}

/// Judges what stood before a piece: blanks, a byte order mark, an XML declaration and an `<auth>` element are fine.
///
/// # Errors
/// [`Reason::Doctype`] when the event that follows must be refused with it, [`Reason::Garbage`] when it need not.
#[inline]
pub fn check_prelude(prelude: &[u8]) -> Result<(), Reason> {
    // Back to back, as most streams are.
    match prelude {
        [] => Ok(()),
        _ => check_some(prelude),
    }
}

fn check_some(prelude: &[u8]) -> Result<(), Reason> {
    let mut rest = prelude;
    loop {
        rest = rest.trim_ascii_start();
        let (open, close): (&[u8], &[u8]) = if rest.is_empty() {
            return Ok(());
        } else if rest.starts_with(b"\xef\xbb\xbf") {
            (b"\xef\xbb\xbf", b"")
        } else if rest.starts_with(b"<?xml") {
            (b"<?xml", b"?>")
        } else if rest.starts_with(b"<auth>") {
            (b"<auth>", b"</auth>")
        } else {
            break;
        };
        match memchr::memmem::find(&rest[open.len()..], close) {
            Some(at) => rest = &rest[open.len() + at + close.len()..],
            None => break,
        }
    }
    match memchr::memmem::find(rest, b"<!DOCTYPE").or(memchr::memmem::find(rest, b"<!ENTITY")) {
        Some(_) => Err(Reason::Doctype),
        None => Err(Reason::Garbage),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces(stream: &[u8], splits: &[usize], max_event: usize) -> Vec<Vec<u8>> {
        let mut scanner = Scanner::new(max_event);
        let mut buffer = Vec::new();
        let mut found = Vec::new();
        let mut cuts: Vec<usize> = splits.iter().map(|&cut| cut % (stream.len() + 1)).collect();
        cuts.push(stream.len());
        cuts.sort_unstable();
        let mut taken = 0;
        for cut in cuts {
            buffer.extend_from_slice(&stream[taken..cut]);
            taken = cut;
            loop {
                match scanner.next(&buffer) {
                    Found::Piece { start, end } => {
                        found.push(buffer[start..end].to_vec());
                        buffer.drain(..end);
                    }
                    Found::Skip(count) => drop(buffer.drain(..count)),
                    Found::More { .. } => break,
                    Found::TooLong => return found,
                }
            }
        }
        found
    }

    #[test]
    fn pieces_are_cut_at_the_first_end() {
        let stream =
            b"<?xml version='1.0'?>\n<event a='1'></event><event><b/></event> junk <event>";
        assert_eq!(
            pieces(stream, &[], 1000),
            [&b"<event a='1'></event>"[..], b"<event><b/></event>"]
        );
    }

    #[test]
    fn a_hidden_end_cuts_too() {
        let stream = b"<event><![CDATA[</event>]]></event>";
        assert_eq!(pieces(stream, &[], 1000), [b"<event><![CDATA[</event>"]);
    }

    #[test]
    fn the_limit_is_exact() {
        let event = b"<event>12345</event>";
        assert_eq!(pieces(event, &[3], event.len()), [event]);
        let mut scanner = Scanner::new(event.len() - 1);
        assert_eq!(scanner.next(event), Found::TooLong);
    }

    #[test]
    fn garbage_does_not_pile_up() {
        let mut scanner = Scanner::new(1000);
        assert_eq!(scanner.next(&[b'x'; 100]), Found::More { begun: false });
        assert_eq!(
            scanner.next(&[b'x'; PRELUDE_MAX + 1]),
            Found::Skip(PRELUDE_MAX - 4)
        );
    }

    #[test]
    fn preludes_are_judged() {
        for fine in [
            "",
            " \r\n",
            "<?xml version='1.0'?>",
            "\u{feff}<?xml version='1.0' standalone='yes'?>\n",
            "<auth><cot username=\"u\" password=\"p\"/></auth>",
        ] {
            assert_eq!(check_prelude(fine.as_bytes()), Ok(()), "{fine}");
        }
        assert_eq!(check_prelude(b"hello"), Err(Reason::Garbage));
        assert_eq!(check_prelude(b"<?xml "), Err(Reason::Garbage));
        assert_eq!(
            check_prelude(b"<?xml version='1.0'?><!DOCTYPE event [<!ENTITY a 'b'>]>"),
            Err(Reason::Doctype)
        );
    }

    proptest! {
        #[test]
        fn splitting_changes_nothing(
            parts in proptest::collection::vec("(<event [a-z='<>/]{0,20}</event>|[ a-z<>/]{0,12}|<event)", 0..8),
            splits in proptest::collection::vec(any::<usize>(), 0..12),
        ) {
            let stream = parts.concat().into_bytes();
            prop_assert_eq!(pieces(&stream, &splits, 500), pieces(&stream, &[], 500));
        }
    }
}
