//! A client's bytes on their way to the router: cut into pieces, each handed over, the rest kept.

use crate::budget;
use crate::counters::Reason;
use crate::link::hub::Port;
use crate::wire::scan::{Found, PRELUDE_MAX, Scanner, check_prelude};

/// Bytes of a client's receive buffer. An event that does not fit needs one of the few places for large events.
pub const INGEST: usize = budget::INGEST as usize;

/// Cuts one client's stream. The buffer is moved together, never grown on its own.
#[derive(Debug)]
pub(super) struct Ingest {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    scanner: Scanner,
    max_event: usize,
}

/// What [`Ingest::take`] left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    /// Whole pieces handed over.
    pub(super) pieces: usize,
    /// An event has begun and is not whole.
    pub(super) begun: bool,
    /// Framing is lost; the connection must end.
    pub(super) lost: bool,
}

impl Ingest {
    pub(super) fn new(max_event: usize) -> Self {
        Self {
            buffer: vec![0; INGEST],
            start: 0,
            end: 0,
            scanner: Scanner::new(max_event),
            max_event,
        }
    }

    /// Where the next bytes go; empty when the buffer is full.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.buffer[self.end..]
    }

    /// So many bytes were put there.
    pub(super) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.buffer.len());
    }

    /// A begun event fills the whole buffer.
    pub(super) fn is_full(&self) -> bool {
        self.end - self.start == self.buffer.len()
    }

    /// Makes room for the largest event.
    pub(super) fn grow(&mut self) {
        self.buffer
            .resize(self.max_event.max(INGEST) + PRELUDE_MAX, 0);
    }

    /// Gives that room back when what is left does not need it. Tells whether it did.
    pub(super) fn shrink(&mut self) -> bool {
        let fits = self.end - self.start < INGEST;
        if fits {
            self.space();
            self.buffer.truncate(INGEST);
            self.buffer.shrink_to_fit();
        }
        fits
    }

    /// Takes every whole piece out of the buffer.
    pub(super) fn take(&mut self, port: &Port) -> Taken {
        let mut pieces = 0;
        let (begun, lost) = loop {
            let rest = &self.buffer[self.start..self.end];
            match self.scanner.next(rest) {
                Found::Piece { start, end } => {
                    hand_over(&rest[..start], &rest[start..end], port);
                    pieces += 1;
                    self.start += end;
                }
                Found::Skip(count) => {
                    port.count(Reason::Garbage);
                    self.start += count;
                }
                Found::More { begun } => break (begun, false),
                Found::TooLong => {
                    port.count(Reason::Oversize);
                    break (true, true);
                }
            }
        };
        Taken {
            pieces,
            begun,
            lost,
        }
    }
}

fn hand_over(prelude: &[u8], piece: &[u8], port: &Port) {
    match check_prelude(prelude) {
        Err(Reason::Doctype) => return port.count(Reason::Doctype),
        Err(reason) => port.count(reason),
        Ok(()) => {}
    }
    port.receive_xml(piece);
}
