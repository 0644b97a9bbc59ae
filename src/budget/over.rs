//! Too much memory is asked for.

use std::fmt;

use super::{KIB, MIB};

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
