//! `/api/pair`: pairing by a code (checklist S50 to S54). What joiner and holder say to each other is in [`crate::pair`].

use http::StatusCode;
use serde_json::{Value, json};

use super::fields::{Field, Kind, Members, may, must, schema};
use super::problem::Problem;
use super::reply::Reply;
use super::route::Call;
use crate::api::pairing::{PairRequest, PairResponse};
use crate::api::request::{Request, Response};
use crate::api::turns::Control;
use crate::pair::{CONFIRMATION, MOST_SEALED, SHARE, Terms};

const NAME: Field = may(
    "name",
    Kind::Text(64),
    "what to call the other box here; without, what it calls itself",
);
const INCOMING: Field = may("incoming", Kind::Flag, "take what it sends; without, true");
const OUTGOING: Field = may("outgoing", Kind::Flag, "send what we have; without, true");
const PACKAGES_IN: Field = may(
    "data_packages_in",
    Kind::Flag,
    "take data packages from it; without, true",
);
const PACKAGES_OUT: Field = may(
    "data_packages_out",
    Kind::Flag,
    "let it have data packages; without, true",
);

/// What a code is made for.
pub const TERMS: &[Field] = &[NAME, INCOMING, OUTGOING, PACKAGES_IN, PACKAGES_OUT];

/// What it takes to join.
pub const JOIN: &[Field] = &[
    must(
        "code",
        Kind::Text(64),
        "the code, as the other box shows it",
    ),
    must(
        "host",
        Kind::Text(255),
        "where the other box's HTTPS API is: host, or host:port; 8443 without a port",
    ),
    NAME,
    INCOMING,
    OUTGOING,
    PACKAGES_IN,
    PACKAGES_OUT,
    may(
        "reachable",
        Kind::Flag,
        "the other box may dial us, too; without, false",
    ),
];

/// First step.
pub const BEGIN: &[Field] = &[must(
    "share",
    Kind::Text(2 * SHARE as u32),
    "the joiner's share: a point of P-256, uncompressed, hexadecimal",
)];

/// Second step.
pub const FINISH: &[Field] = &[
    must(
        "session",
        Kind::Text(32),
        "the number of the exchange, as the first step gave it",
    ),
    must(
        "confirmation",
        Kind::Text(2 * CONFIRMATION as u32),
        "the joiner's confirmation, hexadecimal",
    ),
    must(
        "introduction",
        Kind::Text(2 * MOST_SEALED as u32),
        "who the joiner is, sealed, hexadecimal",
    ),
];

/// `GET /api/pair`.
///
/// # Errors
/// When the box answers something else.
pub fn show(_: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    match ask(PairRequest::Show, control)? {
        PairResponse::Code(Some(code)) => Ok(Reply::json(200, &code)),
        PairResponse::Code(None) => Ok(Reply::json(200, &json!({"code": null}))),
        _ => Err(Problem::internal()),
    }
}

/// `POST /api/pair`.
///
/// # Errors
/// What is wrong with it, and the key.
pub fn make(call: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let members = Members::read(call.body, TERMS)?;
    let terms = terms(&members);
    match ask(PairRequest::Code { terms }, control)? {
        PairResponse::Code(Some(code)) => Ok(Reply::json(201, &code)),
        _ => Err(Problem::internal()),
    }
}

/// `DELETE /api/pair`.
///
/// # Errors
/// When the box answers something else.
pub fn clear(_: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    ask(PairRequest::Clear, control)?;
    Ok(Reply::empty())
}

/// `POST /api/pair/join`.
///
/// # Errors
/// What is wrong with it, and the key; what the other box says.
pub fn join(call: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let members = Members::read(call.body, JOIN)?;
    let request = PairRequest::Join {
        code: text(&members, "code"),
        host: text(&members, "host"),
        terms: terms(&members),
        reachable: members.flag("reachable").unwrap_or(false),
    };
    match ask(request, control) {
        Ok(PairResponse::Paired(paired)) => Ok(Reply::json(201, &paired)),
        // It is the other box that does not answer, and not this one.
        Err(problem) if problem.code == "unavailable" => Err(Problem::new(
            StatusCode::CONFLICT,
            "unreachable",
            problem.detail,
        )),
        Err(problem) => Err(problem),
        Ok(_) => Err(Problem::internal()),
    }
}

/// `POST /api/pair/begin`.
///
/// # Errors
/// What is wrong with it, and the key.
pub fn begin(call: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let members = Members::read(call.body, BEGIN)?;
    let request = PairRequest::Begin {
        from: call.visitor.address.ip(),
        share: text(&members, "share"),
    };
    match ask(request, control)? {
        PairResponse::Begun { session, share } => {
            let answer = json!({"session": session, "share": share});
            Ok(Reply::json(200, &answer))
        }
        _ => Err(Problem::internal()),
    }
}

/// `POST /api/pair/finish`.
///
/// # Errors
/// What is wrong with it, and the key; the same words whatever is wrong with the code.
pub fn finish(call: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let members = Members::read(call.body, FINISH)?;
    let request = PairRequest::Finish {
        from: call.visitor.address.ip(),
        certificate: call.visitor.leaf.map(|leaf| leaf.to_string()),
        session: text(&members, "session"),
        confirmation: text(&members, "confirmation"),
        introduction: text(&members, "introduction"),
    };
    match ask(request, control)? {
        PairResponse::Finished {
            confirmation,
            introduction,
        } => {
            let answer = json!({"confirmation": confirmation, "introduction": introduction});
            Ok(Reply::json(200, &answer))
        }
        _ => Err(Problem::internal()),
    }
}

fn ask(request: PairRequest, control: &dyn Control) -> Result<PairResponse, Problem> {
    match control.handle(Request::Pair(request)).into_result()? {
        Response::Pair(answer) => Ok(answer),
        _ => Err(Problem::internal()),
    }
}

fn text(members: &Members, key: &str) -> String {
    members.text(key).unwrap_or_default().to_owned()
}

fn terms(members: &Members) -> Terms {
    let on = |key| members.flag(key).unwrap_or(true);
    Terms {
        name: members.text("name").map(str::to_owned),
        incoming: on("incoming"),
        outgoing: on("outgoing"),
        data_packages_in: on("data_packages_in"),
        data_packages_out: on("data_packages_out"),
    }
}

/// Shape of a code that waits.
pub fn waiting() -> Value {
    let mut shape = schema(&[
        must("code", Kind::Text(9), "the code; null when none waits"),
        may(
            "expires_seconds",
            Kind::Number(0, 600),
            "how long it still counts",
        ),
        may("tries_left", Kind::Number(0, 5), "wrong guesses it bears"),
        may("host", Kind::Text(300), "where the other box finds us"),
    ]);
    shape["properties"]["code"]["type"] = json!(["string", "null"]);
    shape
}

/// Shape of what came of joining.
pub fn paired() -> Value {
    let mut shape = schema(&[
        must("name", Kind::Text(64), "what the other box is called here"),
        must("fingerprint", Kind::Text(71), "SHA-256 of its certificate"),
        may("address", Kind::Text(300), "where it is dialled"),
        must("known_before", Kind::Flag, "it was registered before"),
        must("remark", Kind::Text(1000), "what else there is to know"),
    ]);
    shape["properties"]["address"]["type"] = json!(["string", "null"]);
    shape
}

/// Shape of the answer to the first step.
pub fn begun() -> Value {
    schema(&[
        must("session", Kind::Text(32), "the number of the exchange"),
        must("share", Kind::Text(2 * SHARE as u32), "the holder's share"),
    ])
}

/// Shape of the answer to the second step.
pub fn finished() -> Value {
    schema(&[
        must(
            "confirmation",
            Kind::Text(2 * CONFIRMATION as u32),
            "the holder's confirmation",
        ),
        must(
            "introduction",
            Kind::Text(2 * MOST_SEALED as u32),
            "who the holder is, sealed",
        ),
    ])
}
