//! The federation messages off the hot path, as prost structs written by hand from protocol reference 1.2.
//!
//! Events on their way through the box are never decoded into these: [`FederatedEvent`] and what it holds are here for
//! the tests (an independent reading of our own encoder) and for tools.

use prost::{Enumeration, Message};

/// What a node says about itself.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Identity {
    /// The node's name; TAK Server refuses an empty one.
    #[prost(string, tag = "1")]
    pub name: String,
    /// New for each connection: 32 hex digits.
    #[prost(string, tag = "2")]
    pub uid: String,
    /// Free text.
    #[prost(string, tag = "3")]
    pub description: String,
    /// Hub or server; unset reads as a hub's server, which changes a hub's hop arithmetic (protocol reference 1.4).
    #[prost(enumeration = "ConnectionType", tag = "4")]
    pub r#type: i32,
    /// The stable federate id.
    #[prost(string, tag = "5")]
    pub server_id: String,
}

/// Which kind of node stands at which end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum ConnectionType {
    /// A federation hub that was dialled.
    FederationHubServer = 0,
    /// A federation hub that dials.
    FederationHubClient = 1,
    /// A server that was dialled.
    FederationTakServer = 2,
    /// A server that dials.
    FederationTakClient = 3,
}

/// The first message of most streams: who is asking.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Subscription {
    /// Who is asking.
    #[prost(message, optional, tag = "1")]
    pub identity: Option<Identity>,
    /// Read by nobody.
    #[prost(string, tag = "2")]
    pub filter: String,
    /// Decides whether a health check ever ends (protocol reference 1.4).
    #[prost(message, optional, tag = "3")]
    pub version: Option<TakServerVersion>,
}

/// A release number.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct TakServerVersion {
    /// Must be above zero, or the peer's health checks never end.
    #[prost(int64, tag = "1")]
    pub major: i64,
    /// Second number.
    #[prost(int64, tag = "2")]
    pub minor: i64,
    /// Third number.
    #[prost(int64, tag = "3")]
    pub patch: i64,
    /// Branch of the source.
    #[prost(string, tag = "4")]
    pub branch: String,
    /// Variant of the build.
    #[prost(string, tag = "5")]
    pub variant: String,
}

/// The question of a health check.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct ClientHealth {
    /// How the asker is.
    #[prost(enumeration = "Health", tag = "1")]
    pub status: i32,
}

/// The answer of a health check.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct ServerHealth {
    /// How the answerer is.
    #[prost(enumeration = "Health", tag = "1")]
    pub status: i32,
}

/// Health of one end. `NotConnected` is only ever an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum Health {
    /// Not said.
    Unknown = 0,
    /// Well.
    Serving = 1,
    /// Not well.
    NotServing = 2,
    /// The asker has no ClientEventStream here.
    NotConnected = 3,
}

/// The groups a node gives and takes.
#[derive(Clone, PartialEq, Message)]
pub struct FederateGroups {
    /// SERVING in the one message that opens the peer's ServerEventStream; unset in all others.
    #[prost(message, optional, tag = "1")]
    pub stream_update: Option<ServerHealth>,
    /// Group names, case-sensitive. (Field 2 here, field 3 in events.)
    #[prost(string, repeated, tag = "2")]
    pub federate_groups: Vec<String>,
    /// Nodes it passed.
    #[prost(message, repeated, tag = "3")]
    pub federate_provenance: Vec<FederateProvenance>,
    /// Hops so far and allowed.
    #[prost(message, optional, tag = "4")]
    pub federate_hops: Option<FederateHops>,
    /// One per origin; only hubs write and read it.
    #[prost(message, repeated, tag = "5")]
    pub nested_groups: Vec<FederateGroups>,
    /// Hops per group.
    #[prost(message, optional, tag = "6")]
    pub federate_group_hop_limits: Option<FederateGroupHopLimits>,
}

/// A node that a message passed.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FederateProvenance {
    /// Its stable id.
    #[prost(string, tag = "1")]
    pub federation_server_id: String,
    /// Its name; TAK Server leaves it empty.
    #[prost(string, tag = "2")]
    pub federation_server_name: String,
}

/// Hops of one message. A `max_hops` of 0 makes a hub drop it (protocol reference 1.6).
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct FederateHops {
    /// Allowed; -1 = without limit.
    #[prost(int64, tag = "1")]
    pub max_hops: i64,
    /// So far.
    #[prost(int64, tag = "2")]
    pub current_hops: i64,
}

/// Hops within one group.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FederateGroupHopLimit {
    /// The group.
    #[prost(string, tag = "1")]
    pub group_name: String,
    /// Allowed; -1 = without limit.
    #[prost(int64, tag = "2")]
    pub max_hops: i64,
    /// So far.
    #[prost(int64, tag = "3")]
    pub current_hops: i64,
}

/// Hops per group.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct FederateGroupHopLimits {
    /// One entry per group.
    #[prost(message, repeated, tag = "1")]
    pub limits: Vec<FederateGroupHopLimit>,
    /// Whether any limit is configured.
    #[prost(bool, tag = "2")]
    pub use_federate_group_hop_limits: bool,
}

/// Adds, changes or removes a contact (protocol reference 1.9).
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ContactListEntry {
    /// What to do.
    #[prost(enumeration = "Crud", tag = "1")]
    pub operation: i32,
    /// The contact's uid.
    #[prost(string, tag = "2")]
    pub uid: String,
    /// Its callsign; in a DELETE its CoT type.
    #[prost(string, tag = "3")]
    pub callsign: String,
    /// Never used by the server.
    #[prost(string, tag = "4")]
    pub phone: String,
    /// Never used by the server.
    #[prost(string, tag = "5")]
    pub sip: String,
    /// Never used by the server.
    #[prost(string, tag = "6")]
    pub direct_connect: String,
}

/// What to do with a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum Crud {
    /// No contact at all.
    Invalid = 0,
    /// New.
    Create = 1,
    /// Ignored by every receiver.
    Read = 2,
    /// Handled like [`Crud::Create`].
    Update = 3,
    /// Gone.
    Delete = 4,
}

/// Bytes with a label.
#[derive(Clone, PartialEq, Message)]
pub struct BinaryBlob {
    /// What they are.
    #[prost(enumeration = "BinaryType", tag = "1")]
    pub r#type: i32,
    /// The bytes.
    #[prost(bytes = "bytes", tag = "2")]
    pub data: bytes::Bytes,
    /// Name of the file.
    #[prost(string, tag = "3")]
    pub filename: String,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "4")]
    pub timestamp: i64,
    /// Free text.
    #[prost(string, tag = "5")]
    pub description: String,
    /// Nodes it passed.
    #[prost(message, repeated, tag = "6")]
    pub federate_provenance: Vec<FederateProvenance>,
    /// Hops so far and allowed.
    #[prost(message, optional, tag = "7")]
    pub federate_hops: Option<FederateHops>,
    /// Hops per group.
    #[prost(message, optional, tag = "8")]
    pub federate_group_hop_limits: Option<FederateGroupHopLimits>,
}

/// What the bytes of a [`BinaryBlob`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
pub enum BinaryType {
    /// Nothing.
    Empty = 0,
    /// Anything else.
    Other = 1,
    /// A picture.
    Image = 2,
}

/// A resource or mission operation. On their way through the box they are never decoded into this, but read by
/// [`super::rol`].
#[derive(Clone, PartialEq, Message)]
pub struct Rol {
    /// The operation, ending with `;` (protocol reference 3.3).
    #[prost(string, tag = "1")]
    pub program: String,
    /// Files.
    #[prost(message, repeated, tag = "2")]
    pub payload: Vec<BinaryBlob>,
    /// Groups it is for.
    #[prost(string, repeated, tag = "3")]
    pub federate_groups: Vec<String>,
    /// Nodes it passed.
    #[prost(message, repeated, tag = "4")]
    pub federate_provenance: Vec<FederateProvenance>,
    /// Hops so far and allowed.
    #[prost(message, optional, tag = "5")]
    pub federate_hops: Option<FederateHops>,
    /// Hops per group.
    #[prost(message, optional, tag = "6")]
    pub federate_group_hop_limits: Option<FederateGroupHopLimits>,
}

/// No fields.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Empty {}

/// An event, a contact, both or neither.
#[derive(Clone, PartialEq, Message)]
pub struct FederatedEvent {
    /// The event.
    #[prost(message, optional, tag = "1")]
    pub event: Option<GeoEvent>,
    /// The contact.
    #[prost(message, optional, tag = "2")]
    pub contact: Option<ContactListEntry>,
    /// Groups it is for.
    #[prost(string, repeated, tag = "3")]
    pub federate_groups: Vec<String>,
    /// Nodes it passed.
    #[prost(message, repeated, tag = "4")]
    pub federate_provenance: Vec<FederateProvenance>,
    /// Hops so far and allowed.
    #[prost(message, optional, tag = "5")]
    pub federate_hops: Option<FederateHops>,
    /// Hops per group.
    #[prost(message, optional, tag = "6")]
    pub federate_group_hop_limits: Option<FederateGroupHopLimits>,
}

/// One CoT event. Times in milliseconds since 1970.
#[derive(Clone, PartialEq, Message)]
pub struct GeoEvent {
    /// event@time.
    #[prost(int64, tag = "1")]
    pub send_time: i64,
    /// event@start.
    #[prost(int64, tag = "2")]
    pub start_time: i64,
    /// event@stale.
    #[prost(int64, tag = "3")]
    pub stale_time: i64,
    /// Degrees. The five doubles are optional here so that a zero on the wire can be told from none (very old peers
    /// require them, protocol reference 1.2).
    #[prost(double, optional, tag = "4")]
    pub lat: Option<f64>,
    /// Degrees.
    #[prost(double, optional, tag = "5")]
    pub lon: Option<f64>,
    /// Metres above the ellipsoid.
    #[prost(double, optional, tag = "6")]
    pub hae: Option<f64>,
    /// Circular error, metres.
    #[prost(double, optional, tag = "7")]
    pub ce: Option<f64>,
    /// Linear error, metres.
    #[prost(double, optional, tag = "8")]
    pub le: Option<f64>,
    /// event@uid.
    #[prost(string, tag = "9")]
    pub uid: String,
    /// event@type.
    #[prost(string, tag = "10")]
    pub r#type: String,
    /// event@how.
    #[prost(string, tag = "11")]
    pub coord_source: String,
    /// The whole `<detail>` element as XML.
    #[prost(string, tag = "12")]
    pub other: String,
    /// status@battery.
    #[prost(int32, tag = "13")]
    pub battery: i32,
    /// precisionlocation@geopointsrc.
    #[prost(string, tag = "14")]
    pub ploc: String,
    /// precisionlocation@altsrc.
    #[prost(string, tag = "15")]
    pub palt: String,
    /// Never set nor read.
    #[prost(string, tag = "16")]
    pub screen_name: String,
    /// Never set nor read.
    #[prost(string, tag = "17")]
    pub group_name: String,
    /// Never set nor read.
    #[prost(string, tag = "18")]
    pub group_role: String,
    /// Never set nor read.
    #[prost(string, tag = "19")]
    pub phone: String,
    /// track@speed.
    #[prost(double, tag = "20")]
    pub speed: f64,
    /// track@course.
    #[prost(double, tag = "21")]
    pub course: f64,
    /// The decoded `<image>`.
    #[prost(message, optional, tag = "22")]
    pub binary: Option<BinaryBlob>,
    /// marti/dest@uid.
    #[prost(string, repeated, tag = "23")]
    pub ptp_uids: Vec<String>,
    /// marti/dest@callsign.
    #[prost(string, repeated, tag = "24")]
    pub ptp_callsigns: Vec<String>,
    /// Data feed.
    #[prost(string, tag = "25")]
    pub feed_uid: String,
    /// marti/dest@mission.
    #[prost(string, repeated, tag = "26")]
    pub mission_names: Vec<String>,
    /// event@access.
    #[prost(string, tag = "27")]
    pub access: String,
    /// event@caveat.
    #[prost(string, tag = "28")]
    pub caveat: String,
    /// event@releasableTo.
    #[prost(string, tag = "29")]
    pub releaseable_to: String,
    /// Opaque payloads.
    #[prost(message, repeated, tag = "30")]
    pub bloads: Vec<BinaryPayload>,
}

/// An opaque payload of an event.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct BinaryPayload {
    /// What it is.
    #[prost(string, tag = "1")]
    pub r#type: String,
    /// Of which version.
    #[prost(string, tag = "2")]
    pub version: String,
    /// The bytes.
    #[prost(bytes = "bytes", tag = "3")]
    pub data: bytes::Bytes,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "4")]
    pub timestamp: i64,
    /// Its id.
    #[prost(string, tag = "5")]
    pub uuid: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_numbers_are_those_of_the_reference() {
        let subscription = Subscription {
            identity: Some(Identity {
                name: "a".into(),
                uid: "b".into(),
                description: String::new(),
                r#type: ConnectionType::FederationTakClient.into(),
                server_id: "c".into(),
            }),
            filter: String::new(),
            version: Some(TakServerVersion {
                major: 5,
                minor: 7,
                ..TakServerVersion::default()
            }),
        };
        let expected = [
            0x0a, 11, 0x0a, 1, b'a', 0x12, 1, b'b', 0x20, 3, 0x2a, 1, b'c', // identity
            0x1a, 4, 0x08, 5, 0x10, 7, // version
        ];
        assert_eq!(subscription.encode_to_vec(), expected);
    }

    #[test]
    fn minus_one_hop_is_ten_bytes_long_and_a_zero_latitude_is_written() {
        let hops = FederateHops {
            max_hops: -1,
            current_hops: 1,
        };
        assert_eq!(hops.encode_to_vec().len(), 1 + 10 + 2);
        let event = GeoEvent {
            lat: Some(0.0),
            ..GeoEvent::default()
        };
        assert_eq!(event.encode_to_vec(), [0x21, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}
