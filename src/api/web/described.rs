//! A federate as requests describe it: the members, and what they become in `[[peer]]`.

use std::path::{Path, PathBuf};

use super::fields::{Field, Kind, Members, may, must};
use super::filters::{self, FILTERS};
use super::problem::Problem;
use super::trust;
use crate::api::request::{Request, Response};
use crate::api::turns::Control;
use crate::config::authority::{self, MOST_PEM_BYTES};
use crate::config::settings::FEDERATION_PORT;
use crate::config::written::{KeyChanges, Written};
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
        "host name or IP address to dial, or host:port; where there is none, it dials us",
    ),
    may(
        "port",
        Kind::Number(1, 65_535),
        "port to dial; 9001 where none was given",
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
    trust::CA_PIN,
    trust::FINGERPRINTS,
    trust::DENIED,
    trust::CRL,
    trust::SOURCES,
    trust::SECRET,
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
        "package_limit_mib",
        Kind::Number(1, 4096),
        "largest data package either way",
    ),
    may(
        "package_block_extensions",
        Kind::Words(32),
        "such files do not cross, alone or in a package",
    ),
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

/// What can be changed of one: all but its name. `null` takes address, ca_cert, fingerprint, keepalive_seconds, filters or
/// rate away.
pub const CHANGE: &[Field] = NEW.split_at(1).1;

/// `host:port` from `address` and `port`; what is not said stays as it was.
///
/// # Errors
/// When it is no address, or there is none.
pub fn address(
    members: &Members,
    before: Option<(String, Option<u16>)>,
) -> Result<Option<String>, Problem> {
    let port = members
        .number("port")
        .and_then(|port| u16::try_from(port).ok());
    let written = members
        .text("address")
        .map(str::trim)
        .filter(|text| !text.is_empty());
    let (host, inner) = match (written, &before) {
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
    let before = before.and_then(|(_, port)| port);
    let port = port.or(inner).or(before).unwrap_or(FEDERATION_PORT);
    Ok(Some(match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }))
}

/// Host, and port if it names one; IPv6 in brackets or bare.
pub fn split(address: &str) -> Option<(&str, Option<u16>)> {
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
///
/// # Errors
/// What is wrong with it, and the key.
pub fn authority(members: &Members, control: &dyn Control) -> Result<Option<String>, Problem> {
    let given = members
        .text("ca_cert")
        .filter(|text| !text.trim().is_empty());
    let pin = members.text("ca_pin").map(|pin| {
        let fault = "no SHA-256 fingerprint; give 64 hex digits, with or without colons and the prefix SHA256:";
        pin.parse::<Fingerprint>().map_err(|_| Problem::of_key("ca_pin", fault))
    });
    let pin = pin.transpose()?;
    let Some(given) = given else {
        // A pin alone is a key of the peer: its CA then comes with its own certificate.
        return Ok(None);
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
    String::from_utf8(bytes).or_else(|error| {
        // DER, or a keystore.
        let authorities = authority::read_any(error.as_bytes()).map_err(|fault| {
            let words = format!("{}: {fault}; {}", found.display(), fault.cure());
            Problem::of_key("ca_cert", words)
        })?;
        Ok(pem(&authorities))
    })
}

/// What stands in the newer keys of `[[peer]]`.
///
/// # Errors
/// What is wrong with it, and the key.
pub fn more(members: &Members) -> Result<KeyChanges, Problem> {
    let mut changes = filters::keys(members)?;
    for key in ["data_packages_in", "data_packages_out", "spool"] {
        if let Some(on) = members.flag(key) {
            changes.insert(key.to_owned(), Some(Written::Switch(on)));
        }
    }
    if let Some(mib) = members.number("package_limit_mib") {
        let written = Written::Number(mib.into());
        changes.insert("package_limit_mib".to_owned(), Some(written));
    }
    if let Some(words) = members.words("package_block_extensions") {
        let written = Some(Written::List(words));
        changes.insert("package_block_extensions".to_owned(), written);
    }
    if let Some(rate) = members.text("rate") {
        changes.insert("rate".to_owned(), Some(Written::Text(rate.to_owned())));
    }
    if members.is_null("rate") {
        changes.insert("rate".to_owned(), None);
    }
    trust::add_to(members, &mut changes);
    Ok(changes)
}

/// The SHA-256 of its leaf.
///
/// # Errors
/// When it is none.
pub fn fingerprint(members: &Members) -> Result<Option<String>, Problem> {
    let Some(text) = members.text("fingerprint") else {
        return Ok(None);
    };
    let read: Result<Fingerprint, _> = text.parse();
    let read = read.map_err(|fault| Problem::of_key("fingerprint", fault.to_string()))?;
    Ok(Some(read.to_string()))
}

/// Incoming and outgoing, as far as something is said of them.
///
/// # Errors
/// When they contradict each other.
pub fn directions(members: &Members) -> Result<(Option<bool>, Option<bool>), Problem> {
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
