//! Changing the peers in `tombolo.toml` and nothing else: remarks, order and spacing stay as they were written.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use toml_edit::{DocumentMut, Item};

use super::authority::{self, AuthorityFault};
use super::error::ConfigError;
use super::layers;
use super::settings::Config;
use super::spec::{PeerChange, PeerSpec};
use super::table::{self, is_called};
use super::written::option_of;
use crate::files;

/// Directory beside the configuration file for the CAs of peers.
const PEERS: &str = "peers";
const MOST_BYTES: u64 = 1024 * 1024;

/// Why the configuration was not changed. The file is then as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EditError {
    /// A peer of that name is there already.
    Exists(String),
    /// No peer of that name.
    NotFound {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The peer is declared in another file, which is not changed from here.
    Elsewhere {
        /// The name asked for.
        name: String,
        /// The file in `conf.d/`.
        file: PathBuf,
    },
    /// The peer's CA cannot be used.
    Authority(AuthorityFault),
    /// What was asked for cannot be written.
    Argument {
        /// The key it is about.
        key: &'static str,
        /// What is wrong with it.
        fault: String,
        /// What to say instead.
        cure: String,
    },
    /// The file as it is, or as it would become, is not valid.
    Config(ConfigError),
    /// There are as many peers as `max_federates` allows.
    TooMany {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        fault: String,
        /// What to change.
        cure: String,
    },
    /// Peers are written in a way that cannot be edited.
    Shape(PathBuf),
    /// A file cannot be read or written.
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(name) => write!(
                f,
                "a peer called \"{name}\" is there already; `tombolo peer set` changes it, --replace sets it anew"
            ),
            Self::NotFound { name, known } if known.is_empty() => {
                write!(
                    f,
                    "there is no peer called \"{name}\", nor any other; register one with `tombolo peer add`"
                )
            }
            Self::NotFound { name, known } => write!(
                f,
                "there is no peer called \"{name}\"; there are: {}",
                known.join(", ")
            ),
            Self::Elsewhere { name, file } => write!(
                f,
                "peer \"{name}\" is not in the configuration file: {} declares it: change it there, then \
                 `tombolo reload`",
                file.display()
            ),
            Self::Authority(fault) => write!(f, "the peer's CA {fault}; {}", fault.cure()),
            Self::Argument { key, fault, cure } => {
                write!(f, "{}: {fault}; {cure}", argument(key))
            }
            Self::Config(error) => error.fmt(f),
            Self::TooMany { file, fault, cure } => {
                write!(f, "{}: {fault}; {cure}", file.display())
            }
            Self::Shape(path) => write!(
                f,
                "{}: peers must be written as [[peer]] tables to be edited from here",
                path.display()
            ),
            Self::Io { path, cause } => write!(f, "{}: {cause}", path.display()),
        }
    }
}

impl std::error::Error for EditError {}

/// A key as the command line spells it.
fn argument(key: &str) -> String {
    match key {
        "name" => "NAME".to_owned(),
        "filter" => "the filter".to_owned(),
        _ => match option_of(key) {
            Some(option) => format!("--{option}"),
            None => format!("--{}", key.replace('_', "-")),
        },
    }
}

/// Writes a peer into the configuration file, which is made if it is not there, and its CA beside it as
/// `peers/NAME-ca.pem`. With `replace` a peer of that name is set anew: what the spec does not say goes back to its
/// default, and a CA that was written for it and is no longer named is removed. Without, that is an error.
///
/// # Errors
/// See [`EditError`]; what would not load is never written.
pub fn add_peer(file: &Path, spec: &PeerSpec, replace: bool) -> Result<(), EditError> {
    edit(
        file,
        &spec.name,
        spec.ca_pem.as_deref(),
        |document, ca_cert| {
            let begins_the_file = document.iter().all(|(key, _)| key == "peer")
                && table::all(document).next().is_none();
            let tables =
                table::made(document).ok_or_else(|| EditError::Shape(file.to_path_buf()))?;
            match table::of_peer(tables, &spec.name) {
                Some(_) if !replace => return Err(EditError::Exists(spec.name.clone())),
                Some(there) => table::fill(there, spec, ca_cert),
                None => {
                    let mut new = table::new(begins_the_file);
                    table::fill(&mut new, spec, ca_cert);
                    tables.push(new);
                }
            }
            Ok(())
        },
    )
}

/// Changes what is named of a peer in the configuration file and leaves the rest of it as it is.
///
/// # Errors
/// See [`EditError`]; what would not load is never written.
pub fn set_peer(file: &Path, change: &PeerChange) -> Result<(), EditError> {
    edit(
        file,
        &change.name,
        change.ca_pem.as_deref(),
        |document, ca_cert| {
            let not_found = not_found(file, document, &change.name);
            let tables =
                table::made(document).ok_or_else(|| EditError::Shape(file.to_path_buf()))?;
            let there = table::of_peer(tables, &change.name).ok_or(not_found)?;
            table::alter(there, change, ca_cert).map_err(|key| EditError::Argument {
                fault: format!(
                    "[peer.{key}] of \"{}\" has a table for each direction",
                    change.name
                ),
                cure: "change it in the file, or take it away with --no-filter first".to_owned(),
                key: "filter",
            })
        },
    )
}

/// Takes a peer out of the configuration file, and the CA that [`add_peer`] wrote for it.
///
/// # Errors
/// See [`EditError`].
pub fn remove_peer(file: &Path, name: &str) -> Result<(), EditError> {
    edit(file, name, None, |document, _| {
        let not_found = not_found(file, document, name);
        let Some(item) = document.get_mut("peer") else {
            return Err(not_found);
        };
        let tables = item
            .as_array_of_tables_mut()
            .ok_or_else(|| EditError::Shape(file.to_path_buf()))?;
        let index = tables.iter().position(|table| is_called(table, name));
        tables.remove(index.ok_or(not_found)?);
        Ok(())
    })
}

/// Changes the document, with the CA as the text of `ca_cert`, and writes both.
fn edit(
    file: &Path,
    name: &str,
    ca_pem: Option<&str>,
    change: impl Fn(&mut DocumentMut, Option<&str>) -> Result<(), EditError>,
) -> Result<(), EditError> {
    if let Some(pem) = ca_pem {
        authority::read(pem.as_bytes()).map_err(EditError::Authority)?;
    }
    let mut document = read(file)?;
    // Checked with the CA inline: its file is written only when all else is well.
    let mut trial = document.clone();
    let pem = ca_pem.map(authority::certificates_only);
    change(&mut trial, pem.as_deref())?;
    check(file, &trial)?;
    let directory = file.parent().unwrap_or(Path::new(""));
    let ours = format!("{PEERS}/{}-ca.pem", table::file_name(name));
    let was_used = uses(&document, &ours);
    change(&mut document, pem.is_some().then_some(ours.as_str()))?;
    if !directory.as_os_str().is_empty() {
        files::private_directory(directory).map_err(|error| io_error(directory, &error))?;
    }
    let path = directory.join(&ours);
    if let Some(pem) = &pem {
        let peers = directory.join(PEERS);
        files::private_directory(&peers).map_err(|error| io_error(&peers, &error))?;
        files::replace(&path, pem.as_bytes(), files::PRIVATE)
            .map_err(|error| io_error(&path, &error))?;
    }
    write(file, &document)?;
    if was_used && !uses(&document, &ours) {
        files::remove(&path).map_err(|error| io_error(&path, &error))?;
    }
    Ok(())
}

fn uses(document: &DocumentMut, ca_cert: &str) -> bool {
    table::all(document).any(|table| table.get("ca_cert").and_then(Item::as_str) == Some(ca_cert))
}

fn not_found(file: &Path, document: &DocumentMut, name: &str) -> EditError {
    let here = table::all(document).any(|table| is_called(table, name));
    let there = if here {
        None
    } else {
        layers::file_of_peer(file, name)
    };
    if let Some(there) = there {
        return EditError::Elsewhere {
            name: name.to_owned(),
            file: there,
        };
    }
    EditError::NotFound {
        name: name.to_owned(),
        known: table::names(document),
    }
}

fn read(file: &Path) -> Result<DocumentMut, EditError> {
    let bytes = match files::read_bounded(file, MOST_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(io_error(file, &error)),
    };
    let text = String::from_utf8(bytes)
        .map_err(|_| io_error(file, &io::Error::other("it is not UTF-8 text")))?;
    // Faults that were there before are reported as such, with their line.
    Config::read(&text, file).map_err(EditError::Config)?;
    text.parse()
        .map_err(|_| EditError::Shape(file.to_path_buf()))
}

/// The file was sound before, so what is wrong now was asked for. Its line was never written: nobody could look there.
fn check(file: &Path, document: &DocumentMut) -> Result<(), EditError> {
    let Err(error) = Config::read(&document.to_string(), file) else {
        return Ok(());
    };
    Err(match error {
        ConfigError::BadValue {
            key: "peer",
            fault,
            cure,
            ..
        } => EditError::TooMany {
            file: file.to_path_buf(),
            fault,
            cure,
        },
        ConfigError::BadValue {
            key, fault, cure, ..
        } => EditError::Argument { key, fault, cure },
        ConfigError::OutOfRange {
            key,
            value,
            least,
            most,
            ..
        } => EditError::Argument {
            key,
            fault: format!("{value} is out of range"),
            cure: format!("give {least} to {most}"),
        },
        other => EditError::Config(other),
    })
}

fn write(file: &Path, document: &DocumentMut) -> Result<(), EditError> {
    files::replace(file, document.to_string().as_bytes(), files::PRIVATE)
        .map_err(|error| io_error(file, &error))
}

fn io_error(path: &Path, error: &io::Error) -> EditError {
    EditError::Io {
        path: path.to_path_buf(),
        cause: files::fault(error),
    }
}

#[cfg(test)]
mod tests;
