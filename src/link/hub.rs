//! The router as the links share it: one lock, never held across an await.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::clock::{Clock, Now, Quality};
use crate::counters::Reason;
use crate::route::outbox::{Thin, Want};
use crate::route::policy::Policy;
use crate::route::{LinkId, LinkSpec, Router, Verdict, Wire};

/// The shared router.
#[derive(Clone)]
pub struct Hub {
    router: Arc<Mutex<Router>>,
    clock: Arc<dyn Clock>,
}

impl Hub {
    /// Shares a router among links.
    pub fn new(router: Router, clock: Arc<dyn Clock>) -> Self {
        Self {
            router: Arc::new(Mutex::new(router)),
            clock,
        }
    }

    /// Adds a link; it stays until the returned port is dropped.
    pub fn attach(&self, spec: LinkSpec) -> Port {
        let now = self.now();
        let id = self.lock().attach(spec, now);
        Port {
            hub: self.clone(),
            id,
        }
    }

    /// The clock that the router is told.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Reads the clock that the router is told.
    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// Where our time of day comes from.
    pub fn quality(&self) -> Quality {
        self.clock.quality()
    }

    /// Asks the router something, or tells it.
    pub fn with<R>(&self, ask: impl FnOnce(&mut Router, Now) -> R) -> R {
        let now = self.now();
        ask(&mut self.lock(), now)
    }

    fn lock(&self) -> MutexGuard<'_, Router> {
        // A panic aborts the process in release builds; in tests the router is still readable.
        self.router.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

/// One link's place at the router. Dropping it takes the link away.
#[derive(Debug)]
pub struct Port {
    hub: Hub,
    id: LinkId,
}

impl Port {
    /// The link's number.
    pub fn id(&self) -> LinkId {
        self.id
    }

    /// Reads the clock that the router is told.
    pub fn now(&self) -> Now {
        self.hub.now()
    }

    /// Hands over one framed CoT XML event.
    pub fn receive_xml(&self, event: &[u8]) -> Verdict {
        self.hub
            .with(|router, now| router.receive_xml(self.id, event, now))
    }

    /// Hands over one `TakMessage`.
    pub fn receive_tak(&self, message: &[u8]) -> Verdict {
        self.hub
            .with(|router, now| router.receive_tak(self.id, message, now))
    }

    /// Sends `answer` as the last XML; see [`Router::switch_to_tak`].
    pub fn switch_to_tak(&self, answer: &[u8]) {
        self.hub
            .with(|router, now| router.switch_to_tak(self.id, answer, now));
    }

    /// An event of the box's own as `TakMessage`; see [`Router::in_tak`].
    pub fn in_tak(&self, xml: &[u8]) -> Option<Vec<u8>> {
        self.hub.with(|router, _| router.in_tak(xml))
    }

    /// Sends something of the link's own, in its wire form, past what waits.
    pub fn put_first(&self, bytes: &[u8]) {
        self.hub.with(|router, _| router.put_first(self.id, bytes));
    }

    /// Hands over one `FederatedEvent`.
    pub fn receive_federated(&self, message: &[u8]) -> Verdict {
        self.hub
            .with(|router, now| router.receive_federated(self.id, message, now))
    }

    /// The next bytes to send, already framed; see [`Router::poll_batch`].
    pub fn poll_batch(&self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.hub
            .with(|router, now| router.poll_batch(self.id, context, now))
    }

    /// The same for a connection that says what it has room for.
    pub fn poll_wanted(&self, want: Want, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.hub
            .with(|router, now| router.poll_wanted(self.id, want, context, now))
    }

    /// What the link takes at once; see [`Router::set_thin`].
    pub fn set_thin(&self, thin: Option<Thin>) {
        self.hub.with(|router, _| router.set_thin(self.id, thin));
    }

    /// From now on the link's events are written in that way; see [`Router::set_wire`].
    pub fn set_wire(&self, wire: Wire) {
        self.hub.with(|router, _| router.set_wire(self.id, wire));
    }

    /// What may cross the link; see [`Router::set_policy`].
    pub fn set_policy(&self, policy: Option<Policy>) {
        (self.hub).with(|router, now| router.set_policy(self.id, policy, now));
    }

    /// Counts something that the link itself refused.
    pub fn count(&self, reason: Reason) {
        self.hub.with(|router, _| router.count(self.id, reason));
    }

    /// Messages that the neighbour was handed so far.
    pub fn handed(&self) -> u64 {
        self.hub.with(|router, _| router.handed(self.id))
    }

    /// The neighbour has the first `count` of them.
    pub fn took(&self, count: u64) {
        self.hub.with(|router, _| router.link_took(self.id, count));
    }

    /// The same neighbour on a new connection: it is told the latest events again, and what waits goes there.
    pub fn again(&self, spec: LinkSpec) {
        self.hub
            .with(|router, now| router.attach_again(self.id, spec, now));
    }

    /// Takes users off the phone book who have not been heard for longer than they said; see
    /// [`Router::expire_contacts`].
    pub fn sweep(&self) {
        self.hub
            .with(|router, now| router.expire_contacts(self.id, now));
    }

    /// Asks the router something about this link.
    pub fn ask<R>(&self, ask: impl FnOnce(&Router, LinkId) -> R) -> R {
        self.hub.with(|router, _| ask(router, self.id))
    }

    /// Notes a sign of life.
    pub fn heard(&self) {
        self.hub.with(|router, now| router.heard(self.id, now));
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.hub.with(|router, now| router.detach(self.id, now));
    }
}
