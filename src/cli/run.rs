//! `tombolo run`: the box itself.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::failure::{Exit, Failure};
use super::paths::{Global, Places};
use super::{config, import};
use crate::api::BindError;
use crate::budget::Budget;
use crate::config::{Config, Led, layers};
use crate::log;
use crate::supervise::safe::Safe;
use crate::supervise::{self, Ended, Setup, StartError, changes};
use crate::system::Manager;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Do not run: the same as `config check`
    #[arg(long)]
    check: bool,
    /// Start in safe mode: answer commands, without peers and clients
    #[arg(long, conflicts_with = "check")]
    safe: bool,
    /// The machine lies below this directory (proc, sys); for tests
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    machine: PathBuf,
}

/// Runs the box.
///
/// # Errors
/// If the configuration is not valid or asks for more memory than it allows.
pub fn run(arguments: &Arguments, global: &Global, places: &Places) -> Result<(), Failure> {
    if arguments.check {
        return config::check(places);
    }
    let manager = Arc::new(Manager::from_environment());
    let standing = changes::at_start(&places.config);
    let unconfirmed = standing.unconfirmed_seconds.is_some();
    // Another text in the file would count as confirmed.
    let declared = match unconfirmed {
        true => Ok(None),
        false => import::at_start(places),
    };
    let loaded = places
        .load_config()
        .and_then(|config| {
            declared.as_ref().map_err(Clone::clone)?;
            config::fits(&Budget::of(&config.limits), places)?;
            Ok(config)
        })
        .map_err(|failure| taken_back(unconfirmed, places, failure));
    let asked = arguments.safe.then_some(Safe::Asked);
    let (config, safe) = match loaded {
        Ok(config) => (config, asked),
        Err(failure) => {
            let safe = asked.or_else(|| instead_of_ending(&failure, &manager));
            // Light discipline holds, whatever else is wrong in the file.
            let config = Config {
                led: Led::of_file(&places.config),
                ..Config::default()
            };
            (config, Some(safe.ok_or(failure)?))
        }
    };
    let budget = Budget::of(&config.limits);
    log::start(global.verbose)?;
    if let Some(words) = standing.words {
        tracing::warn!("{words}");
    }
    if let Ok(Some(words)) = declared {
        tracing::info!("{words}");
    }
    tracing::info!("configuration: {}", places.config_in_words());
    for words in layers::in_words(&places.config) {
        tracing::info!("{words}");
    }
    tracing::info!("state directory: {}", places.state.display());
    tracing::info!(
        worst_kib = budget.total().div_ceil(1024),
        ceiling_kib = budget.ceiling() / 1024,
        "memory: the limits add up"
    );
    tracing::debug!("memory, worst case\n{budget}");
    let setup = Setup {
        config,
        config_file: places.config.clone(),
        state: places.state.clone(),
        unconfirmed_seconds: standing.unconfirmed_seconds,
        manager: Arc::clone(&manager),
        safe,
        root: arguments.machine.clone(),
    };
    match start(setup.clone()) {
        Ok(Ended::Stopped) => Ok(()),
        Ok(Ended::Restart) => Err(again()),
        Err(failure) => {
            let failure = taken_back(unconfirmed, places, failure);
            let safe = instead_of_ending(&failure, &manager).filter(|_| setup.safe.is_none());
            let safe = Some(safe.ok_or(failure)?);
            match start(Setup { safe, ..setup })? {
                Ended::Stopped => Ok(()),
                Ended::Restart => Err(again()),
            }
        }
    }
}

/// A configuration that is no good stays so: under a manager, which would start us again and again, the box goes into
/// safe mode and says why. Started by hand, it ends and says why.
fn instead_of_ending(failure: &Failure, manager: &Manager) -> Option<Safe> {
    let is_config = matches!(failure.exit, Exit::Config | Exit::NoInput);
    (manager.is_there() && is_config).then(|| Safe::Configuration(failure.message.clone()))
}

fn again() -> Failure {
    Failure::new(Exit::Again, "ends to be started again")
}

/// Runs the box in an event loop of its own.
fn start(setup: Setup) -> Result<Ended, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_stack_size(STACK)
        .build()
        .map_err(|error| Failure::new(Exit::Internal, format!("no event loop: {error}")))?;
    let ended = runtime.block_on(supervise::run(setup));
    // A name lookup that hangs must not hold up the end.
    runtime.shutdown_background();
    Ok(ended?)
}

/// A configuration that waits for its confirmation and with which the box does not start is taken back at once.
fn taken_back(unconfirmed: bool, places: &Places, failure: Failure) -> Failure {
    match unconfirmed && changes::take_back_at_start(&places.config) {
        true => Failure::new(
            Exit::Again,
            format!(
                "{failure}; that configuration was not confirmed, so the one before is back: start the box again"
            ),
        ),
        false => failure,
    }
}

/// For files and name lookups: two, so that a lookup that hangs does not stop a change of the configuration.
const BLOCKING_THREADS: usize = 2;

/// Stack of each, bytes.
const STACK: usize = 256 * 1024;

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let exit = match &error {
            StartError::State(_) | StartError::Control(BindError::Io(..)) => Exit::Io,
            StartError::Pki(_) | StartError::Tls(_) => Exit::Config,
            StartError::Control(_) | StartError::Listen(_) => Exit::Unavailable,
            StartError::System(..) => Exit::Internal,
        };
        Self::new(exit, error.to_string())
    }
}
