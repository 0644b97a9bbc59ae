//! CoT XML to `GeoEvent` (protocol reference 1.7).
//!
//! A child of `<detail>` leaves the text and becomes typed fields only when those say everything it said; otherwise it
//! stays in the text *and* sets the typed fields, because TAK Server builds `<track>` from the fields alone
//! (protocol reference 1.8, rule 3). Nothing is invented: what the event does not say is not on the wire.

use heapless::Vec as Fixed;

use super::marti::holds_only_destinations;
use crate::counters::Reason;
use crate::wire::fig::geo;
use crate::wire::proto::{put_bytes, put_double, put_header, put_int};
use crate::wire::xml::{Child, Detail, Event, Named, destinations};
use crate::wire::{number, text};

/// Room left for the key and length of the event field, which is right for 128 to 16 383 bytes.
const HEAD: usize = 3;

/// Appends the event as field `field` of an outer message.
///
/// # Errors
/// [`Reason::Incomplete`] when something is missing that federation requires: time, start, stale, how, point.
pub fn put_event(out: &mut Vec<u8>, field: u32, event: &Event<'_>) -> Result<(), Reason> {
    let (Some(time), Some(start), Some(stale)) = (event.time, event.start, event.stale) else {
        return Err(Reason::Incomplete);
    };
    let point = event.point.ok_or(Reason::Incomplete)?;
    if event.how.is_empty() {
        return Err(Reason::Incomplete);
    }
    // A place that cannot be read is no place; an unreadable height or error is an unknown one.
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
    out.reserve(event.bytes.len() + ROOM);
    out.extend_from_slice(&[0; HEAD]);
    let begin = out.len();
    put_int(out, geo::SEND_TIME, time);
    put_int(out, geo::START_TIME, start);
    put_int(out, geo::STALE_TIME, stale);
    // Zeros too: very old peers required these five (protocol reference 1.2, legacy note).
    for (number, value) in (geo::LAT..).zip(point) {
        put_double(out, number, value);
    }
    let plain = event.plain;
    put_string(out, geo::UID, event.uid, plain);
    put_string(out, geo::TYPE, event.kind, plain);
    put_string(out, geo::COORD_SOURCE, event.how, plain);
    if let Some(detail) = &event.detail {
        put_detail(out, detail, plain);
    }
    for (number, raw) in [
        (geo::ACCESS, event.access),
        (geo::CAVEAT, event.caveat),
        (geo::RELEASABLE_TO, event.releasable_to),
    ] {
        if !raw.is_empty() {
            put_string(out, number, raw, plain);
        }
    }
    put_head(out, field, begin);
    Ok(())
}

/// What typed fields may need beyond the length of the XML, at most.
const ROOM: usize = 256;

/// Writes key and length of the field whose content begins at `begin`, into the room before it.
fn put_head(out: &mut Vec<u8>, field: u32, begin: usize) {
    let mut rest = out.len() - begin;
    // One byte of key for the few fields there are; five of length hold what a buffer can.
    let mut head = [(field << 3 | 2) as u8, 0, 0, 0, 0, 0];
    let mut length = 1;
    while rest >= 0x80 {
        head[length] = rest as u8 | 0x80;
        rest >>= 7;
        length += 1;
    }
    head[length] = rest as u8;
    length += 1;
    let room = begin - HEAD..begin;
    if length == HEAD {
        out[room].copy_from_slice(&head[..HEAD]);
    } else {
        out.splice(room, head[..length].iter().copied());
    }
}

/// The detail, in the text or as typed fields.
fn put_detail<'a>(out: &mut Vec<u8>, detail: &Detail<'a>, plain: bool) {
    let mut lifted: Fixed<&'a [u8], 4> = Fixed::new();
    // Four children can be lifted, and four places there are.
    let mut lift = |child: &Child<'a>, whole: bool| {
        if whole {
            let _ = lifted.push(child.bytes);
        }
    };
    if let Some((speed, course, canonical)) = track(&detail.track) {
        put_double(out, geo::SPEED, speed);
        put_double(out, geo::COURSE, course);
        lift(&detail.track, canonical && detail.track.is_exact());
    }
    if let Some((battery, canonical)) = battery(&detail.status) {
        put_int(out, geo::BATTERY, i64::from(battery));
        let status = &detail.status;
        let alone = status.count == 1 && status.empty && !status.others;
        lift(status, canonical && alone);
    }
    if let [Some(source), Some(altitude)] = detail.precision.values {
        for (number, raw) in [(geo::PLOC, source), (geo::PALT, altitude)] {
            if !raw.is_empty() {
                put_string(out, number, raw, plain);
            }
        }
        let said = !source.is_empty() && !altitude.is_empty();
        lift(&detail.precision, said && detail.precision.is_exact());
    }
    if detail.marti.count > 0 {
        lift(&detail.marti, put_addressees(out, &detail.marti, plain));
    }
    put_other(out, detail.bytes, &mut lifted);
}

/// What is left of the detail when the lifted parts are taken out.
fn put_other(out: &mut Vec<u8>, detail: &[u8], lifted: &mut [&[u8]]) {
    let taken: usize = lifted.iter().map(|part| part.len()).sum();
    put_header(out, geo::OTHER, detail.len() - taken);
    lifted.sort_unstable_by_key(|part| offset(detail, part));
    let mut rest = detail;
    for part in lifted {
        let (before, after) = rest.split_at(offset(rest, part));
        out.extend_from_slice(before);
        rest = &after[part.len()..];
    }
    out.extend_from_slice(rest);
}

/// Speed and course, and whether both are written as they would be written again.
fn track(track: &Child<'_>) -> Option<(f64, f64, bool)> {
    let [Some(speed), Some(course)] = track.values else {
        return None;
    };
    let (speed, one) = number::read_canonical(speed)?;
    let (course, other) = number::read_canonical(course)?;
    Some((speed, course, one && other))
}

/// The battery, and whether typed fields can say it all.
fn battery(status: &Child<'_>) -> Option<(i32, bool)> {
    // `readiness` makes a status something else (protocol reference 1.7, rule 5).
    let [Some(raw), None] = status.values else {
        return None;
    };
    let battery: i32 = match *raw {
        // As nearly all are written.
        [one @ b'0'..=b'9'] => i32::from(one - b'0'),
        [ten @ b'0'..=b'9', one @ b'0'..=b'9'] => {
            i32::from(ten - b'0') * 10 + i32::from(one - b'0')
        }
        _ => text::as_str(raw)?.parse().ok()?,
    };
    // A zero is not told from "not said" by peers that write no zeros, so it stays in the text.
    let canonical = battery > 0 && !matches!(raw[0], b'0' | b'+');
    Some((battery, canonical))
}

/// Puts the addressees, and tells whether they are all that `<marti>` says.
fn put_addressees(out: &mut Vec<u8>, marti: &Child<'_>, plain: bool) -> bool {
    let mut all = marti.count == 1 && !marti.others;
    let mut some = false;
    for dest in destinations(marti.bytes) {
        let number = match dest.named {
            Named::Uid => geo::PTP_UIDS,
            Named::Callsign => geo::PTP_CALLSIGNS,
            Named::Mission => geo::MISSION_NAMES,
            Named::Other => {
                all = false;
                continue;
            }
        };
        if !dest.value.is_empty() {
            put_string(out, number, dest.value, plain);
            some = true;
        }
        all &= !dest.others && !dest.value.is_empty();
    }
    // An empty `<marti/>` means everybody, and typed fields cannot say it.
    all && some && holds_only_destinations(marti.bytes)
}

#[inline]
fn put_string(out: &mut Vec<u8>, number: u32, raw: &[u8], plain: bool) {
    if plain {
        return put_bytes(out, number, raw);
    }
    put_header(out, number, text::unescaped_length(raw));
    text::write_unescaped(out, raw);
}

/// Where `part` begins in `whole`, of which it is a slice.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr().saturating_sub(whole.as_ptr().addr())
}
