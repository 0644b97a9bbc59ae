//! A terminal as a person or an expect script has it: a pseudo terminal with `tombolo console` behind it.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::pty::openpty;

use super::PATIENCE;
use super::process::{TomboloBox, tombolo};

/// The console of a box, on a terminal.
#[derive(Debug)]
pub struct Terminal {
    master: File,
    child: Child,
    seen: Arc<Mutex<Vec<u8>>>,
    /// What was looked at already.
    read: usize,
}

impl Terminal {
    /// Opens the console of a box; nothing is expected yet.
    pub fn open(of: &TomboloBox, arguments: &[&str]) -> Self {
        let pair = openpty(None, None).expect("a pseudo terminal");
        let slave = || pair.slave.try_clone().expect("the terminal");
        let child = Command::new(tombolo())
            .arg("console")
            .args(arguments)
            .arg("--config")
            .arg(of.config())
            .arg("--state")
            .arg(of.state())
            .stdin(slave())
            .stdout(slave())
            .stderr(slave())
            .spawn()
            .expect("the console starts");
        drop(pair.slave);
        let master = File::from(pair.master);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut reader = master.try_clone().expect("the terminal");
        let writes = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Ends with an error when the console's side is closed.
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                writes
                    .lock()
                    .expect("bytes")
                    .extend_from_slice(&bytes[..count]);
            }
        });
        Self {
            master,
            child,
            seen,
            read: 0,
        }
    }

    /// Waits until that text comes; gives everything up to its end.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.seen.lock().expect("bytes").clone();
            let new = String::from_utf8_lossy(&seen[self.read..]).into_owned();
            if let Some(at) = new.find(text) {
                let end = at + text.len();
                self.read += end;
                return new[..end].replace('\r', "");
            }
            assert!(Instant::now() < deadline, "no {text:?} in:\n{new}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Types bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.master.write_all(bytes).expect("the terminal takes it");
    }

    /// Types a line and waits for the next prompt of any kind; gives what was shown.
    #[track_caller]
    pub fn line(&mut self, line: &str) -> String {
        self.send(format!("{line}\r").as_bytes());
        self.expect("> ")
    }

    /// Types a command, waits until it is carried out, and fails when it was not.
    #[track_caller]
    pub fn ok(&mut self, line: &str) -> String {
        self.send(format!("{line}\r").as_bytes());
        let shown = self.expect("tombolo> ");
        assert!(shown.contains("\nok\n"), "{shown}");
        shown
    }

    /// Waits for the end of the console.
    #[track_caller]
    pub fn wait_end(mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(ended) = self.child.try_wait().expect("its exit status") {
                return ended;
            }
            assert!(Instant::now() < deadline, "the console does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
