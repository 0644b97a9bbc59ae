//! `tombolo config`: a configuration to begin with, whether one is valid, and changing it as a whole.

mod changing;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use rustls_pki_types::UnixTime;

use super::failure::{Exit, Failure};
use super::output::print;
use super::paths::Places;
use crate::budget::Budget;
use crate::config::{Config, parse, schema};
use crate::pki::Identity;

/// What `config` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum ConfigArgs {
    /// Print a tombolo.toml with every key, its default and what it means
    Template,
    /// Check a configuration, print the memory sum of its limits, and end
    Check {
        /// The file; without it the one that `run` would read
        file: Option<PathBuf>,
    },
    /// Make a file the configuration: checked, written whole, taken over by the running box
    Commit {
        /// The new tombolo.toml; - reads it from standard input
        file: PathBuf,
        /// Take it back after so many minutes unless it is confirmed, 1 to 1440; also when the power goes meanwhile
        #[arg(long, value_name = "MINUTES", value_parser = clap::value_parser!(u32).range(1..=1440))]
        confirm: Option<u32>,
    },
    /// Keep the configuration that waits for its confirmation
    Confirm,
    /// Go back to the configuration before the last change
    Rollback,
    /// Print the JSON Schema of tombolo.toml, or of federation.json
    Schema {
        /// Which file
        #[arg(value_enum, default_value = "configuration")]
        of: SchemaOf,
    },
}

/// Files that have a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// tombolo.toml
    Configuration,
    /// federation.json
    Federation,
}

/// Runs `config`.
///
/// # Errors
/// What is wrong with the configuration, where, and the cure.
pub fn run(arguments: &ConfigArgs, places: &Places) -> Result<(), Failure> {
    match arguments {
        ConfigArgs::Template => print(&Config::template()),
        ConfigArgs::Check { file: None } => check(places),
        ConfigArgs::Check { file: Some(file) } => check(&Places {
            config: file.clone(),
            config_is_named: true,
            state: places.state.clone(),
        }),
        ConfigArgs::Commit { file, confirm } => changing::commit(file, *confirm, places),
        ConfigArgs::Confirm => changing::confirm(places),
        ConfigArgs::Rollback => changing::rollback(places),
        ConfigArgs::Schema { of } => {
            let schema = match of {
                SchemaOf::Configuration => schema::of_configuration(),
                SchemaOf::Federation => schema::of_federation(),
            };
            print(&format!("{schema:#}\n"))
        }
    }
}

/// Reads the configuration and prints what it comes to; also `run --check`.
///
/// # Errors
/// What is wrong with it.
pub fn check(places: &Places) -> Result<(), Failure> {
    let config = places.load_config()?;
    let budget = Budget::of(&config.limits);
    print(&format!("{budget}\n"))?;
    fits(&budget, places)?;
    if let Some(own) = &config.identity {
        Identity::from_files(&own.certificate, &own.key, UnixTime::now())
            .map_err(|error| Failure::new(Exit::Config, error.to_string()))?;
    }
    for (peer, relaxed) in (config.peers.iter()).filter_map(|peer| Some((peer, peer.relaxed()?))) {
        print(&format!("warning: peer \"{}\": {relaxed}\n", peer.name))?;
    }
    let peers = match config.peers.len() {
        0 => "no peers".to_owned(),
        1 => "1 peer".to_owned(),
        many => format!("{many} peers"),
    };
    print(&format!("valid: {}, {peers}\n", places.config_in_words()))
}

/// Whether the limits fit under the ceiling.
///
/// # Errors
/// By how much they do not, which to change, and where they are written.
pub fn fits(budget: &Budget, places: &Places) -> Result<(), Failure> {
    let Err(over) = budget.check() else {
        return Ok(());
    };
    let set: Vec<String> = parse::limits_set_in(&places.config)
        .iter()
        .map(|(key, place)| match place.file == places.config {
            true => format!("{key} (line {})", place.line),
            false => format!("{key} ({place})"),
        })
        .collect();
    let mut message = format!("{}: {over}", places.config.display());
    if !set.is_empty() {
        message += &format!("; set there: {}", set.join(", "));
    }
    Err(Failure::new(Exit::Config, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<(), Failure> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tombolo.toml");
        std::fs::write(&file, text).unwrap();
        let places = Places {
            config: "/nonexistent".into(),
            config_is_named: false,
            state: directory.path().into(),
        };
        run(&ConfigArgs::Check { file: Some(file) }, &places)
    }

    #[test]
    fn the_template_is_valid_and_nothing_too() {
        assert_eq!(checked(&Config::template()), Ok(()));
        assert_eq!(checked(""), Ok(()));
    }

    #[test]
    fn an_identity_that_run_would_refuse_is_refused_here() {
        let failure = checked("[identity]\ncertificate = \"no.pem\"\nkey = \"no.pem\"\n");
        let failure = failure.unwrap_err();
        assert_eq!(failure.exit, Exit::Config);
        assert!(failure.message.contains("/no.pem"), "{failure}");
    }

    #[test]
    fn too_much_is_told_with_file_keys_and_lines() {
        let failure = checked("[limits]\nmax_clients = 500\n\nmemory_mib = 20\n").unwrap_err();
        assert_eq!(failure.exit, Exit::Config);
        for part in [
            "/tombolo.toml: [limits] add up to",
            "lower max_clients to",
            "set there: max_clients (line 2), memory_mib (line 4)",
        ] {
            assert!(failure.message.contains(part), "{part}: {failure}");
        }
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let places = Places {
            config: "/nonexistent".into(),
            config_is_named: false,
            state: "/nonexistent".into(),
        };
        let missing = ConfigArgs::Check {
            file: Some("/nonexistent/tombolo.toml".into()),
        };
        assert_eq!(run(&missing, &places).unwrap_err().exit, Exit::NoInput);
        assert_eq!(run(&ConfigArgs::Check { file: None }, &places), Ok(()));
    }
}
