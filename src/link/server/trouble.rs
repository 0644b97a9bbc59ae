//! What goes wrong with a login, in words that a signaller can act on.

use std::fmt;
use std::io;

use super::liveness::Verdict;
use crate::link::federate::trouble::Trouble;
use crate::link::handshake::Failure;
use crate::link::hindrance::Hindrance;
use crate::pki::Refusal;

/// Why there is no login, or it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginTrouble {
    /// The certificates that the configuration names; what is wrong, and the cure.
    Files(String),
    /// No connection.
    Reach(Trouble),
    /// The TLS handshake, or the server's refusal of our certificate right behind it.
    Tls(Failure),
    /// The server hung up before it had said anything.
    HungUp,
    /// The server ended a connection that had been well.
    Lost(String),
    /// The server stopped to answer pings.
    Pings(Verdict),
    /// What came is no CoT.
    NotCot(&'static str),
}

impl LoginTrouble {
    /// Reads what ended a stream. `heard`: something had come on it before.
    pub fn of_stream(error: &io::Error, heard: bool) -> Self {
        match Failure::of(error) {
            Failure::HungUp if heard => Self::Lost("the server closed it".into()),
            Failure::HungUp => Self::HungUp,
            Failure::TimedOut => Self::Lost("the line is dead".into()),
            Failure::Other(words) => Self::Lost(words),
            failure => Self::Tls(failure),
        }
    }

    /// What a person must look at.
    pub fn hindrance(&self) -> Hindrance {
        match self {
            Self::Files(_) => Hindrance::Trust,
            Self::Reach(trouble) => trouble.hindrance(),
            Self::Tls(failure) => failure.hindrance(),
            Self::HungUp => Hindrance::Registration,
            Self::Lost(_) => Hindrance::Passing,
            Self::Pings(_) => Hindrance::Health,
            Self::NotCot(_) => Hindrance::Version,
        }
    }

    /// Whether somebody must change something before another attempt makes sense.
    pub fn is_certificate(&self) -> bool {
        match self {
            Self::Files(_) => true,
            Self::Tls(failure) => failure.is_certificate(),
            _ => false,
        }
    }
}

impl fmt::Display for LoginTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(words) => f.write_str(words),
            Self::Reach(Trouble::Refused) => f.write_str(
                "refused by host: nothing listens at that address and port; the port for clients is mostly 8089 \
                 (TLS) or 8087 (plain)",
            ),
            Self::Reach(trouble) => trouble.fmt(f),
            Self::Tls(Failure::Refused(Refusal::UnknownCa)) => f.write_str(
                "we do not know the CA of the server: give it in `ca_cert` (the truststore .p12 of a user's package \
                 holds it)",
            ),
            Self::Tls(Failure::Refused(Refusal::Unregistered)) => f.write_str(
                "the server's certificate is not the one of `fingerprint`: ask its administrator, then correct it",
            ),
            Self::Tls(Failure::Refused(refusal)) => write!(f, "we refused the server: {refusal}"),
            Self::Tls(Failure::Distrusted | Failure::CertificateWanted | Failure::NotRegistered) => f.write_str(
                "the server does not take our certificate: give a .p12 that was made for a user of this server \
                 (`p12`), or see that its CA is known there",
            ),
            Self::Tls(Failure::Revoked) => {
                f.write_str("the server holds our certificate revoked: ask its administrator for a new .p12")
            }
            Self::Tls(Failure::NotTls) => f.write_str(
                "what came is not TLS: this port is a plain one, mostly 8087; write tls = false, or the port for TLS, \
                 mostly 8089",
            ),
            Self::Tls(failure) => failure.fmt(f),
            Self::HungUp => f.write_str(
                "the server hung up before it said anything: it may know our certificate and not its user, want an \
                 account (`auth`), or expect TLS on this port",
            ),
            Self::Lost(why) => write!(f, "connection lost: {why}"),
            Self::Pings(Verdict::Silent) => f.write_str("the server does not answer our pings any more"),
            Self::Pings(Verdict::Deaf) => f.write_str(
                "the server sends events and answers no pings: it does not read what we send; see its log",
            ),
            Self::NotCot(why) => write!(f, "{why}: see that the port is the one for clients, mostly 8089 or 8087"),
        }
    }
}

impl std::error::Error for LoginTrouble {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trouble_has_words_with_a_cure_and_its_step() {
        for (trouble, hindrance, words) in [
            (
                LoginTrouble::Reach(Trouble::Refused),
                Hindrance::Unanswered,
                "8089",
            ),
            (
                LoginTrouble::Tls(Failure::Refused(Refusal::UnknownCa)),
                Hindrance::Trust,
                "`ca_cert`",
            ),
            (
                LoginTrouble::Tls(Failure::Refused(Refusal::Unregistered)),
                Hindrance::Registration,
                "`fingerprint`",
            ),
            (
                LoginTrouble::Tls(Failure::Distrusted),
                Hindrance::Trust,
                "`p12`",
            ),
            (
                LoginTrouble::Tls(Failure::NotTls),
                Hindrance::Version,
                "tls = false",
            ),
            (LoginTrouble::HungUp, Hindrance::Registration, "`auth`"),
            (
                LoginTrouble::Pings(Verdict::Silent),
                Hindrance::Health,
                "pings",
            ),
        ] {
            assert_eq!(trouble.hindrance(), hindrance, "{trouble}");
            assert!(trouble.to_string().contains(words), "{trouble}");
        }
    }

    #[test]
    fn who_hangs_up_at_once_refuses_us_and_later_is_only_gone() {
        let closed = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(
            LoginTrouble::of_stream(&closed, false),
            LoginTrouble::HungUp
        );
        assert!(matches!(
            LoginTrouble::of_stream(&closed, true),
            LoginTrouble::Lost(_)
        ));
    }
}
