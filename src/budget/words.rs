//! The sum as people read it.

use std::fmt;

use super::{Budget, KIB, MIB};

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<28} {:>9} {:>8} {:>10}",
            "item", "each KiB", "count", "total KiB"
        )?;
        for row in &self.rows {
            let (each, total) = (tenths(row.each), tenths(row.total()));
            writeln!(f, "{:<28} {each:>9} {:>8} {total:>10}", row.item, row.count)?;
        }
        let (total, ceiling) = (tenths(self.total()), tenths(self.ceiling));
        writeln!(f, "{:<28} {:>9} {:>8} {total:>10}", "worst case", "", "")?;
        write!(
            f,
            "{:<28} {:>9} {:>8} {ceiling:>10}",
            "ceiling (memory_mib)", "", ""
        )
    }
}

/// The limits allow more memory than `memory_mib`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverBudget {
    /// Bytes in the worst case.
    pub total: u64,
    /// Bytes allowed.
    pub ceiling: u64,
    /// Limits of which each alone cures it, with the largest value that does.
    pub lower: Vec<(&'static str, u32)>,
}

impl fmt::Display for OverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[limits] add up to {} KiB, more than memory_mib allows ({} KiB): ",
            self.total.div_ceil(KIB),
            self.ceiling / KIB
        )?;
        for (key, value) in &self.lower {
            write!(f, "lower {key} to {value}, or ")?;
        }
        if self.lower.is_empty() {
            f.write_str("lower several of them, or ")?;
        }
        write!(f, "raise memory_mib to {}", self.total.div_ceil(MIB))
    }
}

impl std::error::Error for OverBudget {}

/// KiB with one decimal, rounded up: a sum of rows never looks larger than its parts.
pub(super) fn tenths(bytes: u64) -> String {
    let tenths = (bytes * 10).div_ceil(KIB);
    format!("{}.{}", tenths / 10, tenths % 10)
}
