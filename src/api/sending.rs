//! What goes over the wire to a peer, and what was spared.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bytes to one federate since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendingStatus {
    /// Its byte budget as configured; none = without limit.
    pub rate: Option<String>,
    /// Bytes sent, the headers of TLS, HTTP/2 and TCP/IP included.
    pub bytes_out: u64,
    /// Bytes of events that were not sent because newer or more important ones took their place.
    pub thinned_bytes: u64,
    /// Bytes that packing saved.
    pub packed_bytes: u64,
    /// Events that wait for the link now.
    pub waiting: u64,
    /// For how long the track that waits longest has waited, milliseconds; none = no track waits.
    pub oldest_track_ms: Option<u64>,
}

impl fmt::Display for SendingStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.rate.as_deref().unwrap_or("no limit");
        write!(f, "{rate}: {} sent", bytes(self.bytes_out))?;
        if self.packed_bytes > 0 {
            write!(f, ", {} saved by packing", bytes(self.packed_bytes))?;
        }
        if self.thinned_bytes > 0 {
            write!(f, ", {} by thinning", bytes(self.thinned_bytes))?;
        }
        if self.waiting > 0 {
            write!(f, ", {} waiting", self.waiting)?;
        }
        if let Some(age) = self.oldest_track_ms {
            write!(f, ", oldest track {} s", age.div_ceil(1000))?;
        }
        Ok(())
    }
}

/// Bytes as people read them.
fn bytes(count: u64) -> String {
    match count {
        0..10_240 => format!("{count} B"),
        10_240..10_485_760 => format!("{} KiB", count / 1024),
        _ => format!("{} MiB", count / (1024 * 1024)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_said_in_words() {
        let mut sending = SendingStatus {
            rate: Some("9600 bit/s".into()),
            bytes_out: 9_000,
            thinned_bytes: 3_000_000,
            packed_bytes: 20_480,
            waiting: 480,
            oldest_track_ms: Some(41_001),
        };
        assert_eq!(
            sending.to_string(),
            "9600 bit/s: 9000 B sent, 20 KiB saved by packing, 2929 KiB by thinning, 480 waiting, oldest track 42 s"
        );
        sending = SendingStatus {
            bytes_out: 50 << 20,
            ..SendingStatus::default()
        };
        assert_eq!(sending.to_string(), "no limit: 50 MiB sent");
    }
}
