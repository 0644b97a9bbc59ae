//! An event's times moved, and every other byte left alone.

use crate::wire::fig::{federated, geo};
use crate::wire::stamp;
use crate::wire::tak::message::{event, outer};

/// Longest [`Times`] edit: two headers, three keys, three varints of ten bytes.
const EDIT_MAX: usize = 2 + 3 * 11;

/// Appends an event's XML with the times in its start tag moved by `shift_ms`. Times that cannot be read stay; a moved
/// one is written with milliseconds and `Z`, so its width may change. `event` is one well-formed element.
pub fn put_moved(out: &mut Vec<u8>, event: &[u8], shift_ms: i64, stamps: &mut stamp::Writer) {
    let mut done = 0;
    for (name, from, to) in Attributes::of(event) {
        if !matches!(name, b"time" | b"start" | b"stale") {
            continue;
        }
        let moved = stamp::read(&event[from..to]).and_then(|time| time.checked_add(shift_ms));
        if let Some(text) = moved.and_then(|time| stamps.write(time)) {
            out.extend_from_slice(&event[done..from]);
            out.extend_from_slice(text);
            done = to;
        }
    }
    out.extend_from_slice(&event[done..]);
}

/// The attributes of a start tag: each name, and where its value begins and ends.
pub(super) struct Attributes<'a> {
    event: &'a [u8],
    at: usize,
}

impl<'a> Attributes<'a> {
    pub(super) fn of(event: &'a [u8]) -> Self {
        let name = event.iter().position(u8::is_ascii_whitespace);
        Self {
            event,
            at: name.unwrap_or(event.len()),
        }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (&'a [u8], usize, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.event.get(self.at..)?;
        let begin = self.at + rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        let rest = &self.event[begin..];
        if matches!(rest[0], b'>' | b'/') {
            return None;
        }
        let equals = rest.iter().position(|&byte| byte == b'=')?;
        let quote = equals
            + rest[equals..]
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\''))?;
        let length = memchr::memchr(rest[quote], &rest[quote + 1..])?;
        let from = begin + quote + 1;
        self.at = from + length + 1;
        Some((rest[..equals].trim_ascii_end(), from, from + length))
    }
}

/// What is appended to a `FederatedEvent`, or a `TakMessage`, to give its event other times: a second event field that holds nothing else.
/// Protocol buffers merge the two, and the later value counts; whatever else the message says stays as it is, and so does
/// the first event field, by which the same event is known on whatever way it comes.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    bytes: [u8; EDIT_MAX],
    length: usize,
}

impl Times {
    /// Of time, start and stale, milliseconds since 1970.
    pub fn of(times: [i64; 3]) -> Self {
        let numbers = [geo::SEND_TIME, geo::START_TIME, geo::STALE_TIME];
        Self::merged(federated::EVENT, numbers.into_iter().zip(times))
    }

    /// The same for a `TakMessage`, as far as its event has them.
    pub fn of_tak(times: [Option<i64>; 3]) -> Self {
        let numbers = [event::SEND_TIME, event::START_TIME, event::STALE_TIME];
        let given = numbers.into_iter().zip(times);
        let given = given.filter_map(|(number, time)| Some((number, time?)));
        Self::merged(outer::EVENT, given)
    }

    fn merged(field: u32, times: impl Iterator<Item = (u32, i64)>) -> Self {
        let mut edit = Self {
            bytes: [0; EDIT_MAX],
            length: 2,
        };
        for (number, time) in times {
            edit.push((number << 3) as u8);
            let mut value = time.cast_unsigned();
            while value >= 0x80 {
                edit.push(value as u8 | 0x80);
                value >>= 7;
            }
            edit.push(value as u8);
        }
        edit.bytes[0] = (field << 3 | 2) as u8;
        edit.bytes[1] = (edit.length - 2) as u8;
        edit
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    /// The bytes to append.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::fig;
    use crate::wire::proto;
    use crate::wire::xml::{Event, Reader};
    use proptest::prelude::*;

    fn moved(event: &str, shift_ms: i64) -> String {
        let mut out = Vec::new();
        put_moved(
            &mut out,
            event.as_bytes(),
            shift_ms,
            &mut stamp::Writer::default(),
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_the_times_of_the_start_tag_are_moved() {
        let event = "<event  version='2.0'\n stale = \"2026-11-20T12:00:00Z\" time='2026-11-20T13:00:00.5+02:00' \
            start=\"never\" uid='time=\"2026-11-20T12:00:00Z\"' how='m-g'><detail><remarks \
            time=\"2026-11-20T12:00:00Z\"/></detail></event>";
        let shown = "<event  version='2.0'\n stale = \"2026-11-20T12:01:00.000Z\" time='2026-11-20T11:01:00.500Z' \
            start=\"never\" uid='time=\"2026-11-20T12:00:00Z\"' how='m-g'><detail><remarks \
            time=\"2026-11-20T12:00:00Z\"/></detail></event>";
        assert_eq!(moved(event, 60_000), shown);
        assert_eq!(moved("<event/>", 60_000), "<event/>");
        assert_eq!(
            moved("<event time='9999-12-31T23:59:59Z'/>", 1000),
            "<event time='9999-12-31T23:59:59Z'/>"
        );
    }

    #[test]
    fn the_edit_is_what_protocol_buffers_merge() {
        let mut event = Vec::new();
        proto::put_int(&mut event, geo::SEND_TIME, 5);
        proto::put_int(&mut event, geo::STALE_TIME, 9);
        proto::put_bytes(&mut event, geo::UID, b"u");
        proto::put_bytes(&mut event, geo::TYPE, b"a-f-G");
        let mut message = Vec::new();
        proto::put_bytes(&mut message, federated::EVENT, &event);
        let before = fig::parse(&message, b"")
            .unwrap()
            .event
            .unwrap()
            .bytes
            .to_vec();
        message.extend_from_slice(Times::of([1_780_000_000_000, 0, -1]).bytes());
        let read = fig::parse(&message, b"").unwrap().event.unwrap();
        assert_eq!(
            [read.time, read.start, read.stale],
            [1_780_000_000_000, 0, -1]
        );
        assert_eq!((read.uid, read.bytes), (&b"u"[..], before.as_slice()));
    }

    proptest! {
        #[test]
        fn a_moved_event_says_the_same_at_another_time(
            times in proptest::array::uniform3(0i64..4_000_000_000_000),
            shift_ms in -2_000_000_000_000i64..2_000_000_000_000,
            uid in "[a-zA-Z0-9 =/.-]{1,20}",
        ) {
            let [time, start, stale] = times.map(|time| String::from_utf8(stamp::write(time).unwrap().to_vec()).unwrap());
            let event = format!(
                "<event version=\"2.0\" uid=\"{uid}\" type=\"a-f-G\" time=\"{time}\" start=\"{start}\" stale=\"{stale}\" \
                 how=\"m-g\"><point lat=\"1\" lon=\"2\" hae=\"3\" ce=\"4\" le=\"5\"/></event>",
            );
            let moved = moved(&event, shift_ms);
            let mut read = Event::nothing();
            Reader::default().parse(&mut read, moved.as_bytes()).unwrap();
            let expected = times.map(|time| Some(time + shift_ms));
            prop_assert_eq!([read.time, read.start, read.stale], expected);
            prop_assert_eq!(moved.len(), event.len());
            let mut back = Vec::new();
            put_moved(&mut back, moved.as_bytes(), -shift_ms, &mut stamp::Writer::default());
            prop_assert_eq!(back, event.as_bytes());
        }

        #[test]
        fn no_bytes_make_it_panic(event: Vec<u8>, tag in "<event[ ='\"/>a-z0-9:TZ-]{0,60}", shift_ms: i64) {
            let mut stamps = stamp::Writer::default();
            put_moved(&mut Vec::new(), &event, shift_ms, &mut stamps);
            put_moved(&mut Vec::new(), tag.as_bytes(), shift_ms, &mut stamps);
        }

        #[test]
        fn every_edit_is_read_back(times: [i64; 3]) {
            let edit = Times::of(times);
            let mut message = Vec::new();
            proto::put_bytes(&mut message, federated::EVENT, b"\x4a\x01u\x52\x01a");
            message.extend_from_slice(edit.bytes());
            let read = fig::parse(&message, b"").unwrap().event.unwrap();
            prop_assert_eq!([read.time, read.start, read.stale], times);
        }
    }
}
