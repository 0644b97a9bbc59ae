//! `tombolo safe-mode`: how an operator gets the box out of it.

use clap::Subcommand;

use super::failure::{Exit, Failure};
use super::output::{clean, print};
use super::paths::Places;
use crate::api::{Request, Response, ask};

/// What can be done about safe mode.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum SafeMode {
    /// Forget the crashes and short boots that led to it, and start as configured
    Leave,
}

/// Runs `safe-mode leave`.
///
/// # Errors
/// If no box answers, or it is not in safe mode.
pub fn leave(places: &Places) -> Result<(), Failure> {
    match ask(&places.state, &Request::SafeLeave)?.into_result()? {
        Response::Done(words) => print(&format!("{}\n", clean(&words))),
        _ => Err(Failure::new(
            Exit::Internal,
            "the box answers something else than was asked",
        )),
    }
}
