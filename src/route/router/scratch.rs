//! Room for the forms of the event under way; kept for its memory.

use crate::wire::stamp;

#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) names: Vec<u8>,
    pub(super) xml: Vec<u8>,
    pub(super) federated: Vec<u8>,
    /// XML with our mark.
    pub(super) marked: Vec<u8>,
    /// The same as `TakMessage`.
    pub(super) marked_tak: Vec<u8>,
    pub(super) tak: Vec<u8>,
    /// The detail of a `TakMessage` as text.
    pub(super) detail: Vec<u8>,
    /// Remembers the date it wrote last.
    pub(super) stamps: stamp::Writer,
}

impl Scratch {
    /// What is kept for the next event, bytes; more is given back after the rare large one.
    const KEPT: usize = 32 * 1024;

    /// Gives back what the rare large event left.
    pub(super) fn give_back(&mut self) {
        for buffer in [
            &mut self.names,
            &mut self.xml,
            &mut self.federated,
            &mut self.marked,
        ] {
            if buffer.capacity() > Self::KEPT {
                *buffer = Vec::new();
            }
        }
        for buffer in [&mut self.tak, &mut self.detail, &mut self.marked_tak] {
            if buffer.capacity() > TAK_KEPT {
                *buffer = Vec::new();
            }
        }
    }
}

/// The same for what TAK protocol v1 needs, bytes: events in it are short.
const TAK_KEPT: usize = crate::budget::TAK_FORM as usize;
