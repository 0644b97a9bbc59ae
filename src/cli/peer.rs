//! `tombolo peer add|remove|list`: the registered federates, in the running box or, when none runs, in the file.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use super::failure::{Exit, Failure};
use super::output::{clean, column, print, wrap};
use super::paths::Places;
use crate::api::{AskError, PeerEntry, PeerState, Request, Response, ask};
use crate::config::authority::MOST_PEM_BYTES;
use crate::config::{PeerSpec, edit};
use crate::files;
use crate::pki::Fingerprint;

/// Arguments of `peer`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Register a federate; it must be known by its CA, its certificate's fingerprint, or both
    Add(Add),
    /// Forget a federate and cut its link
    Remove {
        /// Its name
        name: String,
    },
    /// Show the registered federates
    List {
        /// One line of JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("known by").required(true).multiple(true).args(["ca_cert", "fingerprint"])))]
struct Add {
    /// A name of your choice, unique
    name: String,
    /// Dial it there, host:port; without: it dials us
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// PEM file with the certificate of its CA
    #[arg(long, value_name = "FILE")]
    ca_cert: Option<PathBuf>,
    /// SHA-256 of its certificate
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<Fingerprint>,
    /// Do not take what it sends
    #[arg(long)]
    no_incoming: bool,
    /// Do not send what we have
    #[arg(long)]
    no_outgoing: bool,
    /// Register it and leave it switched off
    #[arg(long)]
    disabled: bool,
    /// Seconds between keepalives, 1 to 32767
    #[arg(long, value_name = "N")]
    keepalive_seconds: Option<u32>,
    /// Change the federate of that name, if there is one
    #[arg(long)]
    replace: bool,
}

/// Runs `peer`.
///
/// # Errors
/// What the box, or the configuration file, says against it.
pub fn run(arguments: &Arguments, places: &Places) -> Result<(), Failure> {
    match &arguments.action {
        Action::Add(add) => run_add(add, places),
        Action::Remove { name } => run_remove(name, places),
        Action::List { json } => run_list(*json, places),
    }
}

fn run_add(add: &Add, places: &Places) -> Result<(), Failure> {
    let peer = spec(add)?;
    let replace = add.replace;
    let request = Request::PeerAdd {
        peer: peer.clone(),
        replace,
    };
    change(&request, places, || {
        edit::add_peer(&places.config, &peer, replace)?;
        Ok(format!(
            "\"{}\" is written to {}",
            peer.name,
            places.config.display()
        ))
    })
}

fn run_remove(name: &str, places: &Places) -> Result<(), Failure> {
    let request = Request::PeerRemove { name: name.into() };
    change(&request, places, || {
        edit::remove_peer(&places.config, name)?;
        Ok(format!(
            "\"{name}\" is taken out of {}",
            places.config.display()
        ))
    })
}

/// Asks the running box; when none runs, does it to the file.
fn change(
    request: &Request,
    places: &Places,
    to_the_file: impl FnOnce() -> Result<String, Failure>,
) -> Result<(), Failure> {
    let done = match ask(&places.state, request) {
        Err(AskError::NotRunning(_)) => {
            to_the_file()? + "; no box is running, so it counts from the next start"
        }
        answer => match answer?.into_result()? {
            Response::Done(words) => words,
            _ => return Err(unexpected()),
        },
    };
    print(&format!("{}\n", clean(&done)))
}

fn run_list(json: bool, places: &Places) -> Result<(), Failure> {
    let entries = match ask(&places.state, &Request::PeerList) {
        Err(AskError::NotRunning(_)) => {
            let config = places.load_config()?;
            config
                .peers
                .iter()
                .map(|peer| PeerEntry::new(peer, None))
                .collect()
        }
        answer => match answer?.into_result()? {
            Response::Peers(entries) => entries,
            _ => return Err(unexpected()),
        },
    };
    if json {
        let line = serde_json::to_string(&entries)
            .map_err(|error| Failure::new(Exit::Internal, error.to_string()))?;
        return print(&format!("{line}\n"));
    }
    print(&table(&entries))
}

fn unexpected() -> Failure {
    Failure::new(
        Exit::Internal,
        "the box answers something else than was asked",
    )
}

fn spec(add: &Add) -> Result<PeerSpec, Failure> {
    let ca_pem = match &add.ca_cert {
        None => None,
        Some(path) => {
            let unreadable =
                |cause: String| Failure::new(Exit::NoInput, format!("{}: {cause}", path.display()));
            let bytes = files::read_bounded(path, MOST_PEM_BYTES)
                .map_err(|error| unreadable(error.to_string()))?;
            Some(String::from_utf8(bytes).map_err(|_| {
                unreadable("not PEM; convert it with `openssl x509 -inform der -out ca.pem`".into())
            })?)
        }
    };
    Ok(PeerSpec {
        name: add.name.clone(),
        address: add.address.clone(),
        ca_pem,
        fingerprint: add.fingerprint.map(|fingerprint| fingerprint.to_string()),
        enabled: !add.disabled,
        incoming: !add.no_incoming,
        outgoing: !add.no_outgoing,
        keepalive_seconds: add.keepalive_seconds,
    })
}

fn table(entries: &[PeerEntry]) -> String {
    if entries.is_empty() {
        return "no peers; register one with `tombolo peer add`\n".into();
    }
    let mut text =
        String::from("PEER                 STATE       ADDRESS                        IN   OUT\n");
    for entry in entries {
        let state = match entry.state {
            Some(state) => state.word(),
            None if !entry.enabled => PeerState::Disabled.word(),
            None => "-",
        };
        let on_off = |on| if on { "on" } else { "off" };
        text.push_str(&format!(
            "{} {} {} {:<4} {}\n",
            column(&entry.name, 20),
            column(state, 11),
            column(entry.address.as_deref().unwrap_or("(it dials us)"), 30),
            on_off(entry.incoming),
            on_off(entry.outgoing),
        ));
        for authority in &entry.authorities {
            text.push_str(&wrap(&format!("CA {authority}"), "  ", 80));
        }
        if let Some(fingerprint) = &entry.fingerprint {
            text.push_str(&wrap(fingerprint, "  ", 80));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn places(directory: &std::path::Path) -> Places {
        Places {
            config: directory.join("tombolo.toml"),
            config_is_named: false,
            state: directory.join("state"),
        }
    }

    fn peer(directory: &std::path::Path, words: &[&str]) -> Result<(), Failure> {
        let line = Line::try_parse_from([&["peer"], words].concat()).unwrap();
        run(&line.arguments, &places(directory))
    }

    #[test]
    fn without_a_box_the_file_is_changed() {
        let directory = tempfile::tempdir().unwrap();
        let pin = "ab".repeat(32);
        let add = [
            "add",
            "bravo",
            "--fingerprint",
            &pin,
            "--address",
            "b.example",
            "--no-outgoing",
        ];
        peer(directory.path(), &add).unwrap();
        let config = places(directory.path()).load_config().unwrap();
        assert_eq!(config.peers[0].address.as_deref(), Some("b.example:9001"));
        assert!(!config.peers[0].outgoing);
        let again = peer(directory.path(), &add).unwrap_err();
        assert_eq!(again.exit, Exit::Data);
        assert!(again.message.contains("--replace"), "{again}");
        peer(directory.path(), &["list"]).unwrap();
        peer(directory.path(), &["remove", "bravo"]).unwrap();
        assert_eq!(
            peer(directory.path(), &["remove", "bravo"])
                .unwrap_err()
                .exit,
            Exit::Data
        );
    }

    #[test]
    fn nobody_is_registered_unknown() {
        for words in [
            &["peer", "add", "bravo"][..],
            &["peer", "add", "--fingerprint", "AB", "bravo"],
            &["peer", "add"],
        ] {
            assert!(Line::try_parse_from(words).is_err(), "{words:?}");
        }
        let directory = tempfile::tempdir().unwrap();
        let missing = peer(directory.path(), &["add", "b", "--ca-cert", "/no/such.pem"]);
        assert_eq!(missing.unwrap_err().exit, Exit::NoInput);
    }

    #[test]
    fn the_list_fits_a_terminal() {
        let entry = PeerEntry {
            name: "bravo".into(),
            address: None,
            authorities: vec![Fingerprint::of(b"ca").to_string()],
            fingerprint: Some(Fingerprint::of(b"leaf").to_string()),
            enabled: true,
            incoming: true,
            outgoing: false,
            keepalive_seconds: None,
            state: Some(PeerState::Flowing),
        };
        let text = table(&[entry]);
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        assert!(
            text.contains("flowing") && text.contains("(it dials us)") && text.contains("off"),
            "{text}"
        );
    }
}
