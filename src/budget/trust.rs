//! What certificates take that were taken back, or will be shown.

use super::row::{Row, row};
use crate::pki::{revocations, successors};

/// Its rows.
pub(super) fn rows() -> [Row; 2] {
    [
        row(
            "revocation lists",
            revocations::KEPT,
            1,
            None,
            "8 bytes for each certificate that was taken back",
        ),
        row(
            "certificates to come",
            successors::EACH,
            successors::MOST as u64,
            None,
            "of peers that renew theirs",
        ),
    ]
}
