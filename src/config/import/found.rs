//! What the configuration of another server comes to here.

use std::fmt;

use crate::config::address::peer_address;
use crate::config::environment::Setting;
use crate::config::settings::name_fault;
use crate::config::spec::PeerSpec;
use crate::config::written::Written;

/// What was found in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Federates.
    pub peers: Vec<PeerSpec>,
    /// Keys of the box itself.
    pub settings: Vec<Setting>,
    /// What is not taken over, each with its line and the reason, in words.
    pub left_out: Vec<String>,
    /// Federates that nothing tells from anybody else; they are not among `peers`.
    pub untrusted: Vec<String>,
}

/// A file that cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub fault: String,
    /// What to do about it.
    pub cure: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}; {}", self.line, self.fault, self.cure)
    }
}

impl Found {
    /// Says that something is not taken over, and why.
    pub fn leave(&mut self, line: usize, what: impl fmt::Display, why: impl fmt::Display) {
        self.left_out.push(format!("line {line}: {what}: {why}"));
    }

    /// Takes a federate, unless its name or address cannot be used.
    pub fn peer(&mut self, line: usize, mut peer: PeerSpec) {
        let what = format!("{:?}", peer.name);
        if let Some(fault) = name_fault(&peer.name) {
            return self.leave(line, what, format!("as a name of a peer {fault}"));
        }
        if self.peers.iter().any(|other| other.name == peer.name) {
            return self.leave(line, what, "another peer of this file has that name");
        }
        if let Some(address) = &peer.address {
            match peer_address(address) {
                Ok(whole) => peer.address = Some(whole),
                Err(fault) => {
                    return self.leave(line, what, format!("its address {address:?} {fault}"));
                }
            }
        }
        self.peers.push(peer);
    }

    /// Gives each federate that nothing tells from others the CA that somebody names for it; the rest is left out.
    pub fn trust(&mut self, authority: &dyn Fn(&str) -> Option<String>) {
        let mut trusted = Vec::new();
        for mut peer in std::mem::take(&mut self.peers) {
            if peer.ca_pem.is_none() && peer.fingerprint.is_none() {
                peer.ca_pem = authority(&peer.name);
            }
            match peer.ca_pem.is_some() || peer.fingerprint.is_some() {
                true => trusted.push(peer),
                false => self.untrusted.push(peer.name),
            }
        }
        self.peers = trusted;
    }
}

/// Sets a newer key of a federate.
pub fn set(peer: &mut PeerSpec, key: &str, value: Written) {
    peer.more.insert(key.to_owned(), value);
}

/// `host:port`, with brackets where the host has colons.
pub fn joined(host: &str, port: &str) -> String {
    let host = host.trim().trim_matches(['[', ']']);
    match host.contains(':') {
        true => format!("[{host}]:{}", port.trim()),
        false => format!("{host}:{}", port.trim()),
    }
}
