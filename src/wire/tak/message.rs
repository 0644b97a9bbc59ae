//! `TakMessage`, `CotEvent` and `Detail` as views over the message (protocol reference 6.2).
//!
//! As in [`crate::wire::fig`], a field may stand there twice: a correction is appended, and the later one counts. What
//! is not known here is passed over, so a message that goes on as it came keeps what a newer minor version says.

use crate::counters::Reason;
use crate::wire::proto::{self, Value};
use crate::wire::text;

/// Field numbers of `TakMessage`.
pub mod outer {
    /// `TakControl takControl`
    pub const CONTROL: u32 = 1;
    /// `CotEvent cotEvent`
    pub const EVENT: u32 = 2;
}

/// Field numbers of `CotEvent`.
pub mod event {
    #![allow(missing_docs)]
    pub const TYPE: u32 = 1;
    pub const ACCESS: u32 = 2;
    pub const QOS: u32 = 3;
    pub const OPEX: u32 = 4;
    pub const UID: u32 = 5;
    pub const SEND_TIME: u32 = 6;
    pub const START_TIME: u32 = 7;
    pub const STALE_TIME: u32 = 8;
    pub const HOW: u32 = 9;
    pub const LAT: u32 = 10;
    pub const LE: u32 = 14;
    pub const DETAIL: u32 = 15;
    pub const CAVEAT: u32 = 16;
    pub const RELEASABLE_TO: u32 = 17;
}

/// Field numbers of `Detail`, and of what it holds.
pub mod detail {
    #![allow(missing_docs)]
    pub const XML: u32 = 1;
    pub const CONTACT: u32 = 2;
    pub const GROUP: u32 = 3;
    pub const PRECISION: u32 = 4;
    pub const STATUS: u32 = 5;
    pub const TAKV: u32 = 6;
    pub const TRACK: u32 = 7;
}

/// `TakMessage`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Message<'a> {
    /// The whole message.
    pub bytes: &'a [u8],
    /// What goes behind it when it goes on: fields that take the place of those it has.
    pub edits: &'a [u8],
    /// What its sender says of the protocol, if it does.
    pub control: Option<Control>,
    /// The event, if it holds one.
    pub event: Option<Event<'a>>,
}

/// `TakControl`: which versions of the protocol the sender speaks; 0 means 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Control {
    /// `minProtoVersion`
    pub least: u32,
    /// `maxProtoVersion`
    pub most: u32,
}

/// `CotEvent`. Strings are checked text; empty = not given.
#[derive(Debug, Clone, Copy, Default)]
pub struct Event<'a> {
    /// The bytes of the (first) event field: the same on every way it can come.
    pub bytes: &'a [u8],
    /// `event@type`, never empty.
    pub kind: &'a [u8],
    /// `event@access`.
    pub access: &'a [u8],
    /// `event@qos`.
    pub qos: &'a [u8],
    /// `event@opex`.
    pub opex: &'a [u8],
    /// `event@uid`, never empty.
    pub uid: &'a [u8],
    /// `event@time`, milliseconds since 1970.
    pub time: Option<i64>,
    /// `event@start`, milliseconds since 1970.
    pub start: Option<i64>,
    /// `event@stale`, milliseconds since 1970.
    pub stale: Option<i64>,
    /// `event@how`.
    pub how: &'a [u8],
    /// Latitude, longitude (degrees), height, circular and linear error (metres), as they stand there.
    pub point: [f64; 5],
    /// What the event has beside its place and time.
    pub detail: Option<Detail<'a>>,
    /// `event@caveat`.
    pub caveat: &'a [u8],
    /// `event@releasableTo`.
    pub releasable_to: &'a [u8],
    /// Every string [is simple](text::is_simple).
    pub simple: bool,
}

/// `Detail`: the children of `<detail>`, some of them as typed fields.
#[derive(Debug, Clone, Copy, Default)]
pub struct Detail<'a> {
    /// The other children, as XML one behind the other; not checked.
    pub xml: &'a [u8],
    /// `contact@callsign`, `contact@endpoint`.
    pub contact: Option<[&'a [u8]; 2]>,
    /// `__group@name`, `__group@role`.
    pub group: Option<[&'a [u8]; 2]>,
    /// `precisionlocation@geopointsrc`, `precisionlocation@altsrc`.
    pub precision: Option<[&'a [u8]; 2]>,
    /// `status@battery`.
    pub battery: Option<u32>,
    /// `takv@device`, `@platform`, `@os`, `@version`.
    pub takv: Option<[&'a [u8]; 4]>,
    /// `track@speed`, `track@course`.
    pub track: Option<[f64; 2]>,
}

/// Reads a `TakMessage`.
///
/// # Errors
/// [`Reason::BadMessage`], [`Reason::NotText`], [`Reason::BadTime`] for a time that no clock has,
/// [`Reason::Incomplete`] for an event without uid or type.
pub fn parse(bytes: &[u8]) -> Result<Message<'_>, Reason> {
    let mut message = Message::default();
    read(&mut message, bytes).map(|()| message)
}

/// The same as [`parse`], into `message`, which must hold nothing yet.
///
/// # Errors
/// Those of [`parse`]; `message` may then hold some parts.
pub fn read<'a>(message: &mut Message<'a>, bytes: &'a [u8]) -> Result<(), Reason> {
    message.bytes = bytes;
    for field in proto::fields(bytes) {
        let (number, value) = field?;
        match number {
            outer::CONTROL => {
                let control = message.control.get_or_insert_default();
                for field in proto::fields(value.bytes().ok_or(Reason::BadMessage)?) {
                    match field? {
                        (1, value) => control.least = int(value)? as u32,
                        (2, value) => control.most = int(value)? as u32,
                        _ => {}
                    }
                }
            }
            outer::EVENT => {
                let bytes = value.bytes().ok_or(Reason::BadMessage)?;
                let event = message.event.get_or_insert(Event {
                    bytes,
                    simple: true,
                    ..Event::default()
                });
                merge_event(event, bytes)?;
            }
            _ => {}
        }
    }
    if let Some(event) = &message.event {
        if event.uid.is_empty() || event.kind.is_empty() {
            return Err(Reason::Incomplete);
        }
        if !event.point.iter().all(|number| number.is_finite()) {
            return Err(Reason::BadMessage);
        }
    }
    Ok(())
}

fn merge_event<'a>(event: &mut Event<'a>, bytes: &'a [u8]) -> Result<(), Reason> {
    for field in proto::fields(bytes) {
        let (number, value) = field?;
        let simple = &mut event.simple;
        match number {
            event::TYPE => event.kind = string(value, simple)?,
            event::ACCESS => event.access = string(value, simple)?,
            event::QOS => event.qos = string(value, simple)?,
            event::OPEX => event.opex = string(value, simple)?,
            event::UID => event.uid = string(value, simple)?,
            event::SEND_TIME => event.time = Some(time(value)?),
            event::START_TIME => event.start = Some(time(value)?),
            event::STALE_TIME => event.stale = Some(time(value)?),
            event::HOW => event.how = string(value, simple)?,
            event::LAT..=event::LE => {
                event.point[(number - event::LAT) as usize] = double(value)?;
            }
            event::DETAIL => {
                let bytes = value.bytes().ok_or(Reason::BadMessage)?;
                merge_detail(event.detail.get_or_insert_default(), bytes, simple)?;
            }
            event::CAVEAT => event.caveat = string(value, simple)?,
            event::RELEASABLE_TO => event.releasable_to = string(value, simple)?,
            _ => {}
        }
    }
    Ok(())
}

fn merge_detail<'a>(
    detail: &mut Detail<'a>,
    bytes: &'a [u8],
    simple: &mut bool,
) -> Result<(), Reason> {
    for field in proto::fields(bytes) {
        let (number, value) = field?;
        let bytes = || value.bytes().ok_or(Reason::BadMessage);
        match number {
            // Its characters are checked together with its elements.
            detail::XML => detail.xml = bytes()?,
            detail::CONTACT => {
                // The endpoint comes first there.
                let contact = detail.contact.get_or_insert_default();
                contact.reverse();
                merge_strings(contact, bytes()?, simple)?;
                contact.reverse();
            }
            detail::GROUP => {
                merge_strings(detail.group.get_or_insert_default(), bytes()?, simple)?;
            }
            detail::PRECISION => {
                merge_strings(detail.precision.get_or_insert_default(), bytes()?, simple)?;
            }
            detail::STATUS => {
                let battery = detail.battery.get_or_insert_default();
                for field in proto::fields(bytes()?) {
                    if let (1, value) = field? {
                        *battery = int(value)? as u32;
                    }
                }
            }
            detail::TAKV => {
                merge_strings(detail.takv.get_or_insert_default(), bytes()?, simple)?;
            }
            detail::TRACK => {
                let track = detail.track.get_or_insert_default();
                for field in proto::fields(bytes()?) {
                    if let (number @ 1..=2, value) = field? {
                        track[number as usize - 1] = double(value)?;
                    }
                }
                if !track.iter().all(|number| number.is_finite()) {
                    return Err(Reason::BadMessage);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The fields 1, 2, … of a message that holds strings.
fn merge_strings<'a, const N: usize>(
    strings: &mut [&'a [u8]; N],
    bytes: &'a [u8],
    simple: &mut bool,
) -> Result<(), Reason> {
    for field in proto::fields(bytes) {
        let (number, value) = field?;
        if let Some(place) = strings.get_mut(number as usize - 1) {
            *place = string(value, simple)?;
        }
    }
    Ok(())
}

/// A checked string; `simple` stays what it is if that one is.
fn string<'a>(value: Value<'a>, simple: &mut bool) -> Result<&'a [u8], Reason> {
    let bytes = value.bytes().ok_or(Reason::BadMessage)?;
    if !text::is_simple(bytes) {
        *simple = false;
        text::check(bytes)?;
    }
    Ok(bytes)
}

fn int(value: Value<'_>) -> Result<i64, Reason> {
    value.int().ok_or(Reason::BadMessage)
}

/// A time is unsigned there.
fn time(value: Value<'_>) -> Result<i64, Reason> {
    int(value)
        .ok()
        .filter(|&time| time >= 0)
        .ok_or(match value {
            Value::Varint(_) => Reason::BadTime,
            _ => Reason::BadMessage,
        })
}

fn double(value: Value<'_>) -> Result<f64, Reason> {
    value.double().ok_or(Reason::BadMessage)
}
