//! An update asked for by the daemon or the console, which may not install it themselves.
//!
//! They leave a file in `/run/tombolo/requests`; a unit of root's sees it and carries it out. What the file says is
//! checked as if anybody had written it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use super::UpdateError;
use super::machine::{Machine, unusable};
use crate::files;

/// Where requests are left.
const REQUEST: &str = "run/tombolo/requests/update";
/// Where the unit puts one before it is carried out, so that the next can be left meanwhile.
const TAKEN: &str = "run/tombolo/taken-update";
/// Where the answer is found.
const RESULT: &str = "run/tombolo/results/update.json";
/// Largest request, bytes.
const MOST_REQUEST: u64 = 8 * 1024;
/// Where a bundle may lie.
const PLACES: [&str; 4] = [
    "run/tombolo-stick",
    "boot/firmware/tombolo",
    "data",
    "var/lib/tombolo",
];

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateRequest {
    /// The bundle.
    pub path: PathBuf,
    /// An older or the same version is installed too. Only the console asks for this.
    #[serde(default)]
    pub allow_downgrade: bool,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateResult {
    /// It is installed, and the box restarts.
    pub ok: bool,
    /// In words.
    pub message: String,
}

/// Leaves a request for root's unit.
///
/// # Errors
/// If the path is no place for a bundle, or the request cannot be written.
pub fn leave(machine: &Machine, request: &UpdateRequest) -> Result<(), UpdateError> {
    bundle(machine, &request.path)?;
    let path = machine.at(REQUEST);
    let bytes =
        serde_json::to_vec(request).map_err(|error| unusable(&path, &io::Error::other(error)))?;
    files::replace(&path, &bytes, files::PRIVATE).map_err(|error| unusable(&path, &error))
}

/// Reads the request that was left.
///
/// # Errors
/// If there is none, or it is not what it should be.
pub fn read(machine: &Machine) -> Result<UpdateRequest, UpdateError> {
    let taken = machine.at(TAKEN);
    let path = match taken.symlink_metadata() {
        Ok(_) => taken,
        Err(_) => machine.at(REQUEST),
    };
    let mut bytes = Vec::new();
    open(&path)
        .and_then(|file| file.take(MOST_REQUEST + 1).read_to_end(&mut bytes))
        .map_err(|error| unusable(&path, &error))?;
    let wrong = |why: &str| UpdateError::Refused(format!("{}: {why}", path.display()));
    if bytes.len() as u64 > MOST_REQUEST {
        return Err(wrong("longer than 8 KiB"));
    }
    serde_json::from_slice(&bytes).map_err(|error| wrong(&error.to_string()))
}

/// The path of a bundle that somebody else names: a regular file in one of the places for it, without links.
///
/// # Errors
/// What is wrong with it.
pub fn bundle(machine: &Machine, path: &Path) -> Result<PathBuf, UpdateError> {
    let wrong = |why: &str| UpdateError::Refused(format!("{}: {why}", path.display()));
    let inside = path
        .strip_prefix("/")
        .map_err(|_| wrong("name the bundle by its whole path"))?;
    if !PLACES.iter().any(|place| inside.starts_with(place)) {
        return Err(wrong(
            "a bundle is taken from the stick (/run/tombolo-stick), /boot/firmware/tombolo, /data or /var/lib/tombolo only",
        ));
    }
    let real = machine.root.join(inside);
    let root = machine
        .root
        .canonicalize()
        .map_err(|error| unusable(&machine.root, &error))?;
    let resolved = real
        .canonicalize()
        .map_err(|error| unusable(path, &error))?;
    if resolved != root.join(inside) {
        return Err(wrong("its path leads over a link; name the file itself"));
    }
    let file = open(&real).map_err(|error| unusable(path, &error))?;
    let is_file = file.metadata().is_ok_and(|facts| facts.is_file());
    is_file
        .then_some(real)
        .ok_or_else(|| wrong("is no regular file"))
}

/// Writes down what came of it.
///
/// # Errors
/// If it cannot be written.
pub fn answer(machine: &Machine, result: &UpdateResult) -> Result<(), UpdateError> {
    let path = machine.at(RESULT);
    let bytes =
        serde_json::to_vec(result).map_err(|error| unusable(&path, &io::Error::other(error)))?;
    files::replace(&path, &bytes, 0o644).map_err(|error| unusable(&path, &error))
}

/// A pipe or a device in its place must not hold us up, and a link is not followed.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn machine() -> (tempfile::TempDir, Machine) {
        let directory = tempfile::tempdir().unwrap();
        for place in [
            "run/tombolo/requests",
            "run/tombolo/results",
            "data",
            "etc",
            "run/tombolo-stick",
        ] {
            fs::create_dir_all(directory.path().join(place)).unwrap();
        }
        let machine = Machine::new(directory.path(), directory.path().join("var/lib/tombolo"));
        (directory, machine)
    }

    #[test]
    fn a_request_is_read_as_it_was_left() {
        let (_directory, machine) = machine();
        fs::write(machine.at("data/new.raucb"), "x").unwrap();
        let request = UpdateRequest {
            path: "/data/new.raucb".into(),
            allow_downgrade: true,
        };
        leave(&machine, &request).unwrap();
        assert_eq!(read(&machine), Ok(request));
        for bad in [
            "",
            "{}",
            "[]",
            r#"{"path":"/data/new.raucb","also":1}"#,
            r#"{"path":7}"#,
            &format!(r#"{{"path":"{}"}}"#, "x".repeat(9000)),
        ] {
            fs::write(machine.at(REQUEST), bad).unwrap();
            assert!(
                matches!(read(&machine), Err(UpdateError::Refused(_))),
                "{bad:.40}"
            );
        }
        fs::remove_file(machine.at(REQUEST)).unwrap();
        std::os::unix::fs::symlink(machine.at("data/new.raucb"), machine.at(REQUEST)).unwrap();
        assert!(matches!(read(&machine), Err(UpdateError::Io(_))));
    }

    #[test]
    fn only_plain_files_in_the_known_places_are_taken() {
        let (_directory, machine) = machine();
        let link = |to: &str, at: &str| {
            std::os::unix::fs::symlink(machine.at(to), machine.at(at)).unwrap();
        };
        fs::write(machine.at("etc/shadow"), "x").unwrap();
        fs::write(machine.at("data/good"), "x").unwrap();
        fs::create_dir(machine.at("data/folder")).unwrap();
        link("etc/shadow", "data/link");
        link("etc", "data/etc");
        link("data/good", "data/again");
        nix::unistd::mkfifo(&machine.at("data/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(
            bundle(&machine, Path::new("/data/good")),
            Ok(machine.at("data/good"))
        );
        for bad in [
            "/etc/shadow",
            "data/good",
            "/data/link",
            "/data/etc/shadow",
            "/data/../etc/shadow",
            "/data/again",
            "/data/folder",
            "/data/pipe",
            "/data/missing",
            "/database",
            "/run/tombolo-stick/../../etc/shadow",
            "",
        ] {
            assert!(bundle(&machine, Path::new(bad)).is_err(), "{bad}");
        }
    }
}
