//! Whom an event is addressed to: the `<dest>` elements of `<marti>` (protocol reference 6.7).

use memchr::memmem;

use super::cursor::Cursor;
use super::name::Key;

/// The destinations of a `<marti>` element that the parser has passed.
pub fn destinations(marti: &[u8]) -> Destinations<'_> {
    Destinations { rest: marti }
}

/// One `<dest>` attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination<'a> {
    /// What the attribute names.
    pub named: Named,
    /// Its raw value.
    pub value: &'a [u8],
    /// The element has other attributes too.
    pub others: bool,
}

/// What a `<dest>` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// A contact, by uid.
    Uid,
    /// A contact, by callsign.
    Callsign,
    /// A mission.
    Mission,
    /// Something that federation has no field for: a group, a feed, ...
    Other,
}

impl Named {
    fn of(key: Key) -> Self {
        const UID: Key = Key::of(b"uid");
        const CALLSIGN: Key = Key::of(b"callsign");
        const MISSION: Key = Key::of(b"mission");
        match key {
            UID => Self::Uid,
            CALLSIGN => Self::Callsign,
            MISSION => Self::Mission,
            _ => Self::Other,
        }
    }
}

/// Iterator of [`destinations`]: the attributes of every `<dest>`.
#[derive(Debug, Clone)]
pub struct Destinations<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Destinations<'a> {
    type Item = Destination<'a>;

    fn next(&mut self) -> Option<Destination<'a>> {
        loop {
            let at = memmem::find(self.rest, b"<dest")?;
            let tag = &self.rest[at..];
            let mut cursor = Cursor::new(tag, true);
            let (_, name) = cursor.tag_name().ok()?;
            let (mut first, mut count) = (None, 0);
            cursor
                .attributes(|key, value| {
                    first.get_or_insert((key, value));
                    count += 1;
                })
                .ok()?;
            self.rest = &tag[cursor.at..];
            if name == b"dest"
                && let Some((key, value)) = first
            {
                return Some(Destination {
                    named: Named::of(key),
                    value,
                    others: count > 1,
                });
            }
        }
    }
}
