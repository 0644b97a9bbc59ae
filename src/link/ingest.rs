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
use crate::wire::tak::framing;

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

/// A whole event as it stands in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// CoT XML.
    Xml(&'a [u8]),
    /// A `TakMessage`.
    Tak(&'a [u8]),
}

/// What becomes of a whole piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heed {
    /// The router gets it.
    Pass,
    /// It was for the link itself.
    Keep,
    /// The same, and from the next byte on the stream is TAK protocol v1.
    Switch,
}

/// Reads until the stream ends; the words tell why it did. `heed` sees every whole piece first.
///
/// # Errors
/// What the stream says.
pub(super) async fn read<R: AsyncRead + Unpin>(
    mut reader: R,
    port: &Port,
    bounds: &Intake,
    mut heed: impl FnMut(Piece<'_>) -> Heed,
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
        match taken.lost {
            None => {}
            Some(Lost::TooLong) => return Ok("an event longer than limits.max_event_kib"),
            Some(Lost::Garbage) => {
                return Ok("it sends something else than the TAK protocol that it asked for");
            }
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
    /// The stream is TAK protocol v1.
    tak: bool,
    /// Reads in a row that began with no message.
    garbage: u32,
    max_event: usize,
}

/// A stream of TAK protocol v1 may begin so many reads in a row with something else. A TAK Server throws each away and
/// waits for ever (protocol reference 6.2); one who is turned away comes back and asks again.
const GARBAGE_MOST: u32 = 16;

/// What [`Ingest::take`] left.
#[derive(Debug, Clone, Copy)]
struct Taken {
    /// Whole pieces handed over.
    pieces: usize,
    /// An event has begun and is not whole.
    begun: bool,
    /// The connection must end.
    lost: Option<Lost>,
}

/// Why no more can be read.
#[derive(Debug, Clone, Copy)]
enum Lost {
    /// An event is longer than allowed, and nothing behind it can be trusted to be framed.
    TooLong,
    /// No messages come, but something else.
    Garbage,
}

impl Ingest {
    fn new(max_event: usize) -> Self {
        Self {
            buffer: vec![0; INGEST],
            start: 0,
            end: 0,
            scanner: Scanner::new(max_event),
            tak: false,
            garbage: 0,
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
    fn take(&mut self, port: &Port, heed: &mut impl FnMut(Piece<'_>) -> Heed) -> Taken {
        let mut pieces = 0;
        let (begun, lost) = loop {
            if self.tak {
                break self.take_tak(&mut pieces, port, heed);
            }
            let rest = &self.buffer[self.start..self.end];
            match self.scanner.next(rest) {
                Found::Piece { start, end } => {
                    self.tak = hand_over(&rest[..start], &rest[start..end], port, heed);
                    pieces += 1;
                    self.start += end;
                }
                Found::Skip(count) => {
                    port.count(Reason::Garbage);
                    self.start += count;
                }
                Found::More { begun } => break (begun, None),
                Found::TooLong => {
                    port.count(Reason::Oversize);
                    break (true, Some(Lost::TooLong));
                }
            }
        };
        Taken {
            pieces,
            begun,
            lost,
        }
    }

    /// The same for a stream of TAK protocol v1.
    fn take_tak(
        &mut self,
        pieces: &mut usize,
        port: &Port,
        heed: &mut impl FnMut(Piece<'_>) -> Heed,
    ) -> (bool, Option<Lost>) {
        loop {
            // Some devices end what they send with a line break, the question that led here too.
            let rest = self.buffer[self.start..self.end].trim_ascii_start();
            self.start = self.end - rest.len();
            match framing::next(rest, self.max_event) {
                framing::Found::Message { start, end } => {
                    let message = &rest[start..end];
                    if heed(Piece::Tak(message)) == Heed::Pass {
                        port.receive_tak(message);
                    }
                    (*pieces, self.garbage) = (*pieces + 1, 0);
                    self.start += end;
                }
                framing::Found::More { begun } => return (begun, None),
                // As TAK Server does: nobody knows where the next message begins, perhaps with the next read.
                framing::Found::Garbage => {
                    port.count(Reason::Garbage);
                    self.start = self.end;
                    self.garbage += 1;
                    let lost = self.garbage >= GARBAGE_MOST;
                    return (false, lost.then_some(Lost::Garbage));
                }
                framing::Found::TooLong => {
                    port.count(Reason::Oversize);
                    return (true, Some(Lost::TooLong));
                }
            }
        }
    }
}

/// Tells whether the stream is TAK protocol v1 from here on.
fn hand_over(
    prelude: &[u8],
    piece: &[u8],
    port: &Port,
    heed: &mut impl FnMut(Piece<'_>) -> Heed,
) -> bool {
    match check_prelude(prelude) {
        Err(Reason::Doctype) => {
            port.count(Reason::Doctype);
            return false;
        }
        Err(reason) => port.count(reason),
        Ok(()) => {}
    }
    match heed(Piece::Xml(piece)) {
        Heed::Pass => {
            port.receive_xml(piece);
            false
        }
        Heed::Keep => false,
        Heed::Switch => true,
    }
}
