//! Events that look like an earlier one. A client sends the same elements and attributes again and again, and only the
//! values change; what was found out about the bytes between the values then holds for the new event too.
//!
//! A [`Shape`] is a checked event without its values: the bytes between them, and where its noted parts lie. Another
//! event of that shape has the same bytes between its values, no reference anywhere, and no `<` in a value. The parser
//! would take the very same steps through it, because between the quotes it looks for nothing else; so names, nesting
//! and duplicates are known to be in order, and only what depends on values is left to judge.
//!
//! Comparing is a walk over the bytes between the values, in whole words that are kept ready, some of which overlap. A
//! value is mostly as long as it was in the last event of the shape. If the event holds as many quotes as there are
//! between the values, none is *in* a value, so a quote found just there ends the value, and nothing is searched for.

use heapless::Vec as Fixed;
use memchr::memchr;

use super::event::{Child, Detail, Event, Point};
use super::parser::Part;
use crate::counters::Reason;
use crate::wire::stamp;
use crate::wire::survey::Survey;

/// Events with more values are not remembered.
pub(super) const VALUES: usize = 52;

/// A checked event without its values.
#[derive(Debug)]
pub(super) struct Shape {
    /// The bytes before each value, from the closing quote of the value before to its own opening quote, and what
    /// follows the last value.
    pub(super) runs: Fixed<Run, VALUES>,
    /// How often `<` stands in all that.
    pub(super) openings: usize,
    /// How often quotes stand in all that, and what a survey counts with them.
    pub(super) quotes: usize,
    pub(super) parts: Parts,
    /// What is the same in all of them: how many children of a name there are, and which values those have.
    pub(super) detail: Detail<'static>,
    /// Where the values of the last piece are. Before the first one stands an empty one.
    pub(super) values: [Place; PLACES],
}

/// A power of two, so that no index need be compared with it.
pub(super) const PLACES: usize = (VALUES + 1).next_power_of_two();

/// Where a value is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) begin: u32,
    pub(super) length: u32,
}

/// The bytes before one value. What is longer than four words is several runs, with nothing between them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// Up to eight bytes: the word and the bits of it that count. Up to sixteen: the first and the last word. Up to 32:
    /// the first two and the last two.
    pub(super) words: [u64; 4],
    pub(super) length: u16,
    /// The quote that opens the value and closes it; 0 if there is none, because the run goes on.
    pub(super) quote: u8,
    /// The quote that closes the value before; 0 if there is none.
    pub(super) closes: u8,
}

/// Bytes of the longest run.
pub(super) const LONGEST: usize = 32;

/// A point in every piece of the shape: so many bytes before the end of a run, which is where its value begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) value: Value,
    pub(super) before: u16,
}

/// Which value it is, counted from one; zero where the event says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Value(pub(super) u16);

/// An element of every piece of the shape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Mark,
    pub(super) to: Mark,
}

/// Which values and spans are the parts of an [`Event`].
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) uid: Value,
    pub(super) kind: Value,
    pub(super) how: Value,
    /// `access`, `caveat`, `releasableTo`, which hardly any event has.
    pub(super) rare: Option<[Value; 3]>,
    pub(super) stamps: [Option<Value>; 3],
    pub(super) point: Option<[Value; 5]>,
    pub(super) detail: Option<Span>,
    pub(super) children: [Option<ChildParts>; Part::ALL.len()],
}

/// Which values and span are the parts of a [`Child`].
#[derive(Debug, Clone, Copy)]
pub(super) struct ChildParts {
    pub(super) bytes: Span,
    pub(super) values: [Option<Value>; 2],
}

impl Shape {
    /// Whether a piece is of this shape, and free of references; notes where its values are.
    #[inline]
    pub(super) fn matches(&mut self, piece: &[u8], survey: &Survey) -> bool {
        // As many `<` as between the values: none is in a value.
        if survey.openings != self.openings {
            return false;
        }
        // As many quotes too: none of them, and no `&`, is in a value.
        let read = match survey.quotes == self.quotes {
            true => self.find_values::<true>(piece),
            false if survey.has_references(piece) => None,
            false => self.find_values::<false>(piece),
        };
        read.is_some()
    }

    /// Compares the runs and notes the values between them. If it is `SURE` that no quote is in a value, a run found
    /// where the value before is as long as last time is in its place.
    // On its own, because its loop needs all registers there are.
    #[inline(never)]
    fn find_values<const SURE: bool>(&mut self, piece: &[u8]) -> Option<()> {
        let (mut before, values) = self.values.split_first_mut()?;
        let mut at = 0;
        for (run, value) in self.runs.iter().zip(values) {
            let begin = match run.ends(piece, at) {
                Some(end) => end,
                None if SURE => again(piece, run, before)?,
                None => return None,
            };
            value.begin = begin;
            at = match SURE {
                true => begin.wrapping_add(value.length),
                false => search(piece, run.quote, value)?,
            };
            before = value;
        }
        (at as usize == piece.len()).then_some(())
    }

    /// A value of the piece that matched last.
    #[inline(always)]
    fn value_in<'a>(&self, piece: &'a [u8], value: Value) -> Result<&'a [u8], Reason> {
        let place = self.values[usize::from(value.0) % PLACES];
        let from = place.begin as usize;
        // What was found in a piece lies within it.
        let value = piece.get(from..from + place.length as usize);
        value.ok_or(Reason::Malformed)
    }

    /// An element of the piece that matched last.
    #[inline(always)]
    fn span_in<'a>(&self, piece: &'a [u8], span: &Span) -> Result<&'a [u8], Reason> {
        let at = |mark: Mark| {
            let value = self.values[usize::from(mark.value.0) % PLACES];
            value.begin.wrapping_sub(u32::from(mark.before)) as usize
        };
        let element = piece.get(at(span.from)..at(span.to));
        element.ok_or(Reason::Malformed)
    }

    /// Writes the parts of the piece that matched last.
    #[inline(always)]
    pub(super) fn write<'a>(
        &self,
        event: &mut Event<'a>,
        piece: &'a [u8],
        stamps: &mut [stamp::Reader; 2],
    ) -> Result<(), Reason> {
        let parts = &self.parts;
        let [made, stale] = stamps;
        event.time = self.stamp_in(piece, parts.stamps[0], made)?;
        event.start = self.stamp_in(piece, parts.stamps[1], made)?;
        event.stale = self.stamp_in(piece, parts.stamps[2], stale)?;
        event.bytes = piece;
        event.uid = self.value_in(piece, parts.uid)?;
        event.kind = self.value_in(piece, parts.kind)?;
        event.how = self.value_in(piece, parts.how)?;
        if let Some([access, caveat, releasable_to]) = parts.rare {
            event.access = self.value_in(piece, access)?;
            event.caveat = self.value_in(piece, caveat)?;
            event.releasable_to = self.value_in(piece, releasable_to)?;
        }
        if let Some([lat, lon, hae, ce, le]) = parts.point {
            event.point = Some(Point {
                lat: self.value_in(piece, lat)?,
                lon: self.value_in(piece, lon)?,
                hae: self.value_in(piece, hae)?,
                ce: self.value_in(piece, ce)?,
                le: self.value_in(piece, le)?,
            });
        }
        if let Some(place) = &parts.detail {
            let detail = event.detail.insert(self.detail);
            detail.bytes = self.span_in(piece, place)?;
            let [track, status, precision, contact, link, group, marti, image] = &parts.children;
            self.write_child(&mut detail.track, track, piece)?;
            self.write_child(&mut detail.status, status, piece)?;
            self.write_child(&mut detail.precision, precision, piece)?;
            self.write_child(&mut detail.contact, contact, piece)?;
            self.write_child(&mut detail.link, link, piece)?;
            self.write_child(&mut detail.group, group, piece)?;
            self.write_child(&mut detail.marti, marti, piece)?;
            self.write_child(&mut detail.image, image, piece)?;
        }
        Ok(())
    }

    #[inline(always)]
    fn stamp_in(
        &self,
        piece: &[u8],
        stamp: Option<Value>,
        reader: &mut stamp::Reader,
    ) -> Result<Option<i64>, Reason> {
        let Some(stamp) = stamp else { return Ok(None) };
        let time = reader.read(self.value_in(piece, stamp)?);
        time.map(Some).ok_or(Reason::BadTime)
    }

    #[inline(always)]
    fn write_child<'a>(
        &self,
        child: &mut Child<'a>,
        parts: &Option<ChildParts>,
        piece: &'a [u8],
    ) -> Result<(), Reason> {
        let Some(parts) = parts else { return Ok(()) };
        child.bytes = self.span_in(piece, &parts.bytes)?;
        for (value, place) in child.values.iter_mut().zip(parts.values) {
            if let Some(place) = place {
                *value = Some(self.value_in(piece, place)?);
            }
        }
        Ok(())
    }
}

/// Where a run ends that is not where the value before it ended last time: one digit less or more is tried first.
#[inline(never)]
fn again(piece: &[u8], run: &Run, before: &mut Place) -> Option<u32> {
    if run.closes == 0 {
        // There is no value that could be longer.
        return None;
    }
    // An empty value has no shorter one: before it stands its own opening quote, which is no closing one.
    let nearly = before.begin.wrapping_add(before.length);
    if before.length > 0
        && let Some(end) = run.ends(piece, nearly.wrapping_sub(1))
    {
        before.length -= 1;
        return Some(end);
    }
    if let Some(end) = run.ends(piece, nearly.wrapping_add(1)) {
        before.length += 1;
        return Some(end);
    }
    run.ends(piece, search(piece, run.closes, before)?)
}

/// Seeks the end of a value and notes its length; tells where that is.
#[inline(never)]
fn search(piece: &[u8], quote: u8, value: &mut Place) -> Option<u32> {
    let rest = piece.get(value.begin as usize..)?;
    let length = match quote {
        0 => 0,
        quote => find_quote(rest, quote),
    };
    value.length = u32::try_from(length).ok()?;
    value.begin.checked_add(value.length)
}

impl Run {
    /// Where the run ends, if it stands at `at`.
    #[inline(always)]
    fn ends(&self, piece: &[u8], at: u32) -> Option<u32> {
        let length = u32::from(self.length);
        let [first, second, third, fourth] = self.words;
        let word = |bytes: [u8; 8]| u64::from_le_bytes(bytes);
        let from = at as usize;
        if length <= 8 {
            // Near the end of a piece there may be no whole word left; such a piece goes the long way.
            let here = piece.get(from..from + 8)?.first_chunk()?;
            return (word(*here) & second == first).then_some(at.wrapping_add(length));
        }
        let run = piece.get(from..from + length as usize)?;
        let mut other = word(*run.first_chunk()?) ^ first;
        if length <= 16 {
            other |= word(*run.last_chunk()?) ^ second;
        } else {
            let (begin, end) = (run.first_chunk::<16>()?, run.last_chunk::<16>()?);
            let [_, begin] = halves(begin);
            let [end, last] = halves(end);
            other |= begin ^ second | end ^ third | last ^ fourth;
        }
        (other == 0).then_some(at.wrapping_add(length))
    }
}

#[inline(always)]
fn halves(bytes: &[u8; 16]) -> [u64; 2] {
    let both = u128::from_le_bytes(*bytes);
    [both as u64, (both >> 64) as u64]
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Where the closing quote is, or far beyond the end. Values are short, and words need no call.
#[inline(always)]
fn find_quote(rest: &[u8], quote: u8) -> usize {
    let quotes = ONES * u64::from(quote);
    let (words, end) = rest.as_chunks();
    let mut at = 0;
    for word in words {
        // The lowest byte that becomes zero has its high bit set in `hit`.
        let word = u64::from_le_bytes(*word) ^ quotes;
        let hit = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if hit != 0 {
            return at + hit.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    memchr(quote, end).map_or(usize::MAX, |found| at + found)
}
