//! `tombolo run`: the box itself.

use clap::Args;

use super::config;
use super::failure::{Exit, Failure};
use super::paths::{Global, Places};
use crate::api::BindError;
use crate::budget::Budget;
use crate::log;
use crate::supervise::{self, Ended, Setup, StartError, changes};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Do not run: the same as `config check`
    #[arg(long)]
    check: bool,
}

/// Runs the box.
///
/// # Errors
/// If the configuration is not valid or asks for more memory than it allows.
pub fn run(arguments: &Arguments, global: &Global, places: &Places) -> Result<(), Failure> {
    if arguments.check {
        return config::check(places);
    }
    let standing = changes::at_start(&places.config);
    let unconfirmed = standing.unconfirmed_seconds.is_some();
    let config = places.load_config();
    let config = config.map_err(|failure| taken_back(unconfirmed, places, failure))?;
    let budget = Budget::of(&config.limits);
    config::fits(&budget, places).map_err(|failure| taken_back(unconfirmed, places, failure))?;
    log::start(global.verbose)?;
    if let Some(words) = standing.words {
        tracing::warn!("{words}");
    }
    tracing::info!("configuration: {}", places.config_in_words());
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
        // systemd sets it for a service of Type=notify, and ours are always started again.
        is_restarted: std::env::var_os("NOTIFY_SOCKET").is_some(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_stack_size(STACK)
        .build()
        .map_err(|error| Failure::new(Exit::Internal, format!("no event loop: {error}")))?;
    let ended = runtime.block_on(supervise::run(setup));
    // A name lookup that hangs must not hold up the end.
    runtime.shutdown_background();
    match ended {
        Ok(Ended::Stopped) => Ok(()),
        Ok(Ended::Restart) => Err(Failure::new(
            Exit::Again,
            "ends to be started again with its new configuration",
        )),
        Err(error) => Err(taken_back(unconfirmed, places, error.into())),
    }
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
