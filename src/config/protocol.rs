//! Which federation protocol a `[[peer]]` speaks, and what is relaxed for one that cannot do better.

use toml::Spanned;

use super::error::ConfigError;
use super::raw::RawPeer;
use super::reader::Reader;

/// Which federation protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Protocol {
    /// gRPC over mutual TLS.
    #[default]
    V2,
    /// Length and message over mutual TLS.
    V1,
}

impl Protocol {
    /// As the configuration and `status` write it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V1 => "v1",
        }
    }
}

/// Who speaks federation v1 there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Flavour {
    /// TAK Server, Federation Hub, another box: nothing special.
    #[default]
    TakServer,
    /// FreeTAKServer: short frames with a gap between them, everything as XML.
    FreeTakServer,
}

const PROTOCOLS: [(&str, Protocol); 2] = [("v2", Protocol::V2), ("v1", Protocol::V1)];
const FLAVOURS: [(&str, Flavour); 2] = [
    ("takserver", Flavour::TakServer),
    ("freetakserver", Flavour::FreeTakServer),
];

/// What [`Reader::peer_protocol`] reads.
pub(super) struct Spoken {
    pub(super) protocol: Protocol,
    pub(super) flavour: Flavour,
    pub(super) legacy_no_client_certificate: bool,
}

impl Reader<'_> {
    pub(super) fn peer_protocol(&self, raw: &RawPeer) -> Result<Spoken, ConfigError> {
        let protocol = self.one_of("protocol", &raw.protocol, &PROTOCOLS, "v2\" or \"v1")?;
        let flavours = "takserver\" or \"freetakserver";
        let flavour = self.one_of("flavour", &raw.flavour, &FLAVOURS, flavours)?;
        let only_v1 = |at: std::ops::Range<usize>, key| {
            let fault = "says something about federation v1, and this peer speaks v2";
            let cure = "write protocol = \"v1\" beside it, or take it out";
            Err(self.bad(&Spanned::new(at, ()), key, fault, cure))
        };
        if protocol == Protocol::V2 {
            if let Some(written) = &raw.flavour {
                return only_v1(written.span(), "flavour");
            }
            if let Some(written) = &raw.legacy_no_client_certificate {
                return only_v1(written.span(), LEGACY);
            }
        }
        let legacy = raw.legacy_no_client_certificate.as_ref();
        let legacy = legacy.filter(|written| *written.get_ref());
        if let Some(written) = legacy {
            let (fault, cure) = match (&raw.fingerprint, &raw.ca_cert) {
                (None, _) => (
                    "the peer is then known by its `fingerprint` alone, and has none",
                    "write the SHA-256 of its certificate: openssl x509 -in server.pem -noout -fingerprint -sha256",
                ),
                (Some(_), Some(_)) => (
                    "the peer is then known by its `fingerprint` alone, and `ca_cert` is not looked at",
                    "take `ca_cert` out; or, if its certificates are in order, this key",
                ),
                (Some(_), None) => ("", ""),
            };
            if !fault.is_empty() {
                return Err(self.bad(written, LEGACY, fault, cure));
            }
        }
        Ok(Spoken {
            protocol,
            flavour,
            legacy_no_client_certificate: legacy.is_some(),
        })
    }

    fn one_of<T: Copy + Default>(
        &self,
        key: &'static str,
        written: &Option<Spanned<String>>,
        words: &[(&str, T)],
        all: &str,
    ) -> Result<T, ConfigError> {
        let Some(written) = written else {
            return Ok(T::default());
        };
        let text = written.get_ref().as_str();
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(*value),
            None => {
                let cure = format!("write \"{all}\"");
                Err(self.bad(written, key, format!("\"{text}\" is unknown"), &cure))
            }
        }
    }
}

const LEGACY: &str = "legacy_no_client_certificate";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Peer};

    fn parsed(keys: &str) -> Result<Peer, String> {
        let fingerprint = format!("SHA256:{}", "AB".repeat(32));
        let text = format!(
            "[[peer]]\nname = \"fts\"\n{}\n",
            keys.replace("PIN", &fingerprint)
        );
        let config = Config::parse(&text, Path::new("")).map_err(|error| error.to_string())?;
        Ok(config.peers[0].clone())
    }

    #[test]
    fn a_peer_speaks_v2_and_nothing_is_relaxed_unless_it_is_written() {
        let peer = parsed("fingerprint = \"PIN\"").unwrap();
        assert_eq!(
            (peer.protocol, peer.flavour),
            (Protocol::V2, Flavour::TakServer)
        );
        assert_eq!(peer.relaxed(), None);
        let plain = parsed("fingerprint = \"PIN\"\nprotocol = \"v1\"").unwrap();
        assert_eq!((plain.protocol, plain.relaxed()), (Protocol::V1, None));
        let peer = parsed(
            "fingerprint = \"PIN\"\nprotocol = \"v1\"\nflavour = \"freetakserver\"\nlegacy_no_client_certificate = true",
        )
        .unwrap();
        assert_eq!(peer.flavour, Flavour::FreeTakServer);
        assert!(
            peer.relaxed()
                .unwrap()
                .contains("fingerprint and dates alone")
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_cure() {
        let ca = crate::config::authority::tests::certificate("fts", true);
        for (keys, part) in [
            (
                "fingerprint = \"PIN\"\nprotocol = \"v3\"".to_owned(),
                "write \"v2\" or \"v1\"",
            ),
            (
                "fingerprint = \"PIN\"\nflavour = \"freetakserver\"".to_owned(),
                "write protocol = \"v1\" beside it",
            ),
            (
                "fingerprint = \"PIN\"\nlegacy_no_client_certificate = true".to_owned(),
                "this peer speaks v2",
            ),
            (
                format!(
                    "ca_cert = \"\"\"\n{ca}\"\"\"\nprotocol = \"v1\"\nlegacy_no_client_certificate = true"
                ),
                "`fingerprint` alone, and has none",
            ),
            (
                format!(
                    "fingerprint = \"PIN\"\nca_cert = \"\"\"\n{ca}\"\"\"\nprotocol = \"v1\"\nlegacy_no_client_certificate = true"
                ),
                "take `ca_cert` out",
            ),
        ] {
            let refused = parsed(&keys).unwrap_err();
            assert!(refused.contains(part), "{part}: {refused}");
        }
    }
}
