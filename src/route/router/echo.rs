//! Probes between boxes: out through the peer's outbox like any event, in through the peer's own judgement.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use super::deliver::Meta;
use super::forms::{Forms, Source};
use super::{Kind, Router};
use crate::clock::Now;
use crate::cot::Class;
use crate::cot::echo::Echo;
use crate::counters::Reason;
use crate::route::groups::GroupSet;
use crate::route::link::{LinkId, Verdict};
use crate::route::trace::Mark;
use crate::wire::fig::Geo;

/// Probes that wait to be looked at; one more is dropped, and its sender sees no answer.
const MOST: usize = 16;

/// A probe that came, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameEcho {
    /// The peer it came from.
    pub peer: String,
    /// What it says.
    pub echo: Echo,
    /// An ordinary event of that peer is taken here.
    pub incoming: bool,
    /// An ordinary event is sent to that peer.
    pub outgoing: bool,
}

/// An event that `check` sent to a TAK Server as a client, on its way back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    key: u64,
    peer: LinkId,
    came: bool,
}

/// Probes that wait, and who is to look.
#[derive(Debug, Default)]
pub(super) struct Echoes {
    came: VecDeque<CameEcho>,
    waker: Option<Waker>,
}

impl Router {
    /// Sends an event to one federate and nobody else, whatever the directions are, through its outbox.
    ///
    /// # Errors
    /// Why it was not taken: the link is down, the event cannot cross, or the outbox is full.
    pub fn send_to(&mut self, peer: &str, xml: &[u8], now: Now) -> Result<(), Reason> {
        let mut event = crate::wire::xml::Event::nothing();
        self.reader.parse(&mut event, xml)?;
        let named = |link: &super::Link| matches!(&link.kind, Kind::Federate(federate) if federate.name == peer);
        let link = self.links.iter_mut().find(|link| named(link) && link.up);
        let Some(link) = link else {
            return Err(Reason::LinkDown);
        };
        let Kind::Federate(federate) = &mut link.kind else {
            return Err(Reason::LinkDown);
        };
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut forms = Forms::new(
            Source::Xml(&event),
            GroupSet::ALL,
            &self.envelope,
            &mut scratch,
        );
        let sent = forms.federated(federate.label).map(|(bytes, copy)| {
            let meta = Meta {
                class: Class::Control,
                key: None,
                time_ms: now.wall_ms,
                delete: false,
                deadline_ms: None,
                local_only: false,
                groups: GroupSet::ALL,
                alarm: false,
                mark: Mark::default(),
            };
            let (pool, tally) = (&mut self.pool, &mut federate.counters);
            link.outbox
                .offer(meta.parcel(bytes, false), copy, pool, tally, now.mono_ms)
        });
        self.scratch = scratch;
        match sent {
            Ok(true) => Ok(()),
            Ok(false) => Err(Reason::Refused),
            Err(reason) => Err(reason),
        }
    }

    /// From now on an event of that uid from that peer is for `check` alone, and shown to nobody. One at a time.
    pub fn expect(&mut self, peer: &str, uid: &[u8]) {
        self.expected = self.number_of(peer).map(|number| Expected {
            key: self.hash_of(uid),
            peer: LinkId(number),
            came: false,
        });
    }

    /// Whether the expected event came; nothing is expected any more when it did.
    pub fn expected_came(&mut self) -> bool {
        let came = self.expected.is_some_and(|expected| expected.came);
        if came {
            self.expected = None;
        }
        came
    }

    #[cold]
    pub(super) fn is_expected(&mut self, from: LinkId, key: u64) -> bool {
        let Some(expected) = &mut self.expected else {
            return false;
        };
        let fits = expected.key == key && expected.peer == from;
        expected.came |= fits;
        fits
    }

    /// The next probe that came; whoever asks last is woken.
    pub fn poll_echo(&mut self, context: &mut Context<'_>) -> Poll<CameEcho> {
        match self.echoes.came.pop_front() {
            Some(came) => Poll::Ready(came),
            None => {
                self.echoes.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// An event of a probe's type came from a federate.
    #[cold]
    pub(super) fn echo_came(&mut self, from: LinkId, event: &Geo<'_>) -> Result<Verdict, Reason> {
        let Some(Kind::Federate(federate)) =
            self.links.get(usize::from(from.0)).map(|link| &link.kind)
        else {
            return Err(Reason::ControlMessage);
        };
        let echo = Echo::of_event(event).ok_or(Reason::Malformed)?;
        if self.echoes.came.len() >= MOST {
            return Err(Reason::Refused);
        }
        self.echoes.came.push_back(CameEcho {
            peer: federate.name.clone(),
            echo,
            incoming: federate.incoming,
            outgoing: federate.outgoing,
        });
        if let Some(waker) = self.echoes.waker.take() {
            waker.wake();
        }
        Ok(Verdict::Consumed)
    }
}
