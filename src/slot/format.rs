//! How a copy of the slot state is written down. The boot loader of the board decides that.

use super::block::{BLOCK_BYTES, SlotState};
use super::grub;

/// The notation of both copies on a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The U-Boot environment: key=value behind a CRC-32.
    UBoot,
    /// The GRUB environment block, which has no checksum; the state stands in it twice.
    Grub,
}

impl Format {
    /// Reads the name that `slot.conf` gives it: `u-boot` or `grub`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "u-boot" => Some(Self::UBoot),
            "grub" => Some(Self::Grub),
            _ => None,
        }
    }

    /// That of a card nobody has described: GRUB's if one of the copies begins as GRUB's do, else U-Boot's.
    pub fn of(blocks: &[[u8; BLOCK_BYTES]]) -> Self {
        match blocks
            .iter()
            .any(|block| block.starts_with(grub::SIGNATURE))
        {
            true => Self::Grub,
            false => Self::UBoot,
        }
    }

    /// The 512 bytes of a copy.
    pub fn encode(self, state: &SlotState) -> [u8; BLOCK_BYTES] {
        match self {
            Self::UBoot => state.encode(),
            Self::Grub => grub::encode(state),
        }
    }

    /// Reads a copy; none if it is damaged.
    pub fn decode(self, block: &[u8]) -> Option<SlotState> {
        match self {
            Self::UBoot => SlotState::decode(block),
            Self::Grub => grub::decode(block),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_shows_its_format() {
        let state = SlotState::default();
        let damaged = [0; BLOCK_BYTES];
        for format in [Format::UBoot, Format::Grub] {
            let whole = format.encode(&state);
            assert_eq!(Format::of(&[whole, whole]), format);
            assert_eq!(Format::of(&[damaged, whole]), format);
            assert_eq!(format.decode(&whole), Some(state));
        }
        assert_eq!(Format::of(&[damaged, damaged]), Format::UBoot);
        assert_eq!(Format::named("grub"), Some(Format::Grub));
        assert_eq!(Format::named("u-boot"), Some(Format::UBoot));
        assert_eq!(Format::named("GRUB"), None);
    }

    #[test]
    fn neither_format_takes_the_other_for_its_own() {
        let state = SlotState::default();
        assert_eq!(Format::UBoot.decode(&Format::Grub.encode(&state)), None);
        assert_eq!(Format::Grub.decode(&Format::UBoot.encode(&state)), None);
    }
}
