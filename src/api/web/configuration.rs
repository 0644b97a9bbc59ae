//! The configuration as a whole: shown without its passwords, changed, confirmed, taken back, read again.

use http::StatusCode;
use serde_json::json;

use super::fields::{Field, Kind, may, must};
use super::problem::Problem;
use super::reply::Reply;
use super::route::Call;
use crate::api::request::{Committed, ConfigText, ErrorCode, Fault, Request, Response};
use crate::api::turns::Control;
use crate::config::candidate::CandidateError;
use crate::config::{layers, schema, secrets};

/// What a new configuration is described by.
pub const COMMIT: &[Field] = &[
    must(
        "text",
        Kind::Text(1_048_576),
        "the whole tombolo.toml; a password that was shown as (hidden) stays as it is",
    ),
    may(
        "confirm_minutes",
        Kind::Number(1, 1440),
        "take it back after so many minutes unless it is confirmed; without, it stays",
    ),
    may(
        "generation",
        Kind::Text(64),
        "that of the text which was changed: refused when it is another by now",
    ),
];

fn text(control: &dyn Control) -> Result<ConfigText, Problem> {
    match control.handle(Request::ConfigText).into_result()? {
        Response::Config(config) => Ok(config),
        _ => Err(Problem::internal()),
    }
}

fn unreadable(error: CandidateError) -> Problem {
    Problem::of_key("text", error.to_string())
}

/// `GET /api/config`.
///
/// # Errors
/// When the file is no TOML: nobody can say then where its passwords stand.
pub fn show(_: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let config = text(control)?;
    let beside = layers::files_beside(config.file.as_ref()).unwrap_or_default();
    let beside: Vec<String> = beside
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let shown = json!({
        "file": config.file,
        "text": secrets::hidden(&config.text).map_err(unreadable)?,
        "beside": beside,
        "generation": config.generation,
        "unconfirmed_seconds": config.unconfirmed_seconds,
        "has_previous": config.has_previous,
    });
    Ok(Reply::json(200, &shown))
}

/// A configuration that is not valid is nothing that stands in the way: it cannot be used.
fn not_valid(fault: Fault) -> Problem {
    let is_config = fault.code == ErrorCode::Config;
    let problem = Problem::from(fault);
    match is_config {
        true => Problem {
            status: StatusCode::UNPROCESSABLE_ENTITY.as_u16(),
            ..problem
        },
        false => problem,
    }
}

fn committed(control: &dyn Control, request: Request) -> Result<Reply, Problem> {
    let done: Committed = match control.handle(request).into_result().map_err(not_valid)? {
        Response::Committed(done) => done,
        _ => return Err(Problem::internal()),
    };
    Ok(Reply::json(200, &done))
}

/// `POST /api/config`.
///
/// # Errors
/// When it is not valid, with line, key and cure; when the file was changed meanwhile.
pub fn commit(call: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let members = super::fields::Members::read(call.body, COMMIT)?;
    let written = members.text("text").unwrap_or_default();
    let text = secrets::shown(written, &text(control)?.text).map_err(unreadable)?;
    let check = Request::ConfigCheck { text: text.clone() };
    if let Response::Checked(faults) = control.handle(check)
        && let Some(fault) = faults.into_iter().next()
    {
        let problem = not_valid(Fault::new(ErrorCode::Config, fault.message));
        return Err(Problem {
            key: fault.key,
            ..problem
        });
    }
    let request = Request::ConfigCommit {
        text,
        confirm_seconds: members
            .number("confirm_minutes")
            .map(|minutes| minutes * 60),
        generation: members.text("generation").map(str::to_owned),
    };
    committed(control, request)
}

/// `POST /api/config/confirm`.
///
/// # Errors
/// When a file cannot be written.
pub fn confirm(_: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    committed(control, Request::ConfigConfirm)
}

/// `POST /api/config/rollback`.
///
/// # Errors
/// When the one before is no longer valid.
pub fn rollback(_: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    committed(control, Request::ConfigRollback)
}

/// `POST /api/reload`.
///
/// # Errors
/// What is wrong with the configuration; the one in use goes on.
pub fn reload(_: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    match control
        .handle(Request::Reload)
        .into_result()
        .map_err(not_valid)?
    {
        Response::Done(words) => Ok(Reply::json(200, &json!({"words": words}))),
        _ => Err(Problem::internal()),
    }
}

/// `GET /api/schema/configuration`.
///
/// # Errors
/// None.
pub fn configuration_schema(_: &Call<'_>, _: &dyn Control) -> Result<Reply, Problem> {
    Ok(Reply::json(200, &schema::of_configuration()))
}

/// `GET /api/schema/federation`.
///
/// # Errors
/// None.
pub fn federation_schema(_: &Call<'_>, _: &dyn Control) -> Result<Reply, Problem> {
    Ok(Reply::json(200, &schema::of_federation()))
}
