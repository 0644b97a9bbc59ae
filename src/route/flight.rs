//! Goes through a recording again: the same events, in virtual time, through a router of its own, which decides anew.
//!
//! An event whose bytes were not kept is made again from its note: same uid, type, life, and a content of its own for
//! each content hash. So the router decides by itself what is a repeat, who is addressed and which way is off; what it
//! decided then is only compared.

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};

use super::link::{Form, LinkId, LinkSpec, Network, PeerSpec, Wire};
use super::outbox::Bounds;
use super::policy::Policy;
use super::recorder::{Decided, LinkKind, Note, Recording, What};
use super::router::{Router, Settings};
use crate::clock::Now;
use crate::cot::federated::Envelope;
use crate::cot::tak;
use crate::wire::{stamp, xml};

/// What came of one event of the recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replayed {
    /// The same verdict as then.
    Same,
    /// Another one.
    Different(Decided),
    /// It cannot be gone through again; why.
    Skipped(&'static str),
}

/// How a replay went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Events with the same verdict.
    pub same: usize,
    /// Events with another verdict.
    pub different: usize,
    /// Events that could not be gone through again.
    pub skipped: usize,
}

/// Goes through a recording; `each` hears of every note, and of events what came of them.
pub fn replay(recording: &Recording, mut each: impl FnMut(&Note, Option<&Replayed>)) -> Summary {
    let mut flight = Flight::new(recording);
    let mut summary = Summary::default();
    for note in &recording.notes {
        let replayed = flight.step(note);
        match &replayed {
            Some(Replayed::Same) => summary.same += 1,
            Some(Replayed::Different(_)) => summary.different += 1,
            Some(Replayed::Skipped(_)) => summary.skipped += 1,
            None => {}
        }
        each(note, replayed.as_ref());
    }
    summary
}

struct Flight {
    router: Router,
    /// The recording's links as they are numbered here.
    links: BTreeMap<u16, LinkId>,
    peers: BTreeMap<String, (bool, bool)>,
    names: BTreeMap<u16, String>,
    /// What may cross, by the recording's numbers.
    policies: BTreeMap<u16, Policy>,
    /// The bytes that stand for a content, so that a repeat is a repeat.
    contents: BTreeMap<u64, Vec<u8>>,
}

impl Flight {
    fn new(recording: &Recording) -> Self {
        let router = Router::new(Settings {
            federate_id: recording.federate_id.clone(),
            seed: 1,
            outbox: Bounds {
                events: 1024,
                bytes: 1 << 20,
                batch: 1 << 16,
            },
            waiting_bytes: 1 << 22,
            max_contacts: 16_384,
            latest_events: 0,
            dedup_events: 65_536,
            dedup_window_ms: recording.repeat_ms,
            recorder_bytes: 0,
            max_federates: 128,
            spool: super::spool::Bounds::of(&crate::config::Limits::default()),
            skew_sources: 16,
        });
        let mut flight = Self {
            router,
            links: BTreeMap::new(),
            peers: BTreeMap::new(),
            names: BTreeMap::new(),
            policies: recording.policies.iter().cloned().collect(),
            contents: BTreeMap::new(),
        };
        let now = recording.notes.first().map_or_else(Now::default, now);
        // Who is registered is not recorded as such: all that were ever up are.
        for note in &recording.notes {
            if let What::Up { kind, name, .. } = &note.what {
                flight.register(*kind, name);
            }
        }
        for (link, kind, name) in &recording.links {
            flight.up(*link, *kind, name, now);
        }
        for contact in recording
            .contacts
            .iter()
            .filter(|contact| !introduced(recording, &contact.uid))
        {
            if let Some(&link) = flight.links.get(&contact.link) {
                let names = (
                    contact.uid.as_bytes(),
                    contact.callsign.as_bytes(),
                    contact.kind.as_bytes(),
                );
                flight.router.know(names, link);
            }
        }
        flight
    }

    fn step(&mut self, note: &Note) -> Option<Replayed> {
        match &note.what {
            What::Up { link, kind, name } => self.up(*link, *kind, name, now(note)),
            What::Down { link } => {
                if let Some(id) = self.links.remove(link) {
                    self.router.detach(id, now(note));
                }
            }
            What::Directions {
                link,
                incoming,
                outgoing,
            } => {
                if let Some(peer) = self
                    .names
                    .get(link)
                    .and_then(|name| self.peers.get_mut(name))
                {
                    *peer = (*incoming, *outgoing);
                }
                self.set_peers();
            }
            What::Words { .. } => {}
            What::Event { .. } => return Some(self.event(note)),
        }
        None
    }

    fn register(&mut self, kind: LinkKind, name: &str) {
        if let LinkKind::Federate { incoming, outgoing } = kind {
            self.peers.insert(name.to_owned(), (incoming, outgoing));
            self.set_peers();
        }
    }

    fn set_peers(&mut self) {
        let peers: Vec<PeerSpec> = self
            .peers
            .iter()
            .map(|(name, &(incoming, outgoing))| PeerSpec {
                name: name.clone(),
                incoming,
                outgoing,
                // Times do not decide who gets an event.
                correct_clock: false,
            })
            .collect();
        self.router.set_peers(&peers);
    }

    fn up(&mut self, link: u16, kind: LinkKind, name: &str, now: Now) {
        self.register(kind, name);
        self.names.insert(link, name.to_owned());
        let spec = match kind {
            LinkKind::Client => LinkSpec::Client {
                address: name.to_owned(),
                network: Network::LOCAL,
            },
            LinkKind::Neighbour {
                role,
                incoming,
                outgoing,
            } => LinkSpec::Neighbour {
                name: name.to_owned(),
                role,
                network: Network::LOCAL,
                incoming,
                outgoing,
            },
            LinkKind::Commands => LinkSpec::Commands,
            LinkKind::Federate { incoming, outgoing } => LinkSpec::Federate {
                name: name.to_owned(),
                incoming,
                outgoing,
                wire: Wire::Federated,
            },
        };
        let id = self.router.attach(spec, now);
        let policy = self.policies.get(&link).cloned();
        self.router.set_policy(id, policy, now);
        self.links.insert(link, id);
        self.drain(now);
    }

    fn event(&mut self, note: &Note) -> Replayed {
        let What::Event {
            from,
            form,
            content,
            verdict,
            bytes,
            ..
        } = &note.what
        else {
            return Replayed::Skipped("it is no event");
        };
        let Some(&link) = self.links.get(from) else {
            return Replayed::Skipped("the link it came by is not in the recording");
        };
        let repeat = *verdict == Decided::Dropped("duplicate".to_owned());
        let made = match (self.contents.get(content), bytes) {
            (Some(known), _) if *content != 0 => known.clone(),
            _ if repeat => return Replayed::Skipped("the first one is older than the recording"),
            (_, Some(bytes)) => bytes.clone(),
            (_, None) if !matches!(verdict, Decided::Routed(_)) => {
                return Replayed::Skipped("its bytes are not kept any more");
            }
            (_, None) => match made_again(note) {
                Some(made) => made,
                None => return Replayed::Skipped("its note does not say enough"),
            },
        };
        let now = now(note);
        let decided = match form {
            Form::Federated => self.router.receive_federated(link, &made, now),
            Form::Xml => self.router.receive_xml(link, &made, now),
            Form::Tak => self.router.receive_tak(link, &made, now),
        };
        self.contents.insert(*content, made);
        self.drain(now);
        match Decided::from(decided) {
            same if same == *verdict => Replayed::Same,
            other => Replayed::Different(other),
        }
    }

    /// Every link takes what it is offered: what waited for a slow one is another story.
    fn drain(&mut self, now: Now) {
        let mut context = Context::from_waker(Waker::noop());
        for &link in self.links.values() {
            while let Poll::Ready(Some(_)) = self.router.poll_batch(link, &mut context, now) {}
        }
        while self.router.poll_echo(&mut context).is_ready() {}
    }
}

fn now(note: &Note) -> Now {
    Now {
        mono_ms: note.mono_ms,
        wall_ms: note.wall_ms,
    }
}

/// Its first position is in the recording, as it came, so it becomes a contact by itself.
fn introduced(recording: &Recording, contact: &str) -> bool {
    recording.notes.iter().any(|note| {
        matches!(&note.what, What::Event { uid, bytes: Some(_), kind, .. }
            if !uid.is_empty() && contact.ends_with(uid.as_str()) && kind.starts_with("a-"))
    })
}

/// An event as its note describes it, in the form in which it came.
fn made_again(note: &Note) -> Option<Vec<u8>> {
    let What::Event {
        form,
        content,
        uid,
        kind,
        left_s,
        ..
    } = &note.what
    else {
        return None;
    };
    let time = |ms| Some(String::from_utf8_lossy(&stamp::write(ms)?).into_owned());
    let now = time(note.wall_ms)?;
    let stale = note
        .wall_ms
        .checked_add(i64::from((*left_s)?).checked_mul(1000)?)?;
    // In XML it is kept as it was written, references and all; in protobuf as it is meant.
    let uid = match form {
        Form::Xml => uid.clone(),
        Form::Federated | Form::Tak => escaped(uid),
    };
    let text = format!(
        "<event version=\"2.0\" uid=\"{uid}\" type=\"{kind}\" time=\"{now}\" start=\"{now}\" stale=\"{}\" how=\"m-g\">\
         <point lat=\"0\" lon=\"0\" hae=\"0\" ce=\"0\" le=\"0\"/><detail><remarks>{content:016x}</remarks></detail></event>",
        time(stale)?
    );
    if *form == Form::Xml {
        return Some(text.into_bytes());
    }
    let event = xml::parse(text.as_bytes()).ok()?;
    let mut message = Vec::new();
    if *form == Form::Tak {
        tak::encode::put_event(&mut message, &event).ok()?;
        return Some(message);
    }
    // Any box but ours; the one it came from is not recorded.
    let envelope = Envelope::new(b"00000000000000000000000000000000");
    envelope.put_event(&mut message, &event).ok()?;
    Some(message)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests;
