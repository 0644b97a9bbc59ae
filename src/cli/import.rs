//! `tombolo import FILE`: peers that somebody declared in a `federation.json`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::{Exit, Failure, unreadable};
use super::output::{clean, print};
use super::paths::Places;
use crate::api::{AskError, Request, Response, ask};
use crate::config::{Config, PeerSpec, authority, candidate, federation};
use crate::files;

/// Largest file, bytes.
const MOST_BYTES: u64 = 1024 * 1024;
/// Where else a CA may lie, beside the file.
const FOLDERS: [&str; 3] = ["", "certs", "peers"];

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A federation.json
    file: PathBuf,
    /// The file is the truth: set its peers anew, and forget every other peer
    #[arg(long)]
    authoritative: bool,
    /// Say what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// What an import comes to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    text: String,
    added: Vec<String>,
    /// Set anew, or left as they were.
    there: Vec<String>,
    removed: Vec<String>,
}

/// Runs `import`: peers that are there already stay as they are, unless the file is the truth.
///
/// # Errors
/// What is wrong with the file, or with the configuration as it would become.
pub fn run(arguments: &Arguments, places: &Places) -> Result<(), Failure> {
    let specs = read(&arguments.file)?;
    let (text, generation) = match ask(&places.state, &Request::ConfigText) {
        Err(AskError::NotRunning(_)) => (text_of(&places.config)?, None),
        answer => match answer?.into_result()? {
            Response::Config(config) => (config.text, Some(config.generation)),
            _ => return Err(unexpected()),
        },
    };
    let outcome = joined(&text, &specs, arguments.authoritative)?;
    let file = &places.config;
    Config::read(&outcome.text, file).map_err(|error| {
        let message = format!(
            "{}: with these peers the configuration is not valid: {error}",
            arguments.file.display()
        );
        Failure::new(Exit::Config, message)
    })?;
    let mut words = in_words(&outcome, arguments.authoritative);
    if arguments.dry_run {
        return print(&format!("would be: {}\n", clean(&words)));
    }
    if outcome.text != text {
        match generation {
            Some(_) => {
                let request = Request::ConfigCommit {
                    text: outcome.text,
                    confirm_seconds: None,
                    generation,
                };
                match ask(&places.state, &request)?.into_result()? {
                    Response::Committed(_) => {}
                    _ => return Err(unexpected()),
                }
            }
            None => {
                write(file, &outcome.text)?;
                words += "; no box is running, so it counts from the next start";
            }
        }
    }
    print(&format!("{}\n", clean(&words)))
}

/// Takes over the `federation.json` that lies beside the configuration, before the box starts: peers that are there
/// already stay as they are. Gives what was done, in words; none without such a file, or when nothing is new.
///
/// # Errors
/// As [`run`].
pub fn at_start(places: &Places) -> Result<Option<String>, Failure> {
    let file = places.config.with_file_name("federation.json");
    if !file.is_file() {
        return Ok(None);
    }
    let specs = read(&file)?;
    let text = text_of(&places.config)?;
    // A configuration that is broken already is for `run` to report.
    if Config::read(&text, &places.config).is_err() {
        return Ok(None);
    }
    let outcome = joined(&text, &specs, false)?;
    if outcome.added.is_empty() {
        return Ok(None);
    }
    Config::read(&outcome.text, &places.config).map_err(|error| {
        let message = format!(
            "{}: with its peers the configuration is not valid: {error}",
            file.display()
        );
        Failure::new(Exit::Config, message)
    })?;
    write(&places.config, &outcome.text)?;
    Ok(Some(format!(
        "{}: {}",
        file.display(),
        in_words(&outcome, false)
    )))
}

fn read(file: &Path) -> Result<Vec<PeerSpec>, Failure> {
    let bytes = files::read_bounded(file, MOST_BYTES)
        .map_err(|error| unreadable(file, &error, "name a federation.json"))?;
    let text = String::from_utf8(bytes).map_err(|_| {
        let message = format!("{}: it is not UTF-8 text; save it as such", file.display());
        Failure::new(Exit::Data, message)
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    federation::read(text, |path| certificate(file, path)).map_err(|mistakes| {
        let lines = mistakes
            .iter()
            .map(|mistake| format!("{}: {mistake}", file.display()));
        Failure::new(Exit::Config, lines.collect::<Vec<_>>().join("\n"))
    })
}

/// The PEM text of a CA: where the path leads from the file, else a file of that name beside it.
pub(super) fn certificate(file: &Path, path: &str) -> Option<String> {
    let directory = file.parent().unwrap_or(Path::new(""));
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let beside = FOLDERS
        .iter()
        .map(|folder| directory.join(folder).join(name));
    std::iter::once(directory.join(path))
        .chain(beside)
        .find_map(|path| files::read_bounded(&path, authority::MOST_PEM_BYTES).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok())
}

fn joined(text: &str, specs: &[PeerSpec], authoritative: bool) -> Result<Outcome, Failure> {
    let fault = |error: candidate::CandidateError| Failure::new(Exit::Config, error.to_string());
    let mut outcome = Outcome {
        text: text.to_owned(),
        ..Outcome::default()
    };
    let known = candidate::peer_names(text);
    for spec in specs {
        let is_known = known.contains(&spec.name);
        if is_known {
            outcome.there.push(spec.name.clone());
        } else {
            outcome.added.push(spec.name.clone());
        }
        if !is_known || authoritative {
            outcome.text = candidate::replace_peer(&outcome.text, spec).map_err(fault)?;
        }
    }
    let declared = |name: &&String| specs.iter().any(|spec| spec.name == **name);
    for name in known.iter().filter(|name| authoritative && !declared(name)) {
        outcome.text = candidate::remove_peer(&outcome.text, name).map_err(fault)?;
        outcome.removed.push(name.clone());
    }
    Ok(outcome)
}

fn in_words(outcome: &Outcome, authoritative: bool) -> String {
    let there = match authoritative {
        true => "set anew",
        false => "there already, left as it is:",
    };
    let parts = [
        ("added", &outcome.added),
        (there, &outcome.there),
        ("removed", &outcome.removed),
    ];
    let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
    let parts: Vec<String> = parts
        .map(|(what, names)| format!("{what} {}", names.join(", ")))
        .collect();
    match parts.is_empty() {
        true => "no peers in it, nothing to do".to_owned(),
        false => parts.join("; "),
    }
}

fn text_of(file: &Path) -> Result<String, Failure> {
    match files::read_bounded(file, MOST_BYTES) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| {
            let message = format!("{}: it is not UTF-8 text", file.display());
            Failure::new(Exit::Config, message)
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(unreadable(file, &error, "name another one with --config")),
    }
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| {
        let message = format!("{}: {}", file.display(), files::fault(&error));
        Failure::new(Exit::CannotCreate, message)
    };
    if let Some(directory) = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        files::private_directory(directory).map_err(cannot)?;
    }
    files::replace(file, text.as_bytes(), files::PRIVATE).map_err(cannot)
}

fn unexpected() -> Failure {
    Failure::new(
        Exit::Internal,
        "the box answers something else than was asked",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str) -> PeerSpec {
        PeerSpec {
            fingerprint: Some("ab".repeat(32)),
            address: Some(format!("{name}.example:9001")),
            ..PeerSpec::of(name)
        }
    }

    fn peers(text: &str) -> Vec<(String, Option<String>)> {
        let config = Config::read(text, Path::new("t.toml")).unwrap();
        let peers = config.peers.into_iter();
        peers.map(|peer| (peer.name, peer.address)).collect()
    }

    #[test]
    fn what_is_there_stays_unless_the_file_is_the_truth() {
        let here = PeerSpec {
            address: Some("other:9001".into()),
            ..spec("a")
        };
        let text = candidate::add_peer("# mine\n", &here).unwrap();
        let text = candidate::add_peer(&text, &spec("old")).unwrap();
        let specs = [spec("a"), spec("b")];
        let kind = joined(&text, &specs, false).unwrap();
        let address = |name: &str, address: &str| (name.to_owned(), Some(address.to_owned()));
        assert_eq!(
            peers(&kind.text),
            [
                address("a", "other:9001"),
                address("old", "old.example:9001"),
                address("b", "b.example:9001")
            ]
        );
        assert_eq!(
            in_words(&kind, false),
            "added b; there already, left as it is: a"
        );
        let strict = joined(&text, &specs, true).unwrap();
        assert_eq!(
            peers(&strict.text),
            [
                address("a", "a.example:9001"),
                address("b", "b.example:9001")
            ]
        );
        assert_eq!(in_words(&strict, true), "added b; set anew a; removed old");
        assert!(strict.text.starts_with("# mine\n"), "{}", strict.text);
        // Once more changes nothing.
        assert_eq!(
            joined(&strict.text, &specs, true).unwrap().text,
            strict.text
        );
    }

    #[test]
    fn the_file_beside_the_configuration_is_taken_at_the_start_and_overwrites_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places {
            config: directory.path().join("tombolo.toml"),
            config_is_named: true,
            state: directory.path().join("state"),
        };
        assert_eq!(at_start(&places), Ok(None));
        let ca = crate::config::authority::tests::certificate("ca", true);
        std::fs::create_dir(directory.path().join("certs")).unwrap();
        std::fs::write(directory.path().join("certs/remote-ca.pem"), ca).unwrap();
        let file = directory.path().join("federation.json");
        let json = r#"{"version":1,"peers":[{"name":"bn","address":"tak.example","port":9000,"ca_cert":"/ssl/remote-ca.pem"}]}"#;
        std::fs::write(&file, json).unwrap();
        let words = at_start(&places).unwrap().unwrap();
        assert!(words.ends_with("federation.json: added bn"), "{words}");
        let config = places.load_config().unwrap();
        assert_eq!(config.peers[0].address.as_deref(), Some("tak.example:9000"));
        std::fs::write(&file, json.replace("9000", "9001")).unwrap();
        assert_eq!(at_start(&places), Ok(None));
        assert_eq!(places.load_config().unwrap(), config);
        std::fs::write(&file, "{").unwrap();
        let broken = at_start(&places).unwrap_err();
        assert_eq!(broken.exit, Exit::Config);
        assert!(
            broken.message.contains("federation.json: line 1: not JSON"),
            "{broken}"
        );
    }
}
