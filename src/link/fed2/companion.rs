//! The other end, when it is a box like this one.
//!
//! Every federation call and answer of a box carries two fields of gRPC metadata: `tombolo-box: 1`, and
//! `tombolo-features` with the words of what it can do beyond TAK federation. Other programs pass over metadata that
//! they do not know. A [`Companion`] belongs to one connection and knows, after the first head that came, whether the
//! peer is a box and which features both have. Private calls (`/tombolo.Box/NAME`) go to boxes only, in either
//! direction, whichever side dialled; [`Companion::call`] hides which.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::link::federate::packing::Packing;
use crate::link::federate::trickle::Trickle;
use crate::link::grpc::status::{Code, Status};

use crate::link::federate::registry::Origin;

/// Says "I am a box", and which revision of these private matters it speaks.
const BOX: HeaderName = HeaderName::from_static("tombolo-box");
/// Says what the box can do, words with commas between.
const FEATURES: HeaderName = HeaderName::from_static("tombolo-features");

/// Says which attempt of the dialling program a connection came from: two numbers in hexadecimal.
const CONNECTION: HeaderName = HeaderName::from_static("tombolo-connection");

/// Path prefix of every private method.
pub const SERVICE: &str = "/tombolo.Box/";
/// The private call with which the dialling side lets itself be called.
pub const SERVE: &str = "Serve";
/// Longest payload of a private call or answer, bytes.
pub const PAYLOAD_LIMIT: usize = 4 * 1024 + 64;
/// Private calls of one connection, each way, that may wait for their answer at once.
pub const AT_ONCE: usize = 4;
/// A private call must be answered within this.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// A box that says that it exchanges timestamps should have done so within this.
const TIMED_WITHIN: Duration = Duration::from_secs(3);

macro_rules! features {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What boxes can do with each other.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Feature { $($(#[$doc])* $name,)* }

        impl Feature {
            /// Every feature.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word in the metadata.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

features! {
    /// Exchanges timestamps.
    Time = "time",
    /// Sends a signed probe back.
    Echo = "echo",
    /// Answers a call that only asks whether the way is open, with the bytes that came.
    Ping = "ping",
    /// Takes a packed event stream, if it has a place for it.
    Pack = "pack",
    /// Says how many events of a connection it has taken.
    Receipt = "receipt",
    /// Keeps a second connection over another uplink.
    Standby = "standby",
    /// Answers on a side connection after it was quiet (`link/nat`).
    Quiet = "quiet",
    /// Takes data packages, and lets them be fetched (`link/courier`).
    Package = "package",
}

/// A set of [`Feature`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features(u32);

impl Features {
    /// This set and one more.
    #[must_use]
    pub const fn with(self, feature: Feature) -> Self {
        Self(self.0 | 1 << feature as u32)
    }

    /// Whether a feature is in it.
    pub const fn has(self, feature: Feature) -> bool {
        self.0 & 1 << feature as u32 != 0
    }

    fn of_words(words: &str) -> Self {
        let word = |word: &str| Feature::ALL.iter().find(|feature| feature.word() == word);
        words
            .split(',')
            .filter_map(|one| word(one.trim()))
            .fold(Self::default(), |set, &feature| set.with(feature))
    }

    fn header(self) -> HeaderValue {
        let words: Vec<&str> = Feature::ALL
            .iter()
            .filter(|&&feature| self.has(feature))
            .map(|feature| feature.word())
            .collect();
        HeaderValue::from_str(&words.join(",")).unwrap_or(HeaderValue::from_static(""))
    }
}

/// The peer's answer to a private call, as it comes.
pub type Answering = Pin<Box<dyn Future<Output = Result<Bytes, Status>> + Send>>;

/// The way of private calls to the peer, which depends on who dialled.
pub trait Line: Send + Sync {
    /// Calls a private method.
    fn ask(&self, method: &'static str, payload: Bytes) -> Answering;
}

/// The peer of one connection, as a box. Clones share it.
#[derive(Clone)]
pub struct Companion(Arc<Inner>);

struct Inner {
    peer: String,
    ours: Features,
    header: HeaderValue,
    /// What the first head said: none = nothing came yet; some of none = no box.
    theirs: watch::Sender<Option<Option<Features>>>,
    packing: Packing,
    trickle: OnceLock<Trickle>,
    /// The peer's clock is known.
    timed: watch::Sender<bool>,
    line: Mutex<Option<Arc<dyn Line>>>,
    /// Our attempt, when we dialled; the peer's, when it did.
    origin: Mutex<Option<Origin>>,
}

impl Companion {
    /// For a new connection with the peer of that name; `ours` is what this box can do.
    pub fn new(peer: &str, ours: Features, packing: Packing) -> Self {
        Self(Arc::new(Inner {
            packing,
            trickle: OnceLock::new(),
            peer: peer.to_owned(),
            ours,
            header: ours.header(),
            theirs: watch::Sender::new(None),
            timed: watch::Sender::new(false),
            line: Mutex::new(None),
            origin: Mutex::new(None),
        }))
    }

    /// The peer's name in the configuration.
    pub fn peer(&self) -> &str {
        &self.0.peer
    }

    /// Whether the connection's events are packed.
    pub fn packing(&self) -> &Packing {
        &self.0.packing
    }

    /// What is large goes to the peer by this; said once, when the connection begins.
    pub fn set_trickle(&self, trickle: Trickle) {
        let _ = self.0.trickle.set(trickle);
    }

    /// How what is large goes to the peer beside the events; none = as fast as the connection takes it.
    pub fn trickle(&self) -> Option<&Trickle> {
        self.0.trickle.get()
    }

    /// Whether the peer is known to be a box.
    pub fn is_box(&self) -> bool {
        matches!(*self.0.theirs.borrow(), Some(Some(_)))
    }

    /// Whether both sides have a feature. False as long as nothing came from the peer.
    pub fn has(&self, feature: Feature) -> bool {
        let theirs = self.0.theirs.borrow().flatten().unwrap_or_default();
        theirs.has(feature) && self.0.ours.has(feature)
    }

    /// Waits until the peer's first head came; says whether it is a box.
    pub async fn known(&self) -> bool {
        let mut theirs = self.0.theirs.subscribe();
        let known = theirs.wait_for(Option::is_some).await;
        known.is_ok_and(|known| known.flatten().is_some())
    }

    /// The peer's clock is known from now on.
    pub(super) fn set_timed(&self) {
        self.0.timed.send_replace(true);
    }

    /// Waits, not long, until the peer's clock is known, so that its first events too are expressed in ours. A peer that
    /// exchanges no timestamps is not waited for.
    pub(super) async fn timed(&self) {
        if self.has(Feature::Time) {
            let mut timed = self.0.timed.subscribe();
            let _ = timeout(TIMED_WITHIN, timed.wait_for(|&timed| timed)).await;
        }
    }

    /// Calls a private method at the peer; [`PAYLOAD_LIMIT`] and [`PATIENCE`] hold.
    ///
    /// # Errors
    /// UNAVAILABLE when the peer is no box or the connection is over; what the peer answered otherwise.
    pub async fn call(&self, method: &'static str, payload: Bytes) -> Result<Bytes, Status> {
        if payload.len() > PAYLOAD_LIMIT {
            let words = format!("a private call of {} bytes", payload.len());
            return Err(Status::new(Code::InvalidArgument, words));
        }
        let line = self.line().clone();
        let Some(line) = line else {
            return Err(Status::new(Code::Unavailable, "no line to another box"));
        };
        let late = || Status::new(Code::DeadlineExceeded, "the other box did not answer");
        timeout(PATIENCE, line.ask(method, payload))
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    /// Writes our metadata into the head of a call or an answer.
    pub fn mark(&self, head: &mut HeaderMap) {
        head.insert(BOX, HeaderValue::from_static("1"));
        head.insert(FEATURES, self.0.header.clone());
    }

    /// Writes into the head of a call which attempt of ours it belongs to.
    pub fn mark_call(&self, head: &mut HeaderMap) {
        self.mark(head);
        if let Some(origin) = self.their_origin() {
            let words = format!("{:x}-{:x}", origin.instance, origin.serial);
            if let Ok(words) = HeaderValue::from_str(&words) {
                head.insert(CONNECTION, words);
            }
        }
    }

    /// Which attempt this connection is: from now on every call says so.
    pub fn set_origin(&self, origin: Origin) {
        *self.origin() = Some(origin);
    }

    /// Which attempt of the side that dialled this connection is, as far as it said so.
    pub fn their_origin(&self) -> Option<Origin> {
        *self.origin()
    }

    /// Reads the head of a call of the peer that dialled. Of its attempts the last one named counts: a standby becomes
    /// a later one when it takes over.
    pub fn note_call(&self, head: &HeaderMap) {
        self.note(head);
        let origin = head.get(CONNECTION).and_then(|words| {
            let (instance, serial) = words.to_str().ok()?.split_once('-')?;
            Some(Origin {
                instance: u64::from_str_radix(instance, 16).ok()?,
                serial: u64::from_str_radix(serial, 16).ok()?,
            })
        });
        if let Some(origin) = origin {
            *self.origin() = Some(origin);
        }
    }

    /// Reads the head of a call or an answer of the peer. The first one decides.
    pub fn note(&self, head: &HeaderMap) {
        self.0.theirs.send_if_modified(|theirs| {
            if theirs.is_some() {
                return false;
            }
            let features = || {
                let words = head.get(FEATURES).and_then(|words| words.to_str().ok());
                Features::of_words(words.unwrap_or_default())
            };
            *theirs = Some(head.contains_key(BOX).then(features));
            true
        });
    }

    /// From now on calls go this way.
    pub(super) fn connect(&self, line: Arc<dyn Line>) {
        *self.line() = Some(line);
    }

    /// No more calls: the connection ends.
    pub fn hang_up(&self) {
        let line = self.line().take();
        drop(line);
    }

    /// Whether both are of the same connection.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn origin(&self) -> std::sync::MutexGuard<'_, Option<Origin>> {
        self.0.origin.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self) -> std::sync::MutexGuard<'_, Option<Arc<dyn Line>>> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Companion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Companion").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_head_decides_and_unknown_words_mean_nothing() {
        let ours = Features::default().with(Feature::Time).with(Feature::Pack);
        let companion = Companion::new("bravo", ours, Packing::default());
        assert!(!companion.is_box() && !companion.has(Feature::Time));
        let mut head = HeaderMap::new();
        Companion::new("alpha", ours.with(Feature::Echo), Packing::default()).mark(&mut head);
        assert_eq!(head[&FEATURES], "time,echo,pack");
        head.insert(FEATURES, HeaderValue::from_static("warp, time,,echo"));
        companion.note(&head);
        assert!(companion.is_box() && companion.has(Feature::Time));
        assert!(!companion.has(Feature::Echo), "we do not have it");
        assert!(!companion.has(Feature::Pack), "the peer does not have it");
        companion.note(&HeaderMap::new());
        assert!(companion.is_box());

        let stranger = Companion::new("tak", ours, Packing::default());
        stranger.note(&HeaderMap::new());
        stranger.note(&head);
        assert!(!stranger.is_box() && !stranger.has(Feature::Time));
    }

    #[tokio::test]
    async fn without_a_line_a_call_fails_at_once() {
        let companion = Companion::new("bravo", Features::default(), Packing::default());
        let failed = companion.call("Ping", Bytes::new()).await.unwrap_err();
        assert_eq!(failed.code, Code::Unavailable);
    }
}
