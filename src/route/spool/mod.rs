//! What waits on the disk for federates whose link is down: emergencies, deletes, chat and directed traffic.
//!
//! Everything here is pure. A [`Lane`] decides what is to be written, read and removed and says so as [`Job`]s;
//! somebody with a disk performs them one after the other and answers with [`Done`].
//!
//! On the disk a peer has two lanes, control and chat, each a row of *segments*: files that are only appended to and
//! removed as a whole. A segment is [`record::MAGIC`], then [records](record).

pub mod bounds;
pub mod job;
pub mod lane;
pub mod peer;
pub mod pending;
pub mod record;
#[cfg(test)]
pub mod testing;

pub use bounds::{Alarms, Bounds};
pub use job::{Done, FileId, Found, FoundSegment, Job, Piece, Which};
pub use lane::{READ_AHEAD, SEGMENT_PLACE, Shape, Skip};
pub use peer::{PeerSpool, Prepared};
