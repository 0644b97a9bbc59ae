//! From the text of `tombolo.toml` to a [`Config`] in which everything holds.

use std::net::IpAddr;
use std::path::Path;

use toml::Spanned;

use super::address::host_fault;
use super::error::{ConfigError, Place};
use super::layers::{self, MOST_BYTES};
use super::limits::Limits;
use super::raw::{RawConfig, RawIdentity};
use super::reader::Reader;
use super::settings::{Config, IdentityFiles};
use crate::files;

impl Config {
    /// Reads a configuration file, and the certificates it names.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with its place and its cure.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let unreadable = |cause: String| ConfigError::Unreadable {
            file: file.to_path_buf(),
            cause,
        };
        let bytes = files::read_bounded(file, MOST_BYTES)
            .map_err(|error| unreadable(files::fault(&error)))?;
        let text =
            String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8 text".into()))?;
        Self::read(&text, file)
    }

    /// Reads a configuration from text; relative paths in it start at `base_directory`.
    ///
    /// # Errors
    /// As [`Config::load`]; places name a `tombolo.toml` in `base_directory`.
    pub fn parse(text: &str, base_directory: &Path) -> Result<Self, ConfigError> {
        Self::read(text, &base_directory.join("tombolo.toml"))
    }

    /// Reads the text that stands, or would stand, in `file`, together with `conf.d/` beside it and the environment.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn read(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let parts = layers::beside(text, file)?;
        let reader = Reader {
            text,
            file,
            parts: &parts,
        };
        let raw = reader.shapes()?;
        let limits = reader.limits(&raw)?;
        let uplinks = reader.uplinks(&raw.uplink)?;
        let default = Config::default();
        let name = match &raw.node.name {
            Some(name) => reader.name("name", name)?,
            None => default.name,
        };
        let listen = reader.listen(&raw.listen, default.listen)?;
        let networks = reader.networks(&raw.network, &listen, &limits)?;
        let names: Vec<&str> = networks
            .iter()
            .map(|network| network.name.as_str())
            .collect();
        let config = reader.group_places(Self {
            name,
            advertised_host: raw
                .node
                .advertised_host
                .as_ref()
                .map(|host| reader.host(host))
                .transpose()?,
            identity: raw
                .identity
                .as_ref()
                .map(|identity| reader.identity(identity))
                .transpose()?,
            packages: reader.packages(&raw.packages, &listen)?,
            listen,
            console_idle_minutes: match &raw.console.idle_minutes {
                Some(minutes) => reader.idle_minutes(minutes)?,
                None => default.console_idle_minutes,
            },
            keepalive_discovery: (raw.keepalive.discovery).unwrap_or(default.keepalive_discovery),
            led: reader.led(&raw.led)?,
            clock: reader.clock(&raw.clock)?,
            peers: reader.peers(&raw.peer, &limits, &uplinks)?,
            servers: reader.servers(&raw.server, &limits, &names)?,
            meshes: reader.meshes(&raw.mesh, &networks, &limits)?,
            networks,
            uplinks,
            limits,
        })?;
        let peers = raw.peer.iter().zip(&config.peers);
        let peers = peers.map(|(raw, peer)| (raw.get_ref().filter.as_ref(), &peer.filters));
        let meshes = raw.mesh.iter().zip(&config.meshes);
        let meshes = meshes.map(|(raw, mesh)| (raw.get_ref().filter.as_ref(), &mesh.filters));
        reader.filter_bound(peers.chain(meshes), &config.limits)?;
        Ok(config)
    }
}

/// The keys of `[limits]` that are set, each with its place, from the top. Nothing when the file
/// cannot be read: this is for messages about limits that were read before.
pub fn limits_set_in(file: &Path) -> Vec<(&'static str, Place)> {
    let text = files::read_bounded(file, MOST_BYTES).unwrap_or_default();
    let text = String::from_utf8(text).unwrap_or_default();
    let parts = layers::beside(&text, file).unwrap_or_default();
    let reader = Reader {
        text: &text,
        file,
        parts: &parts,
    };
    reader.limits_set()
}

impl Reader<'_> {
    fn limits(&self, raw: &RawConfig) -> Result<Limits, ConfigError> {
        let limits = raw
            .limits
            .checked()
            .map_err(|(limit, written)| ConfigError::OutOfRange {
                place: self.place(written.span().start),
                key: limit.key,
                value: *written.get_ref(),
                least: limit.least,
                most: limit.most,
            })?;
        match limits.contradiction() {
            None => Ok(limits),
            Some([(upper, value), (lower, floor)]) => Err(ConfigError::BadValue {
                place: self.place_of_either(upper, lower),
                key: upper,
                fault: format!("{value} is below {lower}, which is {floor}"),
                cure: format!("raise {upper} or lower {lower}"),
            }),
        }
    }

    /// The place of the one that is set, of the first if both are.
    fn place_of_either(&self, upper: &str, lower: &str) -> Place {
        let set = self.limits_set();
        let place = |wanted: &str| {
            let found = set.iter().find(|(key, _)| *key == wanted);
            found.map(|(_, place)| place.clone())
        };
        let first = || Place {
            file: self.file.to_path_buf(),
            line: 1,
        };
        place(upper).or_else(|| place(lower)).unwrap_or_else(first)
    }

    fn idle_minutes(&self, minutes: &Spanned<i64>) -> Result<u32, ConfigError> {
        const MOST: u32 = 1440;
        u32::try_from(*minutes.get_ref())
            .ok()
            .filter(|minutes| *minutes <= MOST)
            .ok_or_else(|| ConfigError::OutOfRange {
                place: self.place(minutes.span().start),
                key: "idle_minutes",
                value: *minutes.get_ref(),
                least: 0,
                most: MOST,
            })
    }

    fn host(&self, host: &Spanned<String>) -> Result<String, ConfigError> {
        let cure = "write a host name or an IP address without port, such as \"tak.example.org\"";
        let text = host.get_ref();
        match text.parse::<IpAddr>() {
            Err(_) if text.contains(':') => {
                Err(self.bad(host, "advertised_host", "has a port or scheme", cure))
            }
            Err(_) if host_fault(text).is_some() => {
                Err(self.bad(host, "advertised_host", "is no host name", cure))
            }
            _ => Ok(text.clone()),
        }
    }

    fn identity(&self, identity: &Spanned<RawIdentity>) -> Result<IdentityFiles, ConfigError> {
        let file = |key, path: &Option<Spanned<String>>| {
            match path {
            Some(path) if !path.get_ref().is_empty() => Ok(self.resolve(path.get_ref())),
            _ => Err(self.bad(
                identity,
                key,
                "is missing",
                "[identity] needs `certificate` and `key`, both paths of PEM files; or leave [identity] out",
            )),
        }
        };
        Ok(IdentityFiles {
            certificate: file("certificate", &identity.get_ref().certificate)?,
            key: file("key", &identity.get_ref().key)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::authority::tests::certificate;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(text, Path::new("/etc/tombolo"))
    }

    fn fault(text: &str) -> String {
        match parse(text) {
            Ok(config) => panic!("accepted: {config:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn nothing_is_enough() {
        assert_eq!(parse(""), Ok(Config::default()));
        assert_eq!(parse("[node]\n[listen]\n[limits]\n"), Ok(Config::default()));
    }

    #[test]
    fn listeners_are_switched_off_by_empty_values() {
        let config = parse(
            "[listen]\nclients_tcp = \"\"\nclients_tls = []\nfederation = \"\"\napi = \"[::1]:1\"\n",
        )
        .unwrap();
        assert_eq!(config.listen.clients_tcp, None);
        assert_eq!(config.listen.clients_tls, None);
        assert!(config.listen.federation.is_empty());
        assert_eq!(config.listen.api.unwrap().to_string(), "[::1]:1");
    }

    #[test]
    fn a_peer_with_inline_authority_and_fingerprint() {
        let text = format!(
            "[node]\nname = \"alpha\"\n[[peer]]\nname = \"bravo\"\naddress = \"b.example\"\n\
             ca_cert = \"\"\"
{}{}\"\"\"
fingerprint = \"{}\"
incoming = false
correct_clock = false
keepalive_seconds = 5
\
             rate = \"9600 bit/s\"
compress = false
",
            certificate("one", true),
            certificate("two", true),
            "ab".repeat(32),
        );
        let config = parse(&text).unwrap();
        let peer = &config.peers[0];
        assert_eq!(config.name, "alpha");
        assert_eq!(peer.address.as_deref(), Some("b.example:9001"));
        assert_eq!(peer.authorities.len(), 2);
        assert!(peer.fingerprint.is_some() && peer.enabled && !peer.incoming && peer.outgoing);
        assert!(!peer.correct_clock);
        assert_eq!(peer.keepalive_seconds, Some(5));
        assert_eq!(peer.rate, super::super::Rate::of_bits(9600));
        assert!(!peer.compress);
    }

    #[test]
    fn unknown_keys_get_a_suggestion_and_a_place() {
        assert_eq!(
            fault("[[peer]]\nname = \"b\"\nadress = \"x\"\n"),
            "/etc/tombolo/tombolo.toml:3: unknown key `adress` in [[peer]] — did you mean `address`?"
        );
        assert_eq!(
            fault("# x\n[peers]\n"),
            "/etc/tombolo/tombolo.toml:2: unknown key `peers` — did you mean `peer`?"
        );
        let text = fault("[limits]\nmax_event = 5\n");
        assert!(text.contains("did you mean `max_event_kib`?"), "{text}");
        let text = fault("[node]\nzzz = 1\naaa = 1\n");
        assert!(
            text.contains(":2: unknown key `zzz` in [node]; known here: name"),
            "{text}"
        );
    }

    #[test]
    fn each_fault_names_line_key_and_cure() {
        let pin = "fingerprint = \"".to_owned() + &"ab".repeat(32) + "\"\n";
        let peer = |rest: &str| format!("[[peer]]\nname = \"b\"\n{pin}{rest}");
        for (text, parts) in [
            ("[node\n".into(), ":1: not TOML"),
            (
                "[node]\nname = 5\n".into(),
                ":2: `name`: 5 is a number; write text in \"quotes\"",
            ),
            (
                "[node]\nname = \"\"\n".into(),
                ":2: `name`: it is empty; write 1 to 64",
            ),
            (
                "peer = 5\n".into(),
                ":1: `peer`: 5 is a number; begin each peer with a line [[peer]]",
            ),
            (
                "limits = true\n".into(),
                ":1: `limits`: true is a yes or no; write a line [limits]",
            ),
            (
                "[limits]\nmax_clients = \"many\"\n".into(),
                ":2: `max_clients`: \"many\" is text; write a whole number without quotes, 1 to 2048",
            ),
            (
                "[limits]\nmax_clients = 3.5\n".into(),
                ":2: `max_clients`: 3.5 is a number with a fraction; write a whole number",
            ),
            (
                "[limits]\nmemory_mib = \"x\"\n".into(),
                ":2: `memory_mib`: \"x\" is text; write a whole number",
            ),
            (
                "[limits]\nmemory_mib = 1\n".into(),
                ":2: `memory_mib` = 1 is out of range; write 8 to",
            ),
            (
                "\n[limits]\noutbox_kib = 8\n".into(),
                ":3: `outbox_kib`: 8 is below max_event_kib",
            ),
            (
                "[limits]\n# big\nmax_event_kib = 4096\n".into(),
                ":3: `outbox_kib`: 576 is below max_event_kib, which is 4096",
            ),
            (
                "[listen]\nclients_tcp = \"localhost:1\"\n".into(),
                ":2: `clients_tcp`: \"localhost:1\" is no address",
            ),
            (
                "[listen]\nclients_tcp = [\"1.1.1.1\", \"2.2.2.2\"]\n".into(),
                "takes one",
            ),
            (
                "[listen]\nclients_tcp = \"0.0.0.0:8089\"\n".into(),
                "0.0.0.0:8089 is the address of",
            ),
            (
                "[console]\nidle_minutes = 2000\n".into(),
                ":2: `idle_minutes` = 2000 is out of range; write 0 to 1440",
            ),
            (
                "[listen]\nclients_tcp = 5\n".into(),
                ":2: `clients_tcp`: 5 is a number; write an address in quotes",
            ),
            (
                "[identity]\nkey = \"k\"\n".into(),
                ":1: `certificate`: is missing",
            ),
            (
                "[[peer]]\nname = \"b\"\n".into(),
                "neither `ca_cert` nor `fingerprint`",
            ),
            (format!("[[peer]]\n{pin}"), ":1: `name`: is missing"),
            (
                peer("") + &peer(""),
                ":5: `name`: the peer of line 1 is called \"b\" too",
            ),
            (
                peer("address = \"http://x\"\n"),
                ":4: `address`: \"http://x\" has a scheme",
            ),
            (
                peer("keepalive_seconds = 0\n"),
                ":4: `keepalive_seconds` = 0 is out of range; write 1 to 32767",
            ),
            (
                peer("rate = \"9600 baud\"\n"),
                ":4: `rate`: \"9600 baud\" has a unit that is not known; write a number and bit/s, kbit/s or Mbit/s",
            ),
            (
                peer("keepalive_seconds = 32768\n"),
                ":4: `keepalive_seconds` = 32768 is out of range; write 1 to 32767",
            ),
            (
                peer("enabled = \"yes\"\n"),
                ":4: `enabled`: \"yes\" is text; write true or false",
            ),
            (
                peer("ca_cert = \"no/such.pem\"\n"),
                ":4: `ca_cert`: /etc/tombolo/no/such.pem cannot be read",
            ),
            (
                "[[peer]]\nname = \"b\"\nfingerprint = \"AB\"\n".into(),
                ":3: `fingerprint`: not a SHA-256",
            ),
            (
                "[limits]\nmax_federates = 1\n".to_owned()
                    + &peer("")
                    + &peer("").replace("\"b\"", "\"c\""),
                ":6: `peer`: more than 1 peers; raise max_federates",
            ),
        ] {
            let fault = fault(&text);
            assert!(
                fault.contains(parts),
                "{text}\n  gave: {fault}\n  not: {parts}"
            );
            assert!(fault.starts_with("/etc/tombolo/tombolo.toml:"), "{fault}");
        }
    }

    #[test]
    fn a_leaf_in_place_of_a_ca_is_explained() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(
            directory.path().join("leaf.pem"),
            certificate("unit-7", false),
        )
        .unwrap();
        let file = directory.path().join("tombolo.toml");
        std::fs::write(&file, "[[peer]]\nname = \"b\"\nca_cert = \"leaf.pem\"\n").unwrap();
        let fault = Config::load(&file).unwrap_err().to_string();
        assert!(fault.contains("tombolo.toml:3: `ca_cert`"), "{fault}");
        assert!(fault.contains("(CN=unit-7) is a leaf, not a CA"), "{fault}");
        assert!(fault.contains("fingerprint = \"SHA256:"), "{fault}");
    }

    #[test]
    fn a_file_that_is_not_there_or_not_text_is_said_to_be_so() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tombolo.toml");
        let fault = || Config::load(&file).unwrap_err().to_string();
        assert!(fault().contains("cannot be read"), "{}", fault());
        std::fs::write(&file, b"\xff\xfe").unwrap();
        assert!(fault().contains("not UTF-8"), "{}", fault());
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_or_explained(lines in proptest::collection::vec(
            "(\\[\\[?(node|identity|listen|led|limits|peer)\\]\\]?|(name|api|gpio|mode|federation|memory_mib|address|key|peer) = (1|-1|true|\"\"|\"é:1\"|\\[\\]|\\[\"[::]\"\\]|\\{name=1\\})|.{0,8})", 0..8,
        )) {
            if let Err(error) = parse(&lines.join("\n")) {
                prop_assert!(error.to_string().starts_with("/etc/tombolo/tombolo.toml:"), "{}", error);
            }
        }
    }
}
