//! Emergencies that a peer is sent a second time, on its standby connection.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::{Federate, Kind, Router};
use crate::clock::Now;
use crate::counters::Reason;
use crate::route::link::{LinkId, Verdict};
use crate::route::outbox::Pool;
use crate::route::queue::charge;

/// Longest emergency that is sent twice, bytes.
pub const ASIDE_BYTES: usize = 2048;
/// Emergencies that wait for a standby; an older one gives way, for it is on its way over the first connection anyhow.
const MOST: usize = 8;

/// What waits for the standby connection of a peer.
#[derive(Debug, Default)]
pub(super) struct Aside {
    number: u64,
    open: bool,
    waiting: VecDeque<Bytes>,
    waker: Option<Waker>,
}

impl Aside {
    /// Whether an emergency is to be set aside.
    pub(super) fn wants(&self, length: usize) -> bool {
        self.open && length <= ASIDE_BYTES
    }

    pub(super) fn put(&mut self, bytes: &[u8], copy: &mut Option<Bytes>, pool: &mut Pool) {
        if self.waiting.len() == MOST {
            self.take(pool);
        }
        if pool.used + charge(bytes.len()) > pool.limit {
            return;
        }
        pool.used += charge(bytes.len());
        let copy = copy.get_or_insert_with(|| Bytes::copy_from_slice(bytes));
        self.waiting.push_back(copy.clone());
        self.wake();
    }

    fn take(&mut self, pool: &mut Pool) -> Option<Bytes> {
        let first = self.waiting.pop_front()?;
        pool.used -= charge(first.len());
        Some(first)
    }

    pub(super) fn close(&mut self, pool: &mut Pool) {
        self.open = false;
        while self.take(pool).is_some() {}
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Router {
    /// The peer has a standby connection from now on; of several, the latest. Gives its number.
    pub fn open_aside(&mut self, peer: &str) -> u64 {
        let id = self.federate_place(peer);
        let Kind::Federate(federate) = &mut self.links[id].kind else {
            return 0;
        };
        let aside = &mut federate.aside;
        aside.close(&mut self.pool);
        aside.number += 1;
        aside.open = true;
        aside.number
    }

    /// The next emergency for that standby; none when a later one took its place.
    pub fn poll_aside(
        &mut self,
        peer: &str,
        number: u64,
        context: &Context<'_>,
    ) -> Poll<Option<Bytes>> {
        let Some((aside, pool)) = self.aside(peer, number) else {
            return Poll::Ready(None);
        };
        match aside.take(pool) {
            Some(event) => Poll::Ready(Some(event)),
            None => {
                aside.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// That standby is gone.
    pub fn close_aside(&mut self, peer: &str, number: u64) {
        if let Some((aside, pool)) = self.aside(peer, number) {
            aside.close(pool);
        }
    }

    /// One emergency came on a peer's standby connection. What came on the other one before is known by its content.
    pub fn receive_aside(&mut self, peer: &str, message: &[u8], now: Now) -> Verdict {
        let named = |kind: &Kind| matches!(kind, Kind::Federate(federate) if federate.name == peer);
        match self.links.iter().position(|link| named(&link.kind)) {
            Some(id) => self.judge_aside(LinkId(id as u16), message, now),
            None => Verdict::Dropped(Reason::LinkDown),
        }
    }

    fn aside(&mut self, peer: &str, number: u64) -> Option<(&mut Aside, &mut Pool)> {
        let pool = &mut self.pool;
        self.links
            .iter_mut()
            .find_map(|link| match &mut link.kind {
                Kind::Federate(federate) if federate.name == peer => Some(federate),
                _ => None,
            })
            .filter(|federate| federate.aside.open && federate.aside.number == number)
            .map(|federate| (&mut federate.aside, pool))
    }
}

impl Federate {
    /// An emergency that this peer is sent goes over its standby connection too.
    pub(super) fn set_aside(&mut self, bytes: &[u8], copy: &mut Option<Bytes>, pool: &mut Pool) {
        if self.outgoing && self.aside.wants(bytes.len()) {
            self.aside.put(bytes, copy, pool);
        }
    }

    /// Whether it has a standby connection.
    pub(super) fn has_standby(&self) -> bool {
        self.aside.open && self.outgoing
    }
}
