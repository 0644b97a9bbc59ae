//! What waits for one link: a slab of parcels in four first-in-first-out lists, one per class, and a map by uid.

use std::collections::HashMap;

use bytes::Bytes;

use super::trace::Mark;
use crate::cot::Class;

/// A parcel that waits. Its bytes are an exact copy that all who wait share.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The event in the link's wire form.
    pub bytes: Bytes,
    /// Its class.
    pub class: Class,
    /// Hash of the uid under which a newer one takes its place.
    pub key: Option<u64>,
    /// Event time, milliseconds since 1970.
    pub time_ms: i64,
    /// It deletes the item of that uid.
    pub delete: bool,
    /// Not worth sending from here on, monotonic milliseconds; `u64::MAX` = always worth it.
    pub deadline_ms: u64,
    /// An event, not a contact entry.
    pub event: bool,
    /// Since when its uid waits: monotonic milliseconds, whose high half is left out.
    pub since_ms: u32,
}

/// What a parcel takes beside its bytes: its place here, and its entry in a map that has just grown.
pub const PLACE: usize = 128;

/// What an event of that length is charged while it waits.
pub const fn charge(length: usize) -> usize {
    length + PLACE
}

impl Waiting {
    /// What it is charged.
    pub fn charge(&self) -> usize {
        charge(self.bytes.len())
    }
}

const NONE: u16 = u16::MAX;

#[derive(Debug)]
struct Slot {
    waiting: Option<Waiting>,
    mark: Mark,
    previous: u16,
    next: u16,
}

#[derive(Debug, Clone, Copy)]
struct List {
    head: u16,
    tail: u16,
}

const EMPTY: List = List {
    head: NONE,
    tail: NONE,
};

/// The lists. Indices name parcels and stay valid until those are removed.
#[derive(Debug)]
pub struct Queue {
    slots: Vec<Slot>,
    free: Vec<u16>,
    lists: [List; Class::COUNT],
    by_key: HashMap<u64, u16, foldhash::fast::FixedState>,
    length: usize,
    bytes: usize,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            lists: [EMPTY; Class::COUNT],
            // Keys are hashes under a secret seed already.
            by_key: HashMap::with_hasher(foldhash::fast::FixedState::default()),
            length: 0,
            bytes: 0,
        }
    }
}

impl Queue {
    /// Parcels in it.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Bytes that all parcels in it are charged.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The oldest of a class.
    pub fn oldest(&self, class: Class) -> Option<u16> {
        Some(self.lists[class as usize].head).filter(|&at| at != NONE)
    }

    /// The one under a key.
    pub fn find(&self, key: u64) -> Option<u16> {
        self.by_key.get(&key).copied()
    }

    /// Looks at one.
    pub fn peek(&self, at: u16) -> Option<&Waiting> {
        self.slots.get(usize::from(at))?.waiting.as_ref()
    }

    /// Bytes that a queue of at most `limit` takes beside the parcels' own: slot, free list, and the entry in a map at
    /// its emptiest.
    pub const fn bytes_beside(limit: usize) -> usize {
        limit * (size_of::<Slot>() + 4 + 40)
    }

    /// Appends a parcel to its class; gives its place. There may be no more than `limit`, which is below 65 535.
    pub fn push(&mut self, waiting: Waiting, limit: usize) -> u16 {
        let class = waiting.class as usize;
        self.length += 1;
        self.bytes += waiting.charge();
        let key = waiting.key;
        let slot = Slot {
            waiting: Some(waiting),
            mark: Mark::default(),
            previous: self.lists[class].tail,
            next: NONE,
        };
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[usize::from(at)] = slot;
                at
            }
            None => {
                if self.slots.len() == self.slots.capacity() {
                    // Doubling, but never past the bound.
                    let more = limit.saturating_sub(self.slots.len());
                    self.slots.reserve_exact(self.slots.len().max(16).min(more));
                }
                self.slots.push(slot);
                (self.slots.len() - 1) as u16
            }
        };
        if let Some(key) = key {
            self.by_key.insert(key, at);
        }
        match self.lists[class].tail {
            NONE => self.lists[class].head = at,
            tail => self.slots[usize::from(tail)].next = at,
        }
        self.lists[class].tail = at;
        at
    }

    /// Where what becomes of one is noted.
    pub fn mark(&self, at: u16) -> Mark {
        let slot = self.slots.get(usize::from(at));
        slot.map_or(Mark::default(), |slot| slot.mark)
    }

    /// Says where what becomes of it is to be noted.
    pub fn set_mark(&mut self, at: u16, mark: Mark) {
        if let Some(slot) = self.slots.get_mut(usize::from(at)) {
            slot.mark = mark;
        }
    }

    /// Puts a parcel in the place of one of the same class and key.
    pub fn replace(&mut self, at: u16, waiting: Waiting) -> Option<Waiting> {
        let slot = self.slots.get_mut(usize::from(at))?;
        self.bytes += waiting.charge();
        let old = slot.waiting.replace(waiting)?;
        self.bytes -= old.charge();
        Some(old)
    }

    /// Takes one out, wherever it stands.
    pub fn remove(&mut self, at: u16) -> Option<Waiting> {
        let slot = self.slots.get_mut(usize::from(at))?;
        let waiting = slot.waiting.take()?;
        let (previous, next) = (slot.previous, slot.next);
        let list = &mut self.lists[waiting.class as usize];
        match previous {
            NONE => list.head = next,
            previous => self.slots[usize::from(previous)].next = next,
        }
        match next {
            NONE => list.tail = previous,
            next => self.slots[usize::from(next)].previous = previous,
        }
        if let Some(key) = waiting.key
            && self.by_key.get(&key) == Some(&at)
        {
            self.by_key.remove(&key);
        }
        self.length -= 1;
        self.bytes -= waiting.charge();
        if self.length == 0 {
            // A link that has caught up gives its memory back.
            *self = Self::default();
        } else {
            self.free.push(at);
        }
        Some(waiting)
    }
}
