//! The texts that make up the configuration: `tombolo.toml`, the files of `conf.d/` beside it in the order of their
//! names, and below all of them what the environment says.
//!
//! Every value of a text is moved by as many bytes as all texts before it have. So it has a place of its own among all
//! texts, and a place leads back to its file.

use std::io;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::environment;
use super::error::{ConfigError, Place};
use crate::files;

/// Largest text, bytes.
pub(super) const MOST_BYTES: u64 = 1024 * 1024;
/// The folder beside the configuration file.
const FOLDER: &str = "conf.d";
/// Most files in it.
const MOST_FILES: usize = 64;

/// One more text.
#[derive(Debug)]
pub(super) struct Part {
    /// Where it stands.
    pub(super) file: PathBuf,
    /// Its first byte among all texts.
    pub(super) begins: usize,
    /// What stands in it.
    pub(super) text: String,
    /// What it says counts only where nothing else says it.
    pub(super) is_below: bool,
}

impl Part {
    /// Its table, moved to its place.
    ///
    /// # Errors
    /// Where it is no TOML, among all texts, and why.
    pub(super) fn table(&self) -> Result<DeTable<'_>, (usize, toml::de::Error)> {
        match DeTable::parse(&self.text) {
            Ok(table) => Ok(moved(table.into_inner(), self.begins)),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                Err((self.begins + at, error))
            }
        }
    }
}

fn moved(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    let mut all = DeTable::new();
    for (key, value) in table {
        let span = key.span();
        let key = Spanned::new(span.start + by..span.end + by, key.into_inner());
        all.insert(key, moved_value(value, by));
    }
    all
}

fn moved_value(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let span = value.span();
    let inner = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(moved(table, by)),
        DeValue::Array(items) => {
            let items = items.into_iter().map(|item| moved_value(item, by));
            DeValue::Array(items.collect())
        }
        plain => plain,
    };
    Spanned::new(span.start + by..span.end + by, inner)
}

/// The files of `conf.d/`, in order; none without such a folder.
///
/// # Errors
/// If the folder is there and cannot be read, or has too many files.
pub fn files_beside(file: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let folder = file.with_file_name(FOLDER);
    let unreadable = |cause: String| ConfigError::Unreadable {
        file: folder.clone(),
        cause,
    };
    let entries = match folder.read_dir() {
        Ok(entries) => entries,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(unreadable(files::fault(&error))),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(|error| unreadable(files::fault(&error)))?
            .path();
        let is_hidden = path
            .file_name()
            .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if is_hidden || path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        if found.len() == MOST_FILES {
            return Err(unreadable(format!("it has more than {MOST_FILES} files")));
        }
        found.push(path);
    }
    found.sort();
    Ok(found)
}

/// What stands beside a text: `conf.d/`, and the environment.
pub(super) fn beside(text: &str, file: &Path) -> Result<Vec<Part>, ConfigError> {
    let mut parts = Vec::new();
    let mut begins = text.len() + 1;
    for path in files_beside(file)? {
        let unreadable = |cause: String| ConfigError::Unreadable {
            file: path.clone(),
            cause,
        };
        let bytes = files::read_bounded(&path, MOST_BYTES)
            .map_err(|error| unreadable(files::fault(&error)))?;
        let more =
            String::from_utf8(bytes).map_err(|_| unreadable("it is not UTF-8 text".into()))?;
        if begins + more.len() > 2 * MOST_BYTES as usize {
            return Err(unreadable(format!(
                "with it the configuration is longer than {} KiB",
                2 * MOST_BYTES / 1024
            )));
        }
        let ends = begins + more.len() + 1;
        parts.push(Part {
            file: path,
            begins,
            text: more,
            is_below: false,
        });
        begins = ends;
    }
    let environment = environment::read(&environment::variable)?;
    if !environment.settings.is_empty() {
        let file = PathBuf::from(environment::PLACE);
        parts.push(Part {
            file,
            begins,
            text: environment.text(),
            is_below: true,
        });
    }
    Ok(parts)
}

/// Puts one more table into the whole. Lists of the top level grow; a key of any other table must not be there yet.
pub(super) fn join<'t>(
    whole: &mut DeTable<'t>,
    more: DeTable<'t>,
    is_below: bool,
    place: &impl Fn(usize) -> Place,
) -> Result<(), ConfigError> {
    for (key, value) in more {
        let Some((there, _)) = whole.get_key_value(key.get_ref().as_ref()) else {
            whole.insert(key, value);
            continue;
        };
        let first = place(there.span().start);
        let again = place(key.span().start);
        let name = key.get_ref().to_string();
        let Some(there) = whole.get_mut(key.get_ref().as_ref()) else {
            continue;
        };
        match (there.get_mut(), value.into_inner()) {
            (DeValue::Table(there), DeValue::Table(more)) => join(there, more, is_below, place)?,
            (DeValue::Array(there), DeValue::Array(more)) if is_list_of_tables(&name) => {
                more.into_iter().for_each(|item| there.push(item));
            }
            _ if is_below => {}
            _ => {
                return Err(ConfigError::WrongType {
                    place: again,
                    fault: format!("{first} sets it too"),
                    cure: "keep it in one of both files".to_owned(),
                    key: name,
                });
            }
        }
    }
    Ok(())
}

/// The tables that may be there several times.
fn is_list_of_tables(key: &str) -> bool {
    super::raw::table(key).is_some_and(|(spelled, _)| spelled.starts_with("[["))
}

/// The file of `conf.d/` that declares a peer, if one does.
pub(super) fn file_of_peer(file: &Path, name: &str) -> Option<PathBuf> {
    let declares = |path: &PathBuf| {
        let bytes = files::read_bounded(path, MOST_BYTES).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let document = DeTable::parse(&text).ok()?;
        let Some(DeValue::Array(peers)) = document.get_ref().get("peer").map(Spanned::get_ref)
        else {
            return None;
        };
        let is_called = |peer: &Spanned<DeValue<'_>>| {
            let DeValue::Table(peer) = peer.get_ref() else {
                return false;
            };
            matches!(peer.get("name").map(Spanned::get_ref), Some(DeValue::String(text)) if *text == name)
        };
        peers.iter().any(is_called).then_some(())
    };
    let mut files = files_beside(file).ok()?.into_iter();
    files.find(|path| declares(path).is_some())
}

/// What else than the file itself makes up the configuration, for the log.
pub fn in_words(file: &Path) -> Vec<String> {
    let mut words: Vec<String> = files_beside(file)
        .unwrap_or_default()
        .iter()
        .map(|path| format!("{} belongs to the configuration", path.display()))
        .collect();
    let Ok(environment) = environment::read(&environment::variable) else {
        return words;
    };
    let is_set = |key: &str| {
        let paths = files_beside(file).unwrap_or_default();
        std::iter::once(file.to_path_buf())
            .chain(paths)
            .find(|path| sets(path, key))
    };
    for setting in &environment.settings {
        words.push(match is_set(setting.key) {
            None => format!(
                "environment: {} sets {} = {}",
                setting.from, setting.key, setting.value
            ),
            Some(path) => format!(
                "environment: {} is not used, because {} sets {}",
                setting.from,
                path.display(),
                setting.key
            ),
        });
    }
    words.extend(
        environment
            .remarks
            .iter()
            .map(|words| format!("environment: {words}")),
    );
    words
}

/// Whether a file sets `table.key`.
fn sets(file: &Path, key: &str) -> bool {
    let bytes = files::read_bounded(file, MOST_BYTES).unwrap_or_default();
    let text = String::from_utf8(bytes).unwrap_or_default();
    let Ok(document) = DeTable::parse(&text) else {
        return false;
    };
    let (table, key) = key.split_once('.').unwrap_or((key, ""));
    matches!(
        document.get_ref().get(table).map(Spanned::get_ref),
        Some(DeValue::Table(inner)) if inner.contains_key(key)
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use crate::config::{Config, EditError, edit};

    fn place(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("conf.d")).unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        directory
    }

    fn peer(name: &str) -> String {
        format!(
            "[[peer]]\nname = \"{name}\"\nfingerprint = \"{}\"\n",
            "ab".repeat(32)
        )
    }

    fn load(directory: &Path) -> Result<Config, String> {
        Config::load(&directory.join("tombolo.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn later_files_add_peers_and_keys() {
        let (bravo, charlie) = (peer("bravo"), peer("charlie"));
        let limits = format!("[limits]\nmax_event_kib = 100\n{charlie}");
        let place = place(&[
            (
                "tombolo.toml",
                "[node]\nname = \"alpha\"\n[limits]\nmax_clients = 20\n",
            ),
            ("conf.d/20-more.toml", &limits),
            (
                "conf.d/10-peers.toml",
                &format!("node.advertised_host = \"a.example\"\n{bravo}"),
            ),
            ("conf.d/.hidden.toml", "nonsense"),
            ("conf.d/notes.txt", "nonsense"),
        ]);
        let config = load(place.path()).unwrap();
        assert_eq!(config.name, "alpha");
        assert_eq!(config.advertised_host.as_deref(), Some("a.example"));
        assert_eq!(config.limits.max_event_kib, 100);
        let names: Vec<&str> = config.peers.iter().map(|peer| peer.name.as_str()).collect();
        assert_eq!(names, ["bravo", "charlie"]);
    }

    #[test]
    fn the_same_key_twice_names_both_files() {
        let place = place(&[
            ("tombolo.toml", "[node]\nname = \"alpha\"\n"),
            ("conf.d/10-name.toml", "\n[node]\nname = \"bravo\"\n"),
        ]);
        let fault = load(place.path()).unwrap_err();
        assert!(fault.contains("conf.d/10-name.toml:3: `name`: "), "{fault}");
        assert!(
            fault.contains("/tombolo.toml:2 sets it too; keep it in one"),
            "{fault}"
        );
    }

    #[test]
    fn a_fault_is_placed_in_its_file() {
        for (text, words) in [
            (
                "[node]\nnam = 1\n",
                "10.toml:2: unknown key `nam` in [node]",
            ),
            (
                "# é\n\n[limits]\nmax_clients = \"x\"\n",
                "10.toml:4: `max_clients`: \"x\" is text",
            ),
            ("[[peer]]\nname = \"x\"\n", "10.toml:1: `ca_cert`"),
            ("\n[node\n", "10.toml:2: not TOML"),
            (
                "[limits]\nmax_clients = 0\n",
                "10.toml:2: `max_clients` = 0",
            ),
        ] {
            let place = place(&[
                ("tombolo.toml", "[node]\nname = \"alpha\"\n"),
                ("conf.d/10.toml", text),
            ]);
            let fault = load(place.path()).unwrap_err();
            assert!(fault.contains(words), "{text}: {fault}");
        }
        let twice = place(&[("tombolo.toml", &peer("b")), ("conf.d/1.toml", &peer("b"))]);
        let fault = load(twice.path()).unwrap_err();
        assert!(
            fault.contains("conf.d/1.toml:2: `name`: the peer of "),
            "{fault}"
        );
        assert!(
            fault.contains("tombolo.toml:1 is called \"b\" too"),
            "{fault}"
        );
    }

    #[test]
    fn a_peer_of_another_file_is_changed_there() {
        let place = place(&[
            ("tombolo.toml", "# mine\n"),
            ("conf.d/1.toml", &peer("bravo")),
        ]);
        let file = place.path().join("tombolo.toml");
        let error = edit::remove_peer(&file, "bravo").unwrap_err();
        assert!(matches!(error, EditError::Elsewhere { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains("conf.d/1.toml declares it: change it there"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(file).unwrap(), "# mine\n");
    }
}
