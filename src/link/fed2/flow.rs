//! The events of one connection, both ways, whichever side dialled.
//!
//! Attaching to the router and the two event streams come about in an order that the peer decides. So: what comes in
//! waits (under HTTP/2 flow control) until the flow is attached, and what goes out waits in the router's outbox until
//! a stream reads it. Nothing is lost either way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::watch;

use crate::config::Rate;
use crate::counters::Reason;
use crate::link::grpc::body::{Part, Source};
use crate::link::grpc::frame::FrameError;
use crate::link::grpc::status::{Code, Status};
use crate::link::hub::Port;
use crate::link::meter::Meter;
use crate::route::outbox::Want;

use crate::link::federate::pace::{Pace, thin};
use crate::link::federate::packing::Packing;
use crate::link::federate::registry::Claim;

/// The events of one connection.
#[derive(Debug)]
pub struct Flow {
    rate: Option<Rate>,
    meter: Meter,
    packing: Packing,
    inner: Mutex<Inner>,
    attached: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Inner {
    port: Option<Port>,
    claim: Option<Claim>,
    /// Number of the stream that carries our events; an older one must stop.
    reader: u64,
    reading: bool,
    ending: Option<Status>,
    waker: Option<Waker>,
    /// What the peer had been handed when its last health check was answered.
    answered: u64,
}

impl Flow {
    /// Not attached yet; as much is sent as the connection takes.
    pub fn new() -> Arc<Self> {
        Self::limited(None, Meter::default(), Packing::default())
    }

    /// Not attached yet; what is sent over the connection that `meter` watches keeps to a byte budget, and either way
    /// may be packed.
    pub fn limited(rate: Option<Rate>, meter: Meter, packing: Packing) -> Arc<Self> {
        Arc::new(Self {
            rate,
            meter,
            packing,
            inner: Mutex::default(),
            attached: watch::Sender::new(false),
        })
    }

    /// The connection's meter.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// What may be sent in a second; none = as much as the network takes.
    pub fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// Asks the link's place at the router something; none while the flow is not attached.
    pub fn ask<R>(&self, ask: impl FnOnce(&Port) -> R) -> Option<R> {
        self.lock().port.as_ref().map(ask)
    }

    /// Whether the peer may pack its events.
    pub fn unpacks(&self) -> bool {
        self.packing.unpacks()
    }

    /// From now on events pass. The claim says that no other connection of this peer is attached.
    pub fn attach(&self, port: Port, claim: Claim) {
        let waker = {
            let mut inner = self.lock();
            if inner.ending.is_some() {
                return;
            }
            inner.port = Some(port);
            inner.claim = Some(claim);
            inner.waker.take()
        };
        self.set_thin(false);
        self.attached.send_replace(true);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn set_thin(&self, packed: bool) {
        if let Some(port) = &self.lock().port {
            port.set_thin(self.rate.map(|rate| thin(rate, packed)));
        }
    }

    /// Waits until the flow is attached. After [`Self::detach`] this waits for ever: the connection is ending.
    pub async fn attached(&self) {
        // The sender lives as long as self.
        let _ = self
            .attached
            .subscribe()
            .wait_for(|&attached| attached)
            .await;
    }

    /// Whether the flow is attached.
    pub fn is_attached(&self) -> bool {
        self.lock().port.is_some()
    }

    /// One `FederatedEvent` came, without its prefix. The router counts it.
    pub fn receive(&self, message: &[u8]) {
        if let Some(port) = &self.lock().port {
            port.receive_federated(message);
        }
    }

    /// Frames that cannot be read came; the connection is about to be closed for it.
    pub fn refuse(&self, error: FrameError) {
        self.count(match error {
            FrameError::TooLong { .. } => Reason::Oversize,
            FrameError::Flag(_) | FrameError::Truncated | FrameError::Unpacking => {
                Reason::BadFraming
            }
        });
    }

    /// Counts something that the link itself dropped.
    pub fn count(&self, reason: Reason) {
        if let Some(port) = &self.lock().port {
            port.count(reason);
        }
    }

    /// A sign of life.
    pub fn heard(&self) {
        if let Some(port) = &self.lock().port {
            port.heard();
        }
    }

    /// A good health check: a sign of life that also defends the peer's place.
    pub fn healthy(&self) {
        let inner = self.lock();
        if let Some(port) = &inner.port {
            port.heard();
        }
        if let Some(claim) = &inner.claim {
            claim.healthy();
        }
    }

    /// The peer asks how we are. It has our last answer then, and so what it had been handed before that; this counts as
    /// taken if `counts`.
    pub fn asked_again(&self, counts: bool) {
        let mut inner = self.lock();
        if let Some(port) = &inner.port {
            if counts {
                port.took(inner.answered);
            }
            inner.answered = port.handed();
        }
    }

    /// Messages that the peer was handed so far.
    pub fn handed(&self) -> u64 {
        self.lock().port.as_ref().map_or(0, Port::handed)
    }

    /// The peer has the first `count` of them.
    pub fn took(&self, count: u64) {
        if let Some(port) = &self.lock().port {
            port.took(count);
        }
    }

    /// The body that carries our events. A second one ends the first.
    pub fn reader(self: &Arc<Self>) -> EventSource {
        let (reader, waker) = {
            let mut inner = self.lock();
            inner.reader += 1;
            inner.reading = true;
            (inner.reader, inner.waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        EventSource {
            flow: Arc::clone(self),
            reader,
            pace: self
                .rate
                .map(|rate| Pace::new(rate, self.meter.clone(), self.packing.clone())),
        }
    }

    /// Whether a stream is open that carries our events.
    pub fn is_read(&self) -> bool {
        self.lock().reading
    }

    /// No more events after those that wait in the outbox now; then the stream ends with `status`.
    pub fn finish(&self, status: Status) {
        let waker = {
            let mut inner = self.lock();
            inner.ending.get_or_insert(status);
            inner.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Leaves the router and makes room for another connection of this peer.
    pub fn detach(&self) {
        let (port, claim) = {
            let mut inner = self.lock();
            inner.ending.get_or_insert_with(closing);
            (inner.port.take(), inner.claim.take())
        };
        self.attached.send_replace(false);
        // The place at the router first: whoever gets the claim next attaches under the same name.
        drop(port);
        drop(claim);
        if let Some(waker) = self.lock().waker.take() {
            waker.wake();
        }
    }

    fn poll(&self, reader: u64, want: Want, context: &mut Context<'_>) -> Poll<Part> {
        let mut inner = self.lock();
        if inner.reader != reader {
            let status = Status::new(Code::Aborted, "a newer stream took its place");
            return Poll::Ready(Part::End(status));
        }
        match inner
            .port
            .as_ref()
            .map(|port| port.poll_wanted(want, context))
        {
            Some(Poll::Ready(Some(batch))) => Poll::Ready(Part::Data(batch)),
            Some(Poll::Ready(None)) => Poll::Ready(Part::End(closing())),
            Some(Poll::Pending) | None => match &inner.ending {
                Some(status) => Poll::Ready(Part::End(status.clone())),
                None => {
                    inner.waker = Some(context.waker().clone());
                    Poll::Pending
                }
            },
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closing() -> Status {
    Status::new(Code::Unavailable, "the connection is closing")
}

/// Our events as the body of a call.
#[derive(Debug)]
pub struct EventSource {
    flow: Arc<Flow>,
    reader: u64,
    /// None: as fast as the connection takes them.
    pace: Option<Pace>,
}

impl Source for EventSource {
    fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Part> {
        let (flow, reader) = (&self.flow, self.reader);
        match &mut self.pace {
            None => flow.poll(reader, Want::All, context),
            Some(pace) => {
                if pace.begins_packing() {
                    flow.set_thin(true);
                }
                pace.poll(context, |want, context| flow.poll(reader, want, context))
            }
        }
    }
}

impl Drop for EventSource {
    fn drop(&mut self) {
        let mut inner = self.flow.lock();
        if inner.reader == self.reader {
            inner.reading = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn a_newer_reader_ends_the_older_one() {
        let flow = Flow::new();
        let mut first = flow.reader();
        let mut second = flow.reader();
        let Part::End(status) = poll_fn(|context| first.poll_part(context)).await else {
            panic!("no events can come");
        };
        assert_eq!(status.code, Code::Aborted);
        drop(first);
        assert!(flow.is_read(), "the newer one still reads");
        flow.finish(Status::new(Code::DeadlineExceeded, "late"));
        let Part::End(status) = poll_fn(|context| second.poll_part(context)).await else {
            panic!("no events can come");
        };
        assert_eq!(status.code, Code::DeadlineExceeded);
        drop(second);
        assert!(!flow.is_read());
    }

    #[tokio::test]
    async fn a_pending_reader_wakes_when_the_flow_ends() {
        let flow = Flow::new();
        let mut reader = flow.reader();
        let waits = tokio::spawn(async move { poll_fn(|context| reader.poll_part(context)).await });
        tokio::task::yield_now().await;
        flow.detach();
        assert!(matches!(waits.await.unwrap(), Part::End(_)));
    }
}
