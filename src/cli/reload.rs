//! `tombolo reload`: the running box reads its configuration again, as on SIGHUP, and says what came of it.

use super::failure::{Exit, Failure};
use super::output::{clean, print};
use super::paths::Places;
use crate::api::{Request, Response, ask};

/// Runs `reload`.
///
/// # Errors
/// If no box answers, or the configuration is not valid; the box then keeps the one it has.
pub fn run(places: &Places) -> Result<(), Failure> {
    match ask(&places.state, &Request::Reload)?.into_result()? {
        Response::Done(words) => print(&format!("{}\n", clean(&words))),
        _ => Err(Failure::new(
            Exit::Internal,
            "the box answers something else than was asked",
        )),
    }
}
