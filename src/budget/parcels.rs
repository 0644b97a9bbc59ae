//! Bounds of data packages in memory, bytes.

use super::row::Row;
use crate::config::packages::MOST_PACKAGES;
use crate::packages::PLACE;

/// Data packages that are brought or fetched over HTTP at once.
pub const TRANSFERS: u64 = 3;
/// What each of them holds in memory of its package.
pub const TRANSFER: u64 = 16 * 1024;

/// What is known of all that are kept.
pub(super) const KEPT: Row = Row {
    item: "data packages",
    each: PLACE,
    count: MOST_PACKAGES as u64,
    key: None,
    why: "hash, size, time and use of each",
};
/// What is held of those that come and go.
pub(super) const ON_ITS_WAY: Row = Row {
    item: "data package on its way",
    each: TRANSFER,
    count: TRANSFERS,
    key: None,
    why: "a piece of it",
};
