//! CoT XML to `TakMessage`.

use memchr::{memchr, memmem};

use super::detail::sorted;
use super::said::{Said, Text, put_message};
use crate::cot::patch::Attributes;
use crate::counters::Reason;
use crate::wire::number;
use crate::wire::xml::Event;

/// Appends the event as a `TakMessage`.
///
/// # Errors
/// [`Reason::Incomplete`] when something is missing that the message cannot leave out: time, start, stale, point;
/// [`Reason::BadTime`] for a time before 1970. `out` is as before then.
pub fn put_event(out: &mut Vec<u8>, event: &Event<'_>) -> Result<(), Reason> {
    let (Some(time), Some(start), Some(stale)) = (event.time, event.start, event.stale) else {
        return Err(Reason::Incomplete);
    };
    let times = [time, start, stale];
    if times.iter().any(|&time| time < 0) {
        return Err(Reason::BadTime);
    }
    let point = event.point.as_ref().ok_or(Reason::Incomplete)?;
    // As for federation: a place that cannot be read is no place, an unreadable height or error an unknown one.
    let place = |raw| number::read(raw).ok_or(Reason::Incomplete);
    let error = |raw: &[u8]| match raw {
        [] => Err(Reason::Incomplete),
        raw => Ok(number::read(raw).unwrap_or(number::UNKNOWN)),
    };
    let point = [
        place(point.lat)?,
        place(point.lon)?,
        error(point.hae)?,
        error(point.ce)?,
        error(point.le)?,
    ];
    let plain = event.plain;
    let text = |raw| Text::of(raw, plain);
    let [qos, opex] = rare(event);
    let said = Said {
        kind: text(event.kind),
        access: text(event.access),
        qos: text(qos),
        opex: text(opex),
        uid: text(event.uid),
        times,
        how: text(event.how),
        point,
        detail: event.detail.as_ref().map(|detail| sorted(detail, plain)),
        caveat: text(event.caveat),
        releasable_to: text(event.releasable_to),
    };
    out.reserve(event.bytes.len() + TYPED);
    put_message(out, &said, |_| {});
    Ok(())
}

/// What typed fields need beyond the length of the XML, if they need more.
const TYPED: usize = 128;

/// `event@qos` and `event@opex`, which hardly any event has and nothing else looks at.
fn rare<'a>(event: &Event<'a>) -> [&'a [u8]; 2] {
    let mut found = [&b""[..]; 2];
    let end = memchr(b'<', event.bytes.get(1..).unwrap_or_default());
    let tag = &event.bytes[..end.map_or(event.bytes.len(), |end| end + 1)];
    if memmem::find(tag, b"qos").is_none() && memmem::find(tag, b"opex").is_none() {
        return found;
    }
    for (name, from, to) in Attributes::of(tag) {
        match name {
            b"qos" => found[0] = &tag[from..to],
            b"opex" => found[1] = &tag[from..to],
            _ => {}
        }
    }
    found
}
