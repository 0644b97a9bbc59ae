//! Who can be reached by which link: the box's phone book.

use std::collections::HashMap;

use super::link::LinkId;

/// A contact: an ATAK user, here or behind a federate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Its uid.
    pub uid: Vec<u8>,
    /// Its callsign; may be empty when a federate did not tell.
    pub callsign: Vec<u8>,
    /// Its CoT type as last seen.
    pub kind: Vec<u8>,
    /// The link it was last heard on.
    pub link: LinkId,
    /// The router's count of changes when this one changed.
    pub changed: u64,
}

/// What [`Contacts::note`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// New, or under another callsign, or on another link: others should be told.
    Changed,
    /// Nothing new.
    Known,
    /// The book is full.
    Full,
}

/// Uids and callsigns longer than this are nobody's.
const NAME_MAX: usize = 256;

/// A bounded set of contacts.
#[derive(Debug)]
pub struct Contacts {
    slots: Vec<Option<Contact>>,
    by_uid: HashMap<u64, u16, foldhash::fast::FixedState>,
    limit: usize,
}

impl Contacts {
    /// A book for `limit` contacts.
    pub fn new(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            by_uid: HashMap::default(),
            limit,
        }
    }

    /// Bytes it takes at worst, with uids and callsigns of ordinary length.
    pub const fn bytes(limit: usize) -> usize {
        limit * (size_of::<Option<Contact>>() + 3 * 48 + 16)
    }

    /// Notes that a contact is to be found on a link. `key` is the uid's hash.
    pub fn note(
        &mut self,
        key: u64,
        uid: &[u8],
        callsign: &[u8],
        kind: &[u8],
        link: LinkId,
        changed: u64,
    ) -> Noted {
        if let Some(known) = self.by_uid.get(&key).copied() {
            if let Some(Some(contact)) = self.slots.get_mut(usize::from(known)) {
                if contact.kind != kind && !kind.is_empty() {
                    contact.kind.clear();
                    contact.kind.extend_from_slice(kind);
                }
                if contact.link == link && (contact.callsign == callsign || callsign.is_empty()) {
                    return Noted::Known;
                }
                contact.link = link;
                contact.changed = changed;
                if !callsign.is_empty() {
                    contact.callsign.clear();
                    contact.callsign.extend_from_slice(callsign);
                }
                return Noted::Changed;
            }
        }
        let longest = uid.len().max(callsign.len()).max(kind.len());
        if self.by_uid.len() >= self.limit || longest > NAME_MAX {
            return Noted::Full;
        }
        let contact = Contact {
            uid: uid.to_vec(),
            callsign: callsign.to_vec(),
            kind: kind.to_vec(),
            link,
            changed,
        };
        let at = match self.slots.iter().position(Option::is_none) {
            Some(at) => at,
            None => {
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

    /// The links on which somebody of that callsign is; more than one when callsigns clash.
    pub fn by_callsign<'a>(&'a self, callsign: &'a [u8]) -> impl Iterator<Item = LinkId> + 'a {
        let named = move |contact: &&Contact| contact.callsign == callsign;
        self.slots
            .iter()
            .flatten()
            .filter(named)
            .map(|contact| contact.link)
    }

    /// Takes one out.
    pub fn remove(&mut self, key: u64) -> Option<Contact> {
        let at = self.by_uid.remove(&key)?;
        self.slots.get_mut(usize::from(at))?.take()
    }

    /// Takes one contact of a link out; call until it returns none.
    pub fn remove_of(&mut self, link: LinkId, key_of: impl Fn(&[u8]) -> u64) -> Option<Contact> {
        let uid = &self
            .slots
            .iter()
            .flatten()
            .find(|contact| contact.link == link)?
            .uid;
        let key = key_of(uid);
        self.remove(key)
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

    const A: LinkId = LinkId(1);
    const B: LinkId = LinkId(2);

    #[test]
    fn only_changes_are_news() {
        let mut contacts = Contacts::new(2);
        assert_eq!(
            contacts.note(1, b"u", b"ALPHA", b"a-f-G", A, 1),
            Noted::Changed
        );
        assert_eq!(
            contacts.note(1, b"u", b"ALPHA", b"a-f-G-U", A, 2),
            Noted::Known
        );
        assert_eq!(
            contacts.note(1, b"u", b"BRAVO", b"a-f-G", A, 3),
            Noted::Changed
        );
        assert_eq!(
            contacts.note(1, b"u", b"BRAVO", b"a-f-G", B, 4),
            Noted::Changed
        );
        assert_eq!(contacts.by_callsign(b"BRAVO").collect::<Vec<_>>(), [B]);
        assert_eq!(contacts.by_callsign(b"ALPHA").count(), 0);
    }

    #[test]
    fn the_book_is_bounded_and_places_are_used_again() {
        let mut contacts = Contacts::new(2);
        contacts.note(1, b"1", b"", b"", A, 1);
        contacts.note(2, b"2", b"", b"", B, 2);
        assert_eq!(contacts.note(3, b"3", b"", b"", A, 3), Noted::Full);
        assert_eq!(contacts.remove_of(A, |_| 1).unwrap().uid, b"1");
        assert_eq!(contacts.note(3, b"3", b"", b"", A, 4), Noted::Changed);
        assert_eq!(contacts.len(), 2);
    }
}
