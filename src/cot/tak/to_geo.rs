//! `TakMessage` to `GeoEvent`.

use super::said::from_protobuf;
use crate::cot::encode;
use crate::counters::Reason;
use crate::wire::fig::geo;
use crate::wire::room;
use crate::wire::tak::Event;
use crate::wire::xml::Detail;

/// Appends the event as field `field` of an outer message, and `behind` behind it; `shown` is what
/// [`super::read_detail`] noted.
///
/// # Errors
/// [`Reason::Incomplete`] when something is missing that federation requires: time, start, stale, how. `out` is as
/// before then.
pub fn put_event(
    out: &mut Vec<u8>,
    field: u32,
    event: &Event<'_>,
    shown: Option<&Detail<'_>>,
    behind: &[u8],
) -> Result<(), Reason> {
    let (Some(time), Some(start), Some(stale)) = (event.time, event.start, event.stale) else {
        return Err(Reason::Incomplete);
    };
    if event.how.is_empty() {
        return Err(Reason::Incomplete);
    }
    let times = [time, start, stale];
    let point = from_protobuf(&event.point);
    let begin = out.len() + encode::HEAD;
    let detail = shown.map_or(0, |detail| detail.bytes.len());
    let expected = encode::HEAD + event.bytes.len() + detail + TYPED + behind.len();
    room::append(out, expected, |room| {
        let mut room = room.own();
        encode::put_times_and_place(&mut room, &times, &point);
        room.put_bytes(geo::UID, event.uid);
        room.put_bytes(geo::TYPE, event.kind);
        room.put_bytes(geo::COORD_SOURCE, event.how);
        if let Some(detail) = shown {
            let track = encode::track(&detail.track);
            encode::put_detail(&mut room, detail, track, false);
        }
        for (number, text) in [
            (geo::ACCESS, event.access),
            (geo::CAVEAT, event.caveat),
            (geo::RELEASABLE_TO, event.releasable_to),
        ] {
            if !text.is_empty() {
                room.put_bytes(number, text);
            }
        }
        room.put_some(behind);
        room
    });
    encode::put_head(out, field, begin, behind.len());
    Ok(())
}

/// What typed fields need beyond the length of message and detail, if they need more.
const TYPED: usize = 128;
