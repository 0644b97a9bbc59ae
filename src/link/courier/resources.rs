//! Federates of version 2 that are no boxes: bytes and announcements as resource messages (protocol reference 3.2).

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use crate::cot::encode;
use crate::cot::fileshare::Fileshare;
use crate::counters::Reason;
use crate::link::packages::{
    Carrier, Consignee, Destinations, Refusal, Resource, ResourceDetails, Way,
};
use crate::packages::{Details, Hash};
use crate::wire::fig::{self, Addressee, federated};
use crate::wire::proto;
use crate::wire::xml::{self, Event};

use super::rules::Stop;
use super::table::{Begun, Errand};
use super::{Courier, Read, key_of, lock};

/// A federate that connects may turn out to be a box within this.
const SETTLES: std::time::Duration = std::time::Duration::from_secs(3);
/// The same announcement within this is one, milliseconds: these messages do not say when they were made.
const AGAIN_MS: u64 = 120_000;
/// How long bytes may be on their way before they are offered again, milliseconds.
const ON_THE_WAY_MS: u64 = 3_600_000;

/// A federate that takes resources.
pub(super) struct Attached {
    pub(super) carrier: Arc<dyn Carrier>,
    since: Instant,
}

impl Courier {
    /// A federate can be sent resources, and is no box.
    pub(super) fn takes_resources(&self, peer: &str) -> bool {
        let carriers = lock(&self.0.carriers);
        let ready = |one: &Attached| one.carrier.name() == peer && one.since.elapsed() >= SETTLES;
        carriers.iter().any(ready)
    }

    /// Offers bytes and announcement; how that ends is told later.
    pub(super) fn offer_resource(
        &self,
        errand: &Errand,
        peer: &str,
        message: &[u8],
        details: &Details,
    ) -> Result<(), Refusal> {
        let carrier = {
            let carriers = lock(&self.0.carriers);
            let found = carriers.iter().find(|one| one.carrier.name() == peer);
            Arc::clone(&found.ok_or(Refusal::LinkDown)?.carrier)
        };
        let read = Read::of(message).map_err(Refusal::Unreadable)?;
        let way = Way {
            groups: errand.groups,
            envelope: errand.from.is_some().then(|| envelope_of(&errand.message)),
        };
        let mut shown = details.clone();
        for (text, said) in [
            (&mut shown.submitter, &read.share.sender_callsign),
            (&mut shown.name, &read.share.name),
            (&mut shown.filename, &read.share.filename),
        ] {
            if !said.is_empty() {
                text.clone_from(said);
            }
        }
        match carrier.offer_resource(&shown, &way) {
            Ok(()) | Err(Refusal::Known) => {}
            Err(refusal) => return Err(refusal),
        }
        carrier.announce(&shown, &destinations(message), &way)?;
        let now = self.0.node.hub.now().mono_ms;
        self.table()
            .ask_soon(&errand.hash(), peer, now + ON_THE_WAY_MS);
        Ok(())
    }

    fn judge_resource(
        &self,
        federate: &str,
        resource: &Resource,
        length: u64,
    ) -> Result<(), Refusal> {
        let may = self
            .0
            .node
            .hub
            .with(|router, _| router.may_take_package(federate));
        may.map_err(|_| Refusal::IncomingOff)?;
        let hash = resource
            .hash
            .as_deref()
            .and_then(|hash| hash.parse::<Hash>().ok());
        if hash.is_some_and(|hash| self.0.store.size(&hash).is_some()) {
            return Err(Refusal::Known);
        }
        let limit = self.0.store.largest();
        if length > limit {
            return Err(Refusal::TooLarge {
                size: length,
                limit,
            });
        }
        let rules = lock(&self.0.rules)
            .get(federate)
            .cloned()
            .unwrap_or_default();
        let filename = resource.filename.as_deref().or(resource.name.as_deref());
        rules
            .judge(filename.unwrap_or_default(), length)
            .map_err(|stop| match stop {
                Stop::TooLarge { size, limit } => Refusal::TooLarge { size, limit },
                Stop::Blocked(name) => {
                    let end = name.rsplit_once('.').map_or(name.as_str(), |(_, end)| end);
                    Refusal::Extension(end.to_owned())
                }
                Stop::Unreadable => Refusal::Extension("zip".to_owned()),
            })
    }

    /// The announcement as an errand, whose request is made here.
    fn announcement(&self, federate: &str, said: &ResourceDetails, way: Way) -> Option<Errand> {
        let hash: Hash = said.sha256.parse().ok()?;
        let sha256 = hash.to_string();
        let or = |text: &str, other: &str| match text.is_empty() {
            true => other.to_owned(),
            false => text.to_owned(),
        };
        let filename = or(&said.filename, &or(&said.name, &sha256));
        let share = Fileshare {
            sender_uid: sha256.clone(),
            name: or(&said.name, &filename),
            sender_url: self.url(&hash),
            size: said.size,
            sender_callsign: or(&said.sender_callsign, federate),
            sha256,
            filename,
        };
        let Destinations { callsigns, uids } = &said.destinations;
        let now = self.0.node.hub.now();
        let event = share.event(&share.sha256, [callsigns, uids], now.wall_ms)?;
        let event: Event<'_> = xml::parse(&event).ok()?;
        let mut message = Vec::new();
        let tail = way.envelope.unwrap_or_default();
        encode::put_event(&mut message, federated::EVENT, &event, &tail).ok()?;
        let names = [hash.to_string(), callsigns.join("\n"), uids.join("\n")].join("\n\n");
        let mut errand = Errand::new(
            key_of(names.as_bytes()),
            &hash,
            message,
            way.groups,
            now.wall_ms,
        );
        errand.size = share.size;
        errand.filename = share.filename;
        errand.from = Some(federate.to_owned());
        Some(errand)
    }
}

impl Consignee for Courier {
    fn attached(&self, carrier: Arc<dyn Carrier>) {
        let mut carriers = lock(&self.0.carriers);
        carriers.retain(|one| one.carrier.name() != carrier.name());
        carriers.push(Attached {
            carrier,
            since: Instant::now(),
        });
        drop(carriers);
        self.0.wake.notify_one();
    }

    fn detached(&self, federate: &str, connection: u64) {
        lock(&self.0.carriers)
            .retain(|one| one.carrier.name() != federate || one.carrier.connection() != connection);
        // What was on its way is offered again.
        let now = self.0.node.hub.now().mono_ms;
        self.table().ask_all_soon(federate, now);
    }

    fn admits(&self, federate: &str, resource: &Resource, length: u64) -> Result<(), Refusal> {
        let judged = self.judge_resource(federate, resource, length);
        if let Err(refusal) = &judged
            && *refusal != Refusal::Known
        {
            self.refused(federate, resource, refusal);
        }
        judged
    }

    fn arrived(&self, federate: &str, details: Details, way: Way) {
        // What is announced is looked at before anybody is told; this is for what never is.
        let this = self.clone();
        let federate = federate.to_owned();
        tokio::spawn(async move {
            let now = this.0.node.hub.now().wall_ms;
            let mut errand = Errand::new(0, &details.hash, Vec::new(), way.groups, now);
            errand.filename = details.filename;
            errand.from = Some(federate.clone());
            if let Err(Some(end)) = this.look(&errand, &federate).await {
                this.throw_away(&errand.hash(), &federate).await;
                this.note_arrival(&errand, Err(end));
            }
            this.0.wake.notify_one();
        });
    }

    fn announced(&self, federate: &str, details: ResourceDetails, way: Way) {
        let may = self
            .0
            .node
            .hub
            .with(|router, _| router.may_take_package(federate));
        let now = self.0.node.hub.now().mono_ms;
        let Some(errand) = self.announcement(federate, &details, way) else {
            return self.refuse_message(
                federate,
                &[],
                Reason::BadResource,
                "its announcement is unreadable",
            );
        };
        if let Err(reason) = may {
            let words = "data packages from this peer are switched off";
            return self.refuse_message(federate, &errand.message, reason, words);
        }
        if self.table().was_told(errand.key, AGAIN_MS, now) {
            return;
        }
        let message = errand.message.clone();
        let begun = self.table().begin(errand);
        if begun == Begun::Full {
            let words = "too many packages are under way";
            self.refuse_message(federate, &message, Reason::PackageQueue, words);
        }
        self.change();
    }

    fn other(&self, federate: &str, rol: Bytes, way: Way) {
        let relays = |peer: &str| {
            let rules = lock(&self.0.rules);
            rules.get(peer).is_none_or(|rules| !rules.holds_missions)
        };
        if !relays(federate) {
            return tracing::debug!(peer = federate, "{}", Refusal::RelayOff);
        }
        let others: Vec<Arc<dyn Carrier>> = lock(&self.0.carriers)
            .iter()
            .filter(|one| one.carrier.name() != federate && relays(one.carrier.name()))
            .map(|one| Arc::clone(&one.carrier))
            .collect();
        for carrier in others {
            if let Err(refusal) = carrier.relay(&rol, &way) {
                tracing::debug!(
                    peer = carrier.name(),
                    "a resource message of {federate} stays here: {refusal}"
                );
            }
        }
    }

    fn refused(&self, federate: &str, resource: &Resource, why: &Refusal) {
        let hash = resource
            .hash
            .as_deref()
            .and_then(|hash| hash.parse::<Hash>().ok());
        let hash = hash.unwrap_or_else(|| Hash::new([0; 32]));
        let mut errand = Errand::new(0, &hash, Vec::new(), crate::cot::groups::GroupSet::ALL, 0);
        let filename = resource.filename.as_ref().or(resource.name.as_ref());
        errand.filename = filename
            .map(|name| name.chars().take(200).collect())
            .unwrap_or_default();
        errand.from = Some(federate.to_owned());
        self.note_arrival(&errand, Err((why.reason(), why.to_string())));
    }

    fn sent(&self, federate: &str, hash: &Hash, outcome: Result<(), Refusal>) {
        let key = self.table().key_of(hash, federate);
        let Some(key) = key else { return };
        match outcome {
            Ok(()) | Err(Refusal::Known) => self.ended(key, federate, Ok(())),
            Err(Refusal::LinkDown | Refusal::QueueFull | Refusal::NoStream) => {
                let now = self.0.node.hub.now().mono_ms;
                self.table().put_off_target(key, federate, true, now);
            }
            Err(refusal) => self.ended(key, federate, Err((refusal.reason(), refusal.to_string()))),
        }
    }
}

/// Groups, provenance and hops of a request.
fn envelope_of(message: &[u8]) -> Bytes {
    let mut envelope = Vec::new();
    let mut fields = proto::fields(message);
    loop {
        let rest = fields.rest();
        let Some(Ok((number, _))) = fields.next() else {
            return envelope.into();
        };
        if (federated::GROUPS..=federated::GROUP_HOPS).contains(&number) {
            envelope.extend_from_slice(&rest[..rest.len() - fields.rest().len()]);
        }
    }
}

/// For whom a request is.
fn destinations(message: &[u8]) -> Destinations {
    let mut to = Destinations::default();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let event = fig::parse(message, b"").ok().and_then(|read| read.event);
    for addressee in event.iter().flat_map(fig::Geo::destinations) {
        match addressee {
            Addressee::Uid(uid) => to.uids.push(text(uid)),
            Addressee::Callsign(name) => to.callsigns.push(text(name)),
            Addressee::Mission(_) => {}
        }
    }
    to
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::proto::Value;

    #[test]
    fn what_others_wrote_around_a_request_goes_along() {
        let mut message = Vec::new();
        proto::put_bytes(&mut message, 1, b"");
        let begin = message.len();
        proto::put_bytes(&mut message, 3, b"Blue");
        proto::put_bytes(&mut message, 4, b"\x0a\x01x");
        let end = message.len();
        proto::put_bytes(&mut message, 9, b"unknown");
        assert_eq!(envelope_of(&message), message[begin..end]);
        let fields: Vec<_> = proto::fields(&message).flatten().collect();
        assert!(matches!(fields[1], (3, Value::Bytes(b"Blue"))));
        assert_eq!(envelope_of(b"\xff"), Bytes::new());
    }
}
