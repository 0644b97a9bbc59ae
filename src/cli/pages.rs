//! `tombolo completions SHELL` and `tombolo man`: made from the commands themselves, so they cannot disagree.

use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use super::failure::{Exit, Failure};
use super::output::print;
use crate::files;

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// For which shell
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// Write a page for each command there (it is made if need be), instead of the first page to standard output
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
    if let Some(directory) = &arguments.directory {
        return std::fs::create_dir_all(directory)
            .and_then(|()| clap_mangen::generate_to(command, directory))
            .map_err(|error| {
                let (place, cause) = (directory.display(), files::fault(&error));
                let message =
                    format!("{place}: cannot write pages there: {cause}; name another --directory");
                Failure::new(Exit::CannotCreate, message)
            });
    }
    let failed = |error: std::io::Error| Failure::new(Exit::Io, error.to_string());
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(failed)?;
    print(&String::from_utf8_lossy(&page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_written_to_a_directory_that_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let to = |place: &str| Man {
            directory: Some(directory.path().join(place)),
        };
        let command = Command::new("tombolo").subcommand(Command::new("run"));
        man(&to("made/for/it"), command.clone()).unwrap();
        let there = directory.path().join("made/for/it");
        assert!(there.join("tombolo.1").exists() && there.join("tombolo-run.1").exists());
        let failure = man(&to("made/for/it/tombolo.1"), command).unwrap_err();
        assert_eq!(failure.exit, Exit::CannotCreate);
        assert!(
            failure.message.contains("name another --directory"),
            "{failure}"
        );
    }
}
