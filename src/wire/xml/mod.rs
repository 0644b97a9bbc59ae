//! One piece of a CoT stream, checked to be exactly one well-formed event, with its parts noted on the way.
//!
//! The check is a single pass over the bytes. It refuses what a bridge must not pass on: document types, processing
//! instructions, undefined entities, and anything in which another receiver could see a second event.

mod cursor;
mod destinations;
mod event;
mod learn;
mod name;
mod parser;
mod reader;
mod shape;

pub use cursor::MAX_ATTRIBUTES;
pub use destinations::{Destination, Destinations, Named, destinations};
pub use event::{Child, Detail, Event, Point};
pub use parser::MAX_DEPTH;
pub use reader::{Reader, parse, parse_detail};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Reason;
    use proptest::prelude::*;

    const HEAD: &str = "<event version='2.0' uid='u' type='a-f-G' how='m-g' time='2026-01-01T00:00:00Z' \
        start='2026-01-01T00:00:00Z' stale='2026-01-01T00:01:00Z'><point lat='1' lon='2' hae='3' ce='4' le='5'/>";

    fn with(detail: &str) -> String {
        format!("{HEAD}<detail>{detail}</detail></event>")
    }

    fn refusal(text: &str) -> Reason {
        parse(text.as_bytes()).expect_err(text)
    }

    #[test]
    fn the_parts_are_noted() {
        let text = with(
            "<contact endpoint='*:-1:stcp' callsign='A'/><track speed='1' course='2'/>\
             <status battery='5'/><precisionlocation altsrc='x' geopointsrc='y' z='1'/>\
             <marti><dest callsign='B'/><dest uid='C'/></marti><x><track/></x>",
        );
        let event = parse(text.as_bytes()).unwrap();
        assert_eq!(
            (event.uid, event.kind, event.how),
            (&b"u"[..], &b"a-f-G"[..], &b"m-g"[..])
        );
        assert_eq!(event.stale.unwrap() - event.start.unwrap(), 60_000);
        assert_eq!(event.point.unwrap().le, b"5");
        let detail = event.detail.unwrap();
        assert!(detail.bytes.starts_with(b"<detail>") && detail.bytes.ends_with(b"</detail>"));
        assert_eq!(
            detail.contact.values,
            [Some(&b"A"[..]), Some(&b"*:-1:stcp"[..])]
        );
        assert!(detail.track.is_exact());
        assert_eq!(detail.track.bytes, b"<track speed='1' course='2'/>");
        assert!(!detail.status.is_exact() && detail.status.first().is_some());
        assert!(!detail.precision.is_exact());
        let names: Vec<_> = destinations(detail.marti.bytes)
            .map(|dest| (dest.named, dest.value))
            .collect();
        assert_eq!(
            names,
            [(Named::Callsign, &b"B"[..]), (Named::Uid, &b"C"[..])]
        );
    }

    #[test]
    fn second_events_are_refused() {
        for hidden in [
            "<![CDATA[<event uid='x'>]]>",
            "<![CDATA[</event >]]>",
            "<!-- <event -->",
            "<event/>",
            "<a><event uid='x'/></a>",
            "<marti><!-- <dest uid='x'/> --></marti>",
        ] {
            assert_eq!(refusal(&with(hidden)), Reason::Ambiguous, "{hidden}");
        }
        // What a scanner cuts out of a CDATA section that holds `</event>`.
        assert_eq!(
            refusal(&format!("{HEAD}<detail><![CDATA[</event>")),
            Reason::Ambiguous
        );
        assert_eq!(refusal(&format!("{0}{0}", with(""))), Reason::Malformed);
    }

    #[test]
    fn what_does_not_belong_is_refused() {
        for (inside, reason) in [
            ("<?php evil?>", Reason::ProcessingInstruction),
            ("<!DOCTYPE x>", Reason::Doctype),
            ("&lol;", Reason::Entity),
            ("<a b='&lol;'/>", Reason::Entity),
            ("<a b='<'/>", Reason::Malformed),
            ("<a b='1' b='2'/>", Reason::Malformed),
            ("<a b='1'c='2'/>", Reason::Malformed),
            ("<a b=1/>", Reason::Malformed),
            ("<a></b>", Reason::Malformed),
            ("<1a/>", Reason::Malformed),
            ("a ]]> b", Reason::Malformed),
            ("<!-- a -- b -->", Reason::Malformed),
            ("<!-- a --->", Reason::Malformed),
            ("\u{1}", Reason::NotText),
        ] {
            assert_eq!(refusal(&with(inside)), reason, "{inside}");
        }
        assert_eq!(refusal("<event/>"), Reason::Incomplete);
        assert_eq!(
            refusal("<eventual uid='a' type='b'></event>"),
            Reason::Malformed
        );
        let deep = "<a>".repeat(10_000) + &"</a>".repeat(10_000);
        assert_eq!(refusal(&with(&deep)), Reason::TooDeep);
        let late = HEAD.replace("00:01:00Z", "soon");
        assert_eq!(refusal(&format!("{late}</event>")), Reason::BadTime);
    }

    #[test]
    fn odd_but_good_xml_passes() {
        for inside in [
            "<![CDATA[ a < b && c ]]>",
            "<!-- fine -->",
            "text &amp; &#x1F600; ] ]] >",
            "<a\n b = '1'\t c=\"2'2\"\r\n></a >",
            "<é ü='ß'/>",
            "<link line='&lt;event&gt;&lt;/event&gt;'/>",
        ] {
            parse(with(inside).as_bytes()).unwrap_or_else(|reason| panic!("{inside}: {reason}"));
        }
    }

    #[test]
    fn a_lone_detail_is_held_to_the_same() {
        let detail =
            parse_detail(b"<?xml version='1.0'?> <detail><track speed='1' course='2'/></detail>\n")
                .unwrap();
        assert!(detail.track.is_exact());
        assert_eq!(
            detail.bytes,
            b"<detail><track speed='1' course='2'/></detail>"
        );
        for (other, reason) in [
            ("<detail/><detail/>", Reason::Malformed),
            ("<remarks/>", Reason::Malformed),
            ("text", Reason::Malformed),
            ("", Reason::Malformed),
            ("<detail></detail></event>", Reason::Malformed),
            ("<detail><event></event></detail>", Reason::Ambiguous),
            ("<detail><![CDATA[</event>]]></detail>", Reason::Ambiguous),
            ("<detail>&x;</detail>", Reason::Entity),
        ] {
            assert_eq!(
                parse_detail(other.as_bytes()).expect_err(other),
                reason,
                "{other}"
            );
        }
    }

    /// What quick-xml, with every check it has, says of the same bytes.
    fn oracle(text: &str) -> bool {
        use quick_xml::Reader;
        use quick_xml::events::Event as Token;
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_comments = true;
        let (mut depth, mut roots) = (0, 0);
        loop {
            let attributes = |tag: &quick_xml::events::BytesStart<'_>| {
                tag.attributes().all(|attribute| {
                    attribute.is_ok_and(|attribute| !attribute.value.contains('<'))
                })
            };
            match reader.read_event() {
                Ok(Token::Start(tag)) if attributes(&tag) => depth += 1,
                Ok(Token::Empty(tag)) if attributes(&tag) => roots += u32::from(depth == 0),
                Ok(Token::End(_)) => {
                    depth -= 1;
                    roots += u32::from(depth == 0);
                }
                Ok(Token::Text(text)) if depth > 0 || text.trim().is_empty() => {}
                Ok(Token::CData(_) | Token::Comment(_) | Token::GeneralRef(_)) if depth > 0 => {}
                Ok(Token::Eof) => return depth == 0 && roots == 1,
                _ => return false,
            }
        }
    }

    fn element() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            "[ a-z]{0,6}",
            Just("&amp;".to_owned()),
            Just("<!-- note -->".to_owned()),
            Just("<![CDATA[ & < ]]>".to_owned()),
            Just("<track speed='1.5' course=\"2\"/>".to_owned()),
            Just("<broken>".to_owned()),
            Just("</a>".to_owned()),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            (
                "[a-z]{1,4}",
                "( [a-z]='[a-z ]{0,3}'){0,2}",
                proptest::collection::vec(inner, 0..4),
            )
                .prop_map(|(name, attributes, inner)| {
                    format!("<{name}{attributes}>{}</{name}>", inner.concat())
                })
        })
    }

    proptest! {
        #[test]
        fn quick_xml_agrees(inside in element()) {
            let text = with(&inside);
            let ours = parse(text.as_bytes());
            prop_assert_eq!(ours.is_ok(), oracle(&text), "{} {:?}", text, ours.err());
        }

        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..60), at in 0usize..300) {
            let _ = parse(&bytes);
            let _ = parse_detail(&bytes);
            let mut text = with("<a b='c'>d</a>").into_bytes();
            let at = at % text.len();
            text.splice(at..at, bytes.drain(..));
            let _ = parse(&text);
        }
    }
}
