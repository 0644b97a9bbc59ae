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
use memchr::{memchr, memchr3};

use super::event::{Child, Detail, Event, Point};
use super::parser::{Part, Stamps};
use crate::counters::Reason;
use crate::wire::stamp;
use crate::wire::text::{self, Survey};

/// Events with more values are not remembered.
const VALUES: usize = 48;

/// Bytes that runs too long for a [`Run`]'s own words may take together.
const LONG: usize = 512;

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

    /// Notes the parts of an event whose shape is known, in which there are no references then; `None` says nothing
    /// about it.
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
        let mut shapes = self.shapes.iter_mut();
        let at = shapes.position(|shape| shape.matches(piece, survey))?;
        let read = self.shapes[at].write(event, piece, &mut self.stamps);
        if at > 0 {
            self.shapes.swap(at, at - 1);
        }
        Some(read)
    }

    /// Remembers the shape of an event without references that the parser has found good.
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
        if full && !self.unknown.is_multiple_of(PATIENCE) {
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
    /// The bytes before each value, from the closing quote of the value before to its own opening quote.
    runs: Fixed<Run, VALUES>,
    /// The bytes of those runs that are longer than their words.
    long: Fixed<u8, LONG>,
    /// What follows the last value.
    tail: Fixed<u8, TAIL>,
    /// How often `<` stands in all that.
    openings: usize,
    /// How often quotes stand in all that, and what a survey counts with them.
    quotes: usize,
    parts: Parts,
    /// Where the values of the last piece are. Before the first one stands an empty one.
    values: [Place; VALUES + 1],
}

/// Where a value is.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    begin: u32,
    length: u32,
}

/// The bytes before one value.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Up to eight bytes: the word and the bits of it that count. Up to sixteen: the first and the last word. Up to 32:
    /// the first two and the last two.
    words: [u64; 4],
    length: u16,
    /// The quote that opens the value and closes it.
    quote: u8,
}

/// A point in every piece of the shape: so many bytes behind the start of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Mark {
    run: u16,
    offset: u16,
}

/// Which value it is, counted from one; zero where the event says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Value(u16);

/// An element of every piece of the shape.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Span {
    from: Mark,
    to: Mark,
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
            runs: Fixed::new(),
            long: Fixed::new(),
            tail: Fixed::new(),
            openings: survey.openings,
            quotes: 0,
            parts: Parts::default(),
            values: [Place::default(); VALUES + 1],
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
        shape.add_quotes(&piece[start..]);
        shape.tail.extend_from_slice(&piece[start..]).ok()?;
        shape.note(&Original { piece, starts }, event, stamps)?;
        Some(shape)
    }

    fn add(&mut self, bytes: &[u8]) -> Option<()> {
        let length = bytes.len();
        let word = |at: usize| {
            let mut word = [0; 8];
            let bytes = &bytes[at..length.min(at + 8)];
            word[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(word)
        };
        let words = match length {
            0 => return None,
            1..=8 => [word(0), u64::MAX >> (64 - 8 * length), 0, 0],
            9..=16 => [word(0), word(length - 8), 0, 0],
            17..=32 => [word(0), word(8), word(length - 16), word(length - 8)],
            _ => {
                self.long.extend_from_slice(bytes).ok()?;
                [0; 4]
            }
        };
        self.add_quotes(bytes);
        let run = Run {
            words,
            length: u16::try_from(length).ok()?,
            quote: *bytes.last()?,
        };
        self.runs.push(run).ok()
    }

    fn add_quotes(&mut self, bytes: &[u8]) {
        self.quotes += bytes.iter().filter(|&&byte| text::is_quotelike(byte)).count();
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
        let begins =
            |(run, &start): (&Run, &u32)| Some(start as usize + usize::from(run.length)) == at;
        match self.runs.iter().zip(&original.starts).position(begins) {
            Some(value) => Some(Value(value as u16 + 1)),
            None => raw.is_empty().then_some(Value(0)),
        }
    }

    /// Where an element of the original lies in every piece of the shape: from a `<` to a `>`, neither of which is
    /// ever in a value.
    fn span(&self, original: &Original<'_>, element: &[u8]) -> Option<Span> {
        let starts = &original.starts[..=self.runs.len()];
        let mark = |at: usize| {
            let run = starts.iter().rposition(|&start| start as usize <= at)?;
            Some(Mark {
                run: run as u16,
                offset: u16::try_from(at - starts[run] as usize).ok()?,
            })
        };
        let from = original.offset(element)?;
        Some(Span {
            from: mark(from)?,
            to: mark(from + element.len())?,
        })
    }

    /// Whether a piece is of this shape, and free of references; notes where its values are.
    #[inline]
    fn matches(&mut self, piece: &[u8], survey: &Survey) -> bool {
        // As many `<` as between the values: none is in a value.
        if survey.openings != self.openings {
            return false;
        }
        // As many quotes too: none of them, and no `&`, is in a value.
        let sure = survey.quotes == self.quotes;
        (sure || !survey.has_references(piece)) && self.runs_match(piece, sure).is_some()
    }

    // On its own, because its loop needs all registers there are.
    #[inline(never)]
    fn runs_match(&mut self, piece: &[u8], sure: bool) -> Option<()> {
        let mut long = self.long.as_slice();
        let mut rest = piece;
        let mut at = 0;
        for (run, value) in self.runs.iter().zip(&mut self.values[1..]) {
            rest = run.strip(rest, &mut long)?;
            at += u32::from(run.length);
            let mut length = value.length as usize;
            if !sure || rest.get(length) != Some(&run.quote) {
                length = find_quote(rest, run.quote);
            }
            rest = rest.get(length..)?;
            *value = Place {
                begin: at,
                length: length as u32,
            };
            at += length as u32;
        }
        (rest == self.tail.as_slice()).then_some(())
    }

    /// A run begins where the value before it ends.
    #[inline]
    fn place(&self, mark: Mark) -> usize {
        let before = self.values.get(usize::from(mark.run));
        before.map_or(0, |value| (value.begin + value.length) as usize) + usize::from(mark.offset)
    }

    /// Writes the parts of the piece that matched last.
    #[inline]
    fn write<'a>(
        &self,
        event: &mut Event<'a>,
        piece: &'a [u8],
        stamps: &mut stamp::Reader,
    ) -> Result<(), Reason> {
        let span = |span: &Span| {
            let (from, to) = (self.place(span.from), self.place(span.to));
            piece.get(from..to).unwrap_or_default()
        };
        let value = |value: Value| {
            let place = self.values.get(usize::from(value.0));
            let (from, length) = place.map_or((0, 0), |place| (place.begin, place.length));
            let from = from as usize;
            piece.get(from..from + length as usize).unwrap_or_default()
        };
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

impl Run {
    /// What follows the run, if `rest` begins with it; `long` begins with the bytes of the next long run.
    #[inline(always)]
    fn strip<'a>(&self, rest: &'a [u8], long: &mut &[u8]) -> Option<&'a [u8]> {
        let length = usize::from(self.length);
        let [first, second, third, fourth] = self.words;
        if length <= 8 {
            // Near the end of a piece there may be no whole word left; such a piece goes the long way.
            let word = u64::from_le_bytes(*rest.first_chunk()?);
            return (word & second == first).then(|| rest.get(length..))?;
        }
        let (run, behind) = rest.split_at_checked(length)?;
        let word = |at: usize| run.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word));
        let same = if length <= 16 {
            word(0)? == first && word(length - 8)? == second
        } else if length <= 32 {
            let ends = word(0)? == first && word(length - 8)? == fourth;
            ends && word(8)? == second && word(length - 16)? == third
        } else {
            let (bytes, others) = long.split_at_checked(length)?;
            *long = others;
            run == bytes
        };
        same.then_some(behind)
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
