//! `GeoEvent` to CoT XML (protocol reference 1.8), inventing nothing: no `track 0/0`, no `battery="0"` that nobody said.

use super::base64;
use crate::counters::Reason;
use crate::wire::fig::{Addressee, Geo};
use crate::wire::room::{self, Room};
use crate::wire::xml::{Detail, Event, Reader};
use crate::wire::{number, stamp, text};

/// Checks the event's `other` and notes its parts in `shown`, which must be [`Event::nothing()`] still; its detail stays
/// `None` when there is no `other`.
///
/// # Errors
/// What [`Reader::parse_detail`] says of it.
pub fn read_detail<'a>(
    shown: &mut Event<'a>,
    event: &Geo<'a>,
    reader: &mut Reader,
) -> Result<(), Reason> {
    match event.other.trim_ascii_start() {
        [] => Ok(()),
        other => reader.parse_detail(shown, other),
    }
}

/// Appends the event as XML; `detail` is what [`read_detail`] noted, `stamps` writes its times.
///
/// # Errors
/// [`Reason::BadTime`] for a time no calendar has; `out` is as before then.
pub fn put_event(
    out: &mut Vec<u8>,
    event: &Geo<'_>,
    detail: Option<&Detail<'_>>,
    stamps: &mut stamp::Writer,
) -> Result<(), Reason> {
    let times = written(stamps, [event.time, event.start, event.stale])?;
    room::append(out, event.bytes.len() + TAGS, |room| {
        put_tags(room, event, detail, &times)
    });
    Ok(())
}

/// What tags and numbers need beyond the length of the message, if they need no more.
const TAGS: usize = 480;

#[inline(never)]
fn put_tags<'r>(
    room: Room<'r>,
    event: &Geo<'_>,
    detail: Option<&Detail<'_>>,
    times: &Times,
) -> Room<'r> {
    let mut room = room.own();
    let simple = event.simple;
    put_attribute(
        &mut room,
        b"<event version=\"2.0\" uid=\"",
        event.uid,
        simple,
    );
    put_attribute(&mut room, b" type=\"", event.kind, simple);
    put_times(&mut room, times);
    put_attribute(&mut room, b" how=\"", event.how, simple);
    put_given(&mut room, b" access=\"", event.access, simple);
    put_given(&mut room, b" caveat=\"", event.caveat, simple);
    put_given(&mut room, b" releasableTo=\"", event.releasable_to, simple);
    let [lat, lon, hae, ce, le] = event.point;
    put_number(&mut room, b"><point lat=\"", lat);
    put_number(&mut room, b" lon=\"", lon);
    put_number(&mut room, b" hae=\"", hae);
    room.put_array(b" ce=\"");
    number::put_error(&mut room, ce);
    room.put_array(b"\" le=\"");
    number::put_error(&mut room, le);
    room.put_array(b"\"/>");
    put_detail(&mut room, event, detail);
    room.put_array(b"</event>");
    room
}

/// Appends a `t-x-d-d`: the item is gone (protocol reference 1.9).
///
/// # Errors
/// [`Reason::BadTime`] when `now_ms` lies outside the calendar.
pub fn put_delete(out: &mut Vec<u8>, uid: &[u8], kind: &[u8], now_ms: i64) -> Result<(), Reason> {
    let times = from_now(now_ms)?;
    room::append(out, uid.len() + kind.len() + TAGS, |mut room| {
        put_attribute(&mut room, b"<event version=\"2.0\" uid=\"", uid, false);
        room.put(b" type=\"t-x-d-d\" how=\"h-g-i-g-o\"");
        put_now(&mut room, &times);
        put_attribute(
            &mut room,
            b"<detail><link relation=\"p-p\" uid=\"",
            uid,
            false,
        );
        put_attribute(&mut room, b" type=\"", kind, false);
        room.put(b"/></detail></event>");
        room
    });
    Ok(())
}

/// Appends the answer to a client's ping (protocol reference 6.1).
///
/// # Errors
/// [`Reason::BadTime`] when `now_ms` lies outside the calendar.
pub fn put_pong(out: &mut Vec<u8>, now_ms: i64) -> Result<(), Reason> {
    let times = from_now(now_ms)?;
    room::append(out, TAGS, |mut room| {
        room.put(b"<event version=\"2.0\" uid=\"takPong\" type=\"t-x-c-t-r\" how=\"h-g-i-g-o\"");
        put_now(&mut room, &times);
        room.put(b"</event>");
        room
    });
    Ok(())
}

/// Time, start and stale as they are written.
type Times = [[u8; stamp::WIDTH]; 3];

fn written(stamps: &mut stamp::Writer, times: [i64; 3]) -> Result<Times, Reason> {
    let mut write = |time| stamps.write(time).copied().ok_or(Reason::BadTime);
    let [time, start, stale] = times;
    let first = write(time)?;
    // Mostly two of an event are equal.
    let second = if start == time { first } else { write(start)? };
    Ok([first, second, write(stale)?])
}

/// Times of something made here and now, good for 20 s.
fn from_now(now_ms: i64) -> Result<Times, Reason> {
    let times = [now_ms, now_ms, now_ms.saturating_add(20_000)];
    written(&mut stamp::Writer::default(), times)
}

/// Times, and a point that says "unknown".
fn put_now(room: &mut Room<'_>, times: &Times) {
    put_times(room, times);
    room.put(
        b"><point lat=\"0.0\" lon=\"0.0\" hae=\"9999999.0\" ce=\"9999999.0\" le=\"9999999.0\"/>",
    );
}

#[inline(always)]
fn put_detail(room: &mut Room<'_>, event: &Geo<'_>, detail: Option<&Detail<'_>>) {
    let shown = detail.unwrap_or(&Detail::NOTHING);
    let typed = Typed {
        track: shown.track.count == 0 && (event.speed.is_some() || event.course.is_some()),
        battery: event.battery.filter(|_| shown.status.count == 0),
        precision: shown.precision.count == 0 && !(event.ploc.is_empty() && event.palt.is_empty()),
        marti: shown.marti.count == 0 && event.directed,
    };
    let added = typed.track || typed.battery.is_some() || typed.precision || typed.marti;
    let written = detail.map_or(&b""[..], |detail| detail.bytes);
    // Typed fields go before the end tag, which nearly always is just that.
    let (open, close): (&[u8], &[u8]) = if !added {
        (written, b"")
    } else if detail.is_none() {
        (b"<detail>", b"</detail>")
    } else if let Some(open) = written.strip_suffix(b"</detail>") {
        (open, b"</detail>")
    } else if let Some(open) = written.strip_suffix(b"/>") {
        room.put(open);
        (b">", b"</detail>")
    } else {
        // The end tag may hold blanks, so it is looked for from behind.
        written.split_at(memchr::memrchr(b'<', written).unwrap_or(written.len()))
    };
    match detail {
        Some(detail) if !event.image.is_empty() => {
            room.aside(|room| put_with_image(room, event, detail, open));
        }
        _ => room.put(open),
    }
    if added {
        put_typed(room, event, &typed);
    }
    room.put(close);
}

/// What the typed fields say that the detail does not.
struct Typed {
    track: bool,
    battery: Option<i32>,
    precision: bool,
    marti: bool,
}

#[inline(always)]
fn put_typed(room: &mut Room<'_>, event: &Geo<'_>, typed: &Typed) {
    if typed.track {
        put_number(room, b"<track speed=\"", event.speed.unwrap_or(0.0));
        put_number(room, b" course=\"", event.course.unwrap_or(0.0));
        room.put_array(b"/>");
    }
    if let Some(battery) = typed.battery {
        room.put_array(b"<status battery=\"");
        number::put_integer(room, battery);
        room.put_array(b"\"/>");
    }
    if typed.precision {
        put_precision(room, event);
    }
    if typed.marti {
        room.aside(|room| put_marti(room, event));
    }
}

#[inline(always)]
pub(super) fn put_precision(room: &mut Room<'_>, event: &Geo<'_>) {
    room.put_array(b"<precisionlocation");
    put_given(room, b" geopointsrc=\"", event.ploc, event.simple);
    put_given(room, b" altsrc=\"", event.palt, event.simple);
    room.put_array(b"/>");
}

#[inline(never)]
pub(super) fn put_marti<'r>(mut room: Room<'r>, event: &Geo<'_>) -> Room<'r> {
    room.put_array(b"<marti>");
    for addressee in event.destinations() {
        match addressee {
            Addressee::Uid(uid) => put_attribute(&mut room, b"<dest uid=\"", uid, false),
            Addressee::Callsign(name) => {
                put_attribute(&mut room, b"<dest callsign=\"", name, false);
            }
            Addressee::Mission(name) => put_attribute(&mut room, b"<dest mission=\"", name, false),
        }
        room.put_array(b"/>");
    }
    room.put_array(b"</marti>");
    room
}

/// Puts `written`, and the picture back into an `<image>` that a peer has emptied (protocol reference 1.7, rule 5).
#[inline(never)]
pub(super) fn put_with_image<'r>(
    mut room: Room<'r>,
    event: &Geo<'_>,
    detail: &Detail<'_>,
    written: &[u8],
) -> Room<'r> {
    let image = detail.image.bytes;
    let at = image.as_ptr().addr().wrapping_sub(written.as_ptr().addr());
    if image.is_empty() || at >= written.len() {
        room.put(written);
        return room;
    }
    let end = at + image.len();
    // Where the picture goes, and what closes the element if nothing does yet.
    let (into, close): (usize, &[u8]) = match image.strip_suffix(b"/>") {
        Some(open) => {
            room.put(&written[..at + open.len()]);
            room.put_array(b">");
            (end, b"</image>")
        }
        None => {
            let tag = memchr::memrchr(b'<', image).unwrap_or(image.len());
            if !image[..tag].trim_ascii_end().ends_with(b">") {
                room.put(written);
                return room;
            }
            room.put(&written[..at + tag]);
            (at + tag, b"")
        }
    };
    base64::put(&mut room, event.image);
    room.put(close);
    room.put(&written[into..]);
    room
}

/// ` name="` and a value and `"`; the value is escaped unless it is known to be simple.
#[inline(always)]
pub(super) fn put_attribute<const N: usize>(
    room: &mut Room<'_>,
    name: &[u8; N],
    value: &[u8],
    simple: bool,
) {
    room.put_array(name);
    match simple {
        true => room.put(value),
        false => room.aside(|room| text::with_attribute(room, value)),
    }
    room.put_array(b"\"");
}

#[inline(always)]
pub(super) fn put_given<const N: usize>(
    room: &mut Room<'_>,
    name: &[u8; N],
    value: &[u8],
    simple: bool,
) {
    if !value.is_empty() {
        put_attribute(room, name, value, simple);
    }
}

#[inline(always)]
pub(super) fn put_number<const N: usize>(room: &mut Room<'_>, name: &[u8; N], value: f64) {
    room.put_array(name);
    number::put(room, value);
    room.put_array(b"\"");
}

#[inline(always)]
fn put_times(room: &mut Room<'_>, [time, start, stale]: &Times) {
    room.put_array(b" time=\"");
    room.put_array(time);
    room.put_array(b"\" start=\"");
    room.put_array(start);
    room.put_array(b"\" stale=\"");
    room.put_array(stale);
    room.put_array(b"\"");
}
