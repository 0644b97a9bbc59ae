//! `/api/tokens` and `/api/users`: who may come in.

use serde_json::json;

use super::federation::done;
use super::fields::{Field, Kind, Members, may, must};
use super::problem::Problem;
use super::reply::Reply;
use super::route::Call;
use crate::api::access::MOST_DAYS;
use crate::api::request::{Request, Response};
use crate::api::turns::Control;

const SCOPES: Kind = Kind::Words(16);

/// What a login brings.
pub const LOGIN: &[Field] = &[
    must("username", Kind::Text(64), "the user's name"),
    must("password", Kind::Text(256), "the user's password"),
];

/// What a token is described by.
pub const TOKEN: &[Field] = &[
    must("name", Kind::Text(64), "its name, unique"),
    must(
        "scopes",
        SCOPES,
        "viewer, operator or administrator, or single scopes",
    ),
    may(
        "days",
        Kind::Number(1, MOST_DAYS),
        "days until it ends; without, it does not end",
    ),
];

/// What a user is described by.
pub const USER: &[Field] = &[
    must("name", Kind::Text(64), "the user's name"),
    must(
        "scopes",
        SCOPES,
        "viewer, operator or administrator, or single scopes",
    ),
    may(
        "password",
        Kind::Text(256),
        "at least 12 characters; without, one is made",
    ),
];

/// `GET /api/tokens`.
///
/// # Errors
/// When the box answers something else.
pub fn list(_: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    match control.handle(Request::TokenList).into_result()? {
        Response::Tokens(tokens) => Ok(Reply::json(200, &tokens)),
        _ => Err(Problem::internal()),
    }
}

/// `POST /api/tokens`.
///
/// # Errors
/// What is wrong with it, and the key.
pub fn add(call: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let members = Members::read(call.body, TOKEN)?;
    let name = members.text("name").unwrap_or_default().to_owned();
    let request = Request::TokenAdd {
        name: name.clone(),
        scopes: members.words("scopes").unwrap_or_default(),
        days: members.number("days"),
    };
    match control.handle(request).into_result()? {
        Response::Secret(token) => Ok(Reply::json(201, &json!({"name": name, "token": token}))),
        _ => Err(Problem::internal()),
    }
}

/// `POST /api/users`.
///
/// # Errors
/// What is wrong with it, and the key.
pub fn set_user(call: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let members = Members::read(call.body, USER)?;
    let name = members.text("name").unwrap_or_default().to_owned();
    let request = Request::PasswordSet {
        name: name.clone(),
        scopes: members.words("scopes").unwrap_or_default(),
        password: members.text("password").map(str::to_owned),
    };
    match control.handle(request).into_result()? {
        Response::Secret(made) => Ok(Reply::json(201, &json!({"name": name, "password": made}))),
        Response::Done(_) => Ok(Reply::json(201, &json!({"name": name}))),
        _ => Err(Problem::internal()),
    }
}

/// `DELETE /api/tokens/{name}`.
///
/// # Errors
/// When there is none of that name.
pub fn revoke(call: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let name = call.name.to_owned();
    done(control, Request::TokenRevoke { name })?;
    Ok(Reply::empty())
}
