//! What the service manager is told (sd_notify(3)), when there is one: ready, alive, reading again, stopping, and how
//! things stand in words.
//!
//! The sending is our own, the words are the library's: `sd_notify::notify` waits when the manager does not read, and
//! the event loop must wait for nobody.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sd_notify::NotifyState;

/// Most characters of the words that `systemctl status` shows.
const MOST_CHARACTERS: usize = 160;

/// The service manager, or nobody.
#[derive(Debug, Default)]
pub struct Manager {
    line: Option<Line>,
    watchdog: Option<Duration>,
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Line {
    socket: UnixDatagram,
    address: SocketAddr,
}

#[derive(Debug, Default)]
struct Told {
    /// "Ready" is due and has not arrived.
    owes_ready: bool,
    words: String,
}

impl Manager {
    /// Nobody: nothing is told.
    pub fn none() -> Self {
        Self::default()
    }

    /// The one that `NOTIFY_SOCKET` names; nobody when there is none or its address cannot be used. `WATCHDOG_USEC`
    /// counts when `WATCHDOG_PID` is this process, or absent.
    pub fn from_environment() -> Self {
        let Some(name) = env::var_os("NOTIFY_SOCKET") else {
            return Self::none();
        };
        Self::at(&name, sd_notify::watchdog_enabled()).unwrap_or_default()
    }

    /// The one that listens at `name`: a path, or `@` and an abstract name.
    fn at(name: &OsStr, watchdog: Option<Duration>) -> io::Result<Self> {
        let address = match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            line: Some(Line { socket, address }),
            watchdog: watchdog.filter(|time| !time.is_zero()),
            told: Mutex::default(),
        })
    }

    /// Whether there is one. If so, it starts the box again when that ends: our units say `Restart=always`.
    pub fn is_there(&self) -> bool {
        self.line.is_some()
    }

    /// Time between two signs of life: half of what the manager allows. None: it wants none.
    pub fn pulse(&self) -> Option<Duration> {
        self.line.as_ref().and(self.watchdog).map(|time| time / 2)
    }

    /// Everything is bound and served.
    pub fn ready(&self) {
        self.told().owes_ready = true;
        self.alive();
    }

    /// The event loop turns. Says "ready" again when that did not get through.
    pub fn alive(&self) {
        let mut told = self.told();
        let sent = if told.owes_ready {
            self.send(&[NotifyState::Ready, NotifyState::Watchdog])
        } else {
            self.send(&[NotifyState::Watchdog])
        };
        told.owes_ready &= !sent;
    }

    /// How things stand, in words; told when they are others than before.
    pub fn status(&self, words: &str) {
        let words = one_line(words);
        let mut told = self.told();
        if told.words != words && self.send(&[NotifyState::Status(&words)]) {
            told.words = words;
        }
    }

    /// The configuration is read again; [`Manager::ready`] follows.
    pub fn reloading(&self) {
        // Manager and box must agree on the moment, or the manager takes the "ready" for an old one.
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            self.send(&[NotifyState::Reloading, now]);
        }
    }

    /// The box ends.
    pub fn stopping(&self, words: &str) {
        let words = one_line(words);
        self.told().owes_ready = false;
        self.send(&[NotifyState::Stopping, NotifyState::Status(&words)]);
    }

    /// Whether it got through, or there is nobody to tell.
    fn send(&self, states: &[NotifyState<'_>]) -> bool {
        let Some(Line { socket, address }) = &self.line else {
            return true;
        };
        let message: String = states.iter().map(|state| format!("{state}\n")).collect();
        socket.send_to_addr(message.as_bytes(), address).is_ok()
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line's end would begin another assignment.
fn one_line(words: &str) -> String {
    let mut line: String = words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MOST_CHARACTERS)
        .collect();
    if words.chars().count() > MOST_CHARACTERS {
        line.pop();
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 512];
        let count = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    #[test]
    fn everything_is_told_once_and_in_words() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        systemd
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let manager = Manager::at(path.as_os_str(), Some(Duration::from_secs(30))).unwrap();
        assert!(manager.is_there());
        assert_eq!(manager.pulse(), Some(Duration::from_secs(15)));
        manager.ready();
        assert_eq!(read(&systemd), "READY=1\nWATCHDOG=1\n");
        manager.alive();
        assert_eq!(read(&systemd), "WATCHDOG=1\n");
        manager.status("2 peers\nREADY=0");
        manager.status("2 peers\nREADY=0");
        manager.reloading();
        assert_eq!(read(&systemd), "STATUS=2 peers READY=0\n");
        let reloading = read(&systemd);
        assert!(
            reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
            "{reloading}"
        );
        manager.stopping("bye");
        assert_eq!(read(&systemd), "STOPPING=1\nSTATUS=bye\n");
    }

    #[test]
    fn ready_is_said_until_it_arrives_and_nobody_waits() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = Manager::at(path.as_os_str(), None).unwrap();
        manager.ready();
        let systemd = UnixDatagram::bind(&path).unwrap();
        manager.alive();
        assert_eq!(read(&systemd), "READY=1\nWATCHDOG=1\n");
        // A manager that does not read: its queue is full after some messages, and nothing here waits for it.
        for _ in 0..10_000 {
            manager.alive();
        }
        assert_eq!(manager.pulse(), None);
    }

    #[test]
    fn an_abstract_name_is_understood() {
        let name = format!("tombolo-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let systemd = UnixDatagram::bind_addr(&address).unwrap();
        let manager = Manager::at(OsStr::new(&format!("@{name}")), None).unwrap();
        manager.ready();
        assert_eq!(read(&systemd), "READY=1\nWATCHDOG=1\n");
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        let manager = Manager::none();
        manager.ready();
        manager.status("x");
        manager.stopping("x");
        assert!(!manager.is_there() && manager.pulse().is_none());
        assert_eq!(one_line(&"x".repeat(500)).chars().count(), MOST_CHARACTERS);
    }
}
