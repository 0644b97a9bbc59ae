//! `tombolo lint FILE`: a configuration read without a box, and what is worth a word in it.

mod trust;

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::failure::{Exit, Failure, unreadable};
use super::output::{clean, json_line, print};
use super::paths::Places;
use crate::config::NetworkSettings;
use crate::config::filter::places::{FilterPlace, places};
use crate::config::import::beside::certificate;
use crate::config::{Config, ConfigError, Filters, Peer, candidate, federation};
use crate::files;
use crate::route::policy::Policy;
use crate::route::policy::advice::{self, Level};
use trust::of_trust;

/// Largest file, bytes.
const MOST_BYTES: u64 = 1024 * 1024;

/// Arguments of `lint`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// A tombolo.toml or federation.json; without it the configuration that `run` would read
    file: Option<PathBuf>,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

/// One remark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Remark {
    /// The file.
    file: String,
    /// The line, counted from 1; none where it is not known.
    line: Option<usize>,
    /// `error`, `warning` or `note`.
    level: &'static str,
    /// One word that scripts may rely on.
    word: String,
    /// The table it is about: `peer`, `mesh`; none: the file as a whole.
    table: Option<&'static str>,
    /// The name of that peer or mesh.
    name: Option<String>,
    /// The key.
    key: Option<String>,
    /// The rule, as it is written.
    rule: Option<String>,
    /// What is so, and what to do about it.
    text: String,
}

/// Runs `lint`. Ends with 0 when the file can be used, whatever is remarked, and with 78 when it cannot.
///
/// # Errors
/// What is wrong with the file.
pub fn run(arguments: &Arguments, places: &Places) -> Result<(), Failure> {
    let file = arguments.file.as_ref().unwrap_or(&places.config);
    let cure = "name a tombolo.toml or a federation.json";
    let bytes =
        files::read_bounded(file, MOST_BYTES).map_err(|error| unreadable(file, &error, cure))?;
    let text = String::from_utf8(bytes).map_err(|_| {
        let message = format!("{}: it is not UTF-8 text; {cure}", file.display());
        Failure::new(Exit::Config, message)
    })?;
    let remarks = lint(text.strip_prefix('\u{feff}').unwrap_or(&text), file);
    let errors = remarks
        .iter()
        .filter(|remark| remark.level == "error")
        .count();
    if arguments.json {
        print(&json_line(&remarks)?)?;
    } else {
        let lines: String = remarks.iter().map(line).collect();
        print(&lines)?;
        if remarks.is_empty() {
            print(&format!(
                "{}: nothing to remark\n",
                clean(&file.display().to_string())
            ))?;
        }
    }
    match errors {
        0 => Ok(()),
        1 => Err(Failure::new(
            Exit::Config,
            format!("{}: not valid", file.display()),
        )),
        many => Err(Failure::new(
            Exit::Config,
            format!("{}: not valid, {many} faults", file.display()),
        )),
    }
}

/// Everything that is to be said of a file, from the top.
fn lint(text: &str, file: &Path) -> Vec<Remark> {
    let mut remarks = match text.trim_start().as_bytes().first() {
        Some(b'{' | b'[')
            if file
                .extension()
                .is_some_and(|extension| extension == "json") =>
        {
            of_federation(text, file)
        }
        Some(b'<') => vec![of_xml(text, file)],
        _ => of_toml(text, file),
    };
    remarks.sort_by_key(|remark| remark.line);
    remarks
}

fn of_toml(text: &str, file: &Path) -> Vec<Remark> {
    match Config::read(text, file) {
        Ok(config) => of_config(&config, file, &places(text)),
        Err(error) => vec![of_error(&error, file)],
    }
}

fn of_error(error: &ConfigError, file: &Path) -> Remark {
    Remark {
        file: file.display().to_string(),
        line: error.line(),
        level: "error",
        word: "not_valid".to_owned(),
        table: None,
        name: None,
        key: error.key().map(str::to_owned),
        rule: None,
        // The place stands in front of the line already.
        text: without_place(&error.to_string()),
    }
}

fn without_place(message: &str) -> String {
    let mut parts = message.splitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (_, Some(line), Some(rest)) if line.parse::<usize>().is_ok() => {
            rest.trim_start().to_owned()
        }
        _ => message.to_owned(),
    }
}

fn of_federation(text: &str, file: &Path) -> Vec<Remark> {
    let specs = match federation::read(text, |path| certificate(file, path)) {
        Ok(specs) => specs,
        Err(mistakes) => {
            let remark = |mistake: &federation::Mistake| Remark {
                file: file.display().to_string(),
                line: Some(mistake.line),
                level: "error",
                word: "not_valid".to_owned(),
                table: Some("peer").filter(|_| !mistake.peer.is_empty()),
                name: Some(mistake.peer.trim_matches('"').to_owned())
                    .filter(|peer| !peer.is_empty()),
                key: Some(mistake.key.clone()).filter(|key| !key.is_empty()),
                rule: None,
                text: format!("`{}`: {}; {}", mistake.key, mistake.fault, mistake.cure),
            };
            return mistakes.iter().map(remark).collect();
        }
    };
    // As the box would have them.
    let mut joined = String::new();
    for spec in &specs {
        match candidate::replace_peer(&joined, spec) {
            Ok(text) => joined = text,
            Err(error) => return vec![fault(file, error.to_string())],
        }
    }
    match Config::read(&joined, file) {
        Ok(config) => of_config(&config, file, &[]),
        // Its line is that of a text that nobody has seen.
        Err(error) => vec![Remark {
            line: None,
            ..of_error(&error, file)
        }],
    }
}

/// The files of a TAK Server are its own.
fn of_xml(text: &str, file: &Path) -> Remark {
    let words = if text.contains("<FederationServer") || text.contains("<filtergroup direction") {
        "no TAK Server reads a file of this shape: outgoing connections, federates and their groups stand in \
         <federation> of CoreConfig.xml. `tombolo export coreconfig PEER` prints them as they must be; for this box \
         write a [[peer]] with address, ca_cert and filter"
    } else if text.contains("v1Enabled=")
        || text.contains("useV2=")
        || text.contains("missionPackageStartPort")
    {
        "CoreConfig.xml has no such attributes at <federation>: its shape is <federation enableFederation=\"true\">\
         <federation-server port=\"9000\" v2port=\"9001\" v2enabled=\"true\">. `tombolo export coreconfig PEER` prints it"
    } else {
        "it is XML, and this box is configured by tombolo.toml or federation.json; `tombolo export coreconfig PEER` \
         prints what a TAK Server wants"
    };
    fault(file, words.to_owned())
}

fn fault(file: &Path, text: String) -> Remark {
    Remark {
        file: file.display().to_string(),
        line: None,
        level: "error",
        word: "not_valid".to_owned(),
        table: None,
        name: None,
        key: None,
        rule: None,
        text,
    }
}

/// A neighbour with a filter.
struct Guarded<'a> {
    table: &'static str,
    name: &'a str,
    filters: &'a Filters,
    /// Data packages in, out.
    packages: [bool; 2],
    /// Incoming, outgoing.
    ways: [bool; 2],
}

fn of_config(config: &Config, file: &Path, places: &[FilterPlace]) -> Vec<Remark> {
    let mut remarks = of_groups(config, file);
    remarks.extend(of_trust(config, file));
    let peers = config.peers.iter().map(|peer| Guarded {
        table: "peer",
        name: &peer.name,
        filters: &peer.filters,
        packages: [peer.data_packages_in, peer.data_packages_out],
        ways: [peer.incoming, peer.outgoing],
    });
    let meshes = config.meshes.iter().map(|mesh| Guarded {
        table: "mesh",
        name: &mesh.name,
        filters: &mesh.filters,
        packages: [mesh.data_packages_in, mesh.data_packages_out],
        ways: [mesh.incoming, mesh.outgoing],
    });
    for guarded in peers.chain(meshes) {
        let here =
            |place: &&FilterPlace| place.table == guarded.table && place.name == guarded.name;
        of_filter(&guarded, file, places.iter().find(here), &mut remarks);
    }
    remarks
}

fn of_filter(
    of: &Guarded<'_>,
    file: &Path,
    place: Option<&FilterPlace>,
    remarks: &mut Vec<Remark>,
) {
    let mut remark = |level: Level, word: &str, (key, rule): (&str, &str), text: String| {
        remarks.push(Remark {
            line: place.map(|place| place.line_of(key, rule)),
            level: level.word(),
            word: word.to_owned(),
            table: Some(of.table),
            name: Some(of.name.to_owned()),
            key: Some(key.to_owned()),
            rule: Some(rule.to_owned()).filter(|rule| !rule.is_empty()),
            ..fault(file, text)
        });
    };
    for advice in advice::of(of.filters) {
        let at = (advice.key, advice.rule.as_str());
        remark(advice.level, advice.word, at, advice.text);
    }
    let ([packages_in, packages_out], [incoming, outgoing]) = (of.packages, of.ways);
    let policy = Policy::of(of.filters, packages_in, packages_out);
    let closed = policy.map_or([false; 2], |policy| policy.closed(incoming, outgoing));
    for (closed, way) in closed.into_iter().zip(["in", "out"]) {
        if closed {
            let text = format!("the filter lets nothing but emergencies {way}");
            remark(Level::Warning, "nothing_passes", ("filter", ""), text);
        }
    }
    for (filter, on, key) in [
        (&of.filters.incoming, incoming, "incoming"),
        (&of.filters.outgoing, outgoing, "outgoing"),
    ] {
        if filter.is_some() && !on && (incoming || outgoing) {
            let text = format!("{key} = false, so the filter has nothing to do in that direction");
            remark(Level::Note, "no_effect", ("filter", ""), text);
        }
    }
}

/// Groups that no network of the box has: the filter that nobody looks for.
fn of_groups(config: &Config, file: &Path) -> Vec<Remark> {
    let heard = |group: &&String| {
        let hears = |network: &NetworkSettings| network.outbound_groups.contains(group);
        config.networks.iter().any(hears)
    };
    let said = |group: &&String| {
        let says = |network: &NetworkSettings| network.inbound_groups.contains(group);
        config.networks.iter().any(says)
    };
    let mut remarks = Vec::new();
    let mut remark = |peer: &Peer, key: &str, text: &str| {
        remarks.push(Remark {
            level: Level::Warning.word(),
            word: "no_network".to_owned(),
            table: Some("peer"),
            name: Some(peer.name.clone()),
            key: Some(key.to_owned()),
            ..fault(file, text.to_owned())
        });
    };
    for peer in &config.peers {
        let lost = |groups: &Option<Vec<String>>, known: &dyn Fn(&&String) -> bool| {
            groups
                .as_ref()
                .is_some_and(|groups| !groups.iter().any(|group| known(&group)))
        };
        if lost(&peer.groups.inbound, &heard) && peer.incoming {
            remark(
                peer,
                "inbound_groups",
                "no network of this box has one of these groups in its outbound_groups, so what \
                the peer sends is shown to nobody here",
            );
        }
        if lost(&peer.groups.outbound, &said) && peer.outgoing {
            remark(
                peer,
                "outbound_groups",
                "no network of this box has one of these groups in its inbound_groups, so \
                nothing of its clients goes to the peer",
            );
        }
    }
    remarks
}

fn line(remark: &Remark) -> String {
    let at = match remark.line {
        Some(line) => format!("{}:{line}", remark.file),
        None => remark.file.clone(),
    };
    let who = remark.table.iter().zip(&remark.name);
    let who = who.map(|(table, name)| format!("{table} \"{name}\": "));
    // The words of an error name its key themselves.
    let key = remark.key.iter().filter(|_| remark.level != "error");
    let key = key.map(|key| match &remark.rule {
        Some(rule) => format!("{key} \"{rule}\": "),
        None => format!("{key}: "),
    });
    let place: String = who.chain(key).collect();
    format!(
        "{}\n",
        clean(&format!("{at}: {}: {place}{}", remark.level, remark.text))
    )
}

#[cfg(test)]
mod tests;
