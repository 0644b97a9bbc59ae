//! Groups and local networks in `status --json`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The groups of one federate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerGroupsStatus {
    /// What it sends is put into these; none = all.
    pub inbound: Option<Vec<String>>,
    /// It gets what is in one of these; none = all.
    pub outbound: Option<Vec<String>>,
    /// Names of groups are told to it, and its own count.
    pub mapping: bool,
    /// The groups that it told of last; the first 16.
    pub remote: Vec<String>,
}

impl PeerGroupsStatus {
    /// In words; empty when nothing is configured and the peer says no more than TAK's default.
    pub fn words(&self) -> String {
        let list = |names: &Option<Vec<String>>| match names {
            None => "all".to_owned(),
            Some(names) if names.is_empty() => "none".to_owned(),
            Some(names) => names.join(", "),
        };
        let default = self.remote.iter().all(|name| name == "__ANON__");
        if self.inbound.is_none() && self.outbound.is_none() && !self.mapping && default {
            return String::new();
        }
        let mut words = format!(
            "groups: in {}, out {}",
            list(&self.inbound),
            list(&self.outbound)
        );
        if self.mapping {
            words += ", names mapped";
        }
        if !self.remote.is_empty() {
            words += &format!("; it tells of {}", self.remote.join(", "));
        }
        words
    }
}

/// One local network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkStatus {
    /// Its name.
    pub name: String,
    /// Its plain listener, with the port that was really bound.
    pub clients_tcp: Option<SocketAddr>,
    /// Its listener for mutual TLS.
    pub clients_tls: Option<SocketAddr>,
    /// Its clients connected now.
    pub clients: u32,
    /// Others get what it sends.
    pub incoming: bool,
    /// It gets what others send.
    pub outgoing: bool,
    /// What it sends to others is in these groups.
    pub inbound_groups: Vec<String>,
    /// It gets what others have in one of these.
    pub outbound_groups: Vec<String>,
    /// Events accepted from its clients since the start.
    pub events_in: u64,
    /// Events handed to its clients since the start.
    pub events_out: u64,
    /// Events of its clients, or for them, that did not go on, by reason.
    pub dropped: BTreeMap<String, u64>,
}

impl NetworkStatus {
    /// In words.
    pub fn words(&self) -> String {
        let listeners = [(self.clients_tcp, "plain"), (self.clients_tls, "TLS")];
        let listening: Vec<String> = listeners
            .iter()
            .filter_map(|(address, kind)| address.map(|address| format!("{address} ({kind})")))
            .collect();
        let direction = match (self.incoming, self.outgoing) {
            (true, true) => "",
            (true, false) => "; outgoing off: it gets nothing from others",
            (false, true) => "; incoming off: others get nothing from it",
            (false, false) => "; incoming and outgoing off: it is on its own",
        };
        let clients = match self.clients {
            1 => "1 client".to_owned(),
            clients => format!("{clients} clients"),
        };
        format!(
            "{}: {clients} at {}, {} events in, {} out{direction}",
            self.name,
            match listening.is_empty() {
                true => "no listener".to_owned(),
                false => listening.join(" and "),
            },
            self.events_in,
            self.events_out,
        )
    }
}
