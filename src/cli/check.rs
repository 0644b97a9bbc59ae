//! `tombolo check PEER`: does what is sent to a peer come out there?

use std::time::Duration;

use clap::Args;

use super::failure::{Exit, Failure};
use super::output::{column, json_line, print, wrap};
use super::paths::Places;
use super::probe;
use crate::api::check::CheckReport;
use crate::api::{Request, Response, ask};
use crate::clock::{Clock, SystemClock};

/// Arguments of `check`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The federate's name
    peer: String,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

const WIDTH: usize = 80;
/// Room for the state of a step.
const INDENT: &str = "         ";
/// Between two questions whether the check is done.
const PAUSE: Duration = Duration::from_millis(50);
/// A check is done within this: the probe's 10 s, and 10 more until the peer says what it did with it.
const LONGEST: Duration = Duration::from_secs(25);

/// Runs `check`. Ends with 0 when events are known to cross, with 69 when not.
///
/// # Errors
/// If no box answers, there is no such peer, or events do not cross.
pub fn run(arguments: &Arguments, places: &Places) -> Result<(), Failure> {
    let report = check(&arguments.peer, places)?;
    let text = match arguments.json {
        true => json_line(&report)?,
        false => table(&report),
    };
    print(&text)?;
    match report.is_good() {
        true => Ok(()),
        false => Err(Failure::new(Exit::Unavailable, report.verdict_in_words())),
    }
}

/// The whole check: the box's part, and what only this program can do.
pub(super) fn check(peer: &str, places: &Places) -> Result<CheckReport, Failure> {
    let begin = Request::Check {
        peer: peer.to_owned(),
    };
    let mut report = asked(&begin, places)?;
    let clock = SystemClock::new();
    while !report.done && u128::from(clock.now().mono_ms) < LONGEST.as_millis() {
        pause();
        report = asked(&Request::CheckAgain { id: report.id }, places)?;
    }
    let config = places.load_config();
    let probe = config.ok().and_then(|config| {
        let known = config.peers.into_iter().find(|known| known.name == peer)?;
        known.probe.is_some().then_some(known)
    });
    if let Some(known) = probe
        && report.stopped_by.is_none()
    {
        probe::run(&mut report, &known, places);
    }
    Ok(report)
}

fn asked(request: &Request, places: &Places) -> Result<CheckReport, Failure> {
    match ask(&places.state, request)?.into_result()? {
        Response::Check(report) => Ok(*report),
        _ => {
            let words = "the box answers something else than was asked";
            Err(Failure::new(Exit::Internal, words))
        }
    }
}

fn table(report: &CheckReport) -> String {
    let mut text = String::new();
    for step in &report.steps {
        let words = wrap(&format!("{}: {}", step.step, step.words), INDENT, WIDTH);
        let state = column(&step.state, INDENT.len() - 1);
        text.push_str(&format!("{state} {}", words.trim_start()));
    }
    text + &wrap(&report.verdict_in_words(), "", WIDTH)
}

#[allow(
    clippy::disallowed_methods,
    reason = "a command of its own process, with nothing else to do"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}
