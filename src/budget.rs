//! The memory sum: what the box needs when every bound is reached at once, and whether that fits under the ceiling.
//!
//! Figures marked "measured" are those of the architecture study, sections 2.1 and 5.8; the others follow from the
//! limits. Pure arithmetic: the same limits give the same table.

pub mod parcels;
mod row;
pub mod visitors;
mod words;

use std::fmt;

pub use row::Row;
pub use words::OverBudget;

use crate::clock::gps;
use crate::config::Limits;
use crate::log::recent;
use crate::wire::pack;
use row::row;
use words::tenths;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Code, C library, runtime, log, configuration and TLS contexts, resident: 6.1 MiB measured on an idle box built with
/// the firmware profile (x86-64; the release profile, built for speed, has 1.1 MiB more).
const BASE: u64 = 6 * MIB + 128 * KIB;
/// An idle TLS connection, one end.
const TLS: u64 = 9 * KIB;
/// Most that rustls buffers for one record received and one to send.
const TLS_RECORD: u64 = 18 * KIB;
/// An idle federation connection: TLS and HTTP/2, one end.
const FEDERATE: u64 = 49 * KIB;
/// HTTP/2 receive window of a connection, all of it filled.
pub const FEDERATE_WINDOW: u64 = 96 * KIB;
/// HTTP/2 send buffer of a connection, all of it filled.
pub const FEDERATE_SEND_BUFFER: u64 = 32 * KIB;
/// Longest HTTP/2 frame taken; a frame is read whole.
pub const FEDERATE_FRAME: u64 = 16 * KIB;
/// Receive buffer of a client or federate; an event that does not fit needs one of the [`LARGE_EVENTS`].
pub const INGEST: u64 = 8 * KIB;
/// Events larger than [`INGEST`] that may be on their way in at once.
pub const LARGE_EVENTS: u64 = 2;
/// TLS handshakes that may be under way at once, all listeners together.
pub const HANDSHAKES: u64 = 16;
/// Connections that may wait for a place to begin their handshake, all listeners together.
pub const DOOR_WAITING: u64 = 16;
/// Connections refused in their handshake that are listened to for a moment more, all listeners together.
pub const DOOR_LINGERING: u64 = 8;
/// One of those: socket, task and its entry in the door's table; no TLS.
pub const DOOR_EACH: u64 = KIB + KIB / 2;
/// What is kept of the memory for one event in TAK protocol v1: for its detail as text, and for the form itself. A larger
/// one is among the large events.
pub const TAK_FORM: u64 = 6 * KIB;
/// One of the latest tracks: at most 2 KiB of event, and its entry in a map at most half full.
pub const LATEST_PLACE: u64 = 2048 + 192;
/// One content hash with its time; their number is rounded up to a power of two.
pub const DUPLICATE: u64 = 16;
/// One source of events whose clock is remembered.
pub const SOURCE: u64 = 72;
/// One rule of a filter: its place, its text at its longest, and the allocator's 16.
pub const FILTER_RULE: u64 = 104;
/// What is kept of a neighbour's clock.
pub const FRAME: u64 = 176;
/// One group: its name, and its place in the table.
pub const GROUP: u64 = 64 + 32;
/// What is kept of the groups of one federate: 16 names that mean something here, 16 that it told of.
pub const PEER_GROUPS: u64 = 16 * (64 + 40) + 16 * (64 + 40);
/// One local network: its tallies, and two tasks that listen.
pub const NETWORK: u64 = 3 * KIB;
/// One contact: uid, callsign and type of ordinary length, owner, and its entry in the map.
pub const CONTACT: u64 = 256;
/// What the spool keeps in memory of one peer: two lanes, and what it reads ahead.
pub const SPOOL_PEER: u64 = 3 * KIB;
/// Segments that the spool has on the disk: 128 full ones, and for each peer nine begun for their age in each lane.
pub const SPOOL_SEGMENTS: [u64; 2] = [128, 18];
/// One of them.
pub const SPOOL_SEGMENT: u64 = 64;
/// The alarms, and the emergencies and chat of federates, that are remembered against repeats.
pub const SPOOL_REPEATS: u64 = 11 * KIB;
/// Control connections served at once.
pub const CONTROL_CONNECTIONS: u64 = 8;
/// A control request up to this size is read at once; of larger ones, one at a time.
pub const CONTROL_SMALL: u64 = 4 * KIB;
/// Side connections of other boxes that we answer after a silence, all together.
pub const QUIET_CONNECTIONS: u64 = 8;
/// One of those, ours or another box's: socket and task; its TLS session is gone.
const QUIET_EACH: u64 = KIB + KIB / 2;
/// Our own side connections.
const QUIET_OWN: u64 = 4;
/// Who is there at a server, and until when.
pub const SERVER_USERS: u64 = 4 * KIB;
/// Longest datagram of a mesh that is taken; all meshes share the room for it.
pub const MESH_DATAGRAM: u64 = 24 * KIB;
/// Longest datagram that is said on a mesh: six pieces on an ordinary network, of which none may be lost.
pub const MESH_SAID: u64 = 8 * KIB;
/// What one mesh keeps beside that: what is held back 8, what was said and who is there 16, two tasks and three sockets.
pub const MESH: u64 = 8 * KIB + 16 * KIB;
/// One datagram of the kernel about links, addresses and routes.
pub const ROUTE_MESSAGES: u64 = 4 * KIB;
/// Pairing by a code: four exchanges under way, the tries of 64 addresses, and what two boxes tell each other, once as it
/// is and twice as it is written.
const PAIRING: u64 = 8 * KIB;
/// Per cent of the heap that the allocator loses to its own bookkeeping and to holes.
const SLACK_PERCENT: u64 = 15;

/// Longest control request, bytes: the largest event, a quarter more for the quotes in it that JSON escapes, and its
/// envelope.
pub fn control_line(limits: &Limits) -> u64 {
    kib(limits.max_event_kib) * 5 / 4 + 16 * KIB
}

/// The whole sum. Displays as a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    rows: Vec<Row>,
    ceiling: u64,
    limits: Limits,
}

impl Budget {
    /// Adds up what these limits allow.
    pub fn of(limits: &Limits) -> Self {
        let mut rows = heap(limits);
        let slack = rows.iter().map(Row::total).sum::<u64>() * SLACK_PERCENT / 100;
        rows.push(row("allocator slack", slack, 1, None, "15 % of all above"));
        rows.insert(
            0,
            row(
                "code and runtime",
                BASE,
                1,
                None,
                "resident code, C library, runtime, log, settings",
            ),
        );
        Self {
            rows,
            ceiling: u64::from(limits.memory_mib) * MIB,
            limits: limits.clone(),
        }
    }

    /// The lines of the sum.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Bytes in the worst case.
    pub fn total(&self) -> u64 {
        self.rows.iter().map(Row::total).sum()
    }

    /// Bytes allowed: `memory_mib`.
    pub fn ceiling(&self) -> u64 {
        self.ceiling
    }

    /// Whether the worst case fits under the ceiling.
    ///
    /// # Errors
    /// By how much it does not, and which limits to change.
    pub fn check(&self) -> Result<(), OverBudget> {
        if self.total() <= self.ceiling {
            return Ok(());
        }
        Err(OverBudget {
            total: self.total(),
            ceiling: self.ceiling,
            lower: self.sufficient_cuts(),
        })
    }

    /// For each limit that can cure it alone: the largest value that fits, the limit with the largest share first.
    fn sufficient_cuts(&self) -> Vec<(&'static str, u32)> {
        let mut shares = self.rows.clone();
        shares.sort_by_key(|row| std::cmp::Reverse(row.total()));
        let mut cuts: Vec<(&'static str, u32)> = Vec::new();
        for key in shares.iter().filter_map(|row| row.key) {
            if cuts.iter().all(|&(seen, _)| seen != key) {
                cuts.extend(self.largest_that_fits(key).map(|value| (key, value)));
            }
        }
        cuts.truncate(3);
        cuts
    }

    fn largest_that_fits(&self, key: &str) -> Option<u32> {
        let limit = Limits::TABLE.iter().find(|limit| limit.key == key)?;
        let fits = |value| {
            let limits = self.limits.with(key, value)?;
            let sound = limits.contradiction().is_none();
            (sound && Self::of(&limits).total() <= self.ceiling).then_some(value)
        };
        // Halving: what a limit costs grows with it.
        let (mut low, mut high) = (limit.least, self.limits.value(key)?);
        let mut best = None;
        while low <= high {
            let middle = low + (high - low) / 2;
            match fits(middle) {
                Some(value) => (best, low) = (Some(value), middle + 1),
                None => high = middle.checked_sub(1)?,
            }
        }
        best
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<28} {:>9} {:>8} {:>10}",
            "item", "each KiB", "count", "total KiB"
        )?;
        for row in &self.rows {
            let (each, total) = (tenths(row.each), tenths(row.total()));
            writeln!(f, "{:<28} {each:>9} {:>8} {total:>10}", row.item, row.count)?;
        }
        let (total, ceiling) = (tenths(self.total()), tenths(self.ceiling));
        writeln!(f, "{:<28} {:>9} {:>8} {total:>10}", "worst case", "", "")?;
        write!(
            f,
            "{:<28} {:>9} {:>8} {ceiling:>10}",
            "ceiling (memory_mib)", "", ""
        )
    }
}

/// Everything that is allocated; slack comes on top.
fn heap(limits: &Limits) -> Vec<Row> {
    let batch = kib(limits.batch_kib);
    let event = kib(limits.max_event_kib);
    let clients = u64::from(limits.max_clients);
    let federates = u64::from(limits.max_federates);
    let line = control_line(limits);
    vec![
        row(
            "federate link",
            FEDERATE
                + TLS_RECORD
                + FEDERATE_WINDOW
                + FEDERATE_FRAME
                + INGEST
                + FEDERATE_SEND_BUFFER
                + batch,
            federates,
            Some("max_federates"),
            "TLS and HTTP/2 49 (measured), records 18, window 96, frame 16, receive buffer 8, send buffer 32, one batch; over v1 \
             less: no HTTP/2",
        ),
        row(
            "packed link",
            2 * pack::MEMORY as u64,
            limits.compressed_links.into(),
            Some("compressed_links"),
            "what both ends know of its events, one for each direction",
        ),
        row(
            "client",
            TLS + TLS_RECORD + INGEST + batch,
            clients,
            Some("max_clients"),
            "TLS 9 (measured), records 18, receive buffer 8, one batch",
        ),
        row(
            "API connection",
            FEDERATE + TLS_RECORD + visitors::EACH,
            1,
            None,
            "TLS and HTTP/2 49 (measured), records 18, windows 16, frame 16, answer 48; further ones and watchers take the \
             places of clients",
        ),
        row(
            "login at a server",
            TLS + TLS_RECORD + INGEST + batch + SERVER_USERS,
            limits.max_servers.into(),
            Some("max_servers"),
            "TLS 9 (measured), records 18, receive buffer 8, one batch, who is there 4",
        ),
        row(
            "handshake under way",
            TLS + TLS_RECORD,
            HANDSHAKES,
            None,
            "not yet a client or federate: TLS 9, records 18",
        ),
        row(
            "waiting at the door",
            DOOR_EACH,
            DOOR_WAITING + DOOR_LINGERING,
            None,
            "before their handshake, or refused in it and not yet gone: socket and task",
        ),
        row(
            "quiet side connection",
            QUIET_EACH,
            QUIET_CONNECTIONS + QUIET_OWN,
            None,
            "to learn how long the network remembers an idle link: socket and task",
        ),
        row(
            "mesh",
            MESH,
            limits.max_meshes.into(),
            Some("max_meshes"),
            "what is held back 8, what was said and who is there 16",
        ),
        row(
            "datagram of a mesh",
            MESH_DATAGRAM,
            1,
            None,
            "while it is read",
        ),
        row(
            "changes of the network",
            2 * ROUTE_MESSAGES,
            1,
            None,
            "what the kernel tells of links, addresses and routes: one datagram, and the task that reads it",
        ),
        row(
            "large event on its way in",
            2 * event,
            LARGE_EVENTS,
            Some("max_event_kib"),
            "its buffer while it grows, or the event and its other wire form",
        ),
        row(
            "filter rules",
            FILTER_RULE,
            limits.max_filter_rules.into(),
            Some("max_filter_rules"),
            "place and text of each rule of all filters",
        ),
        row(
            "waiting events",
            kib(limits.waiting_kib),
            1,
            Some("waiting_kib"),
            "all outboxes together, with 128 bytes beside each event's own",
        ),
        parcels::KEPT,
        parcels::ON_ITS_WAY,
        parcels::RESOURCES,
        row(
            "TAK protocol v1",
            TAK_FORM,
            2,
            None,
            "one event: its detail as text, and its form",
        ),
        row(
            "spool, per federate",
            SPOOL_PEER + SPOOL_SEGMENTS[1] * SPOOL_SEGMENT,
            federates,
            Some("max_federates"),
            "two lanes, read-ahead 1.5, segments begun for their age",
        ),
        row(
            "spool, shared",
            SPOOL_SEGMENTS[0] * SPOOL_SEGMENT + SPOOL_REPEATS,
            1,
            None,
            "index of full segments, what is remembered against repeats",
        ),
        row(
            "latest tracks",
            LATEST_PLACE,
            limits.latest_events.into(),
            Some("latest_events"),
            "kept for late joiners: event and index",
        ),
        row(
            "duplicates",
            DUPLICATE,
            u64::from(limits.dedup_events).next_power_of_two(),
            Some("dedup_events"),
            "hash and time",
        ),
        row(
            "clocks of sources",
            SOURCE,
            u64::from(limits.skew_sources).next_multiple_of(4),
            Some("skew_sources"),
            "how far each is off",
        ),
        row(
            "clocks of neighbours",
            FRAME,
            clients + federates + u64::from(limits.max_servers),
            None,
            "how far each is off, and what its box tells of the time",
        ),
        row(
            "groups",
            GROUP,
            limits.max_groups.into(),
            Some("max_groups"),
            "name and place",
        ),
        row(
            "groups, per federate",
            PEER_GROUPS + u64::from(limits.max_contacts.div_ceil(8)),
            federates,
            Some("max_federates"),
            "names that are mapped, names it told of; a bit for each contact it knows",
        ),
        row(
            "local network",
            NETWORK,
            limits.max_networks.into(),
            Some("max_networks"),
            "tallies, two listeners",
        ),
        row(
            "contacts",
            CONTACT,
            limits.max_contacts.into(),
            Some("max_contacts"),
            "uid, callsign, type, owner",
        ),
        row(
            "flight recorder",
            kib(limits.recorder_kib.into()),
            1,
            Some("recorder_kib"),
            "what became of each uid's newest event, and what happened last, half each",
        ),
        parcels::COURIER,
        row(
            "control connection",
            2 * CONTROL_SMALL,
            CONTROL_CONNECTIONS,
            None,
            "request and answer",
        ),
        row(
            "large control request",
            2 * line,
            1,
            Some("max_event_kib"),
            "its line and the event decoded from it",
        ),
        row(
            "pairing",
            PAIRING,
            1,
            None,
            "exchanges under way, tries of addresses, what two boxes tell each other",
        ),
        row(
            "line of gpsd",
            gps::LINE_BYTES as u64,
            1,
            None,
            "while it is read",
        ),
        row(
            "log line kept",
            recent::LINE_BYTES as u64 + 16,
            recent::LINES as u64,
            None,
            "for the console: its text and its place",
        ),
    ]
}

fn kib(value: u32) -> u64 {
    u64::from(value) * KIB
}

#[cfg(test)]
mod tests;
