//! `tombolo why UID [--peer PEER]`: what became of a track, and which rule stopped it.

use clap::Args;

use super::failure::{Exit, Failure};
use super::output::{json_line, print, wrap};
use super::paths::Places;
use crate::api::{Request, Response, WhyReport, ask};

/// Arguments of `why`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Its uid, or the callsign of a contact
    uid: String,
    /// Only what concerns this federate
    #[arg(long, value_name = "PEER")]
    peer: Option<String>,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

const WIDTH: usize = 80;

/// Runs `why`. Ends with 65 when nothing is known of the track, and with 69 when it did not reach the peer that was
/// named.
///
/// # Errors
/// If no box answers, or the track did not pass.
pub fn run(arguments: &Arguments, places: &Places) -> Result<(), Failure> {
    let request = Request::Why {
        uid: arguments.uid.clone(),
        peer: arguments.peer.clone(),
    };
    let report = match ask(&places.state, &request)?.into_result()? {
        Response::Why(report) => *report,
        _ => {
            let words = "the box answers something else than was asked";
            return Err(Failure::new(Exit::Internal, words));
        }
    };
    let text = match arguments.json {
        true => json_line(&report)?,
        false => table(&report),
    };
    print(&text)?;
    verdict(&report, arguments.peer.as_deref())
}

fn table(report: &WhyReport) -> String {
    let mut text = String::new();
    for (number, line) in report.lines().iter().enumerate() {
        let wrapped = wrap(line, "    ", WIDTH);
        let indent = if number == 0 { "" } else { "  " };
        text.push_str(indent);
        text.push_str(wrapped.trim_start());
    }
    text
}

/// What a script can tell by the exit code.
fn verdict(report: &WhyReport, peer: Option<&str>) -> Result<(), Failure> {
    if report.unknown {
        let words = format!("nothing is known of {}", report.uid);
        return Err(Failure::new(Exit::Data, words));
    }
    let Some(peer) = peer else { return Ok(()) };
    let passed = |fate: &str| matches!(fate, "sent" | "origin");
    match report.fates.iter().any(|fate| passed(&fate.fate)) {
        true => Ok(()),
        false => {
            let words = format!("the newest event of {} did not reach {peer}", report.uid);
            Err(Failure::new(Exit::Unavailable, words))
        }
    }
}
