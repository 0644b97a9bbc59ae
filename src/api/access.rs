//! What is asked about tokens and users, checked; and what is wrong with it, in words.

use super::request::{ErrorCode, Fault};
use crate::access::{AccessError, Scopes, UnknownScope};

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
