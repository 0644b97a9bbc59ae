//! Proof that events cross: a signed probe to another box and back, as events (`cot/echo.rs` has the message).
//!
//! The question goes through the outbox of the link like any event, and through the far router's judgement; the far
//! box verifies the signature with the certificate of the connection, signs its answer, and that comes the same way.
//! Each question has a nonce of its own, good for one answer and for [`PATIENCE`]; a nonce that came before is not
//! answered again, and a probe that names another box is dropped: so neither old probes nor passed-on ones mean
//! anything. How old an answer is, is measured by the asker's own monotonic clock: wall clocks may be wrong.
//!
//! When no answer comes, the far box is asked by private call what it did with the question.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ring::rand::{SecureRandom, SystemRandom};
use rustls_pki_types::CertificateDer;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::cot::echo::Echo;
use crate::counters::Reason;
use crate::pki::signature;
use crate::route::CameEcho;

use super::companion::{Companion, Feature};
use super::companion_desk::Question;
use crate::link::federate::node::Node;
use crate::link::tls::Credentials;

/// An answer must come within this.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Between two proofs of one connection.
pub const EVERY: Duration = Duration::from_secs(60);
/// The first proof comes so long after the connection, when the first rush is over.
const FIRST: Duration = Duration::from_secs(2);
/// Questions that may wait for their answer at once, all peers together.
const MOST_WAITING: usize = 32;
/// Nonces remembered, all peers together: longer than any question is good for.
const MOST_SEEN: usize = 256;

/// A probe that came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// From the question to the answer, milliseconds.
    pub round_trip_ms: u64,
    /// The peer takes our events.
    pub incoming_there: bool,
    /// The peer sends us its events.
    pub outgoing_there: bool,
    /// The peer's wall clock minus ours, milliseconds, as far as half of the round trip tells.
    pub clock_ms: i64,
}

/// Why a probe did not come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unproven {
    /// No connection.
    Down,
    /// The peer is no box like this one, or an older one.
    NoBox,
    /// Too many probes at once.
    Busy,
    /// It did not get into the outbox.
    NotSent(Reason),
    /// It never came there.
    Lost,
    /// It came there, and the answer did not come here.
    Unanswered {
        /// What the peer did with it, in its words.
        there: String,
    },
    /// Nobody knows.
    Silent,
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("the link is down"),
            Self::NoBox => f.write_str("the peer does not answer probes: it is no box like this one, or an older one"),
            Self::Busy => f.write_str("too many probes are under way; try again in a few seconds"),
            Self::NotSent(Reason::Refused) => f.write_str(
                "the probe found no room in the queue: the link takes less than it is offered (see `dropped` in \
                 `status`)",
            ),
            Self::NotSent(reason) => write!(f, "the probe did not leave this box: {reason}"),
            Self::Lost => f.write_str(
                "the probe left this box and never came to the peer's router: the stream there or back stands still",
            ),
            Self::Unanswered { there } => write!(f, "the probe came to the peer and its answer did not come back: {there}"),
            Self::Silent => f.write_str("no answer within 10 s, and the peer does not say why: the link is slow or stands still"),
        }
    }
}

impl std::error::Error for Unproven {}

/// Asks and answers. Clones share it.
#[derive(Clone)]
pub struct EchoDesk {
    node: Arc<Node>,
    key: Credentials,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Waiting>,
    /// Questions that came: nonce and what was done with it.
    seen: VecDeque<(String, [u8; 16], &'static str)>,
}

struct Waiting {
    peer: String,
    nonce: [u8; 16],
    sent_ms: u64,
    wall_ms: i64,
    tell: oneshot::Sender<Proof>,
}

impl fmt::Debug for EchoDesk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EchoDesk").finish_non_exhaustive()
    }
}

impl EchoDesk {
    /// Answers probes from here on, and proves every connection with a box once a minute. Connections begun before
    /// know nothing of it.
    pub fn open(node: Arc<Node>, credentials: Credentials) -> Self {
        let desk = Self {
            key: credentials,
            state: Arc::default(),
            node,
        };
        let asked = desk.clone();
        desk.node
            .companions
            .serve(Feature::Echo, "Echo", move |question| {
                let said = asked.fate(&question);
                async move { Ok(said) }
            });
        let attending = desk.clone();
        desk.node
            .companions
            .attend(Feature::Echo, move |companion| {
                attending.clone().prove_again(companion)
            });
        desk
    }

    /// Looks at what comes, for ever.
    pub async fn run(self) {
        loop {
            let hub = &self.node.hub;
            let came = poll_fn(|context| hub.with(|router, _| router.poll_echo(context))).await;
            if came.echo.asks {
                self.answer(&came);
            } else {
                self.answered(&came);
            }
        }
    }

    /// Sends a probe and waits for its answer.
    ///
    /// # Errors
    /// What stopped it.
    pub async fn prove(&self, peer: &str) -> Result<Proof, Unproven> {
        let Some(companion) = self.node.companions.of(peer) else {
            return Err(match self.node.registry.is_live(peer) {
                true => Unproven::NoBox,
                false => Unproven::Down,
            });
        };
        if !companion.has(Feature::Echo) {
            return Err(Unproven::NoBox);
        }
        let nonce = nonce();
        let (tell, answer) = oneshot::channel();
        let now = self.node.hub.now();
        {
            let mut state = self.lock();
            state.waiting.retain(|waiting| !waiting.tell.is_closed());
            if state.waiting.len() >= MOST_WAITING {
                return Err(Unproven::Busy);
            }
            state.waiting.push(Waiting {
                peer: peer.to_owned(),
                nonce,
                sent_ms: now.mono_ms,
                wall_ms: now.wall_ms,
                tell,
            });
        }
        // What we take and send is for the peer to compare with what it does.
        self.send(peer, true, nonce, (true, true))
            .map_err(Unproven::NotSent)?;
        if let Ok(Ok(proof)) = timeout(PATIENCE, answer).await {
            return Ok(proof);
        }
        let said = companion.call("Echo", Bytes::copy_from_slice(&nonce)).await;
        Err(match said {
            Ok(said) if said == UNKNOWN.as_bytes() => Unproven::Lost,
            Ok(said) => Unproven::Unanswered {
                there: String::from_utf8_lossy(&said)
                    .chars()
                    .take(200)
                    .filter(|c| !c.is_control())
                    .collect(),
            },
            Err(_) => Unproven::Silent,
        })
    }

    /// Once a minute as long as the connection lasts, and no more often than health is asked where bytes are dear or
    /// silence is wanted; not on a link with a byte budget, whose bytes are worth more.
    async fn prove_again(self, companion: Companion) {
        let peer = companion.peer().to_owned();
        sleep(FIRST).await;
        loop {
            if self.node.board.is_thin(&peer) {
                return;
            }
            match self.prove(&peer).await {
                Ok(proof) => {
                    tracing::trace!(peer, round_trip_ms = proof.round_trip_ms, "proven");
                }
                Err(why) => tracing::debug!(peer, "{peer}: not proven: {why}"),
            }
            sleep(EVERY.max(self.node.keeper.slowest(&peer).unwrap_or_default())).await;
        }
    }

    fn send(
        &self,
        peer: &str,
        asks: bool,
        nonce: [u8; 16],
        directions: (bool, bool),
    ) -> Result<(), Reason> {
        let now = self.node.hub.now();
        let known = self.node.board.status(peer).unwrap_or_default();
        let mut echo = Echo {
            asks,
            nonce,
            from: self.node.federate_id.clone(),
            to: known.federate_id,
            wall_ms: now.wall_ms,
            incoming: directions.0,
            outgoing: directions.1,
            signature: Vec::new(),
        };
        echo.signature =
            signature::sign(&self.key.key(), &echo.signed()).ok_or(Reason::Incomplete)?;
        let xml = echo.to_xml(now.wall_ms);
        self.node
            .hub
            .with(|router, now| router.send_to(peer, &xml, now))
    }

    /// A question came.
    fn answer(&self, came: &CameEcho) {
        let Some(()) = self.verified(came) else {
            return;
        };
        let nonce = came.echo.nonce;
        let done = {
            let mut state = self.lock();
            if state
                .seen
                .iter()
                .any(|(peer, seen, _)| *seen == nonce && *peer == came.peer)
            {
                return;
            }
            if state.seen.len() >= MOST_SEEN {
                state.seen.pop_front();
            }
            state
                .seen
                .push_back((came.peer.clone(), nonce, "it was answered"));
            state.seen.len() - 1
        };
        let directions = (came.incoming, came.outgoing);
        if let Err(reason) = self.send(&came.peer, false, nonce, directions) {
            tracing::debug!(peer = came.peer, "a probe could not be answered: {reason}");
            if let Some(seen) = self.lock().seen.get_mut(done) {
                seen.2 = "its answer found no room in the queue there";
            }
        }
    }

    /// An answer came.
    fn answered(&self, came: &CameEcho) {
        let Some(()) = self.verified(came) else {
            return;
        };
        let now = self.node.hub.now();
        let mut state = self.lock();
        let fits =
            |waiting: &Waiting| waiting.nonce == came.echo.nonce && waiting.peer == came.peer;
        let Some(at) = state.waiting.iter().position(fits) else {
            return;
        };
        let waiting = state.waiting.swap_remove(at);
        drop(state);
        let round_trip_ms = now.mono_ms.saturating_sub(waiting.sent_ms);
        let half = i64::try_from(round_trip_ms / 2).unwrap_or(0);
        // A probe goes past the directions; events do not.
        let out = came.outgoing && came.echo.incoming;
        let crossed = out || came.incoming && came.echo.outgoing;
        if crossed {
            self.node.board.set_proven(&came.peer, now, round_trip_ms);
        }
        // Whoever asked may have gone away.
        let _ = waiting.tell.send(Proof {
            round_trip_ms,
            incoming_there: came.echo.incoming,
            outgoing_there: came.echo.outgoing,
            clock_ms: came
                .echo
                .wall_ms
                .saturating_sub(waiting.wall_ms.saturating_add(half)),
        });
    }

    /// It is for us, from that peer, and signed with the key of its certificate.
    fn verified(&self, came: &CameEcho) -> Option<()> {
        let leaf = self.node.board.leaf(&came.peer);
        let is_for_us = came.echo.to == self.node.federate_id;
        let verified = leaf.is_some_and(|leaf| {
            let leaf = CertificateDer::from(leaf.to_vec());
            signature::is_of(&leaf, &came.echo.signed(), &came.echo.signature)
        });
        if !(is_for_us && verified) {
            tracing::warn!(
                peer = came.peer,
                "{}: a probe that is not signed by it, or not for this box, was dropped",
                came.peer
            );
            return None;
        }
        Some(())
    }

    /// What was done with a question, for the box that asked it.
    fn fate(&self, question: &Question) -> Bytes {
        let peer = question.companion.peer();
        let state = self.lock();
        let mut seen = state.seen.iter();
        let known = seen.find(|(from, nonce, _)| from == peer && question.payload == nonce[..]);
        Bytes::from_static(known.map_or(UNKNOWN, |(.., said)| said).as_bytes())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const UNKNOWN: &str = "unknown";

fn nonce() -> [u8; 16] {
    let mut bytes = [0; 16];
    // Without randomness there is no TLS either; two equal nonces only cost a proof.
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes
}
