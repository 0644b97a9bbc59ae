//! Carrying out a plan. Every file appears whole, the configuration last of them; what is remembered and what is
//! destroyed comes after, so whatever a power cut leaves undone is done at the next start.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::network::Kind;
use super::plan::{IDENTITIES, NewNetwork, Plan};
use crate::api::{self, ErrorCode, Request};
use crate::config::transaction;
use crate::files;
use crate::update::machine::Machine;
use crate::update::owner::as_owner;

/// Below the root of the box, on its data partition.
const NETWORK: &str = "data/system/network";
const SSH: &str = "data/system/ssh";

/// Writes all that a plan says, up to the configuration.
///
/// # Errors
/// What could not be written, and why.
pub fn apply(plan: &Plan, machine: &Machine, config_file: &Path) -> Result<(), String> {
    if let Some(identity) = &plan.identity {
        let place = config_file
            .parent()
            .unwrap_or(Path::new(""))
            .join(IDENTITIES)
            .join(&identity.name);
        as_owner(|| {
            files::private_directory(&place)?;
            files::replace(
                &place.join("key.pem"),
                identity.key.as_bytes(),
                files::PRIVATE,
            )?;
            files::replace(
                &place.join("chain.pem"),
                identity.chain.as_bytes(),
                files::PRIVATE,
            )
        })
        .map_err(|error| told(&place, &error))?;
    }
    for file in &plan.network {
        let path = machine.at(NETWORK).join(&file.name);
        write_network(&path, file).map_err(|error| told(&path, &error))?;
    }
    if let Some(keys) = &plan.authorized_keys {
        let path = machine.at(SSH).join("authorized_keys");
        directory(&machine.at(SSH), 0o700)
            .and_then(|()| files::replace(&path, keys.as_bytes(), files::PRIVATE))
            .map_err(|error| told(&path, &error))?;
    }
    match &plan.config {
        Some(text) => commit(text, machine, config_file),
        None => Ok(()),
    }
}

fn write_network(path: &Path, file: &NewNetwork) -> io::Result<()> {
    directory(path.parent().unwrap_or(Path::new("")), 0o755)?;
    let mode = match file.kind {
        Kind::Network => 0o644,
        Kind::Wifi => files::PRIVATE,
    };
    files::replace(path, file.text.as_bytes(), mode)
}

fn directory(path: &Path, mode: u32) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
}

/// By the running box, which then takes it over; else by ourselves.
fn commit(text: &str, machine: &Machine, config_file: &Path) -> Result<(), String> {
    let request = Request::ConfigCommit {
        text: text.to_owned(),
        confirm_seconds: None,
        generation: None,
    };
    if let Ok(answer) = api::ask(&machine.state, &request) {
        match answer.into_result() {
            Ok(_) => return Ok(()),
            Err(fault) if fault.code == ErrorCode::Config => return Err(fault.message),
            // It is on its way down, or does not take so long a line.
            Err(_) => {}
        }
    }
    as_owner(|| {
        files::private_directory(config_file.parent().unwrap_or(Path::new("")))?;
        transaction::commit(config_file, text, None)
            .map_err(|error| io::Error::other(error.to_string()))
    })
    .map_err(|error| told(config_file, &error))?;
    // Nobody there, or it reads the file when it starts: nothing is lost.
    let _ = api::ask(&machine.state, &Request::Reload);
    Ok(())
}

fn told(path: &Path, error: &io::Error) -> String {
    format!("{}: {}", path.display(), files::fault(error))
}
