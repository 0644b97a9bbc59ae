//! Who may ask for what over the network: tokens, users with passwords, sessions, and the first way in.
//!
//! No secret is kept: of tokens a SHA-256, of passwords a PBKDF2, in two generations of a state file. Sessions (what a
//! login gives) live in memory. A box with neither tokens nor users makes a password for its first login each time it
//! starts; whoever can reach its console or its files can read it, it works once, and it is written down nowhere.

mod book;
mod scope;
mod throttle;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

pub use book::{AccessError, Entry, PREFIX, Proof, SHORTEST_PASSWORD};
pub use scope::{Scope, Scopes, UnknownScope};
pub use throttle::Throttle;

use crate::pki::package::random_password;
use crate::state::{Found, StateError, TwoGenerations};
use book::Book;

/// Who logs in with the first password.
pub const FIRST_USER: &str = "admin";
/// How long a login lasts, milliseconds.
const SESSION_MS: u64 = 12 * 3_600_000;
/// Logins at once; the oldest makes room.
const SESSIONS: usize = 32;

/// Somebody who was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The name of the token or user.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
}

/// A session that a login gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The bearer token.
    pub token: String,
    /// Whose.
    pub grant: Grant,
    /// How long it lasts, seconds.
    pub seconds: u64,
}

/// A login that failed. Which part was wrong is not said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotSignedIn {
    /// User or password is wrong.
    Wrong,
    /// Too many wrong ones; again after so many seconds.
    TooMany(u64),
    /// The system gives no random numbers.
    Random,
}

/// The time, as access judges it.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Monotonic, milliseconds.
    pub mono_ms: u64,
    /// Seconds since 1970.
    pub wall: i64,
}

/// A token or user, without what it is recognised by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// A user with a password, not a token.
    pub is_user: bool,
    /// What it may do.
    pub scopes: Scopes,
    /// When it was made, seconds since 1970.
    pub made_at: i64,
    /// When it ends; none = never.
    pub expires_at: Option<i64>,
}

/// All access to one box; clones share it.
#[derive(Clone)]
pub struct Access {
    shared: Arc<Mutex<Shared>>,
    changed: Arc<watch::Sender<u64>>,
}

struct Shared {
    store: TwoGenerations<Book>,
    book: Book,
    sessions: Vec<Session>,
    first: Option<String>,
    throttle: Throttle,
}

struct Session {
    hash: [u8; 32],
    name: String,
    scopes: Scopes,
    ends_ms: u64,
}

impl Access {
    /// Opens what the state directory remembers.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(state: &Path) -> Result<Self, StateError> {
        let (store, found) = TwoGenerations::open(state, "access")?;
        let book: Book = match found {
            Found::Value(book) => book,
            Found::Nothing => Book::default(),
            Found::Damaged => {
                tracing::error!(
                    "the files access.a and access.b are damaged: tokens and users are forgotten, make new ones"
                );
                Book::default()
            }
        };
        let first = match book.entries.is_empty() {
            true => random_password().ok(),
            false => None,
        };
        Ok(Self {
            shared: Arc::new(Mutex::new(Shared {
                store,
                book,
                sessions: Vec::new(),
                first,
                throttle: Throttle::new(0),
            })),
            changed: Arc::new(watch::Sender::new(0)),
        })
    }

    /// The password of the first login, as [`FIRST_USER`]; none once there are tokens or users, or it was used.
    pub fn first_password(&self) -> Option<String> {
        self.lock().first.clone()
    }

    /// Tokens and users, in the order in which they were made.
    pub fn list(&self) -> Vec<Listed> {
        let shared = self.lock();
        let entries = shared.book.entries.iter();
        let listed = entries.map(|entry| Listed {
            name: entry.name.clone(),
            is_user: matches!(entry.proof, Proof::Password { .. }),
            scopes: entry.scopes,
            made_at: entry.made_at,
            expires_at: entry.expires_at,
        });
        listed.collect()
    }

    /// Makes a token; this is the only time that it is seen.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub fn add_token(
        &self,
        name: &str,
        scopes: Scopes,
        expires_at: Option<i64>,
        now: i64,
    ) -> Result<String, AccessError> {
        let (token, hash) = book::new_token()?;
        self.add(Entry {
            name: name.to_owned(),
            scopes,
            made_at: now,
            expires_at,
            proof: Proof::Token(hash),
        })?;
        Ok(token)
    }

    /// Gives a user a password, and ends what was open with the old one; without one a password is made. Tells the
    /// password that was made. Takes a moment: not for the event loop.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub fn set_password(
        &self,
        name: &str,
        scopes: Scopes,
        password: Option<&str>,
        now: i64,
    ) -> Result<Option<String>, AccessError> {
        let made = match password {
            Some(_) => None,
            None => Some(random_password().map_err(|_| AccessError::Random)?),
        };
        let password = password.or(made.as_deref()).unwrap_or_default();
        let proof = book::password_proof(password)?;
        self.add(Entry {
            name: name.to_owned(),
            scopes,
            made_at: now,
            expires_at: None,
            proof,
        })?;
        self.end_sessions(name);
        Ok(made)
    }

    fn add(&self, entry: Entry) -> Result<(), AccessError> {
        let mut shared = self.lock();
        let mut book = shared.book.clone();
        book.add(entry)?;
        shared.save(book)?;
        shared.first = None;
        Ok(())
    }

    /// Ends a token or a user, with all that is open in its name.
    ///
    /// # Errors
    /// When there is none of that name, or it cannot be written.
    pub fn revoke(&self, name: &str) -> Result<(), AccessError> {
        {
            let mut shared = self.lock();
            let mut book = shared.book.clone();
            book.entries.retain(|entry| entry.name != name);
            if book.entries.len() == shared.book.entries.len() {
                return Err(AccessError::NotFound(name.to_owned()));
            }
            shared.save(book)?;
        }
        self.end_sessions(name);
        Ok(())
    }

    /// Ends one session: its token counts no more.
    pub fn sign_out(&self, token: &str) {
        let hash = book::token_hash(token);
        self.lock().sessions.retain(|session| session.hash != hash);
        self.tell();
    }

    /// Who holds that token.
    pub fn holder(&self, token: &str, now: Moment) -> Option<Grant> {
        let hash = book::token_hash(token);
        let shared = self.lock();
        let entries = shared.book.entries.iter();
        let mut known = entries.filter(|entry| entry.proof == Proof::Token(hash));
        if let Some(entry) = known.find(|entry| entry.is_valid(now.wall)) {
            return Some(Grant {
                name: entry.name.clone(),
                scopes: entry.scopes,
            });
        }
        let mut sessions = shared.sessions.iter();
        let session =
            sessions.find(|session| session.hash == hash && now.mono_ms < session.ends_ms)?;
        Some(Grant {
            name: session.name.clone(),
            scopes: session.scopes,
        })
    }

    /// Logs somebody in. Takes a moment, whoever it is: not for the event loop, and one at a time.
    ///
    /// # Errors
    /// See [`NotSignedIn`].
    pub fn sign_in(
        &self,
        from: IpAddr,
        name: &str,
        password: &str,
        now: Moment,
    ) -> Result<SignedIn, NotSignedIn> {
        let (proof, scopes) = {
            let mut shared = self.lock();
            let taken = shared.throttle.take(from, now.mono_ms);
            taken.map_err(|wait| NotSignedIn::TooMany(wait.div_ceil(1000)))?;
            let entry = shared
                .book
                .of(name)
                .filter(|entry| entry.is_valid(now.wall));
            let user = entry.filter(|entry| matches!(entry.proof, Proof::Password { .. }));
            match user {
                Some(user) => (user.proof.clone(), user.scopes),
                None => (book::nobody(), Scopes::default()),
            }
        };
        // The same work for a name that nobody has: how long it takes tells nothing.
        let is_user = book::fits(&proof, password);
        let (token, hash) = book::new_token().map_err(|_| NotSignedIn::Random)?;
        let mut shared = self.lock();
        let is_first = name == FIRST_USER
            && (shared.first.as_ref())
                .is_some_and(|first| book::token_hash(first) == book::token_hash(&plain(password)));
        let scopes = match (is_user, is_first) {
            (true, _) => scopes,
            (false, true) => {
                shared.first = None;
                Scopes::ALL
            }
            (false, false) => return Err(NotSignedIn::Wrong),
        };
        shared.throttle.give_back(from);
        (shared.sessions).retain(|session| now.mono_ms < session.ends_ms);
        if shared.sessions.len() >= SESSIONS {
            shared.sessions.remove(0);
        }
        shared.sessions.push(Session {
            hash,
            name: name.to_owned(),
            scopes,
            ends_ms: now.mono_ms + SESSION_MS,
        });
        Ok(SignedIn {
            token,
            grant: Grant {
                name: name.to_owned(),
                scopes,
            },
            seconds: SESSION_MS / 1000,
        })
    }

    /// Changes whenever somebody's right to be in may have ended.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn end_sessions(&self, name: &str) {
        self.lock().sessions.retain(|session| session.name != name);
        self.tell();
    }

    fn tell(&self) {
        self.changed
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn save(&mut self, book: Book) -> Result<(), AccessError> {
        (self.store.save(&book)).map_err(|error| AccessError::State(error.to_string()))?;
        self.book = book;
        Ok(())
    }
}

/// The first password as it was made: people type it with small letters, blanks and dashes.
fn plain(typed: &str) -> String {
    let letters = typed.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|letter| letter.to_ascii_uppercase()).collect()
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No secret may reach a log.
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
