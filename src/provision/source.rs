//! What lies in a source: a folder that anybody may have written, so every name, kind and size is looked at first.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::network;
use crate::files;

/// Most files of a folder of ours; the root of a stick may hold much else.
const MOST_FILES: usize = 256;
const MOST_ROOT_FILES: usize = 4096;
/// Name of a file that is being destroyed.
pub const DYING: &str = "TOMBOLO.DEL";
/// Largest file of each kind, bytes.
const MOST_TEXT: u64 = 1024 * 1024;
const MOST_SMALL: u64 = 256 * 1024;

/// A file of the source, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its name in lower case, without its folder.
    pub name: String,
    /// As people see it: folder and name as they are written.
    pub shown: String,
    /// Where it lies.
    pub path: PathBuf,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// All that is taken from a source.
#[derive(Debug, Default)]
pub struct Offer {
    /// `tombolo.toml`
    pub toml: Option<Item>,
    /// `federation.json`
    pub federation: Option<Item>,
    /// `authorized_keys`
    pub authorized_keys: Option<Item>,
    /// `certs/`: PEM, .p12 and `password.txt`
    pub certs: Vec<Item>,
    /// `peers/`: NAME.pem, NAME.toml
    pub peers: Vec<Item>,
    /// `network/`
    pub network: Vec<Item>,
    /// `*.raucb`, by name
    pub bundles: Vec<PathBuf>,
    /// Secrets whose destruction was cut short.
    pub remains: Vec<PathBuf>,
    /// What is wrong already.
    pub mistakes: Vec<String>,
}

impl Offer {
    /// There is something to take, or a mistake to tell.
    pub fn is_empty(&self) -> bool {
        self.toml.is_none()
            && self.federation.is_none()
            && self.authorized_keys.is_none()
            && [&self.certs, &self.peers, &self.network]
                .iter()
                .all(|items| items.is_empty())
            && self.mistakes.is_empty()
    }
}

/// Reads a source; none if it is not there.
pub fn read(directory: &Path) -> Option<Offer> {
    if !fs::metadata(directory).is_ok_and(|facts| facts.is_dir()) {
        return None;
    }
    let mut offer = Offer::default();
    for (name, path) in list(directory, "", MOST_ROOT_FILES, &mut offer.mistakes) {
        let lower = name.to_lowercase();
        let mut one = |most| item(&path, &name, &lower, most, &mut offer.mistakes);
        match lower.as_str() {
            "tombolo.toml" => {
                let item = one(MOST_TEXT);
                put(&mut offer.toml, item, &mut offer.mistakes);
            }
            "federation.json" => {
                let item = one(MOST_TEXT);
                put(&mut offer.federation, item, &mut offer.mistakes);
            }
            "authorized_keys" => {
                let item = one(MOST_SMALL);
                put(&mut offer.authorized_keys, item, &mut offer.mistakes);
            }
            "certs" => folder(
                &path,
                &name,
                &["pem", "crt", "cer", "key", "p12", "pfx", "txt"],
                &mut offer.certs,
                &mut offer.remains,
                &mut offer.mistakes,
            ),
            "peers" => folder(
                &path,
                &name,
                &["pem", "crt", "cer", "toml"],
                &mut offer.peers,
                &mut offer.remains,
                &mut offer.mistakes,
            ),
            "network" => folder(
                &path,
                &name,
                &[],
                &mut offer.network,
                &mut offer.remains,
                &mut offer.mistakes,
            ),
            "tombolo.toml.txt" | "federation.json.txt" | "authorized_keys.txt" => {
                let wanted = lower.trim_end_matches(".txt");
                offer.mistakes.push(format!(
                    "{name}: rename it to {wanted} (the editor added .txt)"
                ));
            }
            _ if lower.ends_with(".raucb") => offer.bundles.push(path),
            _ => {}
        }
    }
    for item in &offer.network {
        if network::kind(&item.name).is_none() {
            offer.mistakes.push(format!(
                "{}: is not a name that is taken; call it NAME.network or wpa_supplicant-INTERFACE.conf, in plain letters",
                item.shown
            ));
        }
    }
    offer.bundles.sort();
    Some(offer)
}

fn put(place: &mut Option<Item>, item: Option<Item>, mistakes: &mut Vec<String>) {
    let Some(item) = item else { return };
    if let Some(other) = place {
        mistakes.push(twice(&item, other));
    }
    *place = Some(item);
}

fn twice(item: &Item, other: &Item) -> String {
    format!(
        "{}: there is {} too; capital letters do not matter, so leave one of them",
        item.shown, other.shown
    )
}

fn folder(
    path: &Path,
    shown: &str,
    endings: &[&str],
    into: &mut Vec<Item>,
    remains: &mut Vec<PathBuf>,
    mistakes: &mut Vec<String>,
) {
    // Not followed: a link could lead anywhere.
    if !fs::symlink_metadata(path).is_ok_and(|facts| facts.is_dir()) {
        mistakes.push(format!("{shown}: must be a folder"));
        return;
    }
    for (name, path) in list(path, shown, MOST_FILES, mistakes) {
        let lower = name.to_lowercase();
        if name == DYING {
            remains.push(path);
            continue;
        }
        let is_ours = endings.is_empty()
            || lower
                .rsplit_once('.')
                .is_some_and(|(_, ending)| endings.contains(&ending));
        let is_theirs =
            lower.starts_with('.') || matches!(lower.as_str(), "desktop.ini" | "thumbs.db");
        if !is_ours
            || is_theirs
            || (!endings.is_empty() && lower.ends_with(".txt") && lower != "password.txt")
        {
            continue;
        }
        let shown = format!("{shown}/{name}");
        let Some(item) = item(&path, &shown, &lower, MOST_SMALL, mistakes) else {
            continue;
        };
        if let Some(other) = into.iter().find(|other| other.name == item.name) {
            mistakes.push(twice(&item, other));
        }
        into.push(item);
    }
}

/// The names in a folder, sorted, and their paths.
fn list(
    directory: &Path,
    shown: &str,
    most: usize,
    mistakes: &mut Vec<String>,
) -> Vec<(String, PathBuf)> {
    let shown = if shown.is_empty() {
        "the source"
    } else {
        shown
    };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            mistakes.push(format!("{shown}: {}", files::fault(&error)));
            return Vec::new();
        }
    };
    let mut found: Vec<_> = entries
        .take(most + 1)
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().into_string().ok()?, entry.path()))
        })
        .collect();
    if found.len() > most {
        mistakes.push(format!(
            "{shown}: holds more than {most} files; take out what does not belong there"
        ));
        found.truncate(most);
    }
    found.sort();
    found
}

fn item(
    path: &Path,
    shown: &str,
    lower: &str,
    most: u64,
    mistakes: &mut Vec<String>,
) -> Option<Item> {
    match read_file(path, most) {
        Ok(bytes) => Some(Item {
            name: lower.to_owned(),
            shown: shown.to_owned(),
            path: path.to_path_buf(),
            bytes,
        }),
        Err(error) => {
            mistakes.push(format!("{shown}: {}", fault(&error, most)));
            None
        }
    }
}

fn fault(error: &io::Error, most: u64) -> String {
    match error.kind() {
        io::ErrorKind::FileTooLarge => {
            format!("is larger than {} KiB; is it the right file?", most / 1024)
        }
        io::ErrorKind::InvalidInput => "is no ordinary file; put the file itself there".into(),
        _ if error.raw_os_error() == Some(nix::libc::ELOOP) => {
            "is a link; put the file itself there".into()
        }
        _ => files::fault(error),
    }
}

fn read_file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(bytes),
    }
}

/// Opens an ordinary file: no link is followed, no pipe waited for.
pub fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::ErrorKind::InvalidInput.into()),
    }
}
