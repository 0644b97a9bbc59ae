//! Where the box listens, in `status --json`.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Addresses in use, with the ports that were really bound; none = off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenStatus {
    /// Plain CoT.
    pub clients_tcp: Option<SocketAddr>,
    /// CoT over mutual TLS.
    pub clients_tls: Option<SocketAddr>,
    /// Federation.
    pub federation: Vec<SocketAddr>,
    /// The HTTPS API.
    #[serde(default)]
    pub api: Option<SocketAddr>,
    /// FreeTAKServer's routes.
    #[serde(default)]
    pub freetakserver: Option<SocketAddr>,
    /// Data packages of federates.
    #[serde(default)]
    pub packages: Option<SocketAddr>,
}

impl ListenStatus {
    /// The port that federates are told.
    pub fn federation_port(&self) -> Option<u16> {
        self.federation.first().map(SocketAddr::port)
    }
}
