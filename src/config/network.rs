//! A local network, as `[[network]]` sets it.

use std::net::SocketAddr;

/// The network of the clients of `[listen]`, and of whatever names none.
pub const LOCAL_NETWORK: &str = "local";

/// One local network: whoever is in it hears everybody else in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSettings {
    /// Unique name, 1 to 64 characters.
    pub name: String,
    /// What it sends to others is put into these groups.
    pub inbound_groups: Vec<String>,
    /// It gets what others have in one of these groups.
    pub outbound_groups: Vec<String>,
    /// A further listener for plain CoT, whose clients are in it.
    pub clients_tcp: Option<SocketAddr>,
    /// A further listener for CoT over mutual TLS, whose clients are in it.
    pub clients_tls: Option<SocketAddr>,
    /// Others get what it sends.
    pub incoming: bool,
    /// It gets what others send.
    pub outgoing: bool,
}

impl NetworkSettings {
    /// A network of that name, joined to everything.
    pub fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            inbound_groups: vec!["__ANON__".to_owned()],
            outbound_groups: vec!["__ANON__".to_owned()],
            clients_tcp: None,
            clients_tls: None,
            incoming: true,
            outgoing: true,
        }
    }
}
