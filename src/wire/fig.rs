//! `FederatedEvent` and `GeoEvent` as views over the message (protocol reference 1.2).
//!
//! A message may hold a field twice: a relay appends its corrections, and the later one counts, which is how
//! protobuf merges. So these views walk everything and keep the last.

pub mod group_hops;

use super::proto::{self, Unreadable, Value, gather};
use super::text;
use crate::counters::Reason;

/// Field numbers of `FederatedEvent`.
pub mod federated {
    /// `GeoEvent event`
    pub const EVENT: u32 = 1;
    /// `ContactListEntry contact`
    pub const CONTACT: u32 = 2;
    /// `repeated string federateGroups`
    pub const GROUPS: u32 = 3;
    /// `repeated FederateProvenance federateProvenance`
    pub const PROVENANCE: u32 = 4;
    /// `FederateHops federateHops`
    pub const HOPS: u32 = 5;
    /// `FederateGroupHopLimits federateGroupHopLimits`
    pub const GROUP_HOPS: u32 = 6;
}

/// Field numbers of `GeoEvent`.
pub mod geo {
    #![allow(missing_docs)]
    pub const SEND_TIME: u32 = 1;
    pub const START_TIME: u32 = 2;
    pub const STALE_TIME: u32 = 3;
    pub const LAT: u32 = 4;
    pub const LON: u32 = 5;
    pub const HAE: u32 = 6;
    pub const CE: u32 = 7;
    pub const LE: u32 = 8;
    pub const UID: u32 = 9;
    pub const TYPE: u32 = 10;
    pub const COORD_SOURCE: u32 = 11;
    pub const OTHER: u32 = 12;
    pub const BATTERY: u32 = 13;
    pub const PLOC: u32 = 14;
    pub const PALT: u32 = 15;
    pub const SPEED: u32 = 20;
    pub const COURSE: u32 = 21;
    pub const BINARY: u32 = 22;
    pub const PTP_UIDS: u32 = 23;
    pub const PTP_CALLSIGNS: u32 = 24;
    pub const MISSION_NAMES: u32 = 26;
    pub const ACCESS: u32 = 27;
    pub const CAVEAT: u32 = 28;
    pub const RELEASABLE_TO: u32 = 29;
}

/// `FederateHops`: how far a message may go, and how far it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hops {
    /// −1 = unlimited. A field left out means 0, which means nowhere (protocol reference 1.6).
    pub max: i64,
    /// Hops done.
    pub current: i64,
}

/// What a contact entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// CREATE or UPDATE: the contact can be reached by way of the sender.
    Create,
    /// DELETE: it cannot any more.
    Delete,
    /// INVALID or READ: no contact.
    Ignored,
}

/// `ContactListEntry`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact<'a> {
    /// What happened to it.
    pub operation: Operation,
    /// Its uid.
    pub uid: &'a [u8],
    /// Its callsign; in a DELETE its CoT type (protocol reference 1.9).
    pub callsign: &'a [u8],
}

/// `FederatedEvent`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Federated<'a> {
    /// The whole message.
    pub bytes: &'a [u8],
    /// What goes behind it when it goes on: fields that take the place of those it has.
    pub edits: &'a [u8],
    /// The event, if it holds one.
    pub event: Option<Geo<'a>>,
    /// The contact, if it holds one.
    pub contact: Option<Contact<'a>>,
    /// The hops, if it says.
    pub hops: Option<Hops>,
    /// It says hops by group; ask [`Federated::group_hops_left`].
    pub group_hops: bool,
    /// The id that was asked for stands in the provenance.
    pub seen: bool,
}

/// `GeoEvent`. Strings are checked text; empty = not given.
#[derive(Debug, Clone, Copy, Default)]
pub struct Geo<'a> {
    /// The bytes of the (first) event field: the same on every way it can come.
    pub bytes: &'a [u8],
    /// `event@time`, milliseconds since 1970.
    pub time: i64,
    /// `event@start`, milliseconds since 1970.
    pub start: i64,
    /// `event@stale`, milliseconds since 1970.
    pub stale: i64,
    /// Latitude, longitude (degrees), height, circular and linear error (metres).
    pub point: [f64; 5],
    /// `event@uid`, never empty.
    pub uid: &'a [u8],
    /// `event@type`, never empty.
    pub kind: &'a [u8],
    /// `event@how`.
    pub how: &'a [u8],
    /// The `<detail>` element as text.
    pub other: &'a [u8],
    /// `status@battery`.
    pub battery: Option<i32>,
    /// `precisionlocation@geopointsrc`.
    pub ploc: &'a [u8],
    /// `precisionlocation@altsrc`.
    pub palt: &'a [u8],
    /// `track@speed`.
    pub speed: Option<f64>,
    /// `track@course`.
    pub course: Option<f64>,
    /// The decoded `<image>`.
    pub image: &'a [u8],
    /// It is addressed to somebody; ask [`Geo::destinations`].
    pub directed: bool,
    /// `event@access`.
    pub access: &'a [u8],
    /// `event@caveat`.
    pub caveat: &'a [u8],
    /// `event@releasableTo`.
    pub releasable_to: &'a [u8],
    /// Every string [is simple](text::is_simple).
    pub simple: bool,
}

/// Whom an event is addressed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressee<'a> {
    /// A contact by uid.
    Uid(&'a [u8]),
    /// A contact by callsign.
    Callsign(&'a [u8]),
    /// A mission.
    Mission(&'a [u8]),
}

/// Reads a `FederatedEvent`; `own_id` is looked for in the provenance.
///
/// # Errors
/// [`Reason::BadMessage`], [`Reason::NotText`], [`Reason::Incomplete`] for an event without uid or type.
pub fn parse<'a>(message: &'a [u8], own_id: &[u8]) -> Result<Federated<'a>, Reason> {
    let mut federated = Federated::default();
    read(&mut federated, message, own_id).map(|()| federated)
}

/// The same as [`parse`], into `federated`, which must hold nothing yet; a message's view is large, and is not moved then.
///
/// # Errors
/// Those of [`parse`]; `federated` may then hold some parts.
pub fn read<'a>(
    federated: &mut Federated<'a>,
    message: &'a [u8],
    own_id: &[u8],
) -> Result<(), Reason> {
    federated.bytes = message;
    for field in proto::fields(message) {
        let (number, value) = field?;
        match number {
            federated::EVENT => {
                let bytes = value.bytes().ok_or(Reason::BadMessage)?;
                let event = federated.event.get_or_insert(Geo {
                    bytes,
                    simple: true,
                    ..Geo::default()
                });
                merge_event(event, bytes)?;
            }
            federated::CONTACT => {
                let bytes = value.bytes().ok_or(Reason::BadMessage)?;
                let contact = federated.contact.get_or_insert(Contact {
                    operation: Operation::Ignored,
                    uid: &[],
                    callsign: &[],
                });
                merge_contact(contact, bytes)?;
            }
            federated::PROVENANCE => {
                let bytes = value.bytes().ok_or(Reason::BadMessage)?;
                for field in proto::fields(bytes) {
                    if let (1, Value::Bytes(id)) = field? {
                        federated.seen |= id == own_id;
                    }
                }
            }
            federated::HOPS => {
                let bytes = value.bytes().ok_or(Reason::BadMessage)?;
                let hops = federated.hops.get_or_insert_default();
                for field in proto::fields(bytes) {
                    match field? {
                        (1, value) => hops.max = value.int().ok_or(Reason::BadMessage)?,
                        (2, value) => hops.current = value.int().ok_or(Reason::BadMessage)?,
                        _ => {}
                    }
                }
            }
            federated::GROUP_HOPS => {
                check_limits(value.bytes().ok_or(Reason::BadMessage)?)?;
                federated.group_hops = true;
            }
            _ => {}
        }
    }
    if let Some(event) = &federated.event {
        if event.uid.is_empty() || event.kind.is_empty() {
            return Err(Reason::Incomplete);
        }
        if !event.point.iter().all(|number| number.is_finite()) {
            return Err(Reason::BadMessage);
        }
    }
    Ok(())
}

impl<'a> Geo<'a> {
    /// Whom it is addressed to, callsigns, uids and missions as they stand.
    pub fn destinations(&self) -> impl Iterator<Item = Addressee<'a>> + use<'a> {
        proto::fields(self.bytes).filter_map(|field| match field {
            Ok((geo::PTP_UIDS, Value::Bytes(uid))) => Some(Addressee::Uid(uid)),
            Ok((geo::PTP_CALLSIGNS, Value::Bytes(name))) => Some(Addressee::Callsign(name)),
            Ok((geo::MISSION_NAMES, Value::Bytes(name))) => Some(Addressee::Mission(name)),
            _ => None,
        })
    }
}

/// Whether hop limits by group can be read, whoever does it later.
#[cold]
fn check_limits(limits: &[u8]) -> Result<(), Reason> {
    for limit in proto::fields(limits) {
        if let (1, value) = limit? {
            for field in proto::fields(value.bytes().ok_or(Reason::BadMessage)?) {
                field?;
            }
        }
    }
    Ok(())
}

impl From<Unreadable> for Reason {
    fn from(_: Unreadable) -> Self {
        Self::BadMessage
    }
}

/// Length of what nearly every event begins with: three times that take six bytes each, and five doubles.
const HEAD: usize = 3 * 7 + 5 * 9;

/// Reads the times and the place of an event that begins with them, and tells whether it does. Writers put fields in the
/// order of their numbers, so all of these are where they should be, or they are read one by one.
#[inline(always)]
fn read_head(event: &mut Geo<'_>, head: &[u8; HEAD]) -> bool {
    /// A key, five bytes of a varint that goes on, and one that ends it.
    const FORM: u64 = 0x0080_8080_8080_80ff;
    let word = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&head[at..at + 8]);
        u64::from_le_bytes(word)
    };
    let time = |number: u32| {
        let field = word(7 * (number as usize - 1));
        let is = field & FORM == 0x0000_8080_8080_8000 | u64::from(number << 3);
        (is, gather(field >> 8 & 0x7f7f_7f7f_7f7f).cast_signed())
    };
    let times = [geo::SEND_TIME, geo::START_TIME, geo::STALE_TIME].map(time);
    let doubles = |place: usize| 3 * 7 + 9 * place;
    let keys =
        (0..5).all(|place| u32::from(head[doubles(place)]) == (geo::LAT + place as u32) << 3 | 1);
    if !(times[0].0 && times[1].0 && times[2].0 && keys) {
        return false;
    }
    [event.time, event.start, event.stale] = times.map(|(_, time)| time);
    for (place, value) in event.point.iter_mut().enumerate() {
        *value = f64::from_bits(word(doubles(place) + 1));
    }
    true
}

/// Reads what an event begins with, as far as its fields stand in the order of their numbers and are written as nearly
/// all are; gives what is left to be read one by one. Strings and numbers are judged as they are there.
#[inline(always)]
fn read_usual<'a>(event: &mut Geo<'a>, bytes: &'a [u8]) -> Result<&'a [u8], Reason> {
    let Some((head, mut rest)) = bytes.split_first_chunk() else {
        return Ok(bytes);
    };
    if !read_head(event, head) {
        return Ok(bytes);
    }
    event.uid = usual_string(&mut rest, geo::UID, &mut event.simple)?;
    event.kind = usual_string(&mut rest, geo::TYPE, &mut event.simple)?;
    event.how = usual_string(&mut rest, geo::COORD_SOURCE, &mut event.simple)?;
    if let Some((other, behind)) = long_string(rest, geo::OTHER) {
        (event.other, rest) = (other, behind);
    }
    if let [key, battery @ ..0x80, behind @ ..] = rest
        && *key == (geo::BATTERY << 3) as u8
    {
        (event.battery, rest) = (Some(i32::from(*battery)), behind);
    }
    event.ploc = usual_string(&mut rest, geo::PLOC, &mut event.simple)?;
    event.palt = usual_string(&mut rest, geo::PALT, &mut event.simple)?;
    for (number, part) in [
        (geo::SPEED, &mut event.speed),
        (geo::COURSE, &mut event.course),
    ] {
        if let Some((head, behind)) = rest.split_first_chunk::<10>()
            && let [low, 1, bits @ ..] = head
            && *low == (number << 3 | 1) as u8 | 0x80
        {
            let value = f64::from_bits(u64::from_le_bytes(*bits));
            (*part, rest) = (Some(value).filter(|value| value.is_finite()), behind);
        }
    }
    Ok(rest)
}

/// The string of that number at the start, if it is there.
#[inline(always)]
fn usual_string<'a>(
    rest: &mut &'a [u8],
    number: u32,
    simple: &mut bool,
) -> Result<&'a [u8], Reason> {
    let Some((text, behind)) = short_string(rest, number) else {
        return Ok(&[]);
    };
    if !text::is_simple(text) {
        text::check(text)?;
        *simple = false;
    }
    *rest = behind;
    Ok(text)
}

/// A field of that number at the start, shorter than 128 bytes, and what follows it.
#[inline(always)]
fn short_string(rest: &[u8], number: u32) -> Option<(&[u8], &[u8])> {
    let [key, length @ ..0x80, behind @ ..] = rest else {
        return None;
    };
    let is = *key == (number << 3 | 2) as u8;
    is.then(|| behind.split_at_checked(usize::from(*length)))?
}

/// A field of that number at the start, of 128 to 16 383 bytes, and what follows it.
#[inline(always)]
fn long_string(rest: &[u8], number: u32) -> Option<(&[u8], &[u8])> {
    let [key, low @ 0x80..=0xff, high @ ..0x80, behind @ ..] = rest else {
        return None;
    };
    let is = *key == (number << 3 | 2) as u8;
    let length = usize::from(low & 0x7f) | usize::from(*high) << 7;
    is.then(|| behind.split_at_checked(length))?
}

fn merge_event<'a>(event: &mut Geo<'a>, bytes: &'a [u8]) -> Result<(), Reason> {
    let rest = match event.bytes.as_ptr() == bytes.as_ptr() {
        true => read_usual(event, bytes)?,
        // What is said a second time is merged with what is there, field by field.
        false => bytes,
    };
    for field in proto::fields(rest) {
        let (number, value) = field?;
        let int = || value.int().ok_or(Reason::BadMessage);
        let double = || value.double().ok_or(Reason::BadMessage);
        let mut simple = true;
        let mut string = || string(value, &mut simple);
        match number {
            geo::SEND_TIME => event.time = int()?,
            geo::START_TIME => event.start = int()?,
            geo::STALE_TIME => event.stale = int()?,
            geo::LAT..=geo::LE => event.point[(number - geo::LAT) as usize] = double()?,
            geo::UID => event.uid = string()?,
            geo::TYPE => event.kind = string()?,
            geo::COORD_SOURCE => event.how = string()?,
            // Its characters are checked together with its elements.
            geo::OTHER => event.other = value.bytes().ok_or(Reason::BadMessage)?,
            geo::BATTERY => event.battery = i32::try_from(int()?).ok(),
            geo::PLOC => event.ploc = string()?,
            geo::PALT => event.palt = string()?,
            geo::SPEED => event.speed = Some(double()?).filter(|number| number.is_finite()),
            geo::COURSE => event.course = Some(double()?).filter(|number| number.is_finite()),
            geo::BINARY => event.image = image(value.bytes().ok_or(Reason::BadMessage)?)?,
            geo::PTP_UIDS | geo::PTP_CALLSIGNS | geo::MISSION_NAMES => {
                event.directed |= !string()?.is_empty();
            }
            geo::ACCESS => event.access = string()?,
            geo::CAVEAT => event.caveat = string()?,
            geo::RELEASABLE_TO => event.releasable_to = string()?,
            _ => {}
        }
        event.simple &= simple;
    }
    Ok(())
}

/// A checked string; `simple` becomes whether it is.
#[inline(never)]
fn string<'a>(value: Value<'a>, simple: &mut bool) -> Result<&'a [u8], Reason> {
    let bytes = value.bytes().ok_or(Reason::BadMessage)?;
    *simple = text::is_simple(bytes);
    if !*simple {
        text::check(bytes)?;
    }
    Ok(bytes)
}

/// The data of a `BinaryBlob` of type IMAGE (2), empty for any other.
fn image(blob: &[u8]) -> Result<&[u8], Reason> {
    let (mut kind, mut data) = (0, &[][..]);
    for field in proto::fields(blob) {
        match field? {
            (1, Value::Varint(value)) => kind = value,
            (2, Value::Bytes(bytes)) => data = bytes,
            _ => {}
        }
    }
    Ok(if kind == 2 { data } else { &[] })
}

fn merge_contact<'a>(contact: &mut Contact<'a>, bytes: &'a [u8]) -> Result<(), Reason> {
    for field in proto::fields(bytes) {
        match field? {
            (1, value) => {
                contact.operation = match value.int().ok_or(Reason::BadMessage)? {
                    1 | 3 => Operation::Create,
                    4 => Operation::Delete,
                    _ => Operation::Ignored,
                }
            }
            (2, Value::Bytes(uid)) => {
                text::check(uid)?;
                contact.uid = uid;
            }
            (3, Value::Bytes(callsign)) => {
                text::check(callsign)?;
                contact.callsign = callsign;
            }
            _ => {}
        }
    }
    Ok(())
}
