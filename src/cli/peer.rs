//! `tombolo peer add|set|pause|resume|remove|list`: the registered federates, in the running box or, when none runs, in the file.

mod keys;
mod trust;

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Subcommand};

use super::failure::{Exit, Failure, unreadable};
use super::output::{clean, column, json_line, print, wrap};
use super::paths::Places;
use crate::api::{AskError, PeerEntry, PeerState, Request, Response, ask};
use crate::config::authority::{self, MOST_PEM_BYTES};
use crate::config::{Cleared, PeerChange, PeerSpec, edit};
use crate::files;
use crate::pki::Fingerprint;
use crate::pki::store::pem;

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
    /// Change what is named of a federate, and nothing else
    Set(Set),
    /// Switch a federate off and keep its registration (`enabled = false`)
    Pause {
        /// Its name
        name: String,
    },
    /// Switch a federate on again
    Resume {
        /// Its name
        name: String,
    },
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
#[command(group(ArgGroup::new("known by").required(true).multiple(true).args(["ca_cert", "fingerprint", "ca_pin"])))]
#[command(group(ArgGroup::new("changes").multiple(true)))]
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
    #[command(flatten)]
    more: keys::MoreKeys,
    /// Set the federate of that name anew, if there is one: what is not named goes back to its default
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("changes").required(true).multiple(true)))]
struct Set {
    /// Its name
    name: String,
    /// Dial it there, host:port
    #[arg(long, value_name = "HOST:PORT", group = "changes")]
    address: Option<String>,
    /// Do not dial it: it dials us
    #[arg(long, group = "changes", conflicts_with = "address")]
    no_address: bool,
    /// PEM file with the certificate of its CA
    #[arg(long, value_name = "FILE", group = "changes")]
    ca_cert: Option<PathBuf>,
    /// Know it by its fingerprint alone
    #[arg(long, group = "changes", conflicts_with = "ca_cert")]
    no_ca_cert: bool,
    /// SHA-256 of its certificate
    #[arg(long, value_name = "FINGERPRINT", group = "changes")]
    fingerprint: Option<Fingerprint>,
    /// Know it by its CA alone: any certificate of it
    #[arg(long, group = "changes", conflicts_with = "fingerprint")]
    no_fingerprint: bool,
    /// Take what it sends
    #[arg(long, group = "changes")]
    incoming: bool,
    /// Do not take what it sends
    #[arg(long, group = "changes", conflicts_with = "incoming")]
    no_incoming: bool,
    /// Send what we have
    #[arg(long, group = "changes")]
    outgoing: bool,
    /// Do not send what we have
    #[arg(long, group = "changes", conflicts_with = "outgoing")]
    no_outgoing: bool,
    /// Switch it on, as `peer resume`
    #[arg(long, group = "changes")]
    enabled: bool,
    /// Switch it off, as `peer pause`
    #[arg(long, group = "changes", conflicts_with = "enabled")]
    disabled: bool,
    /// Seconds between keepalives
    #[arg(long, value_name = "N", group = "changes")]
    keepalive_seconds: Option<u32>,
    /// Send keepalives as what was learned of the uplink says
    #[arg(long, group = "changes", conflicts_with = "keepalive_seconds")]
    no_keepalive_seconds: bool,
    #[command(flatten)]
    more: keys::MoreKeys,
}

/// Runs `peer`.
///
/// # Errors
/// What the box, or the configuration file, says against it.
pub fn run(arguments: &Arguments, places: &Places) -> Result<(), Failure> {
    match &arguments.action {
        Action::Add(add) => run_add(add, places),
        Action::Set(set) => run_set(&changed(set)?, places),
        Action::Pause { name } => run_set(&switched(name, false), places),
        Action::Resume { name } => run_set(&switched(name, true), places),
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

fn run_set(change: &PeerChange, places: &Places) -> Result<(), Failure> {
    let request = Request::PeerSet {
        change: change.clone(),
    };
    self::change(&request, places, || {
        edit::set_peer(&places.config, change)?;
        Ok(format!(
            "\"{}\" is changed in {}",
            change.name,
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
        return print(&json_line(&entries)?);
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
    Ok(PeerSpec {
        name: add.name.clone(),
        address: add.address.clone(),
        ca_pem: add.ca_cert.as_deref().map(read_pem).transpose()?,
        fingerprint: add.fingerprint.map(|fingerprint| fingerprint.to_string()),
        enabled: !add.disabled,
        incoming: !add.no_incoming,
        outgoing: !add.no_outgoing,
        keepalive_seconds: add.keepalive_seconds,
        more: (add.more.changes()?.into_iter())
            .filter_map(|(key, written)| Some((key, written?)))
            .collect(),
    })
}

fn changed(set: &Set) -> Result<PeerChange, Failure> {
    let switch = |on: bool, off: bool| (on || off).then_some(on);
    let cleared = [
        (set.no_address, Cleared::Address),
        (set.no_ca_cert, Cleared::CaCert),
        (set.no_fingerprint, Cleared::Fingerprint),
        (set.no_keepalive_seconds, Cleared::KeepaliveSeconds),
    ];
    Ok(PeerChange {
        name: set.name.clone(),
        address: set.address.clone(),
        ca_pem: set.ca_cert.as_deref().map(read_pem).transpose()?,
        fingerprint: set.fingerprint.map(|fingerprint| fingerprint.to_string()),
        enabled: switch(set.enabled, set.disabled),
        incoming: switch(set.incoming, set.no_incoming),
        outgoing: switch(set.outgoing, set.no_outgoing),
        keepalive_seconds: set.keepalive_seconds,
        clear: cleared
            .into_iter()
            .filter_map(|(asked, what)| asked.then_some(what))
            .collect(),
        more: set.more.changes()?,
    })
}

fn switched(name: &str, enabled: bool) -> PeerChange {
    PeerChange {
        enabled: Some(enabled),
        ..PeerChange::of(name)
    }
}

fn read_pem(path: &Path) -> Result<String, Failure> {
    let bytes = files::read_bounded(path, MOST_PEM_BYTES).map_err(|error| {
        unreadable(
            path,
            &error,
            "--ca-cert takes a PEM file with the certificate of the peer's CA",
        )
    })?;
    let wrong = |fault: &dyn std::fmt::Display, cure: &str| {
        let message = format!("{}: {fault}; {cure}", path.display());
        Failure::new(Exit::Data, message)
    };
    String::from_utf8(bytes).or_else(|error| {
        // DER, or a keystore.
        match authority::read_any(error.as_bytes()) {
            Ok(authorities) => Ok(pem(&authorities)),
            Err(fault) => Err(wrong(&fault, &fault.cure())),
        }
    })
}

fn table(entries: &[PeerEntry]) -> String {
    if entries.is_empty() {
        return "no peers; register one with `tombolo peer add`\n".into();
    }
    let mut text = String::from(
        "PEER                 STATE       ADDRESS                   IN  OUT DP-IN DP-OUT\n",
    );
    for entry in entries {
        let state = match entry.state {
            Some(state) => state.word(),
            None if !entry.enabled => PeerState::Disabled.word(),
            None => "-",
        };
        let on_off = |on| if on { "on" } else { "off" };
        text.push_str(&format!(
            "{} {} {} {:<3} {:<3} {:<5} {}\n",
            column(&entry.name, 20),
            column(state, 11),
            column(entry.address.as_deref().unwrap_or("(it dials us)"), 25),
            on_off(entry.incoming),
            on_off(entry.outgoing),
            on_off(entry.data_packages_in),
            on_off(entry.data_packages_out),
        ));
        if let Some(filter) = &entry.filter {
            text.push_str(&wrap(&format!("filter: {filter}"), "  ", 80));
        }
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
mod tests;
