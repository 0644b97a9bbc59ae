//! What an event says is one number, in whatever form it says it.

use proptest::prelude::*;

use super::model::{Child, model};
use super::{federated, shown};
use crate::cot::content::{self, Parts, Spelled, Typed};
use crate::cot::render;
use crate::cot::tak::encode;
use crate::wire::{fig, tak, xml};
use prost::Message;

const SEED: u64 = 7;

fn of_xml(text: &str) -> u64 {
    let event = xml::parse(text.as_bytes()).unwrap_or_else(|reason| panic!("{reason}: {text}"));
    content::of_xml(SEED, &event)
}

fn of_message(message: &[u8]) -> u64 {
    let message = fig::parse(message, b"").unwrap();
    let event = message.event.unwrap();
    let mut checked = xml::Event::nothing();
    render::read_detail(&mut checked, &event, &mut xml::Reader::default()).unwrap();
    content::of_geo(SEED, &event, checked.detail.as_ref())
}

const HEAD: &str = "<event version='2.0' uid='u&amp;1' type='a-f-G' how='m-g' time='2026-01-01T00:00:00.750Z' \
    start='2026-01-01T00:00:00.750Z' stale='2026-01-01T00:01:00.750Z'><point lat='1.5' lon='-0.0' hae='3' ce='9999999.0' le='5'/>";

fn with(detail: &str) -> String {
    format!("{HEAD}<detail>{detail}</detail></event>")
}

#[test]
fn what_bridges_change_does_not_count() {
    let usual = of_xml(&with(
        "<contact callsign='A' endpoint='10.0.0.1:4242:tcp'/><track speed='1.5' course='20'/><status battery='7'/>\
         <remarks source='a'>one &lt; two</remarks>",
    ));
    for same in [
        // Order, quotes, spaces, numbers, comments, CDATA.
        "<status   battery=\"7\" ></status> <track course='2e1' speed='1.50' slope='3'/><!-- x -->\n\
         <remarks source=\"a\" time=''><![CDATA[one < ]]>two</remarks><contact endpoint='*:-1:stcp' callsign='&#65;'/>",
        // What TAK Server appends, and marks of the way.
        "<contact callsign='A'/><track speed='1.5' course='20'/><status battery='7'/><remarks source='a'>one &lt; two\n</remarks>\
         <_flow-tags_ TAK-Server-1='2026-01-01T00:00:00Z'/><__serverdestination destinations='x'/><track speed='0.0' course='0.0'/>",
    ] {
        assert_eq!(usual, of_xml(&with(same)), "{same}");
    }
    for other in [
        "<contact callsign='B' endpoint='10.0.0.1:4242:tcp'/><track speed='1.5' course='20'/><status battery='7'/><remarks source='a'>one &lt; two</remarks>",
        "<contact callsign='A'/><track speed='1.5' course='21'/><status battery='7'/><remarks source='a'>one &lt; two</remarks>",
        "<contact callsign='A'/><track speed='1.5' course='20'/><status battery='8'/><remarks source='a'>one &lt; two</remarks>",
        "<contact callsign='A'/><track speed='1.5' course='20'/><status battery='7'/><remarks source='a'>one &gt; two</remarks>",
        "<contact callsign='A'/><track speed='1.5' course='20'/><status battery='7'/><remarks source='a'>one &lt; two</remarks><archive/>",
        "<contact callsign='A'/><track speed='1.5' course='20'/><status battery='7'/><marti><dest callsign='C'/></marti><remarks source='a'>one &lt; two</remarks>",
        "",
    ] {
        assert_ne!(usual, of_xml(&with(other)), "{other}");
    }
}

#[test]
fn the_head_counts_as_far_as_it_survives() {
    let usual = of_xml(&with(""));
    let changed = |from: &str, to: &str| {
        let text = with("");
        assert!(text.contains(from), "{from}");
        of_xml(&text.replacen(from, to, 1))
    };
    for (from, to) in [
        (".750Z", "Z"),
        ("lon='-0.0'", "lon='0'"),
        ("ce='9999999.0'", "ce='999999'"),
        ("version='2.0'", "version='2.0' access='Undefined' qos='1'"),
        ("<detail></detail>", "<detail/>"),
        ("<detail></detail>", ""),
    ] {
        assert_eq!(usual, changed(from, to), "{from}");
    }
    for (from, to) in [
        ("u&amp;1", "u&amp;2"),
        ("a-f-G", "a-h-G"),
        ("m-g", "h-e"),
        ("start='2026-01-01T00:00:00", "start='2026-01-01T00:00:01"),
        ("stale='2026-01-01T00:01:00", "stale='2026-01-01T00:01:01"),
        ("lat='1.5'", "lat='1.500001'"),
        ("hae='3'", "hae='3.1'"),
    ] {
        assert_ne!(usual, changed(from, to), "{from}");
    }
    let event = xml::parse(HEAD.as_bytes());
    assert!(event.is_err(), "the head alone is no event");
    let text = with("");
    let event = xml::parse(text.as_bytes()).unwrap();
    assert_ne!(usual, content::of_xml(SEED + 1, &event));
}

/// As a `TakMessage` has it: four children as fields, the others as text without the element around them.
#[test]
fn fields_say_what_children_say() {
    let text = with(
        "<takv device='d' platform='p' os='1 2' version='v'/><contact callsign='A &amp; B' endpoint='*:-1:stcp'/>\
         <uid Droid='A'/><__group role='HQ' name='Cyan'/><status battery='7'/><track speed='1' course='2'/>\
         <precisionlocation geopointsrc='GPS' altsrc='DTED'/>",
    );
    let typed = Typed {
        track: Some([1.0, 2.0]),
        battery: Some(7),
        precision: [b"GPS", b"DTED"],
        callsign: b"A & B",
        group: [b"Cyan", b"HQ"],
        takv: [b"d", b"p", b"1 2", b"v"],
    };
    let event = xml::parse(text.as_bytes()).unwrap();
    let times = [event.time, event.start, event.stale].map(|time| time.unwrap() / 1000 * 1000);
    let parts = Parts {
        spelled: Spelled::Meant,
        uid: b"u&1",
        kind: b"a-f-G",
        how: b"m-g",
        times,
        point: [1.5, 0.0, 3.0, 999_999.0, 5.0],
        children: b"<uid Droid='A'></uid>",
        typed,
    };
    let of = |parts: &Parts<'_>| content::of_parts(SEED, parts, std::iter::empty());
    assert_eq!(of_xml(&text), of(&parts));
    // A child in the text takes the place of the field (protocol reference 6.2).
    let children = b"<uid Droid='A'/><contact callsign='A &amp; B' phone='1'/>";
    let other = text.replace("endpoint='*:-1:stcp'", "phone='1'");
    assert_eq!(of_xml(&other), of(&Parts { children, ..parts }));
    assert_ne!(of_xml(&text), of(&Parts { children, ..parts }));
}

proptest! {
    #[test]
    fn every_form_says_the_same(model in model()) {
        let text = model.xml();
        let Ok(message) = federated(&text) else { return Ok(()); };
        let message = message.encode_to_vec();
        let said = of_xml(&text);
        prop_assert_eq!(said, of_message(&message), "{}", text);
        let back = shown(&message).unwrap();
        prop_assert_eq!(said, of_xml(&back), "{}\n{}", text, back);
    }

    #[test]
    fn a_tak_message_says_the_same(model in model()) {
        let text = model.xml();
        let event = xml::parse(text.as_bytes()).unwrap();
        let mut out = Vec::new();
        prop_assume!(encode::put_event(&mut out, &event).is_ok());
        let message = tak::parse(&out).unwrap();
        let read = message.event.unwrap();
        // Three times and a place are what every form has.
        prop_assume!(event.point.is_some() && !event.how.is_empty());
        prop_assert_eq!(of_xml(&text), content::of_tak(SEED, &read), "{}", text);
    }

    #[test]
    fn the_order_of_children_says_nothing(model in model(), turn in 0usize..7) {
        let mut other = model.clone();
        let Some(children) = &mut other.detail else { return Ok(()); };
        // Of several of one name the first counts, so their order is kept.
        let mut names: Vec<_> = children.iter().map(Child::name).collect();
        names.sort_unstable();
        prop_assume!(names.windows(2).all(|two| two[0] != two[1]));
        if !children.is_empty() {
            let by = turn % children.len();
            children.rotate_left(by);
        }
        prop_assert_eq!(of_xml(&model.xml()), of_xml(&other.xml()));
    }

    #[test]
    fn no_bytes_make_it_panic(children: Vec<u8>, tags in "[<>/a-c='\" !\\[\\]-]{0,40}") {
        for children in [children.as_slice(), tags.as_bytes()] {
            let parts = Parts {
                spelled: Spelled::Raw,
                uid: children,
                kind: b"",
                how: b"",
                times: [i64::MIN, 0, i64::MAX],
                point: [f64::NAN; 5],
                children,
                typed: Typed::default(),
            };
            content::of_parts(SEED, &parts, std::iter::empty());
        }
    }
}

#[test]
fn a_child_more_is_something_else() {
    assert_ne!(of_xml(&with("<a/>")), of_xml(&with("<a/><a/>")));
    assert_ne!(of_xml(&with("<a><b/></a>")), of_xml(&with("<a/><b/>")));
    assert_ne!(of_xml(&with("<a b='c'/>")), of_xml(&with("<a>bc</a>")));
    assert_ne!(
        of_xml(&with("<a b='c' d='e'/>")),
        of_xml(&with("<a b='e' d='c'/>"))
    );
}
