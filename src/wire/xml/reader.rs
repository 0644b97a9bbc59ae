//! From bytes to a checked event: the way that is known from an earlier event of the same shape, or the long way.

use memchr::memmem;

use super::event::{Detail, Event};
use super::learn::Shapes;
use super::parser::{self, Floor};
use crate::counters::Reason;
use crate::wire::survey::{Survey, survey};

/// Checks a piece as [`crate::wire::scan::Scanner`] cuts it.
///
/// # Errors
/// The reason for which it is refused.
pub fn parse(piece: &[u8]) -> Result<Event<'_>, Reason> {
    let mut event = Event::nothing();
    read_event(&mut event, piece, None).map(|()| event)
}

/// Checks a `<detail>` element that travels alone, as a `GeoEvent`'s `other` does (protocol reference 1.8, rule 3).
/// An XML declaration before it and blanks around it are forgiven.
///
/// # Errors
/// The reason for which it is refused.
pub fn parse_detail(other: &[u8]) -> Result<Detail<'_>, Reason> {
    let mut event = Event::nothing();
    read_detail(&mut event, other, None)?;
    event.detail.ok_or(Reason::Malformed)
}

/// Reads events as [`parse`] and [`parse_detail`] do, and reads those that look like recent ones faster.
#[derive(Debug, Default)]
pub struct Reader {
    events: Shapes,
    details: Shapes,
}

impl Reader {
    /// Bytes that it takes at most.
    pub const BYTES: usize = 2 * Shapes::BYTES;

    /// The same as [`parse`], into `event`, which must be [`Event::nothing()`] still.
    ///
    /// # Errors
    /// Those of [`parse`]; `event` may then hold some parts.
    pub fn parse<'a>(&mut self, event: &mut Event<'a>, piece: &'a [u8]) -> Result<(), Reason> {
        read_event(event, piece, Some(&mut self.events))
    }

    /// The same as [`parse_detail`], into the detail of `event`, which must be [`Event::nothing()`] still.
    ///
    /// # Errors
    /// Those of [`parse_detail`]; `event` may then hold some parts.
    pub fn parse_detail<'a>(
        &mut self,
        event: &mut Event<'a>,
        other: &'a [u8],
    ) -> Result<(), Reason> {
        read_detail(event, other, Some(&mut self.details))
    }
}

fn read_event<'a>(
    event: &mut Event<'a>,
    piece: &'a [u8],
    shapes: Option<&mut Shapes>,
) -> Result<(), Reason> {
    let survey = survey(piece)?;
    let references = read(event, piece, &survey, Floor::Event, shapes)?;
    event.plain = survey.blanks_only && !references;
    if event.uid.is_empty() || event.kind.is_empty() {
        return Err(Reason::Incomplete);
    }
    Ok(())
}

fn read_detail<'a>(
    event: &mut Event<'a>,
    other: &'a [u8],
    shapes: Option<&mut Shapes>,
) -> Result<(), Reason> {
    let mut found = survey(other)?;
    let mut bytes = match other {
        [b'<', .., b'>'] => other,
        _ => other.trim_ascii(),
    };
    if bytes.starts_with(b"<?xml") {
        let end = memmem::find(bytes, b"?>").ok_or(Reason::Malformed)?;
        bytes = bytes[end + 2..].trim_ascii();
        found = survey(bytes)?;
    }
    read(event, bytes, &found, Floor::Detail, shapes)?;
    match event.detail {
        Some(_) => Ok(()),
        None => Err(Reason::Malformed),
    }
}

/// Tells whether there are references.
fn read<'a>(
    event: &mut Event<'a>,
    bytes: &'a [u8],
    survey: &Survey,
    floor: Floor,
    shapes: Option<&mut Shapes>,
) -> Result<bool, Reason> {
    let Some(shapes) = shapes else {
        let references = survey.has_references(bytes);
        return parser::read(event, bytes, survey.openings, references, floor).map(|_| references);
    };
    if let Some(known) = shapes.read(event, bytes, survey) {
        return known.map(|()| false);
    }
    let references = survey.has_references(bytes);
    let stamps = parser::read(event, bytes, survey.openings, references, floor)?;
    if !references {
        shapes.learn(bytes, survey, event, &stamps);
    }
    Ok(references)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Both ways say the same, and mean the same bytes of the piece.
    fn agree(reader: &mut Reader, piece: &[u8]) {
        let mut event = Event::nothing();
        let short = reader.parse(&mut event, piece).map(|()| event);
        let long = parse(piece);
        assert_eq!(short, long, "{}", String::from_utf8_lossy(piece));
        let places = |event: Result<Event<'_>, Reason>| {
            let event = event.ok()?;
            let detail = event.detail.unwrap_or_default();
            let children = [detail.track, detail.status, detail.contact, detail.marti];
            let of_values = [event.uid, event.kind, event.how, detail.bytes];
            let mut parts = of_values.to_vec();
            parts.extend(children.iter().map(|child| child.bytes));
            parts.extend(children.iter().filter_map(|child| child.values[0]));
            parts.retain(|part| !part.is_empty());
            Some(parts.iter().map(|part| part.as_ptr()).collect::<Vec<_>>())
        };
        assert_eq!(places(short), places(long));
        let at = memchr::memmem::find(piece, b"<detail").unwrap_or(0);
        let other = piece[at..]
            .strip_suffix(b"</event>")
            .unwrap_or(&piece[at..]);
        let mut event = Event::nothing();
        let short = reader.parse_detail(&mut event, other);
        assert_eq!(short.map(|()| event.detail), parse_detail(other).map(Some));
    }

    fn event([uid, kind, stale, lat, callsign, rest]: [&str; 6], inside: &str) -> String {
        format!(
            "<event version='2.0' uid='{uid}' type=\"{kind}\" how='' time='2026-01-01T00:00:00.000Z' \
             start='2026-01-01T00:00:00Z' stale='{stale}'><point lat='{lat}' lon='2' hae=\"\" ce='4' le='5' />\n\
             <detail><contact callsign='{callsign}' endpoint=''/><track\n speed='1.5' course=\"{rest}\"></track>\
             {inside}<status battery='{rest}'/></detail></event>"
        )
    }

    fn is_known(reader: &mut Reader, piece: &str) -> bool {
        let survey = survey(piece.as_bytes()).unwrap();
        let mut event = Event::nothing();
        let known = reader.events.read(&mut event, piece.as_bytes(), &survey);
        known.is_some()
    }

    const VALUES: [&str; 6] = ["u", "a-f-G", "2026-01-01T00:01:00.000Z", "1", "A", "7"];

    #[test]
    fn a_known_shape_is_read_the_short_way() {
        let mut reader = Reader::default();
        let mut known = |piece: &str| {
            let known = is_known(&mut reader, piece);
            agree(&mut reader, piece.as_bytes());
            known
        };
        assert!(!known(&event(VALUES, "")));
        let others = [
            "",
            "b",
            "soon",
            "-1234567.125",
            "a > b \t 'é\" longer than a few words of eight",
            "",
        ];
        for (at, other) in others.into_iter().enumerate() {
            let mut values = VALUES;
            values[at] = other.trim_matches('\'');
            if !other.contains('\'') {
                assert!(known(&event(values, "")), "{at}");
            }
            values[at] = "<";
            assert!(!known(&event(values, "")), "{at}");
            values[at] = "&amp;";
            assert!(!known(&event(values, "")), "{at}");
        }
        assert!(!known(&event(VALUES, "<a/>")));
        assert!(known(&event(VALUES, "<a/>")));
        assert!(known(&event(VALUES, "")));
        // Text and comments change from event to event.
        for inside in ["<a>text</a>", "<!-- note -->", "<![CDATA[x]]>"] {
            assert!(!known(&event(VALUES, inside)));
            assert!(!known(&event(VALUES, inside)));
        }
    }

    #[test]
    fn a_byte_too_many_or_too_few_anywhere_is_noticed() {
        let mut reader = Reader::default();
        // Between these values stand runs of all lengths, longer than what is compared at once too.
        let inside = format!(
            "<{0}  b='1'/><{1}   c='2'/>",
            "long".repeat(20),
            "a".repeat(28)
        );
        let usual = event(VALUES, &inside).into_bytes();
        for at in 0..=usual.len() {
            agree(&mut reader, &usual);
            assert!(is_known(&mut reader, std::str::from_utf8(&usual).unwrap()));
            for byte in *b" x'\"<>=/" {
                let mut more = usual.clone();
                more.insert(at, byte);
                agree(&mut reader, &more);
                let mut other = usual.clone();
                if let Some(here) = other.get_mut(at) {
                    *here = byte;
                    agree(&mut reader, &other);
                    other.remove(at);
                    agree(&mut reader, &other);
                }
            }
        }
    }

    #[test]
    fn an_opening_quote_closes_nothing() {
        let mut reader = Reader::default();
        agree(&mut reader, event(VALUES, "<x a='' b='3'/>").as_bytes());
        // One quote too few, and as many as ever, because a value holds another one.
        let mut values = VALUES;
        values[3] = "\"";
        for _ in 0..3 {
            agree(&mut reader, event(values, "<x a=' b='3'/>").as_bytes());
            agree(&mut reader, event(VALUES, "<x a='' b='3'/>").as_bytes());
        }
    }

    #[test]
    fn shapes_that_never_come_again_do_not_pile_up() {
        const { assert!(Reader::BYTES <= 64 * 1024) };
        let mut reader = Reader::default();
        for number in 0..1000 {
            agree(
                &mut reader,
                event(VALUES, &format!("<a{number}/>")).as_bytes(),
            );
        }
        // One that keeps coming is soon known all the same.
        let usual = event(VALUES, "<usual/>");
        for _ in 0..32 {
            agree(&mut reader, usual.as_bytes());
        }
        assert!(is_known(&mut reader, &usual));
    }

    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            8 => "[a-zA-Z0-9.-]{0,12}",
            2 => "[ a-z>/=é]{0,40}",
            1 => Just("2026-01-01T00:01:00.000Z".to_owned()),
            1 => "[a-z<&;\t\"']{0,4}",
        ]
    }

    fn inside() -> impl Strategy<Value = String> {
        let inside = [
            "",
            "<a b='1'/>",
            "<track speed='2' course='3'/>",
            "<marti><dest uid='x'/></marti>",
            "<x><contact callsign=''/></x> ",
            "<__group name='Cyan' role='HQ'/><link uid='' type='a'/>",
            "<remarks>text</remarks>",
            "<image></image>",
        ];
        proptest::sample::select(inside.to_vec()).prop_map(str::to_owned)
    }

    proptest! {
        #[test]
        fn the_short_way_and_the_long_way_agree(
            events in proptest::collection::vec((proptest::array::uniform6(value()), inside()), 1..12),
            stale in any::<bool>(),
            edits in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..3, "[<>&/='\" a-e\t\u{0}é]{0,3}"), 0..12),
        ) {
            let mut reader = Reader::default();
            agree(&mut reader, event(VALUES, "").as_bytes());
            for (number, (values, inside)) in events.iter().enumerate() {
                let mut values = values.each_ref().map(String::as_str);
                if stale {
                    values[2] = VALUES[2];
                }
                let text = event(values, inside);
                agree(&mut reader, text.as_bytes());
                let Some((at, taken, put)) = edits.get(number) else {
                    continue;
                };
                let mut bytes = text.into_bytes();
                let at = at.index(bytes.len());
                let end = bytes.len().min(at + taken);
                bytes.splice(at..end, put.bytes());
                agree(&mut reader, &bytes);
            }
        }
    }
}
