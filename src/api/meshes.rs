//! How the meshes stand, in `status --json`.

use serde::{Deserialize, Serialize};

use super::parts::{Counts, PeerState};

/// One mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshStatus {
    /// Its name in the configuration.
    pub name: String,
    /// `waiting` for its interface, `connected` when its groups are joined, `flowing` when events cross.
    pub state: PeerState,
    /// Why it is no better, in words; empty when all is well.
    pub reason: String,
    /// The network interface.
    pub interface: String,
    /// Our address there; none while it is not joined.
    pub address: Option<String>,
    /// Group and port of positions.
    pub sa: String,
    /// Group and port of chat.
    pub chat: String,
    /// `xml` or `protobuf`: how we say things.
    pub form: String,
    /// What is heard is taken.
    pub incoming: bool,
    /// What we have is said.
    pub outgoing: bool,
    /// Events accepted from it since the start.
    pub events_in: u64,
    /// Events handed to it since the start; of these, `said_already` among `dropped` were left to another box.
    pub events_out: u64,
    /// When anything was last heard, RFC 3339.
    pub last_heard: Option<String>,
    /// Events that did not go on, by reason.
    pub dropped: Counts,
}

impl MeshStatus {
    /// Where it is, in words.
    pub fn place(&self) -> String {
        let address = match &self.address {
            Some(address) => format!("{} {address}", self.interface),
            None => self.interface.clone(),
        };
        let way = match (self.incoming, self.outgoing) {
            (true, true) => "",
            (true, false) => ", heard only",
            (false, true) => ", said only",
            (false, false) => ", both directions are off",
        };
        format!("on {address}, {} and {}{way}", self.sa, self.chat)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn example() -> MeshStatus {
        MeshStatus {
            name: "lan".into(),
            state: PeerState::Flowing,
            reason: String::new(),
            interface: "eth0".into(),
            address: Some("10.0.0.2".into()),
            sa: "239.2.3.1:6969".into(),
            chat: "224.10.10.1:17012".into(),
            form: "xml".into(),
            incoming: true,
            outgoing: false,
            events_in: 12,
            events_out: 0,
            last_heard: Some("2026-11-20T11:59:58.000Z".into()),
            dropped: Counts::from([("duplicate".into(), 3)]),
        }
    }

    #[test]
    fn the_place_is_said_in_words() {
        let mut mesh = example();
        assert_eq!(
            mesh.place(),
            "on eth0 10.0.0.2, 239.2.3.1:6969 and 224.10.10.1:17012, heard only"
        );
        (mesh.address, mesh.outgoing) = (None, true);
        assert_eq!(
            mesh.place(),
            "on eth0, 239.2.3.1:6969 and 224.10.10.1:17012"
        );
    }
}
