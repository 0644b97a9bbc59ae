//! Changes of the configuration as a whole: checked, written, confirmed in time or taken back.
//!
//! The files and the order of their writes are those of [`transaction`]; here are the checks that need more than the
//! text, and the clock. Used by the running box, and by commands when none runs.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustls_pki_types::UnixTime;

use crate::api::{ConfigFault, ConfigText, ErrorCode, Fault};
use crate::budget::Budget;
use crate::config::authority::MOST_PEM_BYTES;
use crate::config::candidate;
use crate::config::import::beside;
use crate::config::transaction::{self, Confirmation, Standing};
use crate::config::{Config, EditError};
use crate::files;
use crate::pki::Identity;

/// Longest time for a confirmation, seconds: a day.
pub const MOST_SECONDS: u32 = 86_400;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The configuration file and what waits for a confirmation.
#[derive(Debug)]
pub struct Changes {
    file: PathBuf,
    boot: String,
    /// When the configuration is taken back, on the monotonic clock, ms.
    due_ms: Mutex<Option<u64>>,
}

/// What to do at the start of the box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtStart {
    /// Seconds that the configuration has to be confirmed, when it waits for that.
    pub unconfirmed_seconds: Option<u32>,
    /// What is to be told in the log.
    pub words: Option<String>,
}

/// Settles, before the configuration is read, whether an unconfirmed one is still to be used.
pub fn at_start(file: &Path) -> AtStart {
    let is_usable = |text: &str| check(text, file).is_ok();
    let (unconfirmed_seconds, words) = match transaction::at_start(file, &boot_id(), is_usable) {
        Ok(Standing::Confirmed) => (None, None),
        Ok(Standing::Unconfirmed(seconds)) => (
            Some(seconds),
            Some(format!(
                "the configuration is not confirmed yet: it is taken back in {seconds} s"
            )),
        ),
        Ok(Standing::Reverted) => (
            None,
            Some(
                "the last change of the configuration was not confirmed: the one before it is back"
                    .to_owned(),
            ),
        ),
        // A box that starts with what is there helps more than one that does not start.
        Err(error) => (
            None,
            Some(format!(
                "whether the configuration was confirmed cannot be told: {error}"
            )),
        ),
    };
    AtStart {
        unconfirmed_seconds,
        words,
    }
}

/// Takes an unconfirmed configuration back with which the box did not start. Says whether it did.
pub fn take_back_at_start(file: &Path) -> bool {
    transaction::is_unconfirmed(file).unwrap_or(false)
        && transaction::rollback(file).unwrap_or(false)
}

/// Checks a text as the start of the box would: keys and values, the memory sum, certificate and key of `[identity]`.
///
/// # Errors
/// The first thing that is wrong, with line, key and cure.
pub fn check(text: &str, file: &Path) -> Result<Config, ConfigFault> {
    let config = Config::read(text, file).map_err(|error| ConfigFault {
        line: error.line().and_then(|line| u32::try_from(line).ok()),
        key: error.key().map(str::to_owned),
        message: error.to_string(),
    })?;
    let fault = |key: &str, message: String| ConfigFault {
        line: None,
        key: Some(key.to_owned()),
        message: format!("{}: {message}", file.display()),
    };
    Budget::of(&config.limits)
        .check()
        .map_err(|over| fault("limits", over.to_string()))?;
    if let Some(own) = &config.identity {
        Identity::from_files(&own.certificate, &own.key, UnixTime::now())
            .map_err(|error| fault("identity", error.to_string()))?;
    }
    Ok(config)
}

impl Changes {
    /// The changes of one file.
    pub fn new(file: &Path) -> Self {
        Self {
            file: file.to_path_buf(),
            boot: boot_id(),
            due_ms: Mutex::new(None),
        }
    }

    /// Starts the time for the confirmation. Times are those of a monotonic clock, ms.
    pub fn wait(&self, seconds: u32, now_ms: u64) {
        self.set_due(Some(now_ms.saturating_add(u64::from(seconds) * 1000)));
    }

    /// Whether that time is over.
    pub fn is_due(&self, now_ms: u64) -> bool {
        self.due().is_some_and(|due| due <= now_ms)
    }

    /// The text and how it stands.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn text(&self, now_ms: u64) -> Result<ConfigText, Fault> {
        let text = transaction::text(&self.file)?;
        Ok(ConfigText {
            file: self.file.display().to_string(),
            generation: transaction::generation(&text),
            text,
            unconfirmed_seconds: self.unconfirmed_seconds(now_ms),
            has_previous: transaction::previous(&self.file)?.is_some(),
        })
    }

    /// Seconds until the configuration is taken back.
    pub fn unconfirmed_seconds(&self, now_ms: u64) -> Option<u32> {
        let due = self.due()?;
        u32::try_from(due.saturating_sub(now_ms).div_ceil(1000)).ok()
    }

    /// Checks a text and makes it the configuration in the file. Says whether anything changed.
    ///
    /// # Errors
    /// If it is not valid, the file is no longer the one that was changed, or a file cannot be written.
    pub fn commit(
        &self,
        text: &str,
        confirm_seconds: Option<u32>,
        generation: Option<&str>,
        now_ms: u64,
    ) -> Result<bool, Fault> {
        if confirm_seconds.is_some_and(|seconds| seconds == 0 || seconds > MOST_SECONDS) {
            let message =
                format!("the time for the confirmation is 1 to {MOST_SECONDS} seconds (a day)");
            return Err(Fault::new(ErrorCode::Argument, message));
        }
        if let Some(expected) = generation
            && transaction::generation(&transaction::text(&self.file)?) != expected
        {
            let message = format!(
                "{} was changed by somebody else meanwhile; look at it again, then change it",
                self.file.display()
            );
            return Err(Fault::new(ErrorCode::Conflict, message));
        }
        check(text, &self.file).map_err(|fault| Fault::new(ErrorCode::Config, fault.message))?;
        let confirmation = confirm_seconds.map(|seconds| Confirmation {
            boot: &self.boot,
            seconds,
        });
        let changed = transaction::commit(&self.file, text, confirmation)?;
        match confirm_seconds {
            Some(seconds) if changed => self.wait(seconds, now_ms),
            Some(_) => {}
            None => self.set_due(None),
        }
        Ok(changed)
    }

    /// Takes over the peers that a `federation.json` beside the file declares and that are not there yet. Gives what
    /// was done, in words.
    ///
    /// # Errors
    /// If that file is not valid, or makes the configuration so.
    pub fn declared(&self) -> Result<Option<String>, Fault> {
        let text = transaction::text(&self.file)?;
        let wrong = |words: String| Fault::new(ErrorCode::Config, words);
        let Some((text, words)) = beside::beside(&text, &self.file).map_err(wrong)? else {
            return Ok(None);
        };
        if transaction::is_unconfirmed(&self.file)? {
            let words = "federation.json waits until the configuration is confirmed";
            return Ok(Some(words.to_owned()));
        }
        check(&text, &self.file).map_err(|fault| wrong(fault.message))?;
        transaction::commit(&self.file, &text, None)?;
        Ok(Some(words))
    }

    /// Keeps the configuration. Says whether it waited for that.
    ///
    /// # Errors
    /// If the marker cannot be removed.
    pub fn confirm(&self) -> Result<bool, Fault> {
        let waited = transaction::confirm(&self.file)?;
        self.set_due(None);
        Ok(waited)
    }

    /// Goes back to the configuration before. Says whether anything changed.
    ///
    /// # Errors
    /// If that one is no longer valid (a certificate file it names may be gone), or a file cannot be written.
    pub fn rollback(&self) -> Result<bool, Fault> {
        let Some(previous) = transaction::previous(&self.file)? else {
            return Ok(false);
        };
        check(&previous, &self.file).map_err(|fault| {
            let message = format!(
                "the configuration before is no longer valid: {}",
                fault.message
            );
            Fault::new(ErrorCode::Config, message)
        })?;
        let changed = transaction::rollback(&self.file)?;
        self.set_due(None);
        Ok(changed)
    }

    /// Makes an edit of single peers, which can be rolled back like a commit.
    ///
    /// # Errors
    /// While a configuration waits for its confirmation; and those of the edit.
    pub fn edit(&self, edit: impl FnOnce(&Path) -> Result<(), EditError>) -> Result<(), Fault> {
        if transaction::is_unconfirmed(&self.file)? {
            let message =
                "the configuration waits for its confirmation; confirm it or go back first";
            return Err(Fault::new(ErrorCode::Conflict, message));
        }
        let was = transaction::text(&self.file)?;
        // A peer that goes takes its CA's file along, which the text before still names.
        let whole = candidate::with_authorities(&was, |path| self.authority(path));
        edit(&self.file)?;
        let is_usable = check(&was, &self.file).is_ok();
        let previous = if is_usable { &was } else { &whole };
        Ok(transaction::remember(&self.file, previous)?)
    }

    fn authority(&self, path: &str) -> Option<String> {
        let directory = self.file.parent().unwrap_or(Path::new(""));
        let bytes = files::read_bounded(&directory.join(path), MOST_PEM_BYTES).ok()?;
        String::from_utf8(bytes).ok()
    }

    /// No longer waits, whatever the files say: what cannot be taken back is not tried again every second.
    pub(super) fn give_up(&self) {
        self.set_due(None);
    }

    fn due(&self) -> Option<u64> {
        *self.due_ms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_due(&self, due: Option<u64>) {
        *self.due_ms.lock().unwrap_or_else(PoisonError::into_inner) = due;
    }
}

/// Which boot of the kernel this is; empty where the kernel does not tell.
fn boot_id() -> String {
    let bytes = files::read_bounded(BOOT_ID.as_ref(), 64).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PeerSpec;
    use crate::config::edit::{add_peer, remove_peer};
    use std::fs;

    fn place(text: &str) -> (tempfile::TempDir, Changes) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tombolo.toml");
        fs::write(&file, text).unwrap();
        (directory, Changes::new(&file))
    }

    #[test]
    fn a_change_that_nobody_confirms_is_due() {
        let (_directory, changes) = place("");
        changes
            .commit("[node]\nname = \"a\"\n", Some(60), None, 1000)
            .unwrap();
        assert!(!changes.is_due(60_999) && changes.is_due(61_000));
        assert_eq!(changes.text(1001).unwrap().unconfirmed_seconds, Some(60));
        assert!(
            changes
                .edit(|_| Ok(()))
                .unwrap_err()
                .message
                .contains("confirm")
        );
        assert!(changes.confirm().unwrap());
        assert!(!changes.is_due(u64::MAX));
        assert!(changes.rollback().unwrap());
        assert_eq!(changes.text(0).unwrap().text, "");
    }

    #[test]
    fn what_is_not_valid_or_not_the_latest_is_not_written() {
        let (_directory, changes) = place("# mine\n");
        for (text, seconds, generation, code) in [
            ("[nod]\n", None, None, ErrorCode::Config),
            (
                "[limits]\nmax_clients = 2000\n",
                None,
                None,
                ErrorCode::Config,
            ),
            (
                "[identity]\ncertificate = \"x\"\nkey = \"y\"\n",
                None,
                None,
                ErrorCode::Config,
            ),
            ("", None, Some("0000"), ErrorCode::Conflict),
            ("", Some(0), None, ErrorCode::Argument),
            ("", Some(MOST_SECONDS + 1), None, ErrorCode::Argument),
        ] {
            let fault = changes.commit(text, seconds, generation, 0).unwrap_err();
            assert_eq!(fault.code, code, "{text}: {fault}");
        }
        let now = changes.text(0).unwrap();
        assert_eq!(now.text, "# mine\n");
        assert!(changes.commit("", None, Some(&now.generation), 0).unwrap());
    }

    #[test]
    fn faults_name_line_and_key() {
        let fault = check("[node]\nnam = 1\n", Path::new("t.toml")).unwrap_err();
        assert_eq!((fault.line, fault.key.as_deref()), (Some(2), Some("nam")));
        assert!(
            fault.message.contains("did you mean `name`"),
            "{}",
            fault.message
        );
    }

    #[test]
    fn a_previous_one_that_lost_its_files_is_not_taken() {
        let (directory, changes) = place("");
        let ca = crate::config::authority::tests::certificate("b", true);
        fs::write(directory.path().join("ca.pem"), ca).unwrap();
        let with = "[[peer]]\nname = \"b\"\nca_cert = \"ca.pem\"\n";
        changes.commit(with, None, None, 0).unwrap();
        changes.commit("# without\n", Some(60), None, 0).unwrap();
        fs::remove_file(directory.path().join("ca.pem")).unwrap();
        assert_eq!(changes.rollback().unwrap_err().code, ErrorCode::Config);
        let file = directory.path().join("tombolo.toml");
        assert_eq!(at_start(&file).unconfirmed_seconds, Some(60));
        assert_eq!(fs::read_to_string(&file).unwrap(), "# without\n");
    }

    #[test]
    fn peers_that_were_edited_can_be_rolled_back() {
        let (directory, changes) = place("# before\n");
        let edit = |file: &Path| {
            fs::write(file, "# after\n").unwrap();
            Ok(())
        };
        changes.edit(edit).unwrap();
        assert!(changes.rollback().unwrap());
        let text = fs::read_to_string(directory.path().join("tombolo.toml")).unwrap();
        assert_eq!(text, "# before\n");
    }

    #[test]
    fn a_peer_that_was_removed_with_its_authority_comes_back() {
        let (directory, changes) = place("# mine\n");
        let mut peer = PeerSpec::of("bravo");
        peer.ca_pem = Some(crate::config::authority::tests::certificate("b", true));
        let file = directory.path().join("tombolo.toml");
        changes.edit(|file| add_peer(file, &peer, false)).unwrap();
        let before = Config::load(&file).unwrap();
        changes.edit(|file| remove_peer(file, "bravo")).unwrap();
        assert!(!directory.path().join("peers/bravo-ca.pem").exists());
        assert!(changes.rollback().unwrap());
        let after = Config::load(&file).unwrap();
        assert_eq!(after.peers, before.peers);
        // And gone again.
        assert!(changes.rollback().unwrap());
        assert!(Config::load(&file).unwrap().peers.is_empty());
    }
}
