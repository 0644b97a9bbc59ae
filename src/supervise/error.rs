//! Why a box does not start.

use std::fmt;

use super::listeners::ListenError;
use crate::api::BindError;
use crate::pki::store::PkiError;
use crate::state::StateError;

/// Why the box did not start.
#[derive(Debug)]
pub enum StartError {
    /// The state directory.
    State(StateError),
    /// Keys and certificates.
    Pki(PkiError),
    /// The control socket.
    Control(BindError),
    /// A listening address.
    Listen(ListenError),
    /// TLS does not take our identity.
    Tls(rustls::Error),
    /// The system refused something basic.
    System(&'static str, std::io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(error) => error.fmt(f),
            Self::Pki(error) => error.fmt(f),
            Self::Control(error) => error.fmt(f),
            Self::Listen(error) => error.fmt(f),
            Self::Tls(error) => write!(f, "TLS does not take our certificate and key: {error}"),
            Self::System(what, error) => write!(f, "{what}: {error}"),
        }
    }
}

impl std::error::Error for StartError {}
