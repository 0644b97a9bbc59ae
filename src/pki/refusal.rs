//! Why a certificate chain was refused.

use std::fmt;

/// Why a chain was refused, in words a signaller can act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// No certificate at all.
    NoCertificate,
    /// Leaf without its issuer.
    OneCertificate,
    /// A certificate that cannot be read, or breaks a rule of X.509.
    BadCertificate,
    /// Subject or issuer has no common name; TAK knows federates by it.
    NoCommonName,
    /// The leaf lists its usages, and `clientAuth` is not among them.
    NoClientAuth,
    /// Past its last day.
    Expired,
    /// Before its first day.
    NotYetValid,
    /// Signed by a CA that no registration names.
    UnknownCa,
    /// The leaf is not the registered one.
    Unregistered,
    /// The leaf was not signed by the certificate that follows it.
    BrokenChain,
    /// Signed with an algorithm or key that is too weak or unknown.
    WeakAlgorithm,
    /// Its CA took it back: it stands in a revocation list.
    Revoked,
    /// Its fingerprint is on the deny-list of a registration.
    Denied,
    /// It sent no CA certificate with the fingerprint of `ca_pin`, or was not issued by that one.
    NotThePinnedCa,
    /// `ca_pin` is the fingerprint of its leaf.
    PinIsLeaf,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: &'static [Refusal] = &[
        Self::NoCertificate,
        Self::OneCertificate,
        Self::BadCertificate,
        Self::NoCommonName,
        Self::NoClientAuth,
        Self::Expired,
        Self::NotYetValid,
        Self::UnknownCa,
        Self::Unregistered,
        Self::BrokenChain,
        Self::WeakAlgorithm,
        Self::Revoked,
        Self::Denied,
        Self::NotThePinnedCa,
        Self::PinIsLeaf,
    ];

    /// One word that scripts may rely on.
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::OneCertificate => "one_certificate",
            Self::BadCertificate => "bad_certificate",
            Self::NoCommonName => "no_common_name",
            Self::NoClientAuth => "no_client_auth",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::UnknownCa => "unknown_ca",
            Self::Unregistered => "unregistered",
            Self::BrokenChain => "broken_chain",
            Self::WeakAlgorithm => "weak_algorithm",
            Self::Revoked => "revoked",
            Self::Denied => "denied",
            Self::NotThePinnedCa => "not_the_pinned_ca",
            Self::PinIsLeaf => "pin_is_leaf",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCertificate => "it sent no certificate: federation needs one on both sides",
            Self::OneCertificate => {
                "it sent one certificate only, and TAK needs the leaf and its issuer: append the CA certificate to \
                 the certificate file there"
            }
            Self::BadCertificate => "its certificate is malformed, or a CA certificate used as a leaf: issue a new one there",
            Self::NoCommonName => {
                "its certificate or the issuer has no common name (CN), and TAK knows federates by it: issue one with \
                 a CN there"
            }
            Self::NoClientAuth => {
                "its certificate is not meant for TLS clients: issue one with both usages clientAuth and serverAuth there"
            }
            Self::Expired => {
                "its certificate has expired: renew it there, and see that our own clock is not ahead"
            }
            Self::NotYetValid => {
                "its certificate is not valid yet: see that our own clock is not behind, then the clock of its CA"
            }
            Self::UnknownCa => {
                "its certificate comes from a CA that is not registered here: register its CA certificate with `peer add`"
            }
            Self::Unregistered => {
                "its certificate is not the registered one: compare its fingerprint with the peer's entry; after a \
                 renewal register the new one"
            }
            Self::BrokenChain => {
                "its leaf was not signed by the certificate sent after it: put leaf and issuer in this order there"
            }
            Self::WeakAlgorithm => {
                "its certificate is signed with a weak or unknown algorithm: use ECDSA P-256/P-384 or RSA of at \
                 least 2048 bits, with SHA-256 or better"
            }
            Self::Revoked => {
                "its certificate was revoked by its CA: issue a new one there; `cert crl` shows the list that says so"
            }
            Self::Denied => {
                "its certificate is on the deny-list: take it out of `denied_fingerprints` if it may come in again"
            }
            Self::NotThePinnedCa => {
                "it did not send the CA certificate of `ca_pin`, or another CA issued its certificate: compare with \
                 `openssl x509 -noout -fingerprint -sha256` over the CA's file there"
            }
            Self::PinIsLeaf => {
                "`ca_pin` is the fingerprint of its own certificate, not of its CA: write it as `fingerprint`, or pin \
                 the CA"
            }
        })
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_words_of_its_own() {
        for (index, one) in Refusal::ALL.iter().enumerate() {
            for other in &Refusal::ALL[index + 1..] {
                assert_ne!(one.word(), other.word());
                assert_ne!(one.to_string(), other.to_string());
            }
        }
    }
}
