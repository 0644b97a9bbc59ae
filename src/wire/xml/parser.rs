//! The single pass that checks a piece and notes its parts.

use heapless::Vec as Fixed;

use super::cursor::{Cursor, Ending};
use super::event::{Child, Detail, Event, Point};
use super::name::Key;
use crate::counters::Reason;
use crate::wire::stamp;

/// Elements may nest this deep.
pub const MAX_DEPTH: usize = 64;

/// The times of an event as they are written: time, start, stale.
pub(super) type Stamps<'a> = [Option<&'a [u8]>; 3];

/// Checks one event, or one `<detail>` that travels alone, and notes its parts. A survey of the bytes has told how often
/// `<` stands in them, and whether there are `references`.
///
/// # Errors
/// The reason for which it is refused; `event` may then hold some parts.
pub(super) fn read<'a>(
    event: &mut Event<'a>,
    bytes: &'a [u8],
    openings: usize,
    references: bool,
    floor: Floor,
) -> Result<Stamps<'a>, Reason> {
    let mut parser = Parser::new(bytes, references, floor, event);
    parser.run(openings)?;
    Ok(parser.stamps)
}

/// Which element is the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Floor {
    /// `<event>`
    Event = 0,
    /// `<detail>`
    Detail = 1,
}

struct Parser<'e, 'a> {
    cursor: Cursor<'a>,
    open: Fixed<(u32, u32), MAX_DEPTH>,
    floor: usize,
    event: &'e mut Event<'a>,
    stamps: Stamps<'a>,
    /// Where the noted `<detail>` begins, while it is open.
    detail_at: Option<usize>,
    /// The child of `<detail>` whose end is still to be noted.
    pending: Option<Part>,
}

/// The children of `<detail>` that are noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Track,
    Status,
    Precision,
    Contact,
    Link,
    Group,
    Marti,
    Image,
}

impl Part {
    /// All of them.
    pub(super) const ALL: [Self; 8] = [
        Self::Track,
        Self::Status,
        Self::Precision,
        Self::Contact,
        Self::Link,
        Self::Group,
        Self::Marti,
        Self::Image,
    ];

    #[inline]
    fn of(key: Key, name: &[u8]) -> Option<Self> {
        const NAMES: [(Key, Part); 7] = [
            (Key::of(b"contact"), Part::Contact),
            (Key::of(b"track"), Part::Track),
            (Key::of(b"status"), Part::Status),
            (Key::of(b"__group"), Part::Group),
            (Key::of(b"link"), Part::Link),
            (Key::of(b"marti"), Part::Marti),
            (Key::of(b"image"), Part::Image),
        ];
        if key.is_partial() {
            return (name == b"precisionlocation").then_some(Self::Precision);
        }
        NAMES
            .iter()
            .find(|(known, _)| *known == key)
            .map(|&(_, part)| part)
    }

    #[inline]
    const fn attributes(self) -> [Key; 2] {
        const NONE: Key = Key::of(b"");
        match self {
            Self::Track => [Key::of(b"speed"), Key::of(b"course")],
            Self::Status => [Key::of(b"battery"), Key::of(b"readiness")],
            Self::Precision => [Key::of(b"geopointsrc"), Key::of(b"altsrc")],
            Self::Contact => [Key::of(b"callsign"), Key::of(b"endpoint")],
            Self::Link => [Key::of(b"uid"), Key::of(b"type")],
            Self::Group => [Key::of(b"name"), Key::of(b"role")],
            Self::Marti | Self::Image => [NONE, NONE],
        }
    }

    /// Where it is noted.
    #[inline]
    pub(super) fn of_detail<'d, 'a>(self, detail: &'d mut Detail<'a>) -> &'d mut Child<'a> {
        match self {
            Self::Track => &mut detail.track,
            Self::Status => &mut detail.status,
            Self::Precision => &mut detail.precision,
            Self::Contact => &mut detail.contact,
            Self::Link => &mut detail.link,
            Self::Group => &mut detail.group,
            Self::Marti => &mut detail.marti,
            Self::Image => &mut detail.image,
        }
    }
}

impl<'e, 'a> Parser<'e, 'a> {
    fn new(bytes: &'a [u8], references: bool, floor: Floor, event: &'e mut Event<'a>) -> Self {
        Self {
            cursor: Cursor::new(bytes, references),
            stamps: [None; 3],
            open: Fixed::new(),
            floor: floor as usize,
            event,
            detail_at: None,
            pending: None,
        }
    }

    /// Reads exactly one element, in whose bytes `<` stands so many times.
    fn run(&mut self, openings: usize) -> Result<(), Reason> {
        if self.cursor.bytes.first() != Some(&b'<') {
            return Err(Reason::Malformed);
        }
        loop {
            match self.cursor.peek(1)? {
                b'/' => self.close()?,
                // A receiver that searches for `<dest` would read addresses out of a comment.
                b'!' if self.pending == Some(Part::Marti) => return Err(Reason::Ambiguous),
                b'!' => self.cursor.declaration()?,
                b'?' => return Err(Reason::ProcessingInstruction),
                _ => self.element()?,
            }
            if self.open.is_empty() {
                break;
            }
            self.cursor.characters()?;
        }
        // What follows the root element is a second event, or the rest of one.
        let ended = self.cursor.at == self.cursor.bytes.len();
        // If there are more `<` than begin or end something, one hides in a value.
        match ended && self.cursor.openings == openings {
            true => Ok(()),
            false => Err(Reason::Malformed),
        }
    }

    fn element(&mut self) -> Result<(), Reason> {
        let start = self.cursor.at;
        let level = self.open.len() + self.floor;
        let (key, name) = self.cursor.tag_name()?;
        let ending = match level {
            0 => self.event_tag(key)?,
            1 => self.event_child(key, start)?,
            _ if key == Key::of(b"event") => return Err(Reason::Ambiguous),
            2 if self.detail_at.is_some() => self.detail_child(key, name, start)?,
            _ => self.cursor.attributes(|_, _| {})?,
        };
        match ending {
            Ending::Open => {
                let span = (start as u32 + 1, name.len() as u32);
                self.open.push(span).map_err(|_| Reason::TooDeep)
            }
            Ending::Empty => {
                self.ended(level, start);
                Ok(())
            }
        }
    }

    fn event_tag(&mut self, key: Key) -> Result<Ending, Reason> {
        const UID: Key = Key::of(b"uid");
        const TYPE: Key = Key::of(b"type");
        const HOW: Key = Key::of(b"how");
        const TIME: Key = Key::of(b"time");
        const START: Key = Key::of(b"start");
        const STALE: Key = Key::of(b"stale");
        const ACCESS: Key = Key::of(b"access");
        const CAVEAT: Key = Key::of(b"caveat");
        const RELEASABLE_TO: Key = Key::of(b"releasableTo");
        if key != Key::of(b"event") {
            return Err(Reason::Malformed);
        }
        let event = &mut *self.event;
        event.bytes = self.cursor.bytes;
        let mut stamps: Stamps<'a> = [None; 3];
        let ending = self.cursor.attributes(|name, value| match name {
            UID => event.uid = value,
            TYPE => event.kind = value,
            TIME => stamps[0] = Some(value),
            START => stamps[1] = Some(value),
            STALE => stamps[2] = Some(value),
            HOW => event.how = value,
            ACCESS => event.access = value,
            CAVEAT => event.caveat = value,
            RELEASABLE_TO => event.releasable_to = value,
            _ => {}
        })?;
        self.stamps = stamps;
        let mut reader = stamp::Reader::default();
        let mut read = |raw: Option<&[u8]>| match raw {
            Some(raw) => reader.read(raw).map(Some).ok_or(Reason::BadTime),
            None => Ok(None),
        };
        (event.time, event.start, event.stale) =
            (read(stamps[0])?, read(stamps[1])?, read(stamps[2])?);
        Ok(ending)
    }

    fn event_child(&mut self, key: Key, start: usize) -> Result<Ending, Reason> {
        const LAT: Key = Key::of(b"lat");
        const LON: Key = Key::of(b"lon");
        const HAE: Key = Key::of(b"hae");
        const CE: Key = Key::of(b"ce");
        const LE: Key = Key::of(b"le");
        let alone = self.floor == Floor::Detail as usize;
        if key == Key::of(b"detail") && self.event.detail.is_none() {
            self.detail_at = Some(start);
            self.event.detail = Some(Detail::default());
            self.cursor.attributes(|_, _| {})
        } else if alone {
            Err(Reason::Malformed)
        } else if key == Key::of(b"event") {
            Err(Reason::Ambiguous)
        } else if key == Key::of(b"point") && self.event.point.is_none() {
            let point = self.event.point.insert(Point::default());
            self.cursor.attributes(|name, value| match name {
                LAT => point.lat = value,
                LON => point.lon = value,
                HAE => point.hae = value,
                CE => point.ce = value,
                LE => point.le = value,
                _ => {}
            })
        } else {
            self.cursor.attributes(|_, _| {})
        }
    }

    fn detail_child(&mut self, key: Key, name: &[u8], start: usize) -> Result<Ending, Reason> {
        let (Some(part), Some(detail)) = (Part::of(key, name), &mut self.event.detail) else {
            return self.cursor.attributes(|_, _| {});
        };
        let child = part.of_detail(detail);
        child.count += 1;
        if child.count > 1 {
            return self.cursor.attributes(|_, _| {});
        }
        let wanted = part.attributes();
        let mut others = false;
        let values = &mut child.values;
        let ending = self.cursor.attributes(|name, value| {
            if name == wanted[0] {
                values[0] = Some(value);
            } else if name == wanted[1] {
                values[1] = Some(value);
            } else {
                others = true;
            }
        })?;
        child.others = others;
        child.empty = ending == Ending::Empty;
        child.bytes = &self.cursor.bytes[start..self.cursor.at];
        if ending == Ending::Open {
            self.pending = Some(part);
        }
        Ok(ending)
    }

    /// An element that began at `start` has just ended.
    #[inline]
    fn ended(&mut self, level: usize, start: usize) {
        match level {
            1 => {
                if let (Some(start), Some(detail)) = (self.detail_at.take(), &mut self.event.detail)
                {
                    detail.bytes = &self.cursor.bytes[start..self.cursor.at];
                }
            }
            2 => {
                if let (Some(part), Some(detail)) = (self.pending.take(), &mut self.event.detail) {
                    part.of_detail(detail).bytes = &self.cursor.bytes[start..self.cursor.at];
                }
            }
            _ => {}
        }
    }

    fn close(&mut self) -> Result<(), Reason> {
        let (start, length) = self.open.pop().ok_or(Reason::Malformed)?;
        let (start, length) = (start as usize, length as usize);
        let tag = &self.cursor.bytes[self.cursor.at + 2..];
        if tag.get(..length) != Some(&self.cursor.bytes[start..start + length]) {
            return Err(Reason::Malformed);
        }
        self.cursor.openings += 1;
        self.cursor.at += 2 + length;
        self.cursor.blanks();
        if self.cursor.peek(0)? != b'>' {
            return Err(Reason::Malformed);
        }
        self.cursor.at += 1;
        self.ended(self.open.len() + self.floor, start - 1);
        Ok(())
    }
}
