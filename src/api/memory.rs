//! What the box takes of memory, in `status --json`.

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::files;

/// Memory, KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryStatus {
    /// Resident now; 0 where the system does not tell.
    pub rss_kib: u64,
    /// Most that was ever resident.
    pub peak_kib: u64,
    /// The worst case that the limits add up to.
    pub budget_kib: u64,
    /// `memory_mib`.
    pub ceiling_kib: u64,
}

impl MemoryStatus {
    /// Asks the kernel about this process.
    pub fn measure(budget: &Budget) -> Self {
        // Bounded: the file is about 1.5 KiB and the kernel writes it.
        let text = files::read_bounded("/proc/self/status".as_ref(), 64 * 1024).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        Self {
            rss_kib: field(&text, "VmRSS:"),
            peak_kib: field(&text, "VmHWM:"),
            budget_kib: budget.total().div_ceil(1024),
            ceiling_kib: budget.ceiling() / 1024,
        }
    }
}

fn field(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
