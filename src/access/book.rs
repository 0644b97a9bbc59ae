//! What is remembered of those who may come in: never a secret, only what it can be recognised by.

use std::fmt;
use std::num::NonZeroU32;

use ring::digest::{SHA256, digest};
use ring::pbkdf2;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use super::scope::Scopes;
use crate::config::settings::name_fault;

/// Tokens and passwords together, at most.
pub const MOST_ENTRIES: usize = 64;
/// Shortest password, characters.
pub const SHORTEST_PASSWORD: usize = 12;
/// Longest password, bytes.
pub const LONGEST_PASSWORD: usize = 256;
/// Rounds of PBKDF2-HMAC-SHA256 for a new password: a fifth of a second on a small board.
const ROUNDS: NonZeroU32 = match NonZeroU32::new(if cfg!(test) { 500 } else { 200_000 }) {
    Some(rounds) => rounds,
    None => NonZeroU32::MIN,
};
/// What a token begins with, so that people and scanners know one when they see it.
pub const PREFIX: &str = "tmb_";

/// What somebody is recognised by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proof {
    /// SHA-256 of a token of 256 random bits.
    Token([u8; 32]),
    /// PBKDF2 of a password.
    Password {
        /// Random.
        salt: [u8; 16],
        /// Rounds.
        rounds: NonZeroU32,
        /// What comes out.
        hash: [u8; 32],
    },
}

/// A token, or a user with a password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Unique, 1 to 64 characters.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// When it was made, seconds since 1970.
    pub made_at: i64,
    /// When it ends, seconds since 1970; none = never.
    pub expires_at: Option<i64>,
    /// How it is recognised.
    pub proof: Proof,
}

impl Entry {
    /// Whether it still counts at that time.
    pub fn is_valid(&self, now: i64) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Book {
    /// In the order in which they were made.
    pub entries: Vec<Entry>,
}

impl Book {
    /// The entry of that name.
    pub fn of(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// Adds one; a user's new password takes the place of the old one.
    ///
    /// # Errors
    /// When the name is taken or cannot be used, or the book is full.
    pub fn add(&mut self, entry: Entry) -> Result<(), AccessError> {
        if let Some(fault) = name_fault(&entry.name) {
            return Err(AccessError::Name(fault));
        }
        let is_user = |entry: &Entry| matches!(entry.proof, Proof::Password { .. });
        let is_full = self.entries.len() >= MOST_ENTRIES;
        match self.entries.iter_mut().find(|old| old.name == entry.name) {
            Some(old) if is_user(old) && is_user(&entry) => *old = entry,
            Some(_) => return Err(AccessError::Exists(entry.name)),
            None if is_full => return Err(AccessError::Full),
            None => self.entries.push(entry),
        }
        Ok(())
    }
}

/// Why access was not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessError {
    /// The name cannot be used.
    Name(&'static str),
    /// There is one of that name.
    Exists(String),
    /// There is none of that name.
    NotFound(String),
    /// [`MOST_ENTRIES`] are there.
    Full,
    /// The password cannot be used.
    Password,
    /// The system gives no random numbers.
    Random,
    /// The state directory does not do its part; in words.
    State(String),
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(fault) => write!(f, "name: {fault}; give 1 to 64 characters"),
            Self::Exists(name) => write!(
                f,
                "name: there is one called \"{name}\" already; revoke it first, or take another name"
            ),
            Self::NotFound(name) => write!(
                f,
                "there is no token and no user called \"{name}\"; `tombolo token list` shows them"
            ),
            Self::Full => write!(
                f,
                "there are {MOST_ENTRIES} tokens and users, and no more fit; revoke one that is not used"
            ),
            Self::Password => write!(
                f,
                "password: it must have at least {SHORTEST_PASSWORD} characters, and at most {LONGEST_PASSWORD} bytes; \
                 take a longer one, or have one made"
            ),
            Self::Random => f.write_str("the system gives no random numbers; try again"),
            Self::State(words) => f.write_str(words),
        }
    }
}

impl std::error::Error for AccessError {}

/// A new token, and what it is recognised by.
///
/// # Errors
/// When the system gives no randomness.
pub fn new_token() -> Result<(String, [u8; 32]), AccessError> {
    let bytes: [u8; 32] = random()?;
    let mut text = PREFIX.to_owned();
    text.extend(bytes.iter().map(|byte| format!("{byte:02x}")));
    let hash = token_hash(&text);
    Ok((text, hash))
}

/// What a token is recognised by. The token has 256 random bits, so one round is enough.
pub fn token_hash(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

/// What a password is recognised by. Takes a moment, on purpose.
///
/// # Errors
/// A password too short or too long, or no randomness.
pub fn password_proof(password: &str) -> Result<Proof, AccessError> {
    if password.chars().count() < SHORTEST_PASSWORD || password.len() > LONGEST_PASSWORD {
        return Err(AccessError::Password);
    }
    let salt: [u8; 16] = random()?;
    let mut hash = [0; 32];
    derive(ROUNDS, &salt, password, &mut hash);
    Ok(Proof::Password {
        salt,
        rounds: ROUNDS,
        hash,
    })
}

/// A proof that no password fits, and that takes as long to say so.
pub fn nobody() -> Proof {
    Proof::Password {
        salt: [0; 16],
        rounds: ROUNDS,
        hash: [0; 32],
    }
}

/// Whether a password is the one.
pub fn fits(proof: &Proof, password: &str) -> bool {
    let Proof::Password { salt, rounds, hash } = proof else {
        return false;
    };
    pbkdf2::verify(
        pbkdf2::PBKDF2_HMAC_SHA256,
        *rounds,
        salt,
        password.as_bytes(),
        hash,
    )
    .is_ok()
}

fn derive(rounds: NonZeroU32, salt: &[u8], password: &str, out: &mut [u8; 32]) {
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        rounds,
        salt,
        password.as_bytes(),
        out,
    );
}

fn random<const N: usize>() -> Result<[u8; N], AccessError> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| AccessError::Random)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Scope;

    #[test]
    fn a_password_is_recognised_and_nothing_of_it_is_kept() {
        let proof = password_proof("correct horse battery").unwrap();
        assert!(fits(&proof, "correct horse battery"));
        assert!(!fits(&proof, "correct horse batterY"));
        let kept = format!("{:?}", postcard::to_stdvec(&proof).unwrap());
        assert!(!kept.contains("horse"));
        assert!(!fits(&nobody(), "") && !fits(&nobody(), "admin"));
        assert_eq!(password_proof("short"), Err(AccessError::Password));
        assert_eq!(password_proof(&"x".repeat(257)), Err(AccessError::Password));
    }

    #[test]
    fn tokens_are_long_different_and_known_by_their_hash() {
        let (one, hash) = new_token().unwrap();
        let (other, _) = new_token().unwrap();
        assert_eq!(one.len(), 68);
        assert_ne!(one, other);
        assert_eq!(token_hash(&one), hash);
    }

    #[test]
    fn names_are_unique_but_a_password_can_be_changed() {
        let entry = |name: &str, proof| Entry {
            name: name.into(),
            scopes: Scopes::of(Scope::View),
            made_at: 0,
            expires_at: None,
            proof,
        };
        let mut book = Book::default();
        let user = |salt| Proof::Password {
            salt: [salt; 16],
            rounds: ROUNDS,
            hash: [0; 32],
        };
        book.add(entry("a", Proof::Token([1; 32]))).unwrap();
        book.add(entry("b", user(1))).unwrap();
        book.add(entry("b", user(2))).unwrap();
        assert_eq!(book.of("b").unwrap().proof, user(2));
        for (name, proof) in [
            ("a", user(3)),
            ("a", Proof::Token([2; 32])),
            ("b", Proof::Token([2; 32])),
        ] {
            assert_eq!(
                book.add(entry(name, proof)),
                Err(AccessError::Exists(name.into()))
            );
        }
        assert!(matches!(
            book.add(entry("", user(1))),
            Err(AccessError::Name(_))
        ));
        for number in 2..MOST_ENTRIES {
            book.add(entry(&format!("n{number}"), Proof::Token([3; 32])))
                .unwrap();
        }
        assert_eq!(book.add(entry("z", user(1))), Err(AccessError::Full));
    }
}
