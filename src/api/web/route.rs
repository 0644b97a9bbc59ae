//! What a route is, and which one a request means.

use serde_json::Value;

use super::fields::Field;
use super::problem::Problem;
use super::reply::Reply;
use crate::access::{Grant, Scope};
use crate::api::turns::Control;
use crate::link::http::Visitor;

/// One route of the API.
#[derive(Debug)]
pub struct Route {
    /// `GET`, `POST`, `PATCH`, `DELETE`.
    pub method: &'static str,
    /// Its path; one segment may be `{name}`.
    pub path: &'static str,
    /// Who may.
    pub who: Who,
    /// In a few words.
    pub summary: &'static str,
    /// What the request brings.
    pub takes: Takes,
    /// What the answer is when all is well.
    pub gives: Gives,
    /// Statuses beside those that every route of its kind can have.
    pub faults: &'static [u16],
    /// What is done.
    pub does: Does,
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Everybody.
    Everybody,
    /// Who is let in, whatever it may do.
    Known,
    /// Who may do one of these things.
    May(&'static [Scope]),
}

/// What a request brings.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// Nothing.
    Nothing,
    /// A JSON object.
    Json(&'static [Field]),
    /// CoT XML.
    Events,
    /// Members in the query of the address.
    Query(&'static [Field]),
}

/// What comes back when all is well.
#[derive(Debug, Clone, Copy)]
pub struct Gives {
    /// The status.
    pub status: u16,
    /// The media type; empty = nothing.
    pub kind: &'static str,
    /// Its shape, as the table of the document names it.
    pub shape: Shape,
}

/// The shape of an answer.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// No body, or one that is no JSON.
    Opaque,
    /// A JSON object of which the document says no more.
    Object,
    /// An object with these members.
    Of(fn() -> Value),
    /// A list of objects with these members.
    ListOf(fn() -> Value),
}

/// What is done for a request.
#[derive(Debug, Clone, Copy)]
pub enum Does {
    /// From the event loop: nothing that blocks.
    Asks(fn(&Call<'_>, &dyn Control) -> Result<Reply, Problem>),
    /// Touches files: one at a time, beside the event loop.
    Changes(fn(&Call<'_>, &dyn Control) -> Result<Reply, Problem>),
    /// Waits for another box, or reckons for long: on a thread of its own; for strangers one at a time.
    TakesLong(fn(&Call<'_>, &dyn Control) -> Result<Reply, Problem>),
    /// Logs somebody in.
    SignsIn,
    /// Logs somebody out.
    SignsOut,
    /// Checks the link of `{name}`, and waits for what comes of it.
    Checks,
    /// Streams events over a WebSocket.
    Watches,
    /// Lists data packages, piece by piece.
    ListsPackages,
    /// Tells of the API itself.
    Describes,
}

/// A request, as far as a route wants to know it.
#[derive(Debug)]
pub struct Call<'a> {
    /// The `{name}` of the path.
    pub name: &'a str,
    /// Its body; the query, where that is what the route takes.
    pub body: &'a [u8],
    /// Who asks, when it is somebody.
    pub grant: Option<&'a Grant>,
    /// Where from.
    pub visitor: &'a Visitor,
}

/// The route that a method and a path mean, and the `{name}` in the path.
///
/// # Errors
/// 404 where there is no such path, 405 where it knows other methods.
pub fn find<'t>(
    table: &'t [Route],
    method: &str,
    path: &str,
) -> Result<(&'t Route, String), Problem> {
    let mut methods = Vec::new();
    for route in table {
        let Some(name) = matches(route.path, path) else {
            continue;
        };
        if route.method == method {
            return Ok((route, name));
        }
        methods.push(route.method);
    }
    if methods.is_empty() {
        let words = "there is nothing at this path; /openapi.json lists what there is";
        return Err(Problem::new(http::StatusCode::NOT_FOUND, "no_route", words));
    }
    let words = format!("this path knows {}", methods.join(", "));
    Err(Problem {
        allow: Some(methods.join(", ").into()),
        ..Problem::new(http::StatusCode::METHOD_NOT_ALLOWED, "method", words)
    })
}

/// The `{name}` of a path that fits a pattern; empty when the pattern has none.
fn matches(pattern: &str, path: &str) -> Option<String> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut name = String::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(name),
            (Some("{name}"), Some(segment)) => {
                name = decode(segment).filter(|name| !name.is_empty())?;
            }
            (Some(wanted), Some(segment)) if wanted == segment => {}
            _ => return None,
        }
    }
}

/// A segment of a path, or a part of a query, without its per cent signs.
pub fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        // `from_str_radix` takes a sign.
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

/// A name as a segment of a path or a part of a query.
pub fn encode(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(byte.into());
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_matched_whole_and_names_decoded() {
        let pattern = "/api/federation/{name}";
        assert_eq!(matches(pattern, "/api/federation/BN"), Some("BN".into()));
        assert_eq!(
            matches(pattern, "/api/federation/B%20N%2f%C3%A9"),
            Some("B N/é".into())
        );
        for bad in [
            "/api/federation",
            "/api/federation/",
            "/api/federation/a/b",
            "/api/federation/%zz",
            "/api/federation/%+1",
            "/api/federation/%f",
            "/api/federation/%ff",
            "api/federation/x",
        ] {
            assert_eq!(matches(pattern, bad), None, "{bad}");
        }
        assert_eq!(matches("/api", "/api"), Some(String::new()));
    }
}
