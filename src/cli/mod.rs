//! The command line: one file per subcommand, exit codes of sysexits.h.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

#[cfg(any(feature = "pages", test))]
use clap::CommandFactory;
use clap::{Parser, Subcommand};

mod carriage;
pub mod cert;
pub mod check;
pub mod config;
pub mod console;
pub mod demo;
pub mod export;
pub mod failure;
pub mod import;
pub mod inject;
pub mod led;
mod line;
pub mod lint;
pub mod local;
mod meshes;
pub mod output;
pub mod own;
pub mod packages;
#[cfg(feature = "pages")]
pub mod pages;
pub mod pair;
pub mod paths;
pub mod peer;
mod probe;
pub mod provision;
pub mod recorder;
pub mod reload;
pub mod request;
pub mod restamp;
pub mod run;
pub mod safe_mode;
mod servers;
pub mod slot;
pub mod status;
pub mod token;
pub mod update;
pub mod why;

use failure::{Exit, Failure};
use paths::{Global, Places};
use safe_mode::SafeMode;

#[derive(Debug, Parser)]
#[command(name = "tombolo", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the box; without a configuration it makes its own keys and listens on the usual ports
    Run(run::Arguments),
    /// Show two islands, two boxes and one link between them, with live tracks
    Demo(demo::DemoArguments),
    /// Show how the box and its links stand
    Status(status::Arguments),
    /// Register, change, pause, forget or list federates
    Peer(Box<peer::Arguments>),
    /// Pair with a box of another owner by a code of eight characters
    Pair(Box<pair::Arguments>),
    /// Say step by step how far a federate's link comes, and prove that what is sent comes out
    Check(check::Arguments),
    /// Tell what became of a track, and which rule stopped it
    Why(why::Arguments),
    /// Write the flight recorder down, show a recording, or go through it again
    #[command(subcommand)]
    Recorder(recorder::RecorderArgs),
    /// Hand CoT events to the running box
    Inject(inject::Arguments),
    /// Show our certificates, export them for a peer, issue one for an ATAK user
    #[command(subcommand)]
    Cert(cert::CertArgs),
    /// Print what a peer's administrator puts into the peer's configuration
    #[command(subcommand)]
    Export(export::ExportArgs),
    /// Make, list and revoke tokens and passwords for the HTTPS API
    Token(token::Arguments),
    /// Take over what a federation.json, CoreConfig.xml, federation-server.xml, FTSConfig.yaml or the environment says
    Import(import::Arguments),
    /// Show, add and remove the data packages that the box keeps
    Packages(packages::Arguments),
    /// Read a configuration without a box, and say what is worth a word in it
    Lint(lint::Arguments),
    /// Print a commented configuration, check one, change it as a whole, print its JSON Schema
    #[command(subcommand)]
    Config(config::ConfigArgs),
    /// Set the box up and look after it at a serial line, or by a script
    Console(console::Arguments),
    /// Carry out what the console asked for by a file (for the machine's own units, as root)
    #[command(hide = true)]
    Request(request::Arguments),
    /// Make the running box read its configuration again
    Reload,
    /// Show on the status LED that the box is not running, for units
    #[command(subcommand)]
    Led(led::LedArgs),
    /// Leave safe mode
    #[command(subcommand)]
    SafeMode(safe_mode::SafeMode),
    /// Install a new system, show how updates went, go back
    Update(update::Arguments),
    /// Take over configuration, certificates, peers and updates from the boot partition and from a stick
    Provision(provision::Arguments),
    /// Show and change which slot of the card boots
    Slot(slot::Arguments),
    /// Print a completion script
    #[cfg(feature = "pages")]
    Completions(pages::Completions),
    /// Print the manual page
    #[cfg(feature = "pages")]
    Man(pages::Man),
}

/// Runs the command that the arguments name; the first is the program's own name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(spelled_out(arguments)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, all else is wrong usage.
            let usage = error.use_stderr();
            let _ = error.print();
            return if usage {
                ExitCode::from(Exit::Usage as u8)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match execute(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody to tell when standard error is closed; the exit code still says it.
            let _ = writeln!(
                io::stderr(),
                "tombolo: {}",
                output::clean_lines(&failure.message)
            );
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn execute(cli: &Cli) -> Result<(), Failure> {
    let places = || Places::find(&cli.global);
    match &cli.command {
        Command::Run(arguments) => run::run(arguments, &cli.global, &places()?),
        Command::Demo(arguments) => {
            demo::refuse_places(&cli.global)?;
            demo::run(arguments)
        }
        Command::Status(arguments) => status::run(arguments, &places()?),
        Command::Peer(arguments) => peer::run(arguments, &places()?),
        Command::Pair(arguments) => pair::run(arguments, &places()?),
        Command::Check(arguments) => check::run(arguments, &places()?),
        Command::Why(arguments) => why::run(arguments, &places()?),
        Command::Recorder(arguments) => recorder::run(arguments, &places()?),
        Command::Inject(arguments) => inject::run(arguments, &places()?),
        Command::Cert(arguments) => own::cert(arguments, &places()?),
        Command::Export(arguments) => own::export(arguments, &places()?),
        Command::Token(arguments) => token::run(arguments, &places()?),
        Command::Import(arguments) => import::run(arguments, &places()?),
        Command::Packages(arguments) => packages::run(arguments, &places()?),
        Command::Lint(arguments) => lint::run(arguments, &places()?),
        Command::Config(arguments) => config::run(arguments, &places()?),
        Command::Console(arguments) => console::run(arguments, &places()?),
        Command::Request(arguments) => request::run(arguments),
        Command::Reload => reload::run(&places()?),
        Command::Led(arguments) => led::run(arguments, &places()?),
        Command::SafeMode(SafeMode::Leave) => safe_mode::leave(&places()?),
        Command::Update(arguments) => update::run(arguments, &places()?),
        Command::Provision(arguments) => provision::run(arguments, &cli.global, &places()?),
        Command::Slot(arguments) => slot::run(arguments),
        #[cfg(feature = "pages")]
        Command::Completions(arguments) => pages::completions(arguments, Cli::command()),
        #[cfg(feature = "pages")]
        Command::Man(arguments) => pages::man(arguments, Cli::command()),
    }
}

/// Called as `tak-inject`, the program is its own subcommand.
fn spelled_out(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let is_inject = |name: &OsString| {
        Path::new(name)
            .file_name()
            .is_some_and(|name| name == "tak-inject")
    };
    if arguments.first().is_some_and(is_inject) {
        arguments.insert(1, "inject".into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(spelled_out(words.iter().map(OsString::from)))
    }

    #[test]
    fn the_commands_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_lines_that_scripts_use_are_understood() {
        for words in [
            &["tombolo", "run", "--config", "c.toml", "--state", "s"][..],
            &["tombolo", "--state", "s", "run"],
            &["tombolo", "status", "--json", "--state", "s"],
            &["tombolo", "inject", "-", "--now"],
            &["/usr/bin/tak-inject", "file.xml", "--state", "s"],
            &[
                "tombolo",
                "peer",
                "add",
                "bravo",
                "--ca-cert",
                "b.pem",
                "--keepalive-seconds",
                "20",
            ],
            &["tombolo", "cert", "show", "--json", "--state", "s"],
            &["tombolo", "export", "coreconfig", "bravo"],
            &["tombolo", "completions", "bash"],
            &["tombolo", "config", "template"],
            &["tombolo", "config", "check", "c.toml"],
            &["tombolo", "peer", "set", "bravo", "--no-address"],
            &["tombolo", "peer", "pause", "bravo"],
            &["tombolo", "pair", "code", "--incoming", "no", "--json"],
            &["tombolo", "pair", "join", "k7qm 2xwd", "bravo:8443"],
            &["tombolo", "run", "--safe"],
            &["tombolo", "safe-mode", "leave"],
        ] {
            assert!(parse(words).is_ok(), "{words:?}");
        }
        let cli = parse(&["tak-inject", "file.xml", "--state", "s"]).unwrap();
        assert!(matches!(cli.command, Command::Inject(_)));
        assert_eq!(cli.global.state.as_deref(), Some(Path::new("s")));
    }

    #[test]
    fn global_options_stand_apart_from_those_of_a_command() {
        let mut cli = Cli::command();
        cli.build();
        let inject = cli.find_subcommand_mut("inject").unwrap();
        let help = inject.render_long_help().to_string();
        let (own, global) = help.split_once("Global options:").unwrap();
        assert!(own.contains("--now") && !own.contains("--state"), "{help}");
        assert!(
            global.contains("--state") && global.contains("--config"),
            "{help}"
        );
    }

    #[test]
    fn wrong_usage_is_told_apart_from_help() {
        let code = |words: &[&str]| main(words.iter().map(OsString::from));
        assert_eq!(code(&["tombolo", "explode"]), ExitCode::from(64));
        assert_eq!(code(&["tombolo"]), ExitCode::from(64));
        assert_eq!(
            code(&["tombolo", "demo", "--state", "/x"]),
            ExitCode::from(64)
        );
        assert_eq!(code(&["tombolo", "--help"]), ExitCode::SUCCESS);
        assert_eq!(code(&["tombolo", "--version"]), ExitCode::SUCCESS);
        let nowhere = [
            "tombolo",
            "status",
            "--state",
            "/nonexistent",
            "--config",
            "/nonexistent",
        ];
        assert_eq!(code(&nowhere), ExitCode::from(69));
    }
}
