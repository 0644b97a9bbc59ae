//! Why a handshake failed, in plain words.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use super::hindrance::Hindrance;
use crate::pki::Refusal;

/// Why a TLS connection was not made.
///
/// In TLS 1.3 the accepting side judges our certificate after our own handshake is done: there its alert arrives
/// with the first read, so failed reads deserve these words too.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// We refused its certificate.
    Refused(Refusal),
    /// It does not trust our certificate: alerts 42, 46, 48, and 80, which is what TAK Server sends (protocol
    /// reference 1.3 item 2).
    Distrusted,
    /// It wants a certificate from us and saw none that it knows: alert 116.
    CertificateWanted,
    /// It trusts our CA and does not know our leaf: alert 49.
    NotRegistered,
    /// Our certificate lacks a usage there: alert 43.
    UsageRefused,
    /// Our certificate is out of date there: alert 45.
    OutOfDate,
    /// Our certificate was revoked there: alert 44.
    Revoked,
    /// No TLS version or cipher in common: alerts 40, 70 and 71, or our own finding.
    NothingInCommon,
    /// It speaks no HTTP/2, so no federation v2: alert 120, or our own finding.
    NoFederation,
    /// It speaks the other federation protocol, 1 or 2, than the one it is registered with.
    Speaks(u8),
    /// It showed the certificate of a peer that may not come from there.
    SourceAddress,
    /// Nobody may connect from there; closed before TLS.
    NotAllowed,
    /// What came is not TLS.
    NotTls,
    /// It hung up in the middle.
    HungUp,
    /// It took too long.
    TimedOut,
    /// It had to make room for others: see [`super::door`].
    Crowded,
    /// Something else, in the library's words.
    Other(String),
}

impl Failure {
    /// Reads the error of a failed handshake, or of the first read after one.
    pub fn of(error: &io::Error) -> Self {
        if let Some(error) = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Error>())
        {
            return Self::of_tls(error);
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Self::HungUp,
            io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Other(error.to_string()),
        }
    }

    /// Reads an error of rustls.
    pub fn of_tls(error: &Error) -> Self {
        match error {
            Error::AlertReceived(alert) => Self::of_alert(*alert),
            Error::InvalidCertificate(error) => Self::of_certificate(error),
            Error::NoCertificatesPresented => Self::Refused(Refusal::NoCertificate),
            Error::NoApplicationProtocol => Self::NoFederation,
            Error::PeerIncompatible(
                PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon,
            ) => Self::UsageRefused,
            Error::PeerIncompatible(_) => Self::NothingInCommon,
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            ) => Self::NotTls,
            error => Self::Other(error.to_string()),
        }
    }

    /// Whether somebody must change a certificate or a registration before another attempt makes sense.
    pub const fn is_certificate(&self) -> bool {
        matches!(
            self,
            Self::Refused(_)
                | Self::Distrusted
                | Self::CertificateWanted
                | Self::NotRegistered
                | Self::UsageRefused
                | Self::OutOfDate
                | Self::Revoked
        )
    }

    /// What a person must look at.
    pub const fn hindrance(&self) -> Hindrance {
        match self {
            // Ours cannot be from the future: the clock that says so is behind.
            Self::Refused(Refusal::NotYetValid) | Self::OutOfDate => Hindrance::Clock,
            Self::Refused(Refusal::Unregistered | Refusal::PinIsLeaf) | Self::NotRegistered => {
                Hindrance::Registration
            }
            Self::Refused(Refusal::Revoked | Refusal::Denied) | Self::Revoked => Hindrance::Revoked,
            Self::SourceAddress | Self::NotAllowed => Hindrance::Source,
            Self::Refused(Refusal::NoClientAuth) | Self::UsageRefused => Hindrance::Usage,
            Self::NothingInCommon | Self::NoFederation | Self::Speaks(_) | Self::NotTls => {
                Hindrance::Version
            }
            Self::TimedOut => Hindrance::Unanswered,
            Self::HungUp | Self::Crowded => Hindrance::Passing,
            // Every other refusal of a certificate, here or there, and what only TLS has words for.
            _ => Hindrance::Trust,
        }
    }

    /// One word that scripts may rely on; a refusal's own word where we refused.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.word(),
            Self::Distrusted => "distrusted",
            Self::CertificateWanted => "certificate_wanted",
            Self::NotRegistered => "not_registered_there",
            Self::UsageRefused => "usage_refused",
            Self::OutOfDate => "out_of_date_there",
            Self::Revoked => "revoked_there",
            Self::NothingInCommon => "nothing_in_common",
            Self::NoFederation => "no_federation",
            Self::Speaks(1) => "speaks_v1",
            Self::Speaks(_) => "speaks_v2",
            Self::SourceAddress => "source_address",
            Self::NotAllowed => "not_allowed",
            Self::NotTls => "not_tls",
            Self::HungUp => "hung_up",
            Self::TimedOut => "timed_out",
            Self::Crowded => "crowded",
            Self::Other(_) => "tls",
        }
    }

    fn of_alert(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::InternalError => Self::Distrusted,
            AlertDescription::CertificateRequired => Self::CertificateWanted,
            AlertDescription::AccessDenied => Self::NotRegistered,
            AlertDescription::UnsupportedCertificate => Self::UsageRefused,
            AlertDescription::CertificateExpired => Self::OutOfDate,
            AlertDescription::CertificateRevoked => Self::Revoked,
            AlertDescription::HandshakeFailure
            | AlertDescription::ProtocolVersion
            | AlertDescription::InsufficientSecurity => Self::NothingInCommon,
            AlertDescription::NoApplicationProtocol => Self::NoFederation,
            AlertDescription::CloseNotify | AlertDescription::UserCanceled => Self::HungUp,
            alert => Self::Other(format!("the peer sent TLS alert {alert:?}")),
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::Other(other) => match other.0.downcast_ref::<Refusal>() {
                Some(&refusal) => Self::Refused(refusal),
                None => Self::Other(other.to_string()),
            },
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                Self::Refused(Refusal::Expired)
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::Refused(Refusal::NotYetValid)
            }
            CertificateError::Revoked => Self::Refused(Refusal::Revoked),
            CertificateError::UnknownIssuer => Self::Refused(Refusal::UnknownCa),
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                Self::Refused(Refusal::NoClientAuth)
            }
            CertificateError::ApplicationVerificationFailure => {
                Self::Refused(Refusal::Unregistered)
            }
            CertificateError::BadEncoding => Self::Refused(Refusal::BadCertificate),
            error => Self::Other(error.to_string()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => write!(f, "we refused the peer: {refusal}"),
            Self::Distrusted => f.write_str(
                "the peer does not trust our certificate: register our CA certificate or fingerprint there (`cert \
                 export` writes both)",
            ),
            Self::CertificateWanted => f.write_str(
                "the peer wants a certificate that it knows: register our CA certificate there (`cert export` writes it)",
            ),
            Self::NotRegistered => f.write_str(
                "the peer knows our CA and not our certificate: register our fingerprint there (`cert show` prints it)",
            ),
            Self::UsageRefused => f.write_str(
                "the peer cannot use our certificate: issue one with both usages clientAuth and serverAuth",
            ),
            Self::OutOfDate => f.write_str(
                "our certificate is out of date for the peer: compare the clocks, then the dates (`cert show`)",
            ),
            Self::Revoked => f.write_str("the peer holds our certificate revoked: ask its administrator"),
            Self::NothingInCommon => {
                f.write_str("no TLS version or cipher in common: the peer must offer TLS 1.2 with AEAD ciphers, or 1.3")
            }
            Self::NoFederation => {
                f.write_str("the peer speaks no federation v2 (HTTP/2) on this port: v2 is usually on port 9001")
            }
            Self::Speaks(1) => f.write_str(
                "the peer speaks federation v1 (no ALPN) and is registered for v2: if that is meant, write protocol = \
                 \"v1\" in its [[peer]]",
            ),
            Self::Speaks(_) => f.write_str(
                "the peer speaks federation v2 (HTTP/2) and is registered for v1: take protocol = \"v1\" out of its \
                 [[peer]]",
            ),
            Self::SourceAddress => f.write_str(
                "the peer may not connect from that address: see `source_addresses` in its [[peer]]",
            ),
            Self::NotAllowed => f.write_str(
                "nobody may connect from that address: see `federation_allow` in [listen]",
            ),
            Self::NotTls => f.write_str("what came is not TLS: see that both sides name the same port"),
            Self::HungUp => f.write_str(
                "the peer hung up during the handshake: its log says why; an unregistered certificate is the usual cause",
            ),
            Self::TimedOut => f.write_str("the handshake took too long: the network is very slow or drops large packets"),
            Self::Crowded => f.write_str(
                "too many handshakes at once, most of them from its address: see who connects from there",
            ),
            Self::Other(words) => write!(f, "TLS failed: {words}"),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_become_cures() {
        for (number, failure) in [
            (42, Failure::Distrusted),
            (46, Failure::Distrusted),
            (48, Failure::Distrusted),
            (80, Failure::Distrusted),
            (116, Failure::CertificateWanted),
            (49, Failure::NotRegistered),
            (43, Failure::UsageRefused),
            (45, Failure::OutOfDate),
            (40, Failure::NothingInCommon),
            (120, Failure::NoFederation),
        ] {
            let alert = Error::AlertReceived(AlertDescription::from(number));
            let error = io::Error::new(io::ErrorKind::InvalidData, alert);
            assert_eq!(Failure::of(&error), failure, "alert {number}");
        }
    }

    #[test]
    fn sockets_fail_in_words_too() {
        let of = |kind: io::ErrorKind| Failure::of(&kind.into());
        assert_eq!(of(io::ErrorKind::UnexpectedEof), Failure::HungUp);
        assert_eq!(of(io::ErrorKind::TimedOut), Failure::TimedOut);
        assert!(matches!(of(io::ErrorKind::Other), Failure::Other(_)));
    }
}
