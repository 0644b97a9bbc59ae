//! Taking over what lies on the boot partition or on a stick: configuration, certificates, peers, networks, updates.
//!
//! All of a source is checked first. With a mistake nothing of it is taken, and the mistakes are told: on the source
//! itself, to the console and by the LED. What was taken is remembered and not taken again, so what an operator
//! changes later stays changed until the source holds something new.

mod apply;
mod bundle;
mod medium;
mod memory;
mod network;
mod outbox;
mod plan;
mod source;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use rustls_pki_types::UnixTime;
use serde::{Deserialize, Serialize};

use crate::config::transaction;
use crate::files;
use crate::update::install;
use crate::update::machine::Machine;
use crate::update::owner::as_owner;
use medium::Medium;
use memory::Memory;
use plan::Present;
use source::Offer;

/// What is shown by LED and console, below the root of the box.
const RESULT: &str = "run/tombolo/provision.json";

/// Where to look and what to change.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The box.
    pub machine: Machine,
    /// Its configuration.
    pub config_file: PathBuf,
    /// The folder on the boot partition, below which it may be mounted for writing.
    pub boot: PathBuf,
    /// Where the stick is mounted.
    pub stick: PathBuf,
}

/// What came of it all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// `none` (nothing to take anywhere), `done` or `mistakes`.
    pub state: String,
    /// Every mistake, with its source.
    pub mistakes: Vec<String>,
    /// The source looked at last that held something.
    pub source: String,
    /// What was new and is in use now.
    #[serde(default)]
    pub news: Vec<String>,
    /// An update was installed: the box must restart.
    #[serde(skip)]
    pub restart: bool,
    /// Network files changed.
    #[serde(skip)]
    pub network: bool,
}

/// Looks at the boot partition, then at the stick, so that the stick has the last word.
pub fn run(setup: &Setup) -> Outcome {
    // First of all in every boot: an update that ended meanwhile.
    match install::settle(&setup.machine) {
        Ok(Some(past)) => tracing::info!(
            "the update to version {} ended: {:?} {}",
            past.version,
            past.end,
            past.why
        ),
        Ok(None) | Err(crate::update::UpdateError::NoSlots) => {}
        Err(error) => tracing::warn!("slots: {error}"),
    }
    let mut outcome = Outcome {
        state: "none".into(),
        ..Outcome::default()
    };
    for (name, directory) in [("boot", &setup.boot), ("stick", &setup.stick)] {
        if let Some(offer) = source::read(directory) {
            // The boot partition is read-only as a rule; a stick is mounted as it shall be.
            let mut medium = Medium::of(directory, name == "boot");
            take(setup, name, directory, &offer, &mut medium, &mut outcome);
        }
    }
    let path = setup.machine.at(RESULT);
    let written = serde_json::to_vec(&outcome)
        .map_err(std::io::Error::other)
        .and_then(|bytes| {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
            files::replace(&path, &bytes, 0o644)
        });
    if let Err(error) = written {
        tracing::warn!("{}: {}", path.display(), files::fault(&error));
    }
    outcome
}

fn take(
    setup: &Setup,
    name: &str,
    directory: &Path,
    offer: &Offer,
    medium: &mut Medium,
    outcome: &mut Outcome,
) {
    let state = &setup.machine.state;
    let mut memory = Memory::read(state);
    let mut mistakes = Vec::new();
    for secret in &offer.remains {
        let _ = medium.destroy(secret);
    }
    match taken(setup, name, offer, &mut memory) {
        Ok(plan) => {
            outcome.network |= !plan.network.is_empty();
            for secret in &plan.secrets {
                if let Err(error) = medium.destroy(secret) {
                    let words = format!(
                        "{}: could not be destroyed: {}",
                        secret.display(),
                        files::fault(&error)
                    );
                    tracing::warn!("{words}");
                    outcome.news.push(words);
                }
            }
            for news in plan.news {
                tracing::info!("taken from {}: {news}", directory.display());
                outcome.news.push(news);
            }
        }
        Err(found) => mistakes = found,
    }
    let bundles = bundle::install_new(&offer.bundles, &setup.machine, &mut memory, |memory| {
        memory.save(state)
    });
    outcome.restart |= bundles.restart;
    for words in mistakes.iter().chain(&bundles.notes) {
        tracing::warn!("{}: {words}", directory.display());
    }
    if !offer.is_empty() || !offer.bundles.is_empty() {
        outcome.source = directory.display().to_string();
        if outcome.state != "mistakes" {
            outcome.state = if mistakes.is_empty() {
                "done".into()
            } else {
                "mistakes".into()
            };
        }
    }
    let taken = memory.sources.get(name).cloned().unwrap_or_default();
    let has_report = directory.join(outbox::REPORT).exists();
    let mut back = Vec::new();
    if !offer.is_empty() || !bundles.notes.is_empty() || has_report {
        back.push((
            outbox::REPORT,
            outbox::report(&mistakes, &taken, &bundles.notes),
        ));
    }
    outcome.mistakes.extend(mistakes);
    let updates = install::report(&setup.machine).map_or_else(
        |_| "this machine takes no update bundles".to_owned(),
        |report| {
            format!(
                "system version {} in slot {}; {}",
                report.version, report.running, report.words
            )
        },
    );
    match outbox::files(&setup.machine, &setup.config_file, &updates) {
        Ok(files) => back.extend(files),
        Err(error) => tracing::warn!("outbox: {error}"),
    }
    for (file, text) in back {
        if let Err(error) = medium.write(file, text.as_bytes()) {
            // A source that cannot be written to is as good as any other.
            tracing::warn!(
                "{}: {}",
                directory.join(file).display(),
                files::fault(&error)
            );
            break;
        }
    }
}

/// Plans, carries out and remembers.
fn taken(
    setup: &Setup,
    name: &str,
    offer: &Offer,
    memory: &mut Memory,
) -> Result<plan::Plan, Vec<String>> {
    let one = |mistake: String| vec![mistake];
    let config = as_owner(|| {
        let text = transaction::text(&setup.config_file);
        text.map_err(|error| std::io::Error::other(error.to_string()))
    })
    .map_err(|error| one(error.to_string()))?;
    let before = memory.sources.get(name).cloned().unwrap_or_default();
    let plan = plan::make(
        offer,
        Present {
            taken: &before,
            config_file: &setup.config_file,
            config: &config,
            identity: memory.identity.as_deref(),
            now: UnixTime::now(),
        },
    )?;
    apply::apply(&plan, &setup.machine, &setup.config_file).map_err(one)?;
    if plan.taken != before {
        let identity = plan.identity.as_ref().map(|identity| identity.name.clone());
        memory.identity = identity.or_else(|| memory.identity.take());
        memory.sources.insert(name.to_owned(), plan.taken.clone());
        let state = &setup.machine.state;
        memory
            .save(state)
            .map_err(|error| one(format!("{}: {}", state.display(), files::fault(&error))))?;
    }
    Ok(plan)
}
