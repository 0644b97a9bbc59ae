//! `federation.json` beside the configuration: read at the start and at every reload, for machines that nobody types
//! at. Peers that are there already stay as they are.

use std::path::Path;

use super::found::Found;
use super::join::join;
use crate::config::authority::MOST_PEM_BYTES;
use crate::config::{Config, PeerSpec, federation};
use crate::files;

/// Largest file, bytes.
pub const MOST_BYTES: u64 = 1024 * 1024;
/// Where else a CA may lie, beside the file.
const FOLDERS: [&str; 3] = ["", "certs", "peers"];

/// What the file adds: the whole new text, and what it adds in words; none without such a file, or when nothing in it
/// is new. `text` is that of the configuration.
///
/// # Errors
/// What is wrong with the file, or with the configuration as it would become.
pub fn beside(text: &str, config_file: &Path) -> Result<Option<(String, String)>, String> {
    let file = config_file.with_file_name("federation.json");
    if !file.is_file() {
        return Ok(None);
    }
    let bytes = files::read_bounded(&file, MOST_BYTES)
        .map_err(|error| format!("{}: {}", file.display(), files::fault(&error)))?;
    let json = String::from_utf8(bytes)
        .map_err(|_| format!("{}: it is not UTF-8 text; save it as such", file.display()))?;
    let peers = read(&json, &file)?;
    // A configuration that is broken already is for others to report.
    let Ok(config) = Config::read(text, config_file) else {
        return Ok(None);
    };
    let found = Found {
        peers,
        ..Found::default()
    };
    let joined = join(text, &found, &elsewhere(&config, text), false)
        .map_err(|error| format!("{}: {error}", config_file.display()))?;
    if joined.added.is_empty() {
        return Ok(None);
    }
    Config::read(&joined.text, config_file).map_err(|error| {
        format!(
            "{}: with its peers the configuration is not valid: {error}",
            file.display()
        )
    })?;
    let words = format!("{}: {}", file.display(), joined.in_words(false));
    Ok(Some((joined.text, words)))
}

/// Reads a `federation.json`; paths of CAs start where it lies.
///
/// # Errors
/// Every mistake, one in a line.
pub fn read(text: &str, file: &Path) -> Result<Vec<PeerSpec>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    federation::read(text, |path| certificate(file, path)).map_err(|mistakes| {
        let lines = mistakes.iter();
        let lines = lines.map(|mistake| format!("{}: {mistake}", file.display()));
        lines.collect::<Vec<_>>().join("\n")
    })
}

/// The peers that files of `conf.d/` declare.
pub fn elsewhere(config: &Config, text: &str) -> Vec<String> {
    let here = crate::config::candidate::peer_names(text);
    let names = config.peers.iter().map(|peer| peer.name.clone());
    names.filter(|name| !here.contains(name)).collect()
}

/// The PEM text of a CA: where the path leads from the file, else a file of that name beside it.
pub fn certificate(file: &Path, path: &str) -> Option<String> {
    let directory = file.parent().unwrap_or(Path::new(""));
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let beside = FOLDERS
        .iter()
        .map(|folder| directory.join(folder).join(name));
    std::iter::once(directory.join(path))
        .chain(beside)
        .find_map(|path| files::read_bounded(&path, MOST_PEM_BYTES).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
}
