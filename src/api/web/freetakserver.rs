//! The two routes of FreeTAKServer's documents (checklist S73, S74), for programs on this machine: nobody is asked who
//! it is, so nothing can be done here that needs trust. A federate is switched on, never made known.

use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use super::federation::{done, peers};
use super::fields::{Field, Kind, Members, may, must, schema};
use super::problem::Problem;
use super::reply::Reply;
use super::route::Call;
use crate::api::request::Request;
use crate::api::status::{PeerState, PeerStatus};
use crate::api::turns::Control;
use crate::config::PeerChange;
use crate::config::settings::FEDERATION_PORT;

/// What `connect` brings.
pub const CONNECT: &[Field] = &[
    must("address", Kind::Text(255), "where the federate is dialled"),
    may(
        "port",
        Kind::Number(1, 65_535),
        "at which port; 9001 without",
    ),
    may("initiator", Kind::Text(255), "who asks; it changes nothing"),
    may(
        "protocol",
        Kind::Choice(&["ssl", "tls"]),
        "mutual TLS, whatever it is called",
    ),
];

#[derive(Debug, Serialize)]
struct Federations {
    federations: Vec<Federation>,
}

#[derive(Debug, Serialize)]
struct Federation {
    remote_server: String,
    status: &'static str,
    node_id: String,
    last_heartbeat: Option<String>,
}

/// The shape of [`status`], for the document.
pub fn shape() -> Value {
    let text = Kind::Text(1024);
    let mut one = schema(&[
        must("remote_server", text, "host:port"),
        must(
            "status",
            Kind::Choice(&["connected", "connecting", "disconnected"]),
            "how its link stands",
        ),
        must("node_id", text, "its name"),
        may(
            "last_heartbeat",
            text,
            "when it last said anything, RFC 3339",
        ),
    ]);
    // Nothing was heard of it yet.
    one["properties"]["last_heartbeat"]["type"] = json!(["string", "null"]);
    json!({
        "type": "object",
        "properties": {"federations": {"type": "array", "items": one}},
        "required": ["federations"],
    })
}

/// `GET /api/federation/status`.
///
/// # Errors
/// When the box answers something else.
pub fn status(_: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let peers = peers(control)?.into_iter();
    let federations = peers.map(|(_, status)| federation(status)).collect();
    Ok(Reply::json(200, &Federations { federations }))
}

fn federation(status: PeerStatus) -> Federation {
    Federation {
        status: word(status.state),
        remote_server: status.address.unwrap_or_else(|| status.name.clone()),
        node_id: status.name,
        last_heartbeat: status.last_heard,
    }
}

const fn word(state: PeerState) -> &'static str {
    match state {
        PeerState::Connected | PeerState::Flowing => "connected",
        PeerState::Connecting | PeerState::Waiting => "connecting",
        PeerState::Paused | PeerState::Disabled => "disconnected",
    }
}

/// `POST /api/federation/connect`.
///
/// # Errors
/// When no federate of that address is registered.
pub fn connect(call: &Call<'_>, control: &dyn Control) -> Result<Reply, Problem> {
    let members = Members::read(call.body, CONNECT)?;
    let host = members.text("address").unwrap_or_default().trim();
    let port = members.number("port").unwrap_or(FEDERATION_PORT.into());
    let wanted = [format!("{host}:{port}"), format!("[{host}]:{port}")];
    let is_it = |address: &str| wanted.iter().any(|one| one.eq_ignore_ascii_case(address));
    let found = peers(control)?.into_iter().find(|(entry, _)| {
        let dialled = entry.address.as_deref().is_some_and(is_it);
        dialled || (entry.address.is_none() && entry.name == host)
    });
    let Some((entry, status)) = found else {
        let words = format!(
            "address: no federate is registered at {host}:{port}, and how to recognise it is not known; register it \
             first, with its CA: `tombolo peer add NAME --address {host}:{port} --ca-cert FILE`, or POST /api/federation"
        );
        return Err(Problem {
            key: Some("address".to_owned()),
            ..Problem::new(StatusCode::CONFLICT, "unregistered", words)
        });
    };
    if !entry.enabled {
        let change = PeerChange {
            enabled: Some(true),
            ..PeerChange::of(&entry.name)
        };
        done(control, Request::PeerSet { change })?;
    }
    let state = match entry.enabled {
        true => word(status.state),
        false => "connecting",
    };
    Ok(Reply::json(
        200,
        &json!({"remote_server": format!("{host}:{port}"), "status": state, "node_id": entry.name}),
    ))
}
