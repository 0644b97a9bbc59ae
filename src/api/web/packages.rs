//! `/api/packages`: the data packages that the box keeps.

use http::StatusCode;
use serde_json::Value;

use super::federation::done;
use super::fields::{Kind, may, must, schema};
use super::problem::Problem;
use super::reply::Reply;
use super::route::Call;
use crate::api::request::Request;
use crate::api::turns::Control;

/// There is no store.
pub fn off() -> Problem {
    let words = "there is no store of data packages; packages.enabled and the status say why";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", words)
}

/// `DELETE /api/packages/{name}`: by hash.
///
/// # Errors
/// If there is no such package, or the disk refuses.
pub fn remove(call: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let hash = call.name.to_owned();
    done(control, Request::PackageRemove { hash })?;
    Ok(Reply::empty())
}

/// One package in the list.
pub fn shape() -> Value {
    let mut shape = schema(&[
        must("hash", Kind::Text(64), "SHA-256"),
        must("name", Kind::Text(200), "what people call it"),
        must("filename", Kind::Text(200), "its file name"),
        must("size", Kind::Number(0, u32::MAX), "bytes"),
        must("mime_type", Kind::Text(200), "what kind of file"),
        must("keywords", Kind::Words(8), "words to find it by"),
        must("tool", Kind::Text(200), "public or private"),
        must("creator_uid", Kind::Text(200), "the device that made it"),
        must("submitter", Kind::Text(200), "who brought it"),
        may("submitted", Kind::Text(40), "when, RFC 3339"),
        may("peer", Kind::Text(64), "the federate that it came from"),
    ]);
    for key in ["submitted", "peer"] {
        shape["properties"][key]["type"] = serde_json::json!(["string", "null"]);
    }
    shape
}
