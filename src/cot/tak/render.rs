//! `TakMessage` to CoT XML.

use super::said::from_protobuf;
use crate::cot::render::{put_attribute, put_given, put_number};
use crate::counters::Reason;
use crate::wire::room::{self, Room};
use crate::wire::tak::Event;
use crate::wire::xml::Detail;
use crate::wire::{number, stamp};

/// Appends the event as XML; `detail` is what [`super::read_detail`] noted, `stamps` writes its times.
///
/// # Errors
/// [`Reason::BadTime`] for a time no calendar has; `out` is as before then.
pub fn put_event(
    out: &mut Vec<u8>,
    event: &Event<'_>,
    detail: Option<&Detail<'_>>,
    stamps: &mut stamp::Writer,
) -> Result<(), Reason> {
    let mut times: Times = [None; 3];
    for (text, time) in times.iter_mut().zip([event.time, event.start, event.stale]) {
        if let Some(time) = time {
            *text = Some(*stamps.write(time).ok_or(Reason::BadTime)?);
        }
    }
    let detail = detail.map_or(&b""[..], |detail| detail.bytes);
    room::append(out, event.bytes.len() + detail.len() + TAGS, |room| {
        put_tags(room, event, detail, &times)
    });
    Ok(())
}

/// What tags and numbers need beyond the length of message and detail, if they need no more.
const TAGS: usize = 480;

/// Time, start and stale as they are written, as far as the event has them.
type Times = [Option<[u8; stamp::WIDTH]>; 3];

#[inline(never)]
fn put_tags<'r>(
    room: Room<'r>,
    event: &Event<'_>,
    detail: &[u8],
    [time, start, stale]: &Times,
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
    put_time(&mut room, b" time=\"", time.as_ref());
    put_time(&mut room, b" start=\"", start.as_ref());
    put_time(&mut room, b" stale=\"", stale.as_ref());
    put_given(&mut room, b" how=\"", event.how, simple);
    put_given(&mut room, b" access=\"", event.access, simple);
    put_given(&mut room, b" qos=\"", event.qos, simple);
    put_given(&mut room, b" opex=\"", event.opex, simple);
    put_given(&mut room, b" caveat=\"", event.caveat, simple);
    put_given(&mut room, b" releasableTo=\"", event.releasable_to, simple);
    let [lat, lon, hae, ce, le] = from_protobuf(&event.point);
    put_number(&mut room, b"><point lat=\"", lat);
    put_number(&mut room, b" lon=\"", lon);
    put_number(&mut room, b" hae=\"", hae);
    room.put_array(b" ce=\"");
    number::put_error(&mut room, ce);
    room.put_array(b"\" le=\"");
    number::put_error(&mut room, le);
    room.put_array(b"\"/>");
    room.put(detail);
    room.put_array(b"</event>");
    room
}

fn put_time<const N: usize>(
    room: &mut Room<'_>,
    name: &[u8; N],
    time: Option<&[u8; stamp::WIDTH]>,
) {
    if let Some(time) = time {
        room.put_array(name);
        room.put_array(time);
        room.put_array(b"\"");
    }
}
