//! A real FreeTAKServer in a namespace: `tests/peers/freetakserver.py`, driven over JSON lines.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tempfile::TempDir;

/// It takes ten seconds to start on a quick machine.
const START: Duration = Duration::from_secs(100);

/// A running FreeTAKServer. It is ended when dropped.
#[derive(Debug)]
pub struct FreeTakServer {
    child: Child,
    stdin: ChildStdin,
    said: Receiver<Value>,
    /// SHA-256 of its certificate in the spelling of `tombolo.toml`.
    pub fingerprint: String,
    directory: TempDir,
}

impl FreeTakServer {
    /// Starts it in a namespace, and waits until it serves clients on port 8087 and REST. None, with a line that says so,
    /// where it is not installed.
    pub fn start(namespace: &str) -> Option<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = std::env::var_os("TOMBOLO_FREETAKSERVER_PYTHON")
            .map_or_else(|| here.join("target/peers-fts/bin/python"), PathBuf::from);
        if !python.exists() {
            eprintln!(
                "SKIPPED: no FreeTAKServer; scripts/test installs it where there is Python 3.11"
            );
            return None;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let mut child = Command::new("ip")
            .args(["netns", "exec", namespace])
            .arg(python)
            .arg(here.join("tests/peers/freetakserver.py"))
            .arg(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("ip runs");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (says, said) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if says.send(value).is_err() {
                    break;
                }
            }
        });
        let mut server = Self {
            child,
            stdin,
            said,
            fingerprint: String::new(),
            directory,
        };
        let ready = server.hear("ready");
        let pem = ready["certificate"].as_str().expect("a path");
        let leaf = CertificateDer::from_pem_file(pem).expect("its certificate");
        let hex = digest(&SHA256, &leaf);
        server.fingerprint = hex
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        server.fingerprint.insert_str(0, "SHA256:");
        Some(server)
    }

    /// Begins to accept federates on port 9000.
    pub fn serve(&mut self) {
        self.tell(&json!({"do": "serve"}));
    }

    /// Begins to dial a federate.
    pub fn federate(&mut self, address: &str, port: u16) {
        self.tell(&json!({"do": "federate", "address": address, "port": port}));
    }

    /// Says something by its REST interface.
    pub fn rest(&mut self, path: &str, body: &Value) {
        self.tell(&json!({"do": "rest", "path": path, "body": body}));
    }

    fn tell(&mut self, command: &Value) {
        writeln!(self.stdin, "{command}")
            .and_then(|()| self.stdin.flush())
            .expect("it listens");
        self.hear("done");
    }

    fn hear(&self, what: &str) -> Value {
        let end = Instant::now() + START;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let said = self.said.recv_timeout(left).expect("FreeTAKServer answers");
            assert_ne!(said["report"], "error", "{said}");
            if said["report"] == what {
                return said;
            }
        }
    }

    /// What it printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("out.log")).unwrap_or_default()
    }
}

impl Drop for FreeTakServer {
    fn drop(&mut self) {
        // It ends its server, which has processes of its own, when nobody talks to it any more.
        let _ = writeln!(self.stdin, "{}", json!({"do": "quit"}));
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end && self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- FreeTAKServer\n{}", self.log());
        }
    }
}
