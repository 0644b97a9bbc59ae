//! `TakMessage` against prost, and against XML and `GeoEvent`.

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::model::{self, Child, detail_xml};
use super::tak_model::{Pair, Status, TakDetail, TakMessage, Takv, Track, elements, tak_message};
use super::{UNKNOWN, canonical, federated, geo_event, given_texts};
use crate::cot::federated::Envelope;
use crate::cot::patch::Times;
use crate::cot::render;
use crate::cot::tak::{self, from_geo, read_detail, to_geo};
use crate::counters::Reason;
use crate::wire::cold::{FederatedEvent, GeoEvent};
use crate::wire::{fig, stamp, tak as wire, xml};

/// The `TakMessage` of an event in XML.
fn of_xml(text: &str) -> Result<Vec<u8>, Reason> {
    let mut out = Vec::new();
    tak::encode::put_event(&mut out, &xml::parse(text.as_bytes())?)?;
    Ok(out)
}

/// The XML of a `TakMessage`.
fn to_xml(message: &[u8]) -> Result<String, Reason> {
    let message = wire::parse(message)?;
    let event = message.event.ok_or(Reason::Incomplete)?;
    let (mut room, mut shown) = (Vec::new(), xml::Event::nothing());
    read_detail(&mut shown, &event, &mut room, &mut xml::Reader::default())?;
    let (mut out, mut stamps) = (Vec::new(), stamp::Writer::default());
    tak::render::put_event(&mut out, &event, shown.detail.as_ref(), &mut stamps)?;
    Ok(String::from_utf8(out).expect("text"))
}

/// The `FederatedEvent` of a `TakMessage`.
fn to_federated(message: &[u8]) -> Result<Vec<u8>, Reason> {
    let message = wire::parse(message)?;
    let event = message.event.ok_or(Reason::Incomplete)?;
    let (mut room, mut shown) = (Vec::new(), xml::Event::nothing());
    read_detail(&mut shown, &event, &mut room, &mut xml::Reader::default())?;
    let mut out = Vec::new();
    to_geo::put_event(&mut out, 1, &event, shown.detail.as_ref(), b"")?;
    Ok(out)
}

/// The `TakMessage` of a `FederatedEvent`.
fn of_federated(message: &[u8]) -> Result<Vec<u8>, Reason> {
    let message = fig::parse(message, b"")?;
    let event = message.event.ok_or(Reason::Incomplete)?;
    let mut checked = xml::Event::nothing();
    render::read_detail(&mut checked, &event, &mut xml::Reader::default())?;
    let mut out = Vec::new();
    from_geo::put_event(&mut out, &event, checked.detail.as_ref())?;
    Ok(out)
}

/// What typed fields must say of a detail (protocol reference 6.2), and which children stay.
fn typed(children: &[Child]) -> (TakDetail, Vec<&Child>) {
    let mut detail = TakDetail::default();
    let mut stays = Vec::new();
    for child in children {
        let twice = children
            .iter()
            .filter(|other| other.name() == child.name())
            .count()
            > 1;
        let fields = &mut detail;
        let lifted = !twice && lift(child, fields).is_some();
        if !lifted {
            stays.push(child);
        }
    }
    (detail, stays)
}

fn lift(child: &Child, detail: &mut TakDetail) -> Option<()> {
    match child {
        Child::Named { style, .. }
        | Child::Track { style, .. }
        | Child::Status { style, .. }
        | Child::Precision { style, .. }
            if style.extra || style.open =>
        {
            return None;
        }
        _ => {}
    }
    match child {
        Child::Named {
            name, attributes, ..
        } => {
            let value = |wanted| {
                let found = attributes.iter().find(|(name, _)| *name == wanted);
                found.map(|(_, value)| value.means.clone())
            };
            match *name {
                "contact" => {
                    let endpoint = value("endpoint");
                    if endpoint.as_deref() == Some("") {
                        return None;
                    }
                    detail.contact = Some(Pair {
                        one: endpoint.unwrap_or_default(),
                        two: value("callsign")?,
                    });
                }
                "__group" => {
                    detail.group = Some(Pair {
                        one: value("name")?,
                        two: value("role")?,
                    });
                }
                _ => {
                    detail.takv = Some(Takv {
                        device: value("device")?,
                        platform: value("platform")?,
                        os: value("os")?,
                        version: value("version")?,
                    });
                }
            }
        }
        Child::Track { speed, course, .. } => {
            detail.track = Some(Track {
                speed: speed.value?,
                course: course.as_ref()?.value?,
            });
        }
        Child::Status {
            battery,
            readiness: false,
            ..
        } => {
            let level: u32 = battery.parse().ok()?;
            if level.to_string() != *battery {
                return None;
            }
            detail.status = Some(Status { battery: level });
        }
        Child::Precision {
            source, altitude, ..
        } => {
            detail.precision = Some(Pair {
                one: source.means.clone(),
                two: altitude.as_ref()?.means.clone(),
            });
        }
        _ => return None,
    }
    Some(())
}

/// An altitude or error, as it stands in protobuf.
fn error(value: Option<f64>) -> f64 {
    match value {
        Some(value) if value < 999_999.0 => value,
        _ => 999_999.0,
    }
}

#[test]
fn attributes_of_the_next_tag_are_no_takv() {
    let event = "<event version='2.0' uid='a' type='a-f-G' how='m-g' time='2026-01-01T00:00:00Z' \
                 start='2026-01-01T00:00:00Z' stale='2026-01-01T00:01:00Z'><point lat='0' lon='0' hae='0' ce='0' \
                 le='0'/><detail><takv></takv>REST</detail></event>";
    for rest in [
        "<takv device='' platform='' os='' version=''/>",
        "<x device='a' platform='b' os='c' version='d'/>",
    ] {
        let before = event.replace("REST", rest);
        let message = TakMessage::decode(&*of_xml(&before).unwrap()).expect("a message");
        let detail = message.event.unwrap().detail.unwrap();
        assert_eq!(detail.takv, None);
        assert_eq!(detail.xml, format!("<takv></takv>{rest}"));
    }
}

proptest! {
    #[test]
    fn what_prost_finds_in_a_tak_message_is_what_the_event_says(model in model::model()) {
        let message = TakMessage::decode(&*of_xml(&model.xml()).unwrap()).expect("prost reads what we write");
        prop_assert_eq!((&message.control, message.submission_time, message.creation_time), (&None, 0, 0));
        let event = message.event.unwrap();
        let given = |at: usize| model.given[at].as_ref().map_or("", |value| &value.means);
        prop_assert_eq!([&event.uid, &event.kind, &event.how], [&model.uid.means, &model.kind.means, &model.how.means]);
        prop_assert_eq!([&*event.access, &event.caveat, &event.releaseable_to], [given(0), given(1), given(2)]);
        let times = [event.send_time, event.start_time, event.stale_time].map(|time| time as i64);
        prop_assert_eq!(times, [0, 1, 2].map(|at: usize| model.times[at].1));
        let [lat, lon, hae, ce, le] = &model.point;
        let place = [lat.value.unwrap(), lon.value.unwrap(), hae.value.unwrap_or(UNKNOWN), error(ce.value), error(le.value)];
        prop_assert_eq!([event.lat, event.lon, event.hae, event.ce, event.le], place);
        let Some(children) = &model.detail else {
            prop_assert_eq!(event.detail, None);
            return Ok(());
        };
        let (mut expected, stays) = typed(children);
        let detail = event.detail.unwrap();
        let text = format!("<detail>{}</detail>", detail.xml);
        prop_assert_eq!(canonical(&text), canonical(&detail_xml(stays.into_iter())), "{}", model.xml());
        expected.xml.clone_from(&detail.xml);
        prop_assert_eq!(detail, expected);
    }

    #[test]
    fn an_event_that_was_a_tak_message_means_the_same(model in model::model()) {
        let before = model.xml();
        let after = to_xml(&of_xml(&before).unwrap()).unwrap();
        prop_assert!(xml::parse(after.as_bytes()).is_ok(), "{after}");
        let (mut one, mut other) = (canonical(&before), canonical(&after));
        for (name, (_, millis)) in ["time", "start", "stale"].into_iter().zip(&model.times) {
            one.attributes.remove(name);
            let crossed = other.attributes.remove(name).unwrap();
            prop_assert_eq!(stamp::read(crossed.as_bytes()), Some(*millis));
        }
        given_texts(&mut one);
        for (number, name) in model.point.iter().zip(["lat", "lon", "hae", "ce", "le"]) {
            let value = match (name, number.value) {
                ("ce" | "le", value) if error(value) == 999_999.0 => UNKNOWN,
                ("hae", Some(999_999.0)) => UNKNOWN,
                (_, value) => value.unwrap_or(UNKNOWN),
            };
            let point = one.children.iter_mut().find(|child| child.name == "point").unwrap();
            point.attributes.insert(name.to_owned(), format!("{value:?}"));
        }
        prop_assert_eq!(one, other, "{}\n{}", before, after);
    }

    #[test]
    fn by_way_of_a_tak_message_a_federate_is_told_the_same(model in model::model()) {
        let straight = federated(&model.xml()).unwrap().event.unwrap();
        let round = to_federated(&of_xml(&model.xml()).unwrap()).unwrap();
        let round = FederatedEvent::decode(&*round).unwrap().event.unwrap();
        prop_assert_eq!(without_other(&round), without_other(&straight), "{}", model.xml());
        prop_assert_eq!(of_other(&round), of_other(&straight), "{}", model.xml());
    }

    #[test]
    fn what_a_federate_says_comes_back_from_a_tak_message(geo in geo_event()) {
        let message = FederatedEvent { event: Some(geo.clone()), ..FederatedEvent::default() };
        let bytes = message.encode_to_vec();
        let Ok(shown) = super::shown(&bytes) else {
            prop_assert!(of_federated(&bytes).is_err() || geo.send_time.min(geo.start_time).min(geo.stale_time) >= 0);
            return Ok(());
        };
        let tak = match of_federated(&bytes) {
            Ok(tak) => tak,
            Err(reason) => {
                prop_assert_eq!(reason, Reason::BadTime);
                prop_assert!([geo.send_time, geo.start_time, geo.stale_time].iter().any(|&time| time < 0));
                return Ok(());
            }
        };
        TakMessage::decode(&*tak).expect("prost reads what we write");
        let (mut one, mut other) = (canonical(&shown), canonical(&to_xml(&tak).unwrap()));
        // A detail without attributes of its own, numbers as protobuf knows them, and no empty `how`.
        given_texts(&mut one);
        given_texts(&mut other);
        for element in [&mut one, &mut other] {
            for child in &mut element.children {
                if child.name == "detail" {
                    child.attributes.clear();
                }
                for (name, value) in &mut child.attributes {
                    let number: f64 = value.parse().unwrap_or_default();
                    if child.name == "point" && (["ce", "le"].contains(&name.as_str()) && number >= 999_999.0 || name == "hae" && number == 999_999.0) {
                        *value = format!("{UNKNOWN:?}");
                    }
                }
            }
        }
        prop_assert_eq!(one, other, "{}\n{:?}", shown, geo);
    }

    #[test]
    fn whatever_prost_writes_as_a_tak_message_is_shown_faithfully_or_refused(message in tak_message()) {
        let bytes = message.encode_to_vec();
        let Ok(shown) = to_xml(&bytes) else {
            return Ok(());
        };
        prop_assert!(xml::parse(shown.as_bytes()).is_ok(), "{shown}");
        let event = message.event.unwrap();
        let root = canonical(&shown);
        let attribute = |name: &str| root.attributes.get(name).map_or("", String::as_str);
        for (name, value) in [("uid", &event.uid), ("type", &event.kind), ("how", &event.how), ("access", &event.access),
            ("qos", &event.qos), ("opex", &event.opex), ("caveat", &event.caveat), ("releasableTo", &event.releaseable_to)]
        {
            prop_assert_eq!(attribute(name), value);
        }
        for (name, value) in [("time", event.send_time), ("start", event.start_time), ("stale", event.stale_time)] {
            prop_assert_eq!(stamp::read(attribute(name).as_bytes()).unwrap_or(0), value as i64);
        }
        let Some(detail) = &event.detail else {
            prop_assert_eq!(root.child("detail"), None);
            return Ok(());
        };
        // All that the text says is there, and of the typed fields those that it says nothing of.
        let text = canonical(&format!("<detail>{}</detail>", detail.xml));
        let came = root.children.iter().find(|child| child.name == "detail").unwrap();
        prop_assert_eq!(&came.text, &text.text);
        let said = |name: &str| text.children.iter().any(|child| child.name == name);
        let mut expected = text.children.clone();
        for (name, typed) in elements(detail) {
            if !said(name) {
                expected.push(canonical(&typed));
            }
        }
        expected.sort();
        prop_assert_eq!(&came.children, &expected, "{}", shown);
    }

    #[test]
    fn no_bytes_make_the_reader_of_tak_messages_panic(bytes in vec(any::<u8>(), 0..80), message in tak_message(), at in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>()) {
        let _ = to_xml(&bytes);
        let mut message = message.encode_to_vec();
        let _ = to_federated(&message[..cut.index(message.len() + 1)]);
        let at = at.index(message.len() + 1);
        message.splice(at..at, bytes);
        let _ = (to_xml(&message), to_federated(&message));
    }

    #[test]
    fn corrected_times_are_appended_and_nothing_else_changes(message in tak_message(), times in proptest::array::uniform3(0i64..4_000_000_000_000), unknown in vec((100u32..2000, vec(any::<u8>(), 0..20)), 0..3)) {
        let mut bytes = message.encode_to_vec();
        for (number, content) in &unknown {
            prost::encoding::bytes::encode(*number, content, &mut bytes);
        }
        let Some(before) = wire::parse(&bytes).ok().and_then(|read| read.event) else {
            return Ok(());
        };
        let said = [before.time, before.start, before.stale];
        let moved: [Option<i64>; 3] = std::array::from_fn(|at| said[at].map(|_| times[at]));
        let mut after = bytes.clone();
        after.extend_from_slice(Times::of_tak(moved).bytes());
        let read = wire::parse(&after).unwrap().event.unwrap();
        prop_assert_eq!([read.time, read.start, read.stale], moved);
        prop_assert_eq!(read.bytes, before.bytes, "by which it is known again");
        let mut expected = message.event.clone().unwrap();
        let number = |at: usize, was: u64| moved[at].map_or(was, |time| time as u64);
        expected.send_time = number(0, expected.send_time);
        expected.start_time = number(1, expected.start_time);
        expected.stale_time = number(2, expected.stale_time);
        prop_assert_eq!(TakMessage::decode(&*after).unwrap(), TakMessage { event: Some(expected), ..message });
    }
}

fn without_other(geo: &GeoEvent) -> GeoEvent {
    let error =
        |value: Option<f64>| value.map(|value| if value >= 999_999.0 { UNKNOWN } else { value });
    let height =
        |value: Option<f64>| value.map(|value| if value == 999_999.0 { UNKNOWN } else { value });
    GeoEvent {
        other: String::new(),
        hae: height(geo.hae),
        ce: error(geo.ce),
        le: error(geo.le),
        ..geo.clone()
    }
}

/// Its text by meaning. Numbers that the text spelled in a way of its own are typed in between, and so typed here too.
fn of_other(geo: &GeoEvent) -> Option<super::judge::Element> {
    let mut other = canonical(Some(geo.other.as_str()).filter(|other| !other.is_empty())?);
    let numbers = [format!("{:?}", geo.speed), format!("{:?}", geo.course)];
    let lone = other
        .children
        .iter()
        .filter(|child| child.name == "track")
        .count()
        == 1;
    other.children.retain(|child| {
        let said = ["speed", "course"].map(|name| child.attributes.get(name));
        !(lone
            && child.name == "track"
            && child.attributes.len() == 2
            && said == numbers.each_ref().map(Some))
    });
    Some(other)
}

#[test]
fn the_envelope_is_the_same_for_both_forms() {
    let event = "<event version='2.0' uid='u' type='t-x-d-d' how='m-g' time='2026-01-01T00:00:00Z' start='2026-01-01T00:00:00Z' \
        stale='2026-01-01T00:01:00Z'><point lat='1' lon='2' hae='3' ce='4' le='5'/><detail><link uid='x' type='y'/></detail></event>";
    let straight = federated(event).unwrap();
    let message = of_xml(event).unwrap();
    let read = wire::parse(&message).unwrap();
    let said = read.event.unwrap();
    let (mut room, mut shown) = (Vec::new(), xml::Event::nothing());
    read_detail(&mut shown, &said, &mut room, &mut xml::Reader::default()).unwrap();
    let mut out = Vec::new();
    Envelope::new(super::ID.as_bytes())
        .put_tak_event(&mut out, &said, shown.detail.as_ref())
        .unwrap();
    assert_eq!(FederatedEvent::decode(&*out).unwrap(), straight);
}
