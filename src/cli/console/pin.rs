//! The PIN of the console: `console.pin` in the state directory, as PBKDF2, and the count of wrong tries beside it.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use ring::pbkdf2::{self, PBKDF2_HMAC_SHA256};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::api::{ErrorCode, Fault};
use crate::files;

const PIN: &str = "console.pin";
const WRONG: &str = "console.wrong";
/// About half a second on a Raspberry Pi 3.
const ROUNDS: u32 = 100_000;
const MOST_ROUNDS: u32 = 10_000_000;
const MOST_BYTES: u64 = 4096;

#[derive(Serialize, Deserialize)]
struct Kept {
    rounds: u32,
    salt: [u8; 16],
    hash: [u8; 32],
}

/// Whether a PIN is set. A file that cannot be read counts: a lock that breaks open is none.
pub(super) fn is_set(state: &Path) -> bool {
    state.join(PIN).exists()
}

/// Wrong tries since the last right one.
pub(super) fn wrong(state: &Path) -> u32 {
    let bytes = files::read_bounded(&state.join(WRONG), MOST_BYTES).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.trim().parse().unwrap_or(0)
}

/// Whether it is the PIN; a wrong try is counted.
pub(super) fn verify(state: &Path, pin: &str) -> Result<(), Fault> {
    let path = state.join(PIN);
    let bytes = files::read_bounded(&path, MOST_BYTES).map_err(|error| failed(&path, &error))?;
    let kept: Kept = serde_json::from_slice(&bytes).map_err(|_| {
        let words = format!(
            "{}: damaged; remove it as root to unlock the console",
            path.display()
        );
        Fault::new(ErrorCode::Io, words)
    })?;
    let rounds = NonZeroU32::new(kept.rounds.min(MOST_ROUNDS)).unwrap_or(NonZeroU32::MIN);
    let wrong_path = state.join(WRONG);
    if pbkdf2::verify(
        PBKDF2_HMAC_SHA256,
        rounds,
        &kept.salt,
        pin.as_bytes(),
        &kept.hash,
    )
    .is_ok()
    {
        if wrong(state) > 0 {
            // The count only makes the next lock wait longer: no reason to stay locked.
            let _ = files::remove(&wrong_path);
        }
        return Ok(());
    }
    let count = wrong(state).saturating_add(1).to_string();
    let _ = files::replace(&wrong_path, count.as_bytes(), files::PRIVATE);
    Err(Fault::new(ErrorCode::Argument, "that is not the PIN"))
}

/// Sets it.
pub(super) fn set(state: &Path, pin: &str) -> Result<(), Fault> {
    let mut salt = [0; 16];
    SystemRandom::new()
        .fill(&mut salt)
        .map_err(|_| Fault::new(ErrorCode::Internal, "the system gives no random numbers"))?;
    let mut hash = [0; 32];
    let rounds = NonZeroU32::new(ROUNDS).unwrap_or(NonZeroU32::MIN);
    pbkdf2::derive(PBKDF2_HMAC_SHA256, rounds, &salt, pin.as_bytes(), &mut hash);
    let kept = Kept {
        rounds: ROUNDS,
        salt,
        hash,
    };
    let text = serde_json::to_vec(&kept)
        .map_err(|error| Fault::new(ErrorCode::Internal, error.to_string()))?;
    let path = state.join(PIN);
    files::private_directory(state)
        .and_then(|()| files::replace(&path, &text, files::PRIVATE))
        .map_err(|error| failed(&path, &error))
}

/// Takes it away.
pub(super) fn clear(state: &Path) -> Result<(), Fault> {
    let gone = |name: &str| -> (PathBuf, std::io::Result<()>) {
        let path = state.join(name);
        let done = match path.exists() {
            true => files::remove(&path),
            false => Ok(()),
        };
        (path, done)
    };
    for (path, done) in [gone(PIN), gone(WRONG)] {
        done.map_err(|error| failed(&path, &error))?;
    }
    Ok(())
}

fn failed(path: &Path, error: &std::io::Error) -> Fault {
    let words = format!("{}: {}", path.display(), files::fault(error));
    Fault::new(ErrorCode::Io, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_kept_as_a_hash_and_wrong_tries_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        assert!(!is_set(&state));
        set(&state, "1234").unwrap();
        assert!(is_set(&state));
        let kept = std::fs::read_to_string(state.join(PIN)).unwrap();
        assert!(!kept.contains("1234"), "{kept}");
        for count in 1..=3 {
            let fault = verify(&state, "4321").unwrap_err();
            assert_eq!((fault.code, wrong(&state)), (ErrorCode::Argument, count));
        }
        verify(&state, "1234").unwrap();
        assert_eq!(wrong(&state), 0);
        std::fs::write(state.join(PIN), "{}").unwrap();
        assert_eq!(verify(&state, "1234").unwrap_err().code, ErrorCode::Io);
        clear(&state).unwrap();
        clear(&state).unwrap();
        assert!(!is_set(&state));
    }
}
