//! `tombolo request NAME`: what the console asked for by a file in `/run/tombolo/requests`, done by the machine's own
//! units as root. Nothing that stands in the file is trusted: it is read and checked as if a stranger had written it.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::failure::{Exit, Failure, unreadable};
use crate::console::Network;
use crate::files;

const RUN: &str = "/run/tombolo";
/// Where systemd-networkd looks, and what keeps the file when the root is read-only.
const PERSISTENT: &str = "/etc/systemd/network";
const VOLATILE: &str = "/run/systemd/network";
const KEPT: &str = "/data/system/network";
/// Before the files of a distribution, which begin with higher numbers.
const UNIT: &str = "10-tombolo.network";
const RESET_MARK: &str = "/data/factory-reset";
const MOST_BYTES: u64 = 4096;
const READABLE: u32 = 0o644;

/// Arguments of `request`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Which request
    name: Name,
}

/// Requests that this command carries out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// Write the network's file and have it read
    Network,
    /// Start the machine again
    Reboot,
    /// Have the next start forget configuration, keys and state; start the machine again
    FactoryReset,
}

/// Runs `request`.
///
/// # Errors
/// What is wrong with the request, or what the system says; the result file says it too.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (name, done) = match arguments.name {
        Name::Network => ("network", network()),
        Name::Reboot => ("reboot", taken("reboot").and_then(|_| reboot())),
        Name::FactoryReset => ("factory-reset", factory_reset()),
    };
    let message = match &done {
        Ok(words) => words.clone(),
        Err(failure) => failure.message.clone(),
    };
    let result = json!({"ok": done.is_ok(), "message": message});
    let results = Path::new(RUN).join("results");
    let file = results.join(format!("{name}.json"));
    let written = fs::create_dir_all(&results)
        .and_then(|()| files::replace(&file, result.to_string().as_bytes(), READABLE));
    done?;
    written.map_err(|error| io_failure(&file, &error))
}

/// The text of a request, which is gone by then: one that fails must not be tried again for ever.
fn taken(name: &str) -> Result<Vec<u8>, Failure> {
    // The unit has put it aside, so that the next can be left meanwhile.
    let aside = Path::new(RUN).join(format!("taken-{name}"));
    let request = match aside.symlink_metadata() {
        Ok(_) => aside,
        Err(_) => Path::new(RUN).join("requests").join(name),
    };
    let read =
        read_own(&request).map_err(|error| unreadable(&request, &error, "the console writes it"));
    let _ = files::remove(&request);
    read
}

/// The directory belongs to another user: a link there could lead anywhere, a pipe would block.
fn read_own(request: &Path) -> io::Result<Vec<u8>> {
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
        .open(request)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no ordinary file"));
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn reboot() -> Result<String, Failure> {
    let ended = Command::new("systemctl").arg("reboot").status();
    match ended {
        Ok(status) if status.success() => Ok("the machine starts again".to_owned()),
        Ok(status) => Err(Failure::new(
            Exit::Unavailable,
            format!("systemctl reboot: {status}"),
        )),
        Err(error) => Err(Failure::new(
            Exit::Unavailable,
            format!("systemctl does not run: {error}"),
        )),
    }
}

/// The early part of the next start empties the data partition when it sees the mark, and removes it last.
fn factory_reset() -> Result<String, Failure> {
    taken("factory-reset")?;
    let mark = Path::new(RESET_MARK);
    files::replace(mark, b"", files::PRIVATE).map_err(|error| io_failure(mark, &error))?;
    reboot()
}

fn network() -> Result<String, Failure> {
    let network = understood(&taken("network")?)?;
    let unit = network.unit();
    write(&[PERSISTENT, VOLATILE, KEPT].map(Path::new), &unit)?;
    // On the image systemd-networkd always runs; elsewhere the file waits for it.
    let reloaded = Command::new("networkctl").arg("reload").output();
    match reloaded {
        Ok(output) if output.status.success() => {
            Ok(format!("the network is now {}", network.words()))
        }
        Ok(output) => Err(Failure::new(
            Exit::Unavailable,
            format!(
                "written, but systemd-networkd does not read it: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ),
        )),
        Err(error) => Err(Failure::new(
            Exit::Unavailable,
            format!("written, but networkctl does not run: {error}"),
        )),
    }
}

fn understood(text: &[u8]) -> Result<Network, Failure> {
    let network: Network = serde_json::from_slice(text)
        .map_err(|error| Failure::new(Exit::Data, format!("no network: {error}")))?;
    network
        .check()
        .map(|()| network)
        .map_err(|words| Failure::new(Exit::Data, words))
}

/// Writes to the first place; where that is on a read-only root, to the other two: one that counts now, and one that
/// the image brings back at its next start.
fn write([persistent, volatile, kept]: &[&Path; 3], unit: &str) -> Result<(), Failure> {
    let into = |directory: &Path| {
        fs::create_dir_all(directory)
            .and_then(|()| files::replace(&directory.join(UNIT), unit.as_bytes(), READABLE))
    };
    match into(persistent) {
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
            into(kept).map_err(|error| io_failure(kept, &error))?;
            into(volatile).map_err(|error| io_failure(volatile, &error))
        }
        done => done.map_err(|error| io_failure(persistent, &error)),
    }
}

fn io_failure(path: &Path, error: &io::Error) -> Failure {
    let message = format!("{}: {}", path.display(), files::fault(error));
    Failure::new(Exit::CannotCreate, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_checked_again_before_it_is_written() {
        assert!(understood(b"{\"dhcp\":true}").is_ok());
        for bad in [
            &b"{"[..],
            b"{\"static\":{\"address\":\"10.0.0.2/24\\nX=y\",\"gateway\":null,\"dns\":[]}}",
            b"{\"static\":{\"address\":\"10.0.0.2/24\",\"gateway\":null,\"dns\":[\"a\\nb\"]}}",
            b"{\"explode\":true}",
        ] {
            assert_eq!(understood(bad).unwrap_err().exit, Exit::Data);
        }
        let directory = tempfile::tempdir().unwrap();
        let request = directory.path().join("request");
        std::os::unix::fs::symlink("/etc/passwd", &request).unwrap();
        assert!(read_own(&request).is_err() && read_own(directory.path()).is_err());
        fs::remove_file(&request).unwrap();
        fs::write(&request, "{}").unwrap();
        assert_eq!(read_own(&request).unwrap(), b"{}");
        let places = ["a/etc", "run", "kept"].map(|name| directory.path().join(name));
        let unit = understood(b"{\"dhcp\":true}").unwrap().unit();
        let paths = [places[0].as_path(), &places[1], &places[2]];
        write(&paths, &unit).unwrap();
        assert_eq!(fs::read_to_string(places[0].join(UNIT)).unwrap(), unit);
        assert!(!places[1].exists() && !places[2].exists());
    }
}
