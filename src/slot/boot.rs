//! What the boot loader told the kernel about the running slot.

use super::block::Slot;

/// The slot that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Booted {
    /// Which one.
    pub slot: Slot,
    /// It is on trial, so its health must be proven.
    pub is_trial: bool,
}

impl Booted {
    /// Reads the kernel's command line (`tombolo.slot=A tombolo.trial=0`); none: not a box with two slots. The last
    /// of several words counts, as it does for the kernel.
    pub fn from_command_line(line: &str) -> Option<Self> {
        let value = |key: &str| {
            line.split_ascii_whitespace()
                .filter_map(|word| word.split_once('='))
                .filter_map(|(name, value)| (name == key).then_some(value))
                .next_back()
        };
        Some(Self {
            slot: value("tombolo.slot")?.parse().ok()?,
            is_trial: value("tombolo.trial") == Some("1"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_which_slot_runs() {
        let read = Booted::from_command_line;
        let booted = |slot, is_trial| Some(Booted { slot, is_trial });
        assert_eq!(
            read("root=/dev/vda2 tombolo.slot=A tombolo.trial=0 quiet\n"),
            booted(Slot::A, false)
        );
        assert_eq!(
            read("tombolo.slot=B tombolo.trial=1"),
            booted(Slot::B, true)
        );
        assert_eq!(
            read("tombolo.slot=A tombolo.slot=B"),
            booted(Slot::B, false)
        );
        for none in [
            "",
            "root=/dev/sda1",
            "tombolo.slot=",
            "tombolo.slot=C",
            "xtombolo.slot=A",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
