//! `tombolo update`: install a new system, judge it, go back.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::failure::{Exit, Failure};
use super::output::{clean, json_line, print};
use super::paths::{Places, SystemRoot};
use crate::api::UpdateReport;
use crate::update::confirm::confirm;
use crate::update::machine::Machine;
use crate::update::request::UpdateResult;
use crate::update::{UpdateError, install, request};

/// Longest wait for health, seconds.
const MOST_WAIT: u64 = 3600;

/// Arguments of `update`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    system: SystemRoot,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Install a signed bundle into the other slot; it is tried with the next restart
    Install {
        /// The bundle (*.raucb)
        file: PathBuf,
        /// Install an older version, or the same once more
        #[arg(long)]
        allow_downgrade: bool,
        /// Restart the box when it is installed
        #[arg(long)]
        restart: bool,
    },
    /// Show which version runs and how the last update went
    Status {
        /// One line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Judge the system on trial and commit it; fails if it is not healthy in time
    Confirm {
        /// How long it may take
        #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(..=MOST_WAIT))]
        wait: u64,
    },
    /// Go back to the system before, with the next restart
    Rollback,
    /// Carry out the request that daemon or console left
    #[command(hide = true)]
    RunRequest,
}

/// Runs `update`.
///
/// # Errors
/// Why it could not be done; 69 on a machine without two slots.
pub fn run(arguments: &Arguments, places: &Places) -> Result<(), Failure> {
    let machine = Machine::new(&arguments.system.root, &places.state);
    match &arguments.action {
        Action::Install {
            file,
            allow_downgrade,
            restart,
        } => {
            let file = file.canonicalize().map_err(|error| {
                super::failure::unreadable(file, &error, "name a bundle (*.raucb)")
            })?;
            let installed = install::install(&machine, &file, *allow_downgrade)?;
            print(&format!(
                "version {} is installed in slot {}\n",
                clean(&installed.version),
                installed.slot
            ))?;
            match restart {
                true => Ok(install::restart()?),
                false => print(
                    "restart the box to try it; it goes back by itself if it is not healthy\n",
                ),
            }
        }
        Action::Status { json } => show(&install::report(&machine)?, *json),
        Action::Confirm { wait } => {
            let words = confirm(&machine, Duration::from_secs(*wait))?;
            print(&format!("{words}\n"))
        }
        Action::Rollback => {
            let words = install::rollback(&machine)?;
            print(&format!("{words}\n"))
        }
        Action::RunRequest => run_request(&machine),
    }
}

fn run_request(machine: &Machine) -> Result<(), Failure> {
    let done = request::read(machine).and_then(|request| {
        let bundle = request::bundle(machine, &request.path)?;
        install::install(machine, &bundle, request.allow_downgrade)
    });
    let message = match &done {
        Ok(installed) => format!(
            "version {} is installed in slot {}; the box restarts to try it",
            clean(&installed.version),
            installed.slot
        ),
        Err(error) => error.to_string(),
    };
    let answered = request::answer(
        machine,
        &UpdateResult {
            ok: done.is_ok(),
            message: message.clone(),
        },
    );
    done?;
    print(&format!("{message}\n"))?;
    install::restart()?;
    Ok(answered?)
}

fn show(report: &UpdateReport, json: bool) -> Result<(), Failure> {
    if json {
        return print(&json_line(report)?);
    }
    let trial = if report.on_trial { ", on trial" } else { "" };
    let mut text = format!(
        "version {} for {} in slot {}{trial}\n{}\n",
        clean(&report.version),
        clean(&report.board),
        report.running,
        clean(&report.words)
    );
    for past in report.history.iter().rev().skip(1) {
        text += &format!(
            "before: version {} in slot {}: {:?} {}\n",
            clean(&past.version),
            past.slot,
            past.end,
            clean(&past.why)
        );
    }
    print(&text)
}

impl From<UpdateError> for Failure {
    fn from(error: UpdateError) -> Self {
        let exit = match &error {
            UpdateError::NoSlots | UpdateError::Unhealthy(_) => Exit::Unavailable,
            UpdateError::Refused(_) | UpdateError::NotNow(_) => Exit::Data,
            UpdateError::Slot(_) | UpdateError::Io(_) => Exit::Io,
            _ => Exit::Unavailable,
        };
        Self::new(exit, error.to_string())
    }
}
