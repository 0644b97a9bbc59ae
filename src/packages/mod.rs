//! Data packages on the disk: a bounded store, keyed by SHA-256, verified on arrival, whole after a power cut.
//!
//! In the store's folder a package is two files: `HASH` has its bytes, `HASH.about` its [`Details`]. Both are written
//! under other names first, synced, and moved into place, details before bytes: the move of the bytes is the moment from
//! which the package exists. Opening the store settles what a power cut left: one without the other goes, and so does
//! what was on its way in. `HASH.part` is a package that comes in pieces and may be gone on with.
//!
//! Nothing is written periodically. When a package was last used is kept in memory only: after a restart the order in
//! which packages go is that of their arrival. Everything here may block: callers use threads that may.

mod details;
mod error;
mod files;
pub mod form;
mod hash;
mod reading;
mod receiving;
mod shelf;
mod standing;
mod store;
#[cfg(test)]
mod tests;

pub use details::{Details, KEYWORDS, MOST_BYTES, Origin, TEXT};
pub use error::StoreError;
pub use hash::{Hash, NotAHash};
pub use reading::Reading;
pub use receiving::Receiving;
pub use shelf::{Bounds, COMING_IN, PARTS, PLACE};
pub use standing::Standing;
pub use store::Store;
