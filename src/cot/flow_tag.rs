//! The mark that this box leaves in an event that it gives to a TAK server, and finds again when the event comes back.
//!
//! TAK Server does the same: `<_flow-tags_ TAK-Server-ID="time"/>` in the detail (protocol reference 1.8). Its own time
//! is the event's here, not the moment of passing: a copy is known by it whoever wrote the event anew on its way, and an
//! event that somebody changed and sent again has a newer time than its mark, so it passes. Marks of others stay.

use memchr::memmem;

use crate::wire::stamp;

const ELEMENT: &[u8] = b"<_flow-tags_";
const DETAIL_END: &[u8] = b"</detail>";
const EVENT_END: &[u8] = b"</event>";

/// A TAK Server keeps whole seconds of a time, so two within this are one, milliseconds.
const SAME_MS: u64 = 1000;

/// This box's uid at every server: what comes from there under it is its own.
pub fn own_uid(federate_id: &str) -> String {
    format!("tombolo-{federate_id}")
}

/// This box's mark.
#[derive(Debug, Clone)]
pub struct FlowTag {
    /// An attribute's name.
    name: Vec<u8>,
}

impl FlowTag {
    /// For a federate id of 32 hex digits; half of them tell boxes apart.
    pub fn new(federate_id: &str) -> Self {
        let half: String = federate_id.chars().take(16).collect();
        Self {
            name: format!("Tombolo-{half}").into_bytes(),
        }
    }

    /// Whether the event, which has this time, is one that was marked here and comes back as it was.
    pub fn came_back(&self, xml: &[u8], time_ms: Option<i64>) -> bool {
        let value = self.value(xml).map(|(from, to)| &xml[from..to]);
        let marked = value.and_then(stamp::read);
        marked.is_some_and(|marked| marked.abs_diff(time_ms.unwrap_or(0)) < SAME_MS)
    }

    /// Appends the event with the mark in it. One without a place for it is appended as it is.
    pub fn put(&self, out: &mut Vec<u8>, xml: &[u8], time_ms: Option<i64>) {
        let Some(time) = stamp::write(time_ms.unwrap_or(0)) else {
            return out.extend_from_slice(xml);
        };
        if let Some((from, to)) = self.value(xml) {
            return put_all(out, &[&xml[..from], &time, &xml[to..]]);
        }
        let mark = [b" ", &self.name[..], b"=\"", &time, b"\""];
        if let Some(at) = element(xml) {
            put_all(out, &[&xml[..at]]);
            put_all(out, &mark);
            return put_all(out, &[&xml[at..]]);
        }
        let (before, open, close, after) = match place(xml) {
            Some(Place::Inside(at)) => (at, &b""[..], &b""[..], at),
            Some(Place::Instead { from, to }) => (from, &b">"[..], DETAIL_END, to),
            Some(Place::Beside(at)) => (at, &b"<detail>"[..], DETAIL_END, at),
            None => return out.extend_from_slice(xml),
        };
        put_all(out, &[&xml[..before], open, ELEMENT]);
        put_all(out, &mark);
        put_all(out, &[b"/>", close, &xml[after..]]);
    }

    /// Where the mark's value stands between its quotes.
    fn value(&self, xml: &[u8]) -> Option<(usize, usize)> {
        // An attribute can only be there once its element is.
        let element = element(xml)?;
        let at = element + memmem::find(&xml[element..], &self.name)? + self.name.len();
        let (quote, from) = match xml.get(at..at + 2)? {
            [b'=', quote @ (b'"' | b'\'')] => (*quote, at + 2),
            _ => return None,
        };
        let length = memchr::memchr(quote, &xml[from..])?;
        Some((from, from + length))
    }
}

enum Place {
    /// Before the end of the detail.
    Inside(usize),
    /// In place of the `/>` of an empty detail.
    Instead { from: usize, to: usize },
    /// Before the end of an event without a detail.
    Beside(usize),
}

/// Behind the name of the element of marks.
fn element(xml: &[u8]) -> Option<usize> {
    let at = memmem::find(xml, ELEMENT)? + ELEMENT.len();
    let next = xml.get(at)?;
    (next.is_ascii_whitespace() || matches!(next, b'/' | b'>')).then_some(at)
}

fn place(xml: &[u8]) -> Option<Place> {
    if let Some(at) = memmem::rfind(xml, DETAIL_END) {
        return Some(Place::Inside(at));
    }
    match memmem::find(xml, b"<detail") {
        Some(at) => {
            let end = at + tag_end(&xml[at..])?;
            xml[..end].ends_with(b"/>").then(|| Place::Instead {
                from: end - 2,
                to: end,
            })
        }
        None => memmem::rfind(xml, EVENT_END).map(Place::Beside),
    }
}

/// The length of the tag that begins here. A `>` between quotes ends nothing.
fn tag_end(tag: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (at, &byte) in tag.iter().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return Some(at + 1),
            (Some(open), byte) if byte == open => quote = None,
            _ => {}
        }
    }
    None
}

fn put_all(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::xml::{Event, Reader};

    const ID: &str = "0123456789abcdef0123456789abcdef";
    const TIME: i64 = 1_900_000_000_250;
    const MARK: &str = "Tombolo-0123456789abcdef=\"2030-03-17T17:46:40.250Z\"";

    fn put(xml: &str) -> String {
        let mut out = Vec::new();
        FlowTag::new(ID).put(&mut out, xml.as_bytes(), Some(TIME));
        String::from_utf8(out).unwrap()
    }

    fn event(detail: &str) -> String {
        format!(
            "<event version=\"2.0\" uid=\"u\" type=\"a-f-G\" time=\"2030-03-17T17:46:40.250Z\" \
             start=\"2030-03-17T17:46:40.250Z\" stale=\"2030-03-17T17:47:40.250Z\" how=\"m-g\">\
             <point lat=\"1\" lon=\"2\" hae=\"0\" ce=\"1\" le=\"1\"/>{detail}</event>"
        )
    }

    #[test]
    fn every_shape_of_detail_has_its_place_for_the_mark() {
        for (detail, marked) in [
            (
                "<detail><a/></detail>",
                format!("<detail><a/><_flow-tags_ {MARK}/></detail>"),
            ),
            (
                "<detail/>",
                format!("<detail><_flow-tags_ {MARK}/></detail>"),
            ),
            (
                "<detail x=\"/>\" />",
                format!("<detail x=\"/>\" ><_flow-tags_ {MARK}/></detail>"),
            ),
            ("", format!("<detail><_flow-tags_ {MARK}/></detail>")),
            (
                "<detail><_flow-tags_ TAK-Server-1=\"t\"/></detail>",
                format!("<detail><_flow-tags_ {MARK} TAK-Server-1=\"t\"/></detail>"),
            ),
            (
                "<detail><_flow-tags_/></detail>",
                format!("<detail><_flow-tags_ {MARK}/></detail>"),
            ),
            (
                "<detail><_flow-tags_ Tombolo-0123456789abcdef='old'/></detail>",
                format!("<detail><_flow-tags_ {}/></detail>", MARK.replace('"', "'")),
            ),
        ] {
            let written = put(&event(detail));
            assert_eq!(written, event(&marked));
            let tag = FlowTag::new(ID);
            assert!(tag.came_back(written.as_bytes(), Some(TIME)));
            assert!(
                tag.came_back(written.as_bytes(), Some(TIME - 250)),
                "whole seconds"
            );
            assert!(
                !tag.came_back(written.as_bytes(), Some(TIME + 5000)),
                "somebody changed it"
            );
            let other = FlowTag::new("f123456789abcdef0123456789abcdef");
            assert!(!other.came_back(written.as_bytes(), Some(TIME)));
        }
    }

    proptest! {
        /// What a parser takes, it takes with the mark too.
        #[test]
        fn a_marked_event_is_an_event(detail in "(<detail( a=[\"'][/>x]*[\"'])? ?(/>|>(<_flow-tags_ ?(x='1')?/>|<b/>|text)*</detail>))?") {
            let mut reader = Reader::default();
            let (before, after) = (event(&detail), put(&event(&detail)));
            if reader.parse(&mut Event::nothing(), before.as_bytes()).is_ok() {
                prop_assert_eq!(reader.parse(&mut Event::nothing(), after.as_bytes()), Ok(()), "{}", after);
                prop_assert!(FlowTag::new(ID).came_back(after.as_bytes(), Some(TIME)), "{}", after);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(xml in proptest::collection::vec(any::<u8>(), 0..200), time in any::<i64>()) {
            let tag = FlowTag::new(ID);
            tag.put(&mut Vec::new(), &xml, Some(time));
            tag.came_back(&xml, Some(time));
        }
    }
}
