//! Who asks: by token, by certificate, by the cookie of the status page; and how one gets a token.

use http::header::{AUTHORIZATION, ORIGIN};
use http::{Method, Request as HttpRequest, StatusCode};

use super::page::form::{is_ours, session};
use super::problem::Problem;
use super::{Shared, stream};
use crate::access::{Grant, Moment, NotSignedIn, Scope, Scopes, SignedIn};
use crate::link::http::Visitor;

impl Shared {
    /// The time, as access judges it.
    pub(super) fn moment(&self) -> Moment {
        let now = self.hub.now();
        Moment {
            mono_ms: now.mono_ms,
            wall: now.wall_ms / 1000,
        }
    }

    /// Who asks: by token, or else by certificate, which allows to look and nothing else.
    pub(super) fn grant(&self, token: Option<&str>, visitor: &Visitor) -> Option<Grant> {
        if let Some(token) = token {
            return self.access.holder(token, self.moment());
        }
        let name = visitor.certificate.clone()?;
        let scopes = Scopes::of(Scope::View);
        Some(Grant { name, scopes })
    }

    /// Logs somebody in.
    ///
    /// # Errors
    /// When user or password is wrong, or too many wrong ones came.
    pub(super) async fn sign_in(
        &self,
        name: String,
        password: String,
        visitor: &Visitor,
    ) -> Result<SignedIn, Problem> {
        let _turn = self.signing_in.acquire().await;
        let (access, from) = (self.access.clone(), visitor.address.ip());
        let moment = self.moment();
        let done =
            tokio::task::spawn_blocking(move || access.sign_in(from, &name, &password, moment));
        done.await
            .map_err(|_| Problem::internal())?
            .map_err(|refused| match refused {
                NotSignedIn::Wrong => {
                    let words =
                        "username or password is wrong; `tombolo token password USER` sets one";
                    Problem::new(StatusCode::UNAUTHORIZED, "wrong", words)
                }
                NotSignedIn::TooMany(seconds) => {
                    let words = format!("too many wrong passwords; try again in {seconds} s");
                    Problem {
                        retry_after: Some(u32::try_from(seconds).unwrap_or(u32::MAX)),
                        ..Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many", words)
                    }
                }
                NotSignedIn::Random => {
                    let words = "the system gives no random numbers; try again";
                    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", words)
                }
            })
    }
}

/// The bearer token: of the header, or among the protocols of a WebSocket (browsers can set no header there), or, for
/// who only reads, of the status page's cookie; never of one that a page of another site makes a browser send.
pub(super) fn bearer<B>(request: &HttpRequest<B>) -> Option<String> {
    let header = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    if let Some((scheme, token)) = header.and_then(|header| header.split_once(' '))
        && scheme.eq_ignore_ascii_case("bearer")
    {
        return Some(token.trim().to_owned());
    }
    let protocols = stream::protocols(request.headers());
    let mut tokens = protocols
        .iter()
        .filter_map(|one| one.strip_prefix(stream::BEARER));
    if let Some(token) = tokens.next() {
        return Some(token.to_owned());
    }
    let reads = request.method() == Method::GET;
    let is_foreign = request.headers().contains_key(ORIGIN) && !is_ours(request);
    session(request.headers())
        .filter(|_| reads && !is_foreign)
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_lets_read_and_nothing_else() {
        let of = |method: &str, headers: &[(&str, &str)]| {
            let mut request = HttpRequest::builder().method(method).uri("/api/status");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            bearer(&request.body(()).unwrap())
        };
        let cookie = ("cookie", "__Host-tombolo=tmb_x");
        assert_eq!(of("GET", &[cookie]).as_deref(), Some("tmb_x"));
        assert_eq!(of("PATCH", &[cookie]), None);
        let host = ("host", "box");
        assert!(of("GET", &[cookie, host, ("origin", "https://box")]).is_some());
        assert_eq!(of("GET", &[cookie, host, ("origin", "https://evil")]), None);
        let header = ("authorization", "bearer tmb_y");
        assert_eq!(of("PATCH", &[header, cookie]).as_deref(), Some("tmb_y"));
        let protocols = ("sec-websocket-protocol", "cot, bearer.tmb_z");
        assert_eq!(of("GET", &[protocols]).as_deref(), Some("tmb_z"));
    }
}
