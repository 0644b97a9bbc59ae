//! A federate on another stack: `tests/peers/federate.py` and, for v1, `federate_v1.py`, driven over JSON lines.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;

use super::certificates::Leaf;
use super::eventually;

/// Its id in provenance.
pub const FOREIGN_ID: &str = "f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0";

const V2: &str = "federate.py";
const V1: &str = "federate_v1.py";

/// A running foreign federate. It is killed when dropped.
#[derive(Debug)]
pub struct Foreign {
    child: Child,
    stdin: ChildStdin,
    said: Arc<Mutex<Vec<Value>>>,
    _directory: TempDir,
}

impl Foreign {
    /// Starts it dialling the box at `address`, which proves itself with `theirs`.
    pub fn dial(address: SocketAddr, leaf: &Leaf, theirs: &Leaf, options: &[&str]) -> Self {
        let address = address.to_string();
        let role = ["--dial", &address, "--authority", &theirs.name];
        let options = [&role, options].concat();
        Self::start(V2, &options, leaf, &theirs.authority_pem)
    }

    /// The same over federation v1.
    pub fn dial_v1(address: SocketAddr, leaf: &Leaf, theirs: &Leaf, options: &[&str]) -> Self {
        let address = address.to_string();
        let options = [&["--dial", &address], options].concat();
        Self::start(V1, &options, leaf, &theirs.authority_pem)
    }

    /// Starts it as the accepting side, believing the authority of `theirs`; gives its address too.
    pub fn listen(leaf: &Leaf, theirs: &Leaf, options: &[&str]) -> (Self, SocketAddr) {
        Self::listen_as(V2, leaf, theirs, options)
    }

    /// The same over federation v1.
    pub fn listen_v1(leaf: &Leaf, theirs: &Leaf, options: &[&str]) -> (Self, SocketAddr) {
        Self::listen_as(V1, leaf, theirs, options)
    }

    fn listen_as(
        program: &str,
        leaf: &Leaf,
        theirs: &Leaf,
        options: &[&str],
    ) -> (Self, SocketAddr) {
        let options = [&["--listen", "0"], options].concat();
        let foreign = Self::start(program, &options, leaf, &theirs.authority_pem);
        let said = foreign.expect("its port", |said| said["report"] == "listening");
        let port = said["port"]
            .as_u64()
            .and_then(|port| u16::try_from(port).ok());
        (
            foreign,
            SocketAddr::from(([127, 0, 0, 1], port.expect("a port"))),
        )
    }

    fn start(program: &str, options: &[&str], leaf: &Leaf, authority_pem: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        let mut child = Command::new(peer_python())
            .arg(
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("tests/peers")
                    .join(program),
            )
            .args(["--id", FOREIGN_ID, "--name", "foreign"])
            .args(options)
            .arg("--cert")
            .arg(file("chain.pem", &leaf.chain_pem))
            .arg("--key")
            .arg(file("key.pem", &leaf.key_pem))
            .arg("--ca")
            .arg(file("ca.pem", authority_pem))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the foreign federate starts");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let said = Arc::<Mutex<Vec<Value>>>::default();
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                heard.lock().expect("no panic").push(value);
            }
        });
        Self {
            child,
            stdin,
            said,
            _directory: directory,
        }
    }

    /// Tells it to do something.
    pub fn tell(&mut self, command: &Value) {
        writeln!(self.stdin, "{command}")
            .and_then(|()| self.stdin.flush())
            .expect("it listens");
    }

    /// Waits for something it reports.
    #[track_caller]
    pub fn expect(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("the foreign federate reports {what}"), || {
            self.said().into_iter().find(|value| fits(value))
        })
    }

    /// Waits for a `FederatedEvent` that fits, whichever stream carries it.
    #[track_caller]
    pub fn expect_event(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("the foreign federate gets {what}"), || {
            self.events().into_iter().find(|event| fits(event))
        })
    }

    /// Every `FederatedEvent` that reached it so far, in its order.
    pub fn events(&self) -> Vec<Value> {
        self.said()
            .into_iter()
            .filter(|said| said["report"] == "message")
            .filter(|said| {
                ["ClientEventStream", "ServerEventStream", "v1"]
                    .iter()
                    .any(|method| said["method"] == *method)
            })
            .map(|said| said["message"].clone())
            .filter(|message| message.get("event").or(message.get("contact")).is_some())
            .collect()
    }

    /// Everything it reported so far.
    pub fn said(&self) -> Vec<Value> {
        self.said.lock().expect("no panic").clone()
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            for value in self.said() {
                eprintln!("the foreign federate: {value}");
            }
        }
    }
}

/// The interpreter that has grpcio.
/// The Python with the peers' libraries, which `scripts/test` makes.
pub fn peer_python() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers/bin/python");
    let python = std::env::var_os("TOMBOLO_PEER_PYTHON").map_or(here, PathBuf::from);
    assert!(
        python.exists(),
        "{} is missing: run `scripts/test` once, it creates it",
        python.display()
    );
    python
}
