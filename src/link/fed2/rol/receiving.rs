//! The peer's ROL stream: takes its messages apart, puts packages into the store while they arrive, and tells the
//! consignee.
//!
//! Whatever is wrong with a message, the rest of it is read away and the next one is read: a TAK Server takes the end of
//! a stream for the end of the federate. Only frames that cannot be told apart end the stream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{spawn_blocking, yield_now};
use tokio::time::timeout;

use crate::counters::Reason;
use crate::link::fed2::flow::Flow;
use crate::link::federate::node::Node;
use crate::link::grpc::call::{self, Ended};
use crate::link::grpc::frame::{FrameError, PREFIX};
use crate::link::packages::{Desk, READING, Refusal, Resource, ResourceDetails, Way};
use crate::packages::{Details, Hash, Origin, Receiving, StoreError};
use crate::wire::rol::program::{Meaning, Program};
use crate::wire::rol::reader::{Reader, Rol, Step, skip};

use super::queue::refusal;

/// A text must be whole, and must find room, within this.
const TEXT_PATIENCE: Duration = Duration::from_secs(30);
/// A package of which nothing came for so long is let go of.
const PIECE_PATIENCE: Duration = Duration::from_secs(300);
/// Other tasks get their turn after so many bytes that are read away.
const GIVES_WAY: u64 = 64 * 1024;

/// Reads messages until the stream ends, and says how it did. Begins when the flow is attached.
pub async fn read(body: &mut Incoming, flow: &Arc<Flow>, node: &Arc<Node>, peer: &str) -> Ended {
    flow.attached().await;
    let mut intake = Intake {
        body,
        input: Bytes::new(),
        flow,
        node,
        peer,
    };
    loop {
        match intake.message().await {
            Ok(()) => {}
            Err(ended) => return ended,
        }
    }
}

struct Intake<'a> {
    body: &'a mut Incoming,
    input: Bytes,
    flow: &'a Arc<Flow>,
    node: &'a Arc<Node>,
    peer: &'a str,
}

/// What there is of the message that is being read.
#[derive(Default)]
struct Begun {
    resource: Option<Resource>,
    receiving: Option<Receiving>,
    /// Its bytes are here already.
    is_known: bool,
    refused: Option<Refusal>,
    /// The consignee itself refused it.
    by_consignee: bool,
}

impl Intake<'_> {
    /// One message, from its prefix to its last byte.
    async fn message(&mut self) -> Result<(), Ended> {
        let length = self.prefix().await?;
        self.flow.heard();
        let Some(desk) = self.node.packages.desk() else {
            self.flow.count(Reason::Resource);
            return self.skip(length).await;
        };
        let mut reader = Reader::new(length);
        let mut begun = Begun::default();
        let read = self.parts(desk, &mut reader, &mut begun).await;
        let left = reader.left();
        let refused = match read {
            Ok(rol) => self.settled(desk, rol, &mut begun).await,
            Err(Stop::Ended(ended)) => return Err(ended),
            Err(Stop::Refused(why)) => {
                drop(begun.receiving.take());
                Err(why)
            }
        };
        if let Err(why) = refused {
            self.refused(desk, &begun, &why);
        }
        self.skip(left).await
    }

    /// Length of the next message.
    async fn prefix(&mut self) -> Result<u64, Ended> {
        let mut prefix = [0; PREFIX];
        let mut have = 0;
        while have < PREFIX {
            if self.input.is_empty() {
                self.input = match call::data(self.body).await {
                    Err(Ended::Finished(_)) if have > 0 => {
                        return Err(Ended::Framing(FrameError::Truncated));
                    }
                    input => input?,
                };
                continue;
            }
            let take = self.input.len().min(PREFIX - have);
            prefix[have..have + take].copy_from_slice(&self.input.split_to(take));
            have += take;
            if prefix[0] != 0 {
                return Err(Ended::Framing(FrameError::Flag(prefix[0])));
            }
        }
        let [_, a, b, c, d] = prefix;
        Ok(u32::from_be_bytes([a, b, c, d]).into())
    }

    /// Reads bytes away.
    async fn skip(&mut self, mut left: u64) -> Result<(), Ended> {
        let mut turn = 0;
        while left > 0 {
            if self.input.is_empty() {
                self.input = self.more().await?;
            }
            let skipped = skip(&mut self.input, left);
            left -= skipped;
            turn += skipped;
            if turn >= GIVES_WAY {
                turn = 0;
                yield_now().await;
            }
        }
        Ok(())
    }

    /// The next bytes of a message that is begun.
    async fn more(&mut self) -> Result<Bytes, Ended> {
        match call::data(self.body).await {
            Err(Ended::Finished(_)) => Err(Ended::Framing(FrameError::Truncated)),
            more => more,
        }
    }

    /// Takes the message apart; a package's bytes go into the store.
    async fn parts(
        &mut self,
        desk: &Desk,
        reader: &mut Reader,
        begun: &mut Begun,
    ) -> Result<Rol, Stop> {
        let mut room = None;
        let mut passed = 0;
        loop {
            match reader
                .step(&mut self.input)
                .map_err(|error| Stop::Refused(Refusal::Unreadable(error.0)))?
            {
                Step::More => {
                    let patience = match begun.receiving {
                        Some(_) => PIECE_PATIENCE,
                        None => TEXT_PATIENCE,
                    };
                    self.input = timeout(patience, self.more())
                        .await
                        .map_err(|_| Stop::Refused(Refusal::Unreadable("it stopped half way")))??;
                }
                Step::Room(bytes) => {
                    drop(room.take());
                    let found = timeout(TEXT_PATIENCE, self.room(bytes)).await;
                    room = found.map_err(|_| Stop::Refused(Refusal::QueueFull))?;
                }
                Step::Payload(length) => {
                    if reader.payload_number() == 1 {
                        self.payload(desk, reader, begun, length).await;
                    }
                    // The text is read: what is left needs no room.
                    if reader.meaning().is_some() {
                        drop(room.take());
                    }
                }
                Step::Piece(piece) => {
                    passed += piece.len() as u64;
                    if reader.payload_number() == 1 {
                        written(begun, piece).await;
                    }
                    if begun.receiving.is_none() && passed >= GIVES_WAY {
                        passed = 0;
                        yield_now().await;
                    }
                }
                Step::PayloadEnd => {}
                Step::End(rol) => return Ok(rol),
            }
        }
    }

    /// A place for so many bytes of text.
    async fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let places = match bytes <= READING / 2 {
            true => (self.node.packages.reading(), bytes as u32),
            false => (&self.node.large_events, 1),
        };
        Arc::clone(places.0).acquire_many_owned(places.1).await.ok()
    }

    /// The bytes of a file begin.
    async fn payload(&self, desk: &Desk, reader: &mut Reader, begun: &mut Begun, length: u64) {
        let judged = async {
            let hash = match reader.meaning() {
                Some(Meaning::CreateResource) => {
                    let program = reader.take_program().unwrap_or_default();
                    let resource = resource(&program)?;
                    let hash = self.admitted(desk, &resource, length);
                    begun.by_consignee =
                        hash.as_ref().is_err_and(|(_, by_consignee)| *by_consignee);
                    begun.resource = Some(resource);
                    hash.map_err(|(why, _)| why)?
                }
                // What it belongs to comes behind it.
                None => None,
                Some(_) => return Err(None),
            };
            let longest = desk.store.largest();
            if length > longest {
                let (size, limit) = (length, longest);
                return Err(Some(Refusal::TooLarge { size, limit }));
            }
            let store = desk.store.clone();
            let receiving = spawn_blocking(move || store.receive(hash, Some(length))).await;
            match receiving {
                Ok(Ok(receiving)) => Ok(receiving),
                Ok(Err(error)) => Err(Some(error.into())),
                Err(_) => Err(Some(Refusal::Store("the store is closing".into()))),
            }
        };
        match judged.await {
            Ok(receiving) => begun.receiving = Some(receiving),
            Err(Some(Refusal::Known)) => begun.is_known = true,
            Err(why) => begun.refused = why,
        }
    }

    /// Whether a file may come in; its hash, if it says. Of a refusal, whether it is the consignee's.
    fn admitted(
        &self,
        desk: &Desk,
        resource: &Resource,
        length: u64,
    ) -> Result<Option<Hash>, (Refusal, bool)> {
        let hash = resource.hash.as_ref().map(|hash| hash.parse());
        let hash = hash.transpose().map_err(|_| (Refusal::NoHash, false))?;
        if length == 0 {
            return Err((Refusal::NoPayload, false));
        }
        if resource.size.is_some_and(|size| size != length) {
            return Err((Refusal::WrongBytes, false));
        }
        let admitted = desk.consignee.admits(self.peer, resource, length);
        admitted.map(|()| hash).map_err(|why| (why, true))
    }

    /// The message is whole: what becomes of it.
    async fn settled(&self, desk: &Desk, rol: Rol, begun: &mut Begun) -> Result<(), Refusal> {
        if let Some(why) = begun.refused.take() {
            return Err(why);
        }
        let groups = self
            .flow
            .ask(|port| port.ask(|router, id| router.resource_groups(id, &rol.envelope)));
        let way = Way {
            groups: groups.unwrap_or(Err(Reason::LinkDown)).map_err(refusal)?,
            envelope: Some(rol.envelope.clone()),
        };
        if begun.resource.is_some() {
            return self.file(desk, begun, way).await;
        }
        let program =
            Program::read(&rol.program).map_err(|error| Refusal::Unreadable(error.words()))?;
        match program.meaning() {
            Meaning::CreateResource => {
                let resource = read_resource(program.json)?;
                let length = match (&begun.receiving, &rol.payload) {
                    (Some(receiving), _) => receiving.at(),
                    (None, Some(payload)) => payload.len() as u64,
                    (None, None) => return Err(Refusal::NoPayload),
                };
                let hash = self.admitted(desk, &resource, length);
                begun.by_consignee = hash.as_ref().is_err_and(|(_, by_consignee)| *by_consignee);
                begun.resource = Some(resource);
                let hash = hash.map_err(|(why, _)| why)?;
                if begun.receiving.is_none() {
                    let (store, payload) = (desk.store.clone(), rol.payload.unwrap_or_default());
                    let whole = spawn_blocking(move || {
                        let mut receiving = store.receive(hash, Some(length))?;
                        receiving.write(&payload)?;
                        Ok::<_, StoreError>(receiving)
                    });
                    match whole.await {
                        Ok(Ok(receiving)) => begun.receiving = Some(receiving),
                        Ok(Err(StoreError::Kept(_))) => begun.is_known = true,
                        Ok(Err(error)) => return Err(error.into()),
                        Err(_) => return Err(Refusal::Store("the store is closing".into())),
                    }
                }
                self.file(desk, begun, way).await
            }
            Meaning::AnnouncePackage => {
                let details = ResourceDetails::read(program.json).map_err(Refusal::Unreadable)?;
                desk.consignee.announced(self.peer, details, way);
                Ok(())
            }
            Meaning::Other => {
                // What is too long to be kept is too long to be passed on.
                let body = rol.body.ok_or(Refusal::RelayTooLarge)?;
                let body = self.node.packages.placed(body)?;
                desk.consignee.other(self.peer, body, way);
                Ok(())
            }
        }
    }

    /// All bytes of a file are here.
    async fn file(&self, desk: &Desk, begun: &mut Begun, way: Way) -> Result<(), Refusal> {
        let Some(resource) = &begun.resource else {
            return Err(Refusal::NoPayload);
        };
        let said: Option<Hash> = resource.hash.as_ref().and_then(|hash| hash.parse().ok());
        let store = desk.store.clone();
        let details = details(resource, self.peer, self.node.hub.now().wall_ms);
        let (is_known, receiving) = (begun.is_known, begun.receiving.take());
        let settled = spawn_blocking(move || match (receiving, said) {
            (Some(receiving), said) => {
                let was_there = |hash: &Hash| store.size(hash).is_some();
                let before = said.is_some_and(|said| was_there(&said));
                let kept = receiving.finish(details)?;
                // Bytes that came before their name were kept under their true one.
                match said.is_some_and(|said| said != kept.hash) && !before {
                    true => {
                        store.remove(&kept.hash)?;
                        Err(Refusal::WrongBytes)
                    }
                    false => Ok(kept),
                }
            }
            (None, Some(said)) if is_known => store.find(&said).ok_or(Refusal::Gone),
            (None, _) => Err(Refusal::NoPayload),
        });
        match settled.await {
            Ok(Ok(kept)) => {
                tracing::debug!(peer = self.peer, hash = %kept.hash, size = kept.size, "a package came");
                desk.consignee.arrived(self.peer, kept, way);
                Ok(())
            }
            Ok(Err(why)) => Err(why),
            Err(_) => Err(Refusal::Store("the store is closing".into())),
        }
    }

    fn refused(&self, desk: &Desk, begun: &Begun, why: &Refusal) {
        self.flow.count(why.reason());
        tracing::debug!(peer = self.peer, %why, "a resource message is not taken");
        if let (Some(resource), false) = (&begun.resource, begun.by_consignee) {
            desk.consignee.refused(self.peer, resource, why);
        }
    }
}

/// Why the reading of a message stopped.
enum Stop {
    Ended(Ended),
    Refused(Refusal),
}

impl From<Ended> for Stop {
    fn from(ended: Ended) -> Self {
        Self::Ended(ended)
    }
}

/// Writes a piece; what the store does not take ends the receiving.
async fn written(begun: &mut Begun, piece: Bytes) {
    let Some(mut receiving) = begun.receiving.take() else {
        return;
    };
    let written = spawn_blocking(move || receiving.write(&piece).map(|()| receiving)).await;
    match written {
        Ok(Ok(receiving)) => begun.receiving = Some(receiving),
        Ok(Err(error)) => begun.refused = Some(error.into()),
        Err(_) => begun.refused = Some(Refusal::Store("the store is closing".into())),
    }
}

fn resource(program: &str) -> Result<Resource, Refusal> {
    let program = Program::read(program).map_err(|error| Refusal::Unreadable(error.words()))?;
    read_resource(program.json)
}

fn read_resource(json: &str) -> Result<Resource, Refusal> {
    Resource::read(json).map_err(Refusal::Unreadable)
}

/// What is kept of a file. Hash and size are the store's to say.
fn details(resource: &Resource, peer: &str, now: i64) -> Details {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let submitted = resource.submitted().unwrap_or(now);
    let hash = resource.hash.as_ref().and_then(|hash| hash.parse().ok());
    Details {
        name: text(&resource.name),
        filename: text(&resource.filename),
        mime_type: resource.mime_type.clone(),
        keywords: resource.keywords.clone(),
        tool: text(&resource.tool),
        creator_uid: text(&resource.creator_uid),
        submitter: match &resource.submitter {
            Some(submitter) if !submitter.is_empty() => submitter.clone(),
            _ => peer.to_owned(),
        },
        submitted: u64::try_from(submitted).unwrap_or(0),
        from: Origin::Peer(peer.to_owned()),
        ..Details::of(hash.unwrap_or_else(|| Hash::of(&[])))
    }
}
