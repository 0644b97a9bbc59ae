//! A box that is not started yet: its directory and its configuration.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use tempfile::TempDir;

use super::certificates::Leaf;
use super::faked_clock::FakedClock;
use super::process::TomboloBox;

/// How a box is known to another: what stands in that one's `[[peer]]`.
#[derive(Debug, Clone)]
pub struct Registration {
    name: String,
    keys: String,
}

impl Registration {
    /// A federate of which nothing is said yet.
    pub fn bare(name: &str) -> Self {
        Self {
            name: name.into(),
            keys: String::new(),
        }
    }

    /// A federate known by its CA and its leaf.
    pub fn of(name: &str, leaf: &Leaf) -> Self {
        Self {
            name: name.into(),
            keys: format!(
                "ca_cert = \"\"\"\n{}\"\"\"\nfingerprint = \"{}\"\n",
                leaf.authority_pem, leaf.fingerprint
            ),
        }
    }

    /// A federate known by its leaf alone.
    pub fn by_fingerprint(name: &str, leaf: &Leaf) -> Self {
        Self {
            name: name.into(),
            keys: format!("fingerprint = \"{}\"\n", leaf.fingerprint),
        }
    }

    /// A federate known by its CA alone: any leaf of it.
    pub fn by_authority(name: &str, leaf: &Leaf) -> Self {
        Self {
            name: name.into(),
            keys: format!("ca_cert = \"\"\"\n{}\"\"\"\n", leaf.authority_pem),
        }
    }

    /// The box is to dial it there.
    #[must_use]
    pub fn dial(self, address: SocketAddr) -> Self {
        self.key(&format!("address = \"{address}\""))
    }

    /// Any other key, as it stands in the file.
    #[must_use]
    pub fn key(mut self, line: &str) -> Self {
        let _ = writeln!(self.keys, "{line}");
        self
    }

    /// As it stands in a configuration.
    pub fn in_file(&self) -> String {
        format!("\n[[peer]]\nname = \"{}\"\n{}", self.name, self.keys)
    }
}

/// A box to be.
#[derive(Debug)]
pub struct Setup {
    name: String,
    directory: TempDir,
    identity: Option<Leaf>,
    limits: String,
    led: String,
    clock: String,
    packages: String,
    environment: Vec<(String, String)>,
    peers: String,
    namespace: Option<String>,
    federation: String,
    api: String,
}

impl Setup {
    /// A box with listeners for plain and TLS clients and for federates, all on free ports of loopback.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            directory: tempfile::Builder::new()
                .prefix("tombolo-")
                .tempdir()
                .expect("a temporary directory"),
            identity: None,
            limits: String::new(),
            led: String::new(),
            // What listens on this machine at gpsd's port is no business of a test.
            clock: "gpsd = \"\"\n".into(),
            packages: "federation_port = 0\n".into(),
            environment: Vec::new(),
            peers: String::new(),
            namespace: None,
            federation: "127.0.0.1:0".into(),
            api: "api = \"\"".into(),
        }
    }

    /// With the HTTPS API and FreeTAKServer's routes, on free ports of loopback.
    #[must_use]
    pub fn api(mut self) -> Self {
        self.api = "api = \"127.0.0.1:0\"\nfreetakserver = \"127.0.0.1:0\"".into();
        self
    }

    /// Any other key of `[listen]`.
    #[must_use]
    pub fn listen_key(mut self, line: &str) -> Self {
        let _ = write!(self.api, "\n{line}");
        self
    }

    /// Runs it in a namespace of the network, with federates coming to that address.
    #[must_use]
    pub fn within(mut self, namespace: &str, federation: &str) -> Self {
        self.namespace = Some(namespace.into());
        self.federation = federation.into();
        self
    }

    /// The namespace of the network that it runs in, if it is one of its own.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Any other line of the configuration, before its peers: `[table]` and keys.
    #[must_use]
    pub fn table(mut self, lines: &str) -> Self {
        self.peers = format!("\n{lines}\n{}", self.peers);
        self
    }

    /// Another line in `[packages]`.
    #[must_use]
    pub fn packages(mut self, line: &str) -> Self {
        let _ = writeln!(self.packages, "{line}");
        self
    }

    /// Gives it a certificate; without one it makes its own.
    #[must_use]
    pub fn identity(mut self, leaf: &Leaf) -> Self {
        fs::write(self.directory.path().join("chain.pem"), &leaf.chain_pem).expect("chain.pem");
        fs::write(self.directory.path().join("key.pem"), &leaf.key_pem).expect("key.pem");
        self.identity = Some(leaf.clone());
        self
    }

    /// Sets one bound.
    #[must_use]
    pub fn limit(mut self, key: &str, value: u32) -> Self {
        let _ = writeln!(self.limits, "{key} = {value}");
        self
    }

    /// Sets one key of the status LED.
    #[must_use]
    pub fn led(mut self, line: &str) -> Self {
        let _ = writeln!(self.led, "{line}");
        self
    }

    /// Gives it a gpsd to ask.
    #[must_use]
    pub fn gpsd(mut self, address: SocketAddr) -> Self {
        self.clock = format!("gpsd = \"{address}\"\n");
        self
    }

    /// Gives it a system clock of its own.
    #[must_use]
    pub fn clock(mut self, clock: &FakedClock) -> Self {
        self.environment = clock.environment();
        self
    }

    /// The peers' clocks count nothing.
    #[must_use]
    pub fn deaf_to_peers(mut self) -> Self {
        self.clock += "peers = false\n";
        self
    }

    pub(super) fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// Registers a federate.
    #[must_use]
    pub fn peer(mut self, registration: Registration) -> Self {
        self.peers += &registration.in_file();
        self
    }

    /// How others register this box. It must have been given a certificate.
    pub fn registration(&self) -> Registration {
        let leaf = self.identity.as_ref().expect("a certificate was given");
        Registration::of(&self.name, leaf)
    }

    /// The box's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its configuration lies.
    pub fn config(&self) -> PathBuf {
        self.directory.path().join("tombolo.toml")
    }

    /// Its state directory.
    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Gives it a machine of its own to look at (proc, sys, run), an empty one.
    #[must_use]
    pub fn own_machine(self) -> Self {
        fs::create_dir(self.machine()).expect("a machine");
        self
    }

    /// The root of its machine, where it was given one of its own.
    pub fn machine(&self) -> PathBuf {
        self.directory.path().join("machine")
    }

    pub(super) fn machine_arguments(&self) -> Vec<OsString> {
        match self.machine().exists() {
            true => vec!["--machine".into(), self.machine().into()],
            false => Vec::new(),
        }
    }

    /// Where its log is caught.
    pub fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Writes the configuration.
    pub fn write(&self) {
        let identity = match self.identity {
            Some(_) => "[identity]\ncertificate = \"chain.pem\"\nkey = \"key.pem\"\n\n",
            None => "",
        };
        let text = format!(
            "[node]\nname = \"{}\"\n\n{identity}[listen]\nclients_tcp = \"127.0.0.1:0\"\n\
             clients_tls = \"127.0.0.1:0\"\nfederation = [\"{}\"]\n{}\n\n[led]\n{}\n[clock]\n{}\n[packages]\n{}\n[limits]\n{}{}",
            self.name,
            self.federation,
            self.api,
            self.led,
            self.clock,
            self.packages,
            self.limits,
            self.peers
        );
        fs::write(self.config(), text).expect("tombolo.toml");
    }

    /// Starts it, and waits until it answers.
    pub fn start(self) -> TomboloBox {
        self.write();
        TomboloBox::start(self)
    }
}
