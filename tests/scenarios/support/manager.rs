//! A service manager as systemd is one: it starts the box, hears what it says, and starts it again.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::process::{Finished, ask, tombolo};
use super::setup::Setup;
use super::{PATIENCE, eventually};

/// A box under a service manager, on a machine whose boots the test decides on.
#[derive(Debug)]
pub struct Managed {
    setup: Setup,
    socket: UnixDatagram,
    machine: PathBuf,
    child: Option<Child>,
}

impl Managed {
    /// Prepares a box; its configuration is written, and it does not run yet.
    pub fn new(setup: Setup) -> Self {
        setup.write();
        let directory = setup.config().parent().expect("a directory").to_path_buf();
        let socket = UnixDatagram::bind(directory.join("notify")).expect("a socket");
        let managed = Self {
            socket,
            machine: directory.join("machine"),
            setup,
            child: None,
        };
        managed.boot("first");
        managed
    }

    /// The machine boots; the box is not started yet.
    pub fn boot(&self, id: &str) {
        let random = self.machine.join("proc/sys/kernel/random");
        fs::create_dir_all(&random).expect("a directory");
        fs::write(random.join("boot_id"), id).expect("boot_id");
        fs::write(self.machine.join("proc/uptime"), "7.50 20.00\n").expect("uptime");
    }

    /// Starts the box, with a watchdog of that time.
    pub fn start(&mut self, watchdog: Duration, more: &[&str]) {
        self.start_with(watchdog, more, &[]);
    }

    /// Starts the box with more in its environment.
    pub fn start_with(&mut self, watchdog: Duration, more: &[&str], variables: &[(&str, &str)]) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.setup.log())
            .expect("the log");
        let child = Command::new(tombolo())
            .arg("run")
            .arg("--config")
            .arg(self.setup.config())
            .arg("--state")
            .arg(self.setup.state())
            .arg("--machine")
            .arg(&self.machine)
            .args(more)
            .env(
                "NOTIFY_SOCKET",
                self.setup.config().with_file_name("notify"),
            )
            .env("WATCHDOG_USEC", watchdog.as_micros().to_string())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log)
            .spawn()
            .expect("the box starts");
        self.child = Some(child);
    }

    /// The next thing it says, within the time.
    pub fn hear(&self, within: Duration) -> Option<String> {
        self.socket
            .set_read_timeout(Some(within.max(Duration::from_millis(1))))
            .expect("a timeout");
        let mut bytes = [0; 1024];
        let count = self.socket.recv(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..count]).into_owned())
    }

    /// Waits until it says a line that begins so, and gives the line.
    #[track_caller]
    pub fn wait_word(&self, word: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it never says {word}\n{}", self.log());
            let said = self.hear(left).unwrap_or_default();
            if let Some(line) = said.lines().find(|line| line.starts_with(word)) {
                return line.to_owned();
            }
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("a running box");
        let number = i32::try_from(child.id()).expect("a process number");
        kill(Pid::from_raw(number), signal).expect("the signal is delivered");
    }

    /// Waits for the end of the box; what it said before its end and nobody heard is thrown away.
    #[track_caller]
    pub fn wait_end(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("a running box");
        let ended = eventually("the box ends", || {
            child.try_wait().expect("its exit status")
        });
        while self.hear(Duration::from_millis(1)).is_some() {}
        ended
    }

    /// The power goes.
    pub fn power_cut(&mut self) {
        self.signal(Signal::SIGKILL);
        self.wait_end();
    }

    /// Calls a command against this box.
    pub fn call<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Finished {
        let (config, state) = (self.setup.config(), self.setup.state());
        let own: Vec<S> = arguments.into_iter().collect();
        let global = [
            OsStr::new("--config"),
            config.as_os_str(),
            OsStr::new("--state"),
            state.as_os_str(),
        ];
        let all = global.into_iter().chain(own.iter().map(AsRef::as_ref));
        ask(tombolo(), all, "")
    }

    /// Its status.
    #[track_caller]
    pub fn status(&self) -> serde_json::Value {
        let printed = self.call(["status", "--json"]).success();
        serde_json::from_str(&printed).expect("JSON")
    }

    /// Where its configuration lies.
    pub fn config(&self) -> PathBuf {
        self.setup.config()
    }

    /// Where its state lies.
    pub fn state(&self) -> PathBuf {
        self.setup.state()
    }

    /// The machine's root directory.
    pub fn machine(&self) -> PathBuf {
        self.machine.clone()
    }

    /// What it logged, in all its runs.
    pub fn log(&self) -> String {
        fs::read_to_string(self.setup.log()).unwrap_or_default()
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- log\n{}", self.log());
        }
    }
}
