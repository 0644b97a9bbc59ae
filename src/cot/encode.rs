//! CoT XML to `GeoEvent` (protocol reference 1.7).
//!
//! A child of `<detail>` leaves the text and becomes typed fields only when those say everything it said; otherwise it
//! stays in the text *and* sets the typed fields, because TAK Server builds `<track>` from the fields alone
//! (protocol reference 1.8, rule 3). Nothing is invented: what the event does not say is not on the wire.

use std::ops::Range;

use super::marti::holds_only_destinations;
use crate::counters::Reason;
use crate::wire::fig::geo;
use crate::wire::room::{self, Room};
use crate::wire::xml::{Child, Detail, Event, Named, destinations};
use crate::wire::{number, proto, text};

/// Room left for the key and length of the event field, which is right for 128 to 16 383 bytes.
pub(super) const HEAD: usize = 3;

/// Appends the event as field `field` of an outer message, and `behind` behind it.
///
/// # Errors
/// [`Reason::Incomplete`] when something is missing that federation requires: time, start, stale, how, point. `out` is
/// as before then.
pub fn put_event(
    out: &mut Vec<u8>,
    field: u32,
    event: &Event<'_>,
    behind: &[u8],
) -> Result<(), Reason> {
    let (Some(time), Some(start), Some(stale)) = (event.time, event.start, event.stale) else {
        return Err(Reason::Incomplete);
    };
    let point = event.point.as_ref().ok_or(Reason::Incomplete)?;
    if event.how.is_empty() {
        return Err(Reason::Incomplete);
    }
    // A place that cannot be read is no place; an unreadable height or error is an unknown one.
    let place = |raw| number::read(raw).ok_or(Reason::Incomplete);
    let error = |raw: &[u8]| match raw {
        [] => Err(Reason::Incomplete),
        raw => Ok(number::read_error(raw).unwrap_or(number::UNKNOWN)),
    };
    let mut numbers = Numbers {
        times: [time, start, stale],
        point: [0.0; 5],
        track: None,
    };
    // Each where it belongs, so that none of them waits for the others elsewhere.
    numbers.point[0] = place(point.lat)?;
    numbers.point[1] = place(point.lon)?;
    numbers.point[2] = error(point.hae)?;
    numbers.point[3] = error(point.ce)?;
    numbers.point[4] = error(point.le)?;
    if let Some(detail) = &event.detail {
        numbers.track = track(&detail.track);
    }
    let begin = out.len() + HEAD;
    let expected = HEAD + event.bytes.len() + TYPED + behind.len();
    room::append(out, expected, |room| {
        put_fields(room, event, &numbers, behind)
    });
    put_head(out, field, begin, behind.len());
    Ok(())
}

/// The numbers of an event, read.
struct Numbers {
    times: [i64; 3],
    point: [f64; 5],
    /// Speed and course, and whether both are written as they would be written again.
    track: Option<(f64, f64, bool)>,
}

/// What typed fields need beyond the length of the XML, if they need more.
const TYPED: usize = 64;

/// Writes key and length of the field whose content begins at `begin`, into the [`HEAD`] bytes left before it; so many
/// bytes stand behind it.
#[inline]
pub(super) fn put_head(out: &mut Vec<u8>, field: u32, begin: usize, behind: usize) {
    let rest = out.len() - begin - behind;
    let key = (field << 3 | 2) as u8;
    let room = begin - HEAD..begin;
    if (0x80..0x4000).contains(&rest) {
        let head = [key, rest as u8 | 0x80, (rest >> 7) as u8];
        return out[room].copy_from_slice(&head);
    }
    put_long_head(out, room, key, rest);
}

/// The same for any length.
#[cold]
#[inline(never)]
fn put_long_head(out: &mut Vec<u8>, room: Range<usize>, key: u8, mut rest: usize) {
    // One byte of key for the few fields there are; five of length hold what a buffer can.
    let mut head = [key, 0, 0, 0, 0, 0];
    let mut length = 1;
    while rest >= 0x80 {
        head[length] = rest as u8 | 0x80;
        rest >>= 7;
        length += 1;
    }
    head[length] = rest as u8;
    out.splice(room, head[..=length].iter().copied());
}

/// Room for the head, all fields of the event, and what stands behind it.
#[inline(never)]
fn put_fields<'r>(room: Room<'r>, event: &Event<'_>, numbers: &Numbers, behind: &[u8]) -> Room<'r> {
    let mut room = room.own();
    put_times_and_place(&mut room, &numbers.times, &numbers.point);
    let plain = event.plain;
    put_string(&mut room, geo::UID, event.uid, plain);
    put_string(&mut room, geo::TYPE, event.kind, plain);
    put_string(&mut room, geo::COORD_SOURCE, event.how, plain);
    if let Some(detail) = &event.detail {
        put_detail(&mut room, detail, numbers.track, plain);
    }
    put_given(&mut room, geo::ACCESS, event.access, plain);
    put_given(&mut room, geo::CAVEAT, event.caveat, plain);
    put_given(&mut room, geo::RELEASABLE_TO, event.releasable_to, plain);
    room.put_some(behind);
    room
}

/// Room for the head, then the times and the place, which stand in every event.
#[inline(always)]
pub(super) fn put_times_and_place(room: &mut Room<'_>, times: &[i64; 3], point: &[f64; 5]) {
    const DOUBLES: usize = HEAD + 3 * 7;
    // The zeros of the place too: very old peers required these five (protocol reference 1.2, legacy note).
    let put_place = |room: &mut [u8; 5 * 9]| {
        let (fields, _) = room.as_chunks_mut::<9>();
        for (at, (field, value)) in fields.iter_mut().zip(point).enumerate() {
            field[0] = ((geo::LAT + at as u32) << 3 | 1) as u8;
            field[1..].copy_from_slice(&value.to_le_bytes());
        }
    };
    // From 1971 to 2109 a time takes six bytes, and where everything stands is known.
    let [time, start, stale] = times.map(i64::cast_unsigned);
    if (time | start | stale) < 1 << 42 && time.min(start).min(stale) >= 1 << 35 {
        return room.put_placed::<{ DOUBLES + 5 * 9 }>(|room| {
            let first = proto::varint_of_six(time);
            let second = match start == time {
                true => first,
                false => proto::varint_of_six(start),
            };
            let fields = [
                (geo::SEND_TIME, first),
                (geo::START_TIME, second),
                (geo::STALE_TIME, proto::varint_of_six(stale)),
            ];
            for (at, (number, word)) in fields.into_iter().enumerate() {
                let field = word << 8 | u64::from(number << 3);
                room[HEAD + 7 * at..][..8].copy_from_slice(&field.to_le_bytes());
            }
            if let Some(room) = room.last_chunk_mut() {
                put_place(room);
            }
        });
    }
    room.put_array(&[0; HEAD]);
    room.put_int(geo::SEND_TIME, times[0]);
    room.put_int(geo::START_TIME, times[1]);
    room.put_int(geo::STALE_TIME, times[2]);
    room.put_placed(put_place);
}

/// The detail, in the text or as typed fields, in the order of their numbers as far as that costs nothing.
#[inline(always)]
pub(super) fn put_detail(
    room: &mut Room<'_>,
    detail: &Detail<'_>,
    track: Option<(f64, f64, bool)>,
    plain: bool,
) {
    let place = |part: &[u8], lifted: bool| {
        let begin = offset(detail.bytes, part);
        match lifted {
            true => (begin, begin.wrapping_add(part.len())),
            // Nothing, behind all that is something.
            false => (detail.bytes.len(), detail.bytes.len()),
        }
    };
    let canonical = matches!(track, Some((_, _, true)));
    let battery = battery(&detail.status);
    let says_all = matches!(battery, Some((_, true)));
    let status = &detail.status;
    let precision = match detail.precision.values {
        [Some(source), Some(altitude)] => [source, altitude],
        _ => [&b""[..]; 2],
    };
    let named = precision.iter().all(|raw| !raw.is_empty());
    let lifted = [
        place(detail.precision.bytes, named && detail.precision.is_exact()),
        place(
            status.bytes,
            says_all && status.count == 1 && status.empty && !status.others,
        ),
        place(detail.track.bytes, canonical && detail.track.is_exact()),
    ];
    if detail.marti.count == 0 {
        put_other(room, detail.bytes, lifted);
    } else {
        let mut all = false;
        room.aside(|room| put_addressees(room, &detail.marti, plain, &mut all));
        let [one, two, three] = lifted;
        let four = place(detail.marti.bytes, all);
        put_other(room, detail.bytes, [one, two, three, four]);
    }
    if let Some((battery, _)) = battery {
        room.put_int(geo::BATTERY, i64::from(battery));
    }
    put_given(room, geo::PLOC, precision[0], plain);
    put_given(room, geo::PALT, precision[1], plain);
    if let Some((speed, course, _)) = track {
        room.put_double(geo::SPEED, speed);
        room.put_double(geo::COURSE, course);
    }
}

/// What is left of the detail when the lifted parts are taken out, given by their first byte and the one behind the
/// last.
#[inline(always)]
fn put_other<const N: usize>(room: &mut Room<'_>, detail: &[u8], mut lifted: [(usize, usize); N]) {
    let taken: usize = lifted.iter().map(|(begin, end)| end - begin).sum();
    room.put_header(geo::OTHER, detail.len() - taken);
    for last in (1..N).rev() {
        for at in 0..last {
            if lifted[at].0 > lifted[at + 1].0 {
                lifted.swap(at, at + 1);
            }
        }
    }
    let mut from = 0;
    for (begin, end) in lifted {
        if from < begin {
            room.put_some(detail.get(from..begin).unwrap_or_default());
        }
        from = end;
    }
    room.put(detail.get(from..).unwrap_or_default());
}

/// Speed and course, and whether both are written as they would be written again.
#[inline(always)]
pub(super) fn track(track: &Child<'_>) -> Option<(f64, f64, bool)> {
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

/// Puts the addressees, and notes whether they are `all` that `<marti>` says.
#[inline(never)]
fn put_addressees<'r>(
    mut room: Room<'r>,
    marti: &Child<'_>,
    plain: bool,
    all: &mut bool,
) -> Room<'r> {
    *all = marti.count == 1 && !marti.others;
    let mut some = false;
    for dest in destinations(marti.bytes) {
        let number = match dest.named {
            Named::Uid => geo::PTP_UIDS,
            Named::Callsign => geo::PTP_CALLSIGNS,
            Named::Mission => geo::MISSION_NAMES,
            Named::Other => {
                *all = false;
                continue;
            }
        };
        if !dest.value.is_empty() {
            put_string(&mut room, number, dest.value, plain);
            some = true;
        }
        *all &= !dest.others && !dest.value.is_empty();
    }
    // An empty `<marti/>` means everybody, and typed fields cannot say it.
    *all &= some && holds_only_destinations(marti.bytes);
    room
}

#[inline(always)]
fn put_given(room: &mut Room<'_>, number: u32, raw: &[u8], plain: bool) {
    if !raw.is_empty() {
        put_string(room, number, raw, plain);
    }
}

#[inline(always)]
fn put_string(room: &mut Room<'_>, number: u32, raw: &[u8], plain: bool) {
    if plain {
        return room.put_bytes(number, raw);
    }
    room.aside(|room| put_meaning(room, number, raw));
}

#[inline(never)]
fn put_meaning<'r>(mut room: Room<'r>, number: u32, raw: &[u8]) -> Room<'r> {
    room.put_header(number, text::unescaped_length(raw));
    for chunk in text::unescaped(raw) {
        match chunk {
            text::Chunk::Plain(plain) => room.put(plain),
            text::Chunk::Character(character) => {
                room.put(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }
    room
}

/// Where `part` begins in `whole`, of which it is a slice.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr().saturating_sub(whole.as_ptr().addr())
}
