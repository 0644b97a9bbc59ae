//! What became of the newest event of each uid, on every link: what `why` tells.
//!
//! A table of fixed size, made once: rows in sets of four by the uid's hash, and in a full set the row that was silent
//! for longest gives way. Each row has a cell for every link. A parcel that waits carries a [`Mark`], so that what
//! becomes of it later finds its row; a row that was taken over meanwhile, or whose uid has a newer event, is left
//! alone.

use super::policy::Ruling;
use crate::cot::Class;
use crate::counters::Reason;

/// What became of an event on one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was not offered.
    None,
    /// It came from there.
    Origin,
    /// It was handed to the connection.
    Sent,
    /// It waits in the outbox.
    Waiting,
    /// It is kept on disk until the link is back.
    Spooled,
    /// It was not passed on.
    Dropped(Reason),
    /// A rule of the link's filter kept it back.
    Filtered(Ruling),
    /// It tells of a data package whose bytes go there first.
    Carried,
}

/// Points from a parcel to the row of its event. The default points nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// Place of the row, counted from 1.
    row: u16,
    lap: u16,
}

/// A link's column in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column(pub u16);

impl Column {
    /// All local clients together.
    pub const CLIENTS: Self = Self(0);
    /// A link that is in no column: the box's own commands.
    pub const NONE: Self = Self(u16::MAX);

    /// The federate of that number, in the order of their coming.
    pub const fn federate(number: u16) -> Self {
        Self(FEDERATES + number)
    }
}

/// Columns before the first federate: clients to whom it was sent, for whom it waits, for whom it was dropped.
const FEDERATES: u16 = 3;
/// A peer may be replaced by another one while its link is still up.
const SPARE: usize = 2;
/// Rows among which a uid may stand.
const WAYS: usize = 4;
/// Bytes kept of a uid, its last ones: devices of one make begin alike.
pub const UID: usize = 32;
/// Bytes kept of a type, its first ones.
pub const KIND: usize = 16;

/// One cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// What became of it.
    pub fate: Fate,
    /// Of how many clients; federates have 1.
    pub count: u8,
    /// How long after it came, tenths of a second, at most 6,553 s.
    pub after: u16,
}

const EMPTY: Cell = Cell {
    fate: Fate::None,
    count: 0,
    after: 0,
};

/// An event that came in.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Hash of its uid.
    pub key: u64,
    /// Its uid.
    pub uid: &'a [u8],
    /// Its type.
    pub kind: &'a [u8],
    /// Its length in bytes, as it came.
    pub size: u32,
    /// The link's number at the router.
    pub from: u16,
}

/// The newest event of a uid that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// When it came, monotonic milliseconds.
    pub at_ms: u64,
    /// Its `stale` minus the wall clock when it came, milliseconds.
    pub left_ms: i64,
    /// Its length in bytes, as it came.
    pub size: u32,
    /// Its class.
    pub class: Class,
    /// The link's number at the router.
    pub from: u16,
}

/// The newest event of a uid that was refused on its way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// When it came, monotonic milliseconds.
    pub at_ms: u64,
    /// Why.
    pub reason: Reason,
    /// Which rule of the link's filter, if one.
    pub ruling: Option<Ruling>,
    /// The link's number at the router.
    pub from: u16,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    key: u64,
    /// Of the newest event of either kind; for giving way.
    latest_ms: u64,
    taken: Option<Taken>,
    refused: Option<Refused>,
    taken_count: u32,
    refused_count: u32,
    uid: [u8; UID],
    kind: [u8; KIND],
    uid_length: u8,
    kind_length: u8,
    lap: u16,
}

const NOBODY: Row = Row {
    key: 0,
    latest_ms: 0,
    taken: None,
    refused: None,
    taken_count: 0,
    refused_count: 0,
    uid: [0; UID],
    kind: [0; KIND],
    uid_length: 0,
    kind_length: 0,
    lap: 0,
};

/// What is known of a uid.
#[derive(Debug, Clone, Copy)]
pub struct Trace<'a> {
    /// Its uid, at most the last [`UID`] bytes.
    pub uid: &'a [u8],
    /// Type of the newest event, at most the first [`KIND`] bytes.
    pub kind: &'a [u8],
    /// The newest event that was taken.
    pub taken: Option<Taken>,
    /// How many were taken since the row is this uid's.
    pub taken_count: u32,
    /// The newest event that was refused.
    pub refused: Option<Refused>,
    /// How many were refused since the row is this uid's.
    pub refused_count: u32,
    cells: &'a [Cell],
}

impl Trace<'_> {
    /// What became of the newest event that was taken, at a federate.
    pub fn at(&self, column: Column) -> Option<Cell> {
        self.cells.get(usize::from(column.0)).copied()
    }

    /// The same at the local clients: sent, waiting, dropped, each with the number of clients.
    pub fn at_clients(&self) -> [Cell; 3] {
        [0, 1, 2].map(|column| self.cells.get(column).copied().unwrap_or(EMPTY))
    }
}

/// The table.
#[derive(Debug, Default)]
pub struct Traces {
    rows: Vec<Row>,
    cells: Vec<Cell>,
    columns: usize,
}

impl Traces {
    /// A table of at most `bytes`, for so many federates. One that is too small for anything traces nothing.
    pub fn new(bytes: usize, federates: usize) -> Self {
        let columns = usize::from(FEDERATES) + federates + SPARE;
        let rows = bytes / (size_of::<Row>() + columns * size_of::<Cell>()) / WAYS * WAYS;
        let rows = rows.min(usize::from(u16::MAX - 1) / WAYS * WAYS);
        Self {
            rows: vec![NOBODY; rows],
            cells: vec![EMPTY; rows * columns],
            columns,
        }
    }

    /// Uids it has room for.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Traces nothing.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// An event was taken; what becomes of it follows.
    pub fn taken(
        &mut self,
        arrival: &Arrival<'_>,
        class: Class,
        left_ms: i64,
        now_ms: u64,
    ) -> Mark {
        let Some(at) = self.row(arrival, now_ms) else {
            return Mark::default();
        };
        let row = &mut self.rows[at];
        row.taken = Some(Taken {
            at_ms: now_ms,
            left_ms,
            size: arrival.size,
            class,
            from: arrival.from,
        });
        row.taken_count = row.taken_count.wrapping_add(1);
        row.lap = row.lap.wrapping_add(1);
        let lap = row.lap;
        self.cells[at * self.columns..][..self.columns].fill(EMPTY);
        Mark {
            row: at as u16 + 1,
            lap,
        }
    }

    /// An event was refused on its way in. What became of the last one that was taken stays known.
    pub fn refused(
        &mut self,
        arrival: &Arrival<'_>,
        (reason, ruling): (Reason, Option<Ruling>),
        now_ms: u64,
    ) {
        if let Some(at) = self.row(arrival, now_ms) {
            let row = &mut self.rows[at];
            row.refused_count = row.refused_count.wrapping_add(1);
            row.refused = Some(Refused {
                at_ms: now_ms,
                reason,
                ruling,
                from: arrival.from,
            });
        }
    }

    /// It was offered to a link, or not.
    pub fn offered(&mut self, mark: Mark, column: Column, fate: Fate) {
        if let Some((cells, _)) = self.cells_of(mark) {
            note(cells, column, fate, 0);
        }
    }

    /// It waited for a link, and does not any more.
    pub fn settle(&mut self, mark: Mark, column: Column, fate: Fate, now_ms: u64) {
        let Some((cells, at_ms)) = self.cells_of(mark) else {
            return;
        };
        if column == Column::CLIENTS
            && let Some(waiting) = cells.get_mut(1)
        {
            waiting.count = waiting.count.saturating_sub(1);
            if waiting.count == 0 {
                *waiting = EMPTY;
            }
        }
        let after = u16::try_from(now_ms.saturating_sub(at_ms) / 100).unwrap_or(u16::MAX);
        note(cells, column, fate, after);
    }

    /// A federate whose link came up was told the newest event of a uid.
    pub fn replayed(&mut self, key: u64, column: Column, now_ms: u64) {
        if let Some(at) = self.place(key).filter(|_| column.0 >= FEDERATES) {
            let row = &self.rows[at];
            let at_ms = row.taken.map_or(now_ms, |taken| taken.at_ms);
            let after = u16::try_from(now_ms.saturating_sub(at_ms) / 100).unwrap_or(u16::MAX);
            note(
                &mut self.cells[at * self.columns..][..self.columns],
                column,
                Fate::Sent,
                after,
            );
        }
    }

    /// What is known of a uid by its hash.
    pub fn find(&self, key: u64) -> Option<Trace<'_>> {
        let at = self.place(key)?;
        let row = &self.rows[at];
        Some(Trace {
            uid: &row.uid[..usize::from(row.uid_length)],
            kind: &row.kind[..usize::from(row.kind_length)],
            taken: row.taken,
            taken_count: row.taken_count,
            refused: row.refused,
            refused_count: row.refused_count,
            cells: &self.cells[at * self.columns..][..self.columns],
        })
    }

    fn place(&self, key: u64) -> Option<usize> {
        let first = self.set(key)?;
        (first..first + WAYS).find(|&at| {
            let row = &self.rows[at];
            row.key == key && (row.taken.is_some() || row.refused.is_some())
        })
    }

    fn set(&self, key: u64) -> Option<usize> {
        let sets = (self.rows.len() / WAYS) as u64;
        (sets > 0).then(|| (((key >> 32) * sets) >> 32) as usize * WAYS)
    }

    /// The uid's row: its own, or that of the longest silence.
    fn row(&mut self, arrival: &Arrival<'_>, now_ms: u64) -> Option<usize> {
        let first = self.set(arrival.key)?;
        let set = &mut self.rows[first..first + WAYS];
        let mut oldest = 0;
        let mut found = None;
        for at in 0..WAYS {
            if set[at].key == arrival.key {
                found = Some(at);
                break;
            }
            if set[at].latest_ms < set[oldest].latest_ms {
                oldest = at;
            }
        }
        let at = found.unwrap_or(oldest);
        let row = &mut set[at];
        if found.is_none() || row.uid_length == 0 {
            let lap = row.lap;
            *row = Row {
                key: arrival.key,
                // A mark of the uid before points nowhere from here on.
                lap: lap.wrapping_add(1),
                ..NOBODY
            };
            row.uid_length = keep(
                &mut row.uid,
                &arrival.uid[arrival.uid.len().saturating_sub(UID)..],
            );
        }
        row.kind_length = keep(&mut row.kind, arrival.kind);
        row.latest_ms = now_ms;
        Some(first + at)
    }

    fn cells_of(&mut self, mark: Mark) -> Option<(&mut [Cell], u64)> {
        let at = usize::from(mark.row).checked_sub(1)?;
        let row = self.rows.get(at).filter(|row| row.lap == mark.lap)?;
        let at_ms = row.taken?.at_ms;
        Some((&mut self.cells[at * self.columns..][..self.columns], at_ms))
    }
}

fn note(cells: &mut [Cell], column: Column, fate: Fate, after: u16) {
    let place = match (column, fate) {
        (Column::CLIENTS, Fate::Sent) => 0,
        (Column::CLIENTS, Fate::Waiting | Fate::Spooled) => 1,
        (Column::CLIENTS, _) => 2,
        (Column(place), _) => usize::from(place),
    };
    if let Some(cell) = cells.get_mut(place) {
        let count = match column {
            Column::CLIENTS => cell.count.saturating_add(1),
            _ => 1,
        };
        *cell = Cell { fate, count, after };
    }
}

/// Keeps what there is room for; gives its length.
fn keep(room: &mut [u8], text: &[u8]) -> u8 {
    let length = text.len().min(room.len());
    room[..length].copy_from_slice(&text[..length]);
    length as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRAVO: Column = Column::federate(0);

    fn arrival(key: u64) -> Arrival<'static> {
        Arrival {
            key: key << 32 | key,
            uid: b"ANDROID-0123456789abcdef",
            kind: b"a-f-G-U-C",
            size: 700,
            from: 4,
        }
    }

    #[test]
    fn what_waits_is_told_from_what_was_sent_or_dropped() {
        let mut traces = Traces::new(16 * 1024, 8);
        let mark = traces.taken(&arrival(7), Class::Track, 60_000, 1000);
        traces.offered(mark, BRAVO, Fate::Waiting);
        for _ in 0..3 {
            traces.offered(mark, Column::CLIENTS, Fate::Waiting);
        }
        traces.settle(mark, BRAVO, Fate::Dropped(Reason::Expired), 61_500);
        traces.settle(mark, Column::CLIENTS, Fate::Sent, 1100);
        traces.settle(mark, Column::CLIENTS, Fate::Dropped(Reason::Evicted), 1200);
        let trace = traces.find(arrival(7).key).unwrap();
        let cell = trace.at(BRAVO).unwrap();
        assert_eq!(
            (cell.fate, cell.after),
            (Fate::Dropped(Reason::Expired), 605)
        );
        let [sent, waiting, dropped] = trace.at_clients();
        assert_eq!((sent.count, waiting.count, dropped.count), (1, 1, 1));
        assert_eq!(dropped.fate, Fate::Dropped(Reason::Evicted));
        assert_eq!(
            (trace.uid, trace.kind),
            (&b"ANDROID-0123456789abcdef"[..], &b"a-f-G-U-C"[..])
        );
    }

    #[test]
    fn the_fate_of_an_older_event_does_not_touch_the_newer_ones() {
        let mut traces = Traces::new(16 * 1024, 8);
        let old = traces.taken(&arrival(7), Class::Track, 0, 1);
        traces.offered(old, BRAVO, Fate::Waiting);
        let new = traces.taken(&arrival(7), Class::Track, 0, 2);
        traces.offered(new, BRAVO, Fate::Sent);
        traces.settle(old, BRAVO, Fate::Dropped(Reason::Conflated), 3);
        let trace = traces.find(arrival(7).key).unwrap();
        assert_eq!(trace.at(BRAVO).unwrap().fate, Fate::Sent);
        assert_eq!(trace.taken_count, 2);
    }

    #[test]
    fn a_refusal_does_not_hide_what_was_taken() {
        let mut traces = Traces::new(16 * 1024, 8);
        let mark = traces.taken(&arrival(7), Class::Track, 0, 1);
        traces.offered(mark, BRAVO, Fate::Sent);
        traces.refused(&arrival(7), (Reason::Loop, None), 5);
        let trace = traces.find(arrival(7).key).unwrap();
        assert_eq!(trace.refused.unwrap().reason, Reason::Loop);
        assert_eq!(trace.at(BRAVO).unwrap().fate, Fate::Sent);
        traces.refused(&arrival(8), (Reason::IncomingOff, None), 6);
        let trace = traces.find(arrival(8).key).unwrap();
        assert_eq!((trace.taken, trace.refused_count), (None, 1));
    }

    #[test]
    fn the_longest_silent_gives_way_and_nothing_grows() {
        let mut traces = Traces::new(16 * 1024, 8);
        let room = traces.len() as u64;
        let bytes = |traces: &Traces| {
            traces.rows.capacity() * size_of::<Row>() + traces.cells.capacity() * size_of::<Cell>()
        };
        assert!(bytes(&traces) <= 16 * 1024 && room >= 64, "{room} rows");
        let marks: Vec<Mark> = (1..100 * room)
            .map(|key| {
                traces.taken(
                    &arrival(key.wrapping_mul(0x9e37_79b9)),
                    Class::Track,
                    0,
                    key,
                )
            })
            .collect();
        assert!(bytes(&traces) <= 16 * 1024);
        let newest = arrival((100 * room - 1).wrapping_mul(0x9e37_79b9)).key;
        assert!(traces.find(newest).is_some());
        // What is settled long after its row was taken over harms nobody.
        traces.settle(marks[0], BRAVO, Fate::Sent, 1);
        assert!(traces.find(arrival(0x9e37_79b9).key).is_none());
        let mut none = Traces::new(0, 8);
        assert_eq!(none.taken(&arrival(1), Class::Track, 0, 1), Mark::default());
        assert!(none.find(arrival(1).key).is_none());
    }
}
