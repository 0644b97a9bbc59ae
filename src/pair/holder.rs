//! The box that made the code, and the exchanges with those who say they know it.

use std::fmt;

use super::introduction::{Introduction, NoIntroduction};
use super::sealed::{self, From};
use super::spake2::{About, Agreed, BadShare, CONFIRMATION, Role, SHARE, Secret, Side};
use super::{Code, Entropy, Terms};

/// How long a code counts, milliseconds of a monotonic clock: what the wall clock says has no part in it.
pub const LIFE_MS: u64 = 10 * 60 * 1000;
/// Wrong guesses after which it is gone.
pub const TRIES: u8 = 5;
/// Exchanges under way at once; the oldest makes room. One visitor has one.
const SESSIONS: usize = 4;
/// How long the second step may take to come, milliseconds.
const SESSION_MS: u64 = 60 * 1000;

/// What is agreed on beside code and identities, so that another version of this exchange is another exchange.
pub(super) const PROTOCOL: &[u8] = b"tombolo pairing 1";
/// Identity of the joiner: anybody, as far as SPAKE2 goes. Who it is comes with its introduction.
pub(super) const JOINER: &[u8] = b"joiner";

/// A code that waits.
#[derive(Debug)]
struct Waiting {
    code: Code,
    terms: Terms,
    until_ms: u64,
    tries_left: u8,
}

/// An exchange between its steps.
struct Session {
    number: [u8; 16],
    /// Whose it is.
    visitor: u128,
    /// Which code it is about; of an old one, or of none, it can come to nothing.
    about: u64,
    until_ms: u64,
    agreed: Agreed,
}

/// How a code stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// It.
    pub code: Code,
    /// Seconds that it still counts, rounded up.
    pub seconds_left: u32,
    /// Wrong guesses that it still bears.
    pub tries_left: u8,
}

/// The holder: at most one code, and few exchanges.
#[derive(Default)]
pub struct Holder {
    waiting: Option<Waiting>,
    /// Counts codes, so that an exchange is about one and no other.
    made: u64,
    sessions: Vec<Session>,
}

/// Random bytes of the holder's first step.
#[derive(Clone)]
pub struct Randomness {
    /// For the secret number.
    pub own: Entropy,
    /// For a secret in the code's place.
    pub stand_in: [u8; 32],
    /// For the number of the exchange.
    pub number: [u8; 16],
}

/// The beginning of an exchange: what is to be reckoned with, away from the holder, for it takes some milliseconds.
pub struct Opening {
    about: u64,
    secret: Secret,
    randomness: Randomness,
}

/// The answer to the first step, reckoned and not yet noted.
pub struct Reckoned {
    session: (u64, Agreed),
    begun: Begun,
}

/// The answer to the first step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The number of the exchange.
    pub number: [u8; 16],
    /// Our share.
    pub share: [u8; SHARE],
}

/// A joiner that proved to know the code, which is used up.
pub struct Proven {
    /// Who it says it is.
    pub theirs: Introduction,
    /// What the code was made for.
    pub terms: Terms,
    agreed: Agreed,
}

/// Why the second step came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotPaired {
    /// Wrong code, or none that waits: nobody is told which. For the log alone: tries that are left of the code that
    /// waits, if this cost one.
    Refused(Option<u8>),
    /// The code was right, and what came with it cannot be used. The code is used up.
    Introduction(NoIntroduction),
}

impl Holder {
    /// Makes a code; one that waited counts no more.
    pub fn make(&mut self, entropy: [u8; 5], terms: Terms, now_ms: u64) -> Standing {
        self.made += 1;
        let waiting = self.waiting.insert(Waiting {
            code: Code::new(entropy),
            terms,
            until_ms: now_ms.saturating_add(LIFE_MS),
            tries_left: TRIES,
        });
        waiting.standing(now_ms)
    }

    /// Takes the code back; says whether one waited. What was paired before stays.
    pub fn clear(&mut self, now_ms: u64) -> bool {
        let waited = self.standing(now_ms).is_some();
        self.waiting = None;
        waited
    }

    /// The code that waits.
    pub fn standing(&self, now_ms: u64) -> Option<Standing> {
        let waiting = self.waiting.as_ref()?;
        (now_ms < waiting.until_ms).then(|| waiting.standing(now_ms))
    }

    /// Begins an exchange. Whether a code waits makes no difference that can be seen.
    pub fn open(&self, randomness: Randomness, now_ms: u64) -> Opening {
        let waiting = self.waiting.as_ref();
        let waiting = waiting.filter(|waiting| now_ms < waiting.until_ms);
        let (about, password) = match waiting {
            Some(waiting) => (self.made, waiting.code.bytes()),
            None => (0, &randomness.stand_in[..]),
        };
        Opening {
            about,
            secret: Secret::of(password),
            randomness,
        }
    }

    /// Notes an exchange. `visitor` is a number that tells visitors apart.
    pub fn note(&mut self, reckoned: Reckoned, visitor: u128, now_ms: u64) -> Begun {
        self.sessions
            .retain(|session| session.visitor != visitor && now_ms < session.until_ms);
        if self.sessions.len() >= SESSIONS {
            self.sessions.remove(0);
        }
        let (about, agreed) = reckoned.session;
        self.sessions.push(Session {
            number: reckoned.begun.number,
            visitor,
            about,
            until_ms: now_ms.saturating_add(SESSION_MS),
            agreed,
        });
        reckoned.begun
    }

    /// The second step: only now is anything looked at that depends on the code.
    ///
    /// # Errors
    /// See [`NotPaired`].
    pub fn finish(
        &mut self,
        number: &[u8; 16],
        confirmation: &[u8; CONFIRMATION],
        sealed: &[u8],
        now_ms: u64,
    ) -> Result<Proven, NotPaired> {
        let is_it = |session: &Session| session.number == *number && now_ms < session.until_ms;
        let place = self.sessions.iter().position(is_it);
        // Never made, or given up: nothing was guessed.
        let place = place.ok_or(NotPaired::Refused(None))?;
        // An exchange has one second step.
        let session = self.sessions.remove(place);
        let is_confirmed = session.agreed.is_confirmed_by(confirmation);
        let current = self.made;
        let waiting = self.waiting.as_mut();
        let waiting = waiting.filter(|code| session.about == current && now_ms < code.until_ms);
        // A guess at a code that counts no more, or at none, is no guess at the one that waits.
        let waiting = waiting.ok_or(NotPaired::Refused(None))?;
        if !is_confirmed {
            waiting.tries_left = waiting.tries_left.saturating_sub(1);
            let left = waiting.tries_left;
            if left == 0 {
                self.waiting = None;
            }
            return Err(NotPaired::Refused(Some(left)));
        }
        let terms = waiting.terms.clone();
        self.waiting = None;
        self.sessions.clear();
        let unreadable = NotPaired::Introduction(NoIntroduction::Unreadable);
        let opened = sealed::open(&session.agreed.key, From::Joiner, sealed).ok_or(unreadable)?;
        Ok(Proven {
            theirs: Introduction::read(&opened).map_err(NotPaired::Introduction)?,
            terms,
            agreed: session.agreed,
        })
    }
}

impl Waiting {
    fn standing(&self, now_ms: u64) -> Standing {
        let left_ms = self.until_ms.saturating_sub(now_ms);
        Standing {
            code: self.code.clone(),
            seconds_left: u32::try_from(left_ms.div_ceil(1000)).unwrap_or(u32::MAX),
            tries_left: self.tries_left,
        }
    }
}

impl Opening {
    /// Reckons the answer. `certificate` is the SHA-256 of the certificate that our TLS shows.
    ///
    /// # Errors
    /// When the joiner's share is none.
    pub fn reckon(self, share: &[u8; SHARE], certificate: &[u8; 32]) -> Result<Reckoned, BadShare> {
        let side = Side::new(Role::B, self.secret, &self.randomness.own);
        let begun = Begun {
            number: self.randomness.number,
            share: *side.share(),
        };
        let about = About {
            a: JOINER,
            b: certificate,
            more: PROTOCOL,
        };
        Ok(Reckoned {
            session: (self.about, side.finish(share, about)?),
            begun,
        })
    }
}

impl Proven {
    /// What goes back: our confirmation, and our introduction, sealed.
    ///
    /// # Errors
    /// When our introduction is too long.
    pub fn answer(
        &self,
        ours: &Introduction,
    ) -> Result<([u8; CONFIRMATION], Vec<u8>), NoIntroduction> {
        let bytes = ours.bytes()?;
        let sealed = sealed::seal(&self.agreed.key, From::Holder, &bytes);
        Ok((self.agreed.ours, sealed.ok_or(NoIntroduction::Unreadable)?))
    }
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holder")
            .field("waiting", &self.waiting)
            .field("sessions", &self.sessions.len())
            .finish_non_exhaustive()
    }
}
