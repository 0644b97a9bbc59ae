//! `[[server]]`: a TAK server at which the box logs in as a client.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::address::{CLIENTS_TCP_PORT, CLIENTS_TLS_PORT, address_with};
use super::error::ConfigError;
use super::limits::Limits;
use super::reader::Reader;
use crate::pki::Fingerprint;
use crate::pki::fingerprint::NotAFingerprint;

pub(super) const SERVER_KEYS: &[&str] = &[
    "name",
    "address",
    "network",
    "enabled",
    "tls",
    "p12",
    "password",
    "certificate",
    "key",
    "ca_cert",
    "fingerprint",
    "auth",
    "callsign",
    "incoming",
    "outgoing",
    "keepalive_seconds",
];

const KEEPALIVE_RANGE: std::ops::RangeInclusive<u32> = 1..=3600;

/// The first message of a login is no longer than 1,024 bytes (protocol reference 6.4); what is not these two names takes
/// 200 of them.
const AUTH_BYTES: usize = 200;

/// A TAK server at which the box logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Unique name, 1 to 64 characters.
    pub name: String,
    /// `host:port` of its port for clients; 8089 with TLS and 8087 without, where it names none.
    pub address: String,
    /// The local network that it belongs to; none: that of `[listen]`'s clients.
    pub network: Option<String>,
    /// Off = not logged in.
    pub enabled: bool,
    /// How the connection is secured; none: not at all.
    pub tls: Option<ServerTls>,
    /// What the server is told first, where it asks for a name and a password.
    pub auth: Option<Auth>,
    /// Who we are on its map; none: the box's name.
    pub callsign: Option<String>,
    /// Take what it sends.
    pub incoming: bool,
    /// Send what we have.
    pub outgoing: bool,
    /// Seconds between pings, 1 to 3,600; none = 20.
    pub keepalive_seconds: Option<u32>,
}

/// Certificates of a login. The files are read when the link starts, not before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerTls {
    /// A `.p12` with our certificate and its key, and often the CA of the server.
    pub p12: Option<PathBuf>,
    /// Its password; none: the usual ones are tried.
    pub password: Option<String>,
    /// Our certificate and its key, PEM.
    pub pem: Option<(PathBuf, PathBuf)>,
    /// The CA of the server: PEM, or a `.p12` truststore.
    pub ca_cert: Option<PathBuf>,
    /// SHA-256 of the server's own certificate.
    pub fingerprint: Option<Fingerprint>,
}

/// Name and password of an account at the server.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The account.
    pub username: String,
    /// Its password.
    pub password: String,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The password must never reach a log.
        f.debug_struct("Auth").finish_non_exhaustive()
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawServer {
    name: Option<Spanned<String>>,
    address: Option<Spanned<String>>,
    network: Option<Spanned<String>>,
    enabled: Option<bool>,
    tls: Option<Spanned<bool>>,
    p12: Option<Spanned<String>>,
    password: Option<Spanned<String>>,
    certificate: Option<Spanned<String>>,
    key: Option<Spanned<String>>,
    ca_cert: Option<Spanned<String>>,
    fingerprint: Option<Spanned<String>>,
    auth: Option<Spanned<Auth>>,
    callsign: Option<Spanned<String>>,
    incoming: Option<bool>,
    outgoing: Option<bool>,
    keepalive_seconds: Option<Spanned<i64>>,
}

impl Reader<'_> {
    /// All of them, in the order of the file. `networks` are the names that `network` may have.
    pub(super) fn servers(
        &self,
        raw: &[Spanned<RawServer>],
        limits: &Limits,
        networks: &[&str],
    ) -> Result<Vec<Server>, ConfigError> {
        let most = usize::from(limits.max_servers);
        if let Some(beyond) = raw.get(most) {
            return Err(self.bad(
                beyond,
                "server",
                format!("more than {most} servers"),
                "raise max_servers in [limits] (and memory_mib if the box then says so)",
            ));
        }
        let mut names = HashMap::new();
        let mut servers = Vec::with_capacity(raw.len());
        for written in raw {
            let server = self.server(written, networks)?;
            let line = self.place(written.span().start).line;
            if let Some(first) = names.insert(server.name.clone(), line) {
                let fault = format!(
                    "the server of line {first} is called \"{}\" too",
                    server.name
                );
                return Err(self.bad(written, "name", fault, "give every server its own name"));
            }
            servers.push(server);
        }
        Ok(servers)
    }

    fn server(&self, whole: &Spanned<RawServer>, networks: &[&str]) -> Result<Server, ConfigError> {
        let raw = whole.get_ref();
        let Some(name) = &raw.name else {
            let cure = "every [[server]] needs a name = \"...\"";
            return Err(self.bad(whole, "name", "is missing", cure));
        };
        let tls = self.server_tls(whole)?;
        let port = match tls {
            Some(_) => CLIENTS_TLS_PORT,
            None => CLIENTS_TCP_PORT,
        };
        let cure = format!(
            "write host:port of the server's port for clients, such as \"tak.example.org:{port}\""
        );
        let Some(address) = &raw.address else {
            return Err(self.bad(whole, "address", "is missing", cure));
        };
        if let Some(network) = &raw.network
            && !networks.contains(&network.get_ref().as_str())
        {
            return Err(self.bad(
                network,
                "network",
                format!("no [[network]] is called \"{}\"", network.get_ref()),
                "name a network of this file, or leave it out",
            ));
        }
        Ok(Server {
            name: self.name("name", name)?,
            address: address_with(address.get_ref(), port).map_err(|fault| {
                let fault = format!("\"{}\" {fault}", address.get_ref());
                self.bad(address, "address", fault, cure)
            })?,
            network: raw.network.as_ref().map(|name| name.get_ref().clone()),
            enabled: raw.enabled.unwrap_or(true),
            tls,
            auth: raw.auth.as_ref().map(|auth| self.auth(auth)).transpose()?,
            callsign: (raw.callsign.as_ref())
                .map(|callsign| self.name("callsign", callsign))
                .transpose()?,
            incoming: raw.incoming.unwrap_or(true),
            outgoing: raw.outgoing.unwrap_or(true),
            keepalive_seconds: (raw.keepalive_seconds.as_ref())
                .map(|seconds| self.uplink_number("keepalive_seconds", seconds, KEEPALIVE_RANGE))
                .transpose()?,
        })
    }

    fn auth(&self, written: &Spanned<Auth>) -> Result<Auth, ConfigError> {
        let Auth { username, password } = written.get_ref();
        let most = AUTH_BYTES;
        if username.is_empty() || username.len() > most || password.len() > most {
            let fault =
                format!("has no `username`, or a name or password longer than {most} bytes");
            let cure = "write auth = { username = \"...\", password = \"...\" }";
            return Err(self.bad(written, "auth", fault, cure));
        }
        Ok(written.get_ref().clone())
    }

    /// `tls` follows from what else is written, unless it is written itself.
    fn server_tls(&self, whole: &Spanned<RawServer>) -> Result<Option<ServerTls>, ConfigError> {
        let raw = whole.get_ref();
        let of_tls = [
            (&raw.p12, "p12"),
            (&raw.password, "password"),
            (&raw.certificate, "certificate"),
            (&raw.key, "key"),
            (&raw.ca_cert, "ca_cert"),
            (&raw.fingerprint, "fingerprint"),
        ];
        let written = of_tls
            .iter()
            .find_map(|(value, key)| Some((value.as_ref()?, *key)));
        match (&raw.tls, written) {
            (Some(tls), Some((value, key))) if !tls.get_ref() => {
                let fault = "is of no use with tls = false";
                return Err(self.bad(value, key, fault, "leave it out, or write tls = true"));
            }
            (Some(tls), _) if !tls.get_ref() => return Ok(None),
            (None, None) => return Ok(None),
            _ => {}
        }
        let file =
            |path: &Option<Spanned<String>>| path.as_ref().map(|path| self.resolve(path.get_ref()));
        let pem = match (&raw.certificate, &raw.key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((
                self.resolve(certificate.get_ref()),
                self.resolve(key.get_ref()),
            )),
            _ => {
                let cure =
                    "`certificate` and `key` belong together: two PEM files; or give a `p12`";
                return Err(self.bad(whole, "certificate", "names half of an identity", cure));
            }
        };
        if let (Some(p12), Some(_)) = (&raw.p12, &pem) {
            let fault = "stands beside `certificate` and `key`";
            return Err(self.bad(p12, "p12", fault, "leave one of the two identities out"));
        }
        let fingerprint = raw.fingerprint.as_ref().map(|text| {
            text.get_ref().parse().map_err(|error: NotAFingerprint| {
                let cure = "`openssl x509 -noout -fingerprint -sha256 -in server.pem` prints it";
                self.bad(text, "fingerprint", error.to_string(), cure)
            })
        });
        let tls = ServerTls {
            p12: file(&raw.p12),
            password: raw.password.as_ref().map(|text| text.get_ref().clone()),
            pem,
            ca_cert: file(&raw.ca_cert),
            fingerprint: fingerprint.transpose()?,
        };
        // A user's .p12 holds the CA mostly; whether it does is seen when it is read.
        if tls.p12.is_none() && tls.ca_cert.is_none() && tls.fingerprint.is_none() {
            return Err(self.bad(
                whole,
                "ca_cert",
                "the server could not be told from an impostor",
                "give `ca_cert` (the CA of the server, PEM or .p12) or the server's `fingerprint`",
            ));
        }
        Ok(Some(tls))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn server(rest: &str) -> Result<Server, String> {
        let text = format!("[[server]]\nname = \"ots\"\n{rest}");
        Config::parse(&text, Path::new("/etc/tombolo"))
            .map(|config| config.servers[0].clone())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_plain_login_and_one_with_a_users_file() {
        let plain = server("address = \"10.0.0.1\"\n").unwrap();
        assert_eq!(plain.address, "10.0.0.1:8087");
        assert!(plain.tls.is_none() && plain.enabled && plain.incoming && plain.outgoing);
        let tls = server("address = \"tak.example\"\np12 = \"box.p12\"\nca_cert = \"/ca.p12\"\n")
            .unwrap();
        assert_eq!(tls.address, "tak.example:8089");
        let files = tls.tls.unwrap();
        assert_eq!(
            files.p12.as_deref(),
            Some(Path::new("/etc/tombolo/box.p12"))
        );
        assert_eq!(files.ca_cert.as_deref(), Some(Path::new("/ca.p12")));
        assert_eq!(files.password, None);
        let pem = "address = \"h:1\"\ncertificate = \"a\"\nkey = \"b\"\nca_cert = \"c\"\ncallsign = \"GATE\"\n\
                   auth = { username = \"u\", password = \"p\" }\nkeepalive_seconds = 5\nincoming = false\n";
        let pem = server(pem).unwrap();
        assert_eq!(pem.callsign.as_deref(), Some("GATE"));
        assert!(pem.tls.unwrap().pem.is_some() && !pem.incoming);
        assert_eq!(format!("{:?}", pem.auth.unwrap()), "Auth { .. }");
    }

    #[test]
    fn each_mistake_has_its_cure() {
        let pin = "AB".repeat(32);
        for (rest, words) in [
            ("", "`address`: is missing; write host:port"),
            ("address = \"h:0\"\n", "has no port of 1 to 65535"),
            ("address = \"h\"\ntls = true\n", "give `ca_cert`"),
            (
                "address = \"h\"\ntls = false\np12 = \"x\"\n",
                "`p12`: is of no use with tls = false",
            ),
            (
                "address = \"h\"\ncertificate = \"x\"\n",
                "half of an identity",
            ),
            (
                "address = \"h\"\np12 = \"x\"\ncertificate = \"x\"\nkey = \"y\"\n",
                "leave one of the two",
            ),
            ("address = \"h\"\nfingerprint = \"zz\"\n", "`fingerprint`"),
            (
                "address = \"h\"\nnetwork = \"blue\"\n",
                "no [[network]] is called \"blue\"",
            ),
            (
                "address = \"h\"\nauth = { username = \"\", password = \"\" }\n",
                "`auth`",
            ),
            ("address = \"h\"\nauth = { user = \"\" }\n", "user"),
            (
                "address = \"h\"\nkeepalive_seconds = 0\n",
                "write 1 to 3600",
            ),
            (
                "adress = \"h\"\n",
                "in [[server]] — did you mean `address`?",
            ),
        ] {
            let fault = server(rest).unwrap_err();
            assert!(fault.contains(words), "{rest}: {fault}");
        }
        assert!(server(&format!("address = \"h\"\nfingerprint = \"{pin}\"\n")).is_ok());
        let twice = server("address = \"h\"\n[[server]]\nname = \"ots\"\naddress = \"i\"\n");
        let limit = twice.unwrap_err();
        assert!(limit.contains("more than 1 servers"), "{limit}");
        let twice = server(
            "address = \"h\"\n[[server]]\nname = \"ots\"\naddress = \"i\"\n[limits]\nmax_servers = 2\n",
        );
        assert!(twice.unwrap_err().contains("is called \"ots\" too"));
    }
}
