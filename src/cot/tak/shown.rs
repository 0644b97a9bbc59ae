//! The detail of a `TakMessage` as one `<detail>` element: typed fields first, then its text (protocol reference 6.2).

use super::cuts::{Children, is_named};
use crate::cot::render::put_attribute;
use crate::counters::Reason;
use crate::wire::room::{self, Room};
use crate::wire::tak::{Detail, Event};
use crate::wire::{number, xml};

/// Writes the event's detail into `room`, checks it and notes its parts in `shown`, which must be
/// [`xml::Event::nothing()`] still; its detail stays `None` when the event has none.
///
/// # Errors
/// What [`xml::Reader::parse_detail`] says of the text.
pub fn read_detail<'a>(
    shown: &mut xml::Event<'a>,
    event: &Event<'_>,
    room: &'a mut Vec<u8>,
    reader: &mut xml::Reader,
) -> Result<(), Reason> {
    room.clear();
    let Some(detail) = &event.detail else {
        return Ok(());
    };
    let kept = without_replaced(detail);
    let expected = detail.xml.len() + texts(&kept) + TAGS;
    room::append(room, expected, |mut room| {
        room.put_array(b"<detail>");
        let mut room = put_typed(room, &kept, event.simple);
        room.put(detail.xml);
        room.put_array(b"</detail>");
        room
    });
    reader.parse_detail(shown, room)
}

/// Names, quotes and numbers of the typed fields.
const TAGS: usize = 384;

/// Bytes of the texts.
fn texts(detail: &Detail<'_>) -> usize {
    let pairs = [detail.contact, detail.group, detail.precision];
    let pairs = pairs.iter().flatten().flatten();
    pairs
        .chain(detail.takv.iter().flatten())
        .map(|text| text.len())
        .sum()
}

/// The typed fields without those of which the text has an element of the same name: that one replaces them.
fn without_replaced<'a>(detail: &Detail<'a>) -> Detail<'a> {
    let typed = |tag: &[u8]| {
        is_named(tag, b"contact") && detail.contact.is_some()
            || is_named(tag, b"__group") && detail.group.is_some()
            || is_named(tag, b"precisionlocation") && detail.precision.is_some()
            || is_named(tag, b"status") && detail.battery.is_some()
            || is_named(tag, b"takv") && detail.takv.is_some()
            || is_named(tag, b"track") && detail.track.is_some()
    };
    match memchr::memchr_iter(b'<', detail.xml).any(|at| typed(&detail.xml[at..])) {
        true => replaced(detail),
        false => *detail,
    }
}

#[cold]
fn replaced<'a>(detail: &Detail<'a>) -> Detail<'a> {
    let mut kept = *detail;
    for tag in Children::of(detail.xml) {
        let named = |name: &[u8]| is_named(tag, name);
        kept.contact = kept.contact.filter(|_| !named(b"contact"));
        kept.group = kept.group.filter(|_| !named(b"__group"));
        kept.precision = kept.precision.filter(|_| !named(b"precisionlocation"));
        kept.battery = kept.battery.filter(|_| !named(b"status"));
        kept.takv = kept.takv.filter(|_| !named(b"takv"));
        kept.track = kept.track.filter(|_| !named(b"track"));
    }
    kept
}

fn put_typed<'r>(mut room: Room<'r>, typed: &Detail<'_>, simple: bool) -> Room<'r> {
    let out = &mut room;
    if let Some([callsign, endpoint]) = typed.contact {
        put_attribute(out, b"<contact callsign=\"", callsign, simple);
        if !endpoint.is_empty() {
            put_attribute(out, b" endpoint=\"", endpoint, simple);
        }
        out.put_array(b"/>");
    }
    if let Some([name, role]) = typed.group {
        put_attribute(out, b"<__group name=\"", name, simple);
        put_attribute(out, b" role=\"", role, simple);
        out.put_array(b"/>");
    }
    if let Some([source, altitude]) = typed.precision {
        put_attribute(out, b"<precisionlocation geopointsrc=\"", source, simple);
        put_attribute(out, b" altsrc=\"", altitude, simple);
        out.put_array(b"/>");
    }
    if let Some(battery) = typed.battery {
        out.put_array(b"<status battery=\"");
        put_unsigned(out, battery);
        out.put_array(b"\"/>");
    }
    if let Some([device, platform, os, version]) = typed.takv {
        put_attribute(out, b"<takv device=\"", device, simple);
        put_attribute(out, b" platform=\"", platform, simple);
        put_attribute(out, b" os=\"", os, simple);
        put_attribute(out, b" version=\"", version, simple);
        out.put_array(b"/>");
    }
    if let Some([speed, course]) = typed.track {
        out.put_array(b"<track speed=\"");
        number::put(out, speed);
        out.put_array(b"\" course=\"");
        number::put(out, course);
        out.put_array(b"\"/>");
    }
    room
}

fn put_unsigned(room: &mut Room<'_>, number: u32) {
    let mut digits = [b'0'; 10];
    let (mut at, mut rest) = (digits.len(), number);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return room.put(&digits[at..]);
        }
    }
}
