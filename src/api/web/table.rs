//! Every route. The server goes by these tables, and so does `/openapi.json`.

use super::about::{self, PEM, XML};
use super::configuration;
use super::described;
use super::diagnosis;
use super::federation;
use super::fields::{Kind, may, must, schema};
use super::freetakserver;
use super::metrics;
use super::packages;
use super::pair;
use super::reply::JSON;
use super::route::{Does, Gives, Route, Shape, Takes, Who};
use super::shown;
use super::tokens;
use crate::access::Scope;

const VIEW: Who = Who::May(&[Scope::View]);
const ADMIN: Who = Who::May(&[Scope::Admin]);
const ACROSS: Who = Who::May(&[Scope::FederateAcross]);

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
    Route {
        takes: Takes::Query(diagnosis::WHY),
        faults: &[404],
        ..asks(
            "/api/why",
            "What became of a track, and which rule stopped it",
            gives(200, JSON, Shape::Object),
            Does::Asks(diagnosis::why),
        )
    },
    Route {
        method: "POST",
        path: "/api/check/{name}",
        who: Who::May(&[Scope::Change, Scope::Inject]),
        summary: "Does what is sent to a federate come out there? Takes up to 25 seconds",
        takes: Takes::Nothing,
        gives: gives(200, JSON, Shape::Of(diagnosis::checked)),
        faults: &[],
        does: Does::Checks,
    },
    Route {
        faults: &[404],
        ..asks(
            "/api/update",
            "How updates of the system stand; 404 where the machine has no two slots",
            gives(200, JSON, Shape::Object),
            Does::Changes(about::updates),
        )
    },
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
        who: ACROSS,
        ..asks(
            "/api/pair",
            "The code that waits for another box to pair with",
            gives(200, JSON, Shape::Of(pair::waiting)),
            Does::Asks(pair::show),
        )
    },
    Route {
        method: "POST",
        path: "/api/pair",
        who: ACROSS,
        summary: "Make a code, to be typed on another box within ten minutes; the one before counts no more",
        takes: Takes::Json(pair::TERMS),
        gives: gives(201, JSON, Shape::Of(pair::waiting)),
        faults: &[],
        does: Does::Asks(pair::make),
    },
    Route {
        method: "DELETE",
        path: "/api/pair",
        who: ACROSS,
        summary: "Take the code back; what was paired before stays",
        takes: Takes::Nothing,
        gives: NOTHING,
        faults: &[],
        does: Does::Asks(pair::clear),
    },
    Route {
        method: "POST",
        path: "/api/pair/join",
        who: ACROSS,
        summary: "Pair with the box that made this code",
        takes: Takes::Json(pair::JOIN),
        gives: gives(201, JSON, Shape::Of(pair::paired)),
        faults: &[409, 429],
        does: Does::TakesLong(pair::join),
    },
    Route {
        method: "POST",
        path: "/api/pair/begin",
        who: Who::Everybody,
        summary: "First step of a box at which the code was typed (SPAKE2, RFC 9382)",
        takes: Takes::Json(pair::BEGIN),
        gives: gives(200, JSON, Shape::Of(pair::begun)),
        faults: &[429],
        does: Does::TakesLong(pair::begin),
    },
    Route {
        method: "POST",
        path: "/api/pair/finish",
        who: Who::Everybody,
        summary: "Second step: both confirm, then each tells the other who it is",
        takes: Takes::Json(pair::FINISH),
        gives: gives(200, JSON, Shape::Of(pair::finished)),
        faults: &[403, 409],
        does: Does::TakesLong(pair::finish),
    },
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
    Route {
        method: "GET",
        path: "/api/config",
        who: ADMIN,
        summary: "The text of tombolo.toml without its passwords, and how it stands",
        takes: Takes::Nothing,
        gives: gives(200, JSON, Shape::Object),
        faults: &[422],
        does: Does::Changes(configuration::show),
    },
    Route {
        method: "POST",
        path: "/api/config",
        who: ADMIN,
        summary: "Make a text the configuration, for good or until nobody confirms it",
        takes: Takes::Json(configuration::COMMIT),
        gives: gives(200, JSON, Shape::Of(committed)),
        faults: &[409],
        does: Does::Changes(configuration::commit),
    },
    Route {
        method: "POST",
        path: "/api/config/confirm",
        who: ADMIN,
        summary: "Keep the configuration that waits for it",
        takes: Takes::Nothing,
        gives: gives(200, JSON, Shape::Of(committed)),
        faults: &[],
        does: Does::Changes(configuration::confirm),
    },
    Route {
        method: "POST",
        path: "/api/config/rollback",
        who: ADMIN,
        summary: "Go back to the configuration before",
        takes: Takes::Nothing,
        gives: gives(200, JSON, Shape::Of(committed)),
        faults: &[422],
        does: Does::Changes(configuration::rollback),
    },
    Route {
        method: "POST",
        path: "/api/reload",
        who: ADMIN,
        summary: "Read the configuration again; one that is not valid is refused whole",
        takes: Takes::Nothing,
        gives: gives(200, JSON, Shape::Of(words)),
        faults: &[422],
        does: Does::Changes(configuration::reload),
    },
    asks(
        "/api/schema/configuration",
        "JSON Schema of tombolo.toml",
        gives(200, JSON, Shape::Object),
        Does::Changes(configuration::configuration_schema),
    ),
    asks(
        "/api/schema/federation",
        "JSON Schema of federation.json",
        gives(200, JSON, Shape::Object),
        Does::Asks(configuration::federation_schema),
    ),
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

fn words() -> serde_json::Value {
    schema(&[must("words", Kind::Text(65_535), "what came of it")])
}

fn committed() -> serde_json::Value {
    let mut shape = schema(&[
        must("words", Kind::Text(65_535), "what came of it"),
        must(
            "restarts",
            Kind::Flag,
            "the box starts again for it, within a second",
        ),
        may(
            "unconfirmed_seconds",
            Kind::Number(0, u32::MAX),
            "until it is taken back; null: it stays",
        ),
    ]);
    shape["properties"]["unconfirmed_seconds"]["type"] = serde_json::json!(["integer", "null"]);
    shape
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
