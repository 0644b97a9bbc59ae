//! The HTTPS API: who asks, what is asked, and the answer. The requests are those of the control socket.

pub mod about;
pub mod configuration;
mod described;
pub mod diagnosis;
pub mod federation;
mod fields;
mod filters;
pub mod freetakserver;
pub mod marti;
pub mod metrics;
pub mod openapi;
mod packages;
mod page;
mod pair;
mod problem;
mod reply;
mod route;
mod shown;
mod signing;
mod stream;
mod table;
pub mod tokens;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, ORIGIN};
use http::{Request as HttpRequest, Response as HttpResponse, StatusCode};
use hyper::body::Incoming;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

pub use problem::Problem;
pub use reply::Reply;

use crate::access::{Access, Grant};
use crate::api::turns::{Control, Turns};
use crate::budget::CONTROL_SMALL;
use crate::link::http::{Answer, Body, BodyError, Known, Large, Visitor, drain, read};
use crate::link::hub::Hub;
use fields::Members;
use route::{Call, Does, Route, Takes, Who};
use signing::bearer;

/// A request's body must be there within this.
const BODY: Duration = Duration::from_secs(15);

/// What both listeners share.
#[derive(Debug)]
pub struct Shared {
    /// Who carries requests out.
    pub turns: Arc<Turns>,
    /// Who may come in.
    pub access: Access,
    /// The router, for watchers, and the time.
    pub hub: Hub,
    /// Places of local clients; a watcher takes one.
    pub clients: Arc<Semaphore>,
    /// Watchers at once.
    pub watchers: Arc<Semaphore>,
    /// Longest body, bytes.
    pub longest: usize,
    /// Tells when the box stops.
    pub stop: watch::Receiver<bool>,
    /// Data packages; none: they are off.
    pub marti: Option<Arc<marti::Marti>>,
    /// One password is looked at at a time, and one step of a pairing.
    pub signing_in: Semaphore,
}

/// One listener's side of the API.
#[derive(Debug)]
pub struct Web {
    shared: Arc<Shared>,
    table: &'static [Route],
    /// For programs on this machine, and nobody is asked who it is.
    is_local: bool,
}

impl Web {
    /// The HTTPS API.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            table: table::API,
            is_local: false,
        }
    }

    /// FreeTAKServer's routes, for this machine.
    pub fn local(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            table: table::FREETAKSERVER,
            is_local: true,
        }
    }
}

impl Answer for Web {
    async fn answer(
        self: Arc<Self>,
        mut request: HttpRequest<Incoming>,
        visitor: Visitor,
    ) -> HttpResponse<Body> {
        if let Some(marti) = self.shared.marti.as_ref().filter(|_| !self.is_local)
            && request.uri().path().starts_with(marti::PREFIX)
        {
            let caller = visitor.certificate.map(marti::Caller::Client);
            return marti.answer(&mut request, caller).await;
        }
        let mut grant = None;
        let is_page = !self.is_local && page::knows(request.uri().path());
        let answered = match is_page {
            true => page::answer(&self.shared, &mut request, &visitor, &mut grant).await,
            false => self.dispatch(&mut request, &visitor, &mut grant).await,
        };
        if answered.is_err() {
            drain(request.body_mut()).await;
        }
        let mut response = answered.unwrap_or_else(|problem| match is_page {
            true => page::sorry(&problem, grant.as_ref(), self.shared.turns.control()),
            false => Reply::from(problem).into_response(),
        });
        if grant.is_some() || self.is_local {
            response.extensions_mut().insert(Known);
        }
        let (method, path) = (request.method(), request.uri().path());
        let who = grant.as_ref().map_or("somebody", |grant| &grant.name);
        let status = response.status().as_u16();
        match method.as_str() {
            "GET" => tracing::debug!(
                "API: {who} at {}: {method} {path}: {status}",
                visitor.address
            ),
            _ => tracing::info!(
                "API: {who} at {}: {method} {path:?}: {status}",
                visitor.address
            ),
        }
        response
    }
}

impl Web {
    async fn dispatch(
        &self,
        request: &mut HttpRequest<Incoming>,
        visitor: &Visitor,
        known: &mut Option<Grant>,
    ) -> Result<HttpResponse<Body>, Problem> {
        if self.is_local {
            refuse_browsers(request)?;
        }
        let (route, name) =
            route::find(self.table, request.method().as_str(), request.uri().path())?;
        let token = bearer(request);
        let grant = self.shared.grant(token.as_deref(), visitor);
        known.clone_from(&grant);
        may(route.who, grant.as_ref(), token.is_some())?;
        if matches!(route.does, Does::Watches) {
            let grant = grant.ok_or_else(Problem::internal)?;
            return stream::open(&self.shared, request, token, grant, visitor);
        }
        if matches!(route.does, Does::ListsPackages) {
            let marti = self.shared.marti.as_ref();
            return Ok(marti.ok_or_else(packages::off)?.packages());
        }
        let (body, _large) = self.body(route, request).await?;
        let reply = match route.does {
            Does::Asks(does) => {
                let call = Call {
                    name: &name,
                    body: &body,
                    grant: grant.as_ref(),
                    visitor,
                };
                does(&call, self.shared.turns.control())?
            }
            Does::Changes(does) | Does::TakesLong(does) => {
                let takes_long = matches!(route.does, Does::TakesLong(_));
                let _turn = match route.who {
                    Who::Everybody if takes_long => Some(self.shared.signing_in.acquire().await),
                    _ => None,
                };
                let visitor = visitor.clone();
                let act = move |control: &dyn Control| {
                    let call = Call {
                        name: &name,
                        body: &body,
                        grant: grant.as_ref(),
                        visitor: &visitor,
                    };
                    does(&call, control)
                };
                match takes_long {
                    true => self.shared.turns.apart(act).await??,
                    false => self.shared.turns.beside(act).await??,
                }
            }
            Does::SignsIn => {
                let members = Members::read(&body, tokens::LOGIN)?;
                let text = |key| members.text(key).unwrap_or_default().to_owned();
                let (name, password) = (text("username"), text("password"));
                let session = self.shared.sign_in(name, password, visitor).await?;
                Reply::json(
                    200,
                    &serde_json::json!({
                        "token": session.token,
                        "username": session.grant.name,
                        "scopes": session.grant.scopes.words(),
                        "expires_seconds": session.seconds,
                    }),
                )
            }
            Does::Checks => Reply::json(
                200,
                &diagnosis::check(&name, self.shared.turns.control()).await?,
            ),
            Does::SignsOut => {
                self.shared
                    .access
                    .sign_out(token.as_deref().unwrap_or_default());
                Reply::empty()
            }
            Does::Describes => Reply::json(
                200,
                &openapi::document(self.table, env!("CARGO_PKG_VERSION")),
            ),
            Does::Watches | Does::ListsPackages => return Err(Problem::internal()),
        };
        Ok(reply.into_response())
    }

    async fn body(
        &self,
        route: &Route,
        request: &mut HttpRequest<Incoming>,
    ) -> Result<(Vec<u8>, Option<SemaphorePermit<'_>>), Problem> {
        let longest = match (route.takes, route.who) {
            (Takes::Nothing, _) => return Ok((Vec::new(), None)),
            (Takes::Query(_), _) => {
                let query = request.uri().query().unwrap_or_default();
                return Ok((query.into(), None));
            }
            (_, Who::Everybody) => CONTROL_SMALL as usize,
            _ => self.shared.longest,
        };
        self.shared.body(request, longest).await
    }
}

impl Shared {
    /// The body of a request, of at most so many bytes.
    async fn body(
        &self,
        request: &mut HttpRequest<Incoming>,
        longest: usize,
    ) -> Result<(Vec<u8>, Option<SemaphorePermit<'_>>), Problem> {
        let large = Large {
            longest,
            places: &self.turns.large,
            within: BODY,
        };
        read(request.body_mut(), large)
            .await
            .map_err(|error| match error {
                BodyError::TooLong => {
                    let words = format!("a body has at most {longest} bytes; send less at once");
                    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long", words)
                }
                BodyError::TooSlow => {
                    let words = "the body did not come within 15 seconds";
                    Problem::new(StatusCode::REQUEST_TIMEOUT, "too_slow", words)
                }
                BodyError::Broken => Problem::bad_request("the body did not come whole"),
            })
    }
}

/// A web page that somebody on this machine looks at must not reach the listener that asks nobody who it is: no request
/// of another origin, and none under another name (which a name server of the page's could point here).
fn refuse_browsers(request: &HttpRequest<Incoming>) -> Result<(), Problem> {
    let host = request
        .headers()
        .get(HOST)
        .map(|host| host.to_str().unwrap_or("?"));
    let name = host.map(|host| match host.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    });
    let is_here = name.is_none_or(|name| matches!(name, "localhost" | "127.0.0.1" | "::1"));
    if is_here && request.headers().get(ORIGIN).is_none() {
        return Ok(());
    }
    let words = "this is for programs on this machine, at http://localhost, and not for web pages";
    Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", words))
}

fn may(who: Who, grant: Option<&Grant>, has_token: bool) -> Result<(), Problem> {
    let nobody = || {
        let words = match has_token {
            true => "this token counts no more, or never did; log in again with POST /api/login",
            false => {
                "no token; log in with POST /api/login, and send the header `Authorization: Bearer TOKEN`"
            }
        };
        Problem::new(StatusCode::UNAUTHORIZED, "no_token", words)
    };
    match (who, grant) {
        (Who::Everybody, _) | (Who::Known, Some(_)) => Ok(()),
        (Who::May(scopes), Some(grant)) => {
            if scopes.iter().any(|scope| grant.scopes.holds(*scope)) {
                return Ok(());
            }
            let wanted: Vec<&str> = scopes.iter().map(|scope| scope.word()).collect();
            let words = format!(
                "this takes the scope {}; \"{}\" has {}",
                wanted.join(" or "),
                grant.name,
                grant.scopes
            );
            Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", words))
        }
        (Who::Known | Who::May(_), None) => Err(nobody()),
    }
}
