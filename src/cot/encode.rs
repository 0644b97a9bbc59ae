//! CoT XML to `GeoEvent` (protocol reference 1.7).
//!
//! A child of `<detail>` leaves the text and becomes typed fields only when those say everything it said; otherwise it
//! stays in the text *and* sets the typed fields, because TAK Server builds `<track>` from the fields alone
//! (protocol reference 1.8, rule 3). Nothing is invented: what the event does not say is not on the wire.

use heapless::Vec as Fixed;

use super::marti::holds_only_destinations;
use crate::counters::Reason;
use crate::wire::fig::geo;
use crate::wire::proto::{
    bytes_length, double_length, int_length, put_double, put_header, put_int,
};
use crate::wire::xml::{Child, Detail, Event, destinations};
use crate::wire::{number, text};

/// Appends the event as field `number` of an outer message.
///
/// # Errors
/// [`Reason::Incomplete`] when something is missing that federation requires: time, start, stale, how, point.
pub fn put_event(out: &mut Vec<u8>, field: u32, event: &Event<'_>) -> Result<(), Reason> {
    let plan = Plan::of(event)?;
    put_header(out, field, plan.length());
    plan.put(out);
    Ok(())
}

/// What will be written; made first because a message begins with its length.
struct Plan<'a> {
    times: [i64; 3],
    point: [f64; 5],
    strings: [(u32, &'a [u8]); 8],
    battery: Option<i32>,
    track: Option<[f64; 2]>,
    marti: Option<&'a [u8]>,
    detail: &'a [u8],
    /// Parts of `detail` that become typed fields, in the order they stand in.
    lifted: Fixed<&'a [u8], 4>,
}

impl<'a> Plan<'a> {
    fn of(event: &Event<'a>) -> Result<Self, Reason> {
        let (Some(time), Some(start), Some(stale)) = (event.time, event.start, event.stale) else {
            return Err(Reason::Incomplete);
        };
        if event.how.is_empty() {
            return Err(Reason::Incomplete);
        }
        let point = event.point.ok_or(Reason::Incomplete)?;
        // A place that cannot be read is no place; an unreadable height or error is an unknown one.
        let place = |raw| number::read(raw).ok_or(Reason::Incomplete);
        let error = |raw: &[u8]| match raw {
            [] => Err(Reason::Incomplete),
            raw => Ok(number::read(raw).unwrap_or(number::UNKNOWN)),
        };
        let detail = event.detail.unwrap_or_default();
        let mut plan = Self {
            times: [time, start, stale],
            point: [
                place(point.lat)?,
                place(point.lon)?,
                error(point.hae)?,
                error(point.ce)?,
                error(point.le)?,
            ],
            strings: [
                (geo::UID, event.uid),
                (geo::TYPE, event.kind),
                (geo::COORD_SOURCE, event.how),
                (geo::PLOC, &[]),
                (geo::PALT, &[]),
                (geo::ACCESS, event.access),
                (geo::CAVEAT, event.caveat),
                (geo::RELEASABLE_TO, event.releasable_to),
            ],
            battery: None,
            track: None,
            marti: None,
            detail: detail.bytes,
            lifted: Fixed::new(),
        };
        plan.lift(&detail);
        Ok(plan)
    }

    fn lift(&mut self, detail: &Detail<'a>) {
        if let (Some(speed), Some(course)) = (detail.track.values[0], detail.track.values[1]) {
            if let (Some(fast), Some(to)) = (number::read(speed), number::read(course)) {
                self.track = Some([fast, to]);
                let same = number::is_canonical(speed, fast) && number::is_canonical(course, to);
                self.take(&detail.track, detail.track.is_exact() && same);
            }
        }
        // `readiness` makes a status something else (protocol reference 1.7, rule 5).
        if let (Some(raw), None) = (detail.status.values[0], detail.status.values[1]) {
            if let Some(battery) = text::as_str(raw).and_then(|text| text.parse::<i32>().ok()) {
                self.battery = Some(battery);
                let status = &detail.status;
                let alone = status.count == 1 && status.empty && !status.others;
                // A zero is not told from "not said" by peers that write no zeros, so it stays in the text.
                self.take(
                    status,
                    alone && battery > 0 && !raw.starts_with(b"0") && raw[0] != b'+',
                );
            }
        }
        if let (Some(source), Some(altitude)) =
            (detail.precision.values[0], detail.precision.values[1])
        {
            self.strings[3].1 = source;
            self.strings[4].1 = altitude;
            let said = !source.is_empty() && !altitude.is_empty();
            self.take(&detail.precision, detail.precision.is_exact() && said);
        }
        if destinations(detail.marti.bytes).any(|dest| field_of(dest.name).is_some()) {
            self.marti = Some(detail.marti.bytes);
            let all = destinations(detail.marti.bytes).all(|dest| {
                field_of(dest.name).is_some() && !dest.others && !dest.value.is_empty()
            });
            self.take(
                &detail.marti,
                detail.marti.count == 1
                    && !detail.marti.others
                    && all
                    && holds_only_destinations(detail.marti.bytes),
            );
        }
        self.lifted
            .sort_unstable_by_key(|part| offset(self.detail, part));
    }

    fn take(&mut self, child: &Child<'a>, whole: bool) {
        if whole {
            // Four children can be lifted, and four places there are.
            let _ = self.lifted.push(child.bytes);
        }
    }

    fn length(&self) -> usize {
        let times: usize = (geo::SEND_TIME..)
            .zip(self.times)
            .map(|(number, time)| int_length(number, time))
            .sum();
        let strings: usize = self
            .strings
            .iter()
            .filter(|(_, raw)| !raw.is_empty())
            .map(|&(number, raw)| bytes_length(number, text::unescaped_length(raw)))
            .sum();
        times
            + 5 * double_length(geo::LAT)
            + strings
            + self
                .other_length()
                .map_or(0, |length| bytes_length(geo::OTHER, length))
            + self
                .battery
                .map_or(0, |battery| int_length(geo::BATTERY, i64::from(battery)))
            + self.track.map_or(0, |_| 2 * double_length(geo::SPEED))
            + self
                .addressees()
                .map(|(number, raw)| bytes_length(number, text::unescaped_length(raw)))
                .sum::<usize>()
    }

    fn put(&self, out: &mut Vec<u8>) {
        for (number, time) in (geo::SEND_TIME..).zip(self.times) {
            put_int(out, number, time);
        }
        // Zeros too: very old peers required these five (protocol reference 1.2, legacy note).
        for (number, value) in (geo::LAT..).zip(self.point) {
            put_double(out, number, value);
        }
        for &(number, raw) in &self.strings {
            if !raw.is_empty() {
                put_string(out, number, raw);
            }
        }
        if let Some(length) = self.other_length() {
            put_header(out, geo::OTHER, length);
            let mut rest = self.detail;
            for part in &self.lifted {
                let at = offset(rest, part);
                out.extend_from_slice(&rest[..at]);
                rest = &rest[at + part.len()..];
            }
            out.extend_from_slice(rest);
        }
        if let Some(battery) = self.battery {
            put_int(out, geo::BATTERY, i64::from(battery));
        }
        if let Some([speed, course]) = self.track {
            put_double(out, geo::SPEED, speed);
            put_double(out, geo::COURSE, course);
        }
        for (number, raw) in self.addressees() {
            put_string(out, number, raw);
        }
    }

    fn other_length(&self) -> Option<usize> {
        let lifted: usize = self.lifted.iter().map(|part| part.len()).sum();
        (!self.detail.is_empty()).then(|| self.detail.len() - lifted)
    }

    fn addressees(&self) -> impl Iterator<Item = (u32, &'a [u8])> + use<'a> {
        destinations(self.marti.unwrap_or_default())
            .filter_map(|dest| Some((field_of(dest.name)?, dest.value)))
            .filter(|(_, value)| !value.is_empty())
    }
}

fn put_string(out: &mut Vec<u8>, number: u32, raw: &[u8]) {
    put_header(out, number, text::unescaped_length(raw));
    text::write_unescaped(out, raw);
}

fn field_of(name: &[u8]) -> Option<u32> {
    match name {
        b"uid" => Some(geo::PTP_UIDS),
        b"callsign" => Some(geo::PTP_CALLSIGNS),
        b"mission" => Some(geo::MISSION_NAMES),
        _ => None,
    }
}

/// Where `part` begins in `whole`, of which it is a slice.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr().saturating_sub(whole.as_ptr().addr())
}
