//! What can be asked of the box, and what it answers.

use std::fmt;

use serde::{Deserialize, Serialize};

pub use super::told::{Committed, ConfigFault, ConfigText, RefusedEvent};

use super::check::CheckReport;
use super::connection::ConnectionInfo;
use super::packages::{PackageEntry, PackagePiece};
use super::pairing::{PairRequest, PairResponse};
pub use super::peer_entry::PeerEntry;
use super::status::Status;
use super::token::TokenEntry;
use super::update::UpdateReport;
use super::why::WhyReport;
use crate::config::{EditError, PeerChange, PeerSpec};

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// How is everything?
    Status,
    /// Which federates are registered?
    PeerList,
    /// Register a federate, write it to the configuration and bring its link up.
    PeerAdd {
        /// The federate.
        peer: PeerSpec,
        /// A federate of that name is set anew, not refused.
        #[serde(default)]
        replace: bool,
    },
    /// Change what is named of a federate, and nothing else.
    PeerSet {
        /// What to change.
        change: PeerChange,
    },
    /// Forget a federate and cut its link.
    PeerRemove {
        /// Its name.
        name: String,
    },
    /// Take these events as if a local client had sent them.
    Inject {
        /// CoT XML, one event or several back to back.
        events: String,
    },
    /// Read the configuration again.
    Reload,
    /// End safe mode: forget what led to it, and start as configured.
    SafeLeave,
    /// The text of the configuration, and how it stands.
    ConfigText,
    /// Would this be a valid configuration?
    ConfigCheck {
        /// The whole text.
        text: String,
    },
    /// Make this the configuration.
    ConfigCommit {
        /// The whole text.
        text: String,
        /// Take it back after so many seconds (1 to 86,400) unless it is confirmed; also when the power goes meanwhile.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confirm_seconds: Option<u32>,
        /// The generation that was changed: refused when the file is another by now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        generation: Option<String>,
    },
    /// Keep the configuration that waits for it.
    ConfigConfirm,
    /// Go back to the configuration before.
    ConfigRollback,
    /// How do updates stand?
    UpdateStatus,
    /// Install the bundle at that path, if it is newer; the box restarts to try it.
    UpdateInstall {
        /// On the stick, the boot partition, or the data partition.
        path: String,
    },
    /// What became of a track?
    Why {
        /// Its uid, or the callsign of a contact.
        uid: String,
        /// Only what concerns this federate.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer: Option<String>,
    },
    /// Does what is sent to a federate come out there? The answer may not be complete yet.
    Check {
        /// Its name.
        peer: String,
    },
    /// How does the check stand that was begun?
    CheckAgain {
        /// The report's number.
        id: u64,
    },
    /// Send an event to one federate and nobody else, for `check`; its type begins with `a-u` or is a delete.
    ProbeOut {
        /// The federate.
        peer: String,
        /// CoT XML.
        event: String,
    },
    /// Wait for an event of that uid from a federate, and show it to nobody.
    ProbeExpect {
        /// The federate.
        peer: String,
        /// The uid.
        uid: String,
    },
    /// Did the event come that is waited for?
    ProbeCame,
    /// Write the flight recorder down.
    RecorderDump,
    /// Make a token for the HTTPS API.
    TokenAdd {
        /// Its name, unique.
        name: String,
        /// What it may do: scopes and roles.
        scopes: Vec<String>,
        /// Days until it ends, 1 to 3650; none = never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        days: Option<u32>,
    },
    /// Give a user of the HTTPS API a password.
    PasswordSet {
        /// The user's name.
        name: String,
        /// What the user may do: scopes and roles.
        scopes: Vec<String>,
        /// At least 12 characters; none: one is made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<String>,
    },
    /// Which tokens and users are there?
    TokenList,
    /// End a token or a user.
    TokenRevoke {
        /// Its name.
        name: String,
    },
    /// With which password may the first one log in, while there are neither tokens nor users?
    FirstPassword,
    /// What does another server need to federate with us?
    Connection,
    /// About pairing by a code.
    Pair(PairRequest),
    /// Which data packages are kept? A page of them, by hash.
    Packages {
        /// Behind this one; none = from the beginning.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
    },
    /// Take a piece of a data package.
    PackagePiece {
        /// The piece.
        piece: PackagePiece,
    },
    /// Remove a data package.
    PackageRemove {
        /// Its SHA-256.
        hash: String,
    },
    /// The latest lines of the log.
    Log {
        /// At most so many.
        lines: u32,
    },
}

impl Request {
    /// It waits for another box or reckons for long: on a thread of its own, beside whatever touches files.
    pub fn takes_long(&self) -> bool {
        matches!(self, Self::Pair(pair) if pair.takes_long())
    }

    /// It reads or writes files, so it must not hold up the traffic.
    pub fn touches_files(&self) -> bool {
        matches!(
            self,
            Self::PeerAdd { .. }
                | Self::PeerSet { .. }
                | Self::PeerRemove { .. }
                | Self::Reload
                | Self::SafeLeave
                | Self::ConfigText
                | Self::ConfigCheck { .. }
                | Self::ConfigCommit { .. }
                | Self::ConfigConfirm
                | Self::ConfigRollback
                | Self::RecorderDump
                | Self::UpdateStatus
                | Self::UpdateInstall { .. }
                | Self::TokenAdd { .. }
                | Self::PasswordSet { .. }
                | Self::TokenRevoke { .. }
                | Self::Packages { .. }
                | Self::PackagePiece { .. }
                | Self::PackageRemove { .. }
        )
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::PeerList`].
    Peers(Vec<PeerEntry>),
    /// To [`Request::Inject`].
    Injected {
        /// Events taken.
        accepted: u32,
        /// Events refused.
        refused: Vec<RefusedEvent>,
    },
    /// To [`Request::ConfigText`].
    Config(ConfigText),
    /// To [`Request::ConfigCheck`]: what is wrong, from the top; empty when it is valid.
    Checked(Vec<ConfigFault>),
    /// To [`Request::ConfigCommit`], [`Request::ConfigConfirm`], [`Request::ConfigRollback`].
    Committed(Committed),
    /// To [`Request::Packages`]; empty behind the last one.
    Packages(Vec<PackageEntry>),
    /// To [`Request::PackagePiece`]: so many bytes are there.
    PackageAt(u64),
    /// To [`Request::Log`], the oldest first.
    Log(Vec<String>),
    /// To [`Request::Check`] and [`Request::CheckAgain`].
    Check(Box<CheckReport>),
    /// To [`Request::ProbeCame`].
    Came(bool),
    /// To [`Request::RecorderDump`]: the file.
    Recorded(String),
    /// To [`Request::Why`].
    Why(Box<WhyReport>),
    /// To [`Request::UpdateStatus`].
    Update(Box<UpdateReport>),
    /// To [`Request::TokenAdd`] and, when one was made, [`Request::PasswordSet`]: it is shown this once.
    Secret(String),
    /// To [`Request::TokenList`].
    Tokens(Vec<TokenEntry>),
    /// To [`Request::FirstPassword`].
    First(Option<String>),
    /// To [`Request::Connection`].
    Connection(Box<ConnectionInfo>),
    /// To [`Request::Pair`].
    Pair(PairResponse),
    /// Done; what happened, in words.
    Done(String),
    /// Not done.
    Error(Fault),
}

impl Response {
    /// Separates the error from the answers.
    ///
    /// # Errors
    /// The fault that the box reports.
    pub fn into_result(self) -> Result<Self, Fault> {
        match self {
            Self::Error(fault) => Err(fault),
            answer => Ok(answer),
        }
    }
}

impl From<Fault> for Response {
    fn from(fault: Fault) -> Self {
        Self::Error(fault)
    }
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What kind of fault.
    pub code: ErrorCode,
    /// In words: what is wrong, where, the cure.
    pub message: String,
}

impl Fault {
    /// A fault.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl From<EditError> for Fault {
    fn from(error: EditError) -> Self {
        let code = match error {
            EditError::Exists(_) => ErrorCode::Exists,
            EditError::NotFound { .. } => ErrorCode::NotFound,
            EditError::Elsewhere { .. } => ErrorCode::Conflict,
            EditError::Argument { .. } => ErrorCode::Argument,
            EditError::Authority(_) => ErrorCode::Invalid,
            EditError::Io { .. } => ErrorCode::Io,
            EditError::Config(_) | EditError::Shape(_) | EditError::TooMany { .. } => {
                ErrorCode::Config
            }
        };
        Self::new(code, error.to_string())
    }
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// The request cannot be understood or holds something unusable.
    Invalid,
    /// One of its values cannot be used; the message begins with which.
    Argument,
    /// The request is longer than the box takes.
    TooLong,
    /// What it names is not there.
    NotFound,
    /// What it wants to make is there already.
    Exists,
    /// Something was changed meanwhile, or waits for its confirmation.
    Conflict,
    /// Whoever asks did not prove what it must.
    Refused,
    /// Asked too often; again later.
    TooMany,
    /// The configuration is not valid.
    Config,
    /// A file cannot be read or written.
    Io,
    /// The box is on its way down, or too slow.
    Unavailable,
    /// A defect of the box.
    Internal,
}

#[cfg(test)]
mod tests;
