//! What another server's administrator needs to federate with this box, ready to be copied.

use serde::{Deserialize, Serialize};

use super::coreconfig::{Pieces, Snippet, keytool_hint};
use crate::config::Config;
use crate::config::settings::FEDERATION_PORT;
use crate::pki::package::file_stem;
use crate::pki::store::pem;
use crate::pki::{Fingerprint, Own};
use crate::system::address::own_address;

/// Where this box is, who it is, and what to paste.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionInfo {
    /// The box's name.
    pub name: String,
    /// Where others reach it.
    pub hostname: String,
    /// The port of federation v2.
    pub port: u16,
    /// SHA-256 of our federation certificate.
    pub fingerprint: String,
    /// The same as TAK Server spells it.
    pub fingerprint_colons: String,
    /// SHA-256 of the certificate of our CA.
    pub ca_fingerprint: String,
    /// Our id in provenance.
    pub federate_id: String,
    /// Our federation certificate with its issuer, PEM.
    pub federation_certificate: String,
    /// The certificate of our CA, PEM.
    pub ca_certificate: String,
    /// `<federation-outgoing>`: the connection block.
    pub outgoing_snippet: String,
    /// `<federate>` and `<federateCA>`: the routing block.
    pub federate_snippet: String,
    /// How our CA gets into a TAK Server's truststore.
    pub keytool: String,
    /// Keys of the configuration that should be set, with the reason.
    pub missing: Vec<String>,
}

impl ConnectionInfo {
    /// Ours. `port` is where federates are really listened for.
    pub fn of(own: &Own, config: &Config, federate_id: &str, port: Option<u16>) -> Self {
        let mut missing = Vec::new();
        if config.advertised_host.is_none() {
            missing.push(
                "node.advertised_host: not set, so the hostname here is what this box calls itself in its own network"
                    .to_owned(),
            );
        }
        if port.is_none() {
            missing.push("listen.federation: off, so nobody can dial this box".to_owned());
        }
        let hostname = config.advertised_host.clone().unwrap_or_else(own_address);
        let port = port.unwrap_or(FEDERATION_PORT);
        let pieces = Pieces::of(own, &config.name, hostname.clone(), port, false);
        let snippet = |which| {
            let xml = pieces.write(which).unwrap_or_default();
            String::from_utf8_lossy(&xml).into_owned()
        };
        let fingerprint = own.identity.fingerprint();
        Self {
            name: config.name.clone(),
            port,
            fingerprint: fingerprint.to_string(),
            fingerprint_colons: fingerprint.colons(),
            ca_fingerprint: Fingerprint::of(own.issuer()).to_string(),
            federate_id: federate_id.to_owned(),
            federation_certificate: pem(&own.identity.chain),
            ca_certificate: pem(std::slice::from_ref(own.issuer())),
            outgoing_snippet: snippet(Snippet::Outgoing),
            federate_snippet: snippet(Snippet::Federate),
            keytool: keytool_hint(&file_stem(&config.name)),
            hostname,
            missing,
        }
    }
}
