//! The flight recorder: a ring of what happened last, in memory of fixed size, and what is needed to go through it
//! again.
//!
//! Every event that comes in leaves a note of fixed size. Its bytes are kept too, in a second ring, unless it is one
//! that was passed on to everybody: such an event is known well enough by its note (uid, type, content hash, life), and
//! the bytes of what is rare or went wrong then last longer. Links, clocks and uplinks leave notes with words. Nothing
//! is allocated for a note.
//!
//! The recorder has a lock of its own, held for one note at a time, so that it can still be read when a panic struck
//! the router.

mod file;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::link::{Form, Verdict};
use super::policy::Policy;
use crate::clock::Now;
use crate::cot::Class;

pub use file::{Contact, Damaged, Decided, LinkKind, Note, Recording, What};

/// Bytes kept of a uid, its last ones.
const UID: usize = 20;
/// Bytes kept of a type, its first ones.
const KIND: usize = 12;
/// Longest event that is kept whole, bytes.
pub const LONGEST: usize = 4096;
/// Longest words kept with a note, bytes.
const LONGEST_WORDS: usize = 160;
/// Links known by name; more clients than that are all called client.
const LINKS: usize = 256;

/// An event that came in.
#[derive(Debug, Clone, Copy)]
pub struct Came<'a> {
    /// The link's number at the router.
    pub from: u16,
    /// The form it came in.
    pub form: Form,
    /// Hash of its uid; 0 where it could not be read.
    pub key: u64,
    /// Hash of its content.
    pub content: u64,
    /// Its uid; empty where it could not be read.
    pub uid: &'a [u8],
    /// Its type; empty where it could not be read.
    pub kind: &'a [u8],
    /// Its class.
    pub class: Class,
    /// What was decided.
    pub verdict: Verdict,
    /// Its stale time minus the wall clock, milliseconds; none where it has no stale time.
    pub left_ms: Option<i64>,
    /// Addressed to somebody, or the start of something (a contact): its bytes are kept.
    pub special: bool,
    /// Its bytes, as they came.
    pub bytes: &'a [u8],
}

/// What a note with words is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Topic {
    /// How a peer's link stands.
    Link,
    /// The clock.
    Clock,
    /// The way out of the box.
    Uplink,
    /// Anything else.
    Box,
}

#[derive(Debug, Clone, Copy)]
enum Tag {
    Event {
        form: Form,
    },
    Words(Topic),
    Up(LinkKind),
    Down,
    /// Directions of a federate: taken, sent.
    Directions(bool, bool),
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    mono_ms: u64,
    wall_ms: i64,
    key: u64,
    content: u64,
    left_s: i32,
    size: u32,
    /// Where its bytes begin, counted over all bytes ever kept, plus 1; 0 = not kept.
    bytes_at: u64,
    tag: Tag,
    class: Class,
    verdict: Verdict,
    from: u16,
    uid_length: u8,
    kind_length: u8,
    uid: [u8; UID],
    kind: [u8; KIND],
}

const NOTHING: Entry = Entry {
    mono_ms: 0,
    wall_ms: 0,
    key: 0,
    content: 0,
    left_s: 0,
    size: 0,
    bytes_at: 0,
    tag: Tag::Words(Topic::Box),
    class: Class::Bulk,
    verdict: Verdict::Consumed,
    from: 0,
    uid_length: 0,
    kind_length: 0,
    uid: [0; UID],
    kind: [0; KIND],
};

#[derive(Debug, Default)]
struct Ring {
    entries: Vec<Entry>,
    /// Notes ever made.
    made: u64,
    bytes: Vec<u8>,
    /// Bytes ever kept.
    kept: u64,
    /// Every link that is or was up, as it is now.
    links: Vec<LinkNow>,
}

#[derive(Debug, Clone)]
struct LinkNow {
    number: u16,
    kind: LinkKind,
    name: Box<str>,
    up: bool,
    /// What may cross it.
    policy: Option<Arc<Policy>>,
}

/// The recorder. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    ring: Arc<Mutex<Ring>>,
}

impl Recorder {
    /// A recorder that takes at most `bytes` of memory. One that is too small for anything records nothing.
    pub fn new(bytes: usize) -> Self {
        let for_links = (LINKS * 4).min(bytes / 8);
        let for_notes = (bytes - for_links) * 3 / 5;
        let for_bytes = bytes - for_links - for_notes;
        let ring = Ring {
            entries: vec![NOTHING; for_notes / size_of::<Entry>()],
            bytes: vec![0; for_bytes],
            ..Ring::default()
        };
        Self {
            ring: Arc::new(Mutex::new(ring)),
        }
    }

    /// An event came in and was decided on.
    pub fn event(&self, came: &Came<'_>, now: Now) {
        let mut ring = self.lock();
        let plain = matches!(came.verdict, Verdict::Routed(_)) && !came.special;
        let bytes_at = match plain || came.bytes.len() > LONGEST {
            true => 0,
            false => ring.keep(came.bytes),
        };
        let Some(entry) = ring.next() else { return };
        entry.mono_ms = now.mono_ms;
        entry.wall_ms = now.wall_ms;
        entry.key = came.key;
        entry.content = came.content;
        entry.left_s = came.left_ms.map_or(i32::MIN, |left| {
            i32::try_from(left.div_euclid(1000)).unwrap_or(if left < 0 {
                i32::MIN + 1
            } else {
                i32::MAX
            })
        });
        entry.size = came.bytes.len() as u32;
        entry.bytes_at = bytes_at;
        entry.tag = Tag::Event { form: came.form };
        entry.class = came.class;
        entry.verdict = came.verdict;
        entry.from = came.from;
        entry.uid_length = keep_tail(&mut entry.uid, came.uid);
        entry.kind_length = keep_head(&mut entry.kind, came.kind);
    }

    /// Something that has words: the state of a link, a step of the clock, another way out.
    pub fn words(&self, topic: Topic, words: &str, now: Now) {
        let mut end = words.len().min(LONGEST_WORDS);
        while !words.is_char_boundary(end) {
            end -= 1;
        }
        let mut ring = self.lock();
        let bytes_at = ring.keep(&words.as_bytes()[..end]);
        ring.note(Tag::Words(topic), 0, (bytes_at, end), now);
    }

    /// A link came up.
    pub fn up(&self, number: u16, kind: LinkKind, name: &str, now: Now) {
        let mut ring = self.lock();
        if ring.entries.is_empty() {
            return;
        }
        let full = ring.links.len() >= LINKS;
        match ring.links.iter_mut().find(|link| link.number == number) {
            Some(link) => {
                (link.kind, link.up) = (kind, true);
                if *link.name != *name {
                    link.name = name.into();
                }
            }
            None if full => {}
            None => ring.links.push(LinkNow {
                number,
                kind,
                name: name.into(),
                up: true,
                policy: None,
            }),
        }
        let bytes_at = ring.keep(name.as_bytes());
        ring.note(Tag::Up(kind), number, (bytes_at, name.len()), now);
    }

    /// What may cross a link that is known; none = everything.
    pub fn policy(&self, number: u16, policy: Option<&Arc<Policy>>) {
        let mut ring = self.lock();
        if let Some(link) = ring.links.iter_mut().find(|link| link.number == number) {
            link.policy = policy.cloned();
        }
    }

    /// A link went down.
    pub fn down(&self, number: u16, now: Now) {
        let mut ring = self.lock();
        if let Some(link) = ring.links.iter_mut().find(|link| link.number == number) {
            link.up = false;
        }
        ring.note(Tag::Down, number, (0, 0), now);
    }

    /// A federate's directions were changed while its link was up.
    pub fn directions(&self, number: u16, incoming: bool, outgoing: bool, now: Now) {
        let mut ring = self.lock();
        if let Some(link) = ring.links.iter_mut().find(|link| link.number == number) {
            let new = LinkKind::Federate { incoming, outgoing };
            if std::mem::replace(&mut link.kind, new) == new {
                return;
            }
        }
        ring.note(Tag::Directions(incoming, outgoing), number, (0, 0), now);
    }

    /// Everything that is recorded, the oldest first; none when somebody holds the recorder's lock, which only happens
    /// when the recorder itself is broken.
    pub fn recording(&self) -> Option<Recording> {
        match self.ring.try_lock() {
            Ok(ring) => Some(ring.recording()),
            Err(TryLockError::Poisoned(ring)) => Some(ring.into_inner().recording()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Notes made since the start, and how many there is room for.
    pub fn count(&self) -> (u64, usize) {
        let ring = self.lock();
        (ring.made, ring.entries.len())
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn next(&mut self) -> Option<&mut Entry> {
        let room = self.entries.len() as u64;
        let at = self.made.checked_rem(room)?;
        self.made += 1;
        self.entries.get_mut(at as usize)
    }

    fn note(&mut self, tag: Tag, from: u16, (bytes_at, length): (u64, usize), now: Now) {
        if let Some(entry) = self.next() {
            *entry = Entry {
                mono_ms: now.mono_ms,
                wall_ms: now.wall_ms,
                tag,
                from,
                bytes_at,
                size: length as u32,
                ..NOTHING
            };
        }
    }

    /// Keeps bytes; gives where, as [`Entry::bytes_at`].
    fn keep(&mut self, bytes: &[u8]) -> u64 {
        let room = self.bytes.len();
        if bytes.is_empty() || bytes.len() > room {
            return 0;
        }
        let at = (self.kept % room as u64) as usize;
        let first = bytes.len().min(room - at);
        self.bytes[at..at + first].copy_from_slice(&bytes[..first]);
        self.bytes[..bytes.len() - first].copy_from_slice(&bytes[first..]);
        let begun = self.kept;
        self.kept += bytes.len() as u64;
        begun + 1
    }

    fn kept_bytes(&self, entry: &Entry) -> Option<Vec<u8>> {
        let begun = entry.bytes_at.checked_sub(1)?;
        let (room, length) = (self.bytes.len() as u64, u64::from(entry.size));
        if self.kept - begun > room {
            return None;
        }
        let byte = |at: u64| self.bytes[(at % room) as usize];
        Some((begun..begun + length).map(byte).collect())
    }

    fn recording(&self) -> Recording {
        let room = self.entries.len() as u64;
        let first = self.made.saturating_sub(room);
        let entries = || (first..self.made).map(|at| &self.entries[(at % room) as usize]);
        let notes: Vec<Note> = entries()
            .map(|entry| Note {
                mono_ms: entry.mono_ms,
                wall_ms: entry.wall_ms,
                what: self.what(entry),
            })
            .collect();
        Recording {
            missed: first,
            links: self.links_before(&notes),
            policies: (self.links.iter())
                .filter_map(|link| Some((link.number, link.policy.as_deref()?.clone())))
                .collect(),
            notes,
            ..Recording::default()
        }
    }

    fn what(&self, entry: &Entry) -> What {
        let words = || {
            let bytes = self.kept_bytes(entry).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match entry.tag {
            Tag::Event { form } => What::Event {
                from: entry.from,
                form,
                key: entry.key,
                content: entry.content,
                uid: text(&entry.uid[..usize::from(entry.uid_length)]),
                kind: text(&entry.kind[..usize::from(entry.kind_length)]),
                class: entry.class as u8,
                verdict: entry.verdict.into(),
                left_s: Some(entry.left_s).filter(|&left| left != i32::MIN),
                size: entry.size,
                bytes: self.kept_bytes(entry),
            },
            Tag::Words(topic) => What::Words {
                topic: topic as u8,
                words: words(),
            },
            Tag::Up(kind) => What::Up {
                link: entry.from,
                kind,
                name: words(),
            },
            Tag::Down => What::Down { link: entry.from },
            Tag::Directions(incoming, outgoing) => What::Directions {
                link: entry.from,
                incoming,
                outgoing,
            },
        }
    }

    /// The links that were up when the first note was made: as they are now, and back from there.
    fn links_before(&self, notes: &[Note]) -> Vec<(u16, LinkKind, String)> {
        let mut links = self.links.clone();
        for note in notes.iter().rev() {
            let (number, up) = match &note.what {
                What::Up { link, .. } => (*link, false),
                What::Down { link } => (*link, true),
                _ => continue,
            };
            if let Some(link) = links.iter_mut().find(|link| link.number == number) {
                link.up = up;
            }
        }
        let up = links.into_iter().filter(|link| link.up);
        up.map(|link| (link.number, link.kind, link.name.into_string()))
            .collect()
    }
}

fn keep_head(room: &mut [u8], text: &[u8]) -> u8 {
    let length = text.len().min(room.len());
    room[..length].copy_from_slice(&text[..length]);
    length as u8
}

fn keep_tail(room: &mut [u8], text: &[u8]) -> u8 {
    keep_head(room, &text[text.len().saturating_sub(room.len())..])
}

#[cfg(test)]
mod tests;
