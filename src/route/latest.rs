//! The latest event of each uid, for those who join late. Fixed places, reused; a place keeps its memory.

use std::collections::HashMap;

use super::link::LinkId;

/// Longer events are not kept: a position takes less.
pub const EVENT_MAX: usize = 2048;

/// Which wire form the bytes are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// CoT XML.
    Xml,
    /// `FederatedEvent`.
    Federated,
}

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
    live: bool,
}

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

    /// Keeps an event in place of the older one of its uid.
    pub fn keep(
        &mut self,
        key: u64,
        link: LinkId,
        form: Form,
        bytes: &[u8],
        stale_ms: i64,
        changed: u64,
        presence: bool,
    ) {
        if bytes.len() > EVENT_MAX || self.limit == 0 {
            return;
        }
        let known = self.by_key.get(&key).map(|&at| usize::from(at));
        let Some(at) = known.or_else(|| self.place(presence)) else {
            return;
        };
        self.by_key.insert(key, at as u16);
        let kept = &mut self.places[at];
        let presence = presence || (known.is_some() && kept.presence);
        kept.bytes.clear();
        kept.bytes.extend_from_slice(bytes);
        (kept.key, kept.link, kept.form) = (key, link, form);
        (kept.stale_ms, kept.changed, kept.presence, kept.live) =
            (stale_ms, changed, presence, true);
    }

    /// Forgets a uid.
    pub fn forget(&mut self, key: u64) {
        if let Some(at) = self.by_key.remove(&key) {
            self.places[usize::from(at)].live = false;
        }
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
        latest.keep(1, LinkId(1), Form::Xml, b"a1", 0, 1, false);
        latest.keep(1, LinkId(1), Form::Xml, b"a2", 0, 2, false);
        latest.keep(2, LinkId(1), Form::Xml, b"b1", 0, 3, true);
        latest.keep(3, LinkId(1), Form::Xml, b"c1", 0, 4, false);
        assert_eq!(shown(&latest), [&b"c1"[..], b"b1"]);
        latest.forget(3);
        assert_eq!(shown(&latest), [b"b1"]);
    }

    #[test]
    fn a_users_position_outlives_a_flood_of_tracks() {
        let mut latest = Latest::new(4);
        latest.keep(99, LinkId(1), Form::Xml, b"user", 0, 0, true);
        for key in 0..50 {
            latest.keep(key, LinkId(1), Form::Xml, b"track", 0, key, false);
        }
        assert!(shown(&latest).contains(&&b"user"[..]));
        latest.keep(7, LinkId(1), Form::Xml, &[0; EVENT_MAX + 1], 0, 99, false);
        assert_eq!(shown(&latest).len(), 4);
    }
}
