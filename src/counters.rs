//! Every count the box keeps, and the one list of reasons for which an event does not go on.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// Why an event, or a connection, did not go on. Each has one word that scripts may rely on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason, in the order of the counters.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// The word that `status` prints.
            pub const fn word(self) -> &'static str {
                match self { $(Reason::$name => $word,)* }
            }
        }
    };
}

reasons! {
    /// The piece between `<event` and `</event>` is not one well-formed element.
    Malformed = "malformed",
    /// A raw `<event` or `</event>` hides in CDATA or a comment: a naive receiver would see a second event.
    Ambiguous = "ambiguous",
    /// A document type declaration.
    Doctype = "doctype",
    /// A processing instruction inside the event.
    ProcessingInstruction = "processing_instruction",
    /// An entity that XML does not predefine.
    Entity = "entity",
    /// Not UTF-8, or a character that XML forbids.
    NotText = "not_text",
    /// Elements nested deeper than the limit.
    TooDeep = "too_deep",
    /// Longer than the largest event or message allowed; the connection is closed.
    Oversize = "oversize",
    /// An event was begun and not finished in time; the connection is closed.
    HalfEvent = "half_event",
    /// Bytes between events that are no XML declaration, no `<auth>` and no white space.
    Garbage = "garbage",
    /// A required attribute or element is missing or unreadable.
    Incomplete = "incomplete",
    /// A time that is not RFC 3339.
    BadTime = "bad_time",
    /// A protobuf message that cannot be read.
    BadMessage = "bad_message",
    /// A gRPC frame whose length or flags cannot be true; the connection is closed.
    BadFraming = "bad_framing",
    /// The same content came already.
    Duplicate = "duplicate",
    /// Our own id is in the provenance: it went round in a circle.
    Loop = "loop",
    /// The hop limit is reached.
    HopLimit = "hop_limit",
    /// `incoming = false` for this peer.
    IncomingOff = "incoming_off",
    /// `outgoing = false` for this peer.
    OutgoingOff = "outgoing_off",
    /// A rule of the link's `filter` does not let it through.
    Filtered = "filtered",
    /// `data_packages_in = false` or `data_packages_out = false` for this link.
    DataPackagesOff = "data_packages_off",
    /// A control message that is consumed by the server it is sent to.
    ControlMessage = "control_message",
    /// A mission change, which never crosses federation.
    MissionChange = "mission_change",
    /// In no group that the link hears, or in none at all.
    NoGroup = "no_group",
    /// Directed to contacts that nobody here announced.
    NoDestination = "no_destination",
    /// A newer event of the same uid took its place while it waited.
    Conflated = "conflated",
    /// Went stale while it waited.
    Expired = "expired",
    /// Made room for traffic of a higher class.
    Evicted = "evicted",
    /// Too long for the byte budget of its link.
    Thinned = "thinned",
    /// The outbox was full of traffic at least as important.
    Refused = "refused",
    /// Still waiting when the link went away.
    LinkDown = "link_down",
    /// The spool was full: it gave way to something newer, or found no room.
    SpoolFull = "spool_full",
    /// It waited for its link for longer than `spool_hours`, or was of no worth any more when the link came back.
    SpoolExpired = "spool_expired",
    /// The disk did not give it back.
    SpoolDamaged = "spool_damaged",
    /// Longer than a datagram that has a chance to arrive, or longer than one that is taken.
    DatagramTooLong = "datagram_too_long",
    /// Somebody else said the same on that mesh before our turn came.
    SaidAlready = "said_already",
    /// A box that is our federate said it on a mesh: it comes by federation too, if it is for us.
    Overheard = "overheard",
    /// Longer than 64 KiB as a `TakMessage`, which is more than a neighbour that speaks TAK protocol v1 takes.
    NotInTak = "not_in_tak",
    /// More data packages than are held at once were announced.
    PackageQueue = "package_queue",
    /// A data package was announced and its bytes never came.
    PackageMissing = "package_missing",
    /// A data package is larger than `package_limit_mib` of the peer.
    PackageTooLarge = "package_too_large",
    /// A data package holds a file that `package_block_extensions` of the peer names.
    PackageBlocked = "package_blocked",
    /// The other end does not take the data package, or cannot.
    PackageRefused = "package_refused",
    /// A resource message (data package, mission) that nobody here takes.
    Resource = "resource",
    /// A data package longer than may cross.
    ResourceTooLarge = "resource_too_large",
    /// A resource message that cannot be read, or whose bytes are not those of its hash.
    BadResource = "bad_resource",
    /// The store, or the queue of a federate, had no room for a resource.
    ResourceRefused = "resource_refused",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Number of [`Reason`]s.
pub const REASONS: usize = Reason::ALL.len();

/// What one link has seen since the box started. Survives reconnects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events accepted from the neighbour.
    pub events_in: u64,
    /// Events handed to the neighbour's connection.
    pub events_out: u64,
    /// Events put into the neighbour's spool, because its link was down or had not caught up; what was found on the disk
    /// at the start is counted too.
    pub spooled: u64,
    /// Events handed to the neighbour's connection out of its spool, repetitions after a broken link included.
    pub replayed: u64,
    /// Events of the spool that are known to have arrived. Always
    /// `spooled = delivered + waiting + spool_full + spool_expired + spool_damaged`, until the spool is switched off.
    pub delivered: u64,
    /// Events from the neighbour whose times were moved into our clock.
    pub corrected: u64,
    /// Wall clock of the last message of any kind from the neighbour, milliseconds since 1970; 0 = never.
    pub last_heard_ms: i64,
    /// Wall clock of the last event accepted from or handed to the neighbour, milliseconds since 1970; 0 = never.
    pub last_event_ms: i64,
    dropped: Dropped,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Dropped([u64; REASONS]);

impl Default for Dropped {
    fn default() -> Self {
        Self([0; REASONS])
    }
}

impl Counters {
    /// Adds one to a reason.
    pub fn drop_one(&mut self, reason: Reason) {
        self.dropped.0[reason as usize] += 1;
    }

    /// Adds several to a reason.
    pub fn drop_many(&mut self, reason: Reason, count: u64) {
        self.dropped.0[reason as usize] += count;
    }

    /// Adds another's counts to these; of times, the later ones.
    pub fn add(&mut self, other: &Self) {
        let Self {
            events_in,
            events_out,
            spooled,
            replayed,
            delivered,
            corrected,
            last_heard_ms,
            last_event_ms,
            dropped,
        } = other;
        self.events_in += events_in;
        self.events_out += events_out;
        self.spooled += spooled;
        self.replayed += replayed;
        self.delivered += delivered;
        self.corrected += corrected;
        self.last_heard_ms = self.last_heard_ms.max(*last_heard_ms);
        self.last_event_ms = self.last_event_ms.max(*last_event_ms);
        for (mine, theirs) in self.dropped.0.iter_mut().zip(dropped.0) {
            *mine += theirs;
        }
    }

    /// How often a reason struck.
    pub fn dropped(&self, reason: Reason) -> u64 {
        self.dropped.0[reason as usize]
    }

    /// The reasons that struck, with their counts.
    pub fn reasons(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL
            .iter()
            .map(|&reason| (reason, self.dropped(reason)))
            .filter(|&(_, count)| count > 0)
    }
}
