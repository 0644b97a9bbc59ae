//! `tombolo cert` and `tombolo export`: commands on our own files, with what the configuration says about us.

use std::io::{self, Write};

use super::cert::{self, CertArgs};
use super::export::{self, ExportArgs};
use super::failure::Failure;
use super::local::{Local, LocalError};
use super::output::print;
use super::paths::Places;
use crate::config::Config;
use crate::config::settings::{CLIENTS_TLS_PORT, FEDERATION_PORT};

/// Runs `cert`.
///
/// # Errors
/// What is wrong and the cure.
pub fn cert(arguments: &CertArgs, places: &Places) -> Result<(), Failure> {
    let config = places.load_config()?;
    let mut arguments = arguments.clone();
    if let CertArgs::Issue { host, .. } = &mut arguments {
        *host = host.take().or_else(|| config.advertised_host.clone());
    }
    perform(&config, places, |local, out, notes| {
        cert::run(&arguments, local, out, notes)
    })
}

/// Runs `export`.
///
/// # Errors
/// What is wrong and the cure.
pub fn export(arguments: &ExportArgs, places: &Places) -> Result<(), Failure> {
    let config = places.load_config()?;
    let mut arguments = arguments.clone();
    if let ExportArgs::Coreconfig(coreconfig) = &mut arguments {
        let named = coreconfig.address.take();
        coreconfig.address = named.or_else(|| config.advertised_host.clone());
    }
    perform(&config, places, |local, out, notes| {
        export::run(&arguments, local, out, notes)
    })
}

fn perform(
    config: &Config,
    places: &Places,
    command: impl FnOnce(&Local<'_>, &mut dyn Write, &mut dyn Write) -> Result<(), LocalError>,
) -> Result<(), Failure> {
    let identity = config.identity.as_ref();
    let local = Local {
        state: &places.state,
        node_name: &config.name,
        identity: identity.map(|files| (files.certificate.as_path(), files.key.as_path())),
        clients_port: config
            .listen
            .clients_tls
            .map_or(CLIENTS_TLS_PORT, |address| address.port()),
        federation_port: config
            .listen
            .federation
            .first()
            .map_or(FEDERATION_PORT, std::net::SocketAddr::port),
        peers: &config.peers,
    };
    // Collected, so that a reader of the output that has gone is no failure.
    let mut out = Vec::new();
    let done = command(&local, &mut out, &mut io::stderr());
    print(&String::from_utf8_lossy(&out))?;
    Ok(done?)
}
