//! What a `TakMessage` says, gathered from another form, and its writing.

use super::cuts::Cuts;
use crate::cot::encode;
use crate::wire::proto::{bytes_length, put_bytes, put_double, put_header, put_int};
use crate::wire::tak::message::{detail, event, outer};
use crate::wire::{number, text};

/// What protobuf has for an altitude or error that nobody knows; XML has [`number::UNKNOWN`] (protocol reference 6.2).
const UNKNOWN: f64 = 999_999.0;

/// Text as it was found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Text<'a> {
    /// As attribute text, references unresolved.
    Raw(&'a [u8]),
    /// As it is meant.
    Meant(&'a [u8]),
}

/// An event to be written. Texts that are empty are left out.
#[derive(Debug)]
pub(super) struct Said<'a> {
    pub(super) kind: Text<'a>,
    pub(super) access: Text<'a>,
    pub(super) qos: Text<'a>,
    pub(super) opex: Text<'a>,
    pub(super) uid: Text<'a>,
    /// Time, start and stale, milliseconds since 1970; none is negative.
    pub(super) times: [i64; 3],
    pub(super) how: Text<'a>,
    /// As XML has it.
    pub(super) point: [f64; 5],
    pub(super) detail: Option<SaidDetail<'a>>,
    pub(super) caveat: Text<'a>,
    pub(super) releasable_to: Text<'a>,
}

/// Its detail: text, and what typed fields say instead.
#[derive(Debug, Default)]
pub(super) struct SaidDetail<'a> {
    /// The children of `<detail>`.
    pub(super) children: &'a [u8],
    /// Those of them that are left out, because `typed` says all of them.
    pub(super) cuts: Cuts<'a>,
    pub(super) typed: Typed<'a>,
}

/// The typed fields.
#[derive(Debug, Default)]
pub(super) struct Typed<'a> {
    /// `callsign`, `endpoint`
    pub(super) contact: Option<[Text<'a>; 2]>,
    /// `name`, `role`
    pub(super) group: Option<[Text<'a>; 2]>,
    /// `geopointsrc`, `altsrc`
    pub(super) precision: Option<[Text<'a>; 2]>,
    pub(super) battery: Option<u32>,
    /// `device`, `platform`, `os`, `version`
    pub(super) takv: Option<[Text<'a>; 4]>,
    /// `speed`, `course`
    pub(super) track: Option<[f64; 2]>,
}

/// Appends the event as a `TakMessage`; `more` appends what its text has beside the children.
pub(super) fn put_message(out: &mut Vec<u8>, said: &Said<'_>, more: impl FnOnce(&mut Vec<u8>)) {
    let begin = leave_head(out);
    said.kind.put(out, event::TYPE);
    said.access.put(out, event::ACCESS);
    said.qos.put(out, event::QOS);
    said.opex.put(out, event::OPEX);
    said.uid.put(out, event::UID);
    for (number, time) in (event::SEND_TIME..).zip(said.times) {
        put_int(out, number, time);
    }
    said.how.put(out, event::HOW);
    for (number, value) in (event::LAT..).zip(to_protobuf(&said.point)) {
        put_double(out, number, value);
    }
    if let Some(said) = &said.detail {
        let begin = leave_head(out);
        let text = leave_head(out);
        said.cuts.put_rest(out, said.children);
        more(out);
        match out.len() > text {
            true => encode::put_head(out, detail::XML, text, 0),
            false => out.truncate(text - encode::HEAD),
        }
        said.typed.put(out);
        encode::put_head(out, event::DETAIL, begin, 0);
    }
    said.caveat.put(out, event::CAVEAT);
    said.releasable_to.put(out, event::RELEASABLE_TO);
    encode::put_head(out, outer::EVENT, begin, 0);
}

/// Leaves room for the key and length of a field whose length is not known yet; tells where its content begins.
fn leave_head(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0; encode::HEAD]);
    out.len()
}

fn to_protobuf(&[lat, lon, hae, ce, le]: &[f64; 5]) -> [f64; 5] {
    let error = |error| if error >= UNKNOWN { UNKNOWN } else { error };
    [lat, lon, hae, error(ce), error(le)]
}

/// A place as XML and `GeoEvent` have it: what nobody knows is [`number::UNKNOWN`] there.
pub(super) fn from_protobuf(&[lat, lon, hae, ce, le]: &[f64; 5]) -> [f64; 5] {
    let error = |error| {
        if error >= UNKNOWN {
            number::UNKNOWN
        } else {
            error
        }
    };
    let height = if hae == UNKNOWN { number::UNKNOWN } else { hae };
    [lat, lon, height, error(ce), error(le)]
}

impl<'a> Text<'a> {
    /// Nothing.
    pub(super) const NONE: Self = Self::Meant(b"");

    /// The raw text of an attribute, which may be known to mean itself.
    pub(super) fn of(raw: &'a [u8], plain: bool) -> Self {
        match plain {
            true => Self::Meant(raw),
            false => Self::Raw(raw),
        }
    }

    fn length(self) -> usize {
        match self {
            Self::Raw(raw) => text::unescaped_length(raw),
            Self::Meant(text) => text.len(),
        }
    }

    /// Bytes that its field takes.
    fn field_length(self, number: u32) -> usize {
        match self.length() {
            0 => 0,
            length => bytes_length(number, length),
        }
    }

    fn put(self, out: &mut Vec<u8>, number: u32) {
        match self {
            Self::Raw(b"") | Self::Meant(b"") => {}
            Self::Meant(text) => put_bytes(out, number, text),
            Self::Raw(raw) => {
                put_header(out, number, text::unescaped_length(raw));
                text::write_unescaped(out, raw);
            }
        }
    }
}

impl Typed<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        if let Some([callsign, endpoint]) = self.contact {
            put_texts(out, detail::CONTACT, [endpoint, callsign]);
        }
        if let Some(group) = self.group {
            put_texts(out, detail::GROUP, group);
        }
        if let Some(precision) = self.precision {
            put_texts(out, detail::PRECISION, precision);
        }
        if let Some(battery) = self.battery {
            let level = i64::from(battery);
            put_header(
                out,
                detail::STATUS,
                crate::wire::proto::int_length(1, level),
            );
            put_int(out, 1, level);
        }
        if let Some(takv) = self.takv {
            put_texts(out, detail::TAKV, takv);
        }
        if let Some([speed, course]) = self.track {
            put_header(out, detail::TRACK, 2 * crate::wire::proto::double_length(1));
            put_double(out, 1, speed);
            put_double(out, 2, course);
        }
    }
}

/// Puts a message of texts, numbered from 1.
fn put_texts<const N: usize>(out: &mut Vec<u8>, number: u32, texts: [Text<'_>; N]) {
    let numbered = || (1..).zip(texts);
    let length = numbered()
        .map(|(number, text)| text.field_length(number))
        .sum();
    put_header(out, number, length);
    for (number, text) in numbered() {
        text.put(out, number);
    }
}
