//! CoT XML as a datagram of TAK protocol v1, written here from protocol reference 6.2 alone.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct TakMessage {
    #[prost(message, optional, tag = "2")]
    event: Option<CotEvent>,
}

#[derive(Clone, PartialEq, Message)]
struct CotEvent {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "5")]
    uid: String,
    #[prost(uint64, tag = "6")]
    send_time: u64,
    #[prost(uint64, tag = "7")]
    start_time: u64,
    #[prost(uint64, tag = "8")]
    stale_time: u64,
    #[prost(string, tag = "9")]
    how: String,
    #[prost(double, tag = "10")]
    lat: f64,
    #[prost(double, tag = "11")]
    lon: f64,
    #[prost(double, tag = "12")]
    hae: f64,
    #[prost(double, tag = "13")]
    ce: f64,
    #[prost(double, tag = "14")]
    le: f64,
    #[prost(message, optional, tag = "15")]
    detail: Option<Detail>,
}

#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    xml: String,
}

/// The datagram; children of `<detail>` stay text.
pub fn tak_datagram(xml: &str) -> Vec<u8> {
    let attribute = |name: &str| -> &str {
        let (_, rest) = xml.split_once(&format!(" {name}=\"")).unwrap_or_default();
        rest.split('"').next().unwrap_or_default()
    };
    let number = |name| attribute(name).parse().unwrap_or_default();
    let time = |name| {
        let format = &time::format_description::well_known::Rfc3339;
        let time = time::OffsetDateTime::parse(attribute(name), format).expect("a time");
        u64::try_from(time.unix_timestamp_nanos() / 1_000_000).expect("after 1970")
    };
    let (_, rest) = xml.split_once("<detail>").expect("a detail");
    let (children, _) = rest.split_once("</detail>").expect("its end");
    let message = TakMessage {
        event: Some(CotEvent {
            kind: attribute("type").into(),
            uid: attribute("uid").into(),
            send_time: time("time"),
            start_time: time("start"),
            stale_time: time("stale"),
            how: attribute("how").into(),
            lat: number("lat"),
            lon: number("lon"),
            hae: number("hae"),
            ce: number("ce"),
            le: number("le"),
            detail: Some(Detail {
                xml: children.into(),
            }),
        }),
    };
    [&[0xbf, 1, 0xbf][..], &message.encode_to_vec()].concat()
}
