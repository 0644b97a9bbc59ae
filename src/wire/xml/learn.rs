//! Learning shapes: an event that the long way has found good becomes a [`Shape`], and a few of those are kept.

use heapless::Vec as Fixed;
use memchr::{memchr, memchr3};

use super::event::{Child, Detail, Event};
use super::parser::{Part, Stamps};
use super::shape::{
    ChildParts, LONGEST, Mark, PLACES, Parts, Place, Run, Shape, Span, VALUES, Value,
};
use crate::counters::Reason;
use crate::wire::stamp;
use crate::wire::survey::{self, Survey};

/// Shapes remembered at once.
const SHAPES: usize = 8;

/// What is left behind the last value must be a whole word, because no less is read.
const WORD: usize = 8;

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
    /// For when an event was made, and for when it grows stale, which is mostly of another minute.
    stamps: [stamp::Reader; 2],
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

impl Shape {
    /// `None` when it is too large, or holds text or comments, which change from event to event.
    fn of(piece: &[u8], survey: &Survey, event: &Event<'_>, stamps: &Stamps<'_>) -> Option<Self> {
        let mut shape = Self {
            runs: Fixed::new(),
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
            shape.add_up_to(at, piece, &mut start, &mut starts)?;
            shape.add(&piece[start..at], piece[found])?;
            start = at + memchr(piece[found], &piece[at..])?;
            starts[shape.runs.len()] = u32::try_from(start).ok()?;
            at = start + 1;
        }
        if piece.len() - start < WORD {
            return None;
        }
        shape.add_up_to(piece.len(), piece, &mut start, &mut starts)?;
        shape.add(&piece[start..], 0)?;
        shape.note(&Original { piece, starts }, event, stamps)?;
        Some(shape)
    }

    /// Adds as many of the longest runs as there are before `end`; leaves a word or more for the last one.
    fn add_up_to(
        &mut self,
        end: usize,
        piece: &[u8],
        start: &mut usize,
        starts: &mut [u32; VALUES + 1],
    ) -> Option<()> {
        while end - *start > LONGEST {
            let length = LONGEST.min(end - *start - WORD);
            self.add(&piece[*start..*start + length], 0)?;
            *start += length;
            starts[self.runs.len()] = u32::try_from(*start).ok()?;
        }
        Some(())
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
            closes: self.runs.last().map_or(0, |before| before.quote),
        };
        self.runs.push(run).ok()
    }

    fn add_quotes(&mut self, bytes: &[u8]) {
        self.quotes += bytes
            .iter()
            .filter(|&&byte| survey::is_quotelike(byte))
            .count();
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
        let starts = &original.starts[..self.runs.len()];
        let mark = |at: usize| {
            let run = starts.iter().rposition(|&start| start as usize <= at)?;
            let end = starts[run] as usize + usize::from(self.runs[run].length);
            Some(Mark {
                value: Value(run as u16 + 1),
                before: u16::try_from(end.checked_sub(at)?).ok()?,
            })
        };
        let from = original.offset(element)?;
        Some(Span {
            from: mark(from)?,
            to: mark(from + element.len())?,
        })
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
