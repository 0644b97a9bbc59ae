//! Which slot the box boots: the few bytes that the boot loader reads and writes too.
//!
//! They stand twice on the card, outside every partition, as environment blocks of U-Boot or of GRUB. The committed
//! slot always boots and costs no write; only a *trial* slot spends attempts. So whatever is installed, and however it
//! fails, the box comes back to what ran before.

mod block;
mod boot;
mod device;
mod format;
mod grub;

pub use block::{BLOCK_BYTES, Change, MOST_ATTEMPTS, Slot, SlotState, Trial, UnknownSlot};
pub use boot::Booted;
pub use device::{COPY_OFFSETS, Copies, Device, SlotError};
pub use format::Format;

/// Boots that an installed slot gets to prove itself.
pub const USUAL_ATTEMPTS: u8 = 2;
