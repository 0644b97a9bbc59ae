//! `/openapi.json`, written from the table that the server goes by.

use serde_json::{Map, Value, json};

use super::fields::schema;
use super::route::{Route, Shape, Takes, Who};

/// Longest name in a path, characters; a federate's name is at most that long.
const NAME: u32 = 64;

/// The document of a table.
pub fn document(table: &[Route], version: &str) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in table {
        let path = paths
            .entry(route.path.to_owned())
            .or_insert_with(|| json!({}));
        path[route.method.to_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tombolo",
            "version": version,
            "description": "Federation of TAK servers. Errors are application/problem+json (RFC 9457).",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Problem": problem()},
        },
    })
}

fn operation(route: &Route) -> Value {
    let mut operation = json!({
        "summary": route.summary,
        "operationId": id(route),
        "responses": answers(route),
        "security": [],
    });
    match route.who {
        Who::Everybody => {}
        Who::Known => operation["security"] = json!([{"token": []}]),
        Who::May(scopes) => {
            operation["security"] = json!([{"token": []}]);
            let words: Vec<&str> = scopes.iter().map(|scope| scope.word()).collect();
            operation["description"] = format!("Takes the scope {}.", words.join(" or ")).into();
        }
    }
    match route.takes {
        Takes::Nothing => {}
        Takes::Json(fields) => {
            operation["requestBody"] = json!({
                "required": true,
                "content": {"application/json": {"schema": schema(fields)}},
            });
        }
        Takes::Events => {
            operation["requestBody"] = json!({
                "required": true,
                "content": {"application/xml": {"schema": {"type": "string"}}},
            });
        }
        Takes::Query(_) => {}
    }
    let parameters = parameters(route);
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    operation
}

/// What stands in the address.
fn parameters(route: &Route) -> Vec<Value> {
    let mut parameters = Vec::new();
    if has_name(route) {
        parameters.push(json!({
            "name": "name",
            "in": "path",
            "required": true,
            "schema": {"type": "string", "minLength": 1, "maxLength": NAME},
        }));
    }
    if let Takes::Query(fields) = route.takes {
        let schema = schema(fields);
        parameters.extend(fields.iter().map(|field| {
            json!({
                "name": field.key,
                "in": "query",
                "required": field.required,
                "schema": schema["properties"][field.key],
            })
        }));
    }
    parameters
}

fn has_name(route: &Route) -> bool {
    route.path.contains("{name}")
}

/// `get_api_federation`, for generators of clients.
fn id(route: &Route) -> String {
    let path = route.path.replace(['{', '}'], "").replace(['/', '.'], "_");
    format!("{}{path}", route.method.to_lowercase())
}

fn answers(route: &Route) -> Value {
    let mut answers = Map::new();
    let mut good = json!({"description": route.summary});
    if !route.gives.kind.is_empty() {
        let kind = route.gives.kind.split(';').next().unwrap_or_default();
        good["content"] = json!({kind: {"schema": shape(route.gives.shape)}});
    }
    answers.insert(route.gives.status.to_string(), good);
    for (status, about) in faults(route) {
        let fault = json!({
            "description": about,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        });
        answers.insert(status.to_string(), fault);
    }
    Value::Object(answers)
}

/// Every status that a route can have when not all is well.
fn faults(route: &Route) -> Vec<(u16, &'static str)> {
    let mut statuses = vec![400, 503];
    match route.who {
        Who::Everybody => {}
        Who::Known => statuses.push(401),
        Who::May(_) => statuses.extend([401, 403]),
    }
    match route.takes {
        Takes::Nothing => {}
        Takes::Query(_) => statuses.push(422),
        Takes::Json(_) | Takes::Events => statuses.extend([408, 413, 422]),
    }
    if has_name(route) {
        statuses.push(404);
    }
    statuses.extend(route.faults);
    statuses.sort_unstable();
    statuses.dedup();
    statuses
        .into_iter()
        .map(|status| (status, words(status)))
        .collect()
}

const fn words(status: u16) -> &'static str {
    match status {
        400 => "The request cannot be understood",
        401 => "Nobody, or nobody who is known",
        403 => "Somebody who may not",
        404 => "What it names is not there",
        408 => "The body did not come in time",
        409 => "It contradicts what is there",
        413 => "The body is too long",
        422 => "A value cannot be used; the words name its key",
        426 => "Only by WebSocket",
        429 => "Too many tries; again later",
        _ => "The box is stopping, or its files cannot be written",
    }
}

fn shape(shape: Shape) -> Value {
    match shape {
        Shape::Opaque => json!({"type": "string"}),
        Shape::Object => json!({"type": "object"}),
        Shape::Of(members) => members(),
        Shape::ListOf(members) => json!({"type": "array", "items": members()}),
    }
}

fn problem() -> Value {
    json!({
        "type": "object",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "what is wrong, where, and the cure"},
            "code": {"type": "string", "description": "one word for scripts"},
            "key": {"type": "string", "description": "the key of the request that it is about"},
            "refused": {"type": "array", "items": {"type": "object"}},
        },
        "required": ["type", "title", "status", "detail", "code"],
    })
}

#[cfg(test)]
mod tests {
    use super::super::table::{API, FREETAKSERVER};
    use super::*;

    #[test]
    fn every_route_is_in_the_document_with_its_statuses_and_its_members() {
        let document = document(API, "1");
        let paths = document["paths"].as_object().unwrap();
        let operations: usize = paths
            .values()
            .map(|path| path.as_object().unwrap().len())
            .sum();
        assert_eq!(operations, API.len());
        let mut ids = std::collections::BTreeSet::new();
        for route in API.iter().chain(FREETAKSERVER) {
            assert!(ids.insert(id(route)), "{}", id(route));
        }
        let add = &paths["/api/federation"]["post"];
        let body = &add["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(body["required"], json!(["name"]));
        assert!(body["properties"]["ca_cert"].is_object());
        for status in [
            "201", "400", "401", "403", "408", "409", "413", "422", "503",
        ] {
            assert!(add["responses"][status].is_object(), "{status}");
        }
        let login = &paths["/api/login"]["post"];
        assert!(login["responses"]["429"].is_object() && login["security"] == json!([]));
    }
}
