//! CoT events as the scenarios send and read them.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

/// One event as it came off the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// From `<event` to `</event>`.
    pub xml: String,
}

impl Event {
    /// An attribute of `<event>` itself.
    pub fn attribute(&self, name: &str) -> &str {
        let head = self.xml.split('>').next().unwrap_or_default();
        for quote in ['"', '\''] {
            for space in [' ', '\n', '\t'] {
                if let Some((_, rest)) = head.split_once(&format!("{space}{name}={quote}")) {
                    return rest.split(quote).next().unwrap_or_default();
                }
            }
        }
        ""
    }

    /// `event@uid`.
    pub fn uid(&self) -> &str {
        self.attribute("uid")
    }

    /// `event@type`.
    pub fn kind(&self) -> &str {
        self.attribute("type")
    }
}

/// The time now and so many milliseconds later, RFC 3339.
pub fn stamp_of_now(later_ms: i64) -> (String, String) {
    let now = now_ms();
    (stamp(now), stamp(now + later_ms))
}

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(elapsed.expect("after 1970").as_millis()).expect("before the year 292 million")
}

/// RFC 3339, UTC, milliseconds.
pub fn stamp(unix_ms: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000)
        .expect("a time of this era");
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        moment.year(),
        u8::from(moment.month()),
        moment.day(),
        moment.hour(),
        moment.minute(),
        moment.second(),
        moment.millisecond()
    )
}

fn event(uid: &str, kind: &str, detail: &str) -> String {
    let (time, stale) = stamp_of_now(120_000);
    format!(
        "<event version=\"2.0\" uid=\"{uid}\" type=\"{kind}\" how=\"m-g\" time=\"{time}\" start=\"{time}\" \
         stale=\"{stale}\"><point lat=\"47.0707\" lon=\"12.6938\" hae=\"1204.6\" ce=\"4.7\" le=\"9999999.0\"/>\
         <detail>{detail}</detail></event>"
    )
}

/// A device's own position: what makes it a contact.
pub fn position(uid: &str, callsign: &str) -> String {
    event(
        uid,
        "a-f-G-U-C",
        &format!(
            "<contact callsign=\"{callsign}\" endpoint=\"*:-1:stcp\"/><__group name=\"Cyan\" role=\"Team Member\"/>\
             <takv device=\"x\" platform=\"ATAK-CIV\" os=\"34\" version=\"5.4\"/><status battery=\"87\"/>\
             <track speed=\"1.5\" course=\"90.25\"/><precisionlocation geopointsrc=\"GPS\" altsrc=\"GPS\"/>"
        ),
    )
}

/// A track that is nobody's own position; `number` makes its content unique.
pub fn track(uid: &str, number: u64) -> String {
    event(
        uid,
        "a-h-G-U-C",
        &format!("<track speed=\"3.5\" course=\"180.5\"/><remarks>report {number}</remarks>"),
    )
}

/// A line of chat; without destinations it is for everyone.
pub fn chat(from: &str, text: &str, destinations: &[(&str, &str)]) -> String {
    let message = format!("{from}-{}-{text}", now_ms());
    let marti = if destinations.is_empty() {
        String::new()
    } else {
        let all: String = destinations
            .iter()
            .map(|(key, value)| format!("<dest {key}=\"{value}\"/>"))
            .collect();
        format!("<marti>{all}</marti>")
    };
    event(
        &format!("GeoChat.{from}.All Chat Rooms.{message}"),
        "b-t-f",
        &format!(
            "<__chat chatroom=\"All Chat Rooms\" id=\"All Chat Rooms\" senderCallsign=\"{from}\">\
             <chatgrp uid0=\"{from}\" uid1=\"All Chat Rooms\" id=\"All Chat Rooms\"/></__chat>\
             <link uid=\"{from}\" type=\"a-f-G-U-C\" relation=\"p-p\"/><remarks source=\"{from}\">{text}</remarks>{marti}"
        ),
    )
}
