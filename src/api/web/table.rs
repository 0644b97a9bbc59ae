//! Every route. The server goes by these tables, and so does `/openapi.json`.

use super::about::{self, PEM, XML};
use super::described;
use super::federation;
use super::fields::{Kind, may, must, schema};
use super::freetakserver;
use super::metrics;
use super::packages;
use super::reply::JSON;
use super::route::{Does, Gives, Route, Shape, Takes, Who};
use super::shown;
use super::tokens;
use crate::access::Scope;

const VIEW: Who = Who::May(&[Scope::View]);
const ADMIN: Who = Who::May(&[Scope::Admin]);

const fn gives(status: u16, kind: &'static str, shape: Shape) -> Gives {
    Gives {
        status,
        kind,
        shape,
    }
}

const NOTHING: Gives = gives(204, "", Shape::Opaque);

const fn asks(path: &'static str, summary: &'static str, gives: Gives, does: Does) -> Route {
    Route {
        method: "GET",
        path,
        who: VIEW,
        summary,
        takes: Takes::Nothing,
        gives,
        faults: &[],
        does,
    }
}

/// The routes of the HTTPS API.
pub const API: &[Route] = &[
    Route {
        method: "POST",
        path: "/api/login",
        who: Who::Everybody,
        summary: "Log in: gives a bearer token for twelve hours",
        takes: Takes::Json(tokens::LOGIN),
        gives: gives(200, JSON, Shape::Of(login)),
        faults: &[401, 429],
        does: Does::SignsIn,
    },
    Route {
        method: "POST",
        path: "/api/logout",
        who: Who::Known,
        summary: "End the session of the bearer token",
        takes: Takes::Nothing,
        gives: NOTHING,
        faults: &[],
        does: Does::SignsOut,
    },
    Route {
        faults: &[],
        ..asks(
            "/api/federation",
            "Every federate, and how its link stands",
            gives(200, JSON, Shape::ListOf(shown::shape)),
            Does::Asks(federation::list),
        )
    },
    Route {
        method: "POST",
        path: "/api/federation",
        who: Who::May(&[Scope::FederateWithin, Scope::FederateAcross]),
        summary: "Register a federate and bring its link up",
        takes: Takes::Json(described::NEW),
        gives: gives(201, JSON, Shape::Of(shown::shape)),
        faults: &[409],
        does: Does::Changes(federation::add),
    },
    asks(
        "/api/federation/{name}",
        "One federate",
        gives(200, JSON, Shape::Of(shown::shape)),
        Does::Asks(federation::show),
    ),
    Route {
        method: "PATCH",
        path: "/api/federation/{name}",
        who: Who::May(&[Scope::Change]),
        summary: "Change what is named of a federate, and nothing else",
        takes: Takes::Json(described::CHANGE),
        gives: gives(200, JSON, Shape::Of(shown::shape)),
        faults: &[409],
        does: Does::Changes(federation::change),
    },
    Route {
        method: "DELETE",
        path: "/api/federation/{name}",
        who: Who::May(&[Scope::Stop]),
        summary: "Forget a federate: its link is cut, and refused from then on",
        takes: Takes::Nothing,
        gives: NOTHING,
        faults: &[409],
        does: Does::Changes(federation::remove),
    },
    Route {
        method: "POST",
        path: "/api/events",
        who: Who::May(&[Scope::Inject]),
        summary: "Take CoT events as if a local client had sent them",
        takes: Takes::Events,
        gives: gives(200, JSON, Shape::Of(injected)),
        faults: &[],
        does: Does::Asks(about::inject),
    },
    Route {
        faults: &[426],
        ..asks(
            "/api/events",
            "A WebSocket: each message is one CoT event",
            gives(101, "", Shape::Opaque),
            Does::Watches,
        )
    },
    asks(
        "/api/status",
        "Everything, as `tombolo status --json` prints it",
        gives(200, JSON, Shape::Object),
        Does::Asks(about::show),
    ),
    asks(
        "/api/connection",
        "What another server needs to federate with this box",
        gives(200, JSON, Shape::Object),
        Does::Asks(about::connect),
    ),
    asks(
        "/api/connection/federation.pem",
        "Our federation certificate",
        gives(200, PEM, Shape::Opaque),
        Does::Asks(about::certificate),
    ),
    asks(
        "/api/connection/ca.pem",
        "The certificate of our CA",
        gives(200, PEM, Shape::Opaque),
        Does::Asks(about::authority),
    ),
    asks(
        "/api/connection/outgoing.xml",
        "CoreConfig.xml of the other server: its connection to us",
        gives(200, XML, Shape::Opaque),
        Does::Asks(about::outgoing),
    ),
    asks(
        "/api/connection/federate.xml",
        "CoreConfig.xml of the other server: our registration and groups",
        gives(200, XML, Shape::Opaque),
        Does::Asks(about::federate),
    ),
    Route {
        who: ADMIN,
        ..asks(
            "/api/tokens",
            "Tokens and users",
            gives(200, JSON, Shape::ListOf(token)),
            Does::Asks(tokens::list),
        )
    },
    Route {
        method: "POST",
        path: "/api/tokens",
        who: ADMIN,
        summary: "Make a token; it is shown this once",
        takes: Takes::Json(tokens::TOKEN),
        gives: gives(201, JSON, Shape::Object),
        faults: &[409],
        does: Does::Changes(tokens::add),
    },
    Route {
        method: "POST",
        path: "/api/users",
        who: ADMIN,
        summary: "Give a user a password",
        takes: Takes::Json(tokens::USER),
        gives: gives(201, JSON, Shape::Object),
        faults: &[409],
        does: Does::Changes(tokens::set_user),
    },
    Route {
        method: "DELETE",
        path: "/api/tokens/{name}",
        who: ADMIN,
        summary: "End a token or a user, and what is open in its name",
        takes: Takes::Nothing,
        gives: NOTHING,
        faults: &[],
        does: Does::Changes(tokens::revoke),
    },
    asks(
        "/api/packages",
        "The data packages that the box keeps",
        gives(200, JSON, Shape::ListOf(packages::shape)),
        Does::ListsPackages,
    ),
    Route {
        method: "DELETE",
        path: "/api/packages/{name}",
        who: ADMIN,
        summary: "Remove a data package, by its SHA-256",
        takes: Takes::Nothing,
        gives: NOTHING,
        faults: &[],
        does: Does::Changes(packages::remove),
    },
    asks(
        "/metrics",
        "For Prometheus",
        gives(200, metrics::KIND, Shape::Opaque),
        Does::Asks(about::measured),
    ),
    Route {
        who: Who::Everybody,
        ..asks(
            "/openapi.json",
            "This document",
            gives(200, JSON, Shape::Object),
            Does::Describes,
        )
    },
];

/// The routes of FreeTAKServer.
pub const FREETAKSERVER: &[Route] = &[
    Route {
        method: "POST",
        path: "/api/federation/connect",
        who: Who::Everybody,
        summary: "Switch a registered federate on",
        takes: Takes::Json(freetakserver::CONNECT),
        gives: gives(200, JSON, Shape::Object),
        faults: &[409],
        does: Does::Changes(freetakserver::connect),
    },
    Route {
        who: Who::Everybody,
        ..asks(
            "/api/federation/status",
            "Every federate",
            gives(200, JSON, Shape::Of(freetakserver::shape)),
            Does::Asks(freetakserver::status),
        )
    },
];

fn login() -> serde_json::Value {
    schema(&[
        must(
            "token",
            Kind::Text(128),
            "send it as `Authorization: Bearer TOKEN`",
        ),
        must("username", Kind::Text(64), "whose it is"),
        must("scopes", Kind::Words(16), "what it may do"),
        must(
            "expires_seconds",
            Kind::Number(1, u32::MAX),
            "how long it lasts",
        ),
    ])
}

fn injected() -> serde_json::Value {
    let mut shape = schema(&[must("accepted", Kind::Number(0, u32::MAX), "events taken")]);
    shape["properties"]["refused"] =
        serde_json::json!({"type": "array", "items": {"type": "object"}});
    shape
}

fn token() -> serde_json::Value {
    let mut shape = schema(&[
        must("name", Kind::Text(64), "its name"),
        must(
            "kind",
            Kind::Choice(&["token", "user"]),
            "a token, or a user with a password",
        ),
        must("scopes", Kind::Words(16), "what it may do"),
        may("made", Kind::Text(40), "when it was made, RFC 3339"),
        may("expires", Kind::Text(40), "when it ends, RFC 3339"),
    ]);
    for key in ["made", "expires"] {
        shape["properties"][key]["type"] = serde_json::json!(["string", "null"]);
    }
    shape
}
