//! One line of the memory sum.

/// One line of the sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// What needs the memory.
    pub item: &'static str,
    /// Bytes for one.
    pub each: u64,
    /// How many at most.
    pub count: u64,
    /// The limit that makes it smaller, if one does.
    pub key: Option<&'static str>,
    /// What is in it.
    pub why: &'static str,
}

impl Row {
    /// Bytes for all.
    pub fn total(&self) -> u64 {
        self.each * self.count
    }
}

/// A line.
pub(super) fn row(
    item: &'static str,
    each: u64,
    count: u64,
    key: Option<&'static str>,
    why: &'static str,
) -> Row {
    Row {
        item,
        each,
        count,
        key,
        why,
    }
}
