//! `tombolo console`: the serial console. What lines mean is decided in `console`; here they are read, orders are
//! performed, and text is written.

mod certificates;
mod machine;
mod pin;
mod selftest;
mod system;
mod terminal;

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::failure::{Exit, Failure, unreadable};
use super::output::print;
use super::paths::Places;
use crate::clock::{Clock, SystemClock};
use crate::console::{Action, Console, Input, Manner};
use machine::Machine;
use terminal::Terminal;

/// Arguments of `console`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Run the commands of a file, - for the standard input, and end; the first one that fails ends it
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Never end by `exit` or Ctrl-D: begin anew, as a serial line needs it
    #[arg(long, conflicts_with = "script")]
    stay: bool,
}

/// Runs `console`.
///
/// # Errors
/// In a script the first command that fails; else if the terminal cannot be written.
pub fn run(arguments: &Arguments, places: &Places) -> Result<(), Failure> {
    let manner = Manner {
        is_script: arguments.script.is_some(),
        stays: arguments.stay,
    };
    let input = input(arguments.script.as_deref())?;
    let idle = places
        .load_config()
        .map_or(0, |config| config.console_idle_minutes);
    let idle = (idle > 0).then(|| Duration::from_secs(u64::from(idle) * 60));
    let mut session = Session {
        console: Console::new(manner),
        machine: Machine::new(places),
        clock: SystemClock::new(),
    };
    let mut terminal = Terminal::new(input);
    if manner.stays {
        session.machine.await_start();
    }
    let first = session.console.start();
    let mut goes_on = session.perform(first)?;
    while goes_on {
        let prompt = session.console.prompt();
        if let Some((text, _)) = prompt.as_ref().filter(|_| !manner.is_script) {
            print(text)?;
        }
        let is_secret = prompt.is_some_and(|(_, is_secret)| is_secret);
        let input = terminal.read(is_secret, idle);
        let ends = input == Input::End;
        if ends && manner.is_script {
            session.may_end_here()?;
        }
        let actions = session.console.input(input, session.clock.now().mono_ms);
        goes_on = session.perform(actions)?;
        if let Some(fault) = session.console.failure()
            && manner.is_script
        {
            return Err(fault.into());
        }
        if terminal.is_gone() {
            return Ok(());
        }
    }
    Ok(())
}

fn input(script: Option<&Path>) -> Result<OwnedFd, Failure> {
    let failed = |error: io::Error| Failure::new(Exit::Io, format!("standard input: {error}"));
    match script {
        Some(file) if file != Path::new("-") => match File::open(file) {
            Ok(file) => Ok(file.into()),
            Err(error) => Err(unreadable(
                file,
                &error,
                "--script takes a file of commands, or -",
            )),
        },
        _ => nix::unistd::dup(io::stdin()).map_err(|error| failed(error.into())),
    }
}

struct Session<'a> {
    console: Console,
    machine: Machine<'a>,
    clock: SystemClock,
}

impl Session<'_> {
    /// Does what the core says; whether the console goes on.
    fn perform(&mut self, actions: Vec<Action>) -> Result<bool, Failure> {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Print(text) => print(&text)?,
                Action::Leave => return Ok(false),
                Action::Order(order) => {
                    let answer = self.machine.perform(&order);
                    let now_ms = self.clock.now().mono_ms;
                    actions.extend(self.console.answer(answer, now_ms));
                }
            }
        }
        Ok(true)
    }

    /// A script that ends too early has not done what its author thinks.
    fn may_end_here(&self) -> Result<(), Failure> {
        let message = if self.console.is_asking() {
            "the script ends in the middle of a question: nothing is changed by it"
        } else if self.console.has_changes() {
            "the script ends with keys that were set and not committed: they are lost; end it with `commit`"
        } else {
            return Ok(());
        };
        Err(Failure::new(Exit::Data, message))
    }
}
