//! `tombolo completions SHELL` and `tombolo man`: made from the commands themselves, so they cannot disagree.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use super::failure::{Exit, Failure};
use super::output::print;

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// For which shell
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// Write a page for each command there, instead of the first page to standard output
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Runs `completions`.
///
/// # Errors
/// If standard output cannot be written.
pub fn completions(arguments: &Completions, mut command: Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "tombolo", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Runs `man`.
///
/// # Errors
/// If the pages cannot be written.
pub fn man(arguments: &Man, command: Command) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Io, error.to_string());
    if let Some(directory) = &arguments.directory {
        return clap_mangen::generate_to(command, directory).map_err(failed);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(failed)?;
    print(&String::from_utf8_lossy(&page))
}
