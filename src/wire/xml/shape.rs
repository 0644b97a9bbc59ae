//! Events that look like an earlier one. A client sends the same elements and attributes again and again, and only the
//! values change; what was found out about the bytes between the values then holds for the new event too.
//!
//! A [`Shape`] is a checked event without its values: the bytes between them, and where its noted parts lie. Another
//! event of that shape has the same bytes between its values, no reference anywhere, and no `<` in a value. The parser
//! would take the very same steps through it, because between the quotes it looks for nothing else; so names, nesting
//! and duplicates are known to be in order, and only what depends on values is left to judge.

use heapless::Vec as Fixed;
use memchr::{memchr, memchr3};

use super::event::{Child, Detail, Event, Point};
use super::parser::{Part, Stamps};
use crate::counters::Reason;
use crate::wire::stamp;
use crate::wire::text::Survey;

/// Events with more values are not remembered.
const VALUES: usize = 48;

/// Words that the bytes between the values may take.
const WORDS: usize = 128;

/// Bytes that may follow the last value.
const TAIL: usize = 128;

/// Shapes remembered at once.
const SHAPES: usize = 8;

/// When all places are taken, one in so many unknown shapes is learned: what never comes again costs little.
const PATIENCE: u32 = 16;

/// A few recent shapes, the more frequent first.
#[derive(Debug, Default)]
#[expect(
    clippy::vec_box,
    reason = "they change places often, and a place is a pointer"
)]
pub(super) struct Shapes {
    shapes: Vec<Box<Shape>>,
    unknown: u32,
    stamps: stamp::Reader,
}

impl Shapes {
    /// Bytes they take at most.
    pub(super) const BYTES: usize = SHAPES * (size_of::<Shape>() + size_of::<usize>());

    /// Notes the parts of an event whose shape is known; `None` says nothing about it.
    ///
    /// # Errors
    /// What the parser would say: [`Reason::BadTime`].
    #[inline]
    pub(super) fn read<'a>(
        &mut self,
        event: &mut Event<'a>,
        piece: &'a [u8],
        survey: &Survey,
    ) -> Option<Result<(), Reason>> {
        if survey.references {
            return None;
        }
        let mut noted = Noted {
            values: Fixed::new(),
        };
        let mut shapes = self.shapes.iter();
        let at = shapes.position(|shape| shape.matches(piece, survey, &mut noted))?;
        let read = self.shapes[at].write(event, piece, &noted, &mut self.stamps);
        if at > 0 {
            self.shapes.swap(at, at - 1);
        }
        Some(read)
    }

    /// Remembers the shape of an event that the parser has found good.
    #[inline(never)]
    pub(super) fn learn(
        &mut self,
        piece: &[u8],
        survey: &Survey,
        event: &Event<'_>,
        stamps: &Stamps<'_>,
    ) {
        self.unknown = self.unknown.wrapping_add(1);
        let full = self.shapes.len() >= SHAPES;
        if survey.references || full && !self.unknown.is_multiple_of(PATIENCE) {
            return;
        }
        let Some(shape) = Shape::of(piece, survey, event, stamps) else {
            return;
        };
        match self.shapes.last_mut() {
            Some(last) if full => **last = shape,
            _ => self.shapes.push(Box::new(shape)),
        }
    }
}

/// A checked event without its values.
#[derive(Debug)]
struct Shape {
    /// The bytes before each value, from the closing quote of the value before to its own opening quote, in words
    /// filled up with zeros.
    words: Fixed<u64, WORDS>,
    runs: Fixed<Run, VALUES>,
    /// What follows the last value.
    tail: Fixed<u8, TAIL>,
    /// How often `<` stands in all that.
    openings: usize,
    parts: Parts,
}

/// The bytes before one value: whole words, and one that may be shorter.
#[derive(Debug, Clone, Copy)]
struct Run {
    whole: u16,
    /// Bytes of the last word; never 0.
    rest: u16,
    last: u64,
    /// The bits of the last word that count.
    mask: u64,
    /// The quote that opens the value and closes it, in every byte.
    quotes: u64,
}

impl Run {
    fn length(&self) -> usize {
        8 * usize::from(self.whole) + usize::from(self.rest)
    }
}

/// A place in every piece of the shape: so many bytes behind the start of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Place {
    run: u16,
    offset: u16,
}

/// Which value it is; one behind the last where the event says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Value(u16);

/// An element of every piece of the shape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Span {
    from: Place,
    to: Place,
}

/// Which values and spans are the parts of an [`Event`].
#[derive(Debug, Default)]
struct Parts {
    uid: Value,
    kind: Value,
    how: Value,
    access: Value,
    caveat: Value,
    releasable_to: Value,
    stamps: [Option<Value>; 3],
    point: Option<[Value; 5]>,
    detail: Option<Span>,
    children: Fixed<(Part, ChildParts), { Part::ALL.len() }>,
}

/// Which values and span are the parts of a [`Child`].
#[derive(Debug)]
struct ChildParts {
    count: u32,
    bytes: Span,
    values: [Option<Value>; 2],
    others: bool,
    empty: bool,
}

impl Shape {
    /// `None` when it is too large, or holds text or comments, which change from event to event.
    fn of(piece: &[u8], survey: &Survey, event: &Event<'_>, stamps: &Stamps<'_>) -> Option<Self> {
        let mut shape = Self {
            words: Fixed::new(),
            runs: Fixed::new(),
            tail: Fixed::new(),
            openings: survey.openings,
            parts: Parts::default(),
        };
        let mut starts = [0; VALUES + 1];
        let (mut start, mut at, mut tag) = (0, 0, false);
        while at < piece.len() {
            let rest = &piece[at..];
            if !tag {
                let opening = memchr(b'<', rest)?;
                if !rest[..opening].trim_ascii().is_empty() || rest.get(opening + 1)? == &b'!' {
                    return None;
                }
                (at, tag) = (at + opening + 1, true);
                continue;
            }
            let found = at + memchr3(b'"', b'\'', b'>', rest)?;
            at = found + 1;
            if piece[found] == b'>' {
                tag = false;
                continue;
            }
            shape.add(&piece[start..at])?;
            start = at + memchr(piece[found], &piece[at..])?;
            starts[shape.runs.len()] = u32::try_from(start).ok()?;
            at = start + 1;
        }
        shape.tail.extend_from_slice(&piece[start..]).ok()?;
        shape.note(&Original { piece, starts }, event, stamps)?;
        Some(shape)
    }

    fn add(&mut self, run: &[u8]) -> Option<()> {
        let mut words = run.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        });
        let last = words.next_back()?;
        let whole = words.len();
        for word in words {
            self.words.push(word).ok()?;
        }
        let rest = run.len() - 8 * whole;
        let run = Run {
            whole: whole as u16,
            rest: rest as u16,
            last,
            mask: u64::MAX >> (64 - 8 * rest),
            quotes: ONES * u64::from(*run.last()?),
        };
        self.runs.push(run).ok()
    }

    fn note(
        &mut self,
        original: &Original<'_>,
        event: &Event<'_>,
        stamps: &Stamps<'_>,
    ) -> Option<()> {
        let value = |raw: &[u8]| self.value(original, raw);
        let optional = |raw: Option<&[u8]>| raw.map_or(Some(None), |raw| value(raw).map(Some));
        let mut parts = Parts {
            uid: value(event.uid)?,
            kind: value(event.kind)?,
            how: value(event.how)?,
            access: value(event.access)?,
            caveat: value(event.caveat)?,
            releasable_to: value(event.releasable_to)?,
            ..Parts::default()
        };
        for (place, raw) in parts.stamps.iter_mut().zip(stamps) {
            *place = optional(*raw)?;
        }
        if let Some(point) = &event.point {
            let mut places = [Value::default(); 5];
            let raw = [point.lat, point.lon, point.hae, point.ce, point.le];
            for (place, raw) in places.iter_mut().zip(raw) {
                *place = value(raw)?;
            }
            parts.point = Some(places);
        }
        if let Some(mut detail) = event.detail {
            parts.detail = Some(self.span(original, detail.bytes)?);
            for part in Part::ALL {
                let child = *part.of_detail(&mut detail);
                if child == Child::default() {
                    continue;
                }
                let noted = ChildParts {
                    count: child.count,
                    bytes: self.span(original, child.bytes)?,
                    values: [optional(child.values[0])?, optional(child.values[1])?],
                    others: child.others,
                    empty: child.empty,
                };
                parts.children.push((part, noted)).ok()?;
            }
        }
        self.parts = parts;
        Some(())
    }

    /// Which value a part of the original is. What the event does not say is an empty slice from elsewhere.
    fn value(&self, original: &Original<'_>, raw: &[u8]) -> Option<Value> {
        let at = original.offset(raw);
        let begins = |(run, &start): (&Run, &u32)| Some(start as usize + run.length()) == at;
        match self.runs.iter().zip(&original.starts).position(begins) {
            Some(value) => Some(Value(value as u16)),
            None => raw.is_empty().then_some(Value(VALUES as u16)),
        }
    }

    /// Where an element of the original lies in every piece of the shape: from a `<` to a `>`, neither of which is
    /// ever in a value.
    fn span(&self, original: &Original<'_>, element: &[u8]) -> Option<Span> {
        let starts = &original.starts[..=self.runs.len()];
        let place = |at: usize| {
            let run = starts.iter().rposition(|&start| start as usize <= at)?;
            Some(Place {
                run: run as u16,
                offset: u16::try_from(at - starts[run] as usize).ok()?,
            })
        };
        let from = original.offset(element)?;
        Some(Span {
            from: place(from)?,
            to: place(from + element.len())?,
        })
    }

    /// Whether a piece without references is of this shape; notes its values.
    #[inline]
    fn matches<'a>(&self, piece: &'a [u8], survey: &Survey, noted: &mut Noted<'a>) -> bool {
        // As many as between the values: none is in a value.
        survey.openings == self.openings && self.runs_match(piece, noted).is_some()
    }

    // On its own, because its loop needs all registers there are.
    #[inline(never)]
    fn runs_match<'a>(&self, piece: &'a [u8], noted: &mut Noted<'a>) -> Option<()> {
        let mut words = self.words.as_slice();
        let mut rest = piece;
        noted.values.clear();
        for run in &self.runs {
            if run.whole > 0 {
                let (whole, others) = words.split_at_checked(usize::from(run.whole))?;
                words = others;
                for &word in whole {
                    let (bytes, behind) = rest.split_first_chunk()?;
                    if u64::from_le_bytes(*bytes) != word {
                        return None;
                    }
                    rest = behind;
                }
            }
            // Near the end of a piece there may be no whole word left; such a piece goes the long way.
            let last = u64::from_le_bytes(*rest.first_chunk()?);
            if last & run.mask != run.last {
                return None;
            }
            let behind = rest.get(usize::from(run.rest)..)?;
            let value;
            (value, rest) = behind.split_at_checked(find_quote(behind, run.quotes))?;
            noted.values.push(value).ok()?;
        }
        (rest == self.tail.as_slice()).then_some(())
    }

    /// Writes the parts of a piece that matches.
    #[inline]
    fn write<'a>(
        &self,
        event: &mut Event<'a>,
        piece: &'a [u8],
        noted: &Noted<'a>,
        stamps: &mut stamp::Reader,
    ) -> Result<(), Reason> {
        let span = |span: &Span| noted.span(piece, span);
        let value = |value: Value| noted.value(value);
        let parts = &self.parts;
        let mut time = |stamp: Option<Value>| match stamp {
            Some(stamp) => stamps.read(value(stamp)).map(Some).ok_or(Reason::BadTime),
            None => Ok(None),
        };
        event.bytes = piece;
        event.time = time(parts.stamps[0])?;
        event.start = time(parts.stamps[1])?;
        event.stale = time(parts.stamps[2])?;
        event.uid = value(parts.uid);
        event.kind = value(parts.kind);
        event.how = value(parts.how);
        event.access = value(parts.access);
        event.caveat = value(parts.caveat);
        event.releasable_to = value(parts.releasable_to);
        event.point = parts.point.map(|[lat, lon, hae, ce, le]| Point {
            lat: value(lat),
            lon: value(lon),
            hae: value(hae),
            ce: value(ce),
            le: value(le),
        });
        if let Some(place) = &parts.detail {
            let detail = event.detail.insert(Detail::NOTHING);
            detail.bytes = span(place);
            for (part, child) in &parts.children {
                *part.of_detail(detail) = Child {
                    count: child.count,
                    bytes: span(&child.bytes),
                    values: [child.values[0].map(value), child.values[1].map(value)],
                    others: child.others,
                    empty: child.empty,
                };
            }
        }
        Ok(())
    }
}

/// What is noted of a piece while its shape is compared: its values.
struct Noted<'a> {
    values: Fixed<&'a [u8], VALUES>,
}

impl<'a> Noted<'a> {
    #[inline]
    fn value(&self, value: Value) -> &'a [u8] {
        let value = self.values.get(usize::from(value.0));
        value.copied().unwrap_or_default()
    }

    #[inline]
    fn span(&self, piece: &'a [u8], span: &Span) -> &'a [u8] {
        let (from, to) = (self.place(piece, span.from), self.place(piece, span.to));
        piece.get(from..to).unwrap_or_default()
    }

    /// A run begins where the value before it ends.
    #[inline]
    fn place(&self, piece: &[u8], place: Place) -> usize {
        let before = usize::from(place.run).wrapping_sub(1);
        let start = self.values.get(before).map_or(0, |value| {
            (value.as_ptr().addr() + value.len()).wrapping_sub(piece.as_ptr().addr())
        });
        start + usize::from(place.offset)
    }
}

/// The event a shape is learned from.
struct Original<'a> {
    piece: &'a [u8],
    starts: [u32; VALUES + 1],
}

impl Original<'_> {
    /// Where a part begins, if it is one.
    fn offset(&self, part: &[u8]) -> Option<usize> {
        let at = (part.as_ptr().addr()).checked_sub(self.piece.as_ptr().addr())?;
        (at + part.len() <= self.piece.len()).then_some(at)
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Where the closing quote is, or far beyond the end. Values are short, and words need no call.
#[inline(always)]
fn find_quote(rest: &[u8], quotes: u64) -> usize {
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
    memchr(quotes as u8, end).map_or(usize::MAX, |found| at + found)
}
