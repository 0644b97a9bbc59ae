//! One who brings and fetches data packages with curl, as ATAK and federates do.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::certificates::Leaf;

/// One who comes with curl.
#[derive(Debug)]
pub struct Visitor {
    /// Where its files lie.
    pub folder: TempDir,
    base: String,
    more: Vec<String>,
}

/// What curl brought back.
#[derive(Debug)]
pub struct Fetched {
    /// The status; 0: there was no answer.
    pub status: u16,
    /// The headers, in small letters.
    pub headers: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Fetched {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Visitor {
    pub fn new(address: SocketAddr, leaf: Option<&Leaf>) -> Self {
        let folder = tempfile::tempdir().expect("a file of the test");
        let mut more = vec!["--http1.1".to_owned()];
        if let Some(leaf) = leaf {
            for (option, name, text) in [
                ("--cert", "chain.pem", &leaf.chain_pem),
                ("--key", "key.pem", &leaf.key_pem),
            ] {
                let file = folder.path().join(name);
                fs::write(&file, text).expect("a file of the test");
                more.extend([option.to_owned(), file.display().to_string()]);
            }
        }
        let base = format!("https://{address}/Marti/");
        Self { folder, base, more }
    }

    pub fn http2(mut self) -> Self {
        self.more[0] = "--http2".to_owned();
        self
    }

    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let file = self.folder.path().join(name);
        fs::write(&file, bytes).expect("a file of the test");
        file
    }

    pub fn curl(&self, path: &str, arguments: &[&str]) -> Command {
        let mut curl = Command::new("curl");
        curl.args(["-s", "-k", "-m", "60"])
            .args(&self.more)
            .args(arguments);
        curl.arg(format!("{}{path}", self.base));
        curl
    }

    pub fn ask(&self, path: &str, arguments: &[&str]) -> Fetched {
        let (head, body) = (
            self.folder.path().join("head"),
            self.folder.path().join("body"),
        );
        let _ = fs::remove_file(&body);
        let files = [
            "-D",
            head.to_str().expect("a file of the test"),
            "-o",
            body.to_str().expect("a file of the test"),
            "-w",
            "%{http_code}",
        ];
        let output = self
            .curl(path, &[&files[..], arguments].concat())
            .output()
            .expect("curl");
        Fetched {
            status: String::from_utf8_lossy(&output.stdout).parse().unwrap_or(0),
            headers: fs::read_to_string(head)
                .unwrap_or_default()
                .to_ascii_lowercase(),
            body: fs::read(body).unwrap_or_default(),
        }
    }

    /// As ATAK brings a data package.
    pub fn bring(&self, name: &str, bytes: &[u8], hash: &str) -> Fetched {
        let file = self.file("upload", bytes);
        let form = format!(
            "assetfile=@{};type=application/x-zip-compressed;filename={name}",
            file.display()
        );
        let path = format!("sync/missionupload?hash={hash}&filename={name}&creatorUid=ANDROID-1");
        self.ask(&path, &["-F", &form])
    }

    pub fn fetch(&self, hash: &str, arguments: &[&str]) -> Fetched {
        self.ask(&format!("sync/content?hash={hash}"), arguments)
    }
}

/// Bytes that no compression makes smaller.
pub fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = 2 * seed + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8))
        .flat_map(|_| next())
        .take(length)
        .collect()
}

/// SHA-256, as packages are known.
pub fn hash_of(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
