//! Events to a peer whose link has a byte budget: small pieces, handed over when the budget allows and the one before
//! is on its way.
//!
//! What has left the outbox cannot be overtaken any more. So it is left there as long as it can be: a piece is handed
//! to HTTP/2 only when the bucket is out of debt and nothing handed over before waits in HTTP/2, TLS or the socket.
//! Emergencies may go before the debt is paid.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep};

use super::packing::Packing;
use crate::config::Rate;
use crate::cot::Class;
use crate::link::grpc::body::Part;
use crate::link::grpc::frame::PREFIX;
use crate::link::meter::Meter;
use crate::route::outbox::{Thin, Want};
use crate::route::rate::Account;
use crate::wire::pack::{self, Packer};

/// A batch is at most this part of a second of the rate, and at least [`LEAST_BATCH`].
const BATCHES_PER_SECOND: u64 = 2;
/// Bytes.
const LEAST_BATCH: u64 = 256;

/// What a link of that rate takes at once. Packed bytes are fewer than those of the batch.
pub fn thin(rate: Rate, packed: bool) -> Thin {
    let seconds = |seconds: u64, least: u64| (rate.bytes() * seconds).max(least) as usize;
    Thin {
        batch: batch(rate) * if packed { PACKED_BATCHES } else { 1 },
        longest: Class::ALL.map(|class| match class {
            // Whoever is in distress is heard, however long it takes.
            Class::Emergency => usize::MAX,
            Class::Control | Class::Chat => seconds(30, 8 * 1024),
            Class::Track => seconds(5, 2 * 1024),
            Class::Bulk => seconds(10, 2 * 1024),
        }),
    }
}

/// What of the rate is used, bytes per second: a tenth is left to the acknowledgements of what the peer sends, which
/// nobody here sees, and to a radio that is a little slower than its name.
pub fn share(rate: Rate) -> u64 {
    rate.bytes() * 9 / 10
}

/// So much longer is a batch that is packed.
pub const PACKED_BATCHES: usize = 4;

/// Longest piece of something large, bytes: a tenth of a second of the rate, so that no event waits for long behind it.
pub(super) fn record(rate: Rate) -> usize {
    (rate.bytes() / 10).max(LEAST_BATCH) as usize
}

fn batch(rate: Rate) -> usize {
    (rate.bytes() / BATCHES_PER_SECOND).max(LEAST_BATCH) as usize
}

/// The pace of one event stream.
pub struct Pace {
    meter: Meter,
    begun: Instant,
    account: Account,
    wake: Pin<Box<Sleep>>,
    /// What is left of a batch longer than a piece.
    rest: Bytes,
    /// Plain bytes of a piece.
    piece: usize,
    packing: Packing,
    packer: Option<Box<Packer>>,
}

impl Pace {
    /// For a stream that begins.
    pub fn new(rate: Rate, meter: Meter, packing: Packing) -> Self {
        Self {
            account: Account::new(share(rate), meter.bytes_out(), 0),
            meter,
            begun: Instant::now(),
            wake: Box::pin(sleep(Duration::ZERO)),
            rest: Bytes::new(),
            piece: batch(rate),
            packing,
            packer: None,
        }
    }

    /// The same for a stream whose batches are not to be cut: the peer must get each event whole.
    #[must_use]
    pub fn in_whole_batches(self) -> Self {
        Self {
            piece: usize::MAX,
            ..self
        }
    }

    /// Whether packing begins with the next piece; true once.
    pub fn begins_packing(&mut self) -> bool {
        let begins = self.packer.is_none() && self.rest.is_empty() && self.packing.packs();
        if begins {
            self.packer = Some(Box::default());
            self.piece = (self.piece * PACKED_BATCHES).min(pack::LONGEST);
        }
        begins
    }

    /// A piece as it goes out.
    fn packed(&mut self, plain: Bytes) -> Bytes {
        let Some(packer) = &mut self.packer else {
            return plain;
        };
        let mut out = Vec::with_capacity(PREFIX + pack::LONGEST_PACKED.min(plain.len() + 16));
        out.extend_from_slice(&[1, 0, 0, 0, 0]);
        packer.pack(&plain, &mut out);
        let length = (out.len() - PREFIX) as u32;
        out[1..PREFIX].copy_from_slice(&length.to_be_bytes());
        self.meter
            .packed_away(plain.len().saturating_sub(out.len()));
        out.into()
    }

    /// The next piece of what `next` gives, when it may go.
    pub fn poll(
        &mut self,
        context: &mut Context<'_>,
        mut next: impl FnMut(Want, &mut Context<'_>) -> Poll<Part>,
    ) -> Poll<Part> {
        loop {
            let now_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            let clear = self.meter.is_clear();
            self.account.settle(self.meter.bytes_out(), clear, now_ms);
            if !clear {
                self.meter.wake_when_clear(context);
                return Poll::Pending;
            }
            let bucket = self.account.bucket();
            let wait_ms = bucket.wait_ms();
            let want = match wait_ms {
                0 => Some(Want::All),
                _ if self.rest.is_empty() && bucket.bears_emergency() => Some(Want::Emergencies),
                _ => None,
            };
            let part = match want {
                Some(_) if !self.rest.is_empty() => Poll::Ready(Part::Data(Bytes::new())),
                Some(want) => next(want, context),
                None => Poll::Pending,
            };
            match part {
                Poll::Ready(Part::Data(batch)) => {
                    if !batch.is_empty() {
                        self.rest = batch;
                    }
                    let piece = self.rest.split_to(self.rest.len().min(self.piece));
                    let piece = self.packed(piece);
                    self.account.hand_over(piece.len() as u64);
                    self.meter.handed_over();
                    return Poll::Ready(Part::Data(piece));
                }
                Poll::Ready(end) => return Poll::Ready(end),
                Poll::Pending if want == Some(Want::All) => return Poll::Pending,
                Poll::Pending => {
                    let wait = Duration::from_millis(wait_ms);
                    self.wake.as_mut().reset(Instant::now() + wait);
                    if self.wake.as_mut().poll(context).is_pending() {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pace").finish_non_exhaustive()
    }
}
