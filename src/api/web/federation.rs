//! `/api/federation`: the federates, with the names that scripts know (checklist S10, S11, S16 to S18).

use std::path::{Path, PathBuf};

use http::StatusCode;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;
use serde_json::Value;

use super::fields::{Field, Kind, Members, may, must, schema};
use super::filters::{self, FILTERS};
use super::problem::Problem;
use super::reply::Reply;
use super::route::Call;
use crate::access::Scope;
use crate::api::request::{PeerEntry, Request, Response};
use crate::api::status::{Counts, PeerState, PeerStatus};
use crate::api::turns::Control;
use crate::config::authority::{self, MOST_PEM_BYTES};
use crate::config::settings::FEDERATION_PORT;
use crate::config::written::{KeyChanges, Written};
use crate::config::{Cleared, PeerChange, PeerSpec};
use crate::files;
use crate::pki::Fingerprint;
use crate::pki::store::pem;

const PROTOCOLS: &[&str] = &["tls", "ssl"];

/// What a new federate is described by.
pub const NEW: &[Field] = &[
    must("name", Kind::Text(64), "a name of your choice, unique"),
    may(
        "address",
        Kind::Text(255),
        "host name or IP address to dial, or host:port; without, it dials us",
    ),
    may(
        "port",
        Kind::Number(1, 65_535),
        "port to dial; 9001 without",
    ),
    may(
        "protocol",
        Kind::Choice(PROTOCOLS),
        "mutual TLS, whatever it is called",
    ),
    may(
        "ca_cert",
        Kind::Text(131_072),
        "its CA: a file on the box, or the certificate itself as PEM text",
    ),
    may(
        "ca_pin",
        Kind::Text(128),
        "SHA-256 of the one certificate of ca_cert that is trusted",
    ),
    may(
        "fingerprint",
        Kind::Text(128),
        "SHA-256 of its own certificate",
    ),
    may(
        "bidirectional",
        Kind::Flag,
        "both directions; false: we send and take nothing",
    ),
    may("incoming", Kind::Flag, "take what it sends"),
    may("outgoing", Kind::Flag, "send what we have"),
    may("enabled", Kind::Flag, "false: registered and paused"),
    may(
        "keepalive_seconds",
        Kind::Number(1, 32_767),
        "seconds between keepalives",
    ),
    may(
        "filters",
        Kind::Object(FILTERS),
        "what may cross; without, everything",
    ),
    may(
        "federation_filter",
        Kind::Object(FILTERS),
        "the same, as FreeTAKServer's documents call it",
    ),
    may("data_packages_in", Kind::Flag, "take data packages from it"),
    may("data_packages_out", Kind::Flag, "let it have data packages"),
    may(
        "rate",
        Kind::Text(32),
        "most that is sent to it, such as 9600 bit/s",
    ),
    may(
        "spool",
        Kind::Flag,
        "keep emergencies and chat for it while it is away",
    ),
];

/// What can be changed of one; `null` takes address, ca_cert, fingerprint, keepalive_seconds, filters or rate away.
pub const CHANGE: &[Field] = &[
    may(
        "address",
        Kind::Text(255),
        "host name or IP address to dial, or host:port",
    ),
    may("port", Kind::Number(1, 65_535), "port to dial"),
    may(
        "protocol",
        Kind::Choice(PROTOCOLS),
        "mutual TLS, whatever it is called",
    ),
    may(
        "ca_cert",
        Kind::Text(131_072),
        "its CA: a file on the box, or the certificate itself as PEM text",
    ),
    may(
        "ca_pin",
        Kind::Text(128),
        "SHA-256 of the one certificate of ca_cert that is trusted",
    ),
    may(
        "fingerprint",
        Kind::Text(128),
        "SHA-256 of its own certificate",
    ),
    may(
        "bidirectional",
        Kind::Flag,
        "both directions; false: we send and take nothing",
    ),
    may("incoming", Kind::Flag, "take what it sends"),
    may("outgoing", Kind::Flag, "send what we have"),
    may("enabled", Kind::Flag, "false: paused"),
    may(
        "keepalive_seconds",
        Kind::Number(1, 32_767),
        "seconds between keepalives",
    ),
    may(
        "filters",
        Kind::Object(FILTERS),
        "what may cross; without, everything",
    ),
    may(
        "federation_filter",
        Kind::Object(FILTERS),
        "the same, as FreeTAKServer's documents call it",
    ),
    may("data_packages_in", Kind::Flag, "take data packages from it"),
    may("data_packages_out", Kind::Flag, "let it have data packages"),
    may(
        "rate",
        Kind::Text(32),
        "most that is sent to it, such as 9600 bit/s",
    ),
    may(
        "spool",
        Kind::Flag,
        "keep emergencies and chat for it while it is away",
    ),
];

/// A federate, as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Link {
    name: String,
    status: &'static str,
    state: &'static str,
    reason: String,
    stopped_by: Option<String>,
    address: Option<String>,
    port: Option<u16>,
    protocol: &'static str,
    bidirectional: bool,
    incoming: bool,
    outgoing: bool,
    enabled: bool,
    ca_fingerprints: Vec<String>,
    fingerprint: Option<String>,
    keepalive_seconds: Option<u32>,
    events_forwarded: u64,
    events_received: u64,
    forwarded_per_second: f64,
    received_per_second: f64,
    last_heard: Option<String>,
    round_trip_ms: Option<f64>,
    clock_offset_ms: i64,
    waiting: u64,
    dropped: Counts,
}

/// The shape of [`Link`], for the document.
pub fn shape() -> Value {
    let text = Kind::Text(1024);
    let mut shape = schema(&[
        must("name", text, "its name"),
        must(
            "status",
            Kind::Choice(&["connected", "connecting", "waiting", "paused", "disabled"]),
            "connected: the link is up. connecting: it is being dialled, or will be. waiting: it is its turn to dial us",
        ),
        must(
            "state",
            Kind::Choice(&[
                "flowing",
                "connected",
                "connecting",
                "waiting",
                "paused",
                "disabled",
            ]),
            "the same, finer: flowing: events crossed within the last minute",
        ),
        must("reason", text, "why it is no better, in words"),
        must("protocol", Kind::Choice(&["tls"]), "mutual TLS"),
        must("bidirectional", Kind::Flag, "both directions are on"),
        must("incoming", Kind::Flag, "what it sends is taken"),
        must("outgoing", Kind::Flag, "what we have is sent to it"),
        must("enabled", Kind::Flag, "not paused"),
        must(
            "events_forwarded",
            Kind::Number(0, u32::MAX),
            "events sent to it since the start",
        ),
        must(
            "events_received",
            Kind::Number(0, u32::MAX),
            "events taken from it since the start",
        ),
    ]);
    shape["additionalProperties"] = true.into();
    if let Some(properties) = shape["properties"].as_object_mut() {
        // Counters have no end.
        for counter in ["events_forwarded", "events_received"] {
            if let Some(property) = properties.get_mut(counter).and_then(Value::as_object_mut) {
                property.remove("maximum");
            }
        }
    }
    shape
}

impl Link {
    fn of(entry: PeerEntry, status: &PeerStatus) -> Self {
        let (address, port) = match entry.address.as_deref().and_then(split) {
            Some((host, port)) => (Some(host.to_owned()), port),
            None => (None, None),
        };
        Self {
            status: match status.state {
                PeerState::Flowing | PeerState::Connected => "connected",
                PeerState::Connecting => "connecting",
                PeerState::Waiting if entry.address.is_some() => "connecting",
                PeerState::Waiting => "waiting",
                PeerState::Paused => "paused",
                PeerState::Disabled => "disabled",
            },
            state: status.state.word(),
            reason: status.reason.clone(),
            stopped_by: status.stopped_by.clone(),
            address,
            port,
            protocol: "tls",
            bidirectional: entry.incoming && entry.outgoing,
            incoming: entry.incoming,
            outgoing: entry.outgoing,
            enabled: entry.enabled,
            ca_fingerprints: entry.authorities,
            fingerprint: entry.fingerprint,
            keepalive_seconds: entry.keepalive_seconds,
            events_forwarded: status.events_out,
            events_received: status.events_in,
            forwarded_per_second: status.rate_out,
            received_per_second: status.rate_in,
            last_heard: status.last_heard.clone(),
            round_trip_ms: status.line.as_ref().and_then(|line| line.round_trip_ms),
            clock_offset_ms: status.clock.offset_ms,
            waiting: status.sending.waiting + status.spool.events,
            dropped: status.dropped.clone(),
            name: entry.name,
        }
    }
}

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
    change.address = address(&members, Some(&before))?;
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
    if change.ca_pem.is_some() || change.fingerprint.is_some() {
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

/// `host:port` from `address` and `port`; what is not said stays as it was.
fn address(members: &Members, before: Option<&Link>) -> Result<Option<String>, Problem> {
    let port = members
        .number("port")
        .and_then(|port| u16::try_from(port).ok());
    let written = members
        .text("address")
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let old = before.and_then(|link| Some((link.address.clone()?, link.port)));
    let (host, inner) = match (written, &old) {
        (Some(written), _) => {
            let (host, inner) = split(written).ok_or_else(|| {
                let words =
                    format!("\"{written}\" is no address; give a host name or an IP address");
                Problem::of_key("address", words)
            })?;
            (host.to_owned(), inner)
        }
        (None, _) if port.is_none() => return Ok(None),
        (None, Some((host, _))) => (host.clone(), None),
        (None, None) => {
            return Err(Problem::of_key(
                "port",
                "there is no address to dial; give address too",
            ));
        }
    };
    if written.is_some() && inner.is_some() && port.is_some() && inner != port {
        let words = "it is not the port in address; give one of them";
        return Err(Problem::of_key("port", words));
    }
    let before = old.and_then(|(_, port)| port);
    let port = port.or(inner).or(before).unwrap_or(FEDERATION_PORT);
    Ok(Some(match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }))
}

/// Host, and port if it names one; IPv6 in brackets or bare.
fn split(address: &str) -> Option<(&str, Option<u16>)> {
    if let Some(inner) = address.strip_prefix('[') {
        let (host, rest) = inner.split_once(']')?;
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(port.parse().ok()?),
            None if rest.is_empty() => None,
            None => return None,
        };
        return Some((host, port));
    }
    match address.split_once(':') {
        Some((host, port)) if !port.contains(':') => Some((host, Some(port.parse().ok()?))),
        // A bare IPv6 address.
        Some(_) => Some((address, None)),
        None => Some((address, None)),
    }
}

/// The CA as PEM: as it was given, or from a file of the box; with a pin the one certificate that has it.
fn authority(members: &Members, control: &dyn Control) -> Result<Option<String>, Problem> {
    let given = members
        .text("ca_cert")
        .filter(|text| !text.trim().is_empty());
    let pin = members.text("ca_pin").map(|pin| {
        let fault = "no SHA-256 fingerprint; give 64 hex digits, with or without colons and the prefix SHA256:";
        pin.parse::<Fingerprint>().map_err(|_| Problem::of_key("ca_pin", fault))
    });
    let pin = pin.transpose()?;
    let Some(given) = given else {
        return match pin {
            None => Ok(None),
            Some(_) => Err(Problem::of_key(
                "ca_pin",
                "there is no ca_cert to look for it in; give both",
            )),
        };
    };
    let text = match given.contains("-----BEGIN") {
        true => given.to_owned(),
        false => read(given, control)?,
    };
    let about = |fault: authority::AuthorityFault| {
        Problem::of_key("ca_cert", format!("{fault}; {}", fault.cure()))
    };
    let certificates = authority::read(text.as_bytes()).map_err(about)?;
    let Some(pin) = pin else {
        return Ok(Some(authority::certificates_only(&text)));
    };
    let pinned: Vec<_> = certificates
        .into_iter()
        .filter(|one| Fingerprint::of(one) == pin)
        .collect();
    match pinned.is_empty() {
        false => Ok(Some(pem(&pinned))),
        true => Err(Problem::of_key(
            "ca_pin",
            format!(
                "no certificate of ca_cert has {pin}: is it the right file, or has the CA been replaced?"
            ),
        )),
    }
}

/// Reads a file of the box: where it says, or at the same path beside the configuration.
fn read(path: &str, control: &dyn Control) -> Result<String, Problem> {
    let mut places = vec![PathBuf::from(path)];
    if let Response::Config(config) = control.handle(Request::ConfigText)
        && let Some(folder) = Path::new(&config.file).parent()
    {
        places.push(folder.join(path.trim_start_matches('/')));
    }
    let found = places
        .iter()
        .find(|place| place.is_absolute() && place.is_file());
    let words = "there is no such file on the box; give the path of one, or the certificate itself as PEM text";
    let found = found.ok_or_else(|| Problem::of_key("ca_cert", format!("{path}: {words}")))?;
    let bytes = files::read_bounded(found, MOST_PEM_BYTES);
    let bytes = bytes.map_err(|error| {
        let words = format!(
            "{}: {}; the box must be able to read it",
            found.display(),
            files::fault(&error)
        );
        Problem::of_key("ca_cert", words)
    })?;
    let no_pem = "it is no PEM; convert it with `openssl x509 -inform der`";
    String::from_utf8(bytes)
        .map_err(|_| Problem::of_key("ca_cert", format!("{}: {no_pem}", found.display())))
}

/// What stands in the newer keys of `[[peer]]`.
fn more(members: &Members) -> Result<KeyChanges, Problem> {
    let mut changes = filters::keys(members)?;
    for key in ["data_packages_in", "data_packages_out", "spool"] {
        if let Some(on) = members.flag(key) {
            changes.insert(key.to_owned(), Some(Written::Switch(on)));
        }
    }
    if let Some(rate) = members.text("rate") {
        changes.insert("rate".to_owned(), Some(Written::Text(rate.to_owned())));
    }
    if members.is_null("rate") {
        changes.insert("rate".to_owned(), None);
    }
    Ok(changes)
}

fn fingerprint(members: &Members) -> Result<Option<String>, Problem> {
    let Some(text) = members.text("fingerprint") else {
        return Ok(None);
    };
    let read: Result<Fingerprint, _> = text.parse();
    let read = read.map_err(|fault| Problem::of_key("fingerprint", fault.to_string()))?;
    Ok(Some(read.to_string()))
}

/// Incoming and outgoing, as far as something is said of them.
fn directions(members: &Members) -> Result<(Option<bool>, Option<bool>), Problem> {
    let (incoming, outgoing) = (members.flag("incoming"), members.flag("outgoing"));
    let Some(both) = members.flag("bidirectional") else {
        return Ok((incoming, outgoing));
    };
    if both && (incoming == Some(false) || outgoing == Some(false)) {
        let words = "true contradicts incoming or outgoing; leave it out";
        return Err(Problem::of_key("bidirectional", words));
    }
    if !both && incoming == Some(true) && outgoing == Some(true) {
        let words = "false contradicts incoming and outgoing; leave it out";
        return Err(Problem::of_key("bidirectional", words));
    }
    Ok((incoming.or(Some(both)), outgoing.or(Some(true))))
}

/// A name as a segment of a path.
fn encode(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(byte.into())
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
