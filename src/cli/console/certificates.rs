//! Our certificates as the console shows them.

use rustls_pki_types::UnixTime;

use crate::cli::paths::Places;
use crate::config::Config;
use crate::console::OwnCertificates;
use crate::pki::certificate::{Facts, stamp};
use crate::pki::store::pem;
use crate::pki::{Fingerprint, KeyAlgorithm, Own, Store};

/// What we show to federates; none before the first start, which makes it.
pub(super) fn own(places: &Places, config: &Config) -> Option<OwnCertificates> {
    // Looking must not make keys: whoever looks may be another user than the box.
    if !Store::exists(&places.state) {
        return None;
    }
    let identity = config.identity.as_ref();
    let identity = identity.map(|files| (files.certificate.as_path(), files.key.as_path()));
    let algorithm = KeyAlgorithm::default();
    let own = Own::open(
        &places.state,
        &config.name,
        identity,
        algorithm,
        UnixTime::now(),
    )
    .ok()?;
    let leaf = own.identity.chain.first()?;
    let facts = Facts::read(leaf).ok()?;
    Some(OwnCertificates {
        fingerprint: own.identity.fingerprint().to_string(),
        authority_fingerprint: Fingerprint::of(own.issuer()).to_string(),
        until: stamp(facts.not_after),
        subject: facts.subject,
        issuer: facts.issuer,
        leaf_pem: pem(std::slice::from_ref(leaf)),
        authority_pem: pem(std::slice::from_ref(own.issuer())),
    })
}
