//! Configurations of other servers, recognised by what is in them, as keys of ours.

pub mod beside;
mod core_config;
mod federation_server;
pub mod found;
mod join;
mod xml;
mod yaml;

pub use found::{Found, Unreadable};
pub use join::{Joined, join};

use super::environment;

/// Whose configuration a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `federation.json`.
    Federation,
    /// `CoreConfig.xml`, a piece of it, or one of the XML shapes of the documents.
    Xml,
    /// `FTSConfig.yaml`.
    FreeTakServer,
    /// Our own `tombolo.toml`.
    Own,
}

impl Kind {
    /// The kind of a text, by its first letters and, between YAML and TOML, by its first lines.
    pub fn of(text: &str) -> Self {
        let begins = text.trim_start();
        if begins.starts_with('<') {
            return Self::Xml;
        }
        if begins.starts_with('{') || begins.is_empty() {
            return Self::Federation;
        }
        let line = text
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty() && !line.starts_with('#'));
        let is_table = line.is_some_and(|line| line.starts_with('[') || line.contains('='));
        match is_table {
            true => Self::Own,
            false => Self::FreeTakServer,
        }
    }
}

/// Reads an XML configuration; `authority` gives the CA of a peer, by its name, as PEM.
///
/// # Errors
/// If it is no XML, or none that this box knows.
pub fn read_xml(
    text: &str,
    authority: &dyn Fn(&str) -> Option<String>,
) -> Result<Found, Unreadable> {
    let root = xml::read(text).map_err(|fault| Unreadable {
        line: fault.line,
        fault: format!("not XML: {}", fault.fault),
        cure: "give the file as the server has it".to_owned(),
    })?;
    if root.name == "FederationServer" {
        let mut found = federation_server::read(&root);
        found.trust(authority);
        return Ok(found);
    }
    match core_config::federation(&root) {
        Some(element) if federation_server::is_line(element) => {
            Ok(federation_server::read_line(element))
        }
        Some(element) => Ok(core_config::read(element, authority)),
        None => Err(Unreadable {
            line: root.line,
            fault: format!("<{}> holds no <federation>", root.name),
            cure:
                "give a TAK Server's CoreConfig.xml, its <federation>, or a federation-server.xml"
                    .to_owned(),
        }),
    }
}

/// Reads an `FTSConfig.yaml`.
///
/// # Errors
/// If it is more of YAML than such a file has, or a value cannot be meant.
pub fn read_yaml(text: &str) -> Result<Found, Unreadable> {
    let entries = yaml::read(text)?;
    let find = |name: &str| {
        let entry = entries
            .iter()
            .find(|entry| entry.key == name && !entry.value.is_empty());
        entry.map(|entry| entry.value.clone())
    };
    let line = |name: &str| {
        entries
            .iter()
            .find(|entry| entry.key == name)
            .map_or(1, |entry| entry.line)
    };
    let read = environment::read(&find).map_err(|error| match error {
        super::ConfigError::BadValue {
            key, fault, cure, ..
        } => Unreadable {
            line: line(key),
            fault: format!("`{key}`: {fault}"),
            cure,
        },
        other => Unreadable {
            line: 1,
            fault: other.to_string(),
            cure: String::new(),
        },
    })?;
    let mut found = Found {
        settings: read.settings,
        left_out: read.remarks,
        ..Found::default()
    };
    for setting in &mut found.settings {
        setting.from = format!("line {}: {}", line(&setting.from), setting.from);
    }
    for entry in &entries {
        let words = match entry.key.as_str() {
            key if environment::VARIABLES.contains(&key) => continue,
            "FTS_COT_PORT" => {
                "plain CoT is open to this machine alone here; [listen] clients_tcp opens it"
            }
            "FTS_SSLCOT_PORT" => match entry.value.parse::<u16>() {
                Ok(port) if port > 0 => {
                    let from = format!("line {}: {}", entry.line, entry.key);
                    let address = format!("0.0.0.0:{port}");
                    found.settings.push(environment::Setting::text(
                        "listen.clients_tls",
                        &address,
                        from,
                    ));
                    continue;
                }
                _ => "it is no port",
            },
            _ => "it is FreeTAKServer's own affair",
        };
        found.leave(entry.line, &entry.key, words);
    }
    Ok(found)
}

/// What this process' environment says.
///
/// # Errors
/// The first variable that cannot be meant, with its cure.
pub fn read_environment() -> Result<Found, super::ConfigError> {
    let read = environment::read(&environment::variable)?;
    Ok(Found {
        settings: read.settings,
        left_out: read.remarks,
        ..Found::default()
    })
}

#[cfg(test)]
mod tests;
