//! `tombolo provision`: takes over what lies on the boot partition and on the stick.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::Args;

use super::failure::Failure;
use super::output::{clean, print};
use super::paths::{Global, Places};
use crate::log;
use crate::provision::{Setup, run as provision};
use crate::update::install;
use crate::update::machine::Machine;

/// Arguments of `provision`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Folder on the boot partition
    #[arg(long, value_name = "DIR", default_value = "/boot/firmware/tombolo")]
    boot: PathBuf,
    /// Where the stick is mounted
    #[arg(long, value_name = "DIR", default_value = "/run/tombolo-stick")]
    stick: PathBuf,
    /// Directory to take as / for what is not the source
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

/// Runs `provision`. Mistakes in a source are told there, and are no failure of the command.
///
/// # Errors
/// If the log cannot be begun, or the box cannot be restarted into an update.
pub fn run(arguments: &Arguments, global: &Global, places: &Places) -> Result<(), Failure> {
    log::start(global.verbose)?;
    let outcome = provision(&Setup {
        machine: Machine::new(&arguments.root, &places.state),
        config_file: places.config.clone(),
        boot: arguments.boot.clone(),
        stick: arguments.stick.clone(),
    });
    let mut text = String::new();
    for news in &outcome.news {
        text += &format!("taken: {}\n", clean(news));
    }
    for mistake in &outcome.mistakes {
        text += &format!("mistake: {}\n", clean(mistake));
    }
    print(&text)?;
    if outcome.network && arguments.root == std::path::Path::new("/") {
        // Before the network is up there is nobody to tell, and nobody need be told.
        let _ = Command::new("networkctl")
            .arg("reload")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
    match outcome.restart {
        true => Ok(install::restart()?),
        false => Ok(()),
    }
}
