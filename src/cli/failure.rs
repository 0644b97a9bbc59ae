//! How a command fails: in words, and with an exit code of sysexits.h that scripts can tell apart.

use std::fmt;
use std::io;
use std::path::Path;

use super::local::LocalError;
use crate::api::{AskError, BindError, ErrorCode, Fault};
use crate::config::{ConfigError, EditError};
use crate::files;
use crate::log::LogError;
use crate::state::StateError;

/// Exit codes, as sysexits.h numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Wrong arguments.
    Usage = 64,
    /// The input is not what it should be.
    Data = 65,
    /// A file to read is not there.
    NoInput = 66,
    /// No box is running, or it cannot help now.
    Unavailable = 69,
    /// A defect.
    Internal = 70,
    /// A file cannot be made.
    CannotCreate = 73,
    /// A file cannot be read or written.
    Io = 74,
    /// The box wants to be started again (sysexits: temporary failure).
    Again = 75,
    /// Not allowed.
    NoPermission = 77,
    /// The configuration is not valid.
    Config = 78,
}

/// Why a command ends without having done its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its exit code.
    pub exit: Exit,
    /// What is wrong, where, the cure.
    pub message: String,
}

impl Failure {
    /// A failure.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }
}

/// A file named on the command line that cannot be read; `cure` says what to name instead.
pub fn unreadable(path: &Path, error: &io::Error, cure: &str) -> Failure {
    let exit = match error.kind() {
        io::ErrorKind::PermissionDenied => Exit::NoPermission,
        io::ErrorKind::FileTooLarge | io::ErrorKind::IsADirectory => Exit::Data,
        io::ErrorKind::NotFound => Exit::NoInput,
        _ => Exit::Io,
    };
    Failure::new(
        exit,
        format!("{}: {}; {cure}", path.display(), files::fault(error)),
    )
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<LocalError> for Failure {
    fn from(error: LocalError) -> Self {
        let exit = match error.exit_code() {
            64 => Exit::Usage,
            73 => Exit::CannotCreate,
            74 => Exit::Io,
            78 => Exit::Config,
            _ => Exit::Internal,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        let exit = match error {
            AskError::NotRunning(_) | AskError::Io(_) => Exit::Unavailable,
            AskError::Denied(_) => Exit::NoPermission,
            AskError::Garbled(_) => Exit::Internal,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let exit = match fault.code {
            ErrorCode::Argument => Exit::Usage,
            ErrorCode::Config => Exit::Config,
            ErrorCode::Io => Exit::Io,
            ErrorCode::Unavailable | ErrorCode::Conflict | ErrorCode::TooMany => Exit::Unavailable,
            ErrorCode::Refused => Exit::NoPermission,
            ErrorCode::Internal => Exit::Internal,
            _ => Exit::Data,
        };
        Self::new(exit, fault.message)
    }
}

impl From<EditError> for Failure {
    fn from(error: EditError) -> Self {
        Fault::from(error).into()
    }
}

macro_rules! exits {
    ($($error:ty => $exit:ident;)*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(Exit::$exit, error.to_string())
            }
        }
    )*};
}

exits! {
    ConfigError => Config;
    LogError => Usage;
    StateError => Io;
    BindError => Unavailable;
}
