//! Between two boxes: a package is offered by a private call, and whoever wants it fetches it piece by piece.
//!
//! The receiver keeps what it has and knows how far it is, so a link that breaks, or either end that is started again,
//! costs one piece. The sender asks again from time to time; the answer then says that it has arrived, or why not.

use bytes::Bytes;
use prost::Message;

use std::sync::Arc;
use std::time::Duration;

use crate::counters::Reason;
use crate::link::fed2::companion::{Companion, Feature};
use crate::link::fed2::companion_desk::Question;
use crate::link::grpc::status::{Code, Status};
use crate::packages::{Details, Hash, Reading};

use super::table::{Begun, Errand};
use super::{Courier, Read, lock};

const OFFER: &str = "PackageOffer";
pub(super) const PIECE: &str = "PackagePiece";
/// Longest piece, bytes.
pub const PIECE_BYTES: usize = 4096;
/// Room for the request in an offer, bytes; the rest is for what else is known.
const OFFER_REST: usize = 512;
/// A piece that cannot go for so long is answered empty, and asked for again.
const PATIENCE: Duration = Duration::from_secs(7);
/// After the last piece the receiver is asked whether all is well.
const SETTLES_MS: u64 = 1_500;
/// What was told is known for so long, milliseconds.
const KNOWN_MS: u64 = 24 * 3_600_000;

/// A package that the other box may fetch.
#[derive(Clone, PartialEq, Eq, Message)]
struct Offer {
    /// The request as a `FederatedEvent`.
    #[prost(bytes = "bytes", tag = "1")]
    message: Bytes,
    #[prost(uint64, tag = "2")]
    size: u64,
    #[prost(string, tag = "3")]
    mime_type: String,
    #[prost(string, tag = "4")]
    creator_uid: String,
    #[prost(string, tag = "5")]
    submitter: String,
    /// With commas in between.
    #[prost(string, tag = "6")]
    keywords: String,
}

/// What the other box says to it.
#[derive(Clone, PartialEq, Eq, Message)]
struct Answer {
    /// [`TAKEN`], [`HAVE`], [`REFUSED`] or [`LATER`].
    #[prost(uint32, tag = "1")]
    verdict: u32,
    /// The word of the reason.
    #[prost(string, tag = "2")]
    reason: String,
    #[prost(string, tag = "3")]
    words: String,
}

const TAKEN: u32 = 1;
const HAVE: u32 = 2;
const REFUSED: u32 = 3;
const LATER: u32 = 4;

/// A part of a package.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Wanted {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) hash: Bytes,
    #[prost(uint64, tag = "2")]
    pub(super) offset: u64,
    #[prost(uint32, tag = "3")]
    pub(super) length: u32,
}

/// How an offer was answered.
pub(super) enum Answered {
    /// It fetches it, or will.
    Taken,
    /// It is there, and was told.
    Has,
    /// It does not take it, in its words.
    Refused(String),
    /// It has no room now.
    Later(String),
}

/// Answers other boxes.
pub(super) fn register(courier: &Courier) {
    let companions = &courier.0.node.companions;
    let this = courier.clone();
    companions.serve(Feature::Package, OFFER, move |question| {
        let this = this.clone();
        async move { this.offered(question).await }
    });
    let this = courier.clone();
    companions.serve(Feature::Package, PIECE, move |question| {
        let this = this.clone();
        async move { this.piece(question).await }
    });
}

/// Offers a package to another box.
pub(super) async fn offer(
    companion: &Companion,
    message: Vec<u8>,
    details: &Details,
) -> Result<Answered, Status> {
    let mut offer = Offer {
        message: message.into(),
        size: details.size,
        mime_type: details.mime_type.clone(),
        creator_uid: details.creator_uid.clone(),
        submitter: details.submitter.clone(),
        keywords: details.keywords.join(","),
    };
    let beside = |offer: &Offer| {
        offer.mime_type.len()
            + offer.creator_uid.len()
            + offer.submitter.len()
            + offer.keywords.len()
    };
    if beside(&offer) > OFFER_REST {
        offer.keywords.clear();
        offer.submitter.clear();
    }
    let answer = companion.call(OFFER, offer.encode_to_vec().into()).await?;
    let bad = |_| Status::new(Code::Internal, "the other box's answer cannot be read");
    let answer = Answer::decode(answer).map_err(bad)?;
    Ok(match answer.verdict {
        TAKEN => Answered::Taken,
        HAVE => Answered::Has,
        REFUSED => Answered::Refused(format!("{} ({})", answer.words, answer.reason)),
        _ => Answered::Later(answer.words),
    })
}

fn said(verdict: u32) -> Answer {
    Answer {
        verdict,
        ..Answer::default()
    }
}

fn refused(reason: Reason, words: &str) -> Answer {
    Answer {
        verdict: REFUSED,
        reason: reason.word().to_owned(),
        words: words.to_owned(),
    }
}

impl Courier {
    async fn offered(&self, question: Question) -> Result<Bytes, Status> {
        let bad = |words: &'static str| Status::new(Code::InvalidArgument, words);
        let offer = Offer::decode(question.payload).map_err(|_| bad("the offer cannot be read"))?;
        let read = Read::of(&offer.message).map_err(bad)?;
        let answer = self.judge_offer(question.companion.peer(), &offer, &read);
        if answer.verdict == TAKEN {
            // It must not be forgotten what was promised.
            self.save().await;
        }
        Ok(answer.encode_to_vec().into())
    }

    fn judge_offer(&self, peer: &str, offer: &Offer, read: &Read) -> Answer {
        let now = self.0.node.hub.now();
        if self.table().was_told(read.key, KNOWN_MS, now.mono_ms) {
            return said(HAVE);
        }
        if self.table().find(read.key).is_some() {
            return said(TAKEN);
        }
        let known = lock(&self.0.refused)
            .iter()
            .find(|(key, ..)| *key == read.key)
            .cloned();
        let judged =
            (self.0.node.hub).with(|router, now| router.admits_package(peer, &offer.message, now));
        let rules = lock(&self.0.rules).get(peer).cloned().unwrap_or_default();
        let stop = match (judged, rules.judge(&read.share.filename, offer.size)) {
            (Err(reason), _) => Some((reason, reason_words(reason))),
            (Ok(()), Err(stop)) => {
                let reason = stop.reason();
                (self.0.node.hub)
                    .with(|router, now| router.refuse_package(peer, &offer.message, reason, now));
                Some((reason, stop.to_string()))
            }
            (Ok(()), Ok(())) => None,
        };
        let mut errand = read.errand(offer.message.to_vec(), now.wall_ms);
        errand.size = offer.size;
        errand.from = Some(peer.to_owned());
        errand.fetch = true;
        errand.about = [
            offer.mime_type.clone(),
            offer.creator_uid.clone(),
            offer.submitter.clone(),
            offer.keywords.clone(),
        ];
        if let Some((reason, words)) = stop {
            self.note_arrival(&errand, Err((reason, words.clone())));
            return refused(reason, &words);
        }
        if let Some((_, reason, words)) = known {
            return refused(reason, &words);
        }
        if offer.size > self.0.store.largest() {
            let words = "it is larger than `max_package_mib` of [packages] allows";
            self.remember_refusal(read.key, Reason::PackageTooLarge, words);
            self.refuse_message(peer, &offer.message, Reason::PackageTooLarge, words);
            return refused(Reason::PackageTooLarge, words);
        }
        match self.table().begin(errand) {
            Begun::Full => Answer {
                words: "too many packages are under way".to_owned(),
                ..said(LATER)
            },
            Begun::New | Begun::Joined => {
                self.change();
                said(TAKEN)
            }
        }
    }

    async fn piece(&self, question: Question) -> Result<Bytes, Status> {
        let bad = |words: &'static str| Status::new(Code::InvalidArgument, words);
        let wanted = Wanted::decode(question.payload).map_err(|_| bad("it cannot be read"))?;
        let hash = <[u8; 32]>::try_from(wanted.hash.as_ref()).map_err(|_| bad("no SHA-256"))?;
        let (hash, peer) = (Hash::new(hash), question.companion.peer());
        let gone = |words: &'static str| Status::new(Code::NotFound, words);
        if self.table().offered(&hash, peer).is_none() {
            return Err(gone("this package was not offered"));
        }
        let may = self
            .0
            .node
            .hub
            .with(|router, _| router.may_send_package(peer));
        may.map_err(|_| gone("data packages are switched off here"))?;
        let mut length = PIECE_BYTES.min(wanted.length as usize);
        if let Some(trickle) = question.companion.trickle() {
            length = length.min(trickle.piece());
            if !trickle.turn(length, PATIENCE).await {
                return Ok(Bytes::new());
            }
        }
        let reading = self
            .reading(hash)
            .await
            .ok_or_else(|| gone("it is not in the store any more"))?;
        let size = reading.size();
        let read = self.0.clerk.run(move || {
            let mut piece = vec![0; length];
            let got = reading.read_at(wanted.offset, &mut piece)?;
            piece.truncate(got);
            Ok::<_, std::io::Error>(piece)
        });
        let failed = || Status::new(Code::Unavailable, "the disk does not give it");
        let piece = read.await.ok().and_then(Result::ok).ok_or_else(failed)?;
        let end = wanted.offset + piece.len() as u64;
        let now = self.0.node.hub.now().mono_ms;
        let mut table = self.table();
        if let Some(target) = table.offered(&hash, peer) {
            target.done = target.done.max(end);
        }
        if end >= size {
            table.ask_soon(&hash, peer, now + SETTLES_MS);
        }
        Ok(piece.into())
    }

    /// The package, opened once for many pieces.
    async fn reading(&self, hash: Hash) -> Option<Arc<Reading>> {
        if let Some(open) = lock(&self.0.reading)
            .as_ref()
            .filter(|open| *open.hash() == hash)
        {
            return Some(Arc::clone(open));
        }
        let store = self.0.store.clone();
        let opened = self
            .0
            .clerk
            .run(move || store.read(&hash).ok())
            .await
            .ok()??;
        let opened = Arc::new(opened);
        *lock(&self.0.reading) = Some(Arc::clone(&opened));
        Some(opened)
    }
}

fn reason_words(reason: Reason) -> String {
    match reason {
        Reason::DataPackagesOff => "data packages from this peer are switched off",
        Reason::IncomingOff => "nothing is taken from this peer",
        Reason::Loop => "it came from here",
        Reason::NoGroup => "it is in no group here",
        Reason::Filtered => "a filter keeps it back",
        _ => "it is not taken",
    }
    .to_owned()
}

/// What the store is told of a package that a box sent.
pub(super) fn details(errand: &Errand, wall_ms: i64) -> Details {
    let [mime_type, creator_uid, submitter, keywords] = errand.about.clone();
    let peer = errand.from.clone().unwrap_or_default();
    let listed = keywords.split(',').filter(|word| !word.is_empty());
    Details {
        size: errand.size,
        name: errand.filename.clone(),
        filename: errand.filename.clone(),
        mime_type,
        creator_uid,
        keywords: listed.map(str::to_owned).collect(),
        submitter: match submitter.is_empty() {
            true => peer.clone(),
            false => submitter,
        },
        submitted: u64::try_from(wall_ms).unwrap_or_default(),
        from: crate::packages::Origin::Peer(peer),
        ..Details::of(errand.hash())
    }
}
