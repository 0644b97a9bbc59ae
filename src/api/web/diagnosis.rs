//! `/api/why` and `/api/check/{name}`: what became of a track, and whether a link carries.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::fields::{Field, Kind, Members, may, must, schema};
use super::problem::Problem;
use super::reply::Reply;
use super::route::Call;
use crate::api::check::CheckReport;
use crate::api::request::{Request, Response};
use crate::api::turns::Control;
use crate::api::why::WhyReport;

/// Between two looks at a check.
const PAUSE: Duration = Duration::from_millis(50);
/// A check is done within this: the probe's 10 s, and 10 more until the peer says what it did with it.
const LONGEST: Duration = Duration::from_secs(25);

/// What `why` is asked by.
pub const WHY: &[Field] = &[
    must(
        "uid",
        Kind::Text(256),
        "the uid of a track, or its callsign",
    ),
    may("peer", Kind::Text(64), "only what concerns this federate"),
];

/// The shape of a check's report, for the document.
pub fn checked() -> Value {
    let text = Kind::Text(1024);
    let mut shape = schema(&[
        must("peer", text, "its name"),
        must("done", Kind::Flag, "nothing is under way any more"),
        must(
            "verdict",
            Kind::Choice(&["proven", "flowing", "connected", "stopped", ""]),
            "proven: a probe came back. flowing: events crossed in the last minute. connected: nothing is proven. \
             stopped: see stopped_by",
        ),
    ]);
    shape["additionalProperties"] = true.into();
    shape
}

/// `GET /api/why`.
///
/// # Errors
/// What is wrong with the question, or that there is no such peer.
pub fn why(call: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let members = Members::of_query(call.body, WHY)?;
    let text = |key| members.text(key).unwrap_or_default();
    Ok(Reply::json(
        200,
        &explain(text("uid"), text("peer"), control)?,
    ))
}

/// What became of a track; `peer` may be empty.
///
/// # Errors
/// What is wrong with the question, or that there is no such peer.
pub fn explain(uid: &str, peer: &str, control: &dyn Control) -> Result<WhyReport, Problem> {
    if uid.is_empty() || uid.len() > 256 {
        let words = "give a uid or a callsign of at most 256 bytes";
        return Err(Problem::of_key("uid", words));
    }
    let request = Request::Why {
        uid: uid.to_owned(),
        peer: Some(peer.to_owned()).filter(|peer| !peer.is_empty()),
    };
    match control.handle(request).into_result()? {
        Response::Why(report) => Ok(*report),
        _ => Err(Problem::internal()),
    }
}

/// Checks a link, and waits until nothing is under way any more.
///
/// # Errors
/// When there is no peer of that name.
pub async fn check(peer: &str, control: &dyn Control) -> Result<CheckReport, Problem> {
    let ask = |request| match control.handle(request).into_result()? {
        Response::Check(report) => Ok(*report),
        _ => Err(Problem::internal()),
    };
    let peer = peer.to_owned();
    let mut report = ask(Request::Check { peer })?;
    let end = Instant::now() + LONGEST;
    while !report.done && Instant::now() < end {
        sleep(PAUSE).await;
        report = ask(Request::CheckAgain { id: report.id })?;
    }
    Ok(report)
}
