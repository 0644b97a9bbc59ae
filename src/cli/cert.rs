//! `tombolo cert`: our certificates, and certificates for local users.

mod import;
mod renew;
mod revoke;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use rustls_pki_types::UnixTime;
use serde::Serialize;

use super::local::{Local, LocalError};
use crate::api::coreconfig::keytool_hint;
use crate::config::settings::name_fault;
use crate::files::{fault, private_directory};
use crate::pki::certificate::{Facts, stamp};
use crate::pki::package::{Connection, file_stem, random_password};
use crate::pki::store::{display_name, pem};
use crate::pki::{Fingerprint, KeyAlgorithm, Own, Store, files};
use crate::system::address::own_address;
use renew::Renew;

/// What `cert` can do.
#[derive(Debug, Clone, Subcommand)]
pub enum CertArgs {
    /// Make CA and certificates now, with a choice of keys (`run` makes ECDSA ones when there are none)
    Create {
        /// Kind of keys; rsa-2048 for peers that know nothing else
        #[arg(long, value_enum, default_value_t = Keys::EcdsaP256)]
        keys: Keys,
    },
    /// Show name, fingerprints, validity and usages
    Show {
        /// For scripts
        #[arg(long)]
        json: bool,
    },
    /// Write our certificates for a peer's administrator: NAME-federation.pem and NAME-ca.pem
    Export {
        /// Directory to write to, made when there is none, or - for the standard output
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
    },
    /// Issue a certificate for an ATAK user, as a connection package to import
    Issue {
        /// The user's callsign
        callsign: String,
        /// Where the user reaches this box; without it the address of the interface with the default route
        #[arg(long, value_name = "ADDRESS[:PORT]")]
        host: Option<String>,
        /// Password of the .p12 files; without it a random one. Either way it is in the package, nobody types it
        #[arg(long)]
        password: Option<String>,
        /// The package, its directory made when there is none; without it CALLSIGN.zip
        #[arg(long, value_name = "FILE.zip")]
        out: Option<PathBuf>,
    },
    /// Make the next federation certificate; other boxes are told of it before it is shown
    Renew {
        /// With a new CA, which the old one signs
        #[arg(long)]
        ca: bool,
        /// Show the one that waits, whoever knows it
        #[arg(long, conflicts_with = "ca")]
        switch: bool,
        /// Forget the one that waits
        #[arg(long, conflicts_with_all = ["ca", "switch"])]
        cancel: bool,
    },
    /// Take back what `issue` gave out; who is connected with it is cut
    Revoke {
        /// A callsign, the SHA-256 of the certificate, serial:HEX, or a file with the certificate
        who: String,
    },
    /// Show the revocation lists, or take one in
    Crl {
        /// A list of our CA, or of a peer's, PEM or DER
        file: Option<PathBuf>,
        /// For scripts
        #[arg(long, conflicts_with = "file")]
        json: bool,
    },
    /// Take in a certificate with its key that somebody else made: PEM, .p12 or .jks
    Import {
        /// One file or several: certificate, CA, key
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// A file with the password; TAK's and Java's usual ones are tried without
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Directory for certificate and key; without it that of our own
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

/// Kinds of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Keys {
    /// ECDSA on P-256
    EcdsaP256,
    /// RSA, 2048 bits
    #[value(name = "rsa-2048")]
    Rsa2048,
}

/// Runs the command; answers go to `out`, hints that must not mix with piped output to `notes`.
///
/// # Errors
/// What is wrong and the cure.
pub fn run(
    args: &CertArgs,
    local: &Local<'_>,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> Result<(), LocalError> {
    match args {
        CertArgs::Create { keys } => create(*keys, local, out),
        CertArgs::Show { json } => show(*json, local, out),
        CertArgs::Export { out: place } => export(place, local, out, notes),
        CertArgs::Issue {
            callsign,
            host,
            password,
            out: file,
        } => {
            let order = Order {
                callsign: callsign.trim(),
                host: host.as_deref(),
                password: password.as_deref(),
                file: file.as_deref(),
            };
            issue(&order, local, out)
        }
        CertArgs::Renew { ca, switch, cancel } => {
            let order = match (switch, cancel) {
                (true, _) => Renew::Switch,
                (_, true) => Renew::Cancel,
                _ => Renew::Make { new_ca: *ca },
            };
            renew::run(order, local, out)
        }
        CertArgs::Revoke { who } => revoke::revoke(who.trim(), local, out),
        CertArgs::Crl { file, json } => revoke::lists(file.as_deref(), *json, local, out),
        CertArgs::Import {
            files,
            password_file,
            out: place,
        } => import::run(
            files,
            password_file.as_deref(),
            place.as_deref(),
            local,
            out,
        ),
    }
}

fn create(keys: Keys, local: &Local<'_>, out: &mut dyn Write) -> Result<(), LocalError> {
    if Store::exists(local.state) {
        return Err(LocalError::StoreExists(local.state.join("pki")));
    }
    local.open_with(match keys {
        Keys::EcdsaP256 => KeyAlgorithm::EcdsaP256,
        Keys::Rsa2048 => KeyAlgorithm::Rsa2048,
    })?;
    show(false, local, out)
}

/// `cert show --json`.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    fingerprint: String,
    fingerprint_colons: String,
    ca_fingerprint: String,
    ca_fingerprint_colons: String,
    subject: String,
    issuer: String,
    not_before: String,
    not_after: String,
    usages: Vec<&'static str>,
    files: ShownFiles,
}

#[derive(Debug, Serialize)]
struct ShownFiles {
    certificate: PathBuf,
    key: PathBuf,
    ca: PathBuf,
}

fn show(json: bool, local: &Local<'_>, out: &mut dyn Write) -> Result<(), LocalError> {
    let own = local.open()?;
    let shown = Shown::of(&own, local);
    if json {
        let text =
            serde_json::to_string(&shown).map_err(|error| LocalError::Output(error.to_string()))?;
        writeln!(out, "{text}")?;
        return Ok(());
    }
    let files = [&shown.files.certificate, &shown.files.key, &shown.files.ca]
        .map(|path| path.display().to_string());
    for (label, value) in [
        ("name", shown.name.as_str()),
        ("fingerprint", &shown.fingerprint),
        ("", &shown.fingerprint_colons),
        ("CA fingerprint", &shown.ca_fingerprint),
        ("", &shown.ca_fingerprint_colons),
        ("subject", &shown.subject),
        ("issuer", &shown.issuer),
        ("valid from", &shown.not_before),
        ("valid until", &shown.not_after),
        ("usages", &shown.usages.join(" ")),
        ("certificate", &files[0]),
        ("key", &files[1]),
        ("CA", &files[2]),
    ] {
        writeln!(out, "{label:<16}{value}")?;
    }
    Ok(())
}

impl Shown {
    fn of(own: &Own, local: &Local<'_>) -> Self {
        let leaf = &own.identity.chain[0];
        // Read once already, when the identity was checked.
        let facts = Facts::read(leaf).ok();
        let text = |field: fn(&Facts) -> String| facts.as_ref().map(field).unwrap_or_default();
        let (fingerprint, authority) = (own.identity.fingerprint(), Fingerprint::of(own.issuer()));
        let directory = own.store.directory();
        let (certificate, key) = match local.identity {
            Some((certificate, key)) => (certificate.to_owned(), key.to_owned()),
            None => (directory.join("node.pem"), directory.join("node.key")),
        };
        Self {
            name: display_name(leaf),
            fingerprint: fingerprint.to_string(),
            fingerprint_colons: fingerprint.colons(),
            ca_fingerprint: authority.to_string(),
            ca_fingerprint_colons: authority.colons(),
            subject: text(|facts| facts.subject.clone()),
            issuer: text(|facts| facts.issuer.clone()),
            not_before: text(|facts| stamp(facts.not_before)),
            not_after: text(|facts| stamp(facts.not_after)),
            usages: facts.map(|facts| facts.usages).unwrap_or_default(),
            files: ShownFiles {
                certificate,
                key,
                ca: directory.join("ca.pem"),
            },
        }
    }
}

fn export(
    place: &Path,
    local: &Local<'_>,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> Result<(), LocalError> {
    let own = local.open()?;
    let leaf = pem(&own.identity.chain[..1]);
    let authority = pem(std::slice::from_ref(own.issuer()));
    let stem = file_stem(local.node_name);
    let fingerprints = format!(
        "{}{}",
        labelled("fingerprint to register", own.identity.fingerprint()),
        labelled("CA fingerprint", Fingerprint::of(own.issuer()))
    );
    if place == Path::new("-") {
        write!(out, "{leaf}{authority}")?;
        write!(notes, "{fingerprints}")?;
        return Ok(());
    }
    std::fs::create_dir_all(place)
        .map_err(|error| LocalError::Write(place.to_owned(), fault(&error)))?;
    for (name, text, purpose) in [
        (
            "federation",
            &leaf,
            "this box's own certificate, for a peer that registers the certificate itself",
        ),
        (
            "ca",
            &authority,
            "its CA: `tombolo peer add NAME --ca-cert` on a peer, the truststore of a TAK Server",
        ),
    ] {
        let path = place.join(format!("{stem}-{name}.pem"));
        files::write(&path, 0o644, text.as_bytes())
            .map_err(|error| LocalError::Write(path.clone(), fault(&error)))?;
        writeln!(out, "written  {}\n         {purpose}", path.display())?;
    }
    write!(out, "{fingerprints}")?;
    writeln!(
        out,
        "on a TAK Server, then restart it:\n  {}",
        keytool_hint(&stem)
    )?;
    Ok(())
}

fn labelled(label: &str, fingerprint: Fingerprint) -> String {
    format!(
        "{label:<25}{fingerprint}\n{:25}{}\n",
        "",
        fingerprint.colons()
    )
}

struct Order<'a> {
    callsign: &'a str,
    host: Option<&'a str>,
    password: Option<&'a str>,
    file: Option<&'a Path>,
}

fn issue(order: &Order<'_>, local: &Local<'_>, out: &mut dyn Write) -> Result<(), LocalError> {
    let (host, port) = match order.host {
        Some(text) => address(text, local.clients_port)?,
        None => (own_address(), local.clients_port),
    };
    let password = match order.password {
        Some(password) if !usable(password) => return Err(LocalError::Password),
        Some(password) => password.to_owned(),
        None => random_password()?,
    };
    if let Some(wrong) = name_fault(order.callsign) {
        return Err(LocalError::Callsign(wrong));
    }
    let own = local.open()?;
    let identity = own.store.issue_client(order.callsign, UnixTime::now())?;
    let connection = Connection {
        callsign: order.callsign,
        server_name: local.node_name,
        host: &host,
        port,
        identity: &identity,
        authorities: &own.truststore(),
        password: &password,
    };
    let path = order.file.map_or_else(
        || PathBuf::from(format!("{}.zip", connection.file_stem())),
        Path::to_owned,
    );
    if path.exists() {
        return Err(LocalError::Exists(path));
    }
    let package = connection.package()?;
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        // What is made for a key is for its owner alone.
        private_directory(parent)
            .map_err(|error| LocalError::Write(parent.to_owned(), fault(&error)))?;
    }
    files::write(&path, 0o600, &package)
        .map_err(|error| LocalError::Write(path.clone(), fault(&error)))?;
    let until = Facts::read(&identity.chain[0]).map_or(0, |facts| facts.not_after);
    for (label, value) in [
        ("user", order.callsign),
        ("package", &path.display().to_string()),
        ("connects to", &format!("{host}:{port}")),
        ("password", &password),
        ("valid until", &stamp(until)),
    ] {
        writeln!(out, "{label:<13}{value}")?;
    }
    writeln!(
        out,
        "Copy the package to the phone and import it (ATAK: Import Manager, Local SD). It holds the key and the \
         password:\nhand it over in person and delete it afterwards."
    )?;
    Ok(())
}

/// `host` or `host:port`. ATAK splits its connect string at colons, so IPv6 addresses cannot be written there.
fn address(text: &str, port: u16) -> Result<(String, u16), LocalError> {
    let wrong = |why| LocalError::Address(text.to_owned(), why);
    let (host, port) = match text.split_once(':') {
        None => (text, port),
        Some((_, rest)) if rest.contains(':') => {
            return Err(wrong(
                "ATAK cannot write an IPv6 address: give a host name or an IPv4 address",
            ));
        }
        Some((host, digits)) => match digits.parse() {
            Ok(port) if port > 0 => (host, port),
            _ => return Err(wrong("the port must be a number from 1 to 65535")),
        },
    };
    let fit = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
    if host.is_empty() || !host.chars().all(fit) {
        return Err(wrong(
            "give a host name or an IPv4 address, as ADDRESS or ADDRESS:PORT",
        ));
    }
    Ok((host.to_owned(), port))
}

fn usable(password: &str) -> bool {
    (1..=64).contains(&password.len())
        && password
            .chars()
            .all(|letter| letter.is_ascii_graphic() || letter == ' ')
}

#[cfg(test)]
mod tests;
