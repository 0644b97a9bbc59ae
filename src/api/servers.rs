//! How the logins at TAK servers stand, in `status --json`.

use serde::{Deserialize, Serialize};

use super::parts::{Counts, PeerState, Proven};

/// One server at which the box logs in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Its name in the configuration.
    pub name: String,
    /// The local network that it belongs to; none: that of `[listen]`'s clients.
    pub network: Option<String>,
    /// How the login stands. `flowing`: an event crossed within the last minute, or it answered a ping within the last
    /// 150 s.
    pub state: PeerState,
    /// Why it is no better, in words; empty when all is well.
    pub reason: String,
    /// Which step stops it, in one word, as for peers; none while nothing does.
    pub stopped_by: Option<String>,
    /// The last ping that was answered on this connection.
    pub proven: Option<Proven>,
    /// Where it is, or where it was reached last.
    pub address: String,
    /// The connection is TLS.
    pub tls: bool,
    /// What is spoken: `xml`, or `tak` (TAK protocol v1) where the server offered it.
    pub protocol: String,
    /// Not paused.
    pub enabled: bool,
    /// Users there whom we heard and who have not left.
    pub users: u32,
    /// Events accepted from it since the start.
    pub events_in: u64,
    /// Events handed to its connection since the start.
    pub events_out: u64,
    /// Events per second from it, over the last seconds.
    pub rate_in: f64,
    /// Events per second to it, over the last seconds.
    pub rate_out: f64,
    /// When it last said anything, RFC 3339.
    pub last_heard: Option<String>,
    /// Events that did not go on, by reason.
    pub dropped: Counts,
}
