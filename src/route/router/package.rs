//! Requests to fetch a data package (`b-f-t-r`): decided like any event, but not written on the stream of a federate.
//!
//! Bytes must be at the other end before anybody is told of them. So what would go to federates waits here, bounded, for
//! whoever carries packages (`link/courier`); and what a federate says of a package waits there until the bytes are in
//! our store, and comes back by [`Router::receive_package`]. Without a carrier such a request is an event like others.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::forms::Forms;
use super::notes::Seen;
use super::{Federate, Kind, Router};
use crate::clock::Now;
use crate::cot::class;
use crate::cot::federated::LabelId;
use crate::counters::Reason;
use crate::route::groups::GroupSet;
use crate::route::link::{Form, LinkId, Verdict};
use crate::route::trace::{Fate, Mark};
use crate::wire::fig;

/// Requests that may wait for the carrier.
pub const MOST_PACKAGES: usize = 6;
/// All of them together, bytes.
pub const PACKAGES_BYTES: usize = 6 * 1024;
/// Longest request, as a `FederatedEvent`, bytes.
pub const PACKAGE_REQUEST: usize = 4 * 1024 - 512;

/// A request that is to go to federates, or came from one.
#[derive(Debug, Clone)]
pub struct Package {
    /// The peer that it came from; none: it begins here.
    pub from: Option<String>,
    /// The request as a `FederatedEvent`; one that came from a federate is as it came.
    pub message: Bytes,
    /// Its groups here.
    pub groups: GroupSet,
    /// The federates that may have it. None of a request that only now came from a federate: that is decided when
    /// its bytes are here.
    pub to: Vec<Onward>,
    /// Where what becomes of it is noted.
    pub mark: Mark,
}

impl Package {
    fn bytes(&self) -> usize {
        let own = |onward: &&Onward| onward.message != self.message;
        let others = self
            .to
            .iter()
            .filter(own)
            .map(|onward| onward.message.len());
        self.message.len() + others.sum::<usize>()
    }
}

/// A federate that may have a package.
#[derive(Debug, Clone)]
pub struct Onward {
    /// Its name in the configuration.
    pub peer: String,
    /// The request as it goes to that one.
    pub message: Bytes,
}

/// What waits for the carrier.
#[derive(Debug, Default)]
pub(super) struct Packages {
    /// There is a carrier.
    on: bool,
    /// The request under way has its bytes here.
    ready: bool,
    waiting: VecDeque<Package>,
    /// Of the request under way.
    onward: Vec<Onward>,
    waker: Option<Waker>,
}

impl Packages {
    /// An event of that type does not cross federation by itself.
    #[inline(always)]
    pub(super) fn carries(&self, kind: &[u8]) -> bool {
        self.on && class::is_file_request(kind)
    }

    /// An event of that type, from a federate, waits for its bytes first.
    #[inline(always)]
    pub(super) fn keeps_back(&self, kind: &[u8]) -> bool {
        self.carries(kind) && !self.ready
    }

    /// Notes a federate that may have the request under way.
    #[cold]
    #[inline(never)]
    pub(super) fn admit(
        &mut self,
        federate: &mut Federate,
        up: bool,
        forms: &mut Forms<'_>,
    ) -> Fate {
        let stop = match federate.outgoing {
            false if federate.registered || up => Some(Reason::OutgoingOff),
            true if federate.registered || up => None,
            _ => return Fate::None,
        };
        let stop = stop.or((federate.is_hub && forms.is_last_hop()).then_some(Reason::HopLimit));
        let made = match stop {
            Some(reason) => Err(reason),
            None => copied(forms, federate.label),
        };
        match made {
            Ok(message) => {
                let peer = federate.name.clone();
                self.onward.push(Onward { peer, message });
                Fate::Carried
            }
            Err(reason) => {
                federate.counters.drop_one(reason);
                Fate::Dropped(reason)
            }
        }
    }

    /// Puts a request into the queue, if there is room.
    fn queue(&mut self, package: Package) -> Result<(), Package> {
        let bytes: usize = self.waiting.iter().map(Package::bytes).sum();
        if self.waiting.len() >= MOST_PACKAGES || bytes + package.bytes() > PACKAGES_BYTES {
            return Err(package);
        }
        self.waiting.push_back(package);
        self.wake();
        Ok(())
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// The exact bytes for that label, shared by all who want the same.
fn copied(forms: &mut Forms<'_>, label: LabelId) -> Result<Bytes, Reason> {
    let (bytes, copy) = forms.federated(label)?;
    if bytes.len() > PACKAGE_REQUEST {
        return Err(Reason::Oversize);
    }
    Ok(copy
        .get_or_insert_with(|| Bytes::copy_from_slice(bytes))
        .clone())
}

impl Router {
    /// From now on somebody carries packages: [`Router::poll_package`] is asked.
    pub fn carry_packages(&mut self) {
        self.packages.on = true;
    }

    /// The next request for the carrier.
    pub fn poll_package(&mut self, context: &mut Context<'_>) -> Poll<Package> {
        match self.packages.waiting.pop_front() {
            Some(package) => Poll::Ready(package),
            None => {
                self.packages.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// What was noted of the request under way goes to the carrier; gives how many federates that are.
    #[cold]
    #[inline(never)]
    pub(super) fn hand_on(
        &mut self,
        from: LinkId,
        message: Option<Bytes>,
        groups: GroupSet,
        mark: Mark,
    ) -> u16 {
        let to = std::mem::take(&mut self.packages.onward);
        if to.is_empty() {
            return 0;
        }
        let from = self.federate_name(from).map(str::to_owned);
        let count = u16::try_from(to.len()).unwrap_or(u16::MAX);
        let package = Package {
            from,
            message: message.unwrap_or_default(),
            groups,
            to,
            mark,
        };
        let Err(package) = self.packages.queue(package) else {
            return count;
        };
        for onward in package.to {
            self.package_ended(&onward.peer, mark, Err(Reason::PackageQueue));
        }
        0
    }

    /// A federate's request, as an event: it waits for its bytes.
    #[cold]
    #[inline(never)]
    pub(super) fn package_came(
        &mut self,
        from: LinkId,
        message: &[u8],
        groups: GroupSet,
    ) -> Result<Verdict, Reason> {
        let Some(peer) = self.federate_name(from).map(str::to_owned) else {
            return Err(Reason::BadMessage);
        };
        if message.len() > PACKAGE_REQUEST {
            return Err(Reason::Oversize);
        }
        let package = Package {
            from: Some(peer),
            message: Bytes::copy_from_slice(message),
            groups,
            to: Vec::new(),
            mark: Mark::default(),
        };
        match self.packages.queue(package) {
            Ok(()) => Ok(Verdict::Consumed),
            Err(_) => Err(Reason::PackageQueue),
        }
    }

    /// Judges a federate's request before its bytes are fetched, by what a peer's settings say of its events. What is
    /// refused is counted there, and `why` knows it.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn admits_package(&mut self, peer: &str, message: &[u8], now: Now) -> Result<(), Reason> {
        let Some(from) = self.number_of(peer).map(LinkId) else {
            return Err(Reason::LinkDown);
        };
        let mut seen = Seen::of(from, Form::Federated, message);
        let judged = self.judge_package(&mut seen, message);
        if let Err(reason) = judged {
            self.refuse(from, reason);
            self.note(&seen, Verdict::Dropped(reason), now);
        }
        judged
    }

    fn judge_package(&mut self, seen: &mut Seen<'_>, message: &[u8]) -> Result<(), Reason> {
        let read = fig::parse(message, self.envelope.id())?;
        let Some(event) = &read.event else {
            return Err(Reason::BadMessage);
        };
        seen.is(event.uid, event.kind);
        let from = seen.from;
        match self.links.get(usize::from(from.0)).map(|link| &link.kind) {
            Some(Kind::Federate(federate)) if !federate.incoming => {
                return Err(Reason::IncomingOff);
            }
            _ if read.seen => return Err(Reason::Loop),
            _ if !class::is_file_request(event.kind) => return Err(Reason::BadMessage),
            _ => {}
        }
        self.groups_of(from, &read)?;
        match self.is_guarded(from) {
            true => self.admit(seen, (event.uid, event.kind), None, true),
            false => Ok(()),
        }
    }

    /// A peer's request does not go on, for a reason that its carrier found.
    pub fn refuse_package(&mut self, peer: &str, message: &[u8], reason: Reason, now: Now) {
        let Some(from) = self.number_of(peer).map(LinkId) else {
            return;
        };
        let mut seen = Seen::of(from, Form::Federated, message);
        let own_id = self.envelope.id();
        if let Ok(read) = fig::parse(message, own_id)
            && let Some(event) = &read.event
        {
            seen.is(event.uid, event.kind);
        }
        self.refuse(from, reason);
        self.note(&seen, Verdict::Dropped(reason), now);
    }

    /// A federate's request whose bytes are here: to the local clients now, and to other federates by the carrier.
    pub fn receive_package(&mut self, peer: &str, message: &[u8], now: Now) -> Verdict {
        let Some(from) = self.number_of(peer).map(LinkId) else {
            return Verdict::Dropped(Reason::LinkDown);
        };
        self.packages.ready = true;
        let verdict = self.judge_aside(from, message, now);
        self.packages.ready = false;
        verdict
    }

    /// Puts a request as an event on the link of one federate, whose users find the bytes at their own end: of
    /// federation v1.
    ///
    /// # Errors
    /// Why it is not on its way.
    pub fn send_package(&mut self, peer: &str, message: &[u8], now: Now) -> Result<(), Reason> {
        let place = usize::from(self.number_of(peer).ok_or(Reason::LinkDown)?);
        let meta = super::deliver::Meta {
            key: None,
            ..self.contact_meta(b"", false, now)
        };
        let link = &mut self.links[place];
        let Kind::Federate(federate) = &mut link.kind else {
            return Err(Reason::LinkDown);
        };
        match (link.up, federate.outgoing) {
            (true, true) => {}
            (false, _) => return Err(Reason::LinkDown),
            (true, false) => return Err(Reason::OutgoingOff),
        }
        let parcel = meta.parcel(message, true);
        let tally = &mut federate.counters;
        (link.outbox).offer(parcel, &mut None, &mut self.pool, tally, now.mono_ms);
        Ok(())
    }

    /// How the carriage to a federate ended: it has the package, or why not.
    pub fn package_ended(&mut self, peer: &str, mark: Mark, outcome: Result<(), Reason>) {
        let place = self.number_of(peer).map(usize::from);
        let Some(link) = place.and_then(|place| self.links.get_mut(place)) else {
            return;
        };
        let column = link.outbox.column();
        if let (Kind::Federate(federate), Err(reason)) = (&mut link.kind, outcome) {
            federate.counters.drop_one(reason);
        }
        let fate = outcome.map_or_else(Fate::Dropped, |()| Fate::Sent);
        self.pool.traces.offered(mark, column, fate);
    }

    /// What a peer's settings say of packages that go to it now.
    ///
    /// # Errors
    /// Why none may.
    pub fn may_send_package(&self, peer: &str) -> Result<(), Reason> {
        let link = self.link_of(peer).ok_or(Reason::LinkDown)?;
        match &link.kind {
            Kind::Federate(federate) if !federate.outgoing => Err(Reason::OutgoingOff),
            _ if !link.takes_packages() => Err(Reason::DataPackagesOff),
            _ => Ok(()),
        }
    }

    /// What a peer's settings say of packages that come from it now, whatever they are announced by.
    ///
    /// # Errors
    /// Why none may.
    pub fn may_take_package(&self, peer: &str) -> Result<(), Reason> {
        let link = self.link_of(peer).ok_or(Reason::LinkDown)?;
        match &link.kind {
            Kind::Federate(federate) if !federate.incoming => Err(Reason::IncomingOff),
            _ if !link.gives_packages() => Err(Reason::DataPackagesOff),
            _ => Ok(()),
        }
    }

    fn link_of(&self, peer: &str) -> Option<&super::Link> {
        self.links.get(usize::from(self.number_of(peer)?))
    }

    fn federate_name(&self, id: LinkId) -> Option<&str> {
        match &self.links.get(usize::from(id.0))?.kind {
            Kind::Federate(federate) => Some(&federate.name),
            _ => None,
        }
    }
}

impl super::Link {
    fn takes_packages(&self) -> bool {
        (self.guard.as_ref()).is_none_or(|guard| guard.lets_packages_out())
    }

    fn gives_packages(&self) -> bool {
        (self.guard.as_ref()).is_none_or(|guard| guard.lets_packages_in())
    }
}
