//! Our events to the peer.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::config::{Flavour, Rate};
use crate::cot::Class;
use crate::link::federate::node::PeerSettings;
use crate::link::federate::pace::{Pace, thin};
use crate::link::federate::packing::Packing;
use crate::link::federate::trouble::{Trouble, chance};
use crate::link::grpc::body::Part;
use crate::link::grpc::status::Status;
use crate::link::hub::Port;
use crate::link::meter::Meter;
use crate::route::outbox::{Thin, Want};
use crate::wire::fed1::{Decoder, frames};

use super::freetakserver::{Desk, LONGEST_EVENT};
use super::signs::Signs;

/// Between two frames to FreeTAKServer: it looks for the second one only when its socket says that more came.
const GAP: Duration = Duration::from_millis(20);

/// A batch to FreeTAKServer is closed at this length, bytes: what is urgent waits for no more than that.
const SHORT_BATCH: usize = 2 * 1024;

/// What both directions know of a FreeTAKServer.
#[derive(Debug, Clone)]
pub struct SharedDesk(Arc<Mutex<Desk>>);

impl SharedDesk {
    /// For a connection that begins; none where the peer is no FreeTAKServer.
    pub fn of(peer: &PeerSettings) -> Option<Self> {
        let seed = u64::from(chance()) << 32 | u64::from(chance());
        (peer.flavour == Flavour::FreeTakServer)
            .then(|| Self(Arc::new(Mutex::new(Desk::new(seed)))))
    }

    /// Asks it something.
    pub fn lock(&self) -> MutexGuard<'_, Desk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What goes out on one connection.
#[derive(Debug)]
pub struct Outgoing<'a> {
    port: &'a Port,
    signs: &'a Signs,
    desk: Option<&'a SharedDesk>,
    pace: Option<Pace>,
    whole: Decoder,
    frame: Vec<u8>,
}

impl<'a> Outgoing<'a> {
    /// For a connection that begins; the outbox is told what it takes at once.
    pub fn new(
        port: &'a Port,
        signs: &'a Signs,
        desk: Option<&'a SharedDesk>,
        rate: Option<Rate>,
        meter: &Meter,
        message_limit: usize,
    ) -> Self {
        port.set_thin(takes(rate, desk.is_some()));
        let pace = rate.map(|rate| {
            let pace = Pace::new(rate, meter.clone(), Packing::default());
            match desk {
                Some(_) => pace.in_whole_batches(),
                None => pace,
            }
        });
        Self {
            port,
            signs,
            desk,
            pace,
            whole: Decoder::new(message_limit),
            frame: Vec::new(),
        }
    }

    /// Writes until the stream breaks; once `ending` says so, until nothing waits any more. Then it closes the stream.
    ///
    /// # Errors
    /// What broke it.
    pub async fn write(
        &mut self,
        mut stream: impl AsyncWrite + Unpin,
        ending: &mut watch::Receiver<bool>,
    ) -> Result<(), Trouble> {
        let broke = |error: std::io::Error| Trouble::of_stream(&error);
        loop {
            let last = *ending.borrow_and_update();
            let batch = tokio::select! {
                batch = poll_fn(|context| self.poll(last, context)) => batch,
                _ = ending.changed(), if !last => continue,
            };
            let Some(batch) = batch else {
                return stream.shutdown().await.map_err(broke);
            };
            match self.desk {
                None => {
                    stream.write_all(&batch).await.map_err(broke)?;
                    stream.flush().await.map_err(broke)?;
                }
                Some(desk) => {
                    let mut ready = Vec::new();
                    self.rewrite(desk, &batch, &mut ready);
                    for frame in frames(&ready) {
                        stream.write_all(frame).await.map_err(broke)?;
                        stream.flush().await.map_err(broke)?;
                        sleep(GAP).await;
                    }
                }
            }
        }
    }

    /// A batch as FreeTAKServer understands it. What it would not is counted.
    fn rewrite(&mut self, desk: &SharedDesk, batch: &[u8], ready: &mut Vec<u8>) {
        let (port, frame, now_ms) = (self.port, &mut self.frame, self.port.now().wall_ms);
        // What the outbox frames is never longer than what is taken in.
        let _ = self.whole.feed(batch, &mut |message| match desk
            .lock()
            .outgoing(message, frame, now_ms)
        {
            Ok(()) => ready.extend_from_slice(frame),
            Err(reason) => port.count(reason),
        });
    }

    /// The next batch; none when the link is down, or when nothing waits and this was the `last` question.
    fn poll(&mut self, last: bool, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let (port, signs) = (self.port, self.signs);
        let next = |want, context: &mut Context<'_>| {
            let batch = port.poll_wanted(want, context);
            if batch.is_pending() {
                // The batch is empty, and what was in it before has been flushed.
                signs.flushed(port.handed());
            }
            batch
        };
        let polled = match &mut self.pace {
            None => next(Want::All, context),
            Some(pace) => pace
                .poll(context, |want, context| {
                    next(want, context).map(|batch| match batch {
                        Some(batch) => Part::Data(batch),
                        None => Part::End(Status::ok()),
                    })
                })
                .map(|part| match part {
                    Part::Data(piece) => Some(piece),
                    _ => None,
                }),
        };
        match polled {
            Poll::Pending if last => Poll::Ready(None),
            polled => polled,
        }
    }
}

/// What the link takes at once; none = as much as there is.
fn takes(rate: Option<Rate>, short: bool) -> Option<Thin> {
    let of_rate = rate.map(|rate| thin(rate, false));
    if !short {
        return of_rate;
    }
    let wide = Thin {
        batch: usize::MAX,
        longest: [usize::MAX; Class::COUNT],
    };
    let taken = of_rate.unwrap_or(wide);
    Some(Thin {
        batch: taken.batch.min(SHORT_BATCH),
        longest: taken.longest.map(|longest| longest.min(LONGEST_EVENT)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freetakserver_is_offered_short_events_in_short_batches() {
        assert_eq!(takes(None, false), None);
        let short = takes(None, true).unwrap();
        assert_eq!(short.batch, SHORT_BATCH);
        assert!(
            short
                .longest
                .iter()
                .all(|longest| *longest == LONGEST_EVENT)
        );
        let rate = Rate::of_bits(9600).unwrap();
        let thinner = takes(Some(rate), true).unwrap();
        assert!(
            thinner.batch < SHORT_BATCH && thinner.longest[Class::Track as usize] < LONGEST_EVENT
        );
        assert_eq!(thinner.longest[Class::Emergency as usize], LONGEST_EVENT);
    }
}
