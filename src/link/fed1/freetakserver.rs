//! What FreeTAKServer needs to be told differently, and what it says wrongly. Pure; as seen of release 2.2.1.
//!
//! | it | so |
//! |---|---|
//! | reads a length, then once as many bytes: a frame longer than a TLS record, or two in one, put it out of step | one frame of 16 KiB at most per record, with a gap between them |
//! | drops typed fields (`speed`, `battery`, ...) | everything stands in the detail |
//! | shows its users an empty event for a frame that holds only a contact | a contact goes along with its own event |
//! | trips over the DELETE of a contact that it was not told of | a DELETE goes only for what was told on this connection |
//! | sends back what it gets, with what it does not understand left out | what has crossed once does not cross again |
//! | sends times as 0 when it cannot read them | they become now, now, and now and five minutes |

use std::hash::BuildHasher;

use foldhash::quality::FixedState;

use crate::cot::class;
use crate::cot::render;
use crate::counters::Reason;
use crate::wire::fed1::PREFIX;
use crate::wire::fig::{self, Addressee, Contact, Geo, Operation, federated, geo};
use crate::wire::proto::{bytes_length, int_length, put_bytes, put_double, put_header, put_int};
use crate::wire::xml::{Event, Reader};
use crate::wire::{stamp, text};

/// Longest frame, its prefix included: what one TLS record holds, bytes.
pub const LONGEST_FRAME: usize = 16 * 1024;

/// Longest event that is offered to it at all, as a `FederatedEvent`, bytes. What typed fields say comes on top as text.
pub const LONGEST_EVENT: usize = LONGEST_FRAME - 1024;

/// Events that are remembered because they crossed, either way.
const CROSSED: usize = 512;
/// Contacts that it was told of, and that are remembered for their DELETE.
const TOLD: usize = 512;
/// How long an event without times holds, milliseconds.
const LIFE_MS: i64 = 300_000;

/// `ContactListEntry` operations.
const CREATE: i64 = 1;
const DELETE: i64 = 4;

/// What is known of one connection with a FreeTAKServer.
pub struct Desk {
    hasher: FixedState,
    crossed: Box<[u64; CROSSED]>,
    next: usize,
    /// Hashes of the uids, sorted.
    told: Vec<u64>,
    reader: Reader,
    stamps: stamp::Writer,
    xml: Vec<u8>,
    names: Vec<u8>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

impl Desk {
    /// For a connection that begins; `seed` makes its hashes its own.
    pub fn new(seed: u64) -> Self {
        Self {
            hasher: FixedState::with_seed(seed),
            crossed: Box::new([0; CROSSED]),
            next: 0,
            told: Vec::new(),
            reader: Reader::default(),
            stamps: stamp::Writer::default(),
            xml: Vec::new(),
            names: Vec::new(),
        }
    }

    /// Puts the frame to send for one of our messages into `out`, which stays empty when there is none.
    ///
    /// # Errors
    /// Why the event cannot be sent: [`Reason::Oversize`], [`Reason::Duplicate`], or what is wrong with it.
    pub fn outgoing(
        &mut self,
        message: &[u8],
        out: &mut Vec<u8>,
        now_ms: i64,
    ) -> Result<(), Reason> {
        out.clear();
        let read = fig::parse(message, b"")?;
        let mut contact = None;
        if let Some(Contact {
            operation: Operation::Delete,
            uid,
            callsign,
        }) = read.contact
        {
            let told = self.told.binary_search(&self.hasher.hash_one(uid));
            contact = told.ok().map(|at| {
                self.told.remove(at);
                (DELETE, uid, callsign)
            });
        }
        let deletes = |event: &Geo<'_>| event.kind == class::DELETE;
        if contact.is_none() && read.event.as_ref().is_some_and(deletes) {
            // It would trip over it, and it takes from the event what it is that is deleted.
            return Err(Reason::NoDestination);
        }
        self.xml.clear();
        match &read.event {
            Some(event) => {
                if !self.crosses(event) {
                    return Err(Reason::Duplicate);
                }
                let mut checked = Event::nothing();
                render::read_detail(&mut checked, event, &mut self.reader)?;
                let detail = checked.detail.as_ref();
                render::put_event(&mut self.xml, event, detail, &mut self.stamps)?;
            }
            None => match contact {
                Some((_, uid, kind)) => {
                    render::put_delete(&mut self.xml, uid, kind, now_ms)?;
                    self.crosses(&deleting(uid, now_ms));
                }
                // A contact that comes goes along with its event.
                None => return Ok(()),
            },
        }
        let mut shown = Event::nothing();
        self.reader.parse(&mut shown, &self.xml)?;
        let detail = shown.detail.unwrap_or_default();
        self.names.clear();
        if let (Some(event), Some(callsign)) = (&read.event, detail.contact.first())
            && contact.is_none()
            && event.kind.starts_with(b"a-")
        {
            let key = self.hasher.hash_one(event.uid);
            if let Err(at) = self.told.binary_search(&key) {
                if self.told.len() < TOLD {
                    self.told.insert(at, key);
                }
                text::write_unescaped(&mut self.names, callsign);
                contact = Some((CREATE, event.uid, self.names.as_slice()));
            }
        }
        out.extend_from_slice(&[0; PREFIX]);
        match (&read.event, contact) {
            (Some(event), _) => put_event(out, event, detail.bytes),
            (None, Some((_, uid, _))) => put_event(out, &deleting(uid, now_ms), detail.bytes),
            (None, None) => {}
        }
        if let Some((operation, uid, callsign)) = contact {
            put_contact(out, operation, uid, callsign);
        }
        if out.len() > LONGEST_FRAME {
            out.clear();
            return Err(Reason::Oversize);
        }
        // Bounded just above.
        let length = (out.len() - PREFIX) as u32;
        out[..PREFIX].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    /// Looks at a message that came: `Err` when it is one that crossed already. What takes the place of its times, if it
    /// has none, is put into `edits`, to be read behind it.
    ///
    /// # Errors
    /// [`Reason::Duplicate`].
    pub fn incoming(
        &mut self,
        message: &[u8],
        edits: &mut Vec<u8>,
        now_ms: i64,
    ) -> Result<(), Reason> {
        edits.clear();
        // What cannot be read is the router's to refuse and to count.
        let Ok(Some(event)) = fig::parse(message, b"").map(|read| read.event) else {
            return Ok(());
        };
        if !self.crosses(&event) {
            return Err(Reason::Duplicate);
        }
        let time = if event.time == 0 { now_ms } else { event.time };
        let times = [
            (geo::SEND_TIME, event.time, time),
            (geo::START_TIME, event.start, time),
            (geo::STALE_TIME, event.stale, time.saturating_add(LIFE_MS)),
        ];
        let missing = || times.iter().filter(|(_, said, _)| *said == 0);
        let length: usize = missing()
            .map(|(number, _, value)| int_length(*number, *value))
            .sum();
        if length > 0 {
            put_header(edits, federated::EVENT, length);
            for (number, _, value) in missing() {
                put_int(edits, *number, *value);
            }
        }
        Ok(())
    }

    /// Notes that an event crosses; `false` when it has crossed already. What comes back is known by what it does not
    /// change: uid, type and times.
    fn crosses(&mut self, event: &Geo<'_>) -> bool {
        let times = (event.time, event.start, event.stale);
        if times == (0, 0, 0) {
            return true;
        }
        let key = self.hasher.hash_one((event.uid, event.kind, times)).max(1);
        if self.crossed.contains(&key) {
            return false;
        }
        self.crossed[self.next] = key;
        self.next = (self.next + 1) % CROSSED;
        true
    }
}

/// The event around a delete that has none.
fn deleting(uid: &[u8], now_ms: i64) -> Geo<'_> {
    Geo {
        time: now_ms,
        start: now_ms,
        stale: now_ms.saturating_add(20_000),
        point: [0.0, 0.0, 9_999_999.0, 9_999_999.0, 9_999_999.0],
        uid,
        kind: class::DELETE,
        how: b"h-g-i-g-o",
        ..Geo::default()
    }
}

/// The event with all of its detail as text.
fn put_event(out: &mut Vec<u8>, event: &Geo<'_>, detail: &[u8]) {
    let strings = [
        (geo::UID, event.uid),
        (geo::TYPE, event.kind),
        (geo::COORD_SOURCE, event.how),
        (geo::OTHER, detail),
    ];
    let times = [
        (geo::SEND_TIME, event.time),
        (geo::START_TIME, event.start),
        (geo::STALE_TIME, event.stale),
    ];
    let callsigns = || {
        event.destinations().filter_map(|one| match one {
            Addressee::Callsign(callsign) => Some(callsign),
            _ => None,
        })
    };
    // Five doubles of nine bytes each.
    let length = times
        .iter()
        .map(|(number, value)| int_length(*number, *value))
        .sum::<usize>()
        + 5 * 9
        + strings
            .iter()
            .map(|(number, text)| bytes_length(*number, text.len()))
            .sum::<usize>()
        + callsigns()
            .map(|name| bytes_length(geo::PTP_CALLSIGNS, name.len()))
            .sum::<usize>();
    put_header(out, federated::EVENT, length);
    for (number, value) in times {
        put_int(out, number, value);
    }
    for (number, value) in (geo::LAT..).zip(event.point) {
        put_double(out, number, value);
    }
    for (number, text) in strings {
        put_bytes(out, number, text);
    }
    for callsign in callsigns() {
        put_bytes(out, geo::PTP_CALLSIGNS, callsign);
    }
}

fn put_contact(out: &mut Vec<u8>, operation: i64, uid: &[u8], callsign: &[u8]) {
    let length =
        int_length(1, operation) + bytes_length(2, uid.len()) + bytes_length(3, callsign.len());
    put_header(out, federated::CONTACT, length);
    put_int(out, 1, operation);
    put_bytes(out, 2, uid);
    put_bytes(out, 3, callsign);
}

#[cfg(test)]
mod tests;
