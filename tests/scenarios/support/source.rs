//! A box and the sources that it is provisioned from, in directories.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use super::{Authority, Finished, Leaf, ask, tombolo};

/// A configuration whose peer needs a file of `peers`.
pub const TOML: &str = "[node]\nname = \"alpha\"\n\n[listen]\nclients_tcp = \"127.0.0.1:0\"\nclients_tls = \"127.0.0.1:0\"\n\
                    federation = [\"127.0.0.1:0\"]\napi = \"\"\n\n[[peer]]\nname = \"bravo\"\n";
/// A network file.
pub const NETWORK: &str = "[Match]\r\nName=eth0\r\n\r\n[Network]\r\nDHCP=yes\r\n";

/// A box and its sources, all empty.
#[derive(Debug)]
pub struct World {
    /// Where all of it lies.
    root: TempDir,
    /// What the box shall prove itself with.
    pub ours: Leaf,
    /// A peer.
    pub bravo: Leaf,
}

impl World {
    /// All empty.
    pub fn new() -> Self {
        let world = Self {
            root: tempfile::tempdir().expect("a directory"),
            ours: Authority::new("alpha-ca").issue("alpha"),
            bravo: Authority::new("bravo-ca").issue("bravo"),
        };
        for place in ["boot", "run", "etc"] {
            fs::create_dir(world.at(place)).expect("a directory");
        }
        world
    }

    /// With everything that can be provisioned, written as people write it.
    pub fn full(&self, source: &str) {
        let wide = |text: &str| -> Vec<u8> {
            let units = std::iter::once(0xfeff_u16).chain(text.encode_utf16());
            units.flat_map(u16::to_le_bytes).collect()
        };
        let (leaf, authority) = (&self.ours.chain_pem, &self.ours.authority_pem);
        let toml = [b"\xef\xbb\xbf", TOML.replace('\n', "\r\n").as_bytes()].concat();
        self.put(source, "TOMBOLO.TOML", &toml);
        self.put(source, "Certs/Box.pem", leaf.as_bytes());
        self.put(source, "Certs/ca.CRT", authority.as_bytes());
        self.put(source, "Certs/box.key", self.ours.key_pem.as_bytes());
        self.put(source, "certs2/ignored.key", b"not ours");
        self.put(
            source,
            "peers/BRAVO.PEM",
            self.bravo.authority_pem.replace('\n', "\r\n").as_bytes(),
        );
        self.put(
            source,
            "peers/bravo.toml",
            &wide("address = \"127.0.0.1:9\"\r\n"),
        );
        let federation = r#"{"version":1,"peers":[{"name":"charlie","address":"192.0.2.7","port":9001,"ca_cert":"/ssl/bravo.pem","bidirectional":true}]}"#;
        self.put(source, "federation.json", federation.as_bytes());
        self.put(source, "network/10-ETH0.network", NETWORK.as_bytes());
        self.put(
            source,
            "network/wpa_supplicant-wlan0.conf",
            b"network={\nssid=\"x\"\npsk=\"secret secret\"\n}\n",
        );
        self.put(
            source,
            "authorized_keys",
            format!("ssh-ed25519 AAAA{} me\r\n", "x".repeat(64)).as_bytes(),
        );
        self.put(source, "holiday.jpg", b"not for us");
    }

    /// A path of it.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// Puts a file into a source.
    pub fn put(&self, source: &str, name: &str, bytes: &[u8]) {
        let path = self.at(source).join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }

    /// The arguments of `provision`.
    pub fn words(&self) -> Vec<String> {
        let path = |name: &str| self.at(name).display().to_string();
        [
            "--config",
            &path("etc/tombolo.toml"),
            "--state",
            &path("state"),
            "provision",
            "--root",
            &path(""),
            "--boot",
            &path("boot"),
            "--stick",
            &path("stick"),
        ]
        .map(str::to_owned)
        .to_vec()
    }

    /// Runs it.
    pub fn provision(&self) -> Finished {
        ask(tombolo(), self.words(), "")
    }

    /// Calls a command on the box.
    pub fn call(&self, words: &[&str]) -> Finished {
        let all: Vec<String> = self.words()[..4]
            .iter()
            .cloned()
            .chain(words.iter().map(|&word| word.to_owned()))
            .collect();
        ask(tombolo(), all, "")
    }

    /// The text of a file.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// What LED and console are shown.
    pub fn result(&self) -> Value {
        serde_json::from_str(&self.read("run/tombolo/provision.json")).expect("JSON")
    }

    /// Everything of the full source is in use, and no secret is left on it.
    #[track_caller]
    pub fn assert_full(&self, source: &str) {
        assert_eq!(self.result()["state"], "done");
        let shown: Value =
            serde_json::from_str(&self.call(&["cert", "show", "--json"]).success()).expect("JSON");
        let ours = shown["fingerprint"]
            .as_str()
            .expect("ours")
            .trim_start_matches("SHA256:")
            .to_owned();
        assert!(
            self.ours
                .fingerprint
                .to_lowercase()
                .contains(&ours.to_lowercase()),
            "{shown}"
        );
        let peers: Value =
            serde_json::from_str(&self.call(&["peer", "list", "--json"]).success()).expect("JSON");
        let list = peers
            .as_array()
            .or_else(|| peers["peers"].as_array())
            .expect("a list");
        let names: Vec<&str> = list
            .iter()
            .filter_map(|peer| peer["name"].as_str())
            .collect();
        assert_eq!(names, ["bravo", "charlie"]);
        assert_eq!(list[0]["address"], "127.0.0.1:9");
        assert_eq!(list[1]["address"], "192.0.2.7:9001");
        assert_eq!(
            self.read("data/system/network/10-eth0.network"),
            NETWORK.replace('\r', "")
        );
        assert!(
            self.read("data/system/network/wpa_supplicant-wlan0.conf")
                .contains("secret secret")
        );
        let keys = self.at("data/system/ssh/authorized_keys");
        assert_eq!(
            fs::metadata(&keys).expect("keys").permissions().mode() & 0o777,
            0o600
        );
        for (path, is_there) in [
            ("Certs/box.key", false),
            ("Certs/TOMBOLO.DEL", false),
            ("network/wpa_supplicant-wlan0.conf", false),
            ("Certs/Box.pem", true),
            ("peers/BRAVO.PEM", true),
            ("holiday.jpg", true),
            ("outbox/ca.pem", true),
            ("outbox/federation.pem", true),
        ] {
            assert_eq!(self.at(source).join(path).exists(), is_there, "{path}");
        }
        assert_eq!(
            self.read(&format!("{source}/outbox/ca.pem")),
            self.ours.authority_pem
        );
        assert!(
            self.read(&format!("{source}/outbox/fingerprints.txt"))
                .contains("\r\n")
        );
        let report = self.read(&format!("{source}/TOMBOLO-REPORT.txt"));
        assert!(report.contains("All is well.\r\n"), "{report}");
    }
}
