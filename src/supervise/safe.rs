//! Safe mode: the box answers on its control socket and does nothing else, so that somebody can find out why.
//!
//! No peers, no listeners for clients or federates. Only a box that a service manager starts again and again judges its
//! starts: whoever starts it by hand sees what happens.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use super::{Shared, Taken, desk};
use crate::api::{ErrorCode, Fault, Response};
use crate::budget::Budget;
use crate::config::Config;
use crate::system::{BootLog, Decision};

/// Why the box is in safe mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Safe {
    /// `tombolo run --safe`.
    Asked,
    /// It cannot start with its configuration; why, in words.
    Configuration(String),
    /// It crashed, or lost its power, too often.
    Starts(Decision),
}

impl fmt::Display for Safe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("it was started with --safe"),
            Self::Configuration(fault) => write!(f, "the configuration cannot be used: {fault}"),
            Self::Starts(decision) => decision.fmt(f),
        }
    }
}

/// Notes this start and judges it, if starts are judged at all.
pub(super) fn judge(state: &Path, root: &Path, judged: bool) -> (Option<BootLog>, Option<Safe>) {
    if !judged {
        return (None, None);
    }
    match BootLog::start(state, root) {
        Ok(Some((log, decision))) => {
            let safe = decision.is_safe().then_some(Safe::Starts(decision));
            (Some(log), safe)
        }
        Ok(None) => (None, None),
        // The box is worth more than its diary.
        Err(error) => {
            tracing::error!("this start cannot be noted: {error}");
            (None, None)
        }
    }
}

impl Shared {
    /// Takes a configuration over while in safe mode: it is known, and not used.
    pub(super) fn take_over_safely(self: &Arc<Self>, safe: &Safe, config: Config) -> Taken {
        let was_the_fault = matches!(safe, Safe::Configuration(_));
        let restarts = self.manager.is_there() && was_the_fault;
        if restarts {
            tracing::info!("the configuration can be used: starting again as configured");
            self.restart_soon();
        }
        self.set_config(config);
        let words = match restarts {
            true => "the configuration can be used: leaving safe mode",
            false => "kept for later: the box is in safe mode",
        };
        Taken {
            words: words.to_owned(),
            restarts,
        }
    }

    /// Ends safe mode. Runs on a thread that may block.
    ///
    /// # Errors
    /// If the box is not in safe mode, or would be again at once.
    pub(super) fn leave_safe_mode(self: &Arc<Self>) -> Result<Response, Fault> {
        let Some(safe) = &self.safe else {
            return Err(Fault::new(
                ErrorCode::Unavailable,
                "the box is not in safe mode",
            ));
        };
        if *safe == Safe::Asked || !self.manager.is_there() {
            return Err(Fault::new(
                ErrorCode::Unavailable,
                "the box was started with --safe: stop it, and start it without",
            ));
        }
        let unusable = |message: String| {
            let cure = "correct it first; `tombolo config check` checks it";
            Fault::new(ErrorCode::Config, format!("{message}; {cure}"))
        };
        let config = desk::load(&self.setup_file).map_err(|error| unusable(error.to_string()))?;
        Budget::of(&config.limits)
            .check()
            .map_err(|over| unusable(over.to_string()))?;
        if let Some(boots) = &mut *self.boots.lock().unwrap_or_else(PoisonError::into_inner) {
            boots
                .forgive()
                .map_err(|error| Fault::new(ErrorCode::Io, error.to_string()))?;
        }
        tracing::info!("leaving safe mode: starting again as configured");
        self.restart_soon();
        Ok(Response::Done(
            "leaving safe mode: starting again as configured".to_owned(),
        ))
    }

    /// The box ends because it was told to, which is no crash.
    pub(super) fn end_in_order(&self) {
        if let Some(boots) = &mut *self.boots.lock().unwrap_or_else(PoisonError::into_inner)
            && let Err(error) = boots.end()
        {
            tracing::warn!("this end in order cannot be noted: {error}");
        }
    }

    /// The box has run long enough that its start was a good one. Runs on a thread that may block.
    pub(super) fn settle(&self) {
        if let Some(boots) = &mut *self.boots.lock().unwrap_or_else(PoisonError::into_inner)
            && let Err(error) = boots.settle()
        {
            tracing::warn!("that the box runs well cannot be noted: {error}");
        }
    }
}
