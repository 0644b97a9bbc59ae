//! What a stream of CoT brings on its way to the router: cut into pieces, each handed over, the rest kept. For clients
//! who come to us, and for servers that we log in to.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use crate::budget;
use crate::counters::Reason;
use crate::link::hub::Port;
use crate::wire::scan::{Found, PRELUDE_MAX, Scanner, check_prelude};

/// Bytes of a stream's receive buffer. An event that does not fit needs one of the few places for large events.
pub const INGEST: usize = budget::INGEST as usize;

/// Bounds of what one stream brings.
#[derive(Debug, Clone)]
pub struct Intake {
    /// Places for events larger than [`INGEST`]; all streams share them.
    pub large_events: Arc<Semaphore>,
    /// Largest event, bytes.
    pub max_event: usize,
    /// An event begun must be whole within this.
    pub half_event: Duration,
}

/// What becomes of a whole piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heed {
    /// The router gets it.
    Pass,
    /// It was for the link itself.
    Keep,
}

/// Reads until the stream ends; the words tell why it did. `heed` sees every whole piece first.
///
/// # Errors
/// What the stream says.
pub(super) async fn read<R: AsyncRead + Unpin>(
    mut reader: R,
    port: &Port,
    bounds: &Intake,
    mut heed: impl FnMut(&[u8]) -> Heed,
) -> io::Result<&'static str> {
    let mut ingest = Ingest::new(bounds.max_event);
    let mut begun: Option<Instant> = None;
    let mut large = None;
    loop {
        let deadline = begun.map(|begun| begun + bounds.half_event);
        let too_late = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let next = async {
            if ingest.is_full() {
                // Few may be large at once; the others wait here, and their senders with them.
                large = Some(bounds.large_events.acquire().await);
                ingest.grow();
            }
            reader.read(ingest.space()).await
        };
        let count = tokio::select! {
            count = next => count?,
            () = too_late => {
                port.count(Reason::HalfEvent);
                return Ok("an event was begun and not finished in time");
            }
        };
        if count == 0 {
            return Ok("closed by the other side");
        }
        ingest.filled(count);
        let taken = ingest.take(port, &mut heed);
        if taken.lost {
            return Ok("an event longer than limits.max_event_kib");
        }
        if large.is_some() && ingest.shrink() {
            large = None;
        }
        begun = match (taken.begun, taken.pieces) {
            (false, _) => None,
            (true, 0) => begun.or_else(|| Some(Instant::now())),
            (true, _) => Some(Instant::now()),
        };
        if count >= INGEST / 2 {
            // A full read means more is coming: writers first, so that what was read leaves before more is taken.
            tokio::task::yield_now().await;
        }
    }
}

/// Cuts one stream. The buffer is moved together, never grown on its own.
#[derive(Debug)]
struct Ingest {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    scanner: Scanner,
    max_event: usize,
}

/// What [`Ingest::take`] left.
#[derive(Debug, Clone, Copy)]
struct Taken {
    /// Whole pieces handed over.
    pieces: usize,
    /// An event has begun and is not whole.
    begun: bool,
    /// Framing is lost; the connection must end.
    lost: bool,
}

impl Ingest {
    fn new(max_event: usize) -> Self {
        Self {
            buffer: vec![0; INGEST],
            start: 0,
            end: 0,
            scanner: Scanner::new(max_event),
            max_event,
        }
    }

    /// Where the next bytes go; empty when the buffer is full.
    fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        &mut self.buffer[self.end..]
    }

    /// So many bytes were put there.
    fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.buffer.len());
    }

    /// A begun event fills the whole buffer.
    fn is_full(&self) -> bool {
        self.end - self.start == self.buffer.len()
    }

    /// Makes room for the largest event.
    fn grow(&mut self) {
        self.buffer
            .resize(self.max_event.max(INGEST) + PRELUDE_MAX, 0);
    }

    /// Gives that room back when what is left does not need it. Tells whether it did.
    fn shrink(&mut self) -> bool {
        let fits = self.end - self.start < INGEST;
        if fits {
            self.space();
            self.buffer.truncate(INGEST);
            self.buffer.shrink_to_fit();
        }
        fits
    }

    /// Takes every whole piece out of the buffer.
    fn take(&mut self, port: &Port, heed: &mut impl FnMut(&[u8]) -> Heed) -> Taken {
        let mut pieces = 0;
        let (begun, lost) = loop {
            let rest = &self.buffer[self.start..self.end];
            match self.scanner.next(rest) {
                Found::Piece { start, end } => {
                    hand_over(&rest[..start], &rest[start..end], port, heed);
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

fn hand_over(prelude: &[u8], piece: &[u8], port: &Port, heed: &mut impl FnMut(&[u8]) -> Heed) {
    match check_prelude(prelude) {
        Err(Reason::Doctype) => return port.count(Reason::Doctype),
        Err(reason) => port.count(reason),
        Ok(()) => {}
    }
    if heed(piece) == Heed::Pass {
        port.receive_xml(piece);
    }
}
