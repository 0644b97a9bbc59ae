//! Groups: which neighbours an event is for. An event belongs to a set of them, a link hears a set of them, and it gets
//! what has one in common with it (protocol reference 1.5).
//!
//! These are access groups, as a TAK Server gives them to its users. `<__group>` in an event is a team's colour and says
//! nothing about them (protocol reference 6.6).

use std::ops::{BitAnd, BitOr};

/// TAK's name for the group of everybody who was given none.
pub const DEFAULT_GROUP: &[u8] = b"__ANON__";

/// Groups that a box can tell apart.
pub const MOST_GROUPS: usize = 48;

/// Local networks of one box. Each has a group of its own beside those with names, so that whoever is in it hears
/// everybody else in it, whatever else is configured.
pub const MOST_NETWORKS: usize = 8;

/// The bit that stands for all groups which have no name here.
const UNNAMED: u64 = 1 << 63;

/// A set of groups.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
pub struct GroupSet(u64);

impl GroupSet {
    /// No group: nobody beyond its own network gets such an event, and such a link gets none.
    pub const NONE: Self = Self(0);
    /// Every group, with those that have no name here: a federate for whom no list was written.
    pub const ALL: Self = Self(((1 << MOST_GROUPS) - 1) | UNNAMED);
    /// [`DEFAULT_GROUP`] alone, which is the first of every table.
    pub const DEFAULT: Self = Self(1);

    /// The group of that place in the table.
    pub fn of(place: usize) -> Self {
        match place {
            0..MOST_GROUPS => Self(1 << place),
            _ => Self::NONE,
        }
    }

    /// The group that a local network is to itself.
    pub fn within(network: u8) -> Self {
        match usize::from(network) {
            place @ 0..MOST_NETWORKS => Self(1 << (MOST_GROUPS + place)),
            _ => Self::NONE,
        }
    }

    /// Without the groups that local networks are to themselves: what is for others.
    pub const fn beyond(self) -> Self {
        Self(self.0 & Self::ALL.0)
    }

    /// Whether both have a group in common.
    #[inline(always)]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether it holds no group.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The places of its groups that have names.
    pub fn places(self) -> impl Iterator<Item = usize> {
        (0..MOST_GROUPS).filter(move |place| self.0 >> place & 1 == 1)
    }
}

impl BitAnd for GroupSet {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for GroupSet {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The names of the groups that the configuration speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupTable {
    names: Vec<Box<str>>,
}

impl Default for GroupTable {
    /// A table of [`DEFAULT_GROUP`] alone.
    fn default() -> Self {
        Self {
            names: vec!["__ANON__".into()],
        }
    }
}

impl GroupTable {
    /// The group of a name, which gets a place if it has none. Without a place left it is nobody's: [`GroupSet::NONE`].
    pub fn add(&mut self, name: &str) -> GroupSet {
        let known = self.names.iter().position(|known| **known == *name);
        let place = known.unwrap_or(self.names.len());
        if known.is_none() && place < MOST_GROUPS {
            self.names.push(name.into());
        }
        GroupSet::of(place)
    }

    /// The groups of several names.
    pub fn add_all<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> GroupSet {
        let sets = names.into_iter().map(|name| self.add(name));
        sets.fold(GroupSet::NONE, BitOr::bitor)
    }

    /// The group of a name, exactly as it is written; none if it is unknown.
    pub fn find(&self, name: &[u8]) -> GroupSet {
        let known = self.names.iter().position(|known| known.as_bytes() == name);
        known.map_or(GroupSet::NONE, GroupSet::of)
    }

    /// The names of a set, in the order of the table.
    pub fn names(&self, set: GroupSet) -> impl Iterator<Item = &str> {
        set.places()
            .filter_map(|place| self.names.get(place).map(|name| &**name))
    }

    /// The name of the group at a place.
    pub fn name(&self, place: usize) -> Option<&str> {
        self.names.get(place).map(|name| &**name)
    }

    /// How many groups have names.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Never: [`DEFAULT_GROUP`] is always there.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_neighbour_without_a_list_meets_every_group_and_one_with_an_empty_list_none() {
        let mut table = GroupTable::default();
        let blue = table.add("Blue");
        assert!(GroupSet::ALL.meets(blue) && GroupSet::ALL.meets(GroupSet::ALL));
        assert!(!GroupSet::NONE.meets(GroupSet::ALL) && !GroupSet::ALL.meets(GroupSet::NONE));
        assert!(!blue.meets(GroupSet::DEFAULT));
    }

    #[test]
    fn a_network_hears_itself_and_nobody_else_does() {
        let (one, other) = (GroupSet::within(0), GroupSet::within(7));
        assert!(one.meets(one) && !one.meets(other));
        assert!(!one.meets(GroupSet::ALL) && one.beyond().is_empty());
        assert_eq!((one | GroupSet::DEFAULT).beyond(), GroupSet::DEFAULT);
        assert!(GroupSet::within(8).is_empty());
    }

    #[test]
    fn names_are_told_apart_by_their_letters_and_found_again() {
        let mut table = GroupTable::default();
        let both = table.add_all(["Blue", "blue", "Blue"]);
        assert_eq!(table.len(), 3);
        assert_eq!(table.names(both).collect::<Vec<_>>(), ["Blue", "blue"]);
        assert_eq!(table.find(b"blue"), GroupSet::of(2));
        assert_eq!(table.find(b"BLUE"), GroupSet::NONE);
        assert_eq!(table.find(DEFAULT_GROUP), GroupSet::DEFAULT);
        assert_eq!(table.names(GroupSet::ALL).count(), 3);
    }

    #[test]
    fn a_full_table_takes_no_more_and_all_stays_more_than_its_names() {
        let mut table = GroupTable::default();
        for number in 0..100 {
            table.add(&format!("g{number}"));
        }
        assert_eq!(table.len(), MOST_GROUPS);
        let every = table
            .names(GroupSet::ALL)
            .fold(GroupSet::NONE, |sum, name| {
                sum | table.find(name.as_bytes())
            });
        assert_ne!(every, GroupSet::ALL);
        assert_eq!(table.find(b"g99"), GroupSet::NONE);
    }

    proptest! {
        #[test]
        fn a_set_gives_back_the_names_it_was_made_of(names in proptest::collection::btree_set("[a-zA-Z _]{1,12}", 0..MOST_GROUPS - 1)) {
            let mut table = GroupTable::default();
            let set = table.add_all(names.iter().map(String::as_str));
            let told: std::collections::BTreeSet<String> = table.names(set).map(str::to_owned).collect();
            prop_assert_eq!(told, names);
        }
    }
}
