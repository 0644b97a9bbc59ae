//! `tombolo pair code|show|clear|join`: two boxes of different owners get to know each other by a code of eight characters.

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, Subcommand};

use super::failure::{Exit, Failure};
use super::output::{clean, json_line, print};
use super::paths::Places;
use crate::api::pairing::{PairRequest, PairResponse};
use crate::api::{Request, Response, ask};
use crate::pair::Terms;

/// Arguments of `pair`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a code and print it; it counts once, for ten minutes, and the one before counts no more
    Code {
        #[command(flatten)]
        terms: TermsArgs,
        /// One line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the code that waits
    Show {
        /// One line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Take the code back; what was paired before stays
    Clear {
        /// One line of JSON
        #[arg(long)]
        json: bool,
    },
    /// Pair with the box that made this code, and dial it
    Join {
        /// The code; case, spaces and hyphens do not matter
        code: String,
        /// Where that box's HTTPS API is: a host name or an IP address, with :PORT if it is not 8443
        #[arg(value_name = "HOST[:PORT]")]
        host: String,
        #[command(flatten)]
        terms: TermsArgs,
        /// That box can reach this one, so it may dial us as well
        #[arg(long)]
        reachable: bool,
        /// One line of JSON
        #[arg(long)]
        json: bool,
    },
}

/// What this side lets cross. The other side says for itself; both may change it later with `tombolo peer set`.
#[derive(Debug, Args)]
struct TermsArgs {
    /// What to call the other box here; without, what it calls itself
    #[arg(long)]
    name: Option<String>,
    /// Take what it sends
    #[arg(long, value_name = "yes|no", default_value = "yes", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    incoming: bool,
    /// Send what we have
    #[arg(long, value_name = "yes|no", default_value = "yes", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    outgoing: bool,
    /// Take data packages from it
    #[arg(long, value_name = "yes|no", default_value = "yes", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    data_packages_in: bool,
    /// Let it have data packages of ours
    #[arg(long, value_name = "yes|no", default_value = "yes", action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    data_packages_out: bool,
}

impl TermsArgs {
    fn terms(&self) -> Terms {
        Terms {
            name: self.name.clone(),
            incoming: self.incoming,
            outgoing: self.outgoing,
            data_packages_in: self.data_packages_in,
            data_packages_out: self.data_packages_out,
        }
    }
}

/// Runs `pair`.
///
/// # Errors
/// What the box, or the other one, says against it.
pub fn run(arguments: &Arguments, places: &Places) -> Result<(), Failure> {
    let (request, json) = request(&arguments.action);
    let answer = ask(&places.state, &Request::Pair(request))?.into_result()?;
    let Response::Pair(answer) = answer else {
        let words = "the box answers something else than was asked";
        return Err(Failure::new(Exit::Internal, words));
    };
    if json {
        return print(&in_json(&answer)?);
    }
    if answer == PairResponse::Code(None) {
        let words = "no code waits; `tombolo pair code` makes one";
        return Err(Failure::new(Exit::Unavailable, words));
    }
    let lines = answer.lines();
    print(
        &lines
            .iter()
            .map(|line| clean(line) + "\n")
            .collect::<String>(),
    )
}

fn request(action: &Action) -> (PairRequest, bool) {
    match action {
        Action::Code { terms, json } => {
            let terms = terms.terms();
            (PairRequest::Code { terms }, *json)
        }
        Action::Show { json } => (PairRequest::Show, *json),
        Action::Clear { json } => (PairRequest::Clear, *json),
        Action::Join {
            code,
            host,
            terms,
            reachable,
            json,
        } => {
            let request = PairRequest::Join {
                code: code.clone(),
                host: host.clone(),
                terms: terms.terms(),
                reachable: *reachable,
            };
            (request, *json)
        }
    }
}

fn in_json(answer: &PairResponse) -> Result<String, Failure> {
    match answer {
        PairResponse::Code(None) => json_line(&serde_json::json!({"code": null})),
        PairResponse::Code(Some(code)) => json_line(code),
        PairResponse::Cleared(cleared) => json_line(&serde_json::json!({"cleared": cleared})),
        PairResponse::Paired(paired) => json_line(paired),
        other => json_line(other),
    }
}
