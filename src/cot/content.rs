//! What an event says, as one number that is the same in each of its wire forms: CoT XML, `GeoEvent`, `TakMessage`.
//!
//! A mesh or a TAK server hands a box its own events back, written anew by somebody else. By these numbers they are known
//! again. Plain boxes go by a hash of the bytes, which costs less; nobody goes by the uid alone.
//!
//! What is compared, and what is not, because bridges change it on the way:
//!
//! - uid, type, how; time, start and stale in whole seconds, because TAK Server cuts off the rest (protocol reference 1.8);
//! - the point as numbers; a height or an error from 999999 on is an unknown one (protocol reference 7, 36);
//! - the children of `<detail>` in any order, their attributes in any order, empty attributes as if they were not there.
//!   Within a child, elements count in their order, and text without its white space. Comments do not count;
//! - of `<track>` speed and course, of `<status>` battery and readiness, of `<precisionlocation>` its two sources: wherever
//!   they stand, the first that says something counts. Zeros say nothing: TAK Server invents them (protocol reference 1.8, 3);
//! - of `<marti>` who is addressed, wherever that stands;
//! - not `<_flow-tags_>`, `<__serverdestination>` and `contact@endpoint`, which speak of the way and not of the thing; not
//!   what is in an `<image>`, which TAK Server empties; nor access, caveat and releasableTo, for which some have no place.

mod hash;
mod tokens;

use crate::wire::fig::{Addressee, Geo};
use crate::wire::number;
use crate::wire::tak;
use crate::wire::text;
use crate::wire::xml::{Detail, Event, Named, destinations};
use hash::Hash;
pub use tokens::Spelled;
use tokens::{Attribute, Attributes, Token, Tokens};

/// From here on a height or an error is an unknown one.
const UNKNOWN_FROM: f64 = 999_999.0;

/// An event, taken apart alike whatever form it came in.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// How `uid`, `kind` and `how` are spelled. Strings of `typed` are always meant as they stand.
    pub spelled: Spelled,
    /// `event@uid`
    pub uid: &'a [u8],
    /// `event@type`
    pub kind: &'a [u8],
    /// `event@how`
    pub how: &'a [u8],
    /// Time, start and stale, milliseconds since 1970.
    pub times: [i64; 3],
    /// Latitude, longitude, height, circular and linear error.
    pub point: [f64; 5],
    /// The children of `<detail>` as checked XML, without the element around them.
    pub children: &'a [u8],
    /// What fields of the message say beside that text.
    pub typed: Typed<'a>,
}

/// Children of `<detail>` that travel as fields. An empty string says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Typed<'a> {
    /// `track@speed`, `track@course`
    pub track: Option<[f64; 2]>,
    /// `status@battery`
    pub battery: Option<i64>,
    /// `precisionlocation@geopointsrc`, `precisionlocation@altsrc`
    pub precision: [&'a [u8]; 2],
    /// `contact@callsign`
    pub callsign: &'a [u8],
    /// `__group@name`, `__group@role`
    pub group: [&'a [u8]; 2],
    /// `takv@device`, `takv@platform`, `takv@os`, `takv@version`
    pub takv: [&'a [u8]; 4],
}

/// What an event in XML says; `seed` is the box's secret, so that nobody can make two that look the same.
pub fn of_xml(seed: u64, event: &Event<'_>) -> u64 {
    let point = event.point.unwrap_or_default();
    let number = |raw, instead| number::read(raw).unwrap_or(instead);
    let time = |time: Option<i64>| time.unwrap_or(i64::MIN);
    let parts = Parts {
        spelled: Spelled::Raw,
        uid: event.uid,
        kind: event.kind,
        how: event.how,
        times: [time(event.time), time(event.start), time(event.stale)],
        point: [
            number(point.lat, 0.0),
            number(point.lon, 0.0),
            number(point.hae, UNKNOWN_FROM),
            number(point.ce, UNKNOWN_FROM),
            number(point.le, UNKNOWN_FROM),
        ],
        children: children_of(event.detail.as_ref()),
        typed: Typed::default(),
    };
    of_parts(seed, &parts, std::iter::empty())
}

/// What a `GeoEvent` says; `detail` is what [`super::render::read_detail`] noted of its text.
pub fn of_geo(seed: u64, event: &Geo<'_>, detail: Option<&Detail<'_>>) -> u64 {
    let parts = Parts {
        spelled: Spelled::Meant,
        uid: event.uid,
        kind: event.kind,
        how: event.how,
        times: [event.time, event.start, event.stale],
        point: event.point,
        children: children_of(detail),
        typed: Typed {
            track: match (event.speed, event.course) {
                (None, None) => None,
                (speed, course) => Some([speed.unwrap_or(0.0), course.unwrap_or(0.0)]),
            },
            battery: event.battery.map(i64::from),
            precision: [event.ploc, event.palt],
            ..Typed::default()
        },
    };
    of_parts(seed, &parts, event.destinations())
}

/// What the event of a `TakMessage` says. Its text must be checked, or what comes out means nothing.
pub fn of_tak(seed: u64, event: &tak::Event<'_>) -> u64 {
    let detail = event.detail.unwrap_or_default();
    let time = |time: Option<i64>| time.unwrap_or(i64::MIN);
    let parts = Parts {
        spelled: Spelled::Meant,
        uid: event.uid,
        kind: event.kind,
        how: event.how,
        times: [time(event.time), time(event.start), time(event.stale)],
        point: event.point,
        children: detail.xml,
        typed: Typed {
            track: detail.track,
            battery: detail.battery.map(i64::from),
            precision: detail.precision.unwrap_or_default(),
            callsign: detail.contact.unwrap_or_default()[0],
            group: detail.group.unwrap_or_default(),
            takv: detail.takv.unwrap_or_default(),
        },
    };
    of_parts(seed, &parts, std::iter::empty())
}

/// What an event says that was taken apart; `addressees` are those that stand in fields.
pub fn of_parts<'a>(
    seed: u64,
    parts: &Parts<'_>,
    addressees: impl Iterator<Item = Addressee<'a>>,
) -> u64 {
    let mut hash = Hash::new(seed);
    for text in [parts.uid, parts.kind, parts.how] {
        hash.text(text, parts.spelled);
        hash.end();
    }
    for time in parts.times {
        hash.word(time.div_euclid(1000).cast_unsigned());
    }
    let [lat, lon, ..] = parts.point;
    hash.number(lat);
    hash.number(lon);
    for number in &parts.point[2..] {
        hash.number(number.min(UNKNOWN_FROM));
    }
    let mut found = Found::default();
    let said = children(seed, parts.children, &mut found);
    hash.word(said.wrapping_add(lifted(seed, &parts.typed, &found)));
    own_places(&mut hash, seed, &parts.typed, &found);
    hash.word(match found.marti {
        Some(addressed) => addressed,
        None => addressed(seed, addressees),
    });
    hash.finish()
}

/// What stands between the tags of a checked `<detail>`.
fn children_of<'a>(detail: Option<&Detail<'a>>) -> &'a [u8] {
    let bytes = detail.map_or(&b""[..], |detail| detail.bytes);
    let mut tokens = Tokens::new(bytes);
    match tokens.next() {
        Some(Token::Open { .. }) if !tokens.is_empty_element() => tokens.rest(),
        _ => &[],
    }
}

/// What is taken from children that have a place of their own.
#[derive(Debug, Default)]
struct Found {
    track: Option<[f64; 2]>,
    battery: Option<i64>,
    /// Its two sources.
    precision: Option<u64>,
    marti: Option<u64>,
    contact: bool,
    group: bool,
    takv: bool,
}

/// All children, in whatever order they stand.
fn children(seed: u64, bytes: &[u8], found: &mut Found) -> u64 {
    let mut tokens = Tokens::new(bytes);
    let mut sum = 0u64;
    while let Some(token) = tokens.next() {
        let Token::Open { name, attributes } = token else {
            // Text between children is layout; an end tag is that of `<detail>`.
            continue;
        };
        let value = |wanted: &[u8]| {
            let mut all = attributes;
            let same = |attribute: &Attribute<'_>| attribute.name == wanted;
            all.find(same).map_or(&b""[..], |attribute| attribute.value)
        };
        match name {
            b"track" => {
                let read = |raw| number::read(raw).unwrap_or(0.0);
                let track = [read(value(b"speed")), read(value(b"course"))];
                if track != [0.0; 2] {
                    found.track.get_or_insert(track);
                }
                tokens.skip_element();
            }
            b"status" => {
                let battery = text::as_str(value(b"battery")).and_then(|raw| raw.parse().ok());
                if let Some(battery) = battery.filter(|&battery: &i32| battery != 0) {
                    found.battery.get_or_insert(battery.into());
                }
                let readiness = value(b"readiness");
                if !readiness.is_empty() {
                    let mut hash = Hash::new(seed);
                    hash.text(b"readiness", Spelled::Meant);
                    hash.end();
                    hash.text(readiness, Spelled::Raw);
                    sum = sum.wrapping_add(hash.finish());
                }
                tokens.skip_element();
            }
            b"precisionlocation" => {
                let sources = [value(b"geopointsrc"), value(b"altsrc")];
                if sources.iter().any(|source| !source.is_empty()) {
                    let said = strings(seed, sources, Spelled::Raw);
                    found.precision.get_or_insert(said);
                }
                tokens.skip_element();
            }
            b"marti" => {
                let marti = tokens.skip_element();
                let named = destinations(marti).filter_map(|dest| {
                    let value = (dest.value, Spelled::Raw);
                    Some(one_addressed(seed, dest.named, value))
                        .filter(|_| !dest.value.is_empty() && dest.named != Named::Other)
                });
                let all = named.fold(0u64, u64::wrapping_add);
                found.marti = Some(found.marti.unwrap_or(0).wrapping_add(all));
            }
            b"_flow-tags_" | b"__serverdestination" => {
                tokens.skip_element();
            }
            _ => {
                found.contact |= name == b"contact";
                found.group |= name == b"__group";
                found.takv |= name == b"takv";
                let said = child(seed, name, attributes, &mut tokens);
                // Fields that are empty are not there, so neither is an element that says nothing.
                if !matches!(name, b"contact" | b"__group" | b"takv") || said != nothing(seed, name)
                {
                    sum = sum.wrapping_add(said);
                }
            }
        }
    }
    sum
}

/// What an element says that is empty.
fn nothing(seed: u64, name: &[u8]) -> u64 {
    let mut hash = Hash::new(seed);
    hash.tag(seed, name, std::iter::empty());
    hash.end();
    hash.finish()
}

/// One child with all that is in it; the opening tag is read.
fn child(seed: u64, name: &[u8], attributes: Attributes<'_>, tokens: &mut Tokens<'_>) -> u64 {
    let mut hash = Hash::new(seed);
    let raw = |attribute| (attribute, Spelled::Raw);
    let counts = |attribute: &Attribute<'_>| name != b"contact" || attribute.name != b"endpoint";
    let is_image = name == b"image";
    hash.tag(seed, name, attributes.filter(counts).map(raw));
    let mut depth = 1;
    while depth > 0 {
        match tokens.next() {
            Some(Token::Open { name, attributes }) => {
                depth += 1;
                hash.tag(seed, name, attributes.map(raw));
            }
            Some(Token::Close) => {
                depth -= 1;
                hash.end();
            }
            Some(Token::Text { bytes, spelled }) if !is_image => hash.text(bytes, spelled),
            Some(Token::Text { .. }) => {}
            None => break,
        }
    }
    hash.finish()
}

/// What was taken out of the children, or else what the fields say of it.
fn own_places(hash: &mut Hash, seed: u64, typed: &Typed<'_>, found: &Found) {
    let [speed, course] = found.track.or(typed.track).unwrap_or_default();
    hash.number(speed);
    hash.number(course);
    let battery = found.battery.or(typed.battery).unwrap_or(0);
    hash.word(battery.cast_unsigned());
    let none = typed.precision.iter().all(|source| source.is_empty());
    hash.word(match found.precision {
        Some(said) => said,
        None if none => 0,
        None => strings(seed, typed.precision, Spelled::Meant),
    });
}

/// What fields say instead of children, as those children would.
fn lifted(seed: u64, typed: &Typed<'_>, found: &Found) -> u64 {
    let mut sum = 0u64;
    let mut element = |name: &[u8], names: &[&[u8]], values: &[&[u8]]| {
        let meant = |(&name, &value)| (Attribute { name, value }, Spelled::Meant);
        let mut hash = Hash::new(seed);
        hash.tag(seed, name, names.iter().zip(values).map(meant));
        hash.end();
        let said = hash.finish();
        if said != nothing(seed, name) {
            sum = sum.wrapping_add(said);
        }
    };
    if !found.contact {
        element(b"contact", &[b"callsign"], &[typed.callsign]);
    }
    if !found.group {
        element(b"__group", &[b"name", b"role"], &typed.group);
    }
    if !found.takv {
        let names: [&[u8]; 4] = [b"device", b"platform", b"os", b"version"];
        element(b"takv", &names, &typed.takv);
    }
    sum
}

fn strings(seed: u64, strings: [&[u8]; 2], spelled: Spelled) -> u64 {
    let mut hash = Hash::new(seed);
    for string in strings {
        hash.text(string, spelled);
        hash.end();
    }
    hash.finish()
}

fn addressed<'a>(seed: u64, addressees: impl Iterator<Item = Addressee<'a>>) -> u64 {
    addressees.fold(0, |sum: u64, addressee| {
        let (named, value) = match addressee {
            Addressee::Uid(uid) => (Named::Uid, uid),
            Addressee::Callsign(callsign) => (Named::Callsign, callsign),
            Addressee::Mission(mission) => (Named::Mission, mission),
        };
        match value.is_empty() {
            true => sum,
            false => sum.wrapping_add(one_addressed(seed, named, (value, Spelled::Meant))),
        }
    })
}

fn one_addressed(seed: u64, named: Named, (value, spelled): (&[u8], Spelled)) -> u64 {
    let mut hash = Hash::new(seed);
    hash.word(named as u64);
    hash.text(value, spelled);
    hash.finish()
}
