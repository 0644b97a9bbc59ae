//! What a request to fetch a data package (`b-f-t-r`) says of it, and such requests made anew (protocol reference 3.1,
//! 3.2).

use memchr::memmem;

use super::patch::Attributes;
use crate::wire::fig::{federated, geo};
use crate::wire::proto::{bytes_length, int_length, put_bytes, put_header, put_int};
use crate::wire::{stamp, text};

/// Longest text that is taken of a request, bytes.
const TEXT: usize = 255;
/// How long a request made here holds, milliseconds (protocol reference 3.2).
const HOLDS_MS: i64 = 100_000;

/// `<fileshare>`: a file, and where it can be had. Texts are as they are meant, without references.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fileshare {
    /// SHA-256, as written.
    pub sha256: String,
    /// What people call it.
    pub name: String,
    /// The file's name.
    pub filename: String,
    /// Where it can be had.
    pub sender_url: String,
    /// Bytes; 0 = not said.
    pub size: u64,
    /// Who sends it.
    pub sender_uid: String,
    /// What that one is called.
    pub sender_callsign: String,
}

/// The start tag, and where it begins.
fn tag(detail: &[u8]) -> Option<(usize, &[u8])> {
    let name = b"<fileshare";
    let at = memmem::find_iter(detail, name).find(|&at| {
        let behind = detail.get(at + name.len());
        behind.is_some_and(u8::is_ascii_whitespace)
    })?;
    Some((at, &detail[at..]))
}

impl Fileshare {
    /// Reads the first `<fileshare>` of a detail, which must be well-formed.
    pub fn read(detail: &[u8]) -> Option<Self> {
        let (_, tag) = tag(detail)?;
        let mut read = Self::default();
        for (name, from, to) in Attributes::of(tag) {
            let into = match name {
                b"sha256" => &mut read.sha256,
                b"name" => &mut read.name,
                b"filename" => &mut read.filename,
                b"senderUrl" => &mut read.sender_url,
                b"senderUid" => &mut read.sender_uid,
                b"senderCallsign" => &mut read.sender_callsign,
                b"sizeInBytes" => {
                    let digits = text::as_str(&tag[from..to]);
                    read.size = digits
                        .and_then(|text| text.trim().parse().ok())
                        .unwrap_or(0);
                    continue;
                }
                _ => continue,
            };
            *into = meant(&tag[from..to]);
        }
        Some(read)
    }

    /// An event that asks to fetch it, for those destinations: callsigns, uids.
    pub fn event(
        &self,
        uid: &str,
        [callsigns, uids]: [&[String]; 2],
        now_ms: i64,
    ) -> Option<Vec<u8>> {
        let (time, stale) = (
            stamp::write(now_ms)?,
            stamp::write(now_ms.saturating_add(HOLDS_MS))?,
        );
        let mut out = Vec::with_capacity(1024);
        let put = |out: &mut Vec<u8>, name: &str, value: &str| {
            out.extend_from_slice(name.as_bytes());
            put_escaped(out, value.as_bytes());
            out.push(b'"');
        };
        put(&mut out, "<event version=\"2.0\" uid=\"", uid);
        out.extend_from_slice(b" type=\"b-f-t-r\" how=\"h-e\" time=\"");
        out.extend_from_slice(&time);
        out.extend_from_slice(b"\" start=\"");
        out.extend_from_slice(&time);
        out.extend_from_slice(b"\" stale=\"");
        out.extend_from_slice(&stale);
        out.extend_from_slice(b"\"><point lat=\"0\" lon=\"0\" hae=\"9999999\" ce=\"9999999\" le=\"9999999\"/><detail><fileshare");
        put(&mut out, " sha256=\"", &self.sha256);
        put(&mut out, " senderUid=\"", &self.sender_uid);
        put(&mut out, " name=\"", &self.name);
        put(&mut out, " filename=\"", &self.filename);
        put(&mut out, " senderUrl=\"", &self.sender_url);
        put(&mut out, " sizeInBytes=\"", &self.size.to_string());
        put(&mut out, " senderCallsign=\"", &self.sender_callsign);
        out.extend_from_slice(b"/>");
        if !callsigns.is_empty() || !uids.is_empty() {
            out.extend_from_slice(b"<marti>");
            for (head, names) in [("<dest callsign=\"", callsigns), ("<dest uid=\"", uids)] {
                for name in names {
                    put(&mut out, head, name);
                    out.extend_from_slice(b"/>");
                }
            }
            out.extend_from_slice(b"</marti>");
        }
        out.extend_from_slice(b"</detail></event>");
        Some(out)
    }
}

/// What goes behind a `FederatedEvent` that is such a request, so that its file is to be had at `url`, and, given the
/// time, that it was said only now. `detail` is its detail; none if that holds no `<fileshare>`.
pub fn moved(detail: &[u8], url: &str, now_ms: Option<i64>) -> Option<Vec<u8>> {
    let detail = with_url(detail, url)?;
    let times = now_ms.map(|now| {
        [
            (geo::SEND_TIME, now),
            (geo::START_TIME, now),
            (geo::STALE_TIME, now.saturating_add(HOLDS_MS)),
        ]
    });
    let times = times.as_ref().map_or(&[][..], |times| times);
    let length = times.iter().map(|&(number, time)| int_length(number, time));
    let length = length.sum::<usize>() + bytes_length(geo::OTHER, detail.len());
    let mut out = Vec::with_capacity(length + 8);
    put_header(&mut out, federated::EVENT, length);
    for &(number, time) in times {
        put_int(&mut out, number, time);
    }
    put_bytes(&mut out, geo::OTHER, &detail);
    Some(out)
}

/// The detail with another address in its `<fileshare>`.
fn with_url(detail: &[u8], url: &str) -> Option<Vec<u8>> {
    let (at, tag) = tag(detail)?;
    let place = Attributes::of(tag).find(|(name, ..)| *name == b"senderUrl");
    let mut out = Vec::with_capacity(detail.len() + url.len());
    match place {
        Some((_, from, to)) => {
            out.extend_from_slice(&detail[..at + from]);
            put_escaped(&mut out, url.as_bytes());
            out.extend_from_slice(&detail[at + to..]);
        }
        None => {
            let name = at + b"<fileshare".len();
            out.extend_from_slice(&detail[..name]);
            out.extend_from_slice(b" senderUrl=\"");
            put_escaped(&mut out, url.as_bytes());
            out.push(b'"');
            out.extend_from_slice(&detail[name..]);
        }
    }
    Some(out)
}

/// A raw value as it is meant, cut at a length that nobody needs more of, without what could harm a terminal.
fn meant(raw: &[u8]) -> String {
    let mut bytes = Vec::new();
    text::write_unescaped(&mut bytes, raw);
    let text = String::from_utf8_lossy(&bytes);
    let mut out = String::new();
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        if out.len() + letter.len_utf8() > TEXT {
            break;
        }
        out.push(letter);
    }
    out
}

/// For between either quotes.
fn put_escaped(out: &mut Vec<u8>, text: &[u8]) {
    for &byte in text {
        match byte {
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'"' => out.extend_from_slice(b"&quot;"),
            b'\'' => out.extend_from_slice(b"&apos;"),
            0..b' ' => out.push(b' '),
            _ => out.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{fig, xml};
    use proptest::prelude::*;

    const DETAIL: &[u8] = b"<detail><fileshares a='x'/><fileshare filename='a &amp; b.zip' senderUrl='http://10.0.0.1:8080/x?a=1&amp;b=2' \
        sizeInBytes='12' name=\"N\" senderUid=\"U\" senderCallsign=\"CS\" sha256='ab'/><ackrequest uid='1'/></detail>";

    #[test]
    fn a_request_is_read_and_moved() {
        let read = Fileshare::read(DETAIL).unwrap();
        assert_eq!((read.filename.as_str(), read.size), ("a & b.zip", 12));
        assert_eq!(read.sender_url, "http://10.0.0.1:8080/x?a=1&b=2");
        let moved = with_url(DETAIL, "https://a/'x'?hash=1&b").unwrap();
        let again = Fileshare::read(&moved).unwrap();
        assert_eq!(again.sender_url, "https://a/'x'?hash=1&b");
        assert_eq!((again.name, again.sha256), (read.name, read.sha256));
        xml::parse_detail(&moved).unwrap();
        assert!(memmem::find(&moved, b"<ackrequest uid='1'/>").is_some());
        assert_eq!(with_url(b"<detail/>", "x"), None);
        let added = with_url(b"<detail><fileshare a='1'/></detail>", "u").unwrap();
        assert_eq!(
            added,
            b"<detail><fileshare senderUrl=\"u\" a='1'/></detail>"
        );
    }

    #[test]
    fn what_is_appended_takes_the_place_of_what_was_said() {
        let mut message = Vec::new();
        let event = Fileshare {
            sha256: "ab".into(),
            filename: "f".into(),
            ..Fileshare::default()
        }
        .event("uid", [&["ALPHA".to_owned()], &[]], 1_000)
        .unwrap();
        let event = xml::parse(&event).unwrap();
        crate::cot::federated::Envelope::new(b"id")
            .put_event(&mut message, &event)
            .unwrap();
        let said = fig::parse(&message, b"").unwrap().event.unwrap();
        let edit = moved(said.other, "https://here/", Some(5_000)).unwrap();
        message.extend_from_slice(&edit);
        let now = fig::parse(&message, b"").unwrap().event.unwrap();
        assert_eq!((now.time, now.stale), (5_000, 105_000));
        assert_eq!(
            Fileshare::read(now.other).unwrap().sender_url,
            "https://here/"
        );
        assert_eq!(now.uid, b"uid");
        assert!(now.directed && now.destinations().count() == 1);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), url in ".{0,20}") {
            let mut detail = b"<fileshare ".to_vec();
            detail.extend_from_slice(&bytes);
            let _ = Fileshare::read(&detail);
            let _ = moved(&detail, &url, Some(1));
        }

        #[test]
        fn any_texts_make_a_whole_event(name in "\\PC{0,30}", url in "\\PC{0,30}", dest in "\\PC{1,10}") {
            let share = Fileshare { name: name.clone(), sender_url: url, ..Fileshare::default() };
            let event = share.event("u", [&[dest], &[]], 1_000).unwrap();
            let event = xml::parse(&event).unwrap();
            prop_assert_eq!(Fileshare::read(event.detail.unwrap().bytes).unwrap().name, name);
        }
    }
}
