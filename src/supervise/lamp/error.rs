//! Why a LED was not switched, as `embedded-hal` wants it.

use std::fmt;
use std::io;

use embedded_hal::digital::{Error, ErrorKind};

use crate::files;

/// Why a LED was not switched.
#[derive(Debug)]
pub struct PinError(io::Error);

impl PinError {
    /// The system's error.
    pub fn io_kind(&self) -> io::ErrorKind {
        self.0.kind()
    }
}

impl From<io::Error> for PinError {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for PinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&files::fault(&self.0))
    }
}

impl std::error::Error for PinError {}

impl Error for PinError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}
