//! `tombolo.toml`: the settings, valid by construction.
//!
//! [`Config::load`] reads the file and checks everything that can be checked without a network; [`edit`] changes its
//! peers and leaves the rest, comments included, as it was written.

mod address;
pub mod authority;
pub mod candidate;
pub mod clock;
pub mod edit;
pub mod environment;
pub mod error;
pub mod federation;
pub mod filter;
mod groups;
pub mod import;
mod json_places;
pub mod layers;
pub mod led;
pub mod limits;
mod listeners;
pub mod mesh;
mod network;
mod networks;
pub mod packages;
pub mod parse;
mod peer_packages;
mod peers;
pub mod probe;
pub mod protocol;
pub mod rate;
mod raw;
mod reader;
pub mod schema;
pub mod secrets;
pub mod server;
pub mod settings;
pub mod spec;
pub mod suggest;
mod table;
pub mod template;
pub mod transaction;
pub mod uplinks;
pub mod written;

pub use address::{address_with, peer_address};
pub use clock::ClockSources;
pub use edit::EditError;
pub use error::ConfigError;
pub use filter::{Filter, Filters};
pub use groups::PeerGroups;
pub use led::{Led, LedPlace};
pub use limits::Limits;
pub use mesh::{Mesh, MeshForm};
pub use network::{LOCAL_NETWORK, NetworkSettings};
pub use packages::Packages;
pub use peer_packages::{PACKAGE_PORT, PeerPackages};
pub use protocol::{Flavour, Protocol};
pub use rate::Rate;
pub use server::{Auth, Server, ServerTls};
pub use settings::{Config, IdentityFiles, Listen, Peer};
pub use spec::{Cleared, PeerChange, PeerSpec};
pub use suggest::nearest;
pub use uplinks::Uplink;
pub use written::Written;
