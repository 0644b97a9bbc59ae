//! `GET /api/events`: the handshake of the WebSocket, and the watcher behind it.

use std::sync::Arc;

use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL};
use http::header::{SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;

use super::Shared;
use super::problem::Problem;
use crate::access::{Grant, Scope};
use crate::link::http::watcher::watch;
use crate::link::http::websocket::{accept, is_key};
use crate::link::http::{Body, Visitor};
use crate::route::{LinkSpec, Network};

/// A protocol of this form brings a token, and `cot` beside it is the one that is spoken.
pub(super) const BEARER: &str = "bearer.";
const COT: &str = "cot";

/// The protocols that a visitor offers.
pub(super) fn protocols(headers: &HeaderMap) -> Vec<&str> {
    let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let lines = lines.filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(',').map(str::trim))
        .collect()
}

/// Answers the handshake, and streams events to whoever asked once it is done.
///
/// # Errors
/// When it is no handshake of a WebSocket, or no place is free.
pub(super) fn open(
    shared: &Arc<Shared>,
    request: &mut Request<Incoming>,
    token: Option<String>,
    grant: Grant,
    visitor: &Visitor,
) -> Result<Response<Body>, Problem> {
    let key = key(request)?;
    let full = |limit: &str| {
        let words =
            format!("all places are taken (limits.{limit}); close another one, or raise the limit");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "full", words)
    };
    let watcher = Arc::clone(&shared.watchers).try_acquire_owned();
    let watcher = watcher.map_err(|_| full("max_watchers"))?;
    let client = Arc::clone(&shared.clients).try_acquire_owned();
    let client = client.map_err(|_| full("max_clients"))?;
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    let accepted = HeaderValue::from_str(&accept(&key)).map_err(|_| Problem::internal())?;
    headers.insert(SEC_WEBSOCKET_ACCEPT, accepted);
    if protocols(request.headers()).contains(&COT) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(COT));
    }
    let upgraded = hyper::upgrade::on(request);
    let (shared, address) = (Arc::clone(shared), visitor.address.to_string());
    tokio::spawn(async move {
        if let Ok(upgraded) = upgraded.await {
            serve(
                shared,
                TokioIo::new(upgraded),
                address,
                token,
                grant,
                [watcher, client],
            )
            .await;
        }
    });
    Ok(response)
}

async fn serve(
    shared: Arc<Shared>,
    stream: TokioIo<hyper::upgrade::Upgraded>,
    address: String,
    token: Option<String>,
    grant: Grant,
    places: [OwnedSemaphorePermit; 2],
) {
    let name = grant.name;
    tracing::info!(address, "watcher connected: {name} at {address}");
    let port = shared.hub.attach(LinkSpec::Client {
        address: address.clone(),
        network: Network::LOCAL,
    });
    // Who came by certificate keeps its right for as long as the connection lasts.
    let is_allowed = || match &token {
        None => true,
        Some(token) => (shared.access.holder(token, shared.moment()))
            .is_some_and(|grant| grant.scopes.holds(Scope::View)),
    };
    let (rights, stop) = (shared.access.changes(), shared.stop.clone());
    let why = Box::pin(watch(stream, &port, rights, is_allowed, stop)).await;
    tracing::info!(address, "watcher {name} at {address} gone: {why}");
    drop((port, places));
}

fn key(request: &Request<Incoming>) -> Result<String, Problem> {
    let headers = request.headers();
    let says = |name: HeaderName, word: &str| {
        let lines = headers
            .get_all(name)
            .iter()
            .filter_map(|line| line.to_str().ok());
        let mut words = lines.flat_map(|line| line.split(','));
        words.any(|one| one.trim().eq_ignore_ascii_case(word))
    };
    let is_handshake = request.version() == Version::HTTP_11
        && says(UPGRADE, "websocket")
        && says(CONNECTION, "upgrade")
        && says(SEC_WEBSOCKET_VERSION, "13");
    if !is_handshake {
        let words = "this path speaks WebSocket, version 13, over HTTP/1.1 (wss://…/api/events); POST hands events in";
        return Err(Problem {
            upgrade: true,
            ..Problem::new(StatusCode::UPGRADE_REQUIRED, "websocket", words)
        });
    }
    let key = headers
        .get(SEC_WEBSOCKET_KEY)
        .and_then(|key| key.to_str().ok());
    key.filter(|key| is_key(key))
        .map(str::to_owned)
        .ok_or_else(|| Problem::bad_request("Sec-WebSocket-Key: it must be 16 bytes in base64"))
}
