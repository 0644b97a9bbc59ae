//! One island: a real box in its own process, with its own state directory.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::error::DemoError;
use super::identity::{Known, create};

/// A box must answer within this after its start.
const START: Duration = Duration::from_secs(20);
/// A box must be gone within this after SIGTERM; then it is killed.
const STOP: Duration = Duration::from_secs(6);
/// Lines of a log that are shown when something went wrong.
const LOG_LINES: usize = 12;

/// The directory of one demo; gone with everything in it when dropped.
#[derive(Debug)]
pub(super) struct Playground {
    path: PathBuf,
}

impl Playground {
    /// Makes the directory, for this user only.
    pub(super) fn create() -> Result<Self, DemoError> {
        let path = std::env::temp_dir().join(format!("tombolo-demo-{}", std::process::id()));
        // A leftover of a killed demo whose process number came round again.
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) {
            let _ = fs::remove_dir_all(&path);
        }
        make_directory(&path)?;
        Ok(Self { path })
    }
}

impl Drop for Playground {
    fn drop(&mut self) {
        // What cannot be removed lies under the system's own directory for such things.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// What a box says of itself.
#[derive(Debug, Clone)]
pub(super) struct Status(Value);

impl Status {
    /// State and reason of a peer, as the box words them.
    pub(super) fn peer(&self, name: &str) -> Option<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let peers = self.0.get("peers")?.as_array()?;
        let peer = peers
            .iter()
            .find(|peer| peer.get("name").and_then(Value::as_str) == Some(name))?;
        Some((text(&peer["state"]), text(&peer["reason"])))
    }

    fn address(&self, pointer: &str) -> Option<SocketAddr> {
        self.0.pointer(pointer)?.as_str()?.parse().ok()
    }
}

/// One box of the demo. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Island {
    name: &'static str,
    directory: PathBuf,
    known: Known,
    child: Option<Child>,
    status: Option<Status>,
}

impl Island {
    /// Makes the island's directory and identity; nothing runs yet.
    pub(super) fn prepare(playground: &Playground, name: &'static str) -> Result<Self, DemoError> {
        let directory = playground.path.join(name);
        make_directory(&directory)?;
        make_directory(&directory.join("state"))?;
        let known = create(name, &directory.join("state"), directory.join("ca.pem"))?;
        Ok(Self {
            name,
            directory,
            known,
            child: None,
            status: None,
        })
    }

    /// The island's name.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Starts the box with its neighbour registered: with an address it dials, without it listens.
    pub(super) async fn start(
        &mut self,
        neighbour: Option<&Island>,
        dial: Option<SocketAddr>,
    ) -> Result<(), DemoError> {
        let mut config = node_section(self.name);
        let federation = if dial.is_some() {
            "[]"
        } else {
            "[\"127.0.0.1:0\"]"
        };
        config += &format!(
            "\n[listen]\nclients_tcp = \"127.0.0.1:0\"\nclients_tls = \"\"\nfederation = {federation}\napi = \"\"\n"
        );
        // A demonstration on a box leaves the box's own LED alone.
        config += "\n[led]\ndevice = \"\"\n";
        if let Some(neighbour) = neighbour {
            config += &format!(
                "\n[[peer]]\nname = \"{}\"\nca_cert = {:?}\nfingerprint = \"{}\"\n",
                neighbour.name, neighbour.known.ca_file, neighbour.known.fingerprint
            );
            if let Some(address) = dial {
                config += &format!("address = \"{address}\"\n");
            }
        }
        write(&self.config(), &config)?;
        let log =
            File::create(self.log()).map_err(|error| DemoError::Playground(self.log(), error))?;
        let copy = log.try_clone().map_err(DemoError::Spawn)?;
        let child = Command::new(executable()?)
            .args([
                OsString::from("run"),
                "--config".into(),
                self.config().into(),
            ])
            .args([OsString::from("--state"), self.state().into()])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(copy)
            // Ctrl-C on the terminal is for the demo alone: it stops the boxes itself, in order.
            .process_group(0)
            .spawn()
            .map_err(DemoError::Spawn)?;
        self.child = Some(child);
        let deadline = Instant::now() + START;
        loop {
            self.still_running()?;
            match self.status().await {
                Ok(status) => {
                    self.status = Some(status);
                    return Ok(());
                }
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Asks the running box.
    pub(super) async fn status(&self) -> Result<Status, DemoError> {
        let arguments = [OsString::from("--state"), self.state().into()]
            .into_iter()
            .chain(["status", "--json"].map(OsString::from))
            .collect();
        let answer = ask(self.name, arguments).await?;
        serde_json::from_str(&answer).map(Status).map_err(|error| {
            DemoError::Island(
                self.name,
                format!("gives no readable status: {error}"),
                self.log_tail(),
            )
        })
    }

    /// Fails when the process has ended.
    pub(super) fn still_running(&mut self) -> Result<(), DemoError> {
        let ended = self
            .child
            .as_mut()
            .and_then(|child| child.try_wait().ok().flatten());
        match ended {
            None => Ok(()),
            Some(ended) => Err(DemoError::Island(
                self.name,
                format!("ended: {ended}"),
                self.log_tail(),
            )),
        }
    }

    /// Where devices connect.
    pub(super) fn clients_address(&self) -> Result<SocketAddr, DemoError> {
        self.bound("/listen/clients_tcp")
    }

    /// Where federates connect.
    pub(super) fn federation_address(&self) -> Result<SocketAddr, DemoError> {
        self.bound("/listen/federation/0")
    }

    /// Stops the box as its administrator would, then makes sure.
    pub(super) async fn stop(&mut self) {
        let Some(child) = &mut self.child else { return };
        if let Ok(number) = i32::try_from(child.id()) {
            // A process that has ended already needs no signal.
            let _ = kill(Pid::from_raw(number), Signal::SIGTERM);
        }
        let deadline = Instant::now() + STOP;
        while Instant::now() < deadline {
            if child.try_wait().is_ok_and(|ended| ended.is_some()) {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The last lines the box logged.
    pub(super) fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    fn bound(&self, pointer: &str) -> Result<SocketAddr, DemoError> {
        self.status
            .as_ref()
            .and_then(|status| status.address(pointer))
            .ok_or_else(|| {
                let what = format!("does not say what it listens on ({pointer})");
                DemoError::Island(self.name, what, self.log_tail())
            })
    }

    fn config(&self) -> PathBuf {
        self.directory.join("tombolo.toml")
    }

    fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    fn log(&self) -> PathBuf {
        self.directory.join("log")
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Both fail only when the process is gone, which is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Calls this program's own command line and gives back what it printed.
async fn ask(name: &'static str, arguments: Vec<OsString>) -> Result<String, DemoError> {
    let mut command = Command::new(executable()?);
    command.args(arguments).stdin(Stdio::null());
    let output = spawn_blocking(move || command.output())
        .await
        .map_err(|error| DemoError::Spawn(error.into()))?
        .map_err(DemoError::Spawn)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(DemoError::Island(
        name,
        format!("does not answer: {said}"),
        String::new(),
    ))
}

fn executable() -> Result<PathBuf, DemoError> {
    std::env::current_exe().map_err(DemoError::Spawn)
}

fn node_section(name: &str) -> String {
    format!("[node]\nname = \"{name}\"\n")
}

fn make_directory(path: &Path) -> Result<(), DemoError> {
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(|error| DemoError::Playground(path.to_owned(), error))
}

fn write(path: &Path, text: &str) -> Result<(), DemoError> {
    fs::write(path, text).map_err(|error| DemoError::Playground(path.to_owned(), error))
}
