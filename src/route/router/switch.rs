//! How a link's events are written, and how a stream of XML becomes one of TAK protocol v1 (protocol reference 6.2).

use bytes::Bytes;

use super::forms::tak_of;
use super::{Kind, Link, Router};
use crate::clock::Now;
use crate::route::link::{LinkId, Role, Wire};
use crate::route::outbox::Framing;

impl Link {
    /// From now on its events are written in that way.
    pub(super) fn write_as(&mut self, wire: Wire) {
        self.wire = wire;
        self.outbox.set_framing(self.framing(wire));
    }

    /// A mesh frames its datagrams itself.
    fn framing(&self, wire: Wire) -> Framing {
        match &self.kind {
            Kind::Neighbour(neighbour) if neighbour.role == Role::Mesh => Framing::None,
            _ => wire.into(),
        }
    }
}

impl Router {
    /// From now on the link's events are written in that way; what was handed over stays as it is, and what waits must be
    /// nothing.
    pub fn set_wire(&mut self, id: LinkId, wire: Wire) {
        if let Some((link, ..)) = self.parts(id) {
            link.write_as(wire);
        }
    }

    /// Sends something of the link's own, in its wire form, before what waits.
    pub fn put_first(&mut self, id: LinkId, bytes: &[u8]) {
        let Some((link, _, local)) = self.parts(id).filter(|(link, ..)| link.up) else {
            return;
        };
        let counters = match &mut link.kind {
            Kind::Client | Kind::Commands => local,
            Kind::Neighbour(neighbour) => &mut neighbour.counters,
            Kind::Federate(federate) => &mut federate.counters,
        };
        link.outbox.put_first(bytes, false, counters);
        link.outbox.wake();
    }

    /// An event of the box's own, given as XML, as `TakMessage`; none when it cannot be one.
    pub fn in_tak(&mut self, xml: &[u8]) -> Option<Vec<u8>> {
        let (envelope, reader, scratch) = (&self.envelope, &mut self.reader, &mut self.scratch);
        tak_of(xml, envelope, reader, scratch)
            .ok()
            .map(<[u8]>::to_vec)
    }

    /// Sends `answer`, as XML, behind all that was handed over, and everything after it as `TakMessage`: what waits is
    /// made anew, and what cannot be is dropped with its reason.
    pub fn switch_to_tak(&mut self, id: LinkId, answer: &[u8], now: Now) {
        let Some(link) = self.links.get_mut(usize::from(id.0)).filter(|link| link.up) else {
            return;
        };
        if link.wire != Wire::Xml {
            return;
        }
        let framing = link.framing(Wire::Tak);
        let counters = match &mut link.kind {
            Kind::Client | Kind::Commands => self.networks.tally(link.network),
            Kind::Neighbour(neighbour) => &mut neighbour.counters,
            Kind::Federate(federate) => &mut federate.counters,
        };
        let (envelope, reader, scratch) = (&self.envelope, &mut self.reader, &mut self.scratch);
        let tally = (&mut self.pool, counters);
        (link.outbox).reframe(framing, answer, tally, now.mono_ms, |waiting| {
            let bytes = tak_of(waiting, envelope, reader, scratch)?;
            Ok(Bytes::copy_from_slice(bytes))
        });
        link.wire = Wire::Tak;
        self.scratch.give_back();
    }
}
