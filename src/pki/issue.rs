//! Makes keys and certificates: our CA, our federation leaf, a leaf for an ATAK user.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SanType, SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
#[cfg(feature = "rsa")]
use rsa::pkcs8::EncodePrivateKey;
use rustls_pki_types::{CertificateDer, UnixTime};
use time::OffsetDateTime;

use super::Fingerprint;
use super::certificate::Facts;
use crate::clock::keeper::build_ms;

/// What kind of keys the store makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyAlgorithm {
    /// ECDSA on P-256: small, fast, accepted by every TAK product (protocol reference 1.3 item 6).
    #[default]
    EcdsaP256,
    /// RSA, 2048 bits: for peers that know nothing else. Takes seconds to make on a small board.
    Rsa2048,
}

/// A key or certificate could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueError {
    /// The operating system gives no randomness.
    NoRandomness,
    /// The key cannot be made or used.
    Key,
    /// This build makes no RSA keys.
    NoRsa,
    /// The certificate cannot be encoded, or the CA certificate cannot be read.
    Certificate,
}

const DAY: u64 = 86_400;
/// CAs are valid from here (2020-01-01): some verifiers judge them, and their clocks may be far behind.
const AUTHORITY_START: i64 = 1_577_836_800;
const AUTHORITY_DAYS: u64 = 3_650;
/// As TAK's own certificates (protocol reference 1.3 item 4).
const LEAF_DAYS: u64 = 730;
/// X.520 upper bound of a common name, characters.
pub(super) const MAX_NAME: usize = 64;

pub(super) fn generate_key(algorithm: KeyAlgorithm) -> Result<KeyPair, IssueError> {
    match algorithm {
        KeyAlgorithm::EcdsaP256 => {
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|_| IssueError::Key)
        }
        #[cfg(not(feature = "rsa"))]
        KeyAlgorithm::Rsa2048 => Err(IssueError::NoRsa),
        #[cfg(feature = "rsa")]
        KeyAlgorithm::Rsa2048 => {
            // ring signs with RSA and cannot make its keys; this is the only use of the `rsa` crate.
            let mut random = rsa::rand_core::UnwrapErr(getrandom::SysRng);
            let key = rsa::RsaPrivateKey::new(&mut random, 2048).map_err(|_| IssueError::Key)?;
            let der = key.to_pkcs8_der().map_err(|_| IssueError::Key)?;
            let der = rustls_pki_types::PrivatePkcs8KeyDer::from(der.as_bytes());
            KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_RSA_SHA256)
                .map_err(|_| IssueError::Key)
        }
    }
}

/// A self-signed CA. Part of its key's fingerprint is in its name, so that two boxes of one name never have CAs of
/// one name: truststores look issuers up by name first.
pub(super) fn authority(
    name: &str,
    key: &KeyPair,
    now: UnixTime,
) -> Result<CertificateDer<'static>, IssueError> {
    let mark: String = Fingerprint::of(key.public_key_raw()).0[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let suffix = format!(" CA {mark}");
    let stem: String = name.chars().take(MAX_NAME - suffix.len()).collect();
    let certificate = authority_params(&format!("{stem}{suffix}"), now)?
        .self_signed(key)
        .map_err(|_| IssueError::Certificate)?;
    Ok(certificate.der().clone())
}

fn authority_params(name: &str, now: UnixTime) -> Result<CertificateParams, IssueError> {
    let mut params = base(name, AUTHORITY_DAYS, now)?;
    params.not_before = moment(AUTHORITY_START)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// A new CA as the one before signs it: whoever trusts that one then trusts the new one.
pub(super) fn cross(
    new: &CertificateDer<'_>,
    new_key: &KeyPair,
    (old, old_key): (&CertificateDer<'_>, &KeyPair),
    now: UnixTime,
) -> Result<CertificateDer<'static>, IssueError> {
    let facts = Facts::read(new).map_err(|_| IssueError::Certificate)?;
    let name = facts.common_name.ok_or(IssueError::Certificate)?;
    let mut params = authority_params(&name, now)?;
    params.use_authority_key_identifier_extension = true;
    sign(params, new_key, old, old_key)
}

/// The certificate we prove ourselves with, in both roles: TAK judges servers with the client check too
/// (protocol reference 1.3 item 4), so it carries both extended usages.
pub(super) fn federation_leaf(
    name: &str,
    key: &KeyPair,
    authority: &CertificateDer<'_>,
    authority_key: &KeyPair,
    now: UnixTime,
) -> Result<CertificateDer<'static>, IssueError> {
    let mut params = leaf(name, key, now)?;
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let mut hosts = vec!["localhost".to_owned()];
    if let Some(host) = host_name(name).filter(|host| host != "localhost") {
        hosts.insert(0, host);
    }
    for host in hosts {
        let host = host.try_into().map_err(|_| IssueError::Certificate)?;
        params.subject_alt_names.push(SanType::DnsName(host));
    }
    for address in [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ] {
        params.subject_alt_names.push(SanType::IpAddress(address));
    }
    sign(params, key, authority, authority_key)
}

/// A certificate for one ATAK user: may log in, may not serve.
pub(super) fn client_leaf(
    callsign: &str,
    key: &KeyPair,
    authority: &CertificateDer<'_>,
    authority_key: &KeyPair,
    now: UnixTime,
) -> Result<CertificateDer<'static>, IssueError> {
    let mut params = leaf(callsign, key, now)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    sign(params, key, authority, authority_key)
}

/// The algorithm of a key that was made here or brought along.
pub(super) fn algorithm_of(key: &KeyPair) -> KeyAlgorithm {
    if is_rsa(key) {
        KeyAlgorithm::Rsa2048
    } else {
        KeyAlgorithm::EcdsaP256
    }
}

/// Random bytes from the operating system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], IssueError> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| IssueError::NoRandomness)?;
    Ok(bytes)
}

fn leaf(name: &str, key: &KeyPair, now: UnixTime) -> Result<CertificateParams, IssueError> {
    let mut params = base(name, LEAF_DAYS, now)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    if is_rsa(key) {
        params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
    }
    Ok(params)
}

/// When this release was built, seconds since 1970: a clock that reads earlier is wrong, and certificates that it dates
/// would have ended early.
fn earliest() -> u64 {
    build_ms().unsigned_abs() / 1_000
}

fn base(name: &str, days: u64, now: UnixTime) -> Result<CertificateParams, IssueError> {
    let now = now.as_secs().max(earliest());
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    // One day back: a peer whose clock is a day or a time zone behind must not see it as "not yet valid". Not more,
    // because Apple refuses server certificates that live longer than 825 days, and iTAK runs there.
    params.not_before = moment(i64::try_from(now - DAY).map_err(|_| IssueError::Certificate)?)?;
    params.not_after =
        moment(i64::try_from(now + days * DAY).map_err(|_| IssueError::Certificate)?)?;
    params.serial_number = Some(new_serial()?);
    Ok(params)
}

fn new_serial() -> Result<SerialNumber, IssueError> {
    let mut serial: [u8; 16] = random()?;
    // Positive and of full length, as RFC 5280 4.1.2.2 wants it.
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&serial))
}

fn sign(
    params: CertificateParams,
    key: &KeyPair,
    authority: &CertificateDer<'_>,
    authority_key: &KeyPair,
) -> Result<CertificateDer<'static>, IssueError> {
    let issuer =
        Issuer::from_ca_cert_der(authority, authority_key).map_err(|_| IssueError::Certificate)?;
    let certificate = params
        .signed_by(key, &issuer)
        .map_err(|_| IssueError::Certificate)?;
    Ok(certificate.der().clone())
}

fn moment(seconds: i64) -> Result<OffsetDateTime, IssueError> {
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| IssueError::Certificate)
}

fn is_rsa(key: &KeyPair) -> bool {
    key.algorithm() == &PKCS_RSA_SHA256
}

/// The node name as a DNS name, if anything of it is left.
fn host_name(name: &str) -> Option<String> {
    let host: String = name
        .to_ascii_lowercase()
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() || letter == '.' {
                letter
            } else {
                '-'
            }
        })
        .collect();
    let labels: Vec<&str> = host
        .split('.')
        .map(|label| label.trim_matches('-'))
        .filter(|label| !label.is_empty() && label.len() <= 63)
        .collect();
    Some(labels.join(".")).filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
    }

    #[test]
    fn a_box_that_boots_in_1970_makes_certificates_that_last() {
        let key = generate_key(KeyAlgorithm::EcdsaP256).unwrap();
        let ca = authority("alpha", &key, at(3)).unwrap();
        let leaf = federation_leaf("alpha", &key, &ca, &key, at(3)).unwrap();
        let facts = Facts::read(&leaf).unwrap();
        assert_eq!(facts.not_after - facts.not_before, 731 * 86_400);
        assert_eq!(
            facts.not_after,
            i64::try_from(earliest() + 730 * DAY).unwrap()
        );
        assert_eq!(
            facts.usages,
            ["digitalSignature", "serverAuth", "clientAuth"]
        );
        let facts = Facts::read(&ca).unwrap();
        assert_eq!(facts.not_before, AUTHORITY_START);
        assert_eq!(facts.usages, ["keyCertSign", "cRLSign"]);
        assert!(facts.authority);
    }

    #[test]
    fn names_become_hosts() {
        assert_eq!(host_name("Alpha 1_Süd").as_deref(), Some("alpha-1-s-d"));
        assert_eq!(host_name("-.ä."), None);
        assert_eq!(host_name("tak.example").as_deref(), Some("tak.example"));
    }

    #[test]
    fn serials_differ() {
        let key = generate_key(KeyAlgorithm::EcdsaP256).unwrap();
        assert_ne!(
            authority("a", &key, at(earliest())),
            authority("a", &key, at(earliest()))
        );
    }

    #[test]
    fn long_names_fit_the_bound() {
        let key = generate_key(KeyAlgorithm::EcdsaP256).unwrap();
        let ca = authority(&"ä".repeat(200), &key, at(earliest())).unwrap();
        let name = Facts::read(&ca).unwrap().common_name.unwrap();
        assert_eq!(name.chars().count(), MAX_NAME);
    }
}
