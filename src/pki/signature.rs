//! Signatures with the key of a certificate, outside TLS.

use rustls::SignatureScheme;
use rustls::crypto::ring::default_provider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

/// What we sign with, best first; a key can do one or some of them.
const SCHEMES: &[SignatureScheme] = &[
    SignatureScheme::ED25519,
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::RSA_PKCS1_SHA256,
];

/// Signs; none when the key can do none of the schemes above.
pub fn sign(key: &CertifiedKey, message: &[u8]) -> Option<Vec<u8>> {
    key.key.choose_scheme(SCHEMES)?.sign(message).ok()
}

/// Whether the signature is of the key of that certificate. Who the certificate belongs to is not judged here.
pub fn is_of(certificate: &CertificateDer<'_>, message: &[u8], signature: &[u8]) -> bool {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else {
        return false;
    };
    let algorithms = default_provider().signature_verification_algorithms;
    let fitting = |scheme: &SignatureScheme| {
        let found = algorithms.mapping.iter().find(|(known, _)| known == scheme);
        found.map_or(&[][..], |(_, algorithms)| algorithms)
    };
    SCHEMES.iter().flat_map(fitting).any(|algorithm| {
        certificate
            .verify_signature(*algorithm, message, signature)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::testing::{Authority, Leaf};

    #[test]
    fn only_the_key_of_the_certificate_signs_for_it() {
        let authority = Authority::new("ca");
        let [one, other] = ["one", "other"].map(|name| authority.issue(Leaf::good(name)));
        let key =
            CertifiedKey::from_der(one.chain.clone(), one.key.clone_key(), &default_provider());
        let signed = sign(&key.unwrap(), b"message").unwrap();
        assert!(is_of(&one.chain[0], b"message", &signed));
        assert!(!is_of(&other.chain[0], b"message", &signed));
        assert!(!is_of(&one.chain[0], b"massage", &signed));
        assert!(!is_of(&one.chain[0], b"message", &signed[1..]));
        assert!(!is_of(
            &CertificateDer::from(vec![1, 2, 3]),
            b"message",
            &signed
        ));
    }
}
