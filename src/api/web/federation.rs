//! `/api/federation`: the federates, with the names that scripts know (checklist S10, S11, S16 to S18).

use http::StatusCode;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::described::{CHANGE, NEW, address, authority, directions, fingerprint, more};
use super::fields::Members;
use super::problem::Problem;
use super::reply::Reply;
use super::route::{Call, encode};
use super::shown::Link;
use super::trust;
use crate::access::Scope;
use crate::api::request::{PeerEntry, Request, Response};
use crate::api::status::PeerStatus;
use crate::api::turns::Control;
use crate::config::{Cleared, PeerChange, PeerSpec};
use crate::pki::Fingerprint;

/// Every federate with its status.
///
/// # Errors
/// When the box answers something else.
pub fn peers(control: &dyn Control) -> Result<Vec<(PeerEntry, PeerStatus)>, Problem> {
    let Response::Peers(entries) = control.handle(Request::PeerList) else {
        return Err(Problem::internal());
    };
    let Response::Status(status) = control.handle(Request::Status) else {
        return Err(Problem::internal());
    };
    let mut found = Vec::with_capacity(entries.len());
    for entry in entries {
        let mut peers = status.peers.iter();
        if let Some(peer) = peers.find(|peer| peer.name == entry.name) {
            found.push((entry, peer.clone()));
        }
    }
    Ok(found)
}

/// `GET /api/federation`.
///
/// # Errors
/// When the box answers something else.
pub fn list(_: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let peers = peers(control)?.into_iter();
    let links: Vec<Link> = peers
        .map(|(entry, status)| Link::of(entry, &status))
        .collect();
    Ok(Reply::json(200, &links))
}

/// `GET /api/federation/{name}`.
///
/// # Errors
/// When there is none of that name.
pub fn show(call: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    Ok(Reply::json(200, &one(call.name, control)?))
}

fn one(name: &str, control: &dyn Control) -> Result<Link, Problem> {
    let all = peers(control)?;
    let known: Vec<&str> = all.iter().map(|(entry, _)| entry.name.as_str()).collect();
    let words = match known.is_empty() {
        true => format!(
            "there is no peer called \"{name}\", nor any other; POST /api/federation registers one"
        ),
        false => format!(
            "there is no peer called \"{name}\"; there are: {}",
            known.join(", ")
        ),
    };
    let missing = || Problem::new(StatusCode::NOT_FOUND, "not_found", words);
    let (entry, status) =
        (all.into_iter().find(|(entry, _)| entry.name == name)).ok_or_else(missing)?;
    Ok(Link::of(entry, &status))
}

/// `POST /api/federation`.
///
/// # Errors
/// What is wrong with it, and the key.
pub fn add(call: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let members = Members::read(call.body, NEW)?;
    let name = members.text("name").unwrap_or_default();
    let mut peer = PeerSpec::of(name);
    peer.address = address(&members, None)?;
    peer.ca_pem = authority(&members, control)?;
    peer.fingerprint = fingerprint(&members)?;
    let (incoming, outgoing) = directions(&members)?;
    peer.incoming = incoming.unwrap_or(true);
    peer.outgoing = outgoing.unwrap_or(true);
    peer.enabled = members.flag("enabled").unwrap_or(true);
    peer.keepalive_seconds = members.number("keepalive_seconds");
    let more = more(&members)?.into_iter();
    peer.more = more
        .filter_map(|(key, value)| Some((key, value?)))
        .collect();
    may_federate(call, peer.ca_pem.as_deref(), control)?;
    done(
        control,
        Request::PeerAdd {
            peer,
            replace: false,
        },
    )?;
    let link = one(name, control)?;
    let place = format!("/api/federation/{}", encode(name));
    Ok(Reply::json(201, &link).with("location", place))
}

/// `PATCH /api/federation/{name}`.
///
/// # Errors
/// What is wrong with it, and the key.
pub fn change(call: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let members = Members::read(call.body, CHANGE)?;
    let before = one(call.name, control)?;
    let mut change = PeerChange::of(call.name);
    change.address = address(&members, before.address())?;
    change.ca_pem = authority(&members, control)?;
    change.fingerprint = fingerprint(&members)?;
    (change.incoming, change.outgoing) = directions(&members)?;
    change.enabled = members.flag("enabled");
    change.keepalive_seconds = members.number("keepalive_seconds");
    change.more = more(&members)?;
    for (key, cleared) in [
        ("address", Cleared::Address),
        ("ca_cert", Cleared::CaCert),
        ("fingerprint", Cleared::Fingerprint),
        ("keepalive_seconds", Cleared::KeepaliveSeconds),
    ] {
        if members.is_null(key) {
            change.clear.push(cleared);
        }
    }
    // Who may change a federation may not make it one with somebody else.
    let who = |key: &str| change.more.get(key).is_some_and(Option::is_some);
    let is_another = change.ca_pem.is_some() || change.fingerprint.is_some();
    if is_another || trust::WHO.iter().any(|key| who(key)) {
        may_federate(call, change.ca_pem.as_deref(), control)?;
    }
    done(control, Request::PeerSet { change })?;
    Ok(Reply::json(200, &one(call.name, control)?))
}

/// `DELETE /api/federation/{name}`.
///
/// # Errors
/// When there is none of that name.
pub fn remove(call: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    one(call.name, control)?;
    let name = call.name.to_owned();
    done(control, Request::PeerRemove { name })?;
    Ok(Reply::empty())
}

/// Asks the box for something that is done or not.
///
/// # Errors
/// Why not.
pub fn done(control: &dyn Control, request: Request) -> Result<(), Problem> {
    match control.handle(request).into_result()? {
        Response::Done(_) => Ok(()),
        _ => Err(Problem::internal()),
    }
}

/// A peer that our own CA vouches for is of the same owner; anybody else is not.
fn may_federate(
    call: &Call<'_>,
    ca_pem: Option<&str>,
    control: &dyn Control,
) -> Result<(), Problem> {
    let may = |scope| call.grant.is_some_and(|grant| grant.scopes.holds(scope));
    if may(Scope::FederateAcross) {
        return Ok(());
    }
    let Response::Connection(ours) = control.handle(Request::Connection) else {
        return Err(Problem::internal());
    };
    let is_ours = |pem: &str| {
        let mut certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).flatten();
        certificates.all(|one| Fingerprint::of(&one).to_string() == ours.ca_fingerprint)
    };
    if may(Scope::FederateWithin) && ca_pem.is_some_and(is_ours) {
        return Ok(());
    }
    let words =
        "this peer has another owner, its CA is not ours: that takes the scope federate_across";
    Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", words))
}
