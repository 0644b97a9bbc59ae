//! What the box must remember over a power cut: two generations of a small value, of which one is always whole.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::files;

/// Largest value, bytes.
const MOST_BYTES: u64 = 64 * 1024;
const MAGIC: [u8; 4] = *b"tmb1";
/// Magic, generation, and the CRC-32 at the end.
const HEAD: usize = 4 + 8;
const TAIL: usize = 4;

/// A value kept in two files, `NAME.a` and `NAME.b`, written in turn. Whatever happens to the one being written,
/// the other holds the value before it.
#[derive(Debug)]
pub struct TwoGenerations<T> {
    files: [PathBuf; 2],
    /// Number of the newest generation, and which file holds it.
    newest: Option<(u64, usize)>,
    value: PhantomData<fn() -> T>,
}

/// What was found on opening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<T> {
    /// Nothing was ever saved.
    Nothing,
    /// The newest whole value.
    Value(T),
    /// Files are there and none is whole.
    Damaged,
}

impl<T: Serialize + DeserializeOwned> TwoGenerations<T> {
    /// Opens the pair `NAME.a`, `NAME.b` in a directory that exists.
    ///
    /// # Errors
    /// If a file is there and cannot be read.
    pub fn open(directory: &Path, name: &str) -> Result<(Self, Found<T>), StateError> {
        let files = ["a", "b"].map(|letter| directory.join(format!("{name}.{letter}")));
        let mut found = Found::Nothing;
        let mut newest = None;
        for (index, file) in files.iter().enumerate() {
            let bytes = match files::read_bounded(file, MOST_BYTES) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Vec::new(),
                Err(error) => return Err(StateError::new(file, &error)),
            };
            match decode(&bytes) {
                Some((generation, value)) if newest.is_none_or(|(other, _)| generation > other) => {
                    newest = Some((generation, index));
                    found = Found::Value(value);
                }
                None if newest.is_none() => found = Found::Damaged,
                _ => {}
            }
        }
        let store = Self {
            files,
            newest,
            value: PhantomData,
        };
        Ok((store, found))
    }

    /// Saves a value; when this returns it is on the disk.
    ///
    /// # Errors
    /// If it cannot be written; the value before it is then still there.
    pub fn save(&mut self, value: &T) -> Result<(), StateError> {
        let (generation, index) = match self.newest {
            Some((generation, index)) => (generation.wrapping_add(1), 1 - index),
            None => (1, 0),
        };
        let file = &self.files[index];
        let bytes = encode(generation, value)
            .ok_or_else(|| StateError::new(file, &io::Error::from(io::ErrorKind::FileTooLarge)))?;
        files::replace(file, &bytes, files::PRIVATE)
            .map_err(|error| StateError::new(file, &error))?;
        self.newest = Some((generation, index));
        Ok(())
    }
}

fn encode<T: Serialize>(generation: u64, value: &T) -> Option<Vec<u8>> {
    let mut bytes = Vec::from(MAGIC);
    bytes.extend_from_slice(&generation.to_le_bytes());
    let mut bytes = postcard::to_extend(value, bytes).ok()?;
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    (u64::try_from(bytes.len()).ok()? <= MOST_BYTES).then_some(bytes)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<(u64, T)> {
    let (content, crc) = bytes.split_at_checked(bytes.len().checked_sub(TAIL)?)?;
    if crc32fast::hash(content).to_le_bytes() != crc {
        return None;
    }
    let (head, body) = content.split_at_checked(HEAD)?;
    let generation = head.strip_prefix(&MAGIC)?.try_into().ok()?;
    let (value, rest) = postcard::take_from_bytes(body).ok()?;
    rest.is_empty()
        .then_some((u64::from_le_bytes(generation), value))
}

/// What the box remembers about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// Our name in provenance, made once (protocol reference 1.2).
    pub federate_id: [u8; 16],
}

/// How [`NodeState::open`] came by its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was there.
    Kept,
    /// The box is new.
    Created,
    /// Both generations were damaged: a new id was made, and peers may see events of before once more.
    Replaced,
}

impl NodeState {
    /// Reads the box's state, or makes it on the first start. The directory is made too, for its owner only.
    ///
    /// # Errors
    /// If the directory or its files cannot be read or written.
    pub fn open(directory: &Path) -> Result<(Self, Origin), StateError> {
        files::private_directory(directory).map_err(|error| StateError::new(directory, &error))?;
        let (mut store, found) = TwoGenerations::open(directory, "node")?;
        let origin = match found {
            Found::Value(state) => return Ok((state, Origin::Kept)),
            Found::Nothing => Origin::Created,
            Found::Damaged => Origin::Replaced,
        };
        let mut federate_id = [0; 16];
        SystemRandom::new().fill(&mut federate_id).map_err(|_| {
            StateError::new(
                directory,
                &io::Error::other("the system gives no random numbers"),
            )
        })?;
        let state = Self { federate_id };
        store.save(&state)?;
        Ok((state, origin))
    }

    /// The id as it stands in provenance: 32 hex digits.
    pub fn federate_id_hex(&self) -> String {
        self.federate_id
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// The state directory does not do its part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateError {
    /// The file or directory.
    pub path: PathBuf,
    /// What the system says.
    pub cause: String,
}

impl StateError {
    fn new(path: &Path, error: &io::Error) -> Self {
        Self {
            path: path.to_path_buf(),
            cause: error.to_string(),
        }
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}; the state directory must be writable (choose another with --state DIR)",
            self.path.display(),
            self.cause
        )
    }
}

impl std::error::Error for StateError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    type Store = TwoGenerations<Vec<String>>;

    fn open(directory: &Path) -> (Store, Found<Vec<String>>) {
        Store::open(directory, "value").unwrap()
    }

    fn value(number: usize) -> Vec<String> {
        vec![format!("generation {number}"); 3]
    }

    #[test]
    fn the_newest_of_many_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, found) = open(directory.path());
        assert_eq!(found, Found::Nothing);
        for number in 0..5 {
            store.save(&value(number)).unwrap();
            assert_eq!(open(directory.path()).1, Found::Value(value(number)));
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_value_too_large_is_refused_and_the_old_one_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (mut store, _) = open(directory.path());
        store.save(&value(1)).unwrap();
        assert!(store.save(&vec!["x".repeat(70_000)]).is_err());
        assert_eq!(open(directory.path()).1, Found::Value(value(1)));
    }

    #[test]
    fn the_federate_id_is_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        let (first, origin) = NodeState::open(&state).unwrap();
        assert_eq!(origin, Origin::Created);
        assert_eq!(
            NodeState::open(&state).unwrap(),
            (first.clone(), Origin::Kept)
        );
        let hex = first.federate_id_hex();
        assert!(
            hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{hex}"
        );
        let (other, _) = NodeState::open(&directory.path().join("other")).unwrap();
        assert_ne!(other, first);
        fs::write(state.join("node.a"), "junk").unwrap();
        let (replaced, origin) = NodeState::open(&state).unwrap();
        assert_eq!(origin, Origin::Replaced);
        assert_ne!(replaced, first);
        assert_eq!(NodeState::open(&state).unwrap(), (replaced, Origin::Kept));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Whatever happens to the newest file, the generation before it is read, and saving goes on from there.
        #[test]
        fn damage_to_the_newest_falls_back_to_the_older(
            saves in 2usize..5, cut in any::<bool>(), at in any::<usize>(), flip in 1u8..,
        ) {
            let directory = tempfile::tempdir().unwrap();
            let (mut store, _) = open(directory.path());
            for number in 0..saves {
                store.save(&value(number)).unwrap();
            }
            let newest = directory.path().join(if saves % 2 == 1 { "value.a" } else { "value.b" });
            let mut bytes = fs::read(&newest).unwrap();
            let at = at % bytes.len();
            if cut { bytes.truncate(at) } else { bytes[at] ^= flip }
            fs::write(&newest, bytes).unwrap();
            let (mut store, found) = open(directory.path());
            prop_assert_eq!(found, Found::Value(value(saves - 2)));
            store.save(&value(99)).unwrap();
            prop_assert_eq!(open(directory.path()).1, Found::Value(value(99)));
        }

        #[test]
        fn any_bytes_at_all_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode::<NodeState>(&bytes);
        }
    }
}
