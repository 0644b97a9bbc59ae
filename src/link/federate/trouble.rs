//! What goes wrong on a link, in words that a signaller can act on.

use std::fmt;
use std::io;

use ring::rand::{SecureRandom, SystemRandom};

use crate::link::board::PeerBoard;
use crate::link::fed2::secret;
use crate::link::grpc::status::{Code, Status};
use crate::link::handshake::Failure;
use crate::link::hindrance::Hindrance;

use super::latch::Latched;

/// What is waited for in [`Trouble::TimedOut`] when the peer does not answer a health check.
pub const HEALTH_ANSWER: &str = "waiting for the answer to a health check";

/// Why a connection did not come about, or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The configured address is no `host:port`.
    Address(String),
    /// The name has no address.
    NameLookup(String),
    /// Nothing listens there.
    Refused,
    /// No network leads there.
    NoNetwork(String),
    /// Any other TCP failure.
    Tcp(String),
    /// Not done in time; says what.
    TimedOut(&'static str),
    /// The TLS handshake failed; after TLS 1.3 the peer's refusal of us comes with the first read.
    Handshake(Failure),
    /// No `h2` in ALPN.
    NoHttp2,
    /// It came with another federation protocol than the one it is registered with: 1 or 2.
    Speaks(u8),
    /// It speaks federation v1 and does not ask for our certificate.
    NotAsked,
    /// What came over federation v1 is no frame.
    Garbled(String),
    /// Federation v1: nothing came on a connection that followed another one closely, for so many seconds.
    Deaf(u64),
    /// HTTP/2 failed, or the connection went away.
    Lost(String),
    /// The group stream stayed silent for so many seconds.
    NoGroups(u64),
    /// A call that the link cannot do without ended.
    Call {
        /// The method.
        method: &'static str,
        /// With what.
        status: Status,
    },
    /// The shared secret was not proven, in words.
    Secret(&'static str),
    /// The peer says that it is not well.
    Unwell(&'static str),
    /// The peer is connected already, by its own dialling.
    Taken,
    /// It answers, and events stand still.
    Latched(Latched),
    /// Ended from elsewhere in this box.
    Cut(String),
}

impl Trouble {
    /// Reads a failed handshake.
    pub fn of_handshake(error: &io::Error) -> Self {
        Self::of_failure(Failure::of(error))
    }

    /// Puts a failed handshake among the troubles of a link.
    pub fn of_failure(failure: Failure) -> Self {
        match failure {
            Failure::NoFederation => Self::NoHttp2,
            failure => Self::Handshake(failure),
        }
    }

    /// What failed, if it was the handshake.
    pub fn handshake(&self) -> Option<Failure> {
        match self {
            Self::Handshake(failure) => Some(failure.clone()),
            Self::NoHttp2 => Some(Failure::NoFederation),
            Self::Speaks(version) => Some(Failure::Speaks(*version)),
            _ => None,
        }
    }

    /// Reads an error of the TLS stream.
    pub fn of_stream(error: &io::Error) -> Self {
        let tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(error) => Self::of_failure(Failure::of_tls(error)),
            None => match error.kind() {
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe => Self::Lost("the peer closed the connection".into()),
                io::ErrorKind::TimedOut => Self::Lost("the peer does not answer any more".into()),
                _ => Self::Lost(error.to_string()),
            },
        }
    }

    /// Reads a failed TCP connect.
    pub fn of_connect(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::TimedOut("connecting"),
            io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable => Self::NoNetwork(error.to_string()),
            _ => Self::Tcp(error.to_string()),
        }
    }

    /// What a person must look at.
    pub fn hindrance(&self) -> Hindrance {
        match self {
            Self::NoNetwork(_) => Hindrance::NoNetwork,
            Self::Address(_) | Self::NameLookup(_) => Hindrance::NameLookup,
            // "No route to host" too: the network is there, and the host does not answer in it.
            Self::TimedOut(HEALTH_ANSWER) | Self::Unwell(_) => Hindrance::Health,
            Self::Refused | Self::TimedOut(_) | Self::Tcp(_) => Hindrance::Unanswered,
            Self::Handshake(failure) => failure.hindrance(),
            Self::NoHttp2 | Self::Speaks(_) | Self::Garbled(_) => Hindrance::Version,
            Self::NotAsked => Hindrance::Trust,
            Self::Secret(_) => Hindrance::Secret,
            Self::Call { status, .. } if secret::is_about(status) => Hindrance::Secret,
            Self::Call { method, status } => match status.code {
                Code::Unauthenticated | Code::PermissionDenied => Hindrance::Registration,
                Code::Unimplemented => Hindrance::Version,
                Code::Unavailable | Code::Cancelled | Code::Aborted | Code::AlreadyExists => {
                    Hindrance::Passing
                }
                _ if method.contains("Groups") => Hindrance::Groups,
                _ => Hindrance::Passing,
            },
            Self::NoGroups(_) => Hindrance::Groups,
            Self::Deaf(_) | Self::Lost(_) | Self::Taken | Self::Latched(_) | Self::Cut(_) => {
                Hindrance::Passing
            }
        }
    }

    /// Whether somebody must change a certificate or a registration before another attempt makes sense.
    pub fn is_certificate(&self) -> bool {
        match self {
            Self::NotAsked | Self::Secret(_) => true,
            Self::Call { status, .. } => secret::is_about(status),
            Self::Handshake(failure) => failure.is_certificate(),
            _ => false,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => {
                write!(
                    f,
                    "the address {address:?} is not host:port; correct it in the peer's settings"
                )
            }
            Self::NameLookup(why) => write!(f, "name lookup failed: {why}"),
            Self::Refused => {
                f.write_str("refused by host: nothing listens at that address and port")
            }
            Self::NoNetwork(why) | Self::Tcp(why) => write!(f, "no TCP connection: {why}"),
            Self::TimedOut(what) => write!(f, "timed out while {what}"),
            Self::Handshake(failure) => failure.fmt(f),
            Self::NoHttp2 => f.write_str(
                "protocol version mismatch: the peer offers no HTTP/2 (federation v1 only?)",
            ),
            Self::Speaks(version) => Failure::Speaks(*version).fmt(f),
            Self::NotAsked => f.write_str(
                "the peer does not ask for our certificate, so anybody could take our place there: put that right there; \
                 FreeTAKServer cannot, and may have `legacy_no_client_certificate = true` here",
            ),
            Self::Garbled(why) => f.write_str(why),
            Self::Deaf(seconds) => write!(
                f,
                "nothing came in {seconds} s on a connection that followed another one closely: a TAK Server takes such a \
                 one for a second login and does not serve it"
            ),
            Self::Lost(why) => write!(f, "connection lost: {why}"),
            Self::NoGroups(seconds) => write!(f, "no group stream answer in {seconds} s"),
            Self::Secret(why) => f.write_str(why),
            Self::Call { status, .. } if secret::is_about(status) => {
                write!(
                    f,
                    "the peer refuses us: {}; set the same `secret` on both sides, or on neither",
                    status.message
                )
            }
            Self::Call { method, status } if status.code == Code::AlreadyExists => {
                write!(
                    f,
                    "the peer has another connection of ours: {method} ended with {status}"
                )
            }
            Self::Call { method, status }
                if status.code == Code::Unknown && method.ends_with("EventStream") =>
            {
                write!(
                    f,
                    "{method} ended with {status}; so does a TAK Server that has another connection of our certificate: \
                     a dead one that it has not given up yet, or its own outgoing one"
                )
            }
            Self::Call { method, status } => write!(f, "{method} ended with {status}"),
            Self::Unwell(answer) => write!(f, "the peer answers the health check with {answer}"),
            Self::Taken => f.write_str("the peer is connected already: it dialled us"),
            Self::Latched(latched) => latched.fmt(f),
            Self::Cut(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Trouble {}

/// What an operator must do about a TAK Server that dials us beside another connection (protocol reference 1.3).
const BOTH_DIAL: &str = "it dials us too, beside a connection that is well; a TAK Server that meets a second \
    connection of one certificate switches its own outgoing connection off until somebody switches it on again: take \
    `address` out here, or the outgoing connection there";

/// Tells of a peer, no box, that dials us beside a connection that is well.
pub fn both_dial(board: &PeerBoard, peer: &str) {
    board.advise(peer, BOTH_DIAL);
    tracing::warn!(peer, "{peer}: {BOTH_DIAL}");
}

/// Any number; all the same should the kernel have no randomness, for then there is nothing to spread.
pub fn chance() -> u32 {
    let mut bytes = [0; 4];
    let _ = SystemRandom::new().fill(&mut bytes);
    u32::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::AlertDescription;

    #[test]
    fn each_trouble_hinders_in_its_way() {
        let connect = |kind: io::ErrorKind| Trouble::of_connect(&kind.into()).hindrance();
        assert_eq!(
            connect(io::ErrorKind::NetworkUnreachable),
            Hindrance::NoNetwork
        );
        assert_eq!(
            connect(io::ErrorKind::HostUnreachable),
            Hindrance::Unanswered
        );
        assert_eq!(
            connect(io::ErrorKind::ConnectionRefused),
            Hindrance::Unanswered
        );
        for (failure, hindrance) in [
            (Failure::Distrusted, Hindrance::Trust),
            (Failure::NotRegistered, Hindrance::Registration),
            (Failure::UsageRefused, Hindrance::Usage),
            (Failure::OutOfDate, Hindrance::Clock),
            (Failure::NoFederation, Hindrance::Version),
            (Failure::HungUp, Hindrance::Passing),
        ] {
            assert_eq!(Trouble::of_failure(failure).hindrance(), hindrance);
        }
        assert_eq!(Trouble::Taken.hindrance(), Hindrance::Passing);
        assert_eq!(Trouble::NoGroups(10).hindrance(), Hindrance::Groups);
        assert_eq!(
            Trouble::TimedOut("connecting").hindrance(),
            Hindrance::Unanswered
        );
        assert_eq!(
            Trouble::TimedOut(HEALTH_ANSWER).hindrance(),
            Hindrance::Health
        );
    }

    #[test]
    fn alerts_that_mean_distrust_are_told_from_others() {
        let trouble =
            |alert| Trouble::of_stream(&io::Error::other(rustls::Error::AlertReceived(alert)));
        for alert in [AlertDescription::InternalError, AlertDescription::UnknownCA] {
            assert_eq!(trouble(alert), Trouble::Handshake(Failure::Distrusted));
        }
        assert_eq!(
            trouble(AlertDescription::NoApplicationProtocol),
            Trouble::NoHttp2
        );
        assert!(!trouble(AlertDescription::DecodeError).is_certificate());
    }

    #[test]
    fn a_peer_that_closes_is_said_to_close_however_the_system_puts_it() {
        for kind in [
            io::ErrorKind::UnexpectedEof,
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::ConnectionAborted,
            io::ErrorKind::BrokenPipe,
        ] {
            let words = Trouble::of_stream(&kind.into()).to_string();
            assert_eq!(words, "connection lost: the peer closed the connection");
        }
    }
}
