//! Whether a bundle may be installed now.

use std::cmp::Ordering;
use std::fmt;

use super::release::Release;
use super::version::compare;
use crate::slot::{Booted, Slot, SlotState};

/// What a bundle with a good signature says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleFacts {
    /// The boxes it is for.
    pub compatible: String,
    /// The version of the system in it.
    pub version: String,
}

/// Why a bundle is not installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is for other boxes.
    OtherBoard {
        /// What the bundle says.
        bundle: String,
        /// What this box is.
        ours: String,
    },
    /// It has no version.
    NoVersion,
    /// The version that runs.
    Same(String),
    /// An older version.
    Older {
        /// What the bundle holds.
        bundle: String,
        /// What runs.
        running: String,
    },
    /// The running system is not committed yet: the other slot holds the one to go back to.
    OnTrial(Slot),
    /// The running slot is not the committed one, so the other one is, and must not be overwritten.
    NotCommitted(Slot),
}

impl Refusal {
    /// The bundle is no news; nobody need be alarmed.
    pub fn is_no_news(&self) -> bool {
        matches!(self, Self::Same(_) | Self::Older { .. })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherBoard { bundle, ours } => write!(
                f,
                "the bundle is for \"{bundle}\" and this box is \"{ours}\"; take the bundle for this board"
            ),
            Self::NoVersion => f.write_str("the bundle names no version; build it with one"),
            Self::Same(version) => write!(
                f,
                "version {version} runs already; `tombolo update install --allow-downgrade` installs it once more"
            ),
            Self::Older { bundle, running } => write!(
                f,
                "the bundle holds version {bundle}, older than {running} that runs; `tombolo update install \
                 --allow-downgrade` goes back to it"
            ),
            Self::OnTrial(slot) => write!(
                f,
                "the system in slot {slot} is on trial itself; wait until it is committed, or go back with `tombolo \
                 update rollback`"
            ),
            Self::NotCommitted(slot) => write!(
                f,
                "slot {slot} runs and is not the committed one, so the other slot must be kept; restart the box first"
            ),
        }
    }
}

/// Whether the slots stand so that the other one may be written.
///
/// # Errors
/// Why not.
pub fn may_write(booted: Booted, state: &SlotState) -> Result<(), Refusal> {
    match booted.slot == state.good {
        true => Ok(()),
        false if booted.is_trial => Err(Refusal::OnTrial(booted.slot)),
        false => Err(Refusal::NotCommitted(booted.slot)),
    }
}

/// Whether a bundle is for this box and newer than what runs.
///
/// # Errors
/// Why not.
pub fn admit(
    bundle: &BundleFacts,
    release: &Release,
    allow_downgrade: bool,
) -> Result<(), Refusal> {
    let ours = release.compatible();
    if bundle.compatible != ours {
        return Err(Refusal::OtherBoard {
            bundle: bundle.compatible.clone(),
            ours,
        });
    }
    if bundle.version.is_empty() {
        return Err(Refusal::NoVersion);
    }
    match compare(&bundle.version, &release.version) {
        _ if allow_downgrade => Ok(()),
        Ordering::Greater => Ok(()),
        Ordering::Equal => Err(Refusal::Same(bundle.version.clone())),
        Ordering::Less => Err(Refusal::Older {
            bundle: bundle.version.clone(),
            running: release.version.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slot::Trial;

    #[test]
    fn only_news_for_this_board_is_admitted() {
        let release = Release {
            version: "0.2.0".into(),
            board: "virt".into(),
        };
        let admit = |compatible: &str, version: &str, allow| {
            let bundle = BundleFacts {
                compatible: compatible.into(),
                version: version.into(),
            };
            admit(&bundle, &release, allow)
        };
        assert_eq!(admit("tombolo-virt", "0.3.0", false), Ok(()));
        assert!(matches!(
            admit("tombolo-virt", "0.2.0", false),
            Err(Refusal::Same(_))
        ));
        assert!(matches!(
            admit("tombolo-virt", "0.2.0~rc1", false),
            Err(Refusal::Older { .. })
        ));
        assert_eq!(admit("tombolo-virt", "0.1.9", true), Ok(()));
        assert_eq!(admit("tombolo-virt", "0.2.0", true), Ok(()));
        // No permission makes another board's system run here.
        assert!(matches!(
            admit("tombolo-rpi4-64", "0.3.0", true),
            Err(Refusal::OtherBoard { .. })
        ));
        assert_eq!(admit("tombolo-virt", "", true), Err(Refusal::NoVersion));
        assert!(
            admit("tombolo-virt", "0.2.0", false)
                .unwrap_err()
                .is_no_news()
        );
    }

    #[test]
    fn the_slot_to_go_back_to_is_never_written() {
        let booted = |slot, is_trial| Booted { slot, is_trial };
        let state = |good| SlotState { good, trial: None };
        let tried = SlotState {
            good: Slot::A,
            trial: Some(Trial {
                slot: Slot::B,
                left: 1,
            }),
        };
        assert_eq!(may_write(booted(Slot::A, false), &state(Slot::A)), Ok(()));
        assert_eq!(may_write(booted(Slot::A, false), &tried), Ok(()));
        assert_eq!(
            may_write(booted(Slot::B, true), &tried),
            Err(Refusal::OnTrial(Slot::B))
        );
        assert_eq!(
            may_write(booted(Slot::B, false), &state(Slot::A)),
            Err(Refusal::NotCommitted(Slot::B))
        );
        assert_eq!(may_write(booted(Slot::B, true), &state(Slot::B)), Ok(()));
    }
}
