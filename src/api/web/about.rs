//! What the box tells of itself: its status, what others need to federate with it, and events handed in.

use http::StatusCode;
use serde_json::json;

use super::metrics;
use super::problem::Problem;
use super::reply::Reply;
use super::route::Call;
use crate::api::connection::ConnectionInfo;
use crate::api::request::{ErrorCode, Request, Response};
use crate::api::status::Status;
use crate::api::turns::Control;
use crate::pki::package::file_stem;

/// Certificates as files.
pub const PEM: &str = "application/x-pem-file";
/// Pieces of CoreConfig.xml.
pub const XML: &str = "application/xml";

/// How everything stands.
///
/// # Errors
/// When the box answers something else.
pub fn status(control: &dyn Control) -> Result<Status, Problem> {
    match control.handle(Request::Status).into_result()? {
        Response::Status(status) => Ok(*status),
        _ => Err(Problem::internal()),
    }
}

/// What others need to federate with this box.
///
/// # Errors
/// When the box answers something else.
pub fn connection(control: &dyn Control) -> Result<ConnectionInfo, Problem> {
    match control.handle(Request::Connection).into_result()? {
        Response::Connection(ours) => Ok(*ours),
        _ => Err(Problem::internal()),
    }
}

/// `GET /api/status`: what `tombolo status --json` prints.
///
/// # Errors
/// When the box answers something else.
pub fn show(_: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    Ok(Reply::json(200, &status(control)?))
}

/// `GET /metrics`.
///
/// # Errors
/// When the box answers something else.
pub fn measured(_: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let text = metrics::write(&status(control)?);
    Ok(Reply::new(200, metrics::KIND, text))
}

/// `GET /api/connection`.
///
/// # Errors
/// When the box answers something else.
pub fn connect(_: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    Ok(Reply::json(200, &connection(control)?))
}

/// `GET /api/connection/federation.pem`.
///
/// # Errors
/// When the box answers something else.
pub fn certificate(_: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let ours = connection(control)?;
    let name = format!("{}-federation.pem", file_stem(&ours.name));
    Ok(file(PEM, &name, ours.federation_certificate))
}

/// `GET /api/connection/ca.pem`.
///
/// # Errors
/// When the box answers something else.
pub fn authority(_: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let ours = connection(control)?;
    let name = format!("{}-ca.pem", file_stem(&ours.name));
    Ok(file(PEM, &name, ours.ca_certificate))
}

/// `GET /api/connection/outgoing.xml`.
///
/// # Errors
/// When the box answers something else.
pub fn outgoing(_: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let ours = connection(control)?;
    Ok(file(XML, "federation-outgoing.xml", ours.outgoing_snippet))
}

/// `GET /api/connection/federate.xml`.
///
/// # Errors
/// When the box answers something else.
pub fn federate(_: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let ours = connection(control)?;
    Ok(file(XML, "federate.xml", ours.federate_snippet))
}

/// `GET /api/update`.
///
/// # Errors
/// When this machine is updated in another way.
pub fn updates(_: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    match control.handle(Request::UpdateStatus) {
        Response::Update(report) => Ok(Reply::json(200, &report)),
        Response::Error(fault) if fault.code == ErrorCode::Unavailable => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "no_slots",
            fault.message,
        )),
        Response::Error(fault) => Err(fault.into()),
        _ => Err(Problem::internal()),
    }
}

fn file(kind: &'static str, name: &str, text: String) -> Reply {
    let attachment = format!("attachment; filename=\"{name}\"");
    Reply::new(200, kind, text).with("content-disposition", attachment)
}

/// `POST /api/events`: CoT XML, one event or several back to back.
///
/// # Errors
/// When none of them was taken.
pub fn inject(call: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let text = std::str::from_utf8(call.body)
        .map_err(|_| Problem::bad_request("the body is not UTF-8; give CoT XML"))?;
    let request = Request::Inject {
        events: text.to_owned(),
    };
    let Response::Injected { accepted, refused } = control.handle(request).into_result()? else {
        return Err(Problem::internal());
    };
    if accepted > 0 {
        return Ok(Reply::json(
            200,
            &json!({"accepted": accepted, "refused": refused}),
        ));
    }
    let words = match refused.first() {
        Some(first) => format!(
            "no event was taken; event {}: {}; give CoT XML, <event …>…</event>",
            first.event, first.reason
        ),
        None => "the body holds no event; give CoT XML, <event …>…</event>".to_owned(),
    };
    Err(Problem {
        refused,
        ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", words)
    })
}
