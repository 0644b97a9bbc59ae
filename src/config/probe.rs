//! `probe` of a `[[peer]]`: the second identity with which `check` logs in at a TAK Server.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::address::peer_address;
use super::error::ConfigError;
use super::reader::Reader;

/// The second identity at a peer that is a TAK Server: that of an ordinary client. Read when `check` runs, not before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// `host:port` of the server's TLS port for clients; 8089 where it names none.
    pub address: String,
    /// PEM or `.p12` files with certificate, key and, if need be, the CA of the server.
    pub files: Vec<PathBuf>,
    /// Password of a `.p12`.
    pub password: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawProbe {
    address: Option<Spanned<String>>,
    certificate: Option<Spanned<String>>,
    key: Option<Spanned<String>>,
    p12: Option<Spanned<String>>,
    password: Option<String>,
    ca_cert: Option<Spanned<String>>,
}

const CLIENTS_TLS_PORT: &str = "8089";

impl Reader<'_> {
    pub(super) fn probe(&self, whole: &Spanned<RawProbe>) -> Result<Probe, ConfigError> {
        let raw = whole.get_ref();
        let Some(address) = &raw.address else {
            return Err(self.bad(
                whole,
                "probe",
                "has no `address`",
                "write the server's port for clients, such as probe = { address = \"tak.example.org:8089\", p12 = \"probe.p12\" }",
            ));
        };
        let written = address.get_ref();
        let with_port = match written.rsplit_once(':') {
            Some((_, port)) if port.parse::<u16>().is_ok() => written.clone(),
            _ => format!("{written}:{CLIENTS_TLS_PORT}"),
        };
        let checked = peer_address(&with_port).map_err(|fault| {
            let cure = "write host:port, such as \"tak.example.org:8089\"";
            self.bad(address, "probe", format!("\"{written}\" {fault}"), cure)
        })?;
        let files: Vec<PathBuf> = [&raw.p12, &raw.certificate, &raw.key, &raw.ca_cert]
            .into_iter()
            .flatten()
            .map(|file| self.resolve(file.get_ref()))
            .collect();
        if raw.p12.is_none() && (raw.certificate.is_none() || raw.key.is_none()) {
            return Err(self.bad(
                whole,
                "probe",
                "names no client's identity",
                "give `certificate` and `key` (PEM files), or `p12` and its `password`",
            ));
        }
        Ok(Probe {
            address: checked,
            files,
            password: raw.password.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::Config;

    fn peer(probe: &str) -> String {
        let pin = format!("SHA256:{}", "AB".repeat(32));
        format!("[[peer]]\nname = \"tak\"\nfingerprint = \"{pin}\"\nprobe = {probe}\n")
    }

    #[test]
    fn a_second_identity_is_files_and_a_port() {
        let text =
            peer("{ address = \"tak.example\", p12 = \"probe.p12\", password = \"secret\" }");
        let config = Config::parse(&text, Path::new("/etc/tombolo")).unwrap();
        let probe = config.peers[0].probe.clone().unwrap();
        assert_eq!(probe.address, "tak.example:8089");
        assert_eq!(probe.files, [Path::new("/etc/tombolo/probe.p12")]);
        assert_eq!(probe.password.as_deref(), Some("secret"));
        let pem = "{ address = \"10.0.0.1:9999\", certificate = \"a.pem\", key = \"a.key\", ca_cert = \"/ca.pem\" }";
        let config = Config::parse(&peer(pem), Path::new("/x")).unwrap();
        let probe = config.peers[0].probe.clone().unwrap();
        assert_eq!(
            (probe.address.as_str(), probe.files.len()),
            ("10.0.0.1:9999", 3)
        );
    }

    #[test]
    fn half_of_one_is_refused_with_the_cure() {
        for (probe, words) in [
            ("{ p12 = \"probe.p12\" }", "has no `address`"),
            ("{ address = \"tak:8089\" }", "names no client's identity"),
            (
                "{ address = \"tak:8089\", certificate = \"a.pem\" }",
                "`certificate` and `key`",
            ),
            ("{ address = \":8089\", p12 = \"a\" }", "write host:port"),
            (
                "{ address = \"tak:8089\", p12 = \"a\", pass = \"b\" }",
                "pass",
            ),
        ] {
            let fault = Config::parse(&peer(probe), Path::new(""))
                .unwrap_err()
                .to_string();
            assert!(fault.contains(words), "{probe}: {fault}");
        }
    }
}
