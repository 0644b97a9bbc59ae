//! The latest event of each uid, for those who join late. Fixed places, reused; a place keeps its memory.

use std::collections::HashMap;

use super::groups::GroupSet;
use super::link::{Form, LinkId};

/// Longer events are not kept: a position takes less.
pub const EVENT_MAX: usize = 2048;

/// A kept event.
#[derive(Debug)]
pub struct Kept {
    /// Hash of its uid.
    pub key: u64,
    /// The link it came by.
    pub link: LinkId,
    /// The form of `bytes`.
    pub form: Form,
    /// The event as it came.
    pub bytes: Vec<u8>,
    /// When it goes stale, milliseconds since 1970.
    pub stale_ms: i64,
    /// The router's count of changes when it came.
    pub changed: u64,
    /// A user's own position: not given up for others' tracks.
    pub presence: bool,
    /// The groups that it is in.
    pub groups: GroupSet,
    live: bool,
}

/// An event to keep.
#[derive(Debug, Clone, Copy)]
pub struct Newest<'a> {
    /// Hash of its uid.
    pub key: u64,
    /// The link it came by.
    pub link: LinkId,
    /// The form of `bytes`.
    pub form: Form,
    /// The event as it came.
    pub bytes: &'a [u8],
    /// What this box appended to it.
    pub edits: &'a [u8],
    /// When it goes stale, milliseconds since 1970.
    pub stale_ms: i64,
    /// The router's count of changes.
    pub changed: u64,
    /// A user's own position.
    pub presence: bool,
    /// The groups that it is in.
    pub groups: GroupSet,
}

/// Places grow in such steps, bytes; [`EVENT_MAX`] is a multiple.
const STEP: usize = 256;

/// No link has this number.
const NOBODY: LinkId = LinkId(u16::MAX);

/// A bounded store of latest events.
#[derive(Debug)]
pub struct Latest {
    places: Vec<Kept>,
    by_key: HashMap<u64, u16, foldhash::fast::FixedState>,
    limit: usize,
    hand: usize,
}

impl Latest {
    /// A store of `limit` places.
    pub fn new(limit: usize) -> Self {
        let mut by_key = HashMap::<_, _, foldhash::fast::FixedState>::default();
        // Twice the need: a map at most half full is cleaned in place and never grows.
        by_key.reserve(2 * limit);
        Self {
            places: Vec::with_capacity(limit),
            by_key,
            limit,
            hand: 0,
        }
    }

    /// Bytes it takes at worst.
    pub const fn bytes(limit: usize) -> usize {
        limit * (size_of::<Kept>() + EVENT_MAX + 4 * (size_of::<(u64, u16)>() + 1))
    }

    /// Keeps an event in place of the older one of its uid. One too long to be kept leaves neither: the older one is
    /// not the latest any more.
    pub fn keep(&mut self, newest: &Newest<'_>) {
        let key = newest.key;
        let length = newest.bytes.len() + newest.edits.len();
        if length > EVENT_MAX || self.limit == 0 {
            return self.forget(key);
        }
        let known = self.by_key.get(&key).map(|&at| usize::from(at));
        let Some(at) = known.or_else(|| self.place(newest.presence)) else {
            return;
        };
        if known.is_none() {
            self.by_key.insert(key, at as u16);
        }
        let kept = &mut self.places[at];
        kept.presence = newest.presence || (known.is_some() && kept.presence);
        kept.bytes.clear();
        if kept.bytes.capacity() < length {
            // A vector that grows by itself doubles, and would pass the bound.
            kept.bytes = Vec::with_capacity(length.next_multiple_of(STEP));
        }
        kept.bytes.extend_from_slice(newest.bytes);
        kept.bytes.extend_from_slice(newest.edits);
        (kept.key, kept.link, kept.form) = (key, newest.link, newest.form);
        kept.groups = newest.groups;
        (kept.stale_ms, kept.changed, kept.live) = (newest.stale_ms, newest.changed, true);
    }

    /// The link's number is about to be another neighbour's: its events stay, and are nobody's.
    pub fn disown(&mut self, link: LinkId) {
        for kept in &mut self.places {
            if kept.link == link {
                kept.link = NOBODY;
            }
        }
    }

    /// Forgets a uid.
    pub fn forget(&mut self, key: u64) {
        if let Some(at) = self.by_key.remove(&key) {
            self.places[usize::from(at)].live = false;
        }
    }

    /// The kept event of a uid.
    pub fn of(&self, key: u64) -> Option<&Kept> {
        let at = self.by_key.get(&key)?;
        self.places.get(usize::from(*at)).filter(|kept| kept.live)
    }

    /// Whether the kept event of a uid has these bytes in it.
    pub fn holds(&self, key: u64, bytes: &[u8]) -> bool {
        let kept = self
            .by_key
            .get(&key)
            .and_then(|&at| self.places.get(usize::from(at)));
        kept.is_some_and(|kept| kept.live && memchr::memmem::find(&kept.bytes, bytes).is_some())
    }

    /// Whether the event of a uid is kept and not stale; wall clock, milliseconds since 1970.
    pub fn is_fresh(&self, key: u64, wall_ms: i64) -> bool {
        let at = self.by_key.get(&key).map(|&at| usize::from(at));
        at.is_some_and(|at| self.places[at].stale_ms > wall_ms)
    }

    /// The event at a place, for going through them one by one; `None` at the end.
    pub fn at(&self, place: usize) -> Option<Option<&Kept>> {
        self.places
            .get(place)
            .map(|kept| Some(kept).filter(|kept| kept.live))
    }

    /// A free place, or the next that may be given up.
    fn place(&mut self, presence: bool) -> Option<usize> {
        if self.places.len() < self.limit {
            self.places.push(Kept {
                key: 0,
                link: LinkId(0),
                form: Form::Xml,
                bytes: Vec::new(),
                stale_ms: 0,
                changed: 0,
                presence: false,
                groups: GroupSet::NONE,
                live: false,
            });
            return Some(self.places.len() - 1);
        }
        // Positions of users stay unless another user needs the place; looking is bounded.
        for _ in 0..self.limit.min(64) {
            let at = self.hand;
            self.hand = (self.hand + 1) % self.limit;
            let kept = &self.places[at];
            if !kept.live || !kept.presence || presence {
                if kept.live {
                    self.by_key.remove(&kept.key);
                }
                return Some(at);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(latest: &mut Latest, key: u64, bytes: &[u8], presence: bool) {
        latest.keep(&Newest {
            key,
            link: LinkId(1),
            form: Form::Xml,
            bytes,
            edits: &[],
            stale_ms: 0,
            changed: 1,
            presence,
            groups: GroupSet::ALL,
        });
    }

    fn shown(latest: &Latest) -> Vec<&[u8]> {
        (0..)
            .map_while(|place| latest.at(place))
            .flatten()
            .map(|kept| kept.bytes.as_slice())
            .collect()
    }

    #[test]
    fn the_newest_of_each_uid_is_kept() {
        let mut latest = Latest::new(2);
        keep(&mut latest, 1, b"a1", false);
        keep(&mut latest, 1, b"a2", false);
        assert_eq!(shown(&latest), [b"a2"]);
        keep(&mut latest, 2, b"b1", true);
        keep(&mut latest, 3, b"c1", false);
        assert_eq!(shown(&latest), [&b"c1"[..], b"b1"]);
        latest.forget(3);
        assert_eq!(shown(&latest), [b"b1"]);
    }

    #[test]
    fn a_users_position_outlives_a_flood_of_tracks() {
        let mut latest = Latest::new(4);
        keep(&mut latest, 99, b"user", true);
        for key in 0..50 {
            keep(&mut latest, key, b"track", false);
        }
        assert!(shown(&latest).contains(&&b"user"[..]));
        assert_eq!(shown(&latest).len(), 4);
    }

    #[test]
    fn one_too_long_to_keep_leaves_no_older_one_behind() {
        let mut latest = Latest::new(4);
        keep(&mut latest, 7, b"here", false);
        keep(&mut latest, 7, &[b'x'; EVENT_MAX + 1], false);
        assert_eq!(shown(&latest), [b""; 0]);
    }

    #[test]
    fn a_place_never_grows_past_the_longest_event() {
        let mut latest = Latest::new(1);
        for length in [1, 300, 1100, 1200, 2000, EVENT_MAX] {
            keep(&mut latest, 1, &vec![b'x'; length], false);
            let capacity = latest.places[0].bytes.capacity();
            assert!((length..=EVENT_MAX).contains(&capacity), "{capacity}");
        }
    }

    #[test]
    fn events_of_a_link_that_is_gone_stay_and_are_nobodys() {
        let mut latest = Latest::new(1);
        keep(&mut latest, 1, b"a", false);
        latest.disown(LinkId(1));
        let kept = latest.at(0).flatten().unwrap();
        assert_eq!((kept.link, kept.bytes.as_slice()), (NOBODY, &b"a"[..]));
    }
}
