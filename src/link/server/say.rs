//! What the box itself says to a TAK server: who it is, that it is there, and the account it logs in with.

use std::fmt::Write;

use crate::wire::stamp;

/// How long our own position holds, milliseconds; it is said again after a third of it.
pub const PRESENCE_STALE_MS: i64 = 180_000;
/// Milliseconds between two of them.
pub const PRESENCE_EVERY_MS: u64 = 60_000;
/// How long a ping holds.
const PING_STALE_MS: i64 = 20_000;

/// Who we are at a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ourselves {
    /// The same for ever, and at every server.
    pub uid: String,
    /// What users there see.
    pub callsign: String,
}

impl Ourselves {
    /// Our own contact. It has no position, so it says "unknown" in the way of a device without GPS. It says no `takv`:
    /// taky takes a connection to be that user who said it last, and those are to be the users that we carry.
    pub fn presence(&self, now_ms: i64) -> String {
        let callsign = escaped(&self.callsign);
        event(
            &escaped(&self.uid),
            "a-f-G-U-C",
            "h-g-i-g-o",
            (now_ms, PRESENCE_STALE_MS),
            &format!(
                "<contact callsign=\"{callsign}\" endpoint=\"*:-1:stcp\"/><__group name=\"Cyan\" role=\"HQ\"/>\
                 <uid Droid=\"{callsign}\"/>"
            ),
        )
    }

    /// A ping (protocol reference 6.1); its answer is [`is_pong`].
    pub fn ping(&self, now_ms: i64) -> String {
        let uid = format!("{}-ping", escaped(&self.uid));
        event(&uid, "t-x-c-t", "m-g", (now_ms, PING_STALE_MS), "")
    }

    /// The account, where the server wants one first (protocol reference 6.4).
    pub fn auth(&self, username: &str, password: &str) -> String {
        format!(
            "<auth><cot username=\"{}\" password=\"{}\" uid=\"{}\" callsign=\"{}\"/></auth>",
            escaped(username),
            escaped(password),
            escaped(&self.uid),
            escaped(&self.callsign),
        )
    }
}

/// The longest answer to a ping that is recognised, bytes.
const PONG_BYTES: usize = 1024;

/// Whether a piece is the answer to a ping.
pub fn is_pong(piece: &[u8]) -> bool {
    piece.len() <= PONG_BYTES
        && [&b"type=\"t-x-c-t-r\""[..], b"type='t-x-c-t-r'"]
            .iter()
            .any(|mark| memchr::memmem::find(piece, mark).is_some())
}

/// The same for a `TakMessage`.
pub fn is_pong_in_tak(message: &[u8]) -> bool {
    // Its type, with the field's number and length before it.
    message.len() <= PONG_BYTES && memchr::memmem::find(message, b"\x0a\x09t-x-c-t-r").is_some()
}

fn event(uid: &str, kind: &str, how: &str, (now, lives): (i64, i64), detail: &str) -> String {
    let time = |ms| {
        let text = stamp::write(ms).unwrap_or(*b"1970-01-01T00:00:00.000Z");
        String::from_utf8_lossy(&text).into_owned()
    };
    let (now, stale) = (time(now), time(now.saturating_add(lives)));
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = write!(
        text,
        "<event version=\"2.0\" uid=\"{uid}\" type=\"{kind}\" how=\"{how}\" time=\"{now}\" start=\"{now}\" \
         stale=\"{stale}\"><point lat=\"0.0\" lon=\"0.0\" hae=\"0.0\" ce=\"9999999.0\" le=\"9999999.0\"/><detail>{detail}\
         </detail></event>"
    );
    text
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            character => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cot::flow_tag::own_uid;
    use crate::wire::xml::{Event, Reader};

    fn ourselves(callsign: &str) -> Ourselves {
        Ourselves {
            uid: own_uid("0123456789abcdef0123456789abcdef"),
            callsign: callsign.to_owned(),
        }
    }

    #[test]
    fn what_we_say_is_cot() {
        let box_itself = ourselves("Fox & \"Hound\" <1>");
        let mut reader = Reader::default();
        let now = 1_900_000_000_000;
        let said = box_itself.presence(now);
        let mut event = Event::nothing();
        reader.parse(&mut event, said.as_bytes()).unwrap();
        assert_eq!(event.uid, b"tombolo-0123456789abcdef0123456789abcdef");
        assert_eq!(
            (event.time, event.stale),
            (Some(now), Some(now + PRESENCE_STALE_MS))
        );
        let contact = event.detail.unwrap().contact;
        assert_eq!(
            contact.first(),
            Some(&b"Fox &amp; &quot;Hound&quot; &lt;1&gt;"[..])
        );
        let ping = box_itself.ping(now);
        let mut event = Event::nothing();
        reader.parse(&mut event, ping.as_bytes()).unwrap();
        assert_eq!(event.kind, b"t-x-c-t");
    }

    #[test]
    fn an_account_is_said_in_few_bytes() {
        let said = ourselves("A").auth("us\"er", "p<ss");
        assert!(
            said.starts_with(
                "<auth><cot username=\"us&quot;er\" password=\"p&lt;ss\" uid=\"tombolo-"
            )
        );
        let longest = "x".repeat(200);
        assert!(ourselves(&"c".repeat(64)).auth(&longest, &longest).len() <= 1024);
    }

    #[test]
    fn pongs_are_told_from_other_events() {
        assert!(is_pong(b"<event uid=\"takPong\" type=\"t-x-c-t-r\"/>"));
        assert!(is_pong(b"<event uid='takPong' type='t-x-c-t-r'/>"));
        assert!(is_pong_in_tak(b"\x12\x0b\x0a\x09t-x-c-t-r"));
        assert!(!is_pong_in_tak(b"\x12\x0b\x2a\x09t-x-c-t-r"));
        assert!(!is_pong(b"<event uid=\"t-x-c-t-r\" type=\"a-f-G\"/>"));
    }
}
