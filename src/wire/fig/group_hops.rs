//! `FederateGroupHopLimits`: how far a message may go within each of its groups (protocol reference 1.2, 1.6).

use super::{Federated, Hops, federated};
use crate::wire::proto::{self, Value};

/// `repeated FederateGroupHopLimit limits`
pub const LIMIT: u32 = 1;
/// `bool useFederateGroupHopLimits`
pub const IN_USE: u32 = 2;
/// `FederateGroupHopLimit.groupName`
pub const NAME: u32 = 1;
/// `FederateGroupHopLimit.maxHops`
pub const MAX: u32 = 2;
/// `FederateGroupHopLimit.currentHops`
pub const CURRENT: u32 = 3;

/// The hops of one limit.
pub fn read(limit: &[u8]) -> Hops {
    let mut hops = Hops::default();
    for field in proto::fields(limit) {
        match field {
            Ok((MAX, Value::Varint(max))) => hops.max = max.cast_signed(),
            Ok((CURRENT, Value::Varint(current))) => hops.current = current.cast_signed(),
            _ => {}
        }
    }
    hops
}

impl<'a> Federated<'a> {
    /// The names of its groups.
    pub fn groups(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        proto::fields(self.bytes).filter_map(|field| match field {
            Ok((federated::GROUPS, Value::Bytes(name))) => Some(name),
            _ => None,
        })
    }

    /// Hops count by group in it.
    pub fn counts_by_group(&self) -> bool {
        let in_use = |(number, value)| match (number, value) {
            (IN_USE, Value::Varint(value)) => Some(value != 0),
            _ => None,
        };
        self.group_hops && self.limits().filter_map(in_use).last().unwrap_or(false)
    }

    /// How many hops it may go on in the group that goes farthest, if hops count by group in it; [`i64::MAX`] = without
    /// limit, 0 = none.
    pub fn group_hops_left(&self) -> Option<i64> {
        let left = |(number, value)| match (number, value) {
            (LIMIT, Value::Bytes(limit)) => Some(match read(limit) {
                Hops { max: -1, .. } => i64::MAX,
                Hops { max, current } => max.saturating_sub(current).max(0),
            }),
            _ => None,
        };
        self.counts_by_group()
            .then(|| self.limits().filter_map(left).max().unwrap_or(0))
    }

    /// The fields of its limits, as they stand.
    fn limits(&self) -> impl Iterator<Item = (u32, Value<'a>)> + use<'a> {
        let limits = proto::fields(self.bytes).filter_map(|field| match field {
            Ok((federated::GROUP_HOPS, Value::Bytes(limits))) => Some(limits),
            _ => None,
        });
        limits.flat_map(proto::fields).filter_map(Result::ok)
    }
}
