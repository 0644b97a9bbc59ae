//! The codec against independent readers: prost decodes what it writes and writes what it decodes, quick-xml judges
//! its XML, and a model of the event knows what both must find.

mod content;
mod judge;
mod model;
mod tak;
mod tak_model;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::federated::Envelope;
use super::render;
use crate::counters::Reason;
use crate::wire::cold::{
    BinaryBlob, ContactListEntry, FederateHops, FederateProvenance, FederatedEvent, GeoEvent,
};
use crate::wire::{fig, stamp, xml};
use judge::Element;
use model::{Child, Model, Number, detail_xml};

const ID: &str = "0123456789abcdef0123456789abcdef";
const UNKNOWN: f64 = 9_999_999.0;

fn federated(xml: &str) -> Result<FederatedEvent, Reason> {
    let mut out = Vec::new();
    let event = xml::parse(xml.as_bytes())?;
    Envelope::new(ID.as_bytes()).put_event(&mut out, &event)?;
    Ok(FederatedEvent::decode(&*out).expect("prost reads what we write"))
}

/// The XML that a client gets of a message; the reason why it gets none.
fn shown(message: &[u8]) -> Result<String, Reason> {
    let message = fig::parse(message, ID.as_bytes())?;
    let event = message.event.ok_or(Reason::Incomplete)?;
    let mut checked = xml::Event::nothing();
    render::read_detail(&mut checked, &event, &mut xml::Reader::default())?;
    let mut out = Vec::new();
    let mut stamps = stamp::Writer::default();
    render::put_event(&mut out, &event, checked.detail.as_ref(), &mut stamps)?;
    Ok(String::from_utf8(out).expect("text"))
}

fn canonical(xml: &str) -> Element {
    Element::read(xml).unwrap_or_else(|error| panic!("{error}"))
}

fn first<'a>(children: &'a [Child], name: &str) -> Option<&'a Child> {
    children.iter().find(|child| child.name() == name)
}

/// What the typed fields must say of a detail, and which of its children they make superfluous (protocol reference
/// 1.7, rule 5).
#[derive(Debug, Default, PartialEq)]
struct Typed {
    track: Option<[f64; 2]>,
    battery: Option<i32>,
    precision: [String; 2],
    dests: Vec<(&'static str, String)>,
    lifted: Vec<&'static str>,
}

impl Typed {
    fn of(children: &[Child]) -> Self {
        let mut typed = Self::default();
        let only = |name| children.iter().filter(|child| child.name() == name).count() == 1;
        if let Some(Child::Track {
            speed,
            course: Some(course),
            style,
        }) = first(children, "track")
            && let (Some(fast), Some(to)) = (speed.value, course.value)
        {
            typed.track = Some([fast, to]);
            let exact = speed.canonical && course.canonical && !style.extra && !style.open;
            typed
                .lifted
                .extend((only("track") && exact).then_some("track"));
        }
        if let Some(Child::Status {
            battery,
            readiness: false,
            style,
        }) = first(children, "status")
        {
            typed.battery = battery.parse().ok();
            let exact = typed
                .battery
                .is_some_and(|level: i32| level > 0 && level.to_string() == *battery);
            let exact = exact && !style.extra && !style.open;
            typed
                .lifted
                .extend((only("status") && exact).then_some("status"));
        }
        if let Some(Child::Precision {
            source,
            altitude: Some(altitude),
            style,
        }) = first(children, "precisionlocation")
        {
            typed.precision = [source.means.clone(), altitude.means.clone()];
            let said = typed.precision.iter().all(|text| !text.is_empty());
            let exact = said && !style.extra && !style.open;
            typed
                .lifted
                .extend((only("precisionlocation") && exact).then_some("precisionlocation"));
        }
        if let Some(Child::Marti { dests, junk, style }) = first(children, "marti") {
            let known = |name: &str| name != "group";
            typed.dests = dests
                .iter()
                .filter(|(name, value)| known(name) && !value.means.is_empty())
                .map(|(name, value)| (*name, value.means.clone()))
                .collect();
            let all = !dests.is_empty() && typed.dests.len() == dests.len();
            let exact = all && !style.extra && !junk;
            typed
                .lifted
                .extend((only("marti") && exact).then_some("marti"));
        }
        typed
    }

    fn named(&self, wanted: &str) -> Vec<String> {
        let of_name = self.dests.iter().filter(|(name, _)| *name == wanted);
        of_name.map(|(_, value)| value.clone()).collect()
    }
}

/// What is given and empty is the same as not given.
fn given_texts(event: &mut Element) {
    let optional = ["access", "caveat", "releasableTo", "how"];
    (event.attributes)
        .retain(|name, value| !value.is_empty() || !optional.contains(&name.as_str()));
}

fn number_of(number: &Number) -> Option<f64> {
    Some(number.value.unwrap_or(UNKNOWN))
}

fn check_fields(model: &Model, geo: &GeoEvent) -> Result<(), TestCaseError> {
    let given = |at: usize| model.given[at].as_ref().map_or("", |value| &value.means);
    prop_assert_eq!(&geo.uid, &model.uid.means);
    prop_assert_eq!(&geo.r#type, &model.kind.means);
    prop_assert_eq!(&geo.coord_source, &model.how.means);
    prop_assert_eq!(&geo.access, given(0));
    prop_assert_eq!(&geo.caveat, given(1));
    prop_assert_eq!(&geo.releaseable_to, given(2));
    let times = [geo.send_time, geo.start_time, geo.stale_time];
    prop_assert_eq!(times, [0, 1, 2].map(|at: usize| model.times[at].1));
    let point = [geo.lat, geo.lon, geo.hae, geo.ce, geo.le];
    prop_assert_eq!(
        point,
        [0, 1, 2, 3, 4].map(|at: usize| number_of(&model.point[at]))
    );
    Ok(())
}

proptest! {
    #[test]
    fn what_prost_finds_is_what_the_event_says(model in model::model()) {
        let message = federated(&model.xml()).unwrap();
        prop_assert_eq!(&message.federate_groups, &["__ANON__"]);
        let provenance = FederateProvenance {
            federation_server_id: ID.to_owned(),
            federation_server_name: String::new(),
        };
        prop_assert_eq!(&message.federate_provenance, &[provenance]);
        let hops = FederateHops { max_hops: -1, current_hops: 1 };
        prop_assert_eq!(message.federate_hops, Some(hops));
        let geo = message.event.unwrap();
        check_fields(&model, &geo)?;
        let children = model.detail.as_deref().unwrap_or_default();
        let typed = Typed::of(children);
        prop_assert_eq!([geo.speed, geo.course], typed.track.unwrap_or_default());
        prop_assert_eq!(geo.battery, typed.battery.unwrap_or_default());
        prop_assert_eq!([&geo.ploc, &geo.palt], [&typed.precision[0], &typed.precision[1]]);
        prop_assert_eq!(&geo.ptp_uids, &typed.named("uid"));
        prop_assert_eq!(&geo.ptp_callsigns, &typed.named("callsign"));
        prop_assert_eq!(&geo.mission_names, &typed.named("mission"));
        if model.detail.is_none() {
            prop_assert_eq!(&geo.other, "");
        } else {
            let stays = children.iter().filter(|child| !typed.lifted.contains(&child.name()));
            prop_assert_eq!(canonical(&geo.other), canonical(&detail_xml(stays)));
        }
    }

    #[test]
    fn an_event_that_crossed_means_the_same(model in model::model()) {
        let before = model.xml();
        let mut message = Vec::new();
        let event = xml::parse(before.as_bytes()).unwrap();
        Envelope::new(ID.as_bytes()).put_event(&mut message, &event).unwrap();
        let after = shown(&message).unwrap();
        prop_assert!(xml::parse(after.as_bytes()).is_ok(), "{after}");
        let (mut one, mut other) = (canonical(&before), canonical(&after));
        for (name, (_, millis)) in ["time", "start", "stale"].into_iter().zip(&model.times) {
            one.attributes.remove(name);
            let crossed = other.attributes.remove(name).unwrap();
            prop_assert_eq!(stamp::read(crossed.as_bytes()), Some(*millis));
        }
        given_texts(&mut one);
        for (number, name) in model.point.iter().zip(["lat", "lon", "hae", "ce", "le"]) {
            if number.value.is_none() {
                let point = one.children.iter_mut().find(|child| child.name == "point").unwrap();
                point.attributes.insert(name.to_owned(), format!("{UNKNOWN:?}"));
            }
        }
        prop_assert_eq!(one, other, "{}\n{}", before, after);
    }

    #[test]
    fn whatever_prost_writes_is_shown_faithfully_or_refused(geo in geo_event(), envelope in envelope()) {
        let message = FederatedEvent { event: Some(geo.clone()), ..envelope };
        let Ok(xml) = shown(&message.encode_to_vec()) else {
            return Ok(());
        };
        let root = canonical(&xml);
        prop_assert!(xml::parse(xml.as_bytes()).is_ok(), "{xml}");
        let back = match federated(&xml) {
            Ok(back) => back.event.unwrap(),
            // Federation needs `how`; an event without it is shown, and goes no further.
            Err(reason) => {
                prop_assert_eq!((reason, geo.coord_source.as_str()), (Reason::Incomplete, ""));
                return Ok(());
            }
        };
        let given = canonical(if geo.other.trim().is_empty() { "<detail/>" } else { without_declaration(&geo.other) });
        let said = |name: &str| given.child(name).is_some();
        let normal = |geo: &GeoEvent| GeoEvent {
            other: String::new(),
            binary: None,
            speed: if said("track") { 0.0 } else { finite(geo.speed) },
            course: if said("track") { 0.0 } else { finite(geo.course) },
            battery: if said("status") { 0 } else { geo.battery },
            lat: Some(geo.lat.unwrap_or_default()),
            lon: Some(geo.lon.unwrap_or_default()),
            hae: Some(geo.hae.unwrap_or_default()),
            ce: Some(geo.ce.unwrap_or_default()),
            le: Some(geo.le.unwrap_or_default()),
            ptp_uids: named(&geo.ptp_uids, said("marti")),
            ptp_callsigns: named(&geo.ptp_callsigns, said("marti")),
            mission_names: named(&geo.mission_names, said("marti")),
            // One without the other stays an element of the text.
            ploc: if said("precisionlocation") || geo.palt.is_empty() { String::new() } else { geo.ploc.clone() },
            palt: if said("precisionlocation") || geo.ploc.is_empty() { String::new() } else { geo.palt.clone() },
            ..geo.clone()
        };
        prop_assert_eq!(normal(&back), normal(&geo), "{}", xml);
        // What stood in the detail still does.
        let detail = root.child("detail").cloned().unwrap_or_default();
        let mut rest = detail.children;
        for child in given.children.iter().filter(|child| child.name != "image") {
            let at = rest.iter().position(|one| one == child);
            prop_assert!(at.is_some(), "{:?} is gone from {}", child, xml);
            rest.remove(at.unwrap());
        }
        prop_assert!(rest.iter().all(|added| ["track", "status", "precisionlocation", "marti", "image"].contains(&added.name.as_str())));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in vec(any::<u8>(), 0..80), geo in geo_event(), at in any::<prop::sample::Index>()) {
        let _ = shown(&bytes);
        let mut message = FederatedEvent { event: Some(geo), ..FederatedEvent::default() }.encode_to_vec();
        let at = at.index(message.len());
        message.splice(at..at, bytes);
        let _ = shown(&message);
    }

    #[test]
    fn fields_in_their_usual_order_are_read_as_in_any_other(geo in geo_event(), edit in proptest::option::of((any::<prop::sample::Index>(), any::<u8>()))) {
        let mut usual = geo.encode_to_vec();
        if let Some((at, byte)) = edit.filter(|_| !usual.is_empty()) {
            let at = at.index(usual.len());
            usual[at] = byte;
        }
        // Behind a field that nobody knows, everything is read one by one.
        let mut other = vec![0xa0, 0x06, 0x01];
        other.extend_from_slice(&usual);
        let [usual, other] = [usual, other].map(|geo| {
            let mut message = Vec::new();
            crate::wire::proto::put_bytes(&mut message, 1, &geo);
            let read = fig::parse(&message, b"");
            format!("{:?}", read.map(|read| fig::Geo { bytes: b"", ..read.event.unwrap() }))
        });
        prop_assert_eq!(usual, other);
    }

    #[test]
    fn a_relayed_message_is_itself_and_our_mark(envelope in envelope(), geo in proptest::option::of(plain_event()), unknown in vec((100u32..2000, vec(any::<u8>(), 0..20)), 0..3)) {
        let original = FederatedEvent { event: geo, ..envelope };
        let mut message = original.encode_to_vec();
        for (number, bytes) in &unknown {
            prost::encoding::bytes::encode(*number, bytes, &mut message);
        }
        let read = fig::parse(&message, ID.as_bytes()).unwrap();
        prop_assert!(!read.seen);
        let mut out = Vec::new();
        let hops = original.federate_hops;
        let next = hops.map_or(2, |hops| hops.current_hops.saturating_add(1));
        let most = hops.map_or(-1, |hops| hops.max_hops);
        let put = Envelope::new(ID.as_bytes()).put_relayed(&mut out, &read);
        if most != -1 && next > most {
            prop_assert_eq!((put, out.len()), (Err(Reason::HopLimit), 0));
            return Ok(());
        }
        prop_assert_eq!(put, Ok(()));
        prop_assert!(out.starts_with(&message), "unknown fields and order are kept");
        let mut expected = original;
        expected.federate_provenance.push(FederateProvenance {
            federation_server_id: ID.to_owned(),
            federation_server_name: String::new(),
        });
        expected.federate_hops = Some(FederateHops { max_hops: most, current_hops: next });
        prop_assert_eq!(FederatedEvent::decode(&*out).unwrap(), expected);
        prop_assert!(fig::parse(&out, ID.as_bytes()).unwrap().seen);
    }
}

fn finite(number: f64) -> f64 {
    if number.is_finite() { number } else { 0.0 }
}

fn named(names: &[String], in_the_text: bool) -> Vec<String> {
    let given = names.iter().filter(|name| !in_the_text && !name.is_empty());
    given.cloned().collect()
}

fn without_declaration(other: &str) -> &str {
    let other = other.trim();
    match other.strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>").map_or("", |(_, rest)| rest.trim()),
        None => other,
    }
}

/// Any text: what XML forbids now and then, and white space of all kinds.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[ -~]{0,10}",
        2 => "[a-z<>&'\"\t\n\ré中😀]{0,10}",
        1 => any::<String>(),
    ]
}

fn double() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => -200.0..200.0f64,
        2 => any::<f64>().prop_filter("finite", |number| number.is_finite()),
        1 => Just(0.0),
    ]
}

fn hostile() -> impl Strategy<Value = String> {
    let fixed = [
        "<detail></detail></event><event uid='x'>",
        "<detail><![CDATA[</event>]]></detail>",
        "<detail><a></detail>",
        "<detail/><detail/>",
        "<remarks/>",
        "<?xml version='1.0'?>\n<detail><a/></detail>",
        "<!DOCTYPE a [<!ENTITY x 'y'>]><detail>&x;</detail>",
        "<detail>&lol;</detail >",
        "<detail\t>text &amp; more</detail\n>",
        "<detail a='1'/>",
        "<detail><image></image></detail>",
        "<detail><image/>x</detail>",
        "<detail><image a='b'><!-- > --></image></detail>",
        "   ",
    ];
    prop_oneof![
        proptest::sample::select(fixed.map(str::to_owned).to_vec()),
        any::<String>(),
    ]
}

fn other() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => Just(String::new()),
        4 => model::children().prop_map(|children| detail_xml(children.iter())),
        2 => hostile(),
    ]
}

/// A `GeoEvent` without oddities.
fn plain_event() -> impl Strategy<Value = GeoEvent> {
    ("[a-z]{1,9}", "[a-z-]{1,9}", double()).prop_map(|(uid, kind, lat)| GeoEvent {
        uid,
        r#type: kind,
        lat: Some(lat),
        ..GeoEvent::default()
    })
}

fn geo_event() -> impl Strategy<Value = GeoEvent> {
    let time = || prop_oneof![6 => 0i64..4_000_000_000_000, 1 => any::<i64>()];
    let point = || proptest::option::weighted(0.9, prop_oneof![20 => double(), 1 => any::<f64>()]);
    let motion = || prop_oneof![3 => Just(0.0), 3 => double(), 1 => any::<f64>()];
    let names = || prop_oneof![2 => Just(Vec::new()), 1 => vec(text(), 0..4)];
    let image =
        proptest::option::weighted(0.3, (0i32..4, vec(any::<u8>(), 0..20))).prop_map(|blob| {
            blob.map(|(kind, data)| BinaryBlob {
                r#type: kind,
                data: Bytes::from(data),
                ..BinaryBlob::default()
            })
        });
    (
        (
            time(),
            time(),
            time(),
            point(),
            point(),
            point(),
            point(),
            point(),
        ),
        (
            text(),
            text(),
            text(),
            other(),
            prop_oneof![Just(0), any::<i32>()],
        ),
        (text(), text(), motion(), motion(), image),
        (names(), names(), names(), text(), text(), text()),
    )
        .prop_map(|(one, two, three, four)| GeoEvent {
            send_time: one.0,
            start_time: one.1,
            stale_time: one.2,
            lat: one.3,
            lon: one.4,
            hae: one.5,
            ce: one.6,
            le: one.7,
            uid: two.0,
            r#type: two.1,
            coord_source: two.2,
            other: two.3,
            battery: two.4,
            ploc: three.0,
            palt: three.1,
            speed: three.2,
            course: three.3,
            binary: three.4,
            ptp_uids: four.0,
            ptp_callsigns: four.1,
            mission_names: four.2,
            access: four.3,
            caveat: four.4,
            releaseable_to: four.5,
            ..GeoEvent::default()
        })
}

/// What may stand around an event.
fn envelope() -> impl Strategy<Value = FederatedEvent> {
    let number = || prop_oneof![3 => -2i64..6, 1 => any::<i64>()];
    let hops = proptest::option::of((number(), number()));
    let passed = vec("[0-9a-f]{1,31}", 0..3);
    let contact = proptest::option::of((0i32..6, "[a-z]{0,5}", "[a-z]{0,5}"));
    (hops, passed, contact, vec("[a-z]{0,5}", 0..3)).prop_map(|(hops, passed, contact, groups)| {
        let node = |federation_server_id| FederateProvenance {
            federation_server_id,
            federation_server_name: String::new(),
        };
        FederatedEvent {
            event: None,
            contact: contact.map(|(operation, uid, callsign)| ContactListEntry {
                operation,
                uid,
                callsign,
                ..ContactListEntry::default()
            }),
            federate_groups: groups,
            federate_provenance: passed.into_iter().map(node).collect(),
            federate_hops: hops.map(|(max_hops, current_hops)| FederateHops {
                max_hops,
                current_hops,
            }),
            federate_group_hop_limits: None,
        }
    })
}
