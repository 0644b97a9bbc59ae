//! `GeoEvent` to `TakMessage`.

use super::detail::sorted;
use super::said::{Said, SaidDetail, Text, put_message};
use crate::cot::render;
use crate::counters::Reason;
use crate::wire::fig::Geo;
use crate::wire::xml::Detail;
use crate::wire::{number, room};

/// Appends the event as a `TakMessage`; `shown` is what [`render::read_detail`] noted.
///
/// # Errors
/// [`Reason::BadTime`] for a time before 1970; `out` is as before then.
pub fn put_event(
    out: &mut Vec<u8>,
    event: &Geo<'_>,
    shown: Option<&Detail<'_>>,
) -> Result<(), Reason> {
    let times = [event.time, event.start, event.stale];
    if times.iter().any(|&time| time < 0) {
        return Err(Reason::BadTime);
    }
    let mut added = Added::default();
    // A picture is written into the text, which is left alone then.
    let pictured = shown.filter(|detail| !event.image.is_empty() && detail.image.count > 0);
    let mut detail = match (shown, pictured) {
        (_, Some(_)) => Some(SaidDetail::default()),
        (shown, None) => shown.map(|detail| sorted(detail, false)),
    };
    let said = shown.unwrap_or(&Detail::NOTHING);
    if said.track.count == 0 && (event.speed.is_some() || event.course.is_some()) {
        let track = [event.speed, event.course].map(Option::unwrap_or_default);
        detail.get_or_insert_default().typed.track = Some(track);
    }
    if let Some(level) = event.battery.filter(|_| said.status.count == 0) {
        let detail = detail.get_or_insert_default();
        match u32::try_from(level) {
            Ok(level) => detail.typed.battery = Some(level),
            Err(_) => added.battery = Some(level),
        }
    }
    let sources = [event.ploc, event.palt];
    if said.precision.count == 0 && sources.iter().any(|source| !source.is_empty()) {
        let detail = detail.get_or_insert_default();
        match sources.iter().all(|source| !source.is_empty()) {
            true => detail.typed.precision = Some(sources.map(Text::Meant)),
            // A field would say the other one too.
            false => added.precision = true,
        }
    }
    if said.marti.count == 0 && event.directed {
        detail.get_or_insert_default();
        added.marti = true;
    }
    let said = Said {
        kind: Text::Meant(event.kind),
        access: Text::Meant(event.access),
        qos: Text::NONE,
        opex: Text::NONE,
        uid: Text::Meant(event.uid),
        times,
        how: Text::Meant(event.how),
        point: event.point,
        detail,
        caveat: Text::Meant(event.caveat),
        releasable_to: Text::Meant(event.releasable_to),
    };
    out.reserve(event.bytes.len());
    put_message(out, &said, |out| {
        if let Some(detail) = pictured {
            put_pictured(out, event, detail);
        }
        if added != Added::default() {
            put_added(out, event, &added);
        }
    });
    Ok(())
}

/// Fields of a `GeoEvent` that only an element can say here.
#[derive(Debug, Default, PartialEq, Eq)]
struct Added {
    battery: Option<i32>,
    precision: bool,
    marti: bool,
}

#[cold]
fn put_added(out: &mut Vec<u8>, event: &Geo<'_>, added: &Added) {
    room::append(out, event.bytes.len(), |mut room| {
        if let Some(level) = added.battery {
            room.put_array(b"<status battery=\"");
            number::put_integer(&mut room, level);
            room.put_array(b"\"/>");
        }
        if added.precision {
            render::put_precision(&mut room, event);
        }
        match added.marti {
            true => render::put_marti(room, event),
            false => room,
        }
    });
}

#[cold]
fn put_pictured(out: &mut Vec<u8>, event: &Geo<'_>, detail: &Detail<'_>) {
    let children = super::cuts::inside(detail.bytes);
    room::append(out, 2 * event.bytes.len(), |room| {
        render::put_with_image(room, event, detail, children)
    });
}
