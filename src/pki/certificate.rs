//! What a certificate says, read once and kept as plain values.

use std::fmt;

use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// The parts of a certificate that people and TAK look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The whole subject, `CN=…, O=…`.
    pub subject: String,
    /// The whole issuer.
    pub issuer: String,
    /// CN of the subject.
    pub common_name: Option<String>,
    /// CN of the issuer.
    pub issuer_common_name: Option<String>,
    /// Valid from, seconds since 1970.
    pub not_before: i64,
    /// Valid until, seconds since 1970.
    pub not_after: i64,
    /// Key usages and extended key usages by their usual names, in that order.
    pub usages: Vec<&'static str>,
    /// Fit to prove a TLS client: `clientAuth`, or no extended usage at all.
    pub client_auth: bool,
    /// Fit to prove a TLS server: `serverAuth`, or no extended usage at all.
    pub server_auth: bool,
    /// May sign a handshake: `digitalSignature`, or no key usage at all.
    pub digital_signature: bool,
    /// Basic constraints say that it is a CA.
    pub authority: bool,
}

/// The bytes are no X.509 certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a readable X.509 certificate")
    }
}

impl std::error::Error for Unreadable {}

impl Facts {
    /// Reads a DER certificate. Nothing is verified.
    ///
    /// # Errors
    /// When the bytes are no certificate, or an extension it relies on is malformed.
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Self, Unreadable> {
        let (rest, parsed) = X509Certificate::from_der(certificate).map_err(|_| Unreadable)?;
        if !rest.is_empty() {
            return Err(Unreadable);
        }
        let key_usage = parsed.key_usage().map_err(|_| Unreadable)?;
        let extended = parsed.extended_key_usage().map_err(|_| Unreadable)?;
        let constraints = parsed.basic_constraints().map_err(|_| Unreadable)?;
        let mut usages = Vec::new();
        if let Some(usage) = &key_usage {
            let usage = usage.value;
            let known = [
                (usage.digital_signature(), "digitalSignature"),
                (usage.key_encipherment(), "keyEncipherment"),
                (usage.key_agreement(), "keyAgreement"),
                (usage.key_cert_sign(), "keyCertSign"),
                (usage.crl_sign(), "cRLSign"),
            ];
            usages.extend(known.iter().filter(|(set, _)| *set).map(|(_, name)| *name));
        }
        if let Some(usage) = &extended {
            let usage = usage.value;
            let known = [
                (usage.any, "anyExtendedKeyUsage"),
                (usage.server_auth, "serverAuth"),
                (usage.client_auth, "clientAuth"),
            ];
            usages.extend(known.iter().filter(|(set, _)| *set).map(|(_, name)| *name));
        }
        Ok(Self {
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            common_name: common_name(parsed.subject()),
            issuer_common_name: common_name(parsed.issuer()),
            not_before: parsed.validity().not_before.timestamp(),
            not_after: parsed.validity().not_after.timestamp(),
            // anyExtendedKeyUsage does not satisfy JDK or webpki here, so it does not count.
            client_auth: extended
                .as_ref()
                .is_none_or(|usage| usage.value.client_auth),
            server_auth: extended
                .as_ref()
                .is_none_or(|usage| usage.value.server_auth),
            digital_signature: key_usage.is_none_or(|usage| usage.value.digital_signature()),
            authority: constraints.is_some_and(|constraints| constraints.value.ca),
            usages,
        })
    }
}

/// Seconds since 1970 as `2026-11-21T10:00:00Z`.
pub fn stamp(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds).map_or_else(
        |_| format!("{seconds} s since 1970"),
        |at| {
            format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
                at.year(),
                u8::from(at.month()),
                at.day(),
                at.hour(),
                at.minute(),
                at.second()
            )
        },
    )
}

fn common_name(name: &X509Name<'_>) -> Option<String> {
    name.iter_common_name()
        .find_map(|attribute| attribute.as_str().ok())
        .filter(|text| !text.trim().is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_no_certificate() {
        assert_eq!(
            Facts::read(&CertificateDer::from(&b"\x30\x03abc"[..])),
            Err(Unreadable)
        );
    }

    #[test]
    fn stamps_are_utc() {
        assert_eq!(stamp(1_767_225_600), "2026-01-01T00:00:00Z");
        assert_eq!(stamp(i64::MAX), format!("{} s since 1970", i64::MAX));
    }
}
