//! The status page: HTML made by the box, for browsers. It is whole without JavaScript; a little of that keeps it fresh.
//!
//! Who signs in gets the token of a session as a cookie, which is sent from no other site, and a form counts only if it
//! was filled in here. What a button does is what the API does, and takes the same scope.

mod answers;
pub(super) mod form;
mod frame;
mod html;
mod map;
mod neighbours;
mod overview;
mod pairing;
mod peers;
mod say;
mod view;

#[cfg(test)]
mod tests;

use http::{Method, Request as HttpRequest, Response as HttpResponse, StatusCode};
use hyper::body::Incoming;

use super::about::connection;
use super::problem::Problem;
use super::reply::Reply;
use super::route::{Who, encode};
use super::signing::bearer;
use super::{Shared, diagnosis};
use crate::access::{Grant, Scope};
use crate::api::pairing::{PairRequest, PairResponse};
use crate::api::request::{Request, Response};
use crate::api::turns::Control;
use crate::budget::CONTROL_SMALL;
use crate::config::PeerChange;
use crate::config::written::Written;
use crate::link::http::{Body, Visitor};
use form::{Form, cookie, is_ours, is_token, session};
use frame::{Frame, see_other};
use html::Html;
use view::View;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const ICON: &str = include_str!("icon.svg");

/// A session lasts so long, seconds; a token that somebody signs in with is forgotten by the browser after it.
const SESSION_SECONDS: u64 = 12 * 3600;

/// Every path of the page, and the methods that it knows.
const PATHS: &[(&str, &str)] = &[
    ("/", "GET"),
    ("/live", "GET"),
    ("/page.css", "GET"),
    ("/page.js", "GET"),
    ("/icon.svg", "GET"),
    ("/login", "GET, POST"),
    ("/logout", "POST"),
    ("/peer", "POST"),
    ("/remove", "GET, POST"),
    ("/check", "POST"),
    ("/why", "GET"),
    ("/pair", "POST"),
];

/// It is one of ours.
pub(super) fn knows(path: &str) -> bool {
    PATHS.iter().any(|(known, _)| *known == path)
}

/// Answers a browser.
///
/// # Errors
/// What [`sorry`] makes a page of.
pub(super) async fn answer(
    shared: &Shared,
    request: &mut HttpRequest<Incoming>,
    visitor: &Visitor,
    known: &mut Option<Grant>,
) -> Result<HttpResponse<Body>, Problem> {
    let path = request.uri().path().to_owned();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    allowed(&path, request.method())?;
    if let Some(asset) = asset(&path) {
        return Ok(asset.into_response());
    }
    let token = match reads {
        true => bearer(request),
        false => session(request.headers()).map(str::to_owned),
    };
    *known = shared.grant(token.as_deref(), visitor);
    let form = match reads {
        true => Form::read(request.uri().query().unwrap_or_default()),
        false => {
            if !is_ours(request) {
                let words = "this form was not sent from a page of this box; open the page and send it from there";
                return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", words));
            }
            let (body, _) = shared.body(request, CONTROL_SMALL as usize).await?;
            String::from_utf8(body)
                .ok()
                .and_then(|text| Form::read(&text))
        }
    };
    let form = form.ok_or_else(|| {
        Problem::bad_request("the form cannot be read; send it again from the page")
    })?;
    let reply = match (path.as_str(), reads, known.as_ref()) {
        ("/login", true, Some(_)) => see_other("/".to_owned()),
        ("/login", true, None) => frame::sign_in(&name(shared.turns.control()), 200, None),
        ("/login", false, _) => sign_in(shared, &form, visitor, known).await?,
        ("/logout", ..) => {
            shared.access.sign_out(token.as_deref().unwrap_or_default());
            see_other("/login".to_owned()).with("set-cookie", cookie("", 0))
        }
        ("/live", _, None) => {
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "no_token",
                "sign in again",
            ));
        }
        (_, _, None) => see_other("/login".to_owned()),
        (path, reads, Some(grant)) => act(shared, path, reads, &form, grant).await?,
    };
    Ok(reply.into_response())
}

/// What somebody who is signed in asks for.
async fn act(
    shared: &Shared,
    path: &str,
    reads: bool,
    form: &Form,
    grant: &Grant,
) -> Result<Reply, Problem> {
    let control = shared.turns.control();
    let peer = form.text("peer");
    may(grant, &[Scope::View])?;
    let name = name(control);
    let frame = |title| Frame {
        name: &name,
        who: Some(&grant.name),
        title,
        is_live: false,
    };
    match (path, reads) {
        ("/live", _) => {
            let mut html = Html::default();
            overview::live(&mut html, &view(grant, peer, control)?);
            Ok(frame::reply(200, html))
        }
        ("/peer", _) => {
            may(grant, &[Scope::Change])?;
            carry_out(
                shared,
                Request::PeerSet {
                    change: change(peer, form.text("do"))?,
                },
            )
            .await?;
            Ok(see_other(format!("/#peer-{}", encode(peer))))
        }
        ("/remove", true) => {
            may(grant, &[Scope::Stop])?;
            is_there(peer, control)?;
            Ok(frame::remove(frame("Remove"), peer))
        }
        ("/remove", false) => {
            may(grant, &[Scope::Stop])?;
            is_there(peer, control)?;
            carry_out(
                shared,
                Request::PeerRemove {
                    name: peer.to_owned(),
                },
            )
            .await?;
            Ok(see_other("/".to_owned()))
        }
        ("/check", _) => {
            may(grant, &[Scope::Change, Scope::Inject])?;
            let report = diagnosis::check(peer, control).await?;
            Ok(answers::checked(frame("Check"), &report))
        }
        ("/pair", _) => {
            may(grant, &[Scope::FederateAcross])?;
            let request = Request::Pair(pairing::asked(form)?);
            match shared.turns.carry_out(request).await.into_result()? {
                Response::Pair(PairResponse::Code(_) | PairResponse::Cleared(_)) => {
                    Ok(see_other("/#pair".to_owned()))
                }
                Response::Pair(answer) => Ok(pairing::done(frame("Pairing"), &answer)),
                _ => Err(Problem::internal()),
            }
        }
        ("/why", _) => {
            let report = diagnosis::explain(form.text("uid"), peer, control)?;
            Ok(answers::explained(frame("Why"), &report))
        }
        _ => {
            let update = match shared.turns.carry_out(Request::UpdateStatus).await {
                Response::Update(report) => Some(report),
                _ => None,
            };
            let view = view(grant, peer, control)?;
            // Who may not make a code does not see it.
            let waiting = match view.may(Scope::FederateAcross) {
                false => None,
                true => match control.handle(Request::Pair(PairRequest::Show)) {
                    Response::Pair(PairResponse::Code(waiting)) => waiting,
                    _ => None,
                },
            };
            let frame = Frame {
                is_live: true,
                ..frame("")
            };
            let html = frame.around(|html| {
                html.raw("<p id=\"stale\" class=\"alert\" role=\"status\"></p><div id=\"live\" class=\"halves\">");
                overview::live(html, &view);
                html.raw("</div><div class=\"halves\">");
                if view.may(Scope::FederateAcross) {
                    pairing::forms(html, waiting.as_ref());
                }
                overview::still(html, &view, update.as_deref());
                html.raw("</div>");
            });
            Ok(frame::reply(200, html))
        }
    }
}

/// Everything, or what concerns one federate if one is named.
fn view<'a>(grant: &'a Grant, peer: &str, control: &dyn Control) -> Result<View<'a>, Problem> {
    let mut view = View::now(grant, control)?;
    if !peer.is_empty() {
        view.status.peers.retain(|known| known.name == peer);
    }
    Ok(view)
}

/// What went wrong, as a page.
pub(super) fn sorry(
    problem: &Problem,
    grant: Option<&Grant>,
    control: &dyn Control,
) -> HttpResponse<Body> {
    let name = name(control);
    let frame = Frame {
        name: &name,
        who: grant.map(|grant| grant.name.as_str()),
        title: "That did not work",
        is_live: false,
    };
    let mut reply = frame::sorry(frame, problem.status, &problem.detail);
    if let Some(methods) = &problem.allow {
        reply = reply.with("allow", methods.to_string());
    }
    reply.into_response()
}

fn allowed(path: &str, method: &Method) -> Result<(), Problem> {
    let methods = PATHS.iter().find(|(known, _)| *known == path);
    let methods = methods.map_or("", |(_, methods)| methods);
    let wanted = match *method {
        Method::HEAD => "GET",
        _ => method.as_str(),
    };
    if methods.split(", ").any(|known| known == wanted) {
        return Ok(());
    }
    let words = format!("this path knows {methods}");
    Err(Problem {
        allow: Some(methods.into()),
        ..Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", words)
    })
}

fn asset(path: &str) -> Option<Reply> {
    let (kind, text) = match path {
        "/page.css" => ("text/css; charset=utf-8", STYLE),
        "/page.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "/icon.svg" => ("image/svg+xml", ICON),
        _ => return None,
    };
    // Short, so that an update of the box shows.
    let kept = "max-age=300".to_owned();
    Some(frame::secure(Reply::new(200, kind, text)).with("cache-control", kept))
}

/// The name of the box: all that a stranger is told.
fn name(control: &dyn Control) -> String {
    connection(control).map_or_else(|_| "Tombolo".to_owned(), |ours| ours.name)
}

async fn sign_in(
    shared: &Shared,
    form: &Form,
    visitor: &Visitor,
    known: &mut Option<Grant>,
) -> Result<Reply, Problem> {
    let token = form.text("token").trim();
    let signed_in = match token.is_empty() {
        true => {
            let (user, password) = (form.text("username"), form.text("password"));
            let session = shared.sign_in(user.to_owned(), password.to_owned(), visitor);
            session.await.map(|session| (session.token, session.grant))
        }
        false => {
            let wrong = || {
                let words =
                    "this token counts no more, or never did; `tombolo token add` makes one";
                Problem::new(StatusCode::UNAUTHORIZED, "wrong", words)
            };
            let grant = Some(token).filter(|token| is_token(token));
            let grant = grant.and_then(|token| shared.access.holder(token, shared.moment()));
            grant
                .map(|grant| (token.to_owned(), grant))
                .ok_or_else(wrong)
        }
    };
    match signed_in {
        Ok((token, grant)) => {
            *known = Some(grant);
            Ok(see_other("/".to_owned()).with("set-cookie", cookie(&token, SESSION_SECONDS)))
        }
        Err(problem) => {
            let name = name(shared.turns.control());
            let reply = frame::sign_in(&name, problem.status, Some(&problem.detail));
            Ok(match problem.retry_after {
                Some(seconds) => reply.with("retry-after", seconds.to_string()),
                None => reply,
            })
        }
    }
}

/// What a button of a federate's card changes.
fn change(peer: &str, what: &str) -> Result<PeerChange, Problem> {
    let mut change = PeerChange::of(peer);
    let on = what.ends_with("_on");
    match what {
        "pause" => change.enabled = Some(false),
        "resume" => change.enabled = Some(true),
        "in_on" | "in_off" => change.incoming = Some(on),
        "out_on" | "out_off" => change.outgoing = Some(on),
        "dp_in_on" | "dp_in_off" | "dp_out_on" | "dp_out_off" => {
            let key = match what.starts_with("dp_in") {
                true => "data_packages_in",
                false => "data_packages_out",
            };
            change
                .more
                .insert(key.to_owned(), Some(Written::Switch(on)));
        }
        _ => {
            let words = "no button asks for that; go back to the status and press one";
            return Err(Problem::of_key("do", words));
        }
    }
    Ok(change)
}

async fn carry_out(shared: &Shared, request: Request) -> Result<(), Problem> {
    match shared.turns.carry_out(request).await.into_result()? {
        Response::Done(_) => Ok(()),
        _ => Err(Problem::internal()),
    }
}

fn is_there(peer: &str, control: &dyn Control) -> Result<(), Problem> {
    if let Response::Peers(entries) = control.handle(Request::PeerList)
        && entries.iter().any(|entry| entry.name == peer)
    {
        return Ok(());
    }
    let words = format!("there is no peer called \"{peer}\"; it may have been removed meanwhile");
    Err(Problem::new(StatusCode::NOT_FOUND, "not_found", words))
}

fn may(grant: &Grant, scopes: &'static [Scope]) -> Result<(), Problem> {
    super::may(Who::May(scopes), Some(grant), true)
}
