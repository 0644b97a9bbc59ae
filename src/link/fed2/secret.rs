//! A secret that two boxes share, proven before anything flows.
//!
//! The side that dialled calls `/tombolo.Box/Secret` before every other call. Its payload is an HMAC-SHA-256 over
//! what only the two ends of this TLS connection can know (an exporter, RFC 5705), under the secret; the answer is the
//! same with another label. So neither side learns the secret from the other, and no proof is good for another
//! connection. A peer that cannot prove it, whatever it is, gets nothing.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use ring::hmac;

use crate::config::Secret;
use crate::link::grpc::status::{Code, Status};

/// The private method.
pub(super) const METHOD: &str = "Secret";

/// What a peer without proof is told.
const WANTED: &str = "this box wants the shared secret proven first";
const WRONG: &str = "the shared secret is not the same on both sides";
const NONE: &str = "no shared secret is set for this federate here";

/// Label of the exporter.
const LABEL: &[u8] = b"EXPORTER-tombolo-secret";

/// What must be proven on one connection.
pub struct Vow {
    dialled: [u8; 32],
    accepted: [u8; 32],
    proven: AtomicBool,
}

impl PartialEq for Vow {
    fn eq(&self, other: &Self) -> bool {
        self.dialled == other.dialled
    }
}

impl Eq for Vow {}

impl fmt::Debug for Vow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vow").finish_non_exhaustive()
    }
}

impl Vow {
    /// For one connection, of which `session` is the TLS session.
    ///
    /// # Errors
    /// When the session is not established.
    pub fn new<T>(
        secret: &Secret,
        session: &rustls::ConnectionCommon<T>,
    ) -> Result<Self, rustls::Error> {
        let binding = session.export_keying_material([0; 32], LABEL, None)?;
        Ok(Self::bound(secret, &binding))
    }

    fn bound(secret: &Secret, binding: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.bytes());
        let proof = |side: &[u8]| {
            let mut proof = [0; 32];
            let tag = hmac::sign(&key, &[side, binding].concat());
            proof.copy_from_slice(tag.as_ref());
            proof
        };
        Self {
            dialled: proof(b"tombolo secret, dialled:"),
            accepted: proof(b"tombolo secret, accepted:"),
            proven: AtomicBool::new(false),
        }
    }

    /// What the side that dialled says.
    pub(super) fn ours(&self) -> Bytes {
        Bytes::copy_from_slice(&self.dialled)
    }

    /// Judges what the accepting side answered.
    pub(super) fn is_answered(&self, answer: &[u8]) -> bool {
        same(&self.accepted, answer)
    }

    /// The accepting side: judges a proof, and gives the answer to a good one.
    ///
    /// # Errors
    /// PERMISSION_DENIED for a wrong one.
    pub(super) fn judge(&self, proof: &[u8]) -> Result<Bytes, Status> {
        if !same(&self.dialled, proof) {
            return Err(Status::new(Code::PermissionDenied, WRONG));
        }
        self.proven.store(true, Ordering::Relaxed);
        Ok(Bytes::copy_from_slice(&self.accepted))
    }

    /// Lets nobody past without proof.
    ///
    /// # Errors
    /// UNAUTHENTICATED as long as there is none.
    pub(super) fn wanted(vow: Option<&Self>) -> Result<(), Status> {
        match vow {
            Some(vow) if !vow.proven.load(Ordering::Relaxed) => {
                Err(Status::new(Code::Unauthenticated, WANTED))
            }
            _ => Ok(()),
        }
    }

    /// The answer to a proof where no secret is set.
    pub(super) fn unwanted() -> Status {
        Status::new(Code::FailedPrecondition, NONE)
    }
}

/// Whether a status that ended a call is about the secret.
pub fn is_about(status: &Status) -> bool {
    [WANTED, WRONG, NONE].contains(&status.message.as_str())
}

/// In a time that says nothing about where they differ.
fn same(ours: &[u8; 32], theirs: &[u8]) -> bool {
    theirs.len() == ours.len()
        && ours
            .iter()
            .zip(theirs)
            .fold(0, |all, (one, other)| all | (one ^ other))
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_on_the_same_connection_is_a_proof() {
        let secret = Secret::of("correct horse battery");
        let vow = |secret: &Secret, binding: &[u8]| Vow::bound(secret, binding);
        let [ours, theirs] = [0, 1].map(|_| vow(&secret, b"binding"));
        assert!(Vow::wanted(Some(&theirs)).is_err() && Vow::wanted(None).is_ok());
        let answer = theirs.judge(&ours.ours()).unwrap();
        assert!(ours.is_answered(&answer));
        assert!(Vow::wanted(Some(&theirs)).is_ok());
        // A proof is no answer, and no proof of another connection or secret.
        assert!(!ours.is_answered(&ours.ours()));
        for other in [
            vow(&secret, b"another"),
            vow(&Secret::of("another horse battery"), b"binding"),
        ] {
            assert!(is_about(&other.judge(&ours.ours()).unwrap_err()));
            assert!(Vow::wanted(Some(&other)).is_err());
        }
        assert!(ours.judge(&[]).is_err() && ours.judge(&[0; 33]).is_err());
    }
}
