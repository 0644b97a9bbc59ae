//! A running box, and calls of the command line.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::certificates::{Authority, Leaf};
use super::setup::Setup;
use super::status::Status;
use super::{PATIENCE, eventually};

/// The program under test.
pub fn tombolo() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_tombolo"))
}

/// What a call of the command line left behind.
#[derive(Debug)]
pub struct Finished {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Finished {
    /// The output, when it succeeded.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self.stdout
    }
}

/// Calls the program with an input, and waits for its end.
pub fn ask<I, S>(program: &Path, arguments: I, input: &str) -> Finished
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A program that does not want its input may close it.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("the program ends");
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A running box. It is killed when dropped; its log is shown when the test failed.
#[derive(Debug)]
pub struct TomboloBox {
    setup: Setup,
    child: Child,
    first: Status,
}

impl TomboloBox {
    /// Starts the box whose configuration is written.
    pub(super) fn start(setup: Setup) -> Self {
        let child = spawn(&setup, &[]);
        let mut started = Self {
            setup,
            child,
            first: Status::default(),
        };
        started.wait_start();
        started
    }

    /// Kills it as a power cut does, and starts it again with these variables in its environment.
    pub fn start_again(&mut self, environment: &[(&str, &str)]) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.child = spawn(&self.setup, environment);
        self.first = Status::default();
        self.wait_start();
    }

    fn wait_start(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.first.is_empty() {
            if let Some(ended) = self.child.try_wait().expect("its exit status") {
                panic!("the box ended: {ended}\n{}", self.log());
            }
            assert!(Instant::now() < deadline, "no status\n{}", self.log());
            if let Some(status) = self.try_status() {
                self.first = status;
            } else {
                std::thread::sleep(Duration::from_millis(30));
            }
        }
    }

    /// What it says of itself now.
    #[track_caller]
    pub fn status(&self) -> Status {
        self.try_status().expect("a running box answers")
    }

    fn try_status(&self) -> Option<Status> {
        let finished = self.call(["status", "--json"], "");
        (finished.code == Some(0)).then(|| Status::parse(&finished.stdout))
    }

    /// Calls a command against this box.
    pub fn call<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        input: &str,
    ) -> Finished {
        let (config, state) = (self.config(), self.state());
        let global = [
            OsStr::new("--config"),
            config.as_os_str(),
            OsStr::new("--state"),
            state.as_os_str(),
        ];
        let own: Vec<S> = arguments.into_iter().collect();
        ask(
            tombolo(),
            global.into_iter().chain(own.iter().map(AsRef::as_ref)),
            input,
        )
    }

    /// Where plain clients connect.
    pub fn clients_tcp(&self) -> SocketAddr {
        self.first.address("/listen/clients_tcp")
    }

    /// Where TLS clients connect.
    pub fn clients_tls(&self) -> SocketAddr {
        self.first.address("/listen/clients_tls")
    }

    /// Where federates connect.
    pub fn federation(&self) -> SocketAddr {
        self.first.address("/listen/federation/0")
    }

    /// Where its HTTPS API is.
    pub fn api(&self) -> SocketAddr {
        self.first.address("/listen/api")
    }

    /// Where FreeTAKServer's routes are.
    pub fn freetakserver(&self) -> SocketAddr {
        self.first.address("/listen/freetakserver")
    }

    /// Where federates bring and fetch data packages.
    pub fn packages(&self) -> SocketAddr {
        self.first.address("/listen/packages")
    }

    /// A certificate for a device of this box, of the box's own authority.
    pub fn issue(&self, callsign: &str) -> Leaf {
        Authority::of_box(&self.state()).issue(callsign)
    }

    /// Its configuration.
    pub fn config(&self) -> PathBuf {
        self.setup.config()
    }

    /// Its state directory.
    pub fn state(&self) -> PathBuf {
        self.setup.state()
    }

    /// The root of its machine, where it was given one of its own.
    pub fn machine(&self) -> PathBuf {
        self.setup.machine()
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.setup.log()).unwrap_or_default()
    }

    /// Waits until the peer is connected.
    #[track_caller]
    pub fn wait_peer(&self, name: &str) {
        eventually(&format!("{} reaches {name}", self.setup.name()), || {
            self.status().is_up(name).then_some(())
        });
    }

    /// Waits until the peer is gone.
    #[track_caller]
    pub fn wait_peer_gone(&self, name: &str) {
        eventually(&format!("{} loses {name}", self.setup.name()), || {
            (!self.status().is_up(name)).then_some(())
        });
    }

    /// Waits until so many clients are connected.
    #[track_caller]
    pub fn wait_clients(&self, count: u64) {
        eventually(&format!("{count} clients"), || {
            (self.status().number("/clients") == count).then_some(())
        });
    }

    /// Resident memory as the kernel counts it now, KiB.
    pub fn resident_kib(&self) -> u64 {
        memory_kib(self.child.id(), "VmRSS:")
    }

    /// File descriptors that it holds.
    pub fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.child.id());
        fs::read_dir(folder).expect("a running process").count()
    }

    /// The most it ever was, KiB.
    pub fn peak_kib(&self) -> u64 {
        peak_kib(self.child.id())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let number = i32::try_from(self.child.id()).expect("a process number");
        kill(Pid::from_raw(number), signal).expect("the signal is delivered");
    }

    /// Waits for its end, at most so long; `None` when it still runs.
    pub fn wait_end(&mut self, at_most: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + at_most;
        loop {
            match self.child.try_wait().expect("its exit status") {
                Some(ended) => return Some(ended),
                None if Instant::now() >= deadline => return None,
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

fn spawn(setup: &Setup, environment: &[(&str, &str)]) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(setup.log())
        .expect("the log");
    let mut command = match setup.namespace() {
        None => Command::new(tombolo()),
        Some(namespace) => {
            // `ip` becomes the program: the child is the box itself.
            let mut command = Command::new("ip");
            command.args(["netns", "exec", namespace]).arg(tombolo());
            command
        }
    };
    command
        .arg("run")
        .arg("--config")
        .arg(setup.config())
        .arg("--state")
        .arg(setup.state())
        .args(setup.machine_arguments())
        .envs(setup.environment().iter().cloned())
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the log"))
        .stderr(log)
        .spawn()
        .expect("the box starts")
}

impl Drop for TomboloBox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(40)..].join("\n");
            eprintln!("--- log of {}\n{last}", self.setup.name());
        }
    }
}

/// The most resident memory a process ever had, KiB.
pub fn peak_kib(process: u32) -> u64 {
    memory_kib(process, "VmHWM:")
}

fn memory_kib(process: u32, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/status")).expect("a running process");
    text.lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok())
        .expect("a size")
}
