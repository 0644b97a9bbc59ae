//! The body of our ROL stream: one message after the other, in pieces, each when its [`Turn`] has come. The bytes of a
//! package are read from the disk by a thread that may wait, one piece at a time.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::link::grpc::body::{Part, Source};
use crate::link::grpc::frame::PREFIX;
use crate::link::grpc::status::{Code, Status};
use crate::link::packages::{Refusal, Resource};
use crate::packages::{Details, Hash, Reading, Store};
use crate::wire::rol::program::create_resource;
use crate::wire::rol::writer::around;

use super::LONGEST_MESSAGE;
use super::queue::{Item, Next, Outgoing};
use super::turn::Turn;

/// Our ROL stream.
pub struct Sending {
    outgoing: Arc<Outgoing>,
    stream: u64,
    turn: Turn,
    current: Option<Current>,
}

/// A message that is being sent.
struct Current {
    item: Item,
    stage: Stage,
    /// What goes before a payload, as far as it has not gone.
    before: [Bytes; 2],
    after: Bytes,
    /// Something of it has left.
    begun: bool,
}

enum Stage {
    /// No payload, or all of it has gone.
    Text,
    /// The package is being looked up.
    Opening(JoinHandle<Result<(Reading, Details), Refusal>>),
    /// So much of the payload has gone.
    Payload(Arc<Reading>, u64),
    /// Waits for the place of a piece.
    Place(Arc<Reading>, u64, PlaceFuture),
    /// The next piece is being read.
    Piece(Arc<Reading>, u64, JoinHandle<Option<Bytes>>),
}

type PlaceFuture = Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send>>;

impl Sending {
    /// The body that carries what waits in `outgoing` from now on.
    pub fn of(outgoing: &Arc<Outgoing>) -> Self {
        Self {
            turn: Turn::new(outgoing.flow()),
            stream: outgoing.begin_stream(),
            outgoing: Arc::clone(outgoing),
            current: None,
        }
    }

    /// Begins with an item, unless it does not go.
    fn begin(&mut self, item: Item) {
        let stage = match &item {
            Item::Message(first, last) => {
                let mut before = BytesMut::with_capacity(PREFIX);
                put_prefix(&mut before, (first.len() + last.len()) as u64);
                self.current = Some(Current {
                    stage: Stage::Text,
                    before: [before.freeze(), first.clone()],
                    after: last.clone(),
                    begun: false,
                    item,
                });
                return;
            }
            Item::Offer { hash, .. } => {
                let Some(desk) = self.outgoing.node().packages.desk() else {
                    return self.outgoing.not_sent(&item, Refusal::Disabled);
                };
                let (store, hash) = (desk.store.clone(), *hash);
                Stage::Opening(spawn_blocking(move || opened(&store, &hash)))
            }
        };
        self.current = Some(Current {
            item,
            stage,
            before: Default::default(),
            after: Bytes::new(),
            begun: false,
        });
    }

    /// The next piece of the message; none when it is whole.
    fn poll_current(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Refusal>> {
        let Some(current) = &mut self.current else {
            return Poll::Ready(Ok(None));
        };
        loop {
            if let Stage::Opening(opening) = &mut current.stage {
                let (reading, details) = match ready!(Pin::new(opening).poll(context)) {
                    Ok(Ok(opened)) => opened,
                    Ok(Err(refusal)) => return Poll::Ready(Err(refusal)),
                    Err(_) => return Poll::Ready(Err(Refusal::Gone)),
                };
                let Item::Offer { way, .. } = &current.item else {
                    return Poll::Ready(Ok(None));
                };
                let envelope = match self.outgoing.envelope(way) {
                    Ok(envelope) => envelope,
                    Err(refusal) => return Poll::Ready(Err(refusal)),
                };
                let program = create_resource(&resource(&details).json());
                let frame = around(&program, Some(reading.size()), envelope);
                if frame.length > LONGEST_MESSAGE {
                    return Poll::Ready(Err(Refusal::TooLarge {
                        size: reading.size(),
                        limit: LONGEST_MESSAGE,
                    }));
                }
                let mut before = BytesMut::with_capacity(PREFIX + frame.before.len());
                put_prefix(&mut before, frame.length);
                before.put_slice(&frame.before);
                current.before[0] = before.freeze();
                current.after = frame.after.into();
                current.stage = Stage::Payload(Arc::new(reading), 0);
            }
            let most = ready!(self.turn.poll(context));
            if let Some(before) = current.before.iter_mut().find(|part| !part.is_empty()) {
                let piece = before.split_to(before.len().min(most));
                return Poll::Ready(Ok(Some(piece)));
            }
            match &mut current.stage {
                Stage::Opening(_) => {}
                Stage::Payload(reading, at) if *at >= reading.size() => {
                    current.stage = Stage::Text;
                }
                Stage::Payload(reading, at) => {
                    let place = Arc::clone(self.outgoing.node().packages.piece());
                    let place = Box::pin(async move { place.acquire_owned().await.ok() });
                    current.stage = Stage::Place(Arc::clone(reading), *at, place);
                }
                Stage::Place(reading, at, place) => {
                    let place = ready!(place.as_mut().poll(context));
                    let (source, from) = (Arc::clone(reading), *at);
                    let most = most.min(usize::try_from(source.size() - from).unwrap_or(most));
                    let piece = spawn_blocking(move || {
                        let piece = read(&source, from, most);
                        drop(place);
                        piece
                    });
                    current.stage = Stage::Piece(Arc::clone(reading), from, piece);
                }
                Stage::Piece(reading, at, piece) => {
                    let piece = ready!(Pin::new(piece).poll(context));
                    let Some(piece) = piece.ok().flatten() else {
                        return Poll::Ready(Err(Refusal::Gone));
                    };
                    let at = *at + piece.len() as u64;
                    current.stage = Stage::Payload(Arc::clone(reading), at);
                    return Poll::Ready(Ok(Some(piece)));
                }
                Stage::Text => {
                    if !current.after.is_empty() {
                        let piece = current.after.split_to(current.after.len().min(most));
                        return Poll::Ready(Ok(Some(piece)));
                    }
                    return Poll::Ready(Ok(None));
                }
            }
        }
    }
}

impl Source for Sending {
    fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Part> {
        loop {
            if self.current.is_none() {
                match self.outgoing.next(self.stream, context) {
                    Next::Item(item) => self.begin(item),
                    Next::Nothing => return Poll::Pending,
                    Next::End(status) => {
                        let newer = || Status::new(Code::Aborted, "a newer stream took its place");
                        return Poll::Ready(Part::End(status.unwrap_or_else(newer)));
                    }
                }
                continue;
            }
            match ready!(self.poll_current(context)) {
                Ok(Some(piece)) => {
                    self.turn.took(piece.len());
                    if let Some(current) = &mut self.current {
                        current.begun = true;
                    }
                    return Poll::Ready(Part::Data(piece));
                }
                Ok(None) => {
                    if let Some(current) = self.current.take() {
                        self.outgoing.sent(&current.item);
                    }
                }
                Err(why) => {
                    let Some(current) = self.current.take() else {
                        continue;
                    };
                    self.outgoing.not_sent(&current.item, why);
                    if current.begun {
                        // What was begun cannot be made whole: only the end of the stream tells the peer.
                        let words = "a package could not be read to its end";
                        return Poll::Ready(Part::End(Status::new(Code::DataLoss, words)));
                    }
                }
            }
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(current) = self.current.take() {
            self.outgoing.broken_off(current.item);
        }
    }
}

fn put_prefix(out: &mut BytesMut, length: u64) {
    out.put_u8(0);
    // Never above LONGEST_MESSAGE.
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

fn opened(store: &Store, hash: &Hash) -> Result<(Reading, Details), Refusal> {
    let details = store.find(hash).ok_or(Refusal::Gone)?;
    Ok((store.read(hash)?, details))
}

/// None if it is not there any more: a message that is begun must not become shorter.
fn read(reading: &Reading, at: u64, most: usize) -> Option<Bytes> {
    let mut piece = BytesMut::zeroed(most);
    let length = reading.read_at(at, &mut piece).ok()?;
    piece.truncate(length);
    (length > 0).then(|| piece.freeze())
}

/// What we say of a package.
fn resource(details: &Details) -> Resource {
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    let mut resource = Resource {
        filename: some(&details.filename),
        keywords: details.keywords.clone(),
        mime_type: details.mime_type.clone(),
        name: some(&details.name),
        submitter: some(&details.submitter),
        uid: Some(details.hash.to_string()),
        hash: Some(details.hash.to_string()),
        size: Some(details.size),
        creator_uid: some(&details.creator_uid),
        tool: some(&details.tool),
        ..Resource::default()
    };
    resource.set_submitted(i64::try_from(details.submitted).unwrap_or(0));
    resource
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
