//! Certificates that peers said they will show next.
//!
//! A box tells the boxes it is connected with which certificate it will show after a renewal, over a connection that it
//! proved with the old one. For a peer that is known by its leaf the new one then counts like the old one, until the
//! operator takes the old one out or puts it on the deny-list. Kept in `pki/successors` of the state directory: a line
//! each, the fingerprints of the old and the new one, and the peer's name.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Fingerprint, files};

/// Most that are remembered; the oldest give way.
pub const MOST: usize = 64;
/// Bytes that one takes: two fingerprints and a name.
pub const EACH: u64 = 32 + 32 + 64;
/// Renewals that are followed from a registered certificate.
const MOST_STEPS: usize = 8;

/// What was told. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Successors(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    file: Option<PathBuf>,
    entries: Vec<Successor>,
}

/// One renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor {
    /// Who told of it.
    pub peer: String,
    /// The certificate by which it was proven.
    pub old: Fingerprint,
    /// The one that will be shown.
    pub new: Fingerprint,
}

impl PartialEq for Successors {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Successors {}

impl Successors {
    /// Reads what was told before; a line that cannot be read is passed over.
    pub fn open(file: PathBuf) -> Self {
        let bytes = files::read(&file).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let entries = text.lines().filter_map(|line| {
            let mut parts = line.splitn(3, ' ');
            Some(Successor {
                old: parts.next()?.parse().ok()?,
                new: parts.next()?.parse().ok()?,
                peer: parts.next()?.to_owned(),
            })
        });
        let entries = entries.take(MOST).collect();
        Self(Arc::new(Mutex::new(Told {
            file: Some(file),
            entries,
        })))
    }

    /// Remembers one. Says whether it is new.
    ///
    /// # Errors
    /// If it cannot be written; it counts until the box ends all the same.
    pub fn note(&self, successor: Successor) -> io::Result<bool> {
        let mut told = self.lock();
        if successor.old == successor.new || told.entries.contains(&successor) {
            return Ok(false);
        }
        if told.entries.len() >= MOST {
            told.entries.remove(0);
        }
        told.entries.push(successor);
        let Some(file) = &told.file else {
            return Ok(true);
        };
        let line = |one: &Successor| format!("{} {} {}\n", one.old, one.new, one.peer);
        let text: String = told.entries.iter().map(line).collect();
        files::write(file, 0o600, text.as_bytes()).map(|()| true)
    }

    /// Whether a leaf follows, over one renewal or several, on one that is registered for the peer and not denied.
    pub fn follow(
        &self,
        peer: &str,
        leaf: Fingerprint,
        registered: &[Fingerprint],
        denied: &[Fingerprint],
    ) -> bool {
        let told = self.lock();
        let mut wanted = leaf;
        for _ in 0..MOST_STEPS {
            let known = told
                .entries
                .iter()
                .rev()
                .find(|one| one.peer == peer && one.new == wanted);
            let Some(known) = known.filter(|known| !denied.contains(&known.old)) else {
                return false;
            };
            if registered.contains(&known.old) {
                return true;
            }
            wanted = known.old;
        }
        false
    }

    /// What the peer told last.
    pub fn of(&self, peer: &str) -> Option<Successor> {
        let told = self.lock();
        told.entries
            .iter()
            .rev()
            .find(|one| one.peer == peer)
            .cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_is_followed_from_what_is_registered_and_outlives_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("successors");
        let [one, two, three] = [b"1", b"2", b"3"].map(|text| Fingerprint::of(text));
        let step = |old, new| Successor {
            peer: "bravo two".to_owned(),
            old,
            new,
        };
        let first = Successors::open(file.clone());
        assert!(first.note(step(one, two)).unwrap());
        assert!(first.note(step(two, three)).unwrap());
        assert!(!first.note(step(one, two)).unwrap() && !first.note(step(one, one)).unwrap());
        let told = Successors::open(file);
        assert_eq!(told.of("bravo two").unwrap().new, three);
        let follow = |leaf, denied: &[Fingerprint]| told.follow("bravo two", leaf, &[one], denied);
        assert!(follow(two, &[]) && follow(three, &[]));
        assert!(!follow(three, &[two]) && !follow(three, &[one]));
        assert!(!told.follow("bravo", two, &[one], &[]));
        assert!(!told.follow("bravo two", one, &[three], &[]));
        for number in 0..2 * MOST {
            let new = Fingerprint::of(number.to_string().as_bytes());
            told.note(step(three, new)).unwrap();
        }
        assert_eq!(told.lock().entries.len(), MOST);
    }
}
