//! `TakMessage` for prost: its fields by protocol reference 6.2, what its typed fields say as elements, and arbitrary ones.

use proptest::prelude::*;
use prost::Message;

use super::model::{self, Child};
use super::{text, without_declaration};

/// The messages of protocol reference 6.2, for prost.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TakMessage {
    #[prost(message, optional, tag = "1")]
    pub(super) control: Option<TakControl>,
    #[prost(message, optional, tag = "2")]
    pub(super) event: Option<CotEvent>,
    #[prost(uint64, tag = "3")]
    pub(super) submission_time: u64,
    #[prost(uint64, tag = "4")]
    pub(super) creation_time: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TakControl {
    #[prost(uint32, tag = "1")]
    pub(super) least: u32,
    #[prost(uint32, tag = "2")]
    pub(super) most: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct CotEvent {
    #[prost(string, tag = "1")]
    pub(super) kind: String,
    #[prost(string, tag = "2")]
    pub(super) access: String,
    #[prost(string, tag = "3")]
    pub(super) qos: String,
    #[prost(string, tag = "4")]
    pub(super) opex: String,
    #[prost(string, tag = "5")]
    pub(super) uid: String,
    #[prost(uint64, tag = "6")]
    pub(super) send_time: u64,
    #[prost(uint64, tag = "7")]
    pub(super) start_time: u64,
    #[prost(uint64, tag = "8")]
    pub(super) stale_time: u64,
    #[prost(string, tag = "9")]
    pub(super) how: String,
    #[prost(double, tag = "10")]
    pub(super) lat: f64,
    #[prost(double, tag = "11")]
    pub(super) lon: f64,
    #[prost(double, tag = "12")]
    pub(super) hae: f64,
    #[prost(double, tag = "13")]
    pub(super) ce: f64,
    #[prost(double, tag = "14")]
    pub(super) le: f64,
    #[prost(message, optional, tag = "15")]
    pub(super) detail: Option<TakDetail>,
    #[prost(string, tag = "16")]
    pub(super) caveat: String,
    #[prost(string, tag = "17")]
    pub(super) releaseable_to: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TakDetail {
    #[prost(string, tag = "1")]
    pub(super) xml: String,
    #[prost(message, optional, tag = "2")]
    pub(super) contact: Option<Pair>,
    #[prost(message, optional, tag = "3")]
    pub(super) group: Option<Pair>,
    #[prost(message, optional, tag = "4")]
    pub(super) precision: Option<Pair>,
    #[prost(message, optional, tag = "5")]
    pub(super) status: Option<Status>,
    #[prost(message, optional, tag = "6")]
    pub(super) takv: Option<Takv>,
    #[prost(message, optional, tag = "7")]
    pub(super) track: Option<Track>,
}

/// `Contact` (endpoint, callsign), `Group` (name, role) and `PrecisionLocation` (geopointsrc, altsrc).
#[derive(Clone, PartialEq, Message)]
pub(super) struct Pair {
    #[prost(string, tag = "1")]
    pub(super) one: String,
    #[prost(string, tag = "2")]
    pub(super) two: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Status {
    #[prost(uint32, tag = "1")]
    pub(super) battery: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Takv {
    #[prost(string, tag = "1")]
    pub(super) device: String,
    #[prost(string, tag = "2")]
    pub(super) platform: String,
    #[prost(string, tag = "3")]
    pub(super) os: String,
    #[prost(string, tag = "4")]
    pub(super) version: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Track {
    #[prost(double, tag = "1")]
    pub(super) speed: f64,
    #[prost(double, tag = "2")]
    pub(super) course: f64,
}

/// The elements that typed fields say.
pub(super) fn elements(detail: &TakDetail) -> Vec<(&'static str, String)> {
    let attribute = |name: &str, value: &str| {
        let value = value
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('"', "&quot;");
        let value = value
            .replace('\t', "&#9;")
            .replace('\n', "&#10;")
            .replace('\r', "&#13;");
        format!(" {name}=\"{value}\"")
    };
    let mut all = Vec::new();
    if let Some(Pair { one, two }) = &detail.contact {
        let endpoint = if one.is_empty() {
            String::new()
        } else {
            attribute("endpoint", one)
        };
        all.push((
            "contact",
            format!("<contact{}{endpoint}/>", attribute("callsign", two)),
        ));
    }
    if let Some(Pair { one, two }) = &detail.group {
        all.push((
            "__group",
            format!(
                "<__group{}{}/>",
                attribute("name", one),
                attribute("role", two)
            ),
        ));
    }
    if let Some(Pair { one, two }) = &detail.precision {
        let text = format!(
            "<precisionlocation{}{}/>",
            attribute("geopointsrc", one),
            attribute("altsrc", two)
        );
        all.push(("precisionlocation", text));
    }
    if let Some(Status { battery }) = &detail.status {
        all.push(("status", format!("<status battery='{battery}'/>")));
    }
    if let Some(takv) = &detail.takv {
        let names = [
            ("device", &takv.device),
            ("platform", &takv.platform),
            ("os", &takv.os),
            ("version", &takv.version),
        ];
        let attributes: String = names.map(|(name, value)| attribute(name, value)).concat();
        all.push(("takv", format!("<takv{attributes}/>")));
    }
    if let Some(Track { speed, course }) = &detail.track {
        all.push((
            "track",
            format!("<track speed='{speed:?}' course='{course:?}'/>"),
        ));
    }
    all
}

/// Any message.
pub(super) fn tak_message() -> BoxedStrategy<TakMessage> {
    let time = || prop_oneof![6 => 0u64..4_000_000_000_000, 1 => any::<u64>()];
    // prost leaves a zero out, whatever its sign.
    let double = || super::double().prop_map(|number| number + 0.0);
    let pair = || proptest::option::of((text(), text()).prop_map(|(one, two)| Pair { one, two }));
    let xml = prop_oneof![
        2 => Just(String::new()),
        4 => model::children().prop_map(|children| children.iter().map(Child::xml).collect()),
        1 => super::other().prop_map(|other| without_declaration(&other).to_owned()),
        1 => proptest::sample::select(vec!["text", "<a/></detail><detail>", "<!-- <track/> --><x><takv/></x>", "<![CDATA[<contact/>]]>", "<event/>", "<contact", "<detail/>"]).prop_map(str::to_owned),
    ]
    .boxed();
    let takv = proptest::option::of((text(), text(), text(), text()).prop_map(
        |(device, platform, os, version)| Takv {
            device,
            platform,
            os,
            version,
        },
    ));
    let status = proptest::option::of(any::<u32>().prop_map(|battery| Status { battery }));
    let track = proptest::option::of(
        (double(), double()).prop_map(|(speed, course)| Track { speed, course }),
    );
    let detail = (xml, pair(), pair(), pair(), status, takv, track)
        .prop_map(
            |(xml, contact, group, precision, status, takv, track)| TakDetail {
                xml,
                contact,
                group,
                precision,
                status,
                takv,
                track,
            },
        )
        .boxed();
    let control = proptest::option::of(
        (0u32..3, any::<u32>()).prop_map(|(least, most)| TakControl { least, most }),
    );
    let texts = (
        text(),
        text(),
        text(),
        text(),
        text(),
        text(),
        text(),
        text(),
    )
        .boxed();
    let numbers = (
        time(),
        time(),
        time(),
        double(),
        double(),
        double(),
        double(),
        double(),
    );
    let rest = (
        proptest::option::weighted(0.9, detail),
        control,
        any::<u64>(),
        any::<u64>(),
    );
    (texts, numbers.boxed(), rest.boxed())
        .prop_map(|(texts, numbers, rest)| TakMessage {
            control: rest.1,
            submission_time: rest.2,
            creation_time: rest.3,
            event: Some(CotEvent {
                kind: texts.0,
                access: texts.1,
                qos: texts.2,
                opex: texts.3,
                uid: texts.4,
                how: texts.5,
                caveat: texts.6,
                releaseable_to: texts.7,
                send_time: numbers.0,
                start_time: numbers.1,
                stale_time: numbers.2,
                lat: numbers.3,
                lon: numbers.4,
                hae: numbers.5,
                ce: numbers.6,
                le: numbers.7,
                detail: rest.0,
            }),
        })
        .boxed()
}
