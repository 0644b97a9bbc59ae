//! What a federation link and the one who decides about data packages know of each other.
//!
//! A link that can carry resources (TAK federation v2) makes a [`Carrier`] and shows it to the [`Consignee`]; what it
//! reads on its ROL streams it hands to the consignee, bytes of packages excepted: those go straight into the store,
//! once the consignee has admitted them. The consignee decides which package goes to whom; a link knows only how.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::budget::parcels;
use crate::cot::groups::GroupSet;
use crate::counters::Reason;
use crate::packages::{Details, Hash, Store, StoreError};
pub use crate::wire::rol::{Destinations, Resource, ResourceDetails};

/// Which groups something is in, and what other federates wrote around it on its way to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Our groups; a federate gets what has one in common with those it hears.
    pub groups: GroupSet,
    /// Groups, provenance and hops as fields 3 to 6 of the message it came in; none: it begins here.
    pub envelope: Option<Bytes>,
}

impl Way {
    /// Of something that begins here, in these groups.
    pub fn from_here(groups: GroupSet) -> Self {
        Self {
            groups,
            envelope: None,
        }
    }
}

/// A connected federate that takes resources. Nothing here waits: what is taken goes out when the link has room, events
/// first.
pub trait Carrier: fmt::Debug + Send + Sync {
    /// The peer's name in the configuration.
    fn name(&self) -> &str;

    /// Number of the connection, new for each: a federate that connects again has another carrier.
    fn connection(&self) -> u64;

    /// The bytes: `create resource` with the package as its payload, read from the store piece by piece. How it ended is
    /// told by [`Consignee::sent`].
    ///
    /// # Errors
    /// Why it was not taken.
    fn offer_resource(&self, details: &Details, way: &Way) -> Result<(), Refusal>;

    /// The announcement: `announce package`. It goes after what was offered before it.
    ///
    /// # Errors
    /// Why it was not taken.
    fn announce(&self, details: &Details, to: &Destinations, way: &Way) -> Result<(), Refusal>;

    /// Another federate's message as it came ([`Consignee::other`]); provenance and hops are added here.
    ///
    /// # Errors
    /// Why it was not taken: also [`Refusal::Loop`], [`Refusal::HopLimit`] and [`Refusal::Group`].
    fn relay(&self, rol: &Bytes, way: &Way) -> Result<(), Refusal>;
}

/// Who decides about what comes and goes. Calls come from links' tasks and must not wait; what takes long (disk, other
/// links) is put into a queue of the consignee's own.
pub trait Consignee: Send + Sync {
    /// A federate can be sent resources. An older carrier of the same name is gone.
    fn attached(&self, carrier: Arc<dyn Carrier>);

    /// That connection is over; a newer one of the same federate may be attached already.
    fn detached(&self, federate: &str, connection: u64);

    /// Whether the bytes of a resource of that length (bytes) may come in. Asked before the first byte is kept.
    ///
    /// # Errors
    /// Why not; the bytes are read away.
    fn admits(&self, federate: &str, resource: &Resource, length: u64) -> Result<(), Refusal>;

    /// A package is in the store, its hash is right.
    fn arrived(&self, federate: &str, details: Details, way: Way);

    /// A package was announced, before or after its bytes, or without them ever.
    fn announced(&self, federate: &str, details: ResourceDetails, way: Way);

    /// Something that is no package (a mission, a data feed), for [`Carrier::relay`]: the message as it came, without its
    /// envelope, which is in `way`. Whoever keeps these bytes keeps their place among what may wait.
    fn other(&self, federate: &str, rol: Bytes, way: Way);

    /// A resource did not come in, for a reason that [`Consignee::admits`] did not give: it is too large to be asked
    /// about, its bytes are not those of its hash, the disk is full.
    fn refused(&self, federate: &str, resource: &Resource, why: &Refusal);

    /// How an offered resource ended: all its bytes are handed over, or why not.
    fn sent(&self, federate: &str, hash: &Hash, outcome: Result<(), Refusal>);
}

/// Why a package, or another resource message, does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// `[packages] enabled = false`.
    Disabled,
    /// `data_packages_in = false` for this peer.
    IncomingOff,
    /// `data_packages_out = false` for this peer.
    OutgoingOff,
    /// `relay_missions = false` for this peer.
    RelayOff,
    /// Longer than allowed, bytes.
    TooLarge {
        /// What it says.
        size: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The name ends in an extension that is blocked for this peer.
    Extension(String),
    /// It is here already: nothing is wrong, its bytes are not needed.
    Known,
    /// The resource has no SHA-256, or one that is none.
    NoHash,
    /// The resource came without its bytes.
    NoPayload,
    /// The bytes are not those that the hash or the size names.
    WrongBytes,
    /// The store cannot take it now; the words say why.
    Store(String),
    /// It is not in the store any more.
    Gone,
    /// As many wait for this federate as may.
    QueueFull,
    /// The federate takes no resources: it does not know the ROL streams, or has not opened its own.
    NoStream,
    /// The link went away.
    LinkDown,
    /// Our own id, or the federate's, stands in the provenance.
    Loop,
    /// The hop limit is reached.
    HopLimit,
    /// A message of another federate that is no package and too long to be passed on.
    RelayTooLarge,
    /// In no group that the federate hears, or in none at all.
    Group,
    /// The message cannot be read; the words say where.
    Unreadable(&'static str),
}

impl Refusal {
    /// Under which reason it is counted.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Disabled | Self::RelayOff | Self::Known | Self::Extension(_) => Reason::Resource,
            Self::IncomingOff | Self::OutgoingOff => Reason::DataPackagesOff,
            Self::TooLarge { .. } | Self::RelayTooLarge => Reason::ResourceTooLarge,
            Self::NoHash | Self::NoPayload | Self::WrongBytes | Self::Unreadable(_) => {
                Reason::BadResource
            }
            Self::Store(_) | Self::Gone | Self::QueueFull => Reason::ResourceRefused,
            Self::NoStream | Self::LinkDown => Reason::LinkDown,
            Self::Loop => Reason::Loop,
            Self::HopLimit => Reason::HopLimit,
            Self::Group => Reason::NoGroup,
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::TooLarge { size, largest } => Self::TooLarge {
                size,
                limit: largest,
            },
            StoreError::Kept(_) => Self::Known,
            StoreError::WrongHash { .. } | StoreError::WrongSize { .. } => Self::WrongBytes,
            StoreError::Missing(_) => Self::Gone,
            error => Self::Store(error.to_string()),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("[packages] enabled = false: this box keeps no packages"),
            Self::IncomingOff => f.write_str("data_packages_in = false for this peer"),
            Self::OutgoingOff => f.write_str("data_packages_out = false for this peer"),
            Self::RelayOff => f.write_str("relay_missions = false for this peer"),
            Self::TooLarge { size, limit } => {
                write!(f, "{size} bytes are more than the {limit} that may cross")
            }
            Self::Extension(extension) => {
                write!(
                    f,
                    "package_block_extensions of this peer names .{extension}"
                )
            }
            Self::Known => f.write_str("it is in the store already"),
            Self::NoHash => f.write_str("it came without a SHA-256"),
            Self::NoPayload => f.write_str("it came without its bytes: too large for the sender"),
            Self::WrongBytes => f.write_str("its bytes are not those that its hash and size name"),
            Self::Store(why) => f.write_str(why),
            Self::Gone => f.write_str("it is not in the store any more"),
            Self::QueueFull => f.write_str("too many wait for this peer already"),
            Self::NoStream => f.write_str("the peer has opened no stream for resources"),
            Self::LinkDown => f.write_str("the link went away"),
            Self::Loop => f.write_str("it passed there already"),
            Self::HopLimit => f.write_str("its hop limit is reached"),
            Self::RelayTooLarge => {
                f.write_str("it is no package and longer than the 32 KiB that are passed on")
            }
            Self::Group => f.write_str("it is in no group that this peer hears"),
            Self::Unreadable(what) => write!(f, "the message cannot be read: {what}"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Most bytes of short resource messages that are being read, all federates together.
pub const READING: usize = parcels::RESOURCES_READ as usize;
/// Most bytes of announcements and of other federates' messages that wait to be sent, all federates together.
pub const WAITING: usize = parcels::RESOURCES_WAITING as usize;

/// The store and the consignee, as the links find them. Empty until they are there, and for ever in a box that keeps no
/// packages. Clones share it.
#[derive(Clone)]
pub struct Packages(Arc<Shared>);

struct Shared {
    desk: OnceLock<Desk>,
    connections: AtomicU64,
    reading: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    piece: Arc<Semaphore>,
}

/// Where packages go.
#[derive(Clone)]
pub struct Desk {
    /// Where their bytes are.
    pub store: Store,
    /// Who decides.
    pub consignee: Arc<dyn Consignee>,
}

impl Default for Packages {
    fn default() -> Self {
        Self(Arc::new(Shared {
            desk: OnceLock::new(),
            connections: AtomicU64::new(1),
            reading: Arc::new(Semaphore::new(READING)),
            waiting: Arc::new(Semaphore::new(WAITING)),
            piece: Arc::new(Semaphore::new(1)),
        }))
    }
}

impl Packages {
    /// From now on packages are taken and sent. A second call changes nothing.
    pub fn open(&self, desk: Desk) {
        let _ = self.0.desk.set(desk);
    }

    /// Where packages go, if this box keeps any.
    pub fn desk(&self) -> Option<&Desk> {
        self.0.desk.get()
    }

    /// A number for a new connection.
    pub(in crate::link) fn next_connection(&self) -> u64 {
        self.0.connections.fetch_add(1, Ordering::Relaxed)
    }

    /// Places for what is being read, by the byte.
    pub(in crate::link) fn reading(&self) -> &Arc<Semaphore> {
        &self.0.reading
    }

    /// The place of the one piece that is being read from the disk to be sent.
    pub(in crate::link) fn piece(&self) -> &Arc<Semaphore> {
        &self.0.piece
    }

    /// The same bytes with a place among those that may wait, which they have until the last of their clones is gone.
    ///
    /// # Errors
    /// [`Refusal::QueueFull`].
    pub(in crate::link) fn placed(&self, bytes: Bytes) -> Result<Bytes, Refusal> {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let place = Arc::clone(&self.0.waiting).try_acquire_many_owned(length);
        let place = place.map_err(|_| Refusal::QueueFull)?;
        Ok(Bytes::from_owner(Placed {
            bytes,
            _place: place,
        }))
    }
}

struct Placed {
    bytes: Bytes,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Placed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Packages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packages").finish_non_exhaustive()
    }
}
