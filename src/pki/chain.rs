//! Path building, by rustls-webpki: does a chain lead to one of these CAs?

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage};

use super::Refusal;
use super::certificate::Facts;

/// Judges a chain (leaf first) against CA certificates.
///
/// The usage asked for is `clientAuth` in both roles: TAK judges servers with the client check too (protocol
/// reference 1.3 item 4). It is required only where the leaf lists extended usages. The dates of the CA
/// certificates themselves are not judged, as in JDK's path validation.
pub(super) fn verify(
    chain: &[CertificateDer<'_>],
    authorities: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), Refusal> {
    match path(chain, authorities, now, KeyUsage::client_auth()) {
        // These are found on the leaf alone, before anybody asked who signed it. A stranger is a stranger first.
        Err(found @ (Refusal::Expired | Refusal::NotYetValid | Refusal::NoClientAuth)) => {
            let moment = chain.first().map_or(now, |leaf| within_dates(leaf, now));
            match path(chain, authorities, moment, AnyUsage) {
                Err(Refusal::UnknownCa) => Err(Refusal::UnknownCa),
                _ => Err(found),
            }
        }
        outcome => outcome,
    }
}

/// Judges a server at which we log in as a client: by its CA and dates, whatever it lists as usages.
pub(super) fn verify_server(
    chain: &[CertificateDer<'_>],
    authorities: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), Refusal> {
    path(chain, authorities, now, AnyUsage)
}

fn path(
    chain: &[CertificateDer<'_>],
    authorities: &[CertificateDer<'_>],
    now: UnixTime,
    usage: impl ExtendedKeyUsageValidator,
) -> Result<(), Refusal> {
    let (leaf, issuers) = chain.split_first().ok_or(Refusal::NoCertificate)?;
    let leaf = EndEntityCert::try_from(leaf).map_err(|_| Refusal::BadCertificate)?;
    let anchors: Vec<_> = authorities
        .iter()
        .filter_map(|certificate| webpki::anchor_from_trusted_cert(certificate).ok())
        .collect();
    leaf.verify_for_usage(ALGORITHMS, &anchors, issuers, now, usage, None, None)
        .map(drop)
        .map_err(|error| refusal(&error))
}

fn refusal(error: &Error) -> Refusal {
    match error {
        Error::CertExpired { .. } => Refusal::Expired,
        Error::CertNotValidYet { .. } => Refusal::NotYetValid,
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => Refusal::NoClientAuth,
        // A CA of the right name and the wrong key is another CA.
        Error::UnknownIssuer | Error::InvalidSignatureForPublicKey => Refusal::UnknownCa,
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | Error::SignatureAlgorithmMismatch => Refusal::WeakAlgorithm,
        _ => Refusal::BadCertificate,
    }
}

/// The moment nearest to `now` at which the leaf is in date.
fn within_dates(leaf: &CertificateDer<'_>, now: UnixTime) -> UnixTime {
    let Ok(facts) = Facts::read(leaf) else {
        return now;
    };
    let first = u64::try_from(facts.not_before).unwrap_or(0);
    let last = u64::try_from(facts.not_after).unwrap_or(0).max(first);
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(
        now.as_secs().clamp(first, last),
    ))
}

struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _usages: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        Ok(())
    }
}

/// What BoringSSL offers by default and JDK accepts, less Ed25519 (protocol reference 1.3 item 6).
pub(super) static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    webpki::ring::ECDSA_P256_SHA256,
    webpki::ring::ECDSA_P256_SHA384,
    webpki::ring::ECDSA_P384_SHA256,
    webpki::ring::ECDSA_P384_SHA384,
    webpki::ring::RSA_PKCS1_2048_8192_SHA256,
    webpki::ring::RSA_PKCS1_2048_8192_SHA384,
    webpki::ring::RSA_PKCS1_2048_8192_SHA512,
    webpki::ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    webpki::ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    webpki::ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];
