//! Chains for tests: made on the spot, good and bad in every way that peers are.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Fingerprint, Identity, TrustRule};

/// 2026-11-21, seconds.
pub(crate) const NOW: i64 = 1_795_219_200;

/// The same, and not before this program was built: what a store issues begins a day before that at the earliest.
pub(crate) const AFTER_BUILD: i64 = match i64::from_str_radix(env!("TOMBOLO_BUILD_SECONDS"), 10) {
    Ok(built) if built > NOW => built,
    _ => NOW,
};

/// A moment.
pub(crate) fn at(seconds: i64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(seconds).unwrap()))
}

/// The machine's time, for real handshakes.
pub(crate) fn today() -> i64 {
    i64::try_from(UnixTime::now().as_secs()).unwrap()
}

/// A CA.
pub(crate) struct Authority {
    pub certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// How a leaf differs from a good one.
pub(crate) struct Leaf {
    pub name: Option<&'static str>,
    pub usages: Vec<ExtendedKeyUsagePurpose>,
    pub key_usages: Vec<KeyUsagePurpose>,
    pub from: i64,
    pub until: i64,
}

impl Leaf {
    pub(crate) fn good(name: &'static str) -> Self {
        Self {
            name: Some(name),
            usages: vec![
                ExtendedKeyUsagePurpose::ServerAuth,
                ExtendedKeyUsagePurpose::ClientAuth,
            ],
            key_usages: vec![KeyUsagePurpose::DigitalSignature],
            from: NOW.min(today()) - 86_400,
            until: NOW.max(today()) + 86_400,
        }
    }

    pub(crate) fn usages(mut self, usages: &[ExtendedKeyUsagePurpose]) -> Self {
        self.usages = usages.to_vec();
        self
    }

    pub(crate) fn dates(mut self, from: i64, until: i64) -> Self {
        (self.from, self.until) = (from, until);
        self
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = named(Some(name));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self {
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn issue(&self, leaf: Leaf) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = named(leaf.name);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = leaf.key_usages;
        params.extended_key_usages = leaf.usages;
        params.not_before = OffsetDateTime::from_unix_timestamp(leaf.from).unwrap();
        params.not_after = OffsetDateTime::from_unix_timestamp(leaf.until).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity {
            chain: vec![certificate.der().clone(), self.certificate.clone()],
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        }
    }
}

impl Authority {
    /// A revocation list, DER, due at that moment.
    pub(crate) fn revoke(&self, leaves: &[&Identity], due: i64) -> Vec<u8> {
        let moment = |seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        let revoked = leaves.iter().map(|leaf| {
            let (_, parsed) = X509Certificate::from_der(&leaf.chain[0]).unwrap();
            RevokedCertParams {
                serial_number: SerialNumber::from_slice(parsed.raw_serial()),
                revocation_time: moment(NOW),
                reason_code: None,
                invalidity_date: None,
            }
        });
        let list = CertificateRevocationListParams {
            this_update: moment(due - 10),
            next_update: moment(due),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().der().to_vec()
    }
}

/// A registration.
pub(crate) fn rule(
    peer: &str,
    authority: Option<&Authority>,
    leaf: Option<&Identity>,
) -> TrustRule {
    TrustRule {
        peer: peer.to_owned(),
        authorities: authority
            .map(|authority| authority.certificate.clone())
            .into_iter()
            .collect(),
        fingerprints: leaf
            .map(|identity| Fingerprint::of(&identity.chain[0]))
            .into_iter()
            .collect(),
        ..TrustRule::default()
    }
}

fn named(name: Option<&str>) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    match name {
        Some(name) => distinguished.push(DnType::CommonName, name),
        None => distinguished.push(DnType::OrganizationName, "nameless"),
    }
    distinguished
}
