//! The part of TAK Server's HTTP surface that moves data packages (protocol reference 3.1, 6.5): for clients with a
//! certificate of ours on the API's port, for federates on a port of their own.

mod content;
mod listing;
mod metadata;
mod query;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http::{HeaderValue, Request as HttpRequest, Response as HttpResponse};
use hyper::body::Incoming;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::reply::{JSON, Reply};
use crate::budget::parcels::TRANSFERS;
use crate::link::clerk::{Clerk, NoClerk};
use crate::link::customs::{Customs, Held, Way};
use crate::link::http::{Answer, Body, Feed, Known, Visitor, drain};
use crate::link::hub::Hub;
use crate::packages::{Hash, Store, StoreError};
use query::Query;

/// Everything below is answered here.
pub const PREFIX: &str = "/Marti/";
/// A transfer waits this long for its turn.
const TURN: Duration = Duration::from_secs(10);
/// A transfer that does not move for so long ends.
const STALL: Duration = Duration::from_secs(60);
const TEXT: &str = "text/plain; charset=utf-8";

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A local client, by the name in its certificate.
    Client(String),
    /// A federate, by its name in the configuration.
    Federate(String),
}

impl Caller {
    fn name(&self) -> &str {
        match self {
            Self::Client(name) | Self::Federate(name) => name,
        }
    }
}

/// Data packages over HTTP.
#[derive(Debug)]
pub struct Marti {
    store: Store,
    clerk: Clerk,
    customs: Customs,
    hub: Hub,
    /// `https://host:port`, where local clients reach us.
    base: String,
    transfers: Arc<Semaphore>,
}

impl Marti {
    /// The surface of a store; `base` is `https://host:port`, where local clients reach us.
    pub fn new(store: Store, clerk: Clerk, customs: Customs, hub: Hub, base: String) -> Self {
        Self {
            store,
            clerk,
            customs,
            hub,
            base,
            transfers: Arc::new(Semaphore::new(TRANSFERS as usize)),
        }
    }

    /// Where a package is fetched.
    fn url(&self, hash: &Hash) -> String {
        format!("{}/Marti/sync/content?hash={hash}", self.base)
    }

    /// Answers a request below [`PREFIX`]. Strangers get nothing.
    pub async fn answer(
        self: &Arc<Self>,
        request: &mut HttpRequest<Incoming>,
        caller: Option<Caller>,
    ) -> HttpResponse<Body> {
        let answered = match &caller {
            Some(caller) => self.dispatch(request, caller).await,
            None => {
                let words = "only clients with a certificate of this box reach /Marti; `tombolo cert issue` makes one";
                Err(text(403, words))
            }
        };
        let mut response = answered.unwrap_or_else(Reply::into_response);
        let is_fine = response.status().is_success();
        // Who waits to be told to go on with the body is told not to.
        if !is_fine && !request.headers().contains_key(EXPECT) {
            drain(request.body_mut()).await;
        }
        let name = caller.as_ref().map_or("a stranger", Caller::name);
        if caller.is_some() {
            response.extensions_mut().insert(Known);
        }
        tracing::info!(
            "data packages: {:?} {} {:?}: {}",
            name,
            request.method(),
            request.uri().path(),
            response.status().as_u16()
        );
        response
    }

    async fn dispatch(
        self: &Arc<Self>,
        request: &mut HttpRequest<Incoming>,
        caller: &Caller,
    ) -> Result<HttpResponse<Body>, Reply> {
        let query = Query::of(request.uri().query());
        let path = request.uri().path().to_owned();
        let method = request.method().as_str().to_owned();
        let known = |methods: &[&str]| match methods.contains(&method.as_str()) {
            true => Ok(()),
            false => {
                Err(text(405, "this path takes other methods").with("allow", methods.join(", ")))
            }
        };
        match path.strip_prefix(PREFIX).unwrap_or_default() {
            "sync/missionquery" => {
                known(&["GET", "HEAD"])?;
                self.is_stored(&query, caller)
            }
            "sync/content" => {
                known(&["GET", "HEAD"])?;
                self.content(request, &query, caller).await
            }
            "sync/missionupload" => {
                known(&["POST"])?;
                self.mission_upload(request, &query, caller).await
            }
            "sync/upload" => {
                known(&["POST", "PUT"])?;
                self.plain_upload(request, &query, caller).await
            }
            path => {
                let Caller::Client(name) = caller else {
                    return Err(text(404, "there is nothing at this path for federates"));
                };
                match path {
                    "sync/search" => {
                        known(&["GET"])?;
                        Ok(self.search(&query, name))
                    }
                    "api/version" => {
                        known(&["GET"])?;
                        Ok(text(200, concat!("tombolo-", env!("CARGO_PKG_VERSION")))
                            .into_response())
                    }
                    "api/version/config" => {
                        known(&["GET"])?;
                        Ok(self.version().into_response())
                    }
                    path => match path
                        .strip_prefix("api/sync/metadata/")
                        .and_then(|rest| rest.split_once('/'))
                    {
                        Some((hash, what)) => {
                            known(&["GET", "PUT"])?;
                            self.metadata(request, (hash, what), name).await
                        }
                        None => Err(text(404, "there is nothing at this path")),
                    },
                }
            }
        }
    }

    /// `missionquery`: who is about to bring a package asks whether that is needed.
    fn is_stored(&self, query: &Query, caller: &Caller) -> Result<HttpResponse<Body>, Reply> {
        if let Caller::Federate(peer) = caller {
            self.customs.admits(peer, Way::In).map_err(held)?;
        }
        let hash = hash(query)?;
        match self.store.size(&hash) {
            Some(_) => Ok(text(200, self.url(&hash)).into_response()),
            None => Err(text(404, "File not found")),
        }
    }

    /// What ATAK asks after it has connected.
    fn version(&self) -> Reply {
        let host = self.base.strip_prefix("https://").unwrap_or(&self.base);
        let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
        let told = json!({
            "version": "3",
            "type": "ServerConfig",
            "data": {
                "version": concat!("tombolo-", env!("CARGO_PKG_VERSION")),
                "api": "3",
                "hostname": host,
            },
        });
        Reply::json(200, &told)
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, Reply> {
        let turn = timeout(TURN, Arc::clone(&self.transfers).acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| {
            text(503, "too many transfers at once; try again").with("retry-after", "5".to_owned())
        })
    }

    /// All packages for the API: compact entries, as they are read from the disk.
    pub fn packages(self: &Arc<Self>) -> HttpResponse<Body> {
        self.list_all()
    }
}

/// Waits until a piece of an answer is taken, as long as somebody takes any.
async fn feed(feed: &Feed, piece: Vec<u8>) -> bool {
    timeout(STALL, feed.feed(Bytes::from(piece))).await == Ok(true)
}

fn text(status: u16, words: impl Into<String>) -> Reply {
    Reply::new(status, TEXT, words.into())
}

fn json_text(status: u16, text: String) -> Reply {
    Reply::new(status, JSON, text)
}

fn no_clerk(gone: NoClerk) -> Reply {
    text(503, gone.to_string())
}

fn held(held: Held) -> Reply {
    text(403, held.to_string())
}

/// What a refusal of the store is in HTTP. Of the uploads, protocol reference 3.1 asks 403 and 400.
fn refused(error: &StoreError) -> Reply {
    let status = match error {
        StoreError::Kept(_) => 403,
        StoreError::Missing(_) => 404,
        StoreError::TooLarge { .. } => 413,
        StoreError::Busy(_) | StoreError::TooMany | StoreError::Full => 503,
        StoreError::LowSpace { .. } | StoreError::Disk { .. } => 507,
        StoreError::WrongHash { .. } | StoreError::WrongSize { .. } => 400,
    };
    // Where our files lie is nobody's business.
    let words = match error {
        StoreError::Disk { words, .. } => format!("the disk of this box refuses: {words}"),
        error => error.to_string(),
    };
    text(status, words)
}

/// The `hash` of a request, or the `uid`, which is the same here.
fn hash(query: &Query) -> Result<Hash, Reply> {
    let written = query.first("hash").or_else(|| query.first("uid"));
    let written =
        written.ok_or_else(|| text(400, "hash: missing; give the SHA-256 of the file"))?;
    written
        .parse()
        .map_err(|wrong| text(400, format!("hash: {wrong}")))
}

fn header(request: &HttpRequest<Incoming>, name: http::HeaderName) -> Option<&str> {
    request
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok())
}

/// A head for an answer whose body comes in pieces.
fn headed(reply: Reply, kind: &str, length: Option<u64>, body: Body) -> HttpResponse<Body> {
    let mut response = reply.into_response();
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(kind) {
        headers.insert(CONTENT_TYPE, kind);
    }
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    *response.body_mut() = body;
    response
}

/// The surface for federates: who comes there has shown a certificate that is registered.
#[derive(Debug)]
pub struct ForFederates(pub Arc<Marti>);

impl Answer for ForFederates {
    async fn answer(
        self: Arc<Self>,
        mut request: HttpRequest<Incoming>,
        visitor: Visitor,
    ) -> HttpResponse<Body> {
        let caller = visitor.certificate.map(Caller::Federate);
        self.0.answer(&mut request, caller).await
    }
}
