//! Changing the whole of `tombolo.toml` so that it can be taken back, by hand or because nobody confirmed it.
//!
//! Beside the file stand `tombolo.toml.previous` (the text before the last change) and, while a change waits for its
//! confirmation, `tombolo.toml.unconfirmed` (the *marker*). Each is replaced in one step, in this order, and a power
//! cut may come between any two of them:
//!
//! | change | 1 | 2 | 3 |
//! |---|---|---|---|
//! | commit | previous := text in use | file := new text | |
//! | commit, to be confirmed | previous := text in use | marker := names the new text | file := new text |
//! | confirm | remove the marker | | |
//! | revert | file := previous | remove the marker | |
//! | rollback | file := previous | previous := text that was in use | |
//!
//! The marker names the text that is unconfirmed by its [`generation`]. When the file holds another text, the marker
//! means nothing: so after any cut the file is the old or the new configuration, and what counts is told by it alone.
//! A change on top of an unconfirmed one keeps the previous text: going back always goes to what was confirmed last.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::edit::EditError;
use crate::files;
use crate::pki::Fingerprint;

/// Largest configuration file, bytes.
const MOST_BYTES: u64 = 1024 * 1024;
/// Largest marker, bytes.
const MOST_MARKER: u64 = 4096;
/// An unconfirmed configuration is started with so often within one boot; a box that still does not stay up goes back.
const MOST_STARTS: u32 = 3;

/// What an unconfirmed change needs to know about the machine.
#[derive(Debug, Clone, Copy)]
pub struct Confirmation<'a> {
    /// The kernel's boot id: a new one means that the machine was switched off meanwhile.
    pub boot: &'a str,
    /// How long the confirmation may take, seconds.
    pub seconds: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Marker {
    boot: String,
    seconds: u32,
    starts: u32,
    /// Generations that are unconfirmed: the one in use, and the one that is about to take its place.
    unconfirmed: Vec<String>,
}

/// What was found at the start of the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing waits for a confirmation.
    Confirmed,
    /// The configuration in use waits for it; it has this many seconds.
    Unconfirmed(u32),
    /// It was not confirmed before the machine went off, or did not start: the one before it is back.
    Reverted,
}

/// The name of a text, for comparing: 16 hex digits of its SHA-256.
pub fn generation(text: &str) -> String {
    let digest = Fingerprint::of(text.as_bytes());
    digest.0[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The text of the file; a file that is not there is empty.
///
/// # Errors
/// If it is there and cannot be read.
pub fn text(file: &Path) -> Result<String, EditError> {
    Ok(read(file)?.unwrap_or_default())
}

/// The text before the last change, if there was one.
///
/// # Errors
/// If it is there and cannot be read.
pub fn previous(file: &Path) -> Result<Option<String>, EditError> {
    read(&beside(file, "previous"))
}

/// Whether the configuration in the file waits for its confirmation.
///
/// # Errors
/// If a file is there and cannot be read.
pub fn is_unconfirmed(file: &Path) -> Result<bool, EditError> {
    let marker = marker(file)?;
    Ok(marker.is_some_and(|marker| text(file).is_ok_and(|text| marker.names(&text))))
}

/// Makes a text the configuration. Whoever calls has checked it. Says whether anything changed.
///
/// # Errors
/// If a file cannot be read or written; the configuration is then the old or the new one.
pub fn commit(
    file: &Path,
    new: &str,
    confirmation: Option<Confirmation<'_>>,
) -> Result<bool, EditError> {
    let steps = steps_of_commit(file, new, confirmation)?;
    perform(&steps)?;
    Ok(!steps.is_empty())
}

/// Keeps the configuration in use. Says whether it waited for that.
///
/// # Errors
/// If the marker cannot be removed.
pub fn confirm(file: &Path) -> Result<bool, EditError> {
    let waited = is_unconfirmed(file)?;
    perform(&[Step::Remove(beside(file, "unconfirmed"))])?;
    Ok(waited)
}

/// Goes back to the previous text; what was in use becomes the previous one, so that a second call goes forward
/// again. An unconfirmed one is dropped instead. Says whether anything changed.
///
/// # Errors
/// If a file cannot be read or written.
pub fn rollback(file: &Path) -> Result<bool, EditError> {
    let steps = steps_of_rollback(file)?;
    perform(&steps)?;
    Ok(!steps.is_empty())
}

/// Notes the text that was in use before a change that was made by other means than [`commit`].
///
/// # Errors
/// If it cannot be written.
pub fn remember(file: &Path, was: &str) -> Result<(), EditError> {
    perform(&[write(beside(file, "previous"), was)])
}

/// To be called before the configuration is read at the start of the box: a change that was not confirmed before the
/// machine went off is taken back, if the one before it is still usable. Within one boot it keeps waiting, for a few
/// starts.
///
/// # Errors
/// If a file cannot be read or written.
pub fn at_start(
    file: &Path,
    boot: &str,
    is_usable: impl Fn(&str) -> bool,
) -> Result<Standing, EditError> {
    let path = beside(file, "unconfirmed");
    let Some(mut marker) = marker(file)? else {
        // One that cannot be read was not written by us.
        perform(&[Step::Remove(path)])?;
        return Ok(Standing::Confirmed);
    };
    if !marker.names(&text(file)?) {
        perform(&[Step::Remove(path)])?;
        return Ok(Standing::Confirmed);
    }
    let is_over = marker.boot != boot || marker.starts >= MOST_STARTS;
    if is_over && previous(file)?.is_some_and(|previous| is_usable(&previous)) {
        perform(&steps_of_rollback(file)?)?;
        return Ok(Standing::Reverted);
    }
    marker.starts = marker.starts.saturating_add(1);
    perform(&[marker.step(file)])?;
    Ok(Standing::Unconfirmed(marker.seconds))
}

fn steps_of_commit(
    file: &Path,
    new: &str,
    confirmation: Option<Confirmation<'_>>,
) -> Result<Vec<Step>, EditError> {
    let current = text(file)?;
    let path = beside(file, "unconfirmed");
    let waiting = marker(file)?.filter(|marker| marker.names(&current));
    let write_new = write(file.to_path_buf(), new);
    let marker = |confirmation: Confirmation<'_>, unconfirmed: Vec<String>| Marker {
        boot: confirmation.boot.to_owned(),
        seconds: confirmation.seconds,
        starts: 0,
        unconfirmed,
    };
    let same = current == new;
    Ok(match (waiting, confirmation) {
        (None, _) if same => Vec::new(),
        (None, None) => vec![
            Step::Remove(path),
            write(beside(file, "previous"), &current),
            write_new,
        ],
        (None, Some(confirmation)) => vec![
            Step::Remove(path),
            write(beside(file, "previous"), &current),
            marker(confirmation, vec![generation(new)]).step(file),
            write_new,
        ],
        (Some(_), None) if same => vec![Step::Remove(path)],
        (Some(mut waiting), None) => {
            // The new text must not be one that the marker names.
            waiting.unconfirmed = vec![generation(&current)];
            vec![waiting.step(file), write_new, Step::Remove(path)]
        }
        (Some(_), Some(confirmation)) => vec![
            marker(confirmation, vec![generation(&current), generation(new)]).step(file),
            write_new,
        ],
    })
}

fn steps_of_rollback(file: &Path) -> Result<Vec<Step>, EditError> {
    let Some(previous) = previous(file)? else {
        return Ok(Vec::new());
    };
    let current = text(file)?;
    let back = write(file.to_path_buf(), &previous);
    if is_unconfirmed(file)? {
        return Ok(vec![back, Step::Remove(beside(file, "unconfirmed"))]);
    }
    Ok(match previous == current {
        true => Vec::new(),
        false => vec![back, write(beside(file, "previous"), &current)],
    })
}

impl Marker {
    fn names(&self, text: &str) -> bool {
        self.unconfirmed.contains(&generation(text))
    }

    fn step(&self, file: &Path) -> Step {
        // A map of texts and numbers is always JSON.
        let text = serde_json::to_string(self).unwrap_or_default();
        write(beside(file, "unconfirmed"), &text)
    }
}

/// The marker; none when it cannot be understood.
fn marker(file: &Path) -> Result<Option<Marker>, EditError> {
    let path = beside(file, "unconfirmed");
    match files::read_bounded(&path, MOST_MARKER) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Ok(None),
        Err(error) => Err(io_error(&path, &error)),
    }
}

/// One write; between two of them the power may go.
#[derive(Debug)]
enum Step {
    Write(PathBuf, String),
    Remove(PathBuf),
}

fn write(path: PathBuf, text: &str) -> Step {
    Step::Write(path, text.to_owned())
}

fn perform(steps: &[Step]) -> Result<(), EditError> {
    for step in steps {
        match step {
            Step::Write(path, text) => {
                if let Some(directory) = path.parent().filter(|path| !path.as_os_str().is_empty()) {
                    files::private_directory(directory)
                        .map_err(|error| io_error(directory, &error))?;
                }
                files::replace(path, text.as_bytes(), files::PRIVATE)
                    .map_err(|error| io_error(path, &error))?;
            }
            Step::Remove(path) if !path.exists() => {}
            Step::Remove(path) => files::remove(path).map_err(|error| io_error(path, &error))?,
        }
    }
    Ok(())
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".");
    name.push(ending);
    file.with_file_name(name)
}

fn read(file: &Path) -> Result<Option<String>, EditError> {
    match files::read_bounded(file, MOST_BYTES) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(io_error(file, &io::Error::other("it is not UTF-8 text"))),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error(file, &error)),
    }
}

fn io_error(path: &Path, error: &io::Error) -> EditError {
    EditError::Io {
        path: path.to_path_buf(),
        cause: files::fault(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const HERE: Confirmation<'_> = Confirmation {
        boot: "here",
        seconds: 60,
    };

    struct Place(tempfile::TempDir);

    impl Place {
        fn new(text: &str) -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            fs::write(place.file(), text).unwrap();
            place
        }

        fn file(&self) -> PathBuf {
            self.0.path().join("tombolo.toml")
        }

        fn text(&self) -> String {
            text(&self.file()).unwrap()
        }

        fn start(&self, boot: &str) -> Standing {
            at_start(&self.file(), boot, |_| true).unwrap()
        }
    }

    #[test]
    fn a_commit_is_taken_back_and_forward_again() {
        let place = Place::new("old");
        let file = place.file();
        assert!(commit(&file, "new", None).unwrap());
        assert!(!commit(&file, "new", None).unwrap());
        assert_eq!(
            (place.text().as_str(), place.start("x")),
            ("new", Standing::Confirmed)
        );
        assert!(rollback(&file).unwrap());
        assert_eq!(place.text(), "old");
        assert!(rollback(&file).unwrap());
        assert_eq!(place.text(), "new");
        assert!(!confirm(&file).unwrap());
    }

    #[test]
    fn what_is_not_confirmed_goes_with_the_power_but_not_with_a_restart() {
        let place = Place::new("old");
        let file = place.file();
        commit(&file, "new", Some(HERE)).unwrap();
        assert!(is_unconfirmed(&file).unwrap());
        assert_eq!(place.start("here"), Standing::Unconfirmed(60));
        assert_eq!(place.text(), "new");
        assert_eq!(place.start("another boot"), Standing::Reverted);
        assert_eq!(place.text(), "old");
        assert_eq!(place.start("another boot"), Standing::Confirmed);
        assert_eq!(fs::read_dir(place.0.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_is_confirmed_stays() {
        let place = Place::new("old");
        let file = place.file();
        commit(&file, "new", Some(HERE)).unwrap();
        assert!(confirm(&file).unwrap());
        assert_eq!(place.start("another boot"), Standing::Confirmed);
        assert_eq!(place.text(), "new");
    }

    #[test]
    fn a_box_that_does_not_stay_up_goes_back() {
        let place = Place::new("old");
        commit(&place.file(), "new", Some(HERE)).unwrap();
        let starts: Vec<Standing> = (0..=MOST_STARTS).map(|_| place.start("here")).collect();
        assert_eq!(starts.last(), Some(&Standing::Reverted));
        assert_eq!(place.text(), "old");
    }

    #[test]
    fn a_change_on_top_of_an_unconfirmed_one_goes_back_to_what_was_confirmed() {
        let place = Place::new("old");
        let file = place.file();
        commit(&file, "one", Some(HERE)).unwrap();
        commit(&file, "two", Some(HERE)).unwrap();
        assert_eq!(place.start("another boot"), Standing::Reverted);
        assert_eq!(place.text(), "old");
        commit(&file, "one", Some(HERE)).unwrap();
        commit(&file, "two", None).unwrap();
        assert_eq!(place.start("another boot"), Standing::Confirmed);
        assert_eq!(place.text(), "two");
        assert!(rollback(&file).unwrap());
        assert_eq!(place.text(), "old");
    }

    #[test]
    fn a_file_edited_by_hand_is_left_alone() {
        let place = Place::new("old");
        commit(&place.file(), "new", Some(HERE)).unwrap();
        fs::write(place.file(), "by hand").unwrap();
        assert_eq!(place.start("another boot"), Standing::Confirmed);
        assert_eq!(place.text(), "by hand");
    }

    #[test]
    fn a_box_that_never_had_a_file_goes_back_to_an_empty_one() {
        let place = Place::new("");
        fs::remove_file(place.file()).unwrap();
        commit(&place.file(), "new", Some(HERE)).unwrap();
        assert_eq!(place.start("another boot"), Standing::Reverted);
        assert_eq!(place.text(), "");
    }

    #[test]
    fn a_damaged_marker_is_no_marker() {
        let place = Place::new("old");
        fs::write(beside(&place.file(), "unconfirmed"), "{").unwrap();
        assert_eq!(place.start("here"), Standing::Confirmed);
        assert!(!beside(&place.file(), "unconfirmed").exists());
    }

    /// A cut after any number of writes, then the next start, on the same boot or another.
    #[test]
    fn a_cut_between_any_two_writes_leaves_the_old_or_the_new() {
        for before in [None, Some(HERE)] {
            for confirmation in [None, Some(HERE)] {
                for boot in ["here", "another boot"] {
                    for cut in 0.. {
                        let place = Place::new("confirmed");
                        let file = place.file();
                        // With or without an unconfirmed change below.
                        let _ = before.map(|before| commit(&file, "unconfirmed", Some(before)));
                        let steps = steps_of_commit(&file, "new", confirmation).unwrap();
                        perform(&steps[..cut.min(steps.len())]).unwrap();
                        let is_done = cut >= steps.len();
                        let standing = place.start(boot);
                        let text = place.text();
                        let fine: &[&str] = match (before, is_done, boot) {
                            _ if is_done && confirmation.is_none() => &["new"],
                            (_, true, "here") => &["new"],
                            (_, true, _) => &["confirmed"],
                            (None, false, "here") => &["confirmed", "new"],
                            (None, false, _) => match confirmation {
                                None => &["confirmed", "new"],
                                Some(_) => &["confirmed"],
                            },
                            (Some(_), false, "here") => &["unconfirmed", "new"],
                            (Some(_), false, _) => &["confirmed", "new"],
                        };
                        assert!(fine.contains(&text.as_str()), "{cut}: {text}, {standing:?}");
                        // And the start after that finds the same.
                        place.start(boot);
                        assert_eq!(place.text(), text);
                        if is_done {
                            break;
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_cut_while_going_back_leaves_the_old_or_the_new() {
        for unconfirmed in [None, Some(HERE)] {
            for cut in 0..=2 {
                let place = Place::new("old");
                let file = place.file();
                commit(&file, "new", unconfirmed).unwrap();
                let steps = steps_of_rollback(&file).unwrap();
                perform(&steps[..cut.min(steps.len())]).unwrap();
                place.start("here");
                let wanted = if cut == 0 { "new" } else { "old" };
                assert_eq!(place.text(), wanted, "{unconfirmed:?} {cut}");
            }
        }
    }
}
