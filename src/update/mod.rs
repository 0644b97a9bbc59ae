//! Taking a new system into the other slot, judging it, and going back when it is no good.
//!
//! RAUC checks the signature and writes the slot; which slot boots is in [`slot`](crate::slot). What decides here
//! ([`version`], [`admission`], [`health`], [`outcome`]) is pure; [`install`] and [`confirm`] perform.

pub mod admission;
pub mod confirm;
pub mod health;
pub mod install;
pub mod machine;
pub mod outcome;
pub mod owner;
pub mod rauc;
pub mod record;
pub mod release;
pub mod request;
pub mod version;

use std::fmt;

use crate::slot::SlotError;

/// Why an update command could not do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateError {
    /// No box with two slots.
    NoSlots,
    /// The update may not be installed; why, and the cure.
    Refused(String),
    /// Not as the slots stand now, whatever the bundle is; why, and the cure.
    NotNow(String),
    /// The slot state.
    Slot(SlotError),
    /// RAUC said no, or could not be run.
    Rauc(String),
    /// A file cannot be read or written.
    Io(String),
    /// The new system is not healthy; why.
    Unhealthy(String),
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSlots => f.write_str(
                "this machine does not start from two slots, so it takes no update bundles; update it as it was \
                 installed (a newer package or a newer program)",
            ),
            Self::Refused(why) | Self::NotNow(why) | Self::Rauc(why) | Self::Io(why) | Self::Unhealthy(why) => f.write_str(why),
            Self::Slot(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for UpdateError {}

impl From<SlotError> for UpdateError {
    fn from(error: SlotError) -> Self {
        Self::Slot(error)
    }
}
