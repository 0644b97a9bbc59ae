//! How the store stands, and what became of packages.

use std::sync::atomic::AtomicU64;

use serde::{Deserialize, Serialize};

/// How the store stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Packages.
    pub packages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of packages that came in part.
    pub part_bytes: u64,
    /// Packages coming in.
    pub coming_in: u64,
    /// Most bytes.
    pub most_bytes: u64,
    /// Most packages.
    pub most_packages: u64,
    /// Packages that came in whole, since the start.
    pub kept: u64,
    /// Packages that gave way to others.
    pub evicted: u64,
    /// Packages that became too old.
    pub expired: u64,
    /// Packages refused: too large, no room, wrong bytes.
    pub refused: u64,
    /// Times that the disk refused.
    pub disk_errors: u64,
    /// Halves that a power cut left, removed at the start.
    pub settled: u64,
}

/// Counts since the start.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    pub(super) number: AtomicU64,
    pub(super) kept: AtomicU64,
    pub(super) evicted: AtomicU64,
    pub(super) expired: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) disk_errors: AtomicU64,
    pub(super) settled: AtomicU64,
}
