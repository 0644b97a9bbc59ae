//! Who can be reached by which link: the box's phone book.

use std::collections::HashMap;

use super::groups::GroupSet;
use super::link::LinkId;

/// Uid, callsign and type of one contact together are no longer than this, bytes; who has longer names is nobody's
/// contact. An ATAK uid takes 24 to 36, a type a dozen.
pub const NAMES_MAX: usize = 160;

/// A contact: an ATAK user, here or behind a federate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Uid, callsign and type, one behind the other: one allocation, of their exact length.
    names: Box<[u8]>,
    uid_end: u8,
    callsign_end: u8,
    /// The link it was last heard on.
    pub link: LinkId,
    /// How many hops further it may be told of; none = without limit, 0 = to nobody.
    pub hops_left: Option<u8>,
    /// The groups that it is in.
    pub groups: GroupSet,
    /// That link is down: what is addressed to the contact waits for it.
    away: bool,
    /// The router's count of changes when this one changed.
    pub changed: u64,
}

impl Contact {
    /// Its uid.
    pub fn uid(&self) -> &[u8] {
        &self.names[..usize::from(self.uid_end)]
    }

    /// Its callsign; may be empty when a federate did not tell.
    pub fn callsign(&self) -> &[u8] {
        &self.names[usize::from(self.uid_end)..usize::from(self.callsign_end)]
    }

    /// Its CoT type as last seen; may be empty when only its callsign is known.
    pub fn kind(&self) -> &[u8] {
        &self.names[usize::from(self.callsign_end)..]
    }

    /// `None`: the names are too long.
    fn new(uid: &[u8], callsign: &[u8], kind: &[u8], by: By, changed: u64) -> Option<Self> {
        let callsign_end = uid.len() + callsign.len();
        if callsign_end + kind.len() > NAMES_MAX {
            return None;
        }
        Some(Self {
            names: [uid, callsign, kind].concat().into_boxed_slice(),
            uid_end: uid.len() as u8,
            callsign_end: callsign_end as u8,
            link: by.link,
            hops_left: by.hops_left,
            groups: by.groups,
            away: false,
            changed,
        })
    }
}

/// What a link says of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The contact's own position came by this link: this is where it is.
    Position,
    /// A federate names it. Where several paths lead to one contact, the path its own events take is the better one:
    /// a federate that merely heard of it from us must not draw its traffic.
    Hearsay,
}

/// Who says something of a contact, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct By {
    /// The link it came by.
    pub link: LinkId,
    /// What is said.
    pub source: Source,
    /// The groups that the contact is in.
    pub groups: GroupSet,
    /// How many hops further it may be told of; none = without limit.
    pub hops_left: Option<u8>,
}

impl From<(LinkId, Source)> for By {
    /// For everybody.
    fn from((link, source): (LinkId, Source)) -> Self {
        Self {
            link,
            source,
            groups: GroupSet::ALL,
            hops_left: None,
        }
    }
}

/// What [`Contacts::note`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// New, or under another callsign, on another link, or in other groups: others should be told.
    Changed,
    /// Nothing new.
    Known,
    /// The book is full, or the names are too long for it.
    Full,
}

/// A bounded set of contacts.
#[derive(Debug)]
pub struct Contacts {
    slots: Vec<Option<Contact>>,
    by_uid: HashMap<u64, u16, foldhash::fast::FixedState>,
    limit: usize,
    /// There may be some whose link is down; looked for only then, because a full book is asked for each newcomer.
    some_away: bool,
}

impl Contacts {
    /// A book for `limit` contacts, of which there may be 65 535.
    pub fn new(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            by_uid: HashMap::default(),
            limit,
            some_away: false,
        }
    }

    /// Bytes it takes at worst: slot, names with the allocator's 16, and the entry in a map at its emptiest.
    pub const fn bytes(limit: usize) -> usize {
        limit * (size_of::<Option<Contact>>() + NAMES_MAX + 16 + 40)
    }

    /// Notes that a contact is to be found on a link. `key` is the uid's hash; an empty callsign or type leaves the
    /// known one.
    pub fn note(
        &mut self,
        key: u64,
        (uid, callsign, kind): (&[u8], &[u8], &[u8]),
        by: impl Into<By>,
        changed: u64,
    ) -> Noted {
        let by = by.into();
        let (link, source) = (by.link, by.source);
        let known = self.by_uid.get(&key).map(|&at| usize::from(at));
        if let Some(contact) = known.and_then(|at| self.slots.get_mut(at)?.as_mut()) {
            if contact.link != link && source == Source::Hearsay && !contact.away {
                return Noted::Known;
            }
            let or = |new: &[u8], old: &[u8]| if new.is_empty() { old } else { new }.to_vec();
            let same = |new: &[u8], old: &[u8]| new.is_empty() || new == old;
            let same_callsign = same(callsign, contact.callsign());
            let moved = contact.link != link || !same_callsign || contact.groups != by.groups;
            if !same_callsign || !same(kind, contact.kind()) {
                let (callsign, kind) = (or(callsign, contact.callsign()), or(kind, contact.kind()));
                let changed = contact.changed;
                match Contact::new(uid, &callsign, &kind, by, changed) {
                    Some(renamed) => *contact = renamed,
                    None => return Noted::Full,
                }
            }
            contact.away = false;
            contact.hops_left = by.hops_left;
            if !moved {
                return Noted::Known;
            }
            (contact.link, contact.groups, contact.changed) = (link, by.groups, changed);
            return Noted::Changed;
        }
        if self.by_uid.len() >= self.limit && !self.forget_one_away() {
            return Noted::Full;
        }
        let Some(contact) = Contact::new(uid, callsign, kind, by, changed) else {
            return Noted::Full;
        };
        let at = match self.slots.iter().position(Option::is_none) {
            Some(at) => at,
            None => {
                if self.slots.len() == self.slots.capacity() {
                    // Doubling, but never past the bound.
                    let more = self.slots.len().max(16).min(self.limit - self.slots.len());
                    self.slots.reserve_exact(more);
                }
                self.slots.push(None);
                self.slots.len() - 1
            }
        };
        self.slots[at] = Some(contact);
        self.by_uid.insert(key, at as u16);
        Noted::Changed
    }

    /// The contact of that uid.
    pub fn find(&self, key: u64) -> Option<&Contact> {
        self.slots
            .get(usize::from(*self.by_uid.get(&key)?))?
            .as_ref()
    }

    /// Where the contact of that uid stands; [`Contacts::at`] finds it there.
    pub fn place(&self, key: u64) -> Option<usize> {
        self.by_uid.get(&key).map(|&at| usize::from(at))
    }

    /// Puts contacts into other groups: those of links for which there are some.
    pub fn belong(&mut self, groups_of: impl Fn(LinkId) -> Option<GroupSet>) {
        for contact in self.slots.iter_mut().flatten() {
            contact.groups = groups_of(contact.link).unwrap_or(contact.groups);
        }
    }

    /// Whether the contact of that uid is known, on a link that is up.
    pub fn is_present(&self, key: u64) -> bool {
        self.find(key).is_some_and(|contact| !contact.away)
    }

    /// The links on which somebody of that callsign is; more than one when callsigns clash.
    pub fn by_callsign<'a>(&'a self, callsign: &'a [u8]) -> impl Iterator<Item = LinkId> + 'a {
        let named = move |contact: &&Contact| contact.callsign() == callsign;
        self.slots
            .iter()
            .flatten()
            .filter(named)
            .map(|contact| contact.link)
    }

    /// Everybody in the book.
    pub fn all(&self) -> impl Iterator<Item = &Contact> {
        self.slots.iter().flatten()
    }

    /// Takes one out.
    pub fn remove(&mut self, key: u64) -> Option<Contact> {
        let at = self.by_uid.remove(&key)?;
        self.slots.get_mut(usize::from(at))?.take()
    }

    /// Takes the next contact of a link out, looking from place `from` on, which moves; call until it returns none.
    pub fn remove_of(
        &mut self,
        link: LinkId,
        from: &mut usize,
        key_of: impl Fn(&[u8]) -> u64,
    ) -> Option<Contact> {
        while let Some(slot) = self.slots.get(*from) {
            *from += 1;
            if let Some(contact) = slot.as_ref().filter(|contact| contact.link == link) {
                let key = key_of(contact.uid());
                return self.remove(key);
            }
        }
        None
    }

    /// A link is down and will come back: its contacts stay, and are the first to give way to others.
    pub fn leave(&mut self, link: LinkId) {
        for contact in self.slots.iter_mut().flatten() {
            contact.away |= contact.link == link;
            self.some_away |= contact.away;
        }
    }

    /// A link will not come back: its contacts that were kept for it go.
    pub fn forget_away(&mut self, link: LinkId) {
        let (slots, by_uid) = (&mut self.slots, &mut self.by_uid);
        by_uid.retain(|_, at| {
            let slot = &mut slots[usize::from(*at)];
            let goes = |contact: &mut Contact| contact.away && contact.link == link;
            slot.take_if(goes).is_none()
        });
    }

    fn forget_one_away(&mut self) -> bool {
        if !self.some_away {
            return false;
        }
        let is_away = |slot: &Option<Contact>| slot.as_ref().is_some_and(|contact| contact.away);
        let Some(place) = self.slots.iter().position(is_away) else {
            self.some_away = false;
            return false;
        };
        self.slots[place] = None;
        self.by_uid.retain(|_, at| usize::from(*at) != place);
        true
    }

    /// The contact at a place, for going through them one by one; `None` at the end.
    pub fn at(&self, place: usize) -> Option<Option<&Contact>> {
        self.slots.get(place).map(Option::as_ref)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_uid.len()
    }

    /// Nobody is known.
    pub fn is_empty(&self) -> bool {
        self.by_uid.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: (LinkId, Source) = (LinkId(1), Source::Position);
    const B: (LinkId, Source) = (LinkId(2), Source::Position);
    const HEARD_FROM_B: (LinkId, Source) = (LinkId(2), Source::Hearsay);

    #[test]
    fn only_changes_are_news() {
        let mut contacts = Contacts::new(2);
        let mut note = |callsign: &[u8], kind: &[u8], by, changed| {
            contacts.note(1, (b"u", callsign, kind), by, changed)
        };
        assert_eq!(note(b"ALPHA", b"a-f-G", A, 1), Noted::Changed);
        assert_eq!(note(b"ALPHA", b"a-f-G-U", A, 2), Noted::Known);
        assert_eq!(note(b"BRAVO", b"a-f-G", A, 3), Noted::Changed);
        assert_eq!(note(b"", b"", A, 3), Noted::Known);
        assert_eq!(note(b"BRAVO", b"a-f-G", B, 4), Noted::Changed);
        assert_eq!(contacts.by_callsign(b"BRAVO").collect::<Vec<_>>(), [B.0]);
        assert_eq!(contacts.by_callsign(b"ALPHA").count(), 0);
        let contact = contacts.find(1).unwrap();
        assert_eq!((contact.uid(), contact.kind()), (&b"u"[..], &b"a-f-G"[..]));
        assert_eq!(contact.changed, 4);
    }

    #[test]
    fn hearsay_adds_and_renames_but_does_not_move() {
        let mut contacts = Contacts::new(2);
        assert_eq!(contacts.note(1, (b"u", b"A", b""), A, 1), Noted::Changed);
        let heard = contacts.note(1, (b"u", b"B", b""), HEARD_FROM_B, 2);
        assert_eq!(heard, Noted::Known);
        assert_eq!(contacts.find(1).unwrap().link, A.0);
        let heard = contacts.note(2, (b"v", b"V", b""), HEARD_FROM_B, 3);
        assert_eq!(heard, Noted::Changed);
        let heard = contacts.note(2, (b"v", b"W", b""), HEARD_FROM_B, 4);
        assert_eq!(heard, Noted::Changed);
    }

    #[test]
    fn the_book_is_bounded_and_places_are_used_again() {
        let mut contacts = Contacts::new(2);
        contacts.note(1, (b"1", b"", b""), A, 1);
        contacts.note(2, (b"2", b"", b""), B, 2);
        assert_eq!(contacts.note(3, (b"3", b"", b""), A, 3), Noted::Full);
        let mut from = 0;
        assert_eq!(
            contacts.remove_of(A.0, &mut from, |_| 1).unwrap().uid(),
            b"1"
        );
        assert_eq!(contacts.remove_of(A.0, &mut from, |_| 1), None);
        assert_eq!(contacts.note(3, (b"3", b"", b""), A, 4), Noted::Changed);
        assert_eq!(contacts.len(), 2);
    }

    #[test]
    fn who_is_away_is_still_found_and_gives_way_first() {
        let mut contacts = Contacts::new(2);
        contacts.note(1, (b"1", b"ONE", b""), A, 1);
        contacts.note(2, (b"2", b"TWO", b""), B, 2);
        contacts.leave(A.0);
        assert_eq!(contacts.by_callsign(b"ONE").collect::<Vec<_>>(), [A.0]);
        // Another path to it is a better one now; the same path makes it present again.
        assert_eq!(
            contacts.note(1, (b"1", b"", b""), HEARD_FROM_B, 3),
            Noted::Changed
        );
        contacts.leave(B.0);
        assert_eq!(contacts.note(2, (b"2", b"", b""), B, 4), Noted::Known);
        assert_eq!(contacts.note(3, (b"3", b"", b""), A, 5), Noted::Changed);
        assert!(contacts.find(1).is_none() && contacts.find(2).is_some());
        assert_eq!(contacts.note(4, (b"4", b"", b""), A, 6), Noted::Full);
    }

    #[test]
    fn names_are_bounded_when_they_come_and_when_they_change() {
        let mut contacts = Contacts::new(4);
        let long = [b'x'; NAMES_MAX];
        assert_eq!(contacts.note(1, (&long, b"", b""), A, 1), Noted::Changed);
        assert_eq!(contacts.note(2, (&long, b"y", b""), A, 2), Noted::Full);
        contacts.note(3, (b"u", b"OLD", b"a-f-G"), A, 3);
        for kind in [&b"a-f-G"[..], &long] {
            assert_eq!(contacts.note(3, (b"u", &long, kind), A, 4), Noted::Full);
        }
        let kept = contacts.find(3).unwrap();
        assert_eq!(
            (kept.callsign(), kept.kind(), kept.changed),
            (&b"OLD"[..], &b"a-f-G"[..], 3)
        );
    }

    #[test]
    fn a_full_book_takes_no_more_than_it_says() {
        let limit = 300;
        let mut contacts = Contacts::new(limit);
        for key in 0..limit {
            let uid = [b'x'; NAMES_MAX];
            contacts.note(key as u64, (&uid, b"", b""), A, 1);
        }
        // A bucket of the map: entry and control byte, and seven of eight are used at most.
        let buckets = (contacts.by_uid.capacity() * 8 / 7).next_power_of_two();
        let taken = contacts.slots.capacity() * size_of::<Option<Contact>>()
            + limit * (NAMES_MAX + 16)
            + buckets * (size_of::<(u64, u16)>() + 1);
        assert!(taken <= Contacts::bytes(limit), "{taken}");
    }
}
