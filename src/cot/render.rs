//! `GeoEvent` to CoT XML (protocol reference 1.8), inventing nothing: no `track 0/0`, no `battery="0"` that nobody said.

use super::base64;
use crate::counters::Reason;
use crate::wire::fig::{Addressee, Geo};
use crate::wire::xml::{Detail, Event, Reader};
use crate::wire::{number, stamp, text};

/// Checks the event's `other` and notes its parts in `shown`, which must be [`Event::NOTHING`] still; its detail stays
/// `None` when there is no `other`.
///
/// # Errors
/// What [`Reader::parse_detail`] says of it.
pub fn read_detail<'a>(
    shown: &mut Event<'a>,
    event: &Geo<'a>,
    reader: &mut Reader,
) -> Result<(), Reason> {
    match event.other.trim_ascii() {
        [] => Ok(()),
        other => reader.parse_detail(shown, other),
    }
}

/// Appends the event as XML; `detail` is what [`read_detail`] noted.
///
/// # Errors
/// [`Reason::BadTime`] for a time no calendar has; `out` may then hold a part of the event.
pub fn put_event(
    out: &mut Vec<u8>,
    event: &Geo<'_>,
    detail: Option<&Detail<'_>>,
) -> Result<(), Reason> {
    out.extend_from_slice(b"<event version=\"2.0\"");
    put_attribute(out, b" uid=\"", event.uid);
    put_attribute(out, b" type=\"", event.kind);
    put_times(out, [event.time, event.start, event.stale])?;
    put_attribute(out, b" how=\"", event.how);
    put_given(out, b" access=\"", event.access);
    put_given(out, b" caveat=\"", event.caveat);
    put_given(out, b" releasableTo=\"", event.releasable_to);
    out.extend_from_slice(b"><point");
    let [lat, lon, hae, ce, le] = event.point;
    put_number(out, b" lat=\"", lat);
    put_number(out, b" lon=\"", lon);
    put_number(out, b" hae=\"", hae);
    put_number(out, b" ce=\"", ce);
    put_number(out, b" le=\"", le);
    out.extend_from_slice(b"/>");
    put_detail(out, event, detail);
    out.extend_from_slice(b"</event>");
    Ok(())
}

/// Appends a `t-x-d-d`: the item is gone (protocol reference 1.9).
///
/// # Errors
/// [`Reason::BadTime`] when `now_ms` lies outside the calendar.
pub fn put_delete(out: &mut Vec<u8>, uid: &[u8], kind: &[u8], now_ms: i64) -> Result<(), Reason> {
    out.extend_from_slice(b"<event version=\"2.0\"");
    put_attribute(out, b" uid=\"", uid);
    out.extend_from_slice(b" type=\"t-x-d-d\" how=\"h-g-i-g-o\"");
    put_now(out, now_ms)?;
    out.extend_from_slice(b"<detail><link relation=\"p-p\"");
    put_attribute(out, b" uid=\"", uid);
    put_attribute(out, b" type=\"", kind);
    out.extend_from_slice(b"/></detail></event>");
    Ok(())
}

/// Appends the answer to a client's ping (protocol reference 6.1).
///
/// # Errors
/// [`Reason::BadTime`] when `now_ms` lies outside the calendar.
pub fn put_pong(out: &mut Vec<u8>, now_ms: i64) -> Result<(), Reason> {
    out.extend_from_slice(
        b"<event version=\"2.0\" uid=\"takPong\" type=\"t-x-c-t-r\" how=\"h-g-i-g-o\"",
    );
    put_now(out, now_ms)?;
    out.extend_from_slice(b"</event>");
    Ok(())
}

/// Times of something made here and now, good for 20 s, and a point that says "unknown".
fn put_now(out: &mut Vec<u8>, now_ms: i64) -> Result<(), Reason> {
    put_times(out, [now_ms, now_ms, now_ms.saturating_add(20_000)])?;
    out.extend_from_slice(
        b"><point lat=\"0.0\" lon=\"0.0\" hae=\"9999999.0\" ce=\"9999999.0\" le=\"9999999.0\"/>",
    );
    Ok(())
}

fn put_detail(out: &mut Vec<u8>, event: &Geo<'_>, detail: Option<&Detail<'_>>) {
    let shown = detail.unwrap_or(&Detail::NOTHING);
    let track = shown.track.count == 0 && (event.speed.is_some() || event.course.is_some());
    let battery = event.battery.filter(|_| shown.status.count == 0);
    let precision = shown.precision.count == 0 && !(event.ploc.is_empty() && event.palt.is_empty());
    let marti = shown.marti.count == 0 && event.directed;
    let added = track || battery.is_some() || precision || marti;
    let Some(detail) = detail else {
        if added {
            out.extend_from_slice(b"<detail>");
        }
        put_typed(out, event, track, battery, precision, marti);
        if added {
            out.extend_from_slice(b"</detail>");
        }
        return;
    };
    let written = detail.bytes;
    if !added {
        put_with_image(out, event, detail, written);
    } else if let Some(open) = written.strip_suffix(b"/>") {
        out.extend_from_slice(open);
        out.push(b'>');
        put_typed(out, event, track, battery, precision, marti);
        out.extend_from_slice(b"</detail>");
    } else {
        // The end tag may hold blanks, so it is looked for from behind.
        let end = memchr::memrchr(b'<', written).unwrap_or(written.len());
        put_with_image(out, event, detail, &written[..end]);
        put_typed(out, event, track, battery, precision, marti);
        out.extend_from_slice(&written[end..]);
    }
}

fn put_typed(
    out: &mut Vec<u8>,
    event: &Geo<'_>,
    track: bool,
    battery: Option<i32>,
    precision: bool,
    marti: bool,
) {
    if track {
        out.extend_from_slice(b"<track");
        put_number(out, b" speed=\"", event.speed.unwrap_or(0.0));
        put_number(out, b" course=\"", event.course.unwrap_or(0.0));
        out.extend_from_slice(b"/>");
    }
    if let Some(battery) = battery {
        out.extend_from_slice(b"<status battery=\"");
        number::write_integer(out, battery);
        out.extend_from_slice(b"\"/>");
    }
    if precision {
        out.extend_from_slice(b"<precisionlocation");
        put_given(out, b" geopointsrc=\"", event.ploc);
        put_given(out, b" altsrc=\"", event.palt);
        out.extend_from_slice(b"/>");
    }
    if marti {
        out.extend_from_slice(b"<marti>");
        for addressee in event.destinations() {
            match addressee {
                Addressee::Uid(uid) => put_attribute(out, b"<dest uid=\"", uid),
                Addressee::Callsign(name) => put_attribute(out, b"<dest callsign=\"", name),
                Addressee::Mission(name) => put_attribute(out, b"<dest mission=\"", name),
            }
            out.extend_from_slice(b"/>");
        }
        out.extend_from_slice(b"</marti>");
    }
}

/// Copies `written`, and puts the picture back into an `<image>` that a peer has emptied (protocol reference 1.7, rule 5).
fn put_with_image(out: &mut Vec<u8>, event: &Geo<'_>, detail: &Detail<'_>, written: &[u8]) {
    let image = detail.image.bytes;
    let at = image.as_ptr().addr().wrapping_sub(written.as_ptr().addr());
    if event.image.is_empty() || image.is_empty() || at >= written.len() {
        return out.extend_from_slice(written);
    }
    let tag_end = at + image.len();
    if let Some(open) = image.strip_suffix(b"/>") {
        out.extend_from_slice(&written[..at + open.len()]);
        out.push(b'>');
        base64::write(out, event.image);
        out.extend_from_slice(b"</image>");
        out.extend_from_slice(&written[tag_end..]);
        return;
    }
    let end_tag = memchr::memrchr(b'<', image).unwrap_or(image.len());
    if image[..end_tag].trim_ascii_end().ends_with(b">") {
        out.extend_from_slice(&written[..at + end_tag]);
        base64::write(out, event.image);
        out.extend_from_slice(&written[at + end_tag..]);
    } else {
        out.extend_from_slice(written);
    }
}

/// ` name="` and an escaped value and `"`.
fn put_attribute<const N: usize>(out: &mut Vec<u8>, name: &[u8; N], value: &[u8]) {
    out.extend_from_slice(name);
    text::write_attribute(out, value);
    out.push(b'"');
}

fn put_given<const N: usize>(out: &mut Vec<u8>, name: &[u8; N], value: &[u8]) {
    if !value.is_empty() {
        put_attribute(out, name, value);
    }
}

fn put_number<const N: usize>(out: &mut Vec<u8>, name: &[u8; N], value: f64) {
    out.extend_from_slice(name);
    number::write(out, value);
    out.push(b'"');
}

fn put_times(out: &mut Vec<u8>, times: [i64; 3]) -> Result<(), Reason> {
    let mut writer = stamp::Writer::default();
    let [time, start, stale] = times;
    put_time(out, b" time=\"", writer.write(time))?;
    put_time(out, b" start=\"", writer.write(start))?;
    put_time(out, b" stale=\"", writer.write(stale))
}

fn put_time<const N: usize>(
    out: &mut Vec<u8>,
    name: &[u8; N],
    written: Option<&[u8; stamp::WIDTH]>,
) -> Result<(), Reason> {
    out.extend_from_slice(name);
    out.extend_from_slice(written.ok_or(Reason::BadTime)?);
    out.push(b'"');
    Ok(())
}
