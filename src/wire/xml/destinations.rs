//! Whom an event is addressed to: the `<dest>` elements of `<marti>` (protocol reference 6.7).

use memchr::memmem;

use super::cursor::Cursor;

/// The destinations of a `<marti>` element that the parser has passed.
pub fn destinations(marti: &[u8]) -> Destinations<'_> {
    Destinations { rest: marti }
}

/// One `<dest>` attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destination<'a> {
    /// The attribute's name: `callsign`, `uid`, `mission`, ...
    pub name: &'a [u8],
    /// Its raw value.
    pub value: &'a [u8],
    /// The element has other attributes too.
    pub others: bool,
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
            let mut cursor = Cursor { bytes: tag, at: 0 };
            let name = cursor.name(1).ok()?;
            let (mut first, mut count) = (None, 0);
            cursor
                .attributes(|name, value| {
                    first.get_or_insert((name, value));
                    count += 1;
                })
                .ok()?;
            self.rest = &tag[cursor.at..];
            if name == b"dest" {
                if let Some((name, value)) = first {
                    return Some(Destination {
                        name,
                        value,
                        others: count > 1,
                    });
                }
            }
        }
    }
}
