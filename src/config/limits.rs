//! `[limits]`: every bound of the box, with its unit in the name.

use serde::Deserialize;
use toml::Spanned;

/// One key of `[limits]`, for the template, the documents and the checks.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// The key, which ends in its unit where it has one.
    pub key: &'static str,
    /// Its value without a file.
    pub default: u32,
    /// Smallest value allowed.
    pub least: u32,
    /// Largest value allowed.
    pub most: u32,
    /// What it bounds, one line per item.
    pub about: &'static [&'static str],
}

macro_rules! limits {
    ($($(#[doc = $about:literal])* $key:ident: $type:ty = $default:literal in $least:literal..=$most:literal;)*) => {
        /// Every bound, with its unit in the name.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits { $($(#[doc = $about])* pub $key: $type,)* }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        impl Limits {
            /// Every key, in the order of the documents.
            pub const TABLE: &'static [Limit] = &[$(Limit {
                key: stringify!($key),
                default: $default,
                least: $least,
                most: $most,
                about: &[$($about),*],
            },)*];

            /// The keys alone.
            pub const KEYS: &'static [&'static str] = &[$(stringify!($key),)*];

            /// The value of a key of [`Limits::KEYS`].
            pub fn value(&self, key: &str) -> Option<u32> {
                match key {
                    $(stringify!($key) => Some(u32::from(self.$key)),)*
                    _ => None,
                }
            }

            /// The same limits with one key changed; `None` if there is no such key or the value does not fit it.
            pub fn with(&self, key: &str, value: u32) -> Option<Self> {
                let mut changed = self.clone();
                match key {
                    $(stringify!($key) => changed.$key = value.try_into().ok()?,)*
                    _ => return None,
                }
                Some(changed)
            }
        }

        /// `[limits]` as it stands in the file.
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct RawLimits { $($key: Option<Spanned<i64>>,)* }

        impl RawLimits {
            /// The limits, or the key, the value and the place of the first that is out of its range.
            pub(super) fn checked(&self) -> Result<Limits, (&'static Limit, &Spanned<i64>)> {
                let mut limits = Limits::default();
                let mut table = Limits::TABLE.iter();
                $(
                    let limit = table.next();
                    if let (Some(limit), Some(written)) = (limit, &self.$key) {
                        limits.$key = <$type>::try_from(*written.get_ref())
                            .ok()
                            .filter(|value| ($least..=$most).contains(value))
                            .ok_or((limit, written))?;
                    }
                )*
                Ok(limits)
            }
        }
    };
}

limits! {
    /// Ceiling for the whole process, MiB. The box refuses to start when the other limits add up to more.
    memory_mib: u32 = 16 in 8..=4096;
    /// Largest CoT event, KiB. A longer one is dropped and its connection closed.
    max_event_kib: u32 = 256 in 4..=4096;
    /// Local clients at once.
    max_clients: u16 = 32 in 1..=2048;
    /// Connections to the HTTPS API at once; one that rests makes room for another. All but one take the places of three
    /// clients each, while there are any.
    max_api_connections: u16 = 4 in 1..=64;
    /// Watchers at once: those to whom the HTTPS API streams events. Each takes the place of a client.
    max_watchers: u16 = 4 in 0..=64;
    /// Registered federates.
    max_federates: u16 = 8 in 1..=128;
    /// TAK servers at which the box logs in.
    max_servers: u16 = 1 in 1..=64;
    /// Multicast meshes.
    max_meshes: u16 = 2 in 0..=16;
    /// Groups that can be told apart, `__ANON__` among them.
    max_groups: u8 = 16 in 1..=48;
    /// Local networks, the one of [listen] among them.
    max_networks: u8 = 4 in 1..=8;
    /// Known contacts (callsigns), ours and the federates'.
    max_contacts: u16 = 1024 in 16..=16384;
    /// Latest tracks kept for late joiners, events of at most 2 KiB. 0 keeps none.
    latest_events: u16 = 512 in 0..=16384;
    /// Content hashes remembered against duplicates, events.
    dedup_events: u32 = 8192 in 64..=1048576;
    /// How long a content hash counts as a duplicate, seconds.
    dedup_seconds: u32 = 30 in 1..=3600;
    /// Sources of events (uids) whose clocks are remembered, to correct the times of those that are off.
    skew_sources: u16 = 512 in 4..=16384;
    /// Events waiting for one link.
    outbox_events: u16 = 2048 in 16..=16384;
    /// Bytes waiting for one link, KiB, each event charged 128 bytes beside its own. Not below max_event_kib.
    outbox_kib: u32 = 576 in 4..=65536;
    /// Bytes waiting for all links together, KiB. Not below outbox_kib.
    waiting_kib: u32 = 576 in 4..=262144;
    /// Rules of all filters together: each type, callsign pattern or part of a preset is one.
    max_filter_rules: u16 = 128 in 0..=4096;
    /// Memory of the flight recorder and of `why`, KiB. 0 keeps none.
    recorder_kib: u16 = 96 in 0..=16384;
    /// Connections with other boxes whose events may be packed at once, for thin links. 0 allows none.
    compressed_links: u16 = 1 in 0..=32;
    /// Disk for what waits for federates that are away, all together, KiB. Not below max_event_kib.
    spool_kib: u32 = 32768 in 64..=1048576;
    /// Events that may wait there.
    spool_events: u32 = 65536 in 64..=1048576;
    /// How long they may wait, hours; up to an eighth longer.
    spool_hours: u32 = 168 in 1..=8760;
    /// One write to a link, KiB.
    batch_kib: u32 = 16 in 1..=64;
    /// An event begun must be whole within this, seconds.
    half_event_seconds: u32 = 30 in 1..=600;
    /// A TLS handshake must be done within this, seconds.
    handshake_seconds: u32 = 10 in 1..=120;
}

impl Limits {
    /// Two limits of which the first must not be below the second, and is: their names and values.
    pub fn contradiction(&self) -> Option<[(&'static str, u32); 2]> {
        let rules = [
            [
                ("outbox_kib", self.outbox_kib),
                ("max_event_kib", self.max_event_kib),
            ],
            [
                ("spool_kib", self.spool_kib),
                ("max_event_kib", self.max_event_kib),
            ],
            [
                ("waiting_kib", self.waiting_kib),
                ("outbox_kib", self.outbox_kib),
            ],
        ];
        rules
            .into_iter()
            .find(|[(_, upper), (_, lower)]| upper < lower)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_in_their_ranges_and_agree() {
        for limit in Limits::TABLE {
            assert!(
                (limit.least..=limit.most).contains(&limit.default),
                "{}",
                limit.key
            );
            assert!(!limit.about.is_empty(), "{}", limit.key);
        }
        assert_eq!(Limits::default().contradiction(), None);
    }

    #[test]
    fn the_ends_of_every_range_are_accepted_and_what_lies_beyond_is_not() {
        for limit in Limits::TABLE {
            let read = |value: i64| {
                let raw: RawLimits = toml::from_str(&format!("{} = {value}", limit.key)).unwrap();
                raw.checked().map_err(|(limit, _)| limit.key)
            };
            assert!(read(limit.least.into()).is_ok());
            assert!(read(limit.most.into()).is_ok());
            for beyond in [
                i64::from(limit.least) - 1,
                i64::from(limit.most) + 1,
                i64::MAX,
            ] {
                assert_eq!(read(beyond), Err(limit.key));
            }
        }
    }

    #[test]
    fn an_outbox_holds_the_largest_event() {
        let limits = Limits {
            outbox_kib: 8,
            ..Limits::default()
        };
        assert_eq!(
            limits.contradiction(),
            Some([("outbox_kib", 8), ("max_event_kib", 256)])
        );
    }
}
