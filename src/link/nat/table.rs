//! What was learned of each uplink's NAT. Pure; [`super::Keeper`] keeps it on the card.

use core::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::search::{Bounds, LEAST_MS, MOST_MS};

/// Uplinks and networks remembered; the one seen longest ago gives way.
pub const MOST: usize = 16;
/// Longest name of an uplink that is remembered, bytes.
const LONGEST_NAME: usize = 64;
/// What was learned is looked at again after this, seconds.
const TRUSTED_SECONDS: i64 = 24 * 3600;
/// Where an uplink is dialled out of nowhere: no `[[uplink]]` is configured.
pub const ONLY_UPLINK: &str = "default";

/// A way out: the uplink, and the network that gave us our address on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The uplink's name.
    pub uplink: String,
    /// `10.7.0.0/16` or `2001:db8:1::/48`: carriers hand out another address of the same network each time.
    pub network: String,
}

impl Place {
    /// Where a connection with that local address goes out; none for loopback, which passes no NAT.
    pub fn of(uplink: &str, local: IpAddr) -> Option<Self> {
        let local = local.to_canonical();
        if local.is_loopback() || local.is_unspecified() || uplink.len() > LONGEST_NAME {
            return None;
        }
        let network = match local {
            IpAddr::V4(address) => {
                let [a, b, _, _] = address.octets();
                format!("{a}.{b}.0.0/16")
            }
            IpAddr::V6(address) => {
                let [a, b, c, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}::/48")
            }
        };
        Some(Self {
            uplink: uplink.to_owned(),
            network,
        })
    }
}

/// What is known of one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    place: Place,
    lived_ms: u32,
    died_ms: Option<u32>,
    /// Wall clock of the last look, seconds since 1970; 0 = it is to be looked at again.
    looked_s: i64,
}

impl Entry {
    fn bounds(&self) -> Bounds {
        Bounds {
            lived: self.lived_ms,
            died: self.died_ms,
        }
    }
}

/// All that is known, the latest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Table {
    entries: Vec<Entry>,
}

impl Table {
    /// What was read from the card, in bounds whatever stood there.
    #[must_use]
    pub fn checked(mut self) -> Self {
        self.entries.truncate(MOST);
        self.entries.retain(|entry| {
            let texts = [&entry.place.uplink, &entry.place.network];
            entry.lived_ms <= MOST_MS && texts.iter().all(|text| text.len() <= LONGEST_NAME)
        });
        self
    }

    /// The idle time that is safe at a place; none = nothing is known.
    pub fn idle_timeout(&self, place: &Place) -> Option<Duration> {
        let entry = self.find(place)?;
        Some(Duration::from_millis(entry.lived_ms.into()))
    }

    /// What to begin a look with: what was known of the place, or else of its uplink elsewhere.
    pub fn claim(&self, place: &Place) -> Option<Bounds> {
        let elsewhere = || {
            let mut same = self.entries.iter();
            same.find(|entry| entry.place.uplink == place.uplink)
        };
        self.find(place).or_else(elsewhere).map(Entry::bounds)
    }

    /// Whether it is time for a look. A clock that went back is no reason to trust a look for ever.
    pub fn is_due(&self, place: &Place, now_s: i64) -> bool {
        self.find(place).is_none_or(|entry| {
            let age = now_s - entry.looked_s;
            entry.looked_s == 0 || !(0..TRUSTED_SECONDS).contains(&age)
        })
    }

    /// A look was taken.
    pub fn learn(&mut self, place: &Place, bounds: Bounds, now_s: i64) {
        self.put(Entry {
            place: place.clone(),
            lived_ms: bounds.lived,
            died_ms: bounds.died,
            looked_s: now_s,
        });
    }

    /// A link was lost after it had been idle for so long, and came back at once: perhaps the network forgets sooner
    /// than we think. Until the next look, which is due now, half of that time is used. False if nothing was known.
    pub fn doubt(&mut self, place: &Place, idle_ms: u32) -> bool {
        let Some(entry) = self.find(place).cloned() else {
            return false;
        };
        self.put(Entry {
            lived_ms: entry.lived_ms.min(idle_ms / 2).max(LEAST_MS / 2),
            died_ms: Some(entry.died_ms.map_or(idle_ms, |died| died.min(idle_ms))),
            looked_s: 0,
            ..entry
        });
        true
    }

    fn find(&self, place: &Place) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.place == *place)
    }

    fn put(&mut self, entry: Entry) {
        self.entries.retain(|other| other.place != entry.place);
        self.entries.insert(0, entry);
        self.entries.truncate(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = TRUSTED_SECONDS;

    fn place(uplink: &str, local: &str) -> Place {
        Place::of(uplink, local.parse().unwrap()).unwrap()
    }

    fn bounds(lived: u32, died: u32) -> Bounds {
        Bounds {
            lived,
            died: Some(died),
        }
    }

    #[test]
    fn a_place_is_an_uplink_in_a_network() {
        assert_eq!(place("lte", "10.7.3.4"), place("lte", "10.7.200.1"));
        assert_ne!(place("lte", "10.7.3.4"), place("lte", "10.8.3.4"));
        assert_ne!(place("lte", "10.7.3.4"), place("sat", "10.7.3.4"));
        assert_eq!(place("lte", "2001:db8:1:2::5").network, "2001:db8:1::/48");
        assert_eq!(place("lte", "::ffff:10.7.3.4"), place("lte", "10.7.3.4"));
        for nowhere in ["127.0.0.1", "::1", "0.0.0.0"] {
            assert_eq!(Place::of("lte", nowhere.parse().unwrap()), None);
        }
    }

    #[test]
    fn a_look_is_trusted_for_a_day() {
        let (mut table, lte) = (Table::default(), place("lte", "10.7.3.4"));
        assert!(table.is_due(&lte, 1_000_000) && table.claim(&lte).is_none());
        table.learn(&lte, bounds(29_000, 30_500), 1_000_000);
        assert_eq!(table.idle_timeout(&lte), Some(Duration::from_secs(29)));
        assert!(!table.is_due(&lte, 1_000_000 + DAY - 1));
        assert!(table.is_due(&lte, 1_000_000 + DAY));
        assert!(table.is_due(&lte, 999_999), "the clock went back");
        // Another network of the same uplink: a claim to be seen, nothing to rely on.
        let elsewhere = place("lte", "100.64.1.1");
        assert_eq!(table.claim(&elsewhere), Some(bounds(29_000, 30_500)));
        assert_eq!(table.idle_timeout(&elsewhere), None);
        assert!(table.is_due(&elsewhere, 1_000_001));
    }

    #[test]
    fn a_link_lost_at_idle_halves_what_is_believed_until_the_next_look() {
        let (mut table, lte) = (Table::default(), place("lte", "10.7.3.4"));
        assert!(!table.doubt(&lte, 20_000));
        table.learn(&lte, bounds(300_000, 310_000), 5_000);
        assert!(table.doubt(&lte, 210_000));
        assert_eq!(table.idle_timeout(&lte), Some(Duration::from_secs(105)));
        assert_eq!(table.claim(&lte), Some(bounds(105_000, 210_000)));
        assert!(table.is_due(&lte, 5_001));
    }

    #[test]
    fn the_place_seen_longest_ago_gives_way() {
        let mut table = Table::default();
        for number in 0..40 {
            let place = place("lte", &format!("10.{number}.0.1"));
            table.learn(&place, bounds(1, 2), number);
        }
        assert_eq!(table.entries.len(), MOST);
        assert!(table.idle_timeout(&place("lte", "10.39.0.1")).is_some());
        assert!(table.idle_timeout(&place("lte", "10.23.0.1")).is_none());
    }
}
