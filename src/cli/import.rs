//! `tombolo import FILE`: the configuration of another server, or peers that somebody declared, taken over.

use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::{Exit, Failure, unreadable};
use super::output::{clean, print};
use super::paths::Places;
use crate::api::{AskError, Request, Response, ask};
use crate::config::Config;
use crate::config::authority::{self, MOST_PEM_BYTES};
use crate::config::import::beside::{self, MOST_BYTES, certificate};
use crate::config::import::{self, Found, Joined, Kind};
use crate::files;
use crate::supervise::changes::Changes;

/// Arguments of `import`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A federation.json, a TAK Server's CoreConfig.xml, a federation-server.xml or an FTSConfig.yaml
    #[arg(required_unless_present = "environment")]
    file: Option<PathBuf>,
    /// Write what FTS_... and Federation__... variables say into the configuration
    #[arg(long, conflicts_with = "file")]
    environment: bool,
    /// The CA of the peers that the file names no certificate of, or of one of them; may be given several times
    #[arg(long, value_name = "[NAME=]FILE", conflicts_with = "environment")]
    ca_cert: Vec<String>,
    /// The file is the truth: set its peers and keys anew, and forget every other peer
    #[arg(long)]
    authoritative: bool,
    /// Say what would be done and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs `import`: what is there already stays as it is, unless the file is the truth.
///
/// # Errors
/// What is wrong with the file, or with the configuration as it would become.
pub fn run(arguments: &Arguments, places: &Places) -> Result<(), Failure> {
    let found = read(arguments)?;
    let (text, generation) = match ask(&places.state, &Request::ConfigText) {
        Err(AskError::NotRunning(_)) => (text_of(&places.config)?, None),
        answer => match answer?.into_result()? {
            Response::Config(config) => (config.text, Some(config.generation)),
            _ => return Err(unexpected()),
        },
    };
    let joined = joined(&text, &found, arguments, places)?;
    let mut words = joined.in_words(arguments.authoritative);
    if joined.text != text && !arguments.dry_run {
        match generation {
            Some(_) => {
                let request = Request::ConfigCommit {
                    text: joined.text,
                    confirm_seconds: None,
                    generation,
                };
                match ask(&places.state, &request)?.into_result()? {
                    Response::Committed(_) => {}
                    _ => return Err(unexpected()),
                }
            }
            None => {
                Changes::new(&places.config)
                    .commit(&joined.text, None, None, 0)
                    .map_err(|fault| Failure::new(Exit::Config, fault.message))?;
                words += "; no box is running, so it counts from the next start";
            }
        }
    }
    let would = if arguments.dry_run { "would be: " } else { "" };
    let mut lines = format!("{would}{}\n", clean(&words));
    for left in &found.left_out {
        lines += &format!("left out: {}\n", clean(left));
    }
    for name in &found.untrusted {
        lines += &format!("left out: {}\n", clean(&unknown(name)));
    }
    print(&lines)?;
    match found.peers.is_empty() && !found.untrusted.is_empty() {
        false => Ok(()),
        true => Err(Failure::new(
            Exit::Config,
            "no peer was taken over, because nothing says how to know any of them; see above",
        )),
    }
}

fn unknown(name: &str) -> String {
    format!(
        "peer \"{name}\": the file does not say by which certificate it is known; give its CA with --ca-cert \
         \"{name}=FILE\", or lay it beside the file as {name}-ca.pem"
    )
}

fn joined(
    text: &str,
    found: &Found,
    arguments: &Arguments,
    places: &Places,
) -> Result<Joined, Failure> {
    let config = Config::read(text, &places.config)?;
    let elsewhere = beside::elsewhere(&config, text);
    let joined = import::join(text, found, &elsewhere, arguments.authoritative)
        .map_err(|error| Failure::new(Exit::Config, error.to_string()))?;
    Config::read(&joined.text, &places.config).map_err(|error| {
        let what = match &arguments.file {
            Some(file) => file.display().to_string(),
            None => "environment".to_owned(),
        };
        let message = format!("{what}: with it the configuration is not valid: {error}");
        Failure::new(Exit::Config, message)
    })?;
    Ok(joined)
}

fn read(arguments: &Arguments) -> Result<Found, Failure> {
    let Some(file) = &arguments.file else {
        return Ok(import::read_environment()?);
    };
    const CURE: &str =
        "name a federation.json, CoreConfig.xml, federation-server.xml or FTSConfig.yaml";
    let bytes =
        files::read_bounded(file, MOST_BYTES).map_err(|error| unreadable(file, &error, CURE))?;
    let text = String::from_utf8(bytes).map_err(|_| {
        let message = format!("{}: it is not UTF-8 text; save it as such", file.display());
        Failure::new(Exit::Data, message)
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let given = given(&arguments.ca_cert)?;
    let authority = |peer: &str| authority_of(peer, &given, file);
    let wrong = |fault: import::Unreadable| {
        let message = format!("{}: {fault}", file.display());
        Failure::new(Exit::Config, message)
    };
    match Kind::of(text) {
        Kind::Federation => {
            let peers =
                beside::read(text, file).map_err(|words| Failure::new(Exit::Config, words))?;
            Ok(Found {
                peers,
                ..Found::default()
            })
        }
        Kind::Xml => import::read_xml(text, &authority).map_err(wrong),
        Kind::FreeTakServer => import::read_yaml(text).map_err(wrong),
        Kind::Own => {
            let message = format!(
                "{}: that is a tombolo.toml; `tombolo config commit FILE` makes it the configuration, and a piece of one \
                 goes into conf.d/",
                file.display()
            );
            Err(Failure::new(Exit::Config, message))
        }
    }
}

/// The CAs of the command line, each with the name of its peer, or with none for all others.
fn given(arguments: &[String]) -> Result<Vec<(Option<String>, String)>, Failure> {
    let one = |argument: &String| {
        let (name, path) = match argument.split_once('=') {
            Some((name, path)) if !Path::new(argument).exists() => (Some(name.to_owned()), path),
            _ => (None, argument.as_str()),
        };
        let path = Path::new(path);
        let bytes = files::read_bounded(path, MOST_PEM_BYTES)
            .map_err(|error| unreadable(path, &error, "give the peer's CA as PEM"))?;
        authority::read(&bytes).map_err(|fault| {
            let message = format!("{} {fault}; {}", path.display(), fault.cure());
            Failure::new(Exit::Config, message)
        })?;
        Ok((
            name,
            authority::certificates_only(&String::from_utf8_lossy(&bytes)),
        ))
    };
    arguments.iter().map(one).collect()
}

fn authority_of(peer: &str, given: &[(Option<String>, String)], file: &Path) -> Option<String> {
    let of = |wanted: Option<&str>| {
        let found = given.iter().find(|(name, _)| name.as_deref() == wanted);
        found.map(|(_, pem)| pem.clone())
    };
    // A peer's name comes out of the file: it must not lead anywhere else.
    let is_plain = !peer.contains(['/', '\\']) && !peer.starts_with('.');
    let beside = || {
        let pem = certificate(file, &format!("{peer}-ca.pem"))?;
        authority::read(pem.as_bytes()).ok()?;
        Some(authority::certificates_only(&pem))
    };
    of(Some(peer))
        .or_else(|| is_plain.then(beside).flatten())
        .or_else(|| of(None))
}

/// Takes over the `federation.json` that lies beside the configuration, before the box starts: peers that are there
/// already stay as they are. Gives what was done, in words; none without such a file, or when nothing is new.
///
/// # Errors
/// As [`run`].
pub fn at_start(places: &Places) -> Result<Option<String>, Failure> {
    let text = text_of(&places.config)?;
    let new =
        beside::beside(&text, &places.config).map_err(|words| Failure::new(Exit::Config, words))?;
    let Some((text, words)) = new else {
        return Ok(None);
    };
    write(&places.config, &text)?;
    Ok(Some(words))
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
mod tests;
