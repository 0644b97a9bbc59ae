//! The offer of TAK protocol v1 to a TLS client, and what comes of it (protocol reference 6.2).

use std::net::SocketAddr;

use ring::rand::{SecureRandom, SystemRandom};

use crate::cot::tak::negotiation;
use crate::link::hub::{Hub, Port};
use crate::link::ingest::{Heed, Piece};
use crate::route::Verdict;
use crate::wire::tak::framing;
use crate::wire::xml;

/// What one client was offered.
#[derive(Debug)]
pub(super) struct Offer {
    /// The offer's uid, which its answer has too.
    uid: u128,
    /// The client's address, for the log.
    address: SocketAddr,
}

impl Offer {
    /// Sends the offer, before anything else.
    pub(super) fn make(port: &Port, hub: &Hub, address: SocketAddr) -> Self {
        let uid = fresh();
        port.put_first(&negotiation::offer(&uuid(uid), hub.now().wall_ms));
        Self { uid, address }
    }

    /// Hands a piece over, and answers it if it is the client's question.
    pub(super) fn hear(&self, piece: Piece<'_>, port: &Port, hub: &Hub) -> Heed {
        let Piece::Xml(xml) = piece else {
            return Heed::Pass;
        };
        // The router keeps such a question for itself, and hardly anything else.
        if port.receive_xml(xml) != Verdict::Consumed {
            return Heed::Keep;
        }
        let Some(version) = xml::parse(xml)
            .ok()
            .and_then(|event| negotiation::requested(&event))
        else {
            return Heed::Keep;
        };
        let address = self.address;
        let yes = version == framing::VERSION;
        let answer = negotiation::answer(&uuid(self.uid), yes, hub.now().wall_ms);
        if yes {
            port.switch_to_tak(&answer);
            tracing::info!(%address, "client {address} speaks TAK protocol {version} from now on");
            return Heed::Switch;
        }
        port.put_first(&answer);
        tracing::info!(
            %address,
            "client {address} asked for TAK protocol {version} and stays with XML: version {} is spoken here",
            framing::VERSION
        );
        Heed::Keep
    }
}

fn fresh() -> u128 {
    let mut bytes = [0u8; 16];
    // Two offers of one uid would confuse nobody: each is on a connection of its own.
    let _ = SystemRandom::new().fill(&mut bytes);
    u128::from_be_bytes(bytes)
}

/// A random number as UUID (version 4).
fn uuid(random: u128) -> String {
    let bits = random & !(0xf << 76) & !(0x3 << 62) | 4 << 76 | 2 << 62;
    let hex = format!("{bits:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    parts
        .map(|part| hex.get(part).unwrap_or_default())
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_looks_like_one() {
        let random = fresh();
        let uuid = uuid(random);
        let dashes: Vec<usize> = uuid.match_indices('-').map(|(at, _)| at).collect();
        assert_eq!((uuid.len(), dashes.as_slice()), (36, &[8, 13, 18, 23][..]));
        assert_eq!(&uuid[14..15], "4");
        assert!(matches!(&uuid[19..20], "8" | "9" | "a" | "b"), "{uuid}");
        assert_ne!(random, fresh());
    }
}
