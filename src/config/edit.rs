//! Changing the peers in `tombolo.toml` and nothing else: remarks, order and spacing stay as they were written.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

use super::authority::{self, AuthorityFault};
use super::error::ConfigError;
use super::settings::Config;
use super::spec::PeerSpec;
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
    /// The peer's CA cannot be used.
    Authority(AuthorityFault),
    /// The file as it is, or as it would become, is not valid.
    Config(ConfigError),
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
                "a peer called \"{name}\" is there already; remove it first, or say --replace"
            ),
            Self::NotFound { name, known } if known.is_empty() => {
                write!(f, "there is no peer called \"{name}\", nor any other")
            }
            Self::NotFound { name, known } => write!(
                f,
                "there is no peer called \"{name}\"; there are: {}",
                known.join(", ")
            ),
            Self::Authority(fault) => write!(f, "the peer's CA {fault}; {}", fault.cure()),
            Self::Config(error) => error.fmt(f),
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

/// Writes a peer into the configuration file, which is made if it is not there, and its CA beside it as
/// `peers/NAME-ca.pem`. With `replace` a peer of that name is changed in place, without it that is an error.
///
/// # Errors
/// See [`EditError`]; what would not load is never written.
pub fn add_peer(file: &Path, spec: &PeerSpec, replace: bool) -> Result<(), EditError> {
    if let Some(pem) = &spec.ca_pem {
        authority::read(pem.as_bytes()).map_err(EditError::Authority)?;
    }
    let mut document = read(file)?;
    // Checked with the CA inline: its file is written only when all else is well.
    let mut trial = document.clone();
    let pem = spec.ca_pem.as_deref().map(authority::certificates_only);
    put(&mut trial, file, spec, pem.as_deref(), replace)?;
    check(file, &trial)?;
    let ca_name = pem
        .as_ref()
        .map(|_| format!("{PEERS}/{}-ca.pem", file_name(&spec.name)));
    put(&mut document, file, spec, ca_name.as_deref(), replace)?;
    let directory = file.parent().unwrap_or(Path::new(""));
    if !directory.as_os_str().is_empty() {
        files::private_directory(directory).map_err(|error| io_error(directory, &error))?;
    }
    if let (Some(pem), Some(ca_name)) = (&pem, &ca_name) {
        let path = directory.join(ca_name);
        let peers = directory.join(PEERS);
        files::private_directory(&peers).map_err(|error| io_error(&peers, &error))?;
        files::replace(&path, pem.as_bytes(), files::PRIVATE)
            .map_err(|error| io_error(&path, &error))?;
    }
    write(file, &document)
}

/// Takes a peer out of the configuration file, and the CA that [`add_peer`] wrote for it.
///
/// # Errors
/// See [`EditError`].
pub fn remove_peer(file: &Path, name: &str) -> Result<(), EditError> {
    let mut document = read(file)?;
    let known = names(&document);
    let not_found = EditError::NotFound {
        name: name.to_owned(),
        known,
    };
    let Some(item) = document.get_mut("peer") else {
        return Err(not_found);
    };
    let tables = item
        .as_array_of_tables_mut()
        .ok_or_else(|| EditError::Shape(file.to_path_buf()))?;
    let Some(index) = tables.iter().position(|table| is_called(table, name)) else {
        return Err(not_found);
    };
    let ca_name = tables
        .get(index)
        .and_then(|table| table.get("ca_cert")?.as_str().map(str::to_owned));
    tables.remove(index);
    let still_used = tables
        .iter()
        .any(|table| table.get("ca_cert").and_then(Item::as_str) == ca_name.as_deref());
    check(file, &document)?;
    write(file, &document)?;
    let ours = format!("{PEERS}/{}-ca.pem", file_name(name));
    if ca_name.as_deref() == Some(ours.as_str()) && !still_used {
        let path = file.parent().unwrap_or(Path::new("")).join(ours);
        files::remove(&path).map_err(|error| io_error(&path, &error))?;
    }
    Ok(())
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

fn check(file: &Path, document: &DocumentMut) -> Result<(), EditError> {
    Config::read(&document.to_string(), file)
        .map(drop)
        .map_err(EditError::Config)
}

fn write(file: &Path, document: &DocumentMut) -> Result<(), EditError> {
    files::replace(file, document.to_string().as_bytes(), files::PRIVATE)
        .map_err(|error| io_error(file, &error))
}

fn put(
    document: &mut DocumentMut,
    file: &Path,
    spec: &PeerSpec,
    ca_cert: Option<&str>,
    replace: bool,
) -> Result<(), EditError> {
    if document
        .get("peer")
        .is_none_or(|item| item.as_array().is_some_and(Array::is_empty))
    {
        document.insert("peer", Item::ArrayOfTables(ArrayOfTables::new()));
    }
    let is_first = document.iter().all(|(key, _)| key == "peer");
    let tables = document
        .get_mut("peer")
        .and_then(Item::as_array_of_tables_mut)
        .ok_or_else(|| EditError::Shape(file.to_path_buf()))?;
    let is_first = is_first && tables.is_empty();
    let there = tables.iter().position(|table| is_called(table, &spec.name));
    match there {
        Some(_) if !replace => return Err(EditError::Exists(spec.name.clone())),
        Some(index) => {
            if let Some(table) = tables.get_mut(index) {
                fill(table, spec, ca_cert);
            }
        }
        None => {
            let mut table = Table::new();
            table
                .decor_mut()
                .set_prefix(if is_first { "" } else { "\n" });
            fill(&mut table, spec, ca_cert);
            tables.push(table);
        }
    }
    Ok(())
}

/// Sets what the peer says and takes away what it does not; what is at its default need not be said.
fn fill(table: &mut Table, spec: &PeerSpec, ca_cert: Option<&str>) {
    set(table, "name", Some(spec.name.as_str().into()));
    set(table, "address", spec.address.as_deref().map(Into::into));
    set(table, "ca_cert", ca_cert.map(Into::into));
    set(
        table,
        "fingerprint",
        spec.fingerprint.as_deref().map(Into::into),
    );
    for (key, is_on) in [
        ("enabled", spec.enabled),
        ("incoming", spec.incoming),
        ("outgoing", spec.outgoing),
    ] {
        set(table, key, (!is_on).then_some(false.into()));
    }
    set(
        table,
        "keepalive_seconds",
        spec.keepalive_seconds
            .map(|seconds| i64::from(seconds).into()),
    );
}

fn set(table: &mut Table, key: &str, new: Option<toml_edit::Value>) {
    match (table.get_mut(key).and_then(Item::as_value_mut), new) {
        // The remark behind the old value belongs to the key.
        (Some(old), Some(mut new)) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        (None, Some(new)) => {
            table.insert(key, value(new));
        }
        (_, None) => {
            table.remove(key);
        }
    }
}

fn names(document: &DocumentMut) -> Vec<String> {
    let tables = document.get("peer").and_then(Item::as_array_of_tables);
    tables
        .into_iter()
        .flatten()
        .filter_map(|table| table.get("name")?.as_str().map(str::to_owned))
        .collect()
}

fn is_called(table: &Table, name: &str) -> bool {
    table.get("name").and_then(Item::as_str) == Some(name)
}

/// A peer's name as part of a file name: one name, one file, whatever letters it has.
fn file_name(name: &str) -> String {
    let mut safe = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => safe.push(byte.into()),
            _ => safe.push_str(&format!("%{byte:02X}")),
        }
    }
    if safe.len() > 120 {
        let crc = crc32fast::hash(name.as_bytes());
        safe.truncate(100);
        safe.push_str(&format!("-{crc:08x}"));
    }
    safe
}

fn io_error(path: &Path, error: &io::Error) -> EditError {
    EditError::Io {
        path: path.to_path_buf(),
        cause: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::authority::tests::certificate;
    use proptest::prelude::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::LazyLock;

    static AUTHORITY: LazyLock<String> = LazyLock::new(|| certificate("ca", true));

    fn spec(name: &str) -> PeerSpec {
        PeerSpec {
            name: name.into(),
            ca_pem: Some(certificate(name, true)),
            ..spec_without_authority()
        }
    }

    fn spec_without_authority() -> PeerSpec {
        PeerSpec {
            name: String::new(),
            address: Some("b.example:9001".into()),
            ca_pem: None,
            fingerprint: None,
            enabled: true,
            incoming: true,
            outgoing: true,
            keepalive_seconds: None,
        }
    }

    #[test]
    fn a_peer_comes_and_goes_and_remarks_stay() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tombolo.toml");
        let pin = "ab".repeat(32);
        let before = format!(
            "# head\n[node]   # the box\nname='alpha'\n\n# an old friend\n[[peer]]\n  name = \"old\" # here\n  \
             fingerprint = \"{pin}\"\n\n[limits]\nmax_contacts = 100 # few\n"
        );
        fs::write(&file, &before).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        add_peer(&file, &spec("bravo"), false).unwrap();
        let after = fs::read_to_string(&file).unwrap();
        for line in before.lines() {
            assert!(after.contains(line), "{line} is gone from\n{after}");
        }
        assert!(
            after.contains("ca_cert = \"peers/bravo-ca.pem\""),
            "{after}"
        );
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o640
        );
        let config = Config::load(&file).unwrap();
        assert_eq!(config.peers.len(), 2);
        assert_eq!(config.peers[1].authorities.len(), 1);
        remove_peer(&file, "bravo").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), before);
        assert!(!directory.path().join("peers/bravo-ca.pem").exists());
    }

    #[test]
    fn a_file_is_made_for_the_first_peer() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("deep/er/tombolo.toml");
        let mut odd = spec("B/Coy #2 … Élan");
        odd.keepalive_seconds = Some(20);
        odd.outgoing = false;
        add_peer(&file, &odd, false).unwrap();
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let peer = Config::load(&file).unwrap().peers.remove(0);
        assert_eq!(peer.name, odd.name);
        assert_eq!(
            (peer.incoming, peer.outgoing, peer.keepalive_seconds),
            (true, false, Some(20))
        );
        remove_peer(&file, &odd.name).unwrap();
        assert_eq!(
            fs::read_dir(file.with_file_name("peers")).unwrap().count(),
            0
        );
    }

    #[test]
    fn replacing_changes_in_place() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tombolo.toml");
        let pin = "ab".repeat(32);
        fs::write(
            &file,
            format!("[[peer]]\n# friend\nname = \"bravo\"\naddress = \"x:1\" # old road\nfingerprint = \"{pin}\"\nenabled = false\n"),
        )
        .unwrap();
        assert_eq!(
            add_peer(&file, &spec("bravo"), false),
            Err(EditError::Exists("bravo".into()))
        );
        add_peer(&file, &spec("bravo"), true).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.contains("# friend") && text.contains("\"b.example:9001\" # old road"),
            "{text}"
        );
        assert!(
            !text.contains("fingerprint") && !text.contains("enabled"),
            "{text}"
        );
    }

    #[test]
    fn nothing_invalid_is_ever_written() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tombolo.toml");
        fs::write(&file, "# mine\n").unwrap();
        let unknown = PeerSpec {
            ca_pem: None,
            ..spec("bravo")
        };
        let leaf = PeerSpec {
            ca_pem: Some(certificate("x", false)),
            ..spec("bravo")
        };
        let nowhere = PeerSpec {
            address: Some("http://x".into()),
            ..spec("bravo")
        };
        let nameless = spec("");
        let control = spec("a\nb");
        for bad in [unknown, leaf, nowhere, nameless, control] {
            assert!(add_peer(&file, &bad, false).is_err(), "{bad:?}");
        }
        assert!(matches!(
            remove_peer(&file, "bravo"),
            Err(EditError::NotFound { .. })
        ));
        assert_eq!(fs::read_to_string(&file).unwrap(), "# mine\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        fs::write(&file, "[nod]\n").unwrap();
        let error = add_peer(&file, &spec("bravo"), false)
            .unwrap_err()
            .to_string();
        assert!(error.contains("did you mean `node`?"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_name_comes_and_goes(name in "[^\\p{C}\\s]([^\\p{C}]{0,30}[^\\p{C}\\s])?", head in "(# .{0,9}\n)?(\\[node\\]\nname = 'x'\n)?") {
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("tombolo.toml");
            let head = head.replace(|c: char| c.is_control() && c != '\n', "");
            fs::write(&file, &head).unwrap();
            let peer = PeerSpec { name: name.clone(), ca_pem: Some(AUTHORITY.clone()), ..spec_without_authority() };
            add_peer(&file, &peer, false).unwrap();
            prop_assert_eq!(&Config::load(&file).unwrap().peers[0].name, &name);
            prop_assert_eq!(fs::read_dir(directory.path().join("peers")).unwrap().count(), 1);
            remove_peer(&file, &name).unwrap();
            let after = fs::read_to_string(&file).unwrap();
            prop_assert_eq!(after.trim_end(), head.trim_end());
        }
    }

    #[test]
    fn different_names_have_different_files() {
        let long = "é".repeat(64);
        let names = [
            "a b",
            "a-b",
            "a%20b",
            "a/b",
            "..",
            "é",
            &long,
            &"è".repeat(64),
        ];
        let files: std::collections::HashSet<String> =
            names.iter().map(|name| file_name(name)).collect();
        assert_eq!(files.len(), names.len());
        assert!(
            files
                .iter()
                .all(|file| file.len() < 200 && !file.contains('/') && !file.starts_with('.'))
        );
    }
}
