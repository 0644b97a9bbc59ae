//! A new certificate beside the one in use, and the moment at which it takes its place.
//!
//! `STATE/pki/next/` holds what will be used: key and chain of the leaf and, for a new CA, its key and certificate. The
//! folder appears whole. To switch it is renamed to `switching/`, and its files then take the places of the old ones;
//! whoever opens the store finishes that, so a power cut leaves one or the other. The old leaf stays valid until its own
//! end. An old CA is kept in `former.pem`: users whom it let in stay in; and the new CA is sent along signed by the old
//! one, so whoever trusts the old one trusts the new one.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use rustls_pki_types::{CertificateDer, UnixTime};

use super::super::certificate::Facts;
use super::super::identity::{Flaw, read_chain, read_key};
use super::super::issue;
use super::super::revocations::FOLDER;
use super::{
    AUTHORITY_CERTIFICATE, AUTHORITY_KEY, Files, LOCK, NODE_CERTIFICATE, NODE_KEY, PkiError, Store,
    io_error, pem,
};
use crate::pki::{Fingerprint, Identity, files};

const NEXT: &str = "next";
const SWITCHING: &str = "switching";
/// CA certificates of ours that new ones replaced.
const FORMER: &str = "former.pem";

impl Store {
    /// Makes the next certificate, of a new CA if that is wanted, and gives it; one that waits already is given as it is.
    ///
    /// # Errors
    /// A CA key that is missing or does not fit, a file that cannot be written.
    pub fn prepare(&self, new_ca: bool, now: UnixTime) -> Result<Identity, PkiError> {
        let files = Files {
            directory: self.directory.clone(),
        };
        let lock_file = files.path(LOCK);
        let _lock = files::lock(&lock_file).map_err(|error| io_error(&lock_file, &error))?;
        if let Some(next) = self.next()? {
            return Ok(next);
        }
        let authority_key = files.authority_key(&self.authority)?;
        let algorithm = issue::algorithm_of(&authority_key);
        let name = Facts::read(&self.identity.chain[0])
            .ok()
            .and_then(|facts| facts.common_name)
            .ok_or(PkiError::Name)?;
        let making = Files {
            directory: files.path(".next.new"),
        };
        match fs::remove_dir_all(&making.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error(&making.directory, &error));
            }
            _ => {}
        }
        files::private_directory(&making.directory)
            .map_err(|error| io_error(&making.directory, &error))?;
        let key = issue::generate_key(algorithm)?;
        let chain = if new_ca {
            let new_key = issue::generate_key(algorithm)?;
            let authority = issue::authority(&name, &new_key, now)?;
            let crossed =
                issue::cross(&authority, &new_key, (&self.authority, &authority_key), now)?;
            let leaf = issue::federation_leaf(&name, &key, &authority, &new_key, now)?;
            making.write(AUTHORITY_KEY, 0o600, new_key.serialize_pem().as_bytes())?;
            let text = pem(std::slice::from_ref(&authority));
            making.write(AUTHORITY_CERTIFICATE, 0o644, text.as_bytes())?;
            vec![leaf, crossed, self.authority.clone()]
        } else {
            let leaf = issue::federation_leaf(&name, &key, &self.authority, &authority_key, now)?;
            vec![leaf, self.authority.clone()]
        };
        making.write(NODE_KEY, 0o600, key.serialize_pem().as_bytes())?;
        making.write(NODE_CERTIFICATE, 0o644, pem(&chain).as_bytes())?;
        let next = files.path(NEXT);
        fs::rename(&making.directory, &next).map_err(|error| io_error(&next, &error))?;
        self.next()?.ok_or(PkiError::Missing(next))
    }

    /// The certificate that waits, if one does.
    ///
    /// # Errors
    /// One that cannot be read or would be accepted nowhere.
    pub fn next(&self) -> Result<Option<Identity>, PkiError> {
        let files = Files {
            directory: self.directory.join(NEXT),
        };
        if !files.path(NODE_CERTIFICATE).exists() {
            return Ok(None);
        }
        let flawed = |name: &str, flaw| files.flawed(name, flaw);
        let chain = read_chain(&files.path(NODE_CERTIFICATE))
            .map_err(|flaw| flawed(NODE_CERTIFICATE, flaw))?;
        let key = read_key(&files.path(NODE_KEY)).map_err(|flaw| flawed(NODE_KEY, flaw))?;
        let next = Identity { chain, key };
        match next.check(UnixTime::now()) {
            // By a clock that may be wrong; the old one is no better by it.
            Ok(()) | Err(Flaw::Expired(_)) => Ok(Some(next)),
            Err(flaw) => Err(flawed(NODE_CERTIFICATE, flaw)),
        }
    }

    /// The next certificate is the one in use from now on: open the store again. Nothing happens when none waits.
    ///
    /// # Errors
    /// A file that cannot be moved.
    pub fn switch(&self) -> Result<(), PkiError> {
        let files = Files {
            directory: self.directory.clone(),
        };
        let lock_file = files.path(LOCK);
        let _lock = files::lock(&lock_file).map_err(|error| io_error(&lock_file, &error))?;
        let (next, switching) = (files.path(NEXT), files.path(SWITCHING));
        match fs::rename(&next, &switching) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error(&switching, &error)),
            Ok(()) => {}
        }
        files.finish_switch()
    }

    /// Takes the next certificate away again; says whether one waited.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn forget_next(&self) -> Result<bool, PkiError> {
        let next = self.directory.join(NEXT);
        match fs::remove_dir_all(&next) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(io_error(&next, &error)),
        }
    }

    /// Whether another certificate has taken the place of the one that was read, or is about to: by a command.
    pub fn is_replaced(&self) -> bool {
        let files = Files {
            directory: self.directory.clone(),
        };
        files.path(SWITCHING).exists() || files.stamp() != self.stamp
    }

    /// By which a change of what waits is noticed without reading it.
    pub fn waits(&self) -> bool {
        self.directory.join(NEXT).join(NODE_CERTIFICATE).exists()
    }

    /// CA certificates of ours that new ones replaced; users whom they let in stay in.
    pub fn former(&self) -> Vec<CertificateDer<'static>> {
        read_chain(&self.directory.join(FORMER)).unwrap_or_default()
    }
}

/// By which another file of the same name is noticed: seconds, nanoseconds, number. None: it is not there.
pub(super) type Stamp = Option<(i64, i64, u64)>;

impl Files {
    /// Of the leaf.
    pub(super) fn stamp(&self) -> Stamp {
        let found = fs::metadata(self.path(NODE_CERTIFICATE)).ok()?;
        Some((found.mtime(), found.mtime_nsec(), found.ino()))
    }

    /// Brings a switch that was begun to its end.
    pub(super) fn finish_switch(&self) -> Result<(), PkiError> {
        let switching = self.path(SWITCHING);
        if !switching.exists() {
            return Ok(());
        }
        let new_authority = switching.join(AUTHORITY_CERTIFICATE);
        if let (true, Some(old)) = (
            new_authority.exists(),
            self.certificates(AUTHORITY_CERTIFICATE)?,
        ) {
            let mut former = read_chain(&self.path(FORMER)).unwrap_or_default();
            for certificate in old {
                // Only the old list can say what the old CA took back.
                let mark = Fingerprint::of(&certificate).to_string().to_lowercase();
                let state = self.directory.parent().unwrap_or(&self.directory);
                let list = state.join(FOLDER).join("own.pem");
                let kept = list.with_file_name(format!("former-{}.pem", &mark[7..15]));
                match fs::rename(&list, &kept) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(io_error(&kept, &error));
                    }
                    _ => {}
                }
                if !former.contains(&certificate) {
                    former.push(certificate);
                }
            }
            self.write(FORMER, 0o644, pem(&former).as_bytes())?;
        }
        // The CA's certificate goes before its key, and the leaf's last: as long as one is left, all of this is done again.
        for name in [
            AUTHORITY_KEY,
            AUTHORITY_CERTIFICATE,
            NODE_KEY,
            NODE_CERTIFICATE,
        ] {
            let (from, to): (PathBuf, PathBuf) = (switching.join(name), self.path(name));
            match fs::rename(&from, &to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(io_error(&to, &error));
                }
                _ => {}
            }
        }
        fs::remove_dir_all(&switching).map_err(|error| io_error(&switching, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::testing::{AFTER_BUILD as NOW, at};
    use crate::pki::trust::judge_client;
    use crate::pki::{KeyAlgorithm, Own, Revocations, TrustRule};

    fn open(state: &std::path::Path) -> Store {
        Store::open_or_create(state, "alpha", KeyAlgorithm::EcdsaP256, at(NOW)).unwrap()
    }

    #[test]
    fn the_next_certificate_waits_and_takes_over_whole() {
        let state = tempfile::tempdir().unwrap();
        let old = open(state.path());
        let next = old.prepare(false, at(NOW)).unwrap();
        assert_eq!(
            old.prepare(true, at(NOW)).unwrap().chain,
            next.chain,
            "made once"
        );
        assert_ne!(next.fingerprint(), old.identity().fingerprint());
        assert_eq!(open(state.path()).identity().chain, old.identity().chain);
        old.switch().unwrap();
        let new = open(state.path());
        assert_eq!(new.identity().chain, next.chain);
        assert!(!new.waits() && new.former().is_empty());
        let by_ca = TrustRule {
            peer: "alpha".to_owned(),
            authorities: vec![old.authority().clone()],
            ..TrustRule::default()
        };
        for chain in [&old.identity().chain, &new.identity().chain] {
            assert_eq!(by_ca.judge(chain, at(NOW)), Ok(None));
        }
        // Nothing waits: nothing happens.
        new.switch().unwrap();
        assert_eq!(open(state.path()).identity().chain, next.chain);
        new.prepare(false, at(NOW)).unwrap();
        assert!(new.forget_next().unwrap() && !new.forget_next().unwrap());
    }

    #[test]
    fn a_new_ca_is_believed_by_whoever_believed_the_old_one_and_users_stay_in() {
        let state = tempfile::tempdir().unwrap();
        let old = open(state.path());
        let viper = old.issue_client("VIPER", at(NOW)).unwrap();
        old.revoke(&[vec![1]], at(NOW)).unwrap();
        old.prepare(true, at(NOW)).unwrap();
        old.switch().unwrap();
        let new = open(state.path());
        assert_ne!(new.authority(), old.authority());
        assert_eq!(new.former(), [old.authority().clone()]);
        for authority in [old.authority(), new.authority()] {
            let rule = TrustRule {
                peer: "alpha".to_owned(),
                authorities: vec![authority.clone()],
                ..TrustRule::default()
            };
            assert_eq!(rule.judge(&new.identity().chain, at(NOW)), Ok(None));
        }
        let pinned = TrustRule {
            peer: "alpha".to_owned(),
            ca_pin: Some(Fingerprint::of(old.authority())),
            ..TrustRule::default()
        };
        assert_eq!(pinned.judge(&new.identity().chain, at(NOW)), Ok(None));
        let own = Own::open(
            state.path(),
            "alpha",
            None,
            KeyAlgorithm::EcdsaP256,
            at(NOW),
        )
        .unwrap();
        let ours = own.client_authorities();
        let cobra = new.issue_client("COBRA", at(NOW)).unwrap();
        for user in [viper, cobra] {
            judge_client(&user.chain, (&ours, &Revocations::default()), at(NOW)).unwrap();
        }
        assert!(own.truststore().contains(new.authority()));
        let lists = fs::read_dir(state.path().join(FOLDER)).unwrap().count();
        assert_eq!(lists, 1, "what the old CA took back is kept");
    }

    /// A power cut after each move.
    #[test]
    fn a_switch_that_was_cut_is_finished_by_whoever_opens_the_store() {
        for moved in 0..=4 {
            let state = tempfile::tempdir().unwrap();
            let old = open(state.path());
            let next = old.prepare(true, at(NOW)).unwrap();
            let pki = state.path().join("pki");
            fs::rename(pki.join(NEXT), pki.join(SWITCHING)).unwrap();
            let names = [
                AUTHORITY_KEY,
                AUTHORITY_CERTIFICATE,
                NODE_KEY,
                NODE_CERTIFICATE,
            ];
            if moved > 0 {
                fs::write(pki.join(FORMER), pem(std::slice::from_ref(old.authority()))).unwrap();
            }
            for name in &names[..moved] {
                fs::rename(pki.join(SWITCHING).join(name), pki.join(name)).unwrap();
            }
            let new = open(state.path());
            assert_eq!(new.identity().chain, next.chain, "{moved}");
            assert_eq!(new.former(), [old.authority().clone()], "{moved}");
            new.issue_client("VIPER", at(NOW)).unwrap();
            assert!(!new.is_replaced() && old.is_replaced());
        }
    }
}
