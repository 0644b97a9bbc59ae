//! The box at which the code is typed.

use super::holder::{JOINER, PROTOCOL};
use super::introduction::{Introduction, NoIntroduction};
use super::sealed::{self, From};
use super::spake2::{About, Agreed, BadShare, CONFIRMATION, Role, SHARE, Secret, Side};
use super::{Code, Entropy};

/// The joiner before its first step.
pub struct Joiner(Side);

/// The joiner between its steps.
pub struct Confirming(Agreed);

impl Joiner {
    /// Begins with a code.
    pub fn new(code: &Code, entropy: &Entropy) -> Self {
        Self(Side::new(Role::A, Secret::of(code.bytes()), entropy))
    }

    /// The first step.
    pub fn share(&self) -> &[u8; SHARE] {
        self.0.share()
    }

    /// Takes the answer to it. `certificate` is the SHA-256 of the certificate that the other side's TLS showed to us: who
    /// ends our TLS and begins another towards the holder shows another.
    ///
    /// # Errors
    /// When it is none.
    pub fn hear(self, share: &[u8; SHARE], certificate: &[u8; 32]) -> Result<Confirming, BadShare> {
        let about = About {
            a: JOINER,
            b: certificate,
            more: PROTOCOL,
        };
        self.0.finish(share, about).map(Confirming)
    }
}

impl Confirming {
    /// The second step: our confirmation, and our introduction, sealed.
    ///
    /// # Errors
    /// When our introduction is too long.
    pub fn step(
        &self,
        ours: &Introduction,
    ) -> Result<([u8; CONFIRMATION], Vec<u8>), NoIntroduction> {
        let bytes = ours.bytes()?;
        let sealed = sealed::seal(&self.0.key, From::Joiner, &bytes);
        Ok((self.0.ours, sealed.ok_or(NoIntroduction::Unreadable)?))
    }

    /// Takes the answer to it; none when the other side does not know the code.
    ///
    /// # Errors
    /// When it knows the code and its introduction cannot be used.
    pub fn end(
        self,
        confirmation: &[u8; CONFIRMATION],
        sealed: &[u8],
    ) -> Option<Result<Introduction, NoIntroduction>> {
        if !self.0.is_confirmed_by(confirmation) {
            return None;
        }
        let opened = sealed::open(&self.0.key, From::Holder, sealed);
        let opened = opened.ok_or(NoIntroduction::Unreadable);
        Some(opened.and_then(|bytes| Introduction::read(&bytes)))
    }
}
