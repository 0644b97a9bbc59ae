//! What the commands and the API see of tokens and users.

use serde::{Deserialize, Serialize};

use super::request::{ErrorCode, Fault};
use crate::access::{AccessError, Listed, Scopes, UnknownScope};
use crate::wire::stamp;

/// A token, or a user with a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenEntry {
    /// Its name.
    pub name: String,
    /// `token` or `user`.
    pub kind: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it was made, RFC 3339.
    pub made: Option<String>,
    /// When it ends, RFC 3339; none = never.
    pub expires: Option<String>,
}

impl From<Listed> for TokenEntry {
    fn from(listed: Listed) -> Self {
        let time = |seconds: i64| {
            let text = stamp::write(seconds.saturating_mul(1000))?;
            Some(String::from_utf8_lossy(&text).into_owned())
        };
        Self {
            name: listed.name,
            kind: if listed.is_user { "user" } else { "token" }.to_owned(),
            scopes: listed.scopes.words(),
            made: time(listed.made_at),
            expires: listed.expires_at.and_then(time),
        }
    }
}

/// Longest life of a token, days.
pub const MOST_DAYS: u32 = 3650;

/// When a token of so many days ends.
///
/// # Errors
/// When that is no number of days.
pub fn end(days: Option<u32>, now: i64) -> Result<Option<i64>, Fault> {
    match days {
        None => Ok(None),
        Some(days @ 1..=MOST_DAYS) => Ok(Some(now + i64::from(days) * 86_400)),
        Some(days) => {
            let words = format!(
                "days: {days} is out of range; give 1 to {MOST_DAYS}, or none for a token without end"
            );
            Err(Fault::new(ErrorCode::Argument, words))
        }
    }
}

/// Reads scopes and roles.
///
/// # Errors
/// The first word that is neither.
pub fn scopes(words: &[String]) -> Result<Scopes, Fault> {
    Ok(Scopes::read(words.iter().map(String::as_str))?)
}

impl From<UnknownScope> for Fault {
    fn from(error: UnknownScope) -> Self {
        Self::new(ErrorCode::Argument, error.to_string())
    }
}

impl From<AccessError> for Fault {
    fn from(error: AccessError) -> Self {
        let code = match error {
            AccessError::Name(_) | AccessError::Password => ErrorCode::Argument,
            AccessError::Exists(_) => ErrorCode::Exists,
            AccessError::NotFound(_) => ErrorCode::NotFound,
            AccessError::Full => ErrorCode::Conflict,
            AccessError::Random => ErrorCode::Unavailable,
            AccessError::State(_) => ErrorCode::Io,
        };
        Self::new(code, error.to_string())
    }
}
