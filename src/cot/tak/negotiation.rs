//! How a stream of XML becomes one of protobuf: the three messages `t-x-takp-v`, `-q`, `-r` (protocol reference 6.2).
//!
//! The server offers, the client asks, the server answers. After a `true` both directions are protobuf: the client's
//! from its question on, the server's from its answer on. [`Asking`] is the client's side; the server's needs no state
//! beyond the uid of its offer.

use std::fmt::Write as _;

use crate::cot::patch::Attributes;
use crate::wire::stamp;
use crate::wire::tak::framing;
use crate::wire::xml::Event;

/// What this program says it is, in the offer.
const SERVER: &str = concat!("tombolo-", env!("CARGO_PKG_VERSION"));

/// How long an offer holds, and how long a client waits for its answer, milliseconds.
pub const PATIENCE_MS: i64 = 60_000;

const OFFER: &[u8] = b"t-x-takp-v";
const REQUEST: &[u8] = b"t-x-takp-q";
const ANSWER: &[u8] = b"t-x-takp-r";

/// The server's offer, as XML. `uid`: new for each connection, and fit for an attribute.
pub fn offer(uid: &str, now_ms: i64) -> Vec<u8> {
    let inside = format!(
        "<TakProtocolSupport version=\"{}\"/><TakServerVersionInfo serverVersion=\"{SERVER}\" apiVersion=\"3\"/>",
        framing::VERSION
    );
    event(uid, OFFER, &inside, now_ms)
}

/// The server's answer to a question, as XML; `uid` is that of its offer.
pub fn answer(uid: &str, yes: bool, now_ms: i64) -> Vec<u8> {
    event(
        uid,
        ANSWER,
        &format!("<TakResponse status=\"{yes}\"/>"),
        now_ms,
    )
}

/// The version that a client asks for, if the event is a question; 0 where it does not say.
pub fn requested(event: &Event<'_>) -> Option<u64> {
    if event.kind != REQUEST {
        return None;
    }
    Some(versions(event, b"<TakRequest").next().unwrap_or(0))
}

/// The client's side of one connection.
#[derive(Debug, Clone, Default)]
pub struct Asking {
    /// When the question was asked, milliseconds of the caller's clock.
    asked_ms: Option<i64>,
    settled: bool,
}

/// What a client does about an event of its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The event is none of this.
    NotMine,
    /// It was for this alone, and there is nothing to do.
    Nothing,
    /// To be sent to the server, as XML; nothing may be sent behind it until the answer is there.
    Ask(Vec<u8>),
    /// The next byte from the server, and the next to it, belong to protobuf.
    Switch,
    /// It stays with XML; what was held back may go.
    Stay,
}

impl Asking {
    /// A fresh connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether events may be sent now. Not between question and answer: the server reads protobuf by then, if it
    /// will say yes.
    pub fn may_send(&self) -> bool {
        self.asked_ms.is_none()
    }

    /// An event came from the server, as XML. Times are the wall clock's, milliseconds since 1970.
    pub fn hear(&mut self, event: &Event<'_>, now_ms: i64) -> Step {
        match event.kind {
            OFFER if self.settled || self.asked_ms.is_some() => Step::Nothing,
            OFFER => {
                if !versions(event, b"<TakProtocolSupport")
                    .any(|version| version == framing::VERSION)
                {
                    return Step::Nothing;
                }
                self.asked_ms = Some(now_ms);
                let inside = format!("<TakRequest version=\"{}\"/>", framing::VERSION);
                // The question has the uid of the offer, as it is spelled there.
                let uid = String::from_utf8_lossy(event.uid);
                Step::Ask(self::event(
                    &uid.replace('"', "&quot;"),
                    REQUEST,
                    &inside,
                    now_ms,
                ))
            }
            ANSWER if self.asked_ms.is_some() => {
                (self.asked_ms, self.settled) = (None, true);
                let yes = element(event, b"<TakResponse").is_some_and(|tag| {
                    attributes(tag).any(|(name, value)| name == b"status" && value == b"true")
                });
                match yes {
                    true => Step::Switch,
                    false => Step::Stay,
                }
            }
            ANSWER | REQUEST => Step::Nothing,
            _ => Step::NotMine,
        }
    }

    /// Time has passed: [`Step::Stay`] when the answer did not come. One that comes later is not heard any more.
    pub fn tick(&mut self, now_ms: i64) -> Step {
        match self.asked_ms {
            Some(asked) if now_ms.saturating_sub(asked) >= PATIENCE_MS => {
                (self.asked_ms, self.settled) = (None, true);
                Step::Stay
            }
            _ => Step::Nothing,
        }
    }
}

fn event(uid: &str, kind: &[u8], inside: &str, now_ms: i64) -> Vec<u8> {
    let time = |ms: i64| {
        let text = stamp::write(ms).unwrap_or(*b"1970-01-01T00:00:00.000Z");
        String::from_utf8_lossy(&text).into_owned()
    };
    let (now, stale) = (time(now_ms), time(now_ms.saturating_add(PATIENCE_MS)));
    let kind = String::from_utf8_lossy(kind);
    let mut xml = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        xml,
        "<event version=\"2.0\" uid=\"{uid}\" type=\"{kind}\" time=\"{now}\" start=\"{now}\" stale=\"{stale}\" \
         how=\"m-g\"><point lat=\"0.0\" lon=\"0.0\" hae=\"0.0\" ce=\"999999\" le=\"999999\"/>\
         <detail><TakControl>{inside}</TakControl></detail></event>"
    );
    xml.into_bytes()
}

/// The start of an element of the detail, from `<` on.
fn element<'a>(event: &Event<'a>, begin: &[u8]) -> Option<&'a [u8]> {
    let detail = event.detail.as_ref()?.bytes;
    let at = memchr::memmem::find(detail, begin)?;
    Some(&detail[at..])
}

fn attributes(tag: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    Attributes::of(tag).map(move |(name, from, to)| (name, &tag[from..to]))
}

/// The `version` of each element that begins so.
fn versions<'a>(event: &Event<'a>, begin: &'a [u8]) -> impl Iterator<Item = u64> + 'a {
    let detail = event
        .detail
        .as_ref()
        .map_or(&b""[..], |detail| detail.bytes);
    memchr::memmem::find_iter(detail, begin).filter_map(|at| {
        let named = attributes(&detail[at..]).find(|(name, _)| *name == b"version");
        std::str::from_utf8(named?.1).ok()?.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::xml;
    use proptest::prelude::*;

    const NOW: i64 = 1_790_000_000_000;

    fn asked(asking: &mut Asking) -> Vec<u8> {
        let offer = offer("offer-uid", NOW);
        match asking.hear(&xml::parse(&offer).unwrap(), NOW) {
            Step::Ask(request) => request,
            step => panic!("{step:?}"),
        }
    }

    #[test]
    fn offer_question_answer() {
        let mut asking = Asking::new();
        assert!(asking.may_send());
        let request = asked(&mut asking);
        assert!(!asking.may_send(), "the server may read protobuf by now");
        let read = xml::parse(&request).unwrap();
        assert_eq!(requested(&read), Some(1));
        assert_eq!(read.uid, b"offer-uid");
        let yes = answer("offer-uid", true, NOW);
        assert_eq!(asking.hear(&xml::parse(&yes).unwrap(), NOW), Step::Switch);
        assert!(asking.may_send());
    }

    #[test]
    fn a_no_and_silence_stay_with_xml() {
        let mut asking = Asking::new();
        asked(&mut asking);
        let no = answer("offer-uid", false, NOW);
        assert_eq!(asking.hear(&xml::parse(&no).unwrap(), NOW), Step::Stay);
        assert!(asking.may_send());
        let mut asking = Asking::new();
        asked(&mut asking);
        assert_eq!(asking.tick(NOW + PATIENCE_MS - 1), Step::Nothing);
        assert_eq!(asking.tick(NOW + PATIENCE_MS), Step::Stay);
        let late = answer("offer-uid", true, NOW);
        assert_eq!(asking.hear(&xml::parse(&late).unwrap(), NOW), Step::Nothing);
        assert!(asking.may_send());
    }

    #[test]
    fn only_a_version_that_is_spoken_here_is_asked_for() {
        for (versions, asks) in [
            (&["2"][..], false),
            (&["2", "1"], true),
            (&["x"], false),
            (&[], false),
        ] {
            let inside: String = versions
                .iter()
                .map(|version| format!("<TakProtocolSupport version='{version}'/>"))
                .collect();
            let offer = event("u", OFFER, &inside, NOW);
            let step = Asking::new().hear(&xml::parse(&offer).unwrap(), NOW);
            assert_eq!(matches!(step, Step::Ask(_)), asks, "{versions:?}");
        }
    }

    #[test]
    fn everything_else_is_not_for_this() {
        let track = String::from_utf8(offer("u", NOW))
            .unwrap()
            .replace("t-x-takp-v", "a-f-G");
        let event = xml::parse(track.as_bytes()).unwrap();
        assert_eq!(Asking::new().hear(&event, NOW), Step::NotMine);
        assert_eq!(requested(&event), None);
        let answer = answer("u", true, NOW);
        let event = xml::parse(&answer).unwrap();
        assert_eq!(
            Asking::new().hear(&event, NOW),
            Step::Nothing,
            "nobody asked"
        );
        let mut request =
            String::from_utf8(super::event("u", REQUEST, "<TakRequest version='2'/>", NOW))
                .unwrap();
        assert_eq!(requested(&xml::parse(request.as_bytes()).unwrap()), Some(2));
        request = request.replace("<TakRequest version='2'/>", "");
        assert_eq!(requested(&xml::parse(request.as_bytes()).unwrap()), Some(0));
    }

    proptest! {
        #[test]
        fn no_offer_makes_it_panic(inside in "(<TakProtocolSupport[ a-z='\"0-9]{0,16}/>|<[a-z]{1,3}/>){0,3}") {
            let offer = event("u", OFFER, &inside, NOW);
            if let Ok(event) = xml::parse(&offer) {
                let _ = Asking::new().hear(&event, NOW);
            }
        }
    }
}
