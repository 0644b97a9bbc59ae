//! `tombolo config commit|confirm|rollback`: by the running box, or on its files when none runs.

use std::io::{self, Read};
use std::path::Path;

use crate::api::{AskError, Committed, Request, Response, ask};
use crate::cli::failure::{Exit, Failure, unreadable};
use crate::cli::output::{clean, print};
use crate::cli::paths::Places;
use crate::files;
use crate::supervise::changes::Changes;

/// Largest configuration, bytes.
const MOST_BYTES: u64 = 1024 * 1024;

/// Makes a file the configuration.
///
/// # Errors
/// What is wrong with it, where, and the cure; the old one then stays in use.
pub fn commit(file: &Path, minutes: Option<u32>, places: &Places) -> Result<(), Failure> {
    let text = read(file)?;
    let request = Request::ConfigCommit {
        text: text.clone(),
        confirm_seconds: minutes.map(|minutes| minutes * 60),
        generation: None,
    };
    let done = ask(&places.state, &request);
    if let (Err(AskError::NotRunning(_)), Some(_)) = (&done, minutes) {
        return Err(Failure::new(
            Exit::Unavailable,
            "no box is running that could take it back; without --confirm it is written",
        ));
    }
    finish(done, "it is the configuration in use already", || {
        let changed = Changes::new(&places.config).commit(&text, None, None, 0);
        changed.map_err(Into::into)
    })
}

/// Keeps the configuration that waits for it.
///
/// # Errors
/// If it cannot be done.
pub fn confirm(places: &Places) -> Result<(), Failure> {
    let done = ask(&places.state, &Request::ConfigConfirm);
    finish(done, "nothing waited for a confirmation", || {
        Changes::new(&places.config).confirm().map_err(Into::into)
    })
}

/// Goes back.
///
/// # Errors
/// If the one before is no longer valid, or it cannot be done.
pub fn rollback(places: &Places) -> Result<(), Failure> {
    let done = ask(&places.state, &Request::ConfigRollback);
    finish(done, "there is no configuration to go back to", || {
        Changes::new(&places.config).rollback().map_err(Into::into)
    })
}

/// Prints what the box says; without a box `by_hand` does it.
fn finish(
    done: Result<Response, AskError>,
    unchanged: &str,
    by_hand: impl FnOnce() -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let committed = match done {
        Err(AskError::NotRunning(_)) => Committed {
            words: match by_hand()? {
                true => "no box is running, so it counts from the next start".to_owned(),
                false => unchanged.to_owned(),
            },
            restarts: false,
            unconfirmed_seconds: None,
        },
        answer => match answer?.into_result()? {
            Response::Committed(committed) => committed,
            _ => {
                let words = "the box answers something else than was asked";
                return Err(Failure::new(Exit::Internal, words));
            }
        },
    };
    print(&format!("{}\n", clean(&committed.words)))?;
    match committed.unconfirmed_seconds {
        None => Ok(()),
        Some(seconds) => print(&format!(
            "it is taken back in {seconds} s; `tombolo config confirm` keeps it\n"
        )),
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        let standard = io::stdin().lock().take(MOST_BYTES + 1);
        let read = { standard }.read_to_end(&mut bytes);
        let too_long = || io::Error::from(io::ErrorKind::FileTooLarge);
        read.and_then(|count| match count as u64 > MOST_BYTES {
            true => Err(too_long()),
            false => Ok(bytes),
        })
    } else {
        files::read_bounded(file, MOST_BYTES)
    };
    let bytes = bytes.map_err(|error| unreadable(file, &error, "name a tombolo.toml"))?;
    String::from_utf8(bytes).map_err(|_| {
        let message = format!("{}: it is not UTF-8 text; save it as such", file.display());
        Failure::new(Exit::Data, message)
    })
}
