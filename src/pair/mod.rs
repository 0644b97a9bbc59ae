//! Pairing two boxes by a code of eight characters that one person tells another (checklist S50 to S54).
//!
//! Pure: bytes, random numbers and `now` come in, bytes and decisions come out. [`Holder`] is the box that made the code,
//! [`Joiner`] the one at which it is typed. They meet at the holder's HTTPS API, whose certificate the joiner cannot judge
//! yet; what proves each to the other is SPAKE2 (RFC 9382) over the code, and the certificate that TLS showed is part of
//! what both must agree on. Then each hands the other its [`Introduction`], sealed under the key that came out.
//!
//! | step | joiner to holder | holder to joiner |
//! |---|---|---|
//! | 1 | its share | its share, the number of the exchange |
//! | 2 | its confirmation, its introduction (sealed) | its confirmation, its introduction (sealed) |
//!
//! **One try, one guess.** The holder says nothing that depends on the code before it has checked the joiner's
//! confirmation: its share alone is a random point, whatever the code. So an exchange that is given up before step 2 has
//! taught the joiner nothing and costs no try, and each wrong step 2 rules out one code and costs one of five. Whoever
//! stands between the two, or poses as the holder, gets the joiner's confirmation and with it one guess for each time that
//! a person types the code, which then fails and is seen to fail.
//!
//! **No oracle.** Without a code that waits (never made, used, run out, used up, cleared) the holder does the very same
//! reckoning with a random secret in the code's place: same answers, same work.

mod code;
mod holder;
mod introduction;
mod joiner;
mod sealed;
mod spake2;

pub use code::{Code, NotACode};
pub use holder::{
    Begun, Holder, LIFE_MS, NotPaired, Opening, Proven, Randomness, Reckoned, Standing, TRIES,
};
pub use introduction::{Introduction, NoIntroduction};
pub use joiner::{Confirming, Joiner};
pub use sealed::MOST_SEALED;
pub use spake2::{BadShare, CONFIRMATION, SHARE};

use serde::{Deserialize, Serialize};

/// Random bytes of one side of an exchange: for its secret number.
pub type Entropy = [u8; 64];

/// What one side lets cross; each side has its own, and may change it later (checklist S52, S53).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// What to call the other; none: what it calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Take what it sends.
    #[serde(default = "on")]
    pub incoming: bool,
    /// Send what we have.
    #[serde(default = "on")]
    pub outgoing: bool,
    /// Take data packages and files from it.
    #[serde(default = "on")]
    pub data_packages_in: bool,
    /// Let it have data packages and files of ours.
    #[serde(default = "on")]
    pub data_packages_out: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            name: None,
            incoming: true,
            outgoing: true,
            data_packages_in: true,
            data_packages_out: true,
        }
    }
}

fn on() -> bool {
    true
}

#[cfg(test)]
mod tests;
