//! `tombolo run`: the box itself.

use clap::Args;

use super::failure::Failure;
use super::output::print;
use super::paths::{Global, Places};
use crate::budget::Budget;
use crate::log;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Check the configuration, print the memory sum, and end
    #[arg(long)]
    check: bool,
}

/// Runs the box.
///
/// # Errors
/// If the configuration is not valid or asks for more memory than it allows.
pub fn run(arguments: &Arguments, global: &Global, places: &Places) -> Result<(), Failure> {
    let config = places.load_config()?;
    let budget = Budget::of(&config.limits);
    if arguments.check {
        print(&format!("{budget}\n"))?;
        return Ok(budget.check()?);
    }
    budget.check()?;
    log::start(global.verbose)?;
    tracing::info!(
        worst_kib = budget.total().div_ceil(1024),
        ceiling_kib = budget.ceiling() / 1024,
        "memory: the limits add up"
    );
    tracing::debug!("memory, worst case\n{budget}");
    Ok(())
}
