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
    /// What follows the last value.
    tail: Fixed<u8, TAIL>,
    /// How often `<` stands in all that.
    openings: usize,
    /// How often quotes stand in all that, and what a survey counts with them.
    quotes: usize,
    parts: Parts,
    /// What is the same in all of them: how many children of a name there are, and which values those have.
    detail: Detail<'static>,
    /// Where the values of the last piece are. Before the first one stands an empty one.
    values: [Place; PLACES],
}

/// A power of two, so that no index need be compared with it.
const PLACES: usize = (VALUES + 1).next_power_of_two();

/// Where a value is.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    begin: u32,
    length: u32,
}

/// The bytes before one value. What is longer than four words is several runs, with nothing between them.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Up to eight bytes: the word and the bits of it that count. Up to sixteen: the first and the last word. Up to 32:
    /// the first two and the last two.
    words: [u64; 4],
    length: u16,
    /// The quote that opens the value and closes it; 0 if there is none, because the run goes on.
    quote: u8,
}

/// Bytes of the longest run.
const LONGEST: usize = 32;

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
    /// `access`, `caveat`, `releasableTo`, which hardly any event has.
    rare: Option<[Value; 3]>,
    stamps: [Option<Value>; 3],
    point: Option<[Value; 5]>,
    detail: Option<Span>,
    children: [Option<ChildParts>; Part::ALL.len()],
}

/// Which values and span are the parts of a [`Child`].
#[derive(Debug, Clone, Copy)]
struct ChildParts {
    bytes: Span,
    values: [Option<Value>; 2],
}

impl Shape {
    /// `None` when it is too large, or holds text or comments, which change from event to event.
    fn of(piece: &[u8], survey: &Survey, event: &Event<'_>, stamps: &Stamps<'_>) -> Option<Self> {
        let mut shape = Self {
            runs: Fixed::new(),
            tail: Fixed::new(),
            openings: survey.openings,
            quotes: 0,
            parts: Parts::default(),
            detail: Detail::NOTHING,
            values: [Place::default(); PLACES],
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
            while at - start > LONGEST {
                shape.add(&piece[start..start + LONGEST], 0)?;
                start += LONGEST;
                starts[shape.runs.len()] = u32::try_from(start).ok()?;
            }
            shape.add(&piece[start..at], piece[found])?;
            start = at + memchr(piece[found], &piece[at..])?;
            starts[shape.runs.len()] = u32::try_from(start).ok()?;
            at = start + 1;
        }
        shape.add_quotes(&piece[start..]);
        shape.tail.extend_from_slice(&piece[start..]).ok()?;
        shape.note(&Original { piece, starts }, event, stamps)?;
        Some(shape)
    }

    fn add(&mut self, bytes: &[u8], quote: u8) -> Option<()> {
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
            17..=LONGEST => [word(0), word(8), word(length - 16), word(length - 8)],
            _ => return None,
        };
        self.add_quotes(bytes);
        let run = Run {
            words,
            length: u16::try_from(length).ok()?,
            quote,
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
            ..Parts::default()
        };
        let rare = [event.access, event.caveat, event.releasable_to];
        if rare.iter().any(|raw| !raw.is_empty()) {
            let [access, caveat, releasable_to] = rare.map(value);
            parts.rare = Some([access?, caveat?, releasable_to?]);
        }
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
        let mut template = Detail::NOTHING;
        if let Some(mut detail) = event.detail {
            parts.detail = Some(self.span(original, detail.bytes)?);
            for (part, parts) in Part::ALL.into_iter().zip(&mut parts.children) {
                let child = *part.of_detail(&mut detail);
                if child == Child::NONE {
                    continue;
                }
                let [first, second] = child.values.map(optional);
                *parts = Some(ChildParts {
                    bytes: self.span(original, child.bytes)?,
                    values: [first?, second?],
                });
                *part.of_detail(&mut template) = Child {
                    bytes: &[],
                    values: child.values.map(|value| value.map(|_| &[][..])),
                    ..child
                };
            }
        }
        (self.parts, self.detail) = (parts, template);
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
        let (runs, values) = (self.runs.as_slice(), &mut self.values);
        let mut rest = piece;
        for (at, run) in runs.iter().enumerate() {
            rest = match run.strip(rest) {
                Some(behind) => behind,
                None => run.strip(search(piece, runs, values, at)?)?,
            };
            let value = &mut values[(at + 1) % PLACES];
            value.begin = (piece.len() - rest.len()) as u32;
            rest = match rest.get(value.length as usize..) {
                Some(behind) if SURE => behind,
                _ => search(piece, runs, values, at + 1)?,
            };
        }
        let ends = rest == self.tail.as_slice()
            || search(piece, runs, values, runs.len())? == self.tail.as_slice();
        ends.then_some(())
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
        // A run begins where the value before it ends.
        let at = |mark: Mark| {
            let before = self.values[usize::from(mark.run) % PLACES];
            before.begin as usize + before.length as usize + usize::from(mark.offset)
        };
        let element = piece.get(at(span.from)..at(span.to));
        element.ok_or(Reason::Malformed)
    }

    /// Writes the parts of the piece that matched last.
    #[inline(always)]
    fn write<'a>(
        &self,
        event: &mut Event<'a>,
        piece: &'a [u8],
        stamps: &mut stamp::Reader,
    ) -> Result<(), Reason> {
        let parts = &self.parts;
        let mut read = |stamp: Option<Value>| match stamp {
            Some(stamp) => {
                let time = stamps.read(self.value_in(piece, stamp)?);
                time.map(Some).ok_or(Reason::BadTime)
            }
            None => Ok(None),
        };
        event.time = read(parts.stamps[0])?;
        event.start = read(parts.stamps[1])?;
        event.stale = read(parts.stamps[2])?;
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

/// Seeks the end of a value and notes its length; gives what follows it.
#[inline(never)]
fn search<'a>(
    piece: &'a [u8],
    runs: &[Run],
    values: &mut [Place; PLACES],
    at: usize,
) -> Option<&'a [u8]> {
    let run = runs.get(at.wrapping_sub(1))?;
    let value = &mut values[at % PLACES];
    let rest = piece.get(value.begin as usize..)?;
    let length = match run.quote {
        0 => 0,
        quote => find_quote(rest, quote),
    };
    let behind = rest.get(length..)?;
    value.length = length as u32;
    Some(behind)
}

impl Run {
    /// What follows the run, if `rest` begins with it.
    #[inline(always)]
    fn strip<'a>(&self, rest: &'a [u8]) -> Option<&'a [u8]> {
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
        } else {
            let ends = word(0)? == first && word(length - 8)? == fourth;
            ends && word(8)? == second && word(length - 16)? == third
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
