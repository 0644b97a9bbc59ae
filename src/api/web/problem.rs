//! What went wrong, as `application/problem+json` (RFC 9457): in words that name the key and the cure.

use http::StatusCode;
use serde::Serialize;

use super::reply::Reply;
use crate::api::request::{ErrorCode, Fault, RefusedEvent};

/// A request that was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// What is wrong, where, and the cure.
    pub detail: String,
    /// One word for scripts.
    pub code: &'static str,
    /// The key of the request that it is about.
    pub key: Option<String>,
    /// Events that were not taken.
    pub refused: Vec<RefusedEvent>,
    /// Seconds to wait before the next try.
    pub retry_after: Option<u32>,
    /// Methods that the path knows.
    pub allow: Option<Box<str>>,
    /// Only by WebSocket.
    pub upgrade: bool,
}

/// A problem as it is written.
#[derive(Debug, Serialize)]
struct Written<'a> {
    /// No page explains it further: the words do.
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    refused: &'a [RefusedEvent],
}

impl Problem {
    /// A problem with its status, its word for scripts and its words for people.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status: status.as_u16(),
            detail: detail.into(),
            code,
            key: None,
            refused: Vec::new(),
            retry_after: None,
            allow: None,
            upgrade: false,
        }
    }

    /// About one key of the request; the words begin with it.
    pub fn of_key(key: &str, words: impl AsRef<str>) -> Self {
        let words = format!("{key}: {}", words.as_ref());
        Self {
            key: Some(key.to_owned()),
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "argument", words)
        }
    }

    fn written(&self) -> Written<'_> {
        let status = StatusCode::from_u16(self.status).unwrap_or_default();
        Written {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: self.status,
            detail: &self.detail,
            code: self.code,
            key: self.key.as_deref(),
            refused: &self.refused,
        }
    }

    /// The request is no JSON, or not the JSON that is wanted here.
    pub fn bad_request(words: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", words)
    }

    /// A defect of the box.
    pub fn internal() -> Self {
        let words = "the box answers something else than was asked; its log says more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", words)
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let (status, code) = match fault.code {
            ErrorCode::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            ErrorCode::Argument => (StatusCode::UNPROCESSABLE_ENTITY, "argument"),
            ErrorCode::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "too_long"),
            ErrorCode::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            ErrorCode::Exists => (StatusCode::CONFLICT, "exists"),
            ErrorCode::Conflict => (StatusCode::CONFLICT, "conflict"),
            ErrorCode::Refused => (StatusCode::FORBIDDEN, "refused"),
            ErrorCode::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too_many"),
            ErrorCode::Config => (StatusCode::CONFLICT, "config"),
            ErrorCode::Io => (StatusCode::SERVICE_UNAVAILABLE, "io"),
            ErrorCode::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            ErrorCode::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        };
        // The command line spells keys as options: here they are keys again.
        let (key, detail) = match fault.message.split_once(": ") {
            Some((option, rest)) if fault.code == ErrorCode::Argument => {
                let key = match option {
                    "NAME" => "name".to_owned(),
                    option => option.trim_start_matches("--").replace('-', "_"),
                };
                (Some(key.clone()), format!("{key}: {rest}"))
            }
            _ => (None, fault.message),
        };
        Self {
            key,
            ..Self::new(status, code, detail)
        }
    }
}

impl From<Problem> for Reply {
    fn from(problem: Problem) -> Self {
        let body = serde_json::to_vec(&problem.written()).unwrap_or_default();
        let mut reply = Self::new(problem.status, "application/problem+json", body);
        if let Some(seconds) = problem.retry_after {
            reply = reply.with("retry-after", seconds.to_string());
        }
        if let Some(methods) = problem.allow {
            reply = reply.with("allow", methods.into());
        }
        if problem.upgrade {
            reply = reply.with("upgrade", "websocket".to_owned());
            reply = reply.with("connection", "upgrade".to_owned());
            reply = reply.with("sec-websocket-version", "13".to_owned());
        }
        if problem.status == StatusCode::UNAUTHORIZED.as_u16() {
            reply = reply.with("www-authenticate", "Bearer".to_owned());
        }
        reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_name_the_key_as_the_request_spells_it() {
        let fault = Fault::new(
            ErrorCode::Argument,
            "--keepalive-seconds: 0 is out of range; give 1 to 32767",
        );
        let problem = Problem::from(fault);
        assert_eq!(problem.key.as_deref(), Some("keepalive_seconds"));
        assert_eq!(problem.status, 422);
        let text = serde_json::to_value(problem.written()).unwrap();
        assert_eq!(text["type"], "about:blank");
        assert_eq!(
            text["detail"],
            "keepalive_seconds: 0 is out of range; give 1 to 32767"
        );
        let problem = Problem::from(Fault::new(ErrorCode::NotFound, "there is: none"));
        assert_eq!(
            (problem.key, problem.detail.as_str()),
            (None, "there is: none")
        );
    }
}
