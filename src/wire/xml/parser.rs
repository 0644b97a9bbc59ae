//! The single pass that checks a piece and notes its parts.

use heapless::Vec as Fixed;
use memchr::memmem;

use super::cursor::{Cursor, Ending};
use super::event::{Child, Detail, Event, Point};
use crate::counters::Reason;
use crate::wire::{stamp, text};

/// Elements may nest this deep.
pub const MAX_DEPTH: usize = 64;

/// Checks a piece as [`crate::wire::scan::Scanner`] cuts it.
///
/// # Errors
/// The reason for which it is refused.
pub fn parse(piece: &[u8]) -> Result<Event<'_>, Reason> {
    text::check(piece)?;
    let mut parser = Parser::new(piece, Floor::Event);
    parser.run()?;
    let event = parser.event;
    if event.uid.is_empty() || event.kind.is_empty() {
        return Err(Reason::Incomplete);
    }
    Ok(event)
}

/// Checks a `<detail>` element that travels alone, as a `GeoEvent`'s `other` does (protocol reference 1.8, rule 3).
/// An XML declaration before it and blanks around it are forgiven.
///
/// # Errors
/// The reason for which it is refused.
pub fn parse_detail(other: &[u8]) -> Result<Detail<'_>, Reason> {
    text::check(other)?;
    let mut bytes = other.trim_ascii();
    if bytes.starts_with(b"<?xml") {
        let end = memmem::find(bytes, b"?>").ok_or(Reason::Malformed)?;
        bytes = bytes[end + 2..].trim_ascii();
    }
    let mut parser = Parser::new(bytes, Floor::Detail);
    parser.run()?;
    parser.event.detail.ok_or(Reason::Malformed)
}

/// Which element is the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Floor {
    Event = 0,
    Detail = 1,
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    open: Fixed<(u32, u32), MAX_DEPTH>,
    floor: usize,
    event: Event<'a>,
    /// Where the noted `<detail>` begins, while it is open.
    detail_at: Option<usize>,
    /// The child of `<detail>` whose end is still to be noted.
    pending: Option<Part>,
}

/// The children of `<detail>` that are noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
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
    fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"track" => Self::Track,
            b"status" => Self::Status,
            b"precisionlocation" => Self::Precision,
            b"contact" => Self::Contact,
            b"link" => Self::Link,
            b"__group" => Self::Group,
            b"marti" => Self::Marti,
            b"image" => Self::Image,
            _ => return None,
        })
    }

    const fn attributes(self) -> [&'static [u8]; 2] {
        match self {
            Self::Track => [b"speed", b"course"],
            Self::Status => [b"battery", b"readiness"],
            Self::Precision => [b"geopointsrc", b"altsrc"],
            Self::Contact => [b"callsign", b"endpoint"],
            Self::Link => [b"uid", b"type"],
            Self::Group => [b"name", b"role"],
            Self::Marti | Self::Image => [b"", b""],
        }
    }

    fn of_detail<'d, 'a>(self, detail: &'d mut Detail<'a>) -> &'d mut Child<'a> {
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

impl<'a> Parser<'a> {
    fn new(bytes: &'a [u8], floor: Floor) -> Self {
        Self {
            cursor: Cursor { bytes, at: 0 },
            open: Fixed::new(),
            floor: floor as usize,
            event: Event::default(),
            detail_at: None,
            pending: None,
        }
    }

    /// Reads exactly one element.
    fn run(&mut self) -> Result<(), Reason> {
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
        if self.cursor.at == self.cursor.bytes.len() {
            return Ok(());
        }
        // What follows the root element is a second event, or the rest of one.
        Err(Reason::Malformed)
    }

    fn element(&mut self) -> Result<(), Reason> {
        let start = self.cursor.at;
        let level = self.open.len() + self.floor;
        let name = self.cursor.name(1)?;
        let ending = match level {
            0 => self.event_tag(name)?,
            1 => self.event_child(name, start)?,
            _ if name == b"event" => return Err(Reason::Ambiguous),
            2 if self.detail_at.is_some() => self.detail_child(name, start)?,
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

    fn event_tag(&mut self, name: &[u8]) -> Result<Ending, Reason> {
        if name != b"event" {
            return Err(Reason::Malformed);
        }
        self.event.bytes = self.cursor.bytes;
        let mut event = self.event;
        let mut bad_time = false;
        let mut time = |raw: &[u8]| {
            let millis = stamp::read(raw);
            bad_time |= millis.is_none();
            millis
        };
        let ending = self.cursor.attributes(|name, value| match name {
            b"uid" => event.uid = value,
            b"type" => event.kind = value,
            b"how" => event.how = value,
            b"time" => event.time = time(value),
            b"start" => event.start = time(value),
            b"stale" => event.stale = time(value),
            b"access" => event.access = value,
            b"caveat" => event.caveat = value,
            b"releasableTo" => event.releasable_to = value,
            _ => {}
        })?;
        self.event = event;
        if bad_time {
            return Err(Reason::BadTime);
        }
        Ok(ending)
    }

    fn event_child(&mut self, name: &[u8], start: usize) -> Result<Ending, Reason> {
        let alone = self.floor == Floor::Detail as usize;
        match name {
            b"detail" if self.event.detail.is_none() => {
                self.detail_at = Some(start);
                self.event.detail = Some(Detail {
                    bytes: &self.cursor.bytes[start..],
                    ..Detail::default()
                });
                self.cursor.attributes(|_, _| {})
            }
            _ if alone => Err(Reason::Malformed),
            b"event" => Err(Reason::Ambiguous),
            b"point" if self.event.point.is_none() => {
                let mut point = Point::default();
                let ending = self.cursor.attributes(|name, value| match name {
                    b"lat" => point.lat = value,
                    b"lon" => point.lon = value,
                    b"hae" => point.hae = value,
                    b"ce" => point.ce = value,
                    b"le" => point.le = value,
                    _ => {}
                })?;
                self.event.point = Some(point);
                Ok(ending)
            }
            _ => self.cursor.attributes(|_, _| {}),
        }
    }

    fn detail_child(&mut self, name: &[u8], start: usize) -> Result<Ending, Reason> {
        let Some(part) = Part::of(name) else {
            return self.cursor.attributes(|_, _| {});
        };
        let wanted = part.attributes();
        let mut child = Child {
            count: 1,
            bytes: &self.cursor.bytes[start..],
            ..Child::default()
        };
        let ending = self.cursor.attributes(|name, value| {
            if name == wanted[0] {
                child.values[0] = Some(value);
            } else if name == wanted[1] {
                child.values[1] = Some(value);
            } else {
                child.others = true;
            }
        })?;
        child.empty = ending == Ending::Empty;
        if let Some(detail) = &mut self.event.detail {
            let place = part.of_detail(detail);
            if place.count == 0 {
                *place = child;
                self.pending = Some(part);
            } else {
                place.count += 1;
            }
        }
        Ok(ending)
    }

    /// An element that began at `start` has just ended at `self.cursor.at`.
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
