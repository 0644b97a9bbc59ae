//! Which children of a `<detail>` become typed fields: those that say exactly what the fields can (protocol reference 6.2).

use memchr::memmem;

use super::cuts::{Children, inside, is_named};
use super::said::{SaidDetail, Text};
use crate::cot::patch::Attributes;
use crate::wire::xml::{Child, Detail};
use crate::wire::{number, text};

/// Sorts a checked detail into text and typed fields; `plain` tells that every value means itself.
///
/// A child that stands there twice stays in the text, because of such only one would be seen on the way back. So does a
/// number that a field would change in meaning.
pub(super) fn sorted<'a>(detail: &Detail<'a>, plain: bool) -> SaidDetail<'a> {
    let mut said = SaidDetail {
        children: inside(detail.bytes),
        ..SaidDetail::default()
    };
    let SaidDetail {
        children,
        cuts,
        typed,
    } = &mut said;
    let text = |raw| Text::of(raw, plain);
    let contact = &detail.contact;
    if contact.count == 1
        && contact.empty
        && !contact.others
        && let [Some(callsign), endpoint] = contact.values
        // A field cannot be there and be empty.
        && endpoint.is_none_or(|endpoint| !endpoint.is_empty())
    {
        typed.contact = Some([text(callsign), endpoint.map_or(Text::NONE, text)]);
        cuts.add(contact.bytes);
    }
    if let Some(group) = pair(&detail.group) {
        typed.group = Some(group.map(text));
        cuts.add(detail.group.bytes);
    }
    if let Some(precision) = pair(&detail.precision) {
        typed.precision = Some(precision.map(text));
        cuts.add(detail.precision.bytes);
    }
    let status = &detail.status;
    if status.count == 1
        && status.empty
        && !status.others
        && let [Some(level), None] = status.values
        && let Some(level) = whole(level)
    {
        typed.battery = Some(level);
        cuts.add(status.bytes);
    }
    if let Some((takv, values)) = takv(children, detail) {
        typed.takv = Some(values.map(text));
        cuts.add(takv);
    }
    if let Some([speed, course]) = pair(&detail.track)
        && let (Some(speed), Some(course)) = (number::read(speed), number::read(course))
    {
        typed.track = Some([speed, course]);
        cuts.add(detail.track.bytes);
    }
    said
}

/// Both values of a child that has these two and nothing else.
fn pair<'a>(child: &Child<'a>) -> Option<[&'a [u8]; 2]> {
    match child.values {
        [Some(one), Some(other)] if child.is_exact() => Some([one, other]),
        _ => None,
    }
}

/// A whole number that is written as it would be written again.
fn whole(raw: &[u8]) -> Option<u32> {
    let digits = raw.iter().all(u8::is_ascii_digit);
    let canonical = digits && (raw == b"0" || raw.first() != Some(&b'0'));
    text::as_str(raw)?.parse().ok().filter(|_| canonical)
}

/// The only `<takv>`, if it has its four attributes and nothing else. The parser does not note it, because nothing else
/// wants to know of it.
fn takv<'a>(children: &'a [u8], detail: &Detail<'_>) -> Option<(&'a [u8], [&'a [u8]; 4])> {
    let at = memmem::find(children, b"<takv")?;
    let (before, tag) = children.split_at(at);
    let mut values = [None; 4];
    let mut end = 0;
    for (name, from, to) in Attributes::of(tag) {
        let place = match name {
            b"device" => 0,
            b"platform" => 1,
            b"os" => 2,
            b"version" => 3,
            _ => return None,
        };
        values[place] = Some(&tag[from..to]);
        end = to + 1;
    }
    let [Some(device), Some(platform), Some(os), Some(version)] = values else {
        return None;
    };
    let blanks = tag[end..].len() - tag[end..].trim_ascii_start().len();
    end += blanks + 2;
    let element = tag.get(..end).filter(|element| element.ends_with(b"/>"))?;
    let twice = memmem::find(&tag[end..], b"<takv").is_some();
    // A tag without attributes ends before the next one's begin, and no value holds a `<`.
    let one_tag = memchr::memchr(b'<', &element[1..]).is_none();
    (!twice && one_tag && is_named(tag, b"takv") && is_direct(before, children, detail))
        .then_some((element, [device, platform, os, version]))
}

/// Whether what follows `before` is a child itself, and no child's child or part of a comment.
fn is_direct(before: &[u8], children: &[u8], detail: &Detail<'_>) -> bool {
    let noted = [
        &detail.contact,
        &detail.group,
        &detail.status,
        &detail.precision,
        &detail.track,
    ];
    let here = before.as_ptr_range().end;
    // Mostly it comes first, or behind a child that is known.
    before.is_empty()
        || noted
            .iter()
            .any(|child| child.bytes.as_ptr_range().end == here)
        || Children::of(children).any(|tag| tag.len() == children.len() - before.len())
}
