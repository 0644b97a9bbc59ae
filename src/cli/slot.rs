//! `tombolo slot`: which slot the box boots. RAUC asks and tells here too, as its custom boot loader back end.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::failure::{Exit, Failure, unreadable};
use super::output::{json_line, print};
use super::paths::SystemRoot;
use crate::files;
use crate::slot::{
    Booted, Change, Device, MOST_ATTEMPTS, Slot, SlotError, SlotState, USUAL_ATTEMPTS,
};

const CONF: &str = "usr/lib/tombolo/slot.conf";
const COMMAND_LINE: &str = "proc/cmdline";
/// Longest kernel command line, bytes.
const MOST_COMMAND_LINE: u64 = 16 * 1024;

/// Arguments of `slot`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The card, or an image of one [default: as /usr/lib/tombolo/slot.conf says]
    #[arg(long, global = true, value_name = "FILE")]
    device: Option<PathBuf>,
    #[command(flatten)]
    system: SystemRoot,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show which slot is committed, which is on trial, which runs
    Show {
        /// One line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Commit the slot on trial: from now on it always boots
    Commit,
    /// End the trial: the committed slot boots next
    Cancel,
    /// Try a slot for some boots; if it is not committed meanwhile, the committed one boots again
    Trial {
        /// A or B
        slot: Slot,
        /// Boots it gets
        #[arg(long, value_name = "N", default_value_t = USUAL_ATTEMPTS, value_parser = clap::value_parser!(u8).range(1..=i64::from(MOST_ATTEMPTS)))]
        attempts: u8,
    },
    /// Bring the two copies in line after a power cut
    Repair,
    /// What RAUC asks its custom boot loader back end
    #[command(subcommand)]
    Rauc(Rauc),
}

#[derive(Debug, Subcommand)]
enum Rauc {
    /// Print the slot that boots next
    GetPrimary,
    /// Boot a slot next, on trial unless it is the committed one
    SetPrimary {
        /// A or B
        slot: Slot,
    },
    /// Print good if the boot loader would boot the slot, else bad
    GetState {
        /// A or B
        slot: Slot,
    },
    /// good commits the slot on trial, bad ends its trial
    SetState {
        /// A or B
        slot: Slot,
        /// good or bad
        verdict: Verdict,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Verdict {
    Good,
    Bad,
}

/// Runs `slot`.
///
/// # Errors
/// If this is no box with two slots, its card cannot be read or written, or what is asked for makes no sense.
pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let booted = booted(arguments)?;
    let device = device(arguments, booted)?;
    let change = |change: &dyn Fn(SlotState) -> Result<SlotState, Change>| {
        device.change(|state| Ok::<_, Failure>(change(state)?))
    };
    let said = |state: SlotState| print(&format!("{}\n", in_words(&state)));
    match &arguments.action {
        Action::Show { json } => show(*json, &device, booted),
        Action::Commit => said(device.change(|state| {
            if let (Some(running), Some(trial)) = (booted, state.trial)
                && running.slot != trial.slot
            {
                return Err(Failure::new(Exit::Unavailable, format!(
                    "slot {} is on trial and slot {} runs; a slot is committed by the system that runs in it, so restart the box first",
                    trial.slot, running.slot
                )));
            }
            Ok(state.committed()?)
        })?),
        Action::Cancel => said(change(&|state| Ok(state.cancelled()))?),
        Action::Trial { slot, attempts } => said(change(&|state| state.tried(*slot, *attempts))?),
        Action::Repair => match device.repair()? {
            true => print("repaired: both copies of the slot state are whole and equal again\n"),
            false => print("nothing to repair\n"),
        },
        Action::Rauc(Rauc::GetPrimary) => print(&format!("{}\n", device.read()?.state().next())),
        Action::Rauc(Rauc::SetPrimary { slot }) => {
            change(&|state| Ok(state.with_primary(*slot, USUAL_ATTEMPTS))).map(drop)
        }
        Action::Rauc(Rauc::GetState { slot }) => {
            print(match device.read()?.state().is_bootable(*slot) {
                true => "good\n",
                false => "bad\n",
            })
        }
        Action::Rauc(Rauc::SetState { slot, verdict }) => {
            change(&|state| state.judged(*slot, *verdict == Verdict::Good)).map(drop)
        }
    }
}

fn booted(arguments: &Arguments) -> Result<Option<Booted>, Failure> {
    let path = arguments.system.root.join(COMMAND_LINE);
    match files::read_bounded(&path, MOST_COMMAND_LINE) {
        Ok(line) => Ok(Booted::from_command_line(&String::from_utf8_lossy(&line))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(&path, &error, "is /proc mounted?")),
    }
}

fn device(arguments: &Arguments, booted: Option<Booted>) -> Result<Device, Failure> {
    if let Some(path) = &arguments.device {
        return Ok(Device::at(path));
    }
    if booted.is_none() {
        return Err(Failure::new(
            Exit::Unavailable,
            "this is no box with two slots: its boot loader did not say which one runs (tombolo.slot= on the kernel's \
             command line); for the card of another box name it with --device FILE",
        ));
    }
    Ok(Device::named_in(&arguments.system.root.join(CONF))?)
}

fn in_words(state: &SlotState) -> String {
    match state.trial {
        None => format!("slot {} is committed and boots; no trial", state.good),
        Some(trial) if trial.left == 0 => format!(
            "slot {} is committed and boots next; the trial of slot {} has no boots left",
            state.good, trial.slot
        ),
        Some(trial) => format!(
            "slot {} is committed; slot {} is on trial and boots next ({} {} left)",
            state.good,
            trial.slot,
            trial.left,
            if trial.left == 1 { "boot" } else { "boots" }
        ),
    }
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    good: &'static str,
    trial: Option<&'static str>,
    left: u8,
    next: &'static str,
    running: Option<&'static str>,
    running_on_trial: Option<bool>,
    copies: [&'static str; 2],
    device: &'a std::path::Path,
}

fn show(json: bool, device: &Device, booted: Option<Booted>) -> Result<(), Failure> {
    let copies = device.read()?;
    let state = copies.state();
    let words = copies.copies.map(|copy| match copy {
        Some(copy) if copy == state => "good",
        Some(_) => "older",
        None => "damaged",
    });
    if json {
        let shown = Shown {
            good: state.good.letter(),
            trial: state.trial.map(|trial| trial.slot.letter()),
            left: state.trial.map_or(0, |trial| trial.left),
            next: state.next().letter(),
            running: booted.map(|booted| booted.slot.letter()),
            running_on_trial: booted.map(|booted| booted.is_trial),
            copies: words,
            device: device.path(),
        };
        return print(&json_line(&shown)?);
    }
    let mut text = format!("{}\n", in_words(&state));
    if let Some(booted) = booted {
        let trial = if booted.is_trial { ", on trial" } else { "" };
        text += &format!("running now: slot {}{trial}\n", booted.slot);
    }
    if words != ["good"; 2] {
        text += &format!(
            "the two copies on {}: {}, {}; `tombolo slot repair` brings them in line\n",
            device.path().display(),
            words[0],
            words[1]
        );
    }
    print(&text)
}

impl From<SlotError> for Failure {
    fn from(error: SlotError) -> Self {
        Self::new(Exit::Io, error.to_string())
    }
}

impl From<Change> for Failure {
    fn from(change: Change) -> Self {
        Self::new(Exit::Unavailable, change.to_string())
    }
}
