//! Bounds of data packages in memory, bytes.

use super::row::Row;
use crate::config::packages::MOST_PACKAGES;
use crate::packages::PLACE;

/// Data packages that are brought or fetched over HTTP at once.
pub const TRANSFERS: u64 = 3;
/// What each of them holds in memory of its package.
pub const TRANSFER: u64 = 16 * 1024;

/// Short resource messages of federates that are being read.
pub const RESOURCES_READ: u64 = 8 * 1024;
/// Announcements and other resource messages that wait to be sent to federates, shared ones counted once.
pub const RESOURCES_WAITING: u64 = 32 * 1024;
/// The piece of a package between disk and federate.
pub const RESOURCE_PIECE: u64 = 8 * 1024;

/// What is held of resource messages, all federates together.
pub(super) const RESOURCES: Row = Row {
    item: "resource messages",
    each: RESOURCES_READ + RESOURCES_WAITING + RESOURCE_PIECE,
    count: 1,
    key: None,
    why: "read 8, waiting for federates 32, a piece of a package 8; a long one is among the large events while it is read",
};
/// What is held of packages that are carried between federates.
pub(super) const COURIER: Row = Row {
    item: "packages under way",
    each: 32 * 1024,
    count: 1,
    key: None,
    why: "requests in the table 12 and in the router 6, four pieces of 4 KiB between disk and link",
};
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
