//! What the commands and the API see of tokens and users.

use serde::{Deserialize, Serialize};

use crate::access::Listed;
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
