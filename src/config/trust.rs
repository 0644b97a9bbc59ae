//! How a peer proves itself, beyond its CA and its certificate.

use std::fmt;
use std::path::PathBuf;

use toml::Spanned;

use super::error::ConfigError;
use super::raw::RawPeer;
use super::reader::Reader;
use super::subnet::Subnet;
use crate::files;
use crate::pki::crl;
use crate::pki::fingerprint::NotAFingerprint;
use crate::pki::{Fingerprint, revocations};

/// Most entries of each list.
const MOST_LISTED: usize = 16;
/// Shortest and longest secret, bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 12..=256;
/// Never a secret: the default of others.
const NO_SECRETS: [&str; 3] = ["defaultpass", "atakatak", "changeit"];

const FINGERPRINT_CURE: &str =
    "64 hex digits as `openssl x509 -noout -fingerprint -sha256` prints them";

/// What a peer must show beside a chain of its CA.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerTrust {
    /// SHA-256 of its CA.
    pub ca_pin: Option<Fingerprint>,
    /// Further leaves that it may show: the old one and the new one, while it renews.
    pub fingerprints: Vec<Fingerprint>,
    /// Leaves that nobody may show.
    pub denied: Vec<Fingerprint>,
    /// What its CA took back.
    pub crl: Option<PathBuf>,
    /// From where it may connect; empty: from everywhere.
    pub sources: Vec<Subnet>,
    /// What both sides know and nobody else.
    pub secret: Option<Secret>,
}

/// What both sides know and nobody else. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// A secret, as long as it has to be.
    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Reader<'_> {
    /// `ca_pin`, `fingerprints`, `denied_fingerprints`, `crl`, `source_addresses`, `secret`, `secret_file`.
    pub(super) fn trust(
        &self,
        raw: &RawPeer,
        authorities: &[rustls_pki_types::CertificateDer<'static>],
    ) -> Result<PeerTrust, ConfigError> {
        let trust = PeerTrust {
            ca_pin: match &raw.ca_pin {
                None => None,
                Some(text) => Some(self.fingerprint("ca_pin", text, text.get_ref())?),
            },
            fingerprints: self.fingerprints("fingerprints", &raw.fingerprints)?,
            denied: self.fingerprints("denied_fingerprints", &raw.denied_fingerprints)?,
            crl: match &raw.crl {
                None => None,
                Some(path) => Some(self.crl(path, authorities)?),
            },
            sources: self.subnets("source_addresses", &raw.source_addresses)?,
            secret: self.secret(raw)?,
        };
        if let (Some(pin), Some(written)) = (trust.ca_pin, &raw.ca_pin)
            && !authorities.is_empty()
            && authorities.iter().all(|one| Fingerprint::of(one) != pin)
        {
            let has: Vec<String> = (authorities.iter())
                .map(|one| Fingerprint::of(one).to_string())
                .collect();
            return Err(self.bad(
                written,
                "ca_pin",
                format!(
                    "is not the fingerprint of `ca_cert`, which is {}",
                    has.join(", ")
                ),
                "one of both is wrong: ask the peer's administrator, by telephone",
            ));
        }
        Ok(trust)
    }

    fn fingerprint<T>(
        &self,
        key: &'static str,
        at: &Spanned<T>,
        text: &str,
    ) -> Result<Fingerprint, ConfigError> {
        text.parse().map_err(|error: NotAFingerprint| {
            self.bad(at, key, error.to_string(), FINGERPRINT_CURE)
        })
    }

    fn fingerprints(
        &self,
        key: &'static str,
        written: &Option<Spanned<Vec<String>>>,
    ) -> Result<Vec<Fingerprint>, ConfigError> {
        let Some(list) = written else {
            return Ok(Vec::new());
        };
        self.not_too_many(key, list)?;
        let one = |text: &String| self.fingerprint(key, list, text);
        list.get_ref().iter().map(one).collect()
    }

    /// Ranges of addresses.
    pub(super) fn subnets(
        &self,
        key: &'static str,
        written: &Option<Spanned<Vec<String>>>,
    ) -> Result<Vec<Subnet>, ConfigError> {
        let Some(list) = written else {
            return Ok(Vec::new());
        };
        self.not_too_many(key, list)?;
        let one = |text: &String| {
            text.parse().map_err(|error: super::subnet::NotASubnet| {
                let cure = "write addresses such as \"203.0.113.7\" or \"203.0.113.0/24\"";
                self.bad(list, key, format!("\"{text}\" {error}"), cure)
            })
        };
        list.get_ref().iter().map(one).collect()
    }

    fn not_too_many(
        &self,
        key: &'static str,
        list: &Spanned<Vec<String>>,
    ) -> Result<(), ConfigError> {
        match list.get_ref().len() {
            count if count > MOST_LISTED => Err(self.bad(
                list,
                key,
                format!("has {count} entries"),
                format!("write {MOST_LISTED} at most"),
            )),
            _ => Ok(()),
        }
    }

    fn crl(
        &self,
        written: &Spanned<String>,
        authorities: &[rustls_pki_types::CertificateDer<'static>],
    ) -> Result<PathBuf, ConfigError> {
        if authorities.is_empty() {
            let cure = "give `ca_cert` too: by it the list's signature is judged";
            return Err(self.bad(written, "crl", "stands without `ca_cert`", cure));
        }
        let path = self.resolve(written.get_ref());
        match revocations::load(&path, authorities) {
            Ok(_) => Ok(path),
            Err(fault) => Err(self.bad(
                written,
                "crl",
                format!("{} {fault}", path.display()),
                format!(
                    "a list of at most {} KiB, signed by `ca_cert`",
                    crl::MOST_BYTES / 1024
                ),
            )),
        }
    }

    fn secret(&self, raw: &RawPeer) -> Result<Option<Secret>, ConfigError> {
        let cure = "take 12 to 256 characters that nobody can guess, the same on both sides: `openssl rand -base64 24`";
        let (key, written, text) = match (&raw.secret, &raw.secret_file) {
            (None, None) => return Ok(None),
            (Some(_), Some(written)) => {
                let cure = "give one of both";
                return Err(self.bad(written, "secret_file", "stands beside `secret`", cure));
            }
            (Some(written), None) => ("secret", written, written.get_ref().clone()),
            (None, Some(written)) => {
                let path = self.resolve(written.get_ref());
                let text = files::read_bounded(&path, 4096)
                    .map_err(|error| files::fault(&error))
                    .and_then(|bytes| {
                        String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
                    });
                let text = text.map_err(|fault| {
                    let fault = format!("{} cannot be read: {fault}", path.display());
                    self.bad(
                        written,
                        "secret_file",
                        fault,
                        "give a path relative to this file",
                    )
                })?;
                ("secret_file", written, text)
            }
        };
        let text = text.trim();
        if NO_SECRETS
            .iter()
            .any(|known| text.eq_ignore_ascii_case(known))
        {
            let fault = format!("\"{text}\" is a default that everybody knows");
            return Err(self.bad(written, key, fault, cure));
        }
        if !SECRET_BYTES.contains(&text.len()) {
            let fault = format!("has {} bytes", text.len());
            return Err(self.bad(written, key, fault, cure));
        }
        if raw
            .protocol
            .as_ref()
            .is_some_and(|protocol| protocol.get_ref() == "v1")
        {
            let fault = "cannot be proven over federation v1";
            let cure = "take it out: only two boxes can prove it, over federation v2";
            return Err(self.bad(written, key, fault, cure));
        }
        Ok(Some(Secret(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;
    use crate::config::authority::tests::certificate;

    fn peer(rest: &str, directory: &Path) -> Result<PeerTrust, String> {
        let text = format!("[[peer]]\nname = \"bravo\"\n{rest}\n");
        let config = Config::parse(&text, directory).map_err(|error| error.to_string())?;
        Ok(config.peers[0].trust.clone())
    }

    #[test]
    fn every_key_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let pin = "ab:".repeat(31) + "ab";
        std::fs::write(directory.path().join("secret"), "correct horse battery\n").unwrap();
        let trust = peer(
            &format!(
                "ca_pin = \"sha256 Fingerprint={pin}\"\nfingerprints = [\"{pin}\"]\ndenied_fingerprints = \
                 [\"{pin}\"]\nsource_addresses = [\"203.0.113.0/24\", \"::1\"]\nsecret_file = \"secret\""
            ),
            directory.path(),
        )
        .unwrap();
        let fingerprint = Fingerprint([0xab; 32]);
        assert_eq!(trust.ca_pin, Some(fingerprint));
        assert_eq!(
            (trust.fingerprints, trust.denied),
            (vec![fingerprint], vec![fingerprint])
        );
        assert_eq!(trust.sources.len(), 2);
        let secret = trust.secret.unwrap();
        assert_eq!(secret.bytes(), b"correct horse battery");
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }

    #[test]
    fn mistakes_name_their_cure() {
        let directory = tempfile::tempdir().unwrap();
        let pin = "ab".repeat(32);
        let ca = certificate("bravo", true);
        std::fs::write(directory.path().join("ca.pem"), &ca).unwrap();
        let known = format!("fingerprint = \"{pin}\"\n");
        let with = |line: &str| format!("{known}{line}");
        for (rest, words) in [
            (
                String::new(),
                "neither `ca_cert` nor `fingerprint` nor `ca_pin`",
            ),
            ("ca_pin = \"AB\"".to_owned(), "64 hex digits"),
            (
                format!("ca_cert = \"ca.pem\"\nca_pin = \"{pin}\""),
                "is not the fingerprint of `ca_cert`",
            ),
            (with("crl = \"x.crl\""), "stands without `ca_cert`"),
            (
                with("ca_cert = \"ca.pem\"\ncrl = \"x.crl\""),
                "there is no such file",
            ),
            (
                with("ca_cert = \"ca.pem\"\ncrl = \"ca.pem\""),
                "holds a certificate, not a revocation list",
            ),
            (with("source_addresses = [\"host\"]"), "no IP address"),
            (with("secret = \"short\""), "has 5 bytes"),
            (with("secret = \"DefaultPass\""), "everybody knows"),
            (with("secret_file = \"none\""), "there is no such file"),
            (
                with("secret = \"correct horse battery\"\nprotocol = \"v1\""),
                "cannot be proven over federation v1",
            ),
            (
                with("secret = \"correct horse battery\"\nsecret_file = \"x\""),
                "stands beside `secret`",
            ),
            (
                with(&format!(
                    "fingerprints = [{}]",
                    format!("\"{pin}\",").repeat(17)
                )),
                "write 16 at most",
            ),
        ] {
            let error = peer(&rest, directory.path()).unwrap_err();
            assert!(error.contains(words), "{rest}: {error}");
        }
        let listen = Config::parse("[listen]\nfederation_allow = [\"x\"]", directory.path());
        assert!(listen.unwrap_err().to_string().contains("federation_allow"));
    }

    #[test]
    fn a_ca_may_come_as_der_or_in_a_keystore() {
        let directory = tempfile::tempdir().unwrap();
        let load = |bytes: &[u8]| {
            std::fs::write(directory.path().join("ca"), bytes).unwrap();
            let text = "[[peer]]\nname = \"b\"\nca_cert = \"ca\"\n";
            Config::parse(text, directory.path()).map_err(|error| error.to_string())
        };
        let store = include_bytes!("../pki/jks/truststore.jks");
        let config = load(store).unwrap();
        assert_eq!(config.peers[0].authorities.len(), 1);
        let der = config.peers[0].authorities[0].to_vec();
        assert_eq!(load(&der).unwrap().peers[0].authorities[0].to_vec(), der);
        // Of a keystore with a key only the CA counts.
        let keystore = include_bytes!("../pki/jks/keystore.jks");
        assert_eq!(
            load(keystore).unwrap().peers[0].authorities[0].to_vec(),
            der
        );
        assert!(load(&store[..60]).unwrap_err().contains("damaged"));
        assert!(load(b"noise").unwrap_err().contains("holds no certificate"));
    }
}
